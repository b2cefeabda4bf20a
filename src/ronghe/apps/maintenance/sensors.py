"""Tells a dead or stuck sensor from a process that has changed: the one is said as such, and never judged as the other."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Fault = Literal["dead", "stuck"]

_LONGER = 10  # times the longest run of one same value that was seen while learning: stuck
_SUSPECT = 2  # times: no longer judged by


class SensorWatch:
    """Counts, per column, rows without a value (`empty`) and rows since the value last changed (`same`)."""

    def __init__(self, run: NDArray[np.int64], low: Floats, high: Floats, silent: int) -> None:
        """`run` int64[k] and `low`, `high` float64[k]: longest run of one value, and range, seen in normal operation. `silent`: rows
        without a value until a sensor is dead."""
        self.faults: dict[int, Fault] = {}
        self.empty = np.zeros(len(run), np.int64)
        self.same = np.zeros(len(run), np.int64)
        self._silent, self._low, self._high = silent, low, high
        self._suspect_after = _SUSPECT * run + _SUSPECT
        self._stuck_after = np.maximum(_LONGER * run, np.maximum(silent, self._suspect_after))
        self._last = np.full(len(run), np.nan)
        self._suspect: NDArray[np.bool_] | None = None
        self._gaps = False

    def step(self, row: Floats) -> list[tuple[int, Fault | None]]:
        """One row float64[k]; gives the columns whose fault has begun (with its kind) or ended (None)."""
        self.same += 1
        self.same[row != self._last] = 0  # NaN is never the same
        self._last = row.copy()
        missing = np.isnan(row)
        if self._gaps or missing.any():
            self.empty += 1
            self.empty[~missing] = 0
            self._gaps = bool(missing.any())
        suspect = self.same >= self._suspect_after
        self._suspect = suspect if suspect.any() else None
        return self._changes() if self.faults or self._gaps or self._suspect is not None else []

    def trusted(self, row: Floats) -> Floats:
        """The row last given to `step`, without the values that no longer move though they did while learned.

        Only inside the range seen in normal operation: a flow that stands at nothing is the process, not the sensor.
        """
        if self._suspect is None:
            return row
        return np.where(self._suspect & (row >= self._low) & (row <= self._high), np.nan, row)

    def _changes(self) -> list[tuple[int, Fault | None]]:
        now: dict[int, Fault] = dict.fromkeys(np.flatnonzero(self.same >= self._stuck_after).tolist(), "stuck")
        now |= dict.fromkeys(np.flatnonzero(self.empty >= self._silent).tolist(), "dead")
        changes: list[tuple[int, Fault | None]] = [(j, None) for j, fault in self.faults.items() if now.get(j) != fault]
        changes += [(j, fault) for j, fault in now.items() if self.faults.get(j) != fault]
        self.faults = now
        return changes
