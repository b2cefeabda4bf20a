"""How old samples are when they are handed over, as `Health` tells it."""

from __future__ import annotations

from ronghe.connect.driver import Health

_HALF: int = 30_000_000_000  # ns


class LagMeter:
    """Keeps `lag` and `lag_max` (the largest of this and the last half minute) of a health true.

    A connection may have parts that deliver beside each other, each in its own order: the latest of them counts.
    """

    def __init__(self, health: Health) -> None:
        self._health = health
        self._parts: dict[int, float] = {}
        self._half, self._now, self._before = 0, 0.0, 0.0

    def seen(self, lag: float, now: int, part: int = 0) -> None:
        """A batch was handed over `lag` s late at `now` (ns); 0 where the device says that it has nothing more to hand over."""
        half = now // _HALF
        if half != self._half:
            self._before = self._now if half == self._half + 1 else 0.0
            self._half, self._now = half, 0.0
        self._parts[part] = lag
        lag = max(self._parts.values())
        self._now = max(self._now, lag)
        self._health.lag, self._health.lag_max = lag, max(self._now, self._before)
