"""The forecast at work: rows of process values and assays as they come, what is expected, and how good that has been."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ronghe.apps.furnace.silicon.features import HOUR
from ronghe.apps.furnace.silicon.forecaster import Forecast, Forecaster
from ronghe.apps.furnace.silicon.scores import HIT

Floats = NDArray[np.float64]

_KEPT: Final = 100  # assays shown and counted
_FEWEST: Final = 30  # assays before coverage says anything
_LIMIT: Final = 3.0  # standard errors below 90 %: it is asked anew with every heat
_HIGHEST: Final = 10.0  # % Si; more is no hot metal
_NORMAL: Final = NormalDist()
_FAN: Final = 8


@dataclass(frozen=True, slots=True)
class Came:
    """An assay (ns, %) and what had been forecast of it, if anything."""

    time: int
    value: float
    said: Forecast | None


@dataclass(slots=True)
class Outlook:
    """`keep` ns: how long an assay may be late and still be matched with what was forecast at its time."""

    forecaster: Forecaster
    keep: int
    past: deque[Came] = field(default_factory=lambda: deque(maxlen=_KEPT))
    now: Forecast | None = None
    _looks: deque[tuple[int, Floats, Forecast]] = field(default_factory=deque)
    _time: int = 0

    def at(self, time: int) -> None:
        """The time of the next row (ns). A clock that went back ends what is known of where the furnace stands."""
        before = max(self._time, self.forecaster.last, self.forecaster.memory.times[-1] if self.forecaster.memory.times else 0)
        if time <= before:
            self.forecaster.restart()
            self._looks.clear()
            self.past.clear()
        self._time = time

    def row(self, time: int, process: Floats | None) -> None:
        """What is expected of a heat tapped at `time`, with the process values float64[k] of that time; nothing without them."""
        self.now = None
        while self._looks and self._looks[0][0] < time - self.keep:
            self._looks.popleft()
        if process is not None:
            x = self.forecaster.see(time, process)
            self.now = self.forecaster.forecast(time, x)
            self._looks.append((time, x, self.now))

    def assay(self, time: int, value: float) -> None:
        """The newest assay, of a sample taken at `time`. Passed over where it is none that can be, or not new, or where nothing was seen of
        the process at its time."""
        if not 0 < value < _HIGHEST or time <= self.forecaster.last or (self.past and time <= self.past[-1].time):
            return
        look = next((seen for seen in reversed(self._looks) if seen[0] <= time), None)
        self.past.append(Came(time, value, look[2] if look else None))
        if look is None:
            return
        self.forecaster.learn(time, look[1], value, look[2])
        if self.now is not None:
            self.now = self.forecaster.forecast(self._looks[-1][0], self._looks[-1][1])

    def fan(self, horizon: int) -> list[tuple[int, Forecast]]:
        """What is expected until `horizon` ns ahead, the process as it is now."""
        if self.now is None or not self._looks:
            return []
        time, x, _ = self._looks[-1]
        ahead = [horizon * i // _FAN for i in range(_FAN + 1)]
        gap = self.forecaster.scaling.gap
        return [(time + a, self.forecaster.forecast(time + a, x, 1 + a / HOUR / gap)) for a in ahead]

    def chance(self, limit: float, *, below: bool) -> float:
        """That a heat tapped now lies beyond `limit` (%), by the interval's own width."""
        if self.now is None:
            return 0.0
        sd = self.now.spread * self.now.width / _NORMAL.inv_cdf(0.95)
        under = _NORMAL.cdf((math.log(limit / self.forecaster.scaling.centre) - self.now.log) / sd)
        return under if below else 1 - under

    def coverage(self) -> float | None:
        """Part of the last assays that were in their interval; None for too few."""
        said = [c for c in self.past if c.said is not None]
        return sum(c.said.low <= c.value <= c.said.high for c in said if c.said) / len(said) if len(said) >= _FEWEST else None

    def hit_rate(self) -> float | None:
        """Part of the last assays within 0.1 % of their forecast; None for too few."""
        said = [c for c in self.past if c.said is not None]
        return sum(abs(c.value - c.said.mean) <= HIT for c in said if c.said) / len(said) if len(said) >= _FEWEST else None

    def counted(self) -> int:
        """How many assays those parts are of."""
        return sum(c.said is not None for c in self.past)

    def drifts(self) -> bool:
        """Whether the coverage is less than chance explains."""
        inside = self.coverage()
        return inside is not None and inside < 0.9 - _LIMIT * math.sqrt(0.09 / self.counted())
