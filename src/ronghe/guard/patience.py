"""How long the guard waits for a device to show what was written, and what it takes for the same value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from ronghe.guard.limits import Limits
from ronghe.plant.model import Plant

ATTEMPTS: Final = 3
"""To put an old value back."""
_SLACK: Final = 5.0  # s, for a sample to come through
_GRACE: Final = 5  # times the read-back time, after a restart, for connections to come up


class Patience:
    """Times of one plant, in ns."""

    def __init__(self, plant: Plant, limits: Mapping[str, Limits], clock: Callable[[], int], read_back: int) -> None:
        """`read_back` is how long (ns) a device has to show what was written; two samples of a set-point that is sampled slowly."""
        self._plant, self._limits, self._read_back = plant, limits, read_back
        self.started = clock()
        self.grace = self.started + _GRACE * read_back
        """Until then, after a restart, connections are given time to come up."""

    def of(self, tag: str) -> int:
        """How long a device has to show what was written: what is read back once a minute can be seen no earlier."""
        sampled = self._plant.tags.get(tag)
        return max(self._read_back, round((2 * sampled.every + _SLACK) * 1e9) if sampled is not None else 0)

    def fresh(self, tag: str) -> int:
        """How old a set-point's value may be."""
        limits = self._limits.get(tag)
        return limits.fresh if limits is not None else self.of(tag)

    def same(self, tag: str, a: float, b: float) -> bool:
        """Whether two values of a set-point are one, within what its device can hold."""
        limits = self._limits.get(tag)
        return abs(a - b) <= (limits.tolerance if limits is not None else 1e-6 * max(abs(a), abs(b)))
