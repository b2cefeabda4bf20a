"""From the rows of a tag to what was used: power integrated, counters differenced, variables averaged; gaps are never filled in silence."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

from ronghe.apps.energy.account.periods import Calendar

_HOUR = 3600 * 10**9
_FULL = 0.9  # of a counter's range, from which on it may begin anew


class Used(NamedTuple):
    """An amount between two times (ns). `measured`: that time counts as measured; else the amount is known, and its course is not."""

    start: int
    end: int
    amount: float
    measured: bool


@dataclass(slots=True)
class Channel:
    """One tag. `gain` turns its values into the unit of the books; `bridge` ns is the longest time between two values that is no gap.

    A counter that falls has begun anew where it was nearly full, else its meter was exchanged; one that rises faster than `highest` an
    hour was exchanged too. Over an exchange nothing is known: what the old one still counted and the new one began with, nobody saw.
    """

    kind: Literal["power", "counter", "mean"]
    calendar: Calendar
    bridge: int
    gain: float = 1.0
    offset: float = 0.0
    rollover: float = 0.0
    highest: float = 0.0
    time: int = 0  # of the last good value; 0: none
    value: float = math.nan
    exchanged: int = 0  # ns of the last exchange seen

    def take(self, time: int, value: float) -> Used | None:
        """A row of the grid: what it says of the time since the last good one. NaN says nothing."""
        if not math.isfinite(value):
            return None
        before, old = self.time, self.value
        self.time, self.value = time, value
        if not before or time <= before:
            return None
        whole = time - before <= self.bridge
        if self.kind == "counter":
            counted = self._counted(value - old, (time - before) / _HOUR)
            if counted is None:
                self.exchanged = time
                return None
            inside = self.calendar.start(before) == self.calendar.start(time - 1)
            return Used(before, time, counted * self.gain, whole or inside)
        if not whole:
            return None
        mean = (value + old) / 2 * self.gain + self.offset
        return Used(before, time, mean * (time - before) / (_HOUR if self.kind == "power" else 1), True)

    def _counted(self, delta: float, hours: float) -> float | None:
        if delta < 0 and self.rollover and self.value < (1 - _FULL) * self.rollover and self.value - delta > _FULL * self.rollover:
            delta += self.rollover
        if delta < 0 or (self.highest and delta * self.gain > 1.05 * self.highest * max(hours, 1 / 60)):
            return None
        return delta
