"""The last durations of something, and their quantiles."""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Sequence


def p99_of(ordered: Sequence[float]) -> float:
    """The 99th percentile of numbers in ascending order, never an average of two; of up to 100 it is the largest."""
    return ordered[math.ceil(0.99 * (len(ordered) - 1))]


class Times:
    """At most `most` numbers, none older than `keeps` s. Safe to use from several threads; `now` in ns."""

    def __init__(self, most: int, keeps: float) -> None:
        self._kept: deque[tuple[int, float]] = deque(maxlen=most)
        self._keeps = round(keeps * 1e9)
        self._lock = threading.Lock()

    def add(self, now: int, number: float) -> None:
        """Takes one."""
        with self._lock:
            self._kept.append((now, number))

    def ordered(self, now: int) -> list[float]:
        """Those that are not too old, ascending."""
        with self._lock:
            while self._kept and now - self._kept[0][0] > self._keeps:
                self._kept.popleft()
            return sorted(number for _, number in self._kept)

    def median(self, now: int) -> float | None:
        """None without any."""
        ordered = self.ordered(now)
        return ordered[len(ordered) // 2] if ordered else None

    def p99(self, now: int, least: int) -> float | None:
        """None of fewer than `least`."""
        ordered = self.ordered(now)
        return p99_of(ordered) if len(ordered) >= least else None
