"""An even grid of ticks for several intervals: no drift, no piling up."""

from __future__ import annotations

import math
from collections.abc import Sequence


class Schedule:
    """Which group is due when. Group i ticks at start, start + every[i], start + 2·every[i] … whatever a poll takes: of the ticks that pass
    during a poll the last is served late, the others are skipped and counted. Times are seconds of one monotonic clock, which the caller
    reads."""

    def __init__(self, every: Sequence[float], start: float) -> None:
        self._every, self._start = list(every), start
        self._tick = [0] * len(self._every)
        self._due = [start] * len(self._every)  # infinite while a tick is being served

    def due(self) -> tuple[float, int]:
        """(time, group) of the next tick; of several at one time the first group."""
        at = min(self._due)
        return at, self._due.index(at)

    def urgent(self, now: float, than: int) -> int | None:
        """A group with a shorter interval than group `than` that is due by `now`, or None."""
        waiting = [(at, i) for i, at in enumerate(self._due) if at <= now and self._every[i] < self._every[than]]
        return min(waiting)[1] if waiting else None

    def begin(self, i: int) -> None:
        """Group i is being served, and not due until `done`."""
        self._due[i] = math.inf

    def done(self, i: int, now: float) -> int:
        """The tick of group i was served at `now`; gives how many of its ticks were skipped on the way."""
        following = max(self._tick[i] + 1, int((now - self._start) / self._every[i]))
        missed = following - self._tick[i] - 1
        self._tick[i] = following
        self._due[i] = self._start + following * self._every[i]
        return missed
