"""Samples a second of each connection, measured between two looks."""

from __future__ import annotations

from collections import deque


class Pace:
    """Samples a second of each connection, over about the last five seconds, measured when somebody looks."""

    SPAN = 5_000_000_000  # ns

    def __init__(self) -> None:
        self._seen: dict[str, deque[tuple[int, int]]] = {}

    def of(self, name: str, delivered: int, now: int) -> float:
        """Takes a reading and gives the rate; 0 at the first."""
        seen = self._seen.setdefault(name, deque())
        if not seen or now - seen[-1][0] > 500_000_000:
            seen.append((now, delivered))
        while len(seen) > 2 and now - seen[1][0] > self.SPAN:
            seen.popleft()
        at, before = seen[0]
        return (delivered - before) * 1e9 / (now - at) if now > at else 0.0
