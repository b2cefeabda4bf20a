"""M-out-of-N voting over redundant sensors of one quantity (IEC 61511-1; ISA-TR84.00.02).

Each sensor that is good votes for itself, with a deadband on the safe side. What a sensor counts for that gives no good, fresh value:

    bad = "vote"     it votes to trip:       2oo3 with one bad is 1oo2 of the others, with two bad it trips
    bad = "degrade"  it is left out and M falls with it, never below 1:   2oo3, 1oo2, 1oo1; with none left it trips

Neither ever lets a bad sensor make a trip harder, as leaving M as it is would (2oo3 → 2oo2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ronghe.apps.safety.settings import Group


@dataclass(frozen=True, slots=True)
class Outcome:
    """One row of a group. `votes` of `needed` among `good` sensors that count; `over` and `bad` say which sensors, by place."""

    trip: bool
    votes: int
    needed: int
    over: tuple[int, ...]
    bad: tuple[int, ...]
    spread: float  # largest less smallest of the good ones; NaN with fewer than two


class Voting:
    """The votes of one group; remembers them for the deadband."""

    def __init__(self, group: Group) -> None:
        self._group = group
        self._m = int(group.vote[0])
        self._over = np.zeros(len(group.tags), np.bool_)

    def step(self, value: NDArray[np.float64]) -> Outcome:
        """One row [N] of values, NaN where a sensor is not good or too old."""
        g = self._group
        bad = np.isnan(value)
        high, low = math.inf if g.high is None else g.high, -math.inf if g.low is None else g.low
        back = np.where(self._over, g.deadband, 0.0)
        with np.errstate(invalid="ignore"):
            self._over = np.where(bad, self._over, (value >= high - back) | (value <= low + back))
        over = self._over & ~bad
        good = value[~bad]
        if g.bad == "vote":
            votes, needed = int(over.sum() + bad.sum()), self._m
        else:
            votes, needed = int(over.sum()), max(1, self._m - int(bad.sum()))
        return Outcome(
            trip=votes >= needed or not len(good),
            votes=votes,
            needed=needed,
            over=tuple(np.flatnonzero(over).tolist()),
            bad=tuple(np.flatnonzero(bad).tolist()),
            spread=float(np.ptp(good)) if len(good) > 1 else math.nan,
        )
