"""What the guard of a set-point leaves room for: how far a step may go, and when. An advice that is bound to be refused helps nobody."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

from ronghe.guard.limits import Limits

_MARGIN: Final = 1_000_000_000  # ns; rows are later than the guard's clock, by a varying time


@dataclass(slots=True)
class Headroom:
    """One set-point. Values in its property's unit, times in ns as those of rows. Without a guard (`limits` None) nothing bounds it."""

    limits: Limits | None
    moves: list[tuple[int, float]] = field(default_factory=list)  # (time, |change|) of what the guard has written for this app
    open: dict[str, int] = field(default_factory=dict)  # advice whose case is open: one at a time; and until when it can be at most

    def permitted(self, present: float, wanted: float) -> float | None:
        """The value on the way to `wanted` that envelope and rate permit in one step; None where there is none, or `present` is NaN."""
        value, tolerance = wanted, 0.0
        if (limits := self.limits) is not None:
            tolerance = limits.tolerance
            value = min(max(value, limits.low), limits.high)
            if limits.rate is not None:
                value = min(max(value, present - limits.rate[0]), present + limits.rate[0])
            if limits.type == "int":
                value = present + math.trunc(value - present) if math.isfinite(value - present) else value
            if not limits.low <= value <= limits.high:
                return None
        onward = (value - present) * (wanted - present) > 0  # false for NaN
        return value if onward and abs(value - present) > tolerance else None

    def at_end(self, present: float, wanted: float) -> bool:
        """Whether the set-point stands at the end of its envelope beyond which `wanted` lies."""
        limits = self.limits
        if limits is None:
            return False
        above = wanted > limits.high and present >= limits.high - limits.tolerance
        return above or (wanted < limits.low and present <= limits.low + limits.tolerance)

    def moved(self, at: int, size: float) -> None:
        """The guard wrote a change of `size`, at `at` or shortly before."""
        self.moves.append((at, size))

    def free_from(self, size: float, now: int) -> int:
        """The earliest time at which hold, rate and open cases permit a change of `size` (no larger than the rate); `now` if they do."""
        limits = self.limits
        if limits is None:
            return now
        window = limits.rate[1] if limits.rate is not None else 0
        longest = max(limits.hold, window) + _MARGIN
        self.moves = moves = [m for m in self.moves if now - m[0] < longest]
        soon = [now + _MARGIN] if any(until > now for until in list(self.open.values())) else []
        free = max([now, *soon, *(at + limits.hold + _MARGIN for at, _ in moves if limits.hold)])
        if limits.rate is not None:
            room = limits.rate[0] * (1 + 1e-9) - size - sum(s for _, s in moves)
            for at, before in sorted(moves):  # the oldest leaves the window first
                if room >= 0:
                    break
                room += before
                free = max(free, at + window + _MARGIN)
        return free
