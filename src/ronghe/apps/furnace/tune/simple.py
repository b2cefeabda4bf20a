"""The baseline: one set-point after the other, a step to one side, to the other if that was no better; steps halve when no side helps.

Coordinate search (Hooke & Jeeves, Journal of the ACM 8(2), 1961, without its pattern move), with the same ramps, windows and margins as the
tuner, and the same way back when a limit comes near.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ronghe.apps.furnace.tune.space import Proposal, Space, Trial
from ronghe.apps.furnace.tune.surrogate import Floats


class Coordinates:
    """A strategy that learns nothing but what is best so far."""

    def __init__(self, space: Space, *, step: float = 0.2, least: float = 0.03) -> None:
        self.space, self.step, self._least = space, step, least
        self._trials: list[Trial] = []
        self._best: Trial | None = None
        self._left: list[tuple[int, float]] = []
        self._improved = True

    @property
    def trials(self) -> Sequence[Trial]:
        """All that was told."""
        return self._trials

    @property
    def best(self) -> Trial | None:
        """The best that held every limit when it was seen."""
        return self._best

    @property
    def done(self) -> bool:
        """Whether the steps have become too small."""
        return self.step < self._least

    @property
    def margins(self) -> Floats:
        """As the tuner's."""
        swings = [t.swing for t in self._trials[-10:] if t.swing]
        return np.array([max(limit.margin, *(s[i] for s in swings), 0.0) for i, limit in enumerate(self.space.limits)])

    def tell(self, trial: Trial) -> None:
        """Keeps what is better."""
        self._trials.append(trial)
        slack = [limit.slack(v) for limit, v in zip(self.space.limits, trial.values, strict=True)]
        if trial.state == "again" and trial.terms:
            self._best = trial
        elif trial.terms and all(s >= m for s, m in zip(slack, self.margins, strict=True)) and self._beats(trial):
            self._best, self._improved = trial, True

    def _beats(self, trial: Trial) -> bool:
        sign = 1.0 if self.space.better == "lower" else -1.0
        return self._best is None or sign * sum(trial.terms) < sign * sum(self._best.terms)

    def ask(self) -> Proposal:
        """The next side of the next variable."""
        best = self._best if self._best is not None else self._trials[-1]
        while not self.done:
            if not self._left:
                self.step /= 1.0 if self._improved else 2.0
                self._improved = False
                self._left = [(i, side) for i in range(len(self.space.low)) for side in (1.0, -1.0)]
            i, side = self._left.pop(0)
            u = self.space.unit(best.x)
            moved = u.copy()
            moved[i] = np.clip(u[i] + side * self.step, 0, 1)
            inside = [limit.slack(v) - m for limit, v, m in zip(self.space.limits, best.values, self.margins, strict=True)]
            if abs(moved[i] - u[i]) > self._least / 4 and min(inside, default=0.0) >= 0:
                return Proposal(x=self.space.own(moved), by="model")
        return Proposal(x=best.x, by="model")
