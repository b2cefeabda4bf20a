"""An even grid of ticks for several intervals: no drift, no piling up."""

from __future__ import annotations

import heapq
from collections.abc import Sequence


class Schedule:
    """Which group is due when. Group i ticks at start, start + every[i], start + 2·every[i] … whatever a poll takes: of the ticks that pass
    during a poll the last is served late, the others are skipped and counted. Times are seconds of one monotonic clock, which the caller
    reads."""

    def __init__(self, every: Sequence[float], start: float) -> None:
        self._every, self._start = list(every), start
        self._tick = [0] * len(self._every)
        self._heap = [(start, i) for i in range(len(self._every))]
        self.skipped = [0] * len(self._every)

    def due(self) -> tuple[float, int]:
        """(time, group) of the next tick; of several at one time the lowest group."""
        return self._heap[0]

    def done(self, now: float) -> int:
        """Says that the tick given by `due` was served at `now`; gives how many ticks of its group were skipped on the way."""
        _, i = self._heap[0]
        every = self._every[i]
        following = max(self._tick[i] + 1, int((now - self._start) / every))
        missed = following - self._tick[i] - 1
        self._tick[i] = following
        self.skipped[i] += missed
        heapq.heapreplace(self._heap, (self._start + following * every, i))
        return missed
