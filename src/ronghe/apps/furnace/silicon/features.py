"""What the forecast looks at: each process variable, its change over two hours, and its distance from its day's mean."""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

HOUR: Final = 3_600_000_000_000  # ns
_CHANGE: Final = 2 * HOUR
_STALE: Final = 6 * HOUR  # a row before that long ago is no measure of change
_DAY: Final = 24.0  # h, time constant of the slow mean
GROUPS: Final = 3


@dataclass(slots=True)
class Memory:
    """Rows of the last hours and the slow mean. `step` takes rows in time order and looks at nothing later."""

    slow: Floats  # float64[k]
    times: list[int] = field(default_factory=list)
    rows: list[Floats] = field(default_factory=list)

    def step(self, time: int, row: Floats) -> Floats:
        """Features of a row, float64[3 k], raw."""
        if self.times:
            part = math.exp(-(time - self.times[-1]) / HOUR / _DAY)
            self.slow = part * self.slow + (1 - part) * row
        else:
            self.slow = row.copy()
        self.times.append(time)
        self.rows.append(row.copy())
        at = max(bisect.bisect_right(self.times, time - _CHANGE) - 1, 0)
        before = self.rows[at] if time - self.times[at] <= _STALE else row
        keep = max(bisect.bisect_left(self.times, time - _STALE) - 1, 0)
        del self.times[:keep], self.rows[:keep]
        return np.concatenate([row, row - before, row - self.slow])


def features(time: NDArray[np.int64], process: Floats, memory: Memory) -> Floats:
    """Features of many rows, float64[n, 3 k]; the memory goes on from them."""
    return np.array([memory.step(int(t), row) for t, row in zip(time, process, strict=True)]).reshape(len(time), -1)
