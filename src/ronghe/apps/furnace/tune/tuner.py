"""Where to try next: a trust region around the best known point, inside limits that must hold with confidence. Knows no process.

After Eriksson & Poloczek, "Scalable constrained Bayesian optimization" (SCBO, AISTATS 2021) and TuRBO (NeurIPS 2019): surrogates of the
objective and of each constraint, a region that grows with success and shrinks without. Unlike there a limit holds by confidence bound (Sui
et al., "Safe exploration for optimization with Gaussian processes", ICML 2015): a running plant must not find out what lies beyond it. And
what has moved since is moved along (constraint adaptation: Chachuat, Srinivasan & Bonvin, Computers & Chemical Engineering 33(10), 2009):
a disturbance shifts all that is known by what is seen at one point, and leaves the slopes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ronghe.apps.furnace.tune.space import Proposal, Space, Trial
from ronghe.apps.furnace.tune.surrogate import Floats, Surrogate, fit

_CONFIDENCE: Final = 2.0  # standard deviations within which a limit must hold
_CAREFUL: Final = 0.6  # of the step: the region that the surrogates begin with
_GROW: Final = 1.6
_SHRINK: Final = 0.7
_HOPE: Final = 0.5  # standard deviations by which a point may turn out better than foretold
_STRIDES: Final = 3  # in which one-sided variables cross their ranges
_WIDEST: Final = 0.5
_AT_END: Final = 0.01  # of the range
_DRAWN: Final = 1500
_KEPT: Final = 80  # trials that the surrogates are made of
_AGED: Final = 3.0  # by which the noise of what was known before a disturbance is multiplied
_UNSETTLED: Final = 10.0  # and that of a trial which was turned back


class Tuner:
    """The strategy. Noise and swing of what is measured are learned from the trials; `rng` makes it repeatable.

    A variable that starts at an end of its range can be moved one way only, and whoever set the range knows which: these go first,
    together, in strides of a third of their ranges, as long as each is better. Then each other variable is moved once by `step`, from the
    best point so far, and what was better is kept; then the surrogates lead. What has come to the far end of its range stays there until
    the region of the others is smaller than `least` (both are parts of the ranges): fewer variables are learned from fewer trials. Then
    all are free, and it is done when the region is that small again; it begins anew when the process has moved.
    """

    def __init__(self, space: Space, rng: np.random.Generator, *, step: float = 0.15, least: float = 0.03) -> None:
        self.space, self._rng, self._step, self._least = space, rng, step, least
        self.radius = _CAREFUL * step
        self._trials: list[Trial] = []
        self._points = _Points(len(space.low), len(space.limits))
        self._known: _Known | None = None  # the surrogates, until something new is told
        self._sign = 1.0 if space.better == "lower" else -1.0
        self._unmoved = list(range(len(space.low)))
        self._inward = np.zeros(len(space.low))  # which way one-sided variables go, from the first trial on
        self._strides = _STRIDES
        self._pinned = True  # whether one-sided variables that have come to their far ends stay there
        self._ends = np.tile([0.0, 1.0], (len(space.low), 1))  # of each range, in parts of it: less where a move was refused
        self._best: int | None = None

    @property
    def trials(self) -> Sequence[Trial]:
        """All that was told."""
        return self._trials

    @property
    def best(self) -> Trial | None:
        """The best point that holds all limits, as the process is by now."""
        return None if self._best is None else self._trials[self._best]

    @property
    def done(self) -> bool:
        """Whether there is nothing left worth trying."""
        return self._screened and self.radius < self._least and self._best is not None

    @property
    def _screened(self) -> bool:
        """Whether every variable has been moved once."""
        return not self._unmoved and self._strides <= 0

    @property
    def margins(self) -> Floats:
        """[m] distance to be kept from each limit on average: the greatest swing seen lately, or what is wanted at least."""
        swings = [t.swing for t in self._trials[-10:] if t.swing]
        return np.array([max(limit.margin, *(s[i] for s in swings), 0.0) for i, limit in enumerate(self.space.limits)])

    def tell(self, trial: Trial) -> None:
        """What was seen. At a point that is seen again, the difference is taken to be the process's own, everywhere."""
        u = self.space.unit(trial.x)
        terms = self._sign * np.array(trial.terms)
        slack = np.array([limit.slack(v) for limit, v in zip(self.space.limits, trial.values, strict=True)])
        if trial.state == "again" and self._trials:
            self._move_along(u, terms, slack)
        if not self._trials:
            self._inward = np.where(u <= _AT_END, 1.0, np.where(u >= 1 - _AT_END, -1.0, 0.0))
            self._unmoved = [i for i in self._unmoved if self._inward[i] == 0]
        before = None if self._best is None else self._points.x[self._best]
        self._trials.append(trial)
        self._points.add(u, terms, slack, np.array(trial.swing or (0.0,) * len(slack)), trial)
        self._known = None
        self._best, gain = self._choose(before)
        if trial.by == "model" and trial.state != "again" and self._screened:
            better = self._best == len(self._trials) - 1 and gain > 0
            self.radius = min(self.radius * _GROW, _WIDEST) if better else self.radius * _SHRINK

    def narrow(self, variable: int, value: float, *, above: bool) -> None:
        """A move beyond `value` was refused: nothing beyond it is proposed any more."""
        part = float((value - self.space.low[variable]) / (self.space.high[variable] - self.space.low[variable]))
        self._ends[variable, int(above)] = min(max(part, self._ends[variable, 0]), self._ends[variable, 1])

    def recall(self, trials: Iterable[Trial], radius: float) -> None:
        """Takes up what was seen in an earlier life, in its order, and how small the region had become."""
        for trial in trials:
            if self._trials and trial.by == "model" and trial.state != "again" and not self._stride_on() and self._unmoved:
                self._unmoved.pop(0)
            self.tell(trial)
        self.radius = radius

    def ask(self) -> Proposal:
        """Where to go next. Raises ValueError before anything was told."""
        if not self._trials:
            raise ValueError("tell what is seen at the present point first")
        known = self._surrogates()
        if self._best is None:
            return self._say(self._safest(known), known)
        centre = self._points.x[self._best]
        if self._stride_on():
            return self._untold(self._held_back(centre + self._inward / _STRIDES, centre, known))
        if self._unmoved:
            return self._untold(self._first(self._unmoved.pop(0), centre, known))
        while self.radius >= self._least:
            found = self._promising(centre, known)
            if np.abs(found - centre).max() > self._least / 4:
                return self._say(found, known)
            self.radius *= _SHRINK
            if self.radius < self._least and self._pinned:
                self._pinned, self.radius = False, _CAREFUL * self._step
        return self._say(centre, known)

    # --- what is known ----------------------------------------------------------------------------------------------------------

    def _surrogates(self) -> _Known:
        if self._known is None:
            p = self._points
            settled, young = np.flatnonzero(np.isfinite(p.terms).all(axis=1))[-_KEPT:], slice(-_KEPT, None)
            least = np.maximum(np.median(p.swing[young], axis=0) / 4, 1e-9)
            objective = None
            if len(settled) and p.terms.shape[1]:
                objective = _Objective.of(p.x[settled], p.terms[settled], p.age[settled], float(np.median(p.noise[settled])) / 4)
            slacks = fit(p.x[young], p.slack[young], p.age[young], least) if p.slack.shape[1] else None
            self._known = _Known(objective, slacks)
        return self._known

    def _choose(self, before: Floats | None) -> tuple[int | None, float]:
        """The best of the settled trials whose least was inside every limit, by what all of them say of it; and how much better it is than
        the best before."""
        p, known = self._points, self._surrogates()
        holds = np.flatnonzero((p.slack - p.swing >= 0).all(axis=1) & np.isfinite(p.terms).all(axis=1) & (p.terms.shape[1] > 0))
        if not len(holds) or known.objective is None:
            return None, 0.0
        mean = known.expected(p.x[holds])[0]
        now = np.inf if before is None else float(known.expected(before[None])[0][0])
        return int(holds[np.argmin(mean)]), now - float(mean.min())

    def _move_along(self, u: Floats, terms: Floats, slack: Floats) -> None:
        known, p, moved = self._surrogates(), self._points, False
        if known.objective is not None and len(terms):
            mean, sd = (a[0] for a in known.objective.predict(u[None]))
            p.terms = np.where(known.objective.sign != 0, p.terms * terms / mean, p.terms + terms - mean)
            moved = bool((np.abs(terms - mean) > 3 * np.hypot(sd, known.objective.noise(mean))).any())
        if known.slacks is not None:
            mean, sd = (a[0] for a in known.slacks.predict(u[None]))
            p.slack += slack - mean
            moved |= bool((np.abs(slack - mean) > 3 * np.hypot(sd, known.slacks.noise)).any())
        if moved:
            p.age *= _AGED
            self.radius, self._pinned = max(self.radius, self._step), False
        self._known = None

    def _untold(self, u: Floats) -> Proposal:
        """Where slopes are not known yet, nothing is foretold."""
        return Proposal(x=self.space.own(u), by="model")

    def _say(self, u: Floats, known: _Known) -> Proposal:
        x = self.space.own(u)
        if known.objective is None:
            return Proposal(x=x, by="model")
        mean, sd = (float(a[0]) for a in known.expected(self.space.unit(x)[None]))
        low, high = sorted((self._sign * (mean - 2 * sd), self._sign * (mean + 2 * sd)))
        return Proposal(x=x, by="model", expected=self._sign * mean, low=low, high=high)

    def _room(self, at: Floats, known: _Known, confidence: float) -> Floats:
        """[n] what is left between the nearest limit with its margin and where its value is with confidence, in parts of its margin."""
        if known.slacks is None:
            return np.full(len(at), np.inf)
        mean, sd = known.slacks.predict(at)
        margins = self.margins
        room: Floats = ((mean - confidence * sd - margins) / (margins + known.slacks.noise + 1e-12)).min(axis=1)
        return room

    # --- where to ---------------------------------------------------------------------------------------------------------------

    def _stride_on(self) -> bool:
        """Whether one-sided variables go on inward: as long as the latest trial was the best."""
        self._strides -= 1
        if self._strides >= 0 and self._inward.any() and self._best == len(self._trials) - 1:
            return True
        self._strides = 0
        return False

    def _held_back(self, to: Floats, centre: Floats, known: _Known) -> Floats:
        """As far on the way to a point as its margins hold, by what is known: at the first stride nothing is."""
        way = np.clip(centre + np.linspace(0, 1, 41)[:, None] * (to - centre), self._ends[:, 0], self._ends[:, 1])
        holds = np.flatnonzero((self._room(way, known, 0.0) >= 0) | (len(self._trials) == 1))
        last: Floats = way[int(holds[-1])] if len(holds) else centre
        return last

    def _first(self, i: int, centre: Floats, known: _Known) -> Floats:
        """One variable moved by a step, to the side on which there is more room; to the other where a limit is in the way."""
        sides = np.tile(centre, (2, 1))
        sides[:, i] = np.clip(centre[i] + np.array([self._step, -self._step]) * (1 if centre[i] < 0.5 else -1), *self._ends[i])
        room = self._room(sides, known, 0.0)
        return sides[0] if room[0] >= 0 or room[0] >= room[1] else sides[1]

    def _safest(self, known: _Known) -> Floats:
        """No known point holds: the one near the latest that has most room."""
        at = self._candidates(self._points.x[-1], max(self.radius, self._step))
        return _argmax(at, self._room(at, known, 1.0))

    def _promising(self, centre: Floats, known: _Known) -> Floats:
        """The point of the region that may be best, among those that hold all limits with confidence."""

        def score(at: Floats) -> Floats:
            mean, sd = known.expected(at)
            return np.where(self._room(at, known, _CONFIDENCE) >= 0, _HOPE * sd - mean, -np.inf)

        low, high = self._box(centre, self.radius)
        at = self._candidates(centre, self.radius)
        value, free = score(at), np.flatnonzero(high > low)
        for _ in range(4):  # along the axes from the best few
            top = at[np.argsort(-value)[:6]]
            near = np.repeat(top, 6 * len(free), axis=0)
            rows, which = np.arange(len(near)), np.tile(np.repeat(free, 6), len(top))
            near[rows, which] = (low + self._rng.choice([0, 0.15, 0.5, 0.85, 1], len(near))[:, None] * (high - low))[rows, which]
            at, value = np.vstack([top, near]), np.concatenate([score(top), score(near)])
        return _argmax(at, value) if np.isfinite(value).any() else centre

    def _box(self, centre: Floats, radius: float) -> tuple[Floats, Floats]:
        arrived = self._pinned & (((self._inward > 0) & (centre >= 1 - _AT_END)) | ((self._inward < 0) & (centre <= _AT_END)))
        reach = np.where(arrived, 0.0, radius)
        return np.maximum(centre - reach, self._ends[:, 0]), np.minimum(centre + reach, self._ends[:, 1])

    def _candidates(self, centre: Floats, radius: float) -> Floats:
        """Points of the region: inside, on its edges, and with few variables moved (as TuRBO draws them)."""
        d = len(centre)
        low, high = self._box(centre, radius)
        at = low + self._rng.random((_DRAWN, d)) * (high - low)
        edge = self._rng.random((_DRAWN, d)) < 0.4
        at = np.where(edge, np.where(self._rng.random((_DRAWN, d)) < 0.5, low, high), at)
        still = self._rng.random((_DRAWN, d)) < self._rng.random((_DRAWN, 1)) * 0.8
        return np.vstack([centre, np.where(still, centre, at)])


@dataclass(frozen=True, slots=True)
class _Objective:
    """The surrogates of the terms. One that has had the same sign all the time (`sign`, else 0) is a product of what acts on it (a flow, a
    share, a price), and its logarithm is the straighter: on the Tennessee Eastman process 30 trials foretell the cost of others with 4.0
    $/h instead of 5.2 (root of the mean square)."""

    surrogate: Surrogate
    sign: Floats

    @classmethod
    def of(cls, x: Floats, terms: Floats, age: Floats, noise: float) -> _Objective:
        """From terms float64[n, k], of which `noise` is the least standard deviation."""
        sign = np.where((terms > 0).all(axis=0), 1.0, np.where((terms < 0).all(axis=0), -1.0, 0.0))
        level = np.where(sign != 0, np.abs(np.median(terms, axis=0)), 1.0)
        y = np.where(sign != 0, np.log(np.where(sign != 0, np.abs(terms), 1.0)), terms)
        return cls(fit(x, y, age, np.maximum(noise / level, 1e-9)), sign)

    def predict(self, at: Floats) -> tuple[Floats, Floats]:
        """Means and standard deviations [n, k] of the terms."""
        mean, sd = self.surrogate.predict(at)
        whole = np.where(self.sign != 0, self.sign * np.exp(np.minimum(mean, 700.0)), mean)
        return whole, np.where(self.sign != 0, np.abs(whole) * sd, sd)

    def noise(self, mean: Floats) -> Floats:
        """Standard deviation [k] of one measurement where the terms are `mean`."""
        out: Floats = np.where(self.sign != 0, np.abs(mean) * self.surrogate.noise, self.surrogate.noise)
        return out


@dataclass(frozen=True, slots=True)
class _Known:
    """The surrogates of the objective's terms (lower is better) and of the slacks; None where there is nothing to make them of."""

    objective: _Objective | None
    slacks: Surrogate | None

    def expected(self, at: Floats) -> tuple[Floats, Floats]:
        """Mean and standard deviation [n] of the objective, its terms being independent."""
        assert self.objective is not None
        mean, sd = self.objective.predict(at)
        return mean.sum(axis=1), np.sqrt((sd**2).sum(axis=1))


class _Points:
    """The trials as arrays, moved along with the process. `terms`: a lower sum is better; `slack`: above 0 is inside."""

    def __init__(self, d: int, m: int) -> None:
        self.x, self.terms, self.slack, self.swing = np.zeros((0, d)), np.zeros((0, 0)), np.zeros((0, m)), np.zeros((0, m))
        self.noise, self.age = np.zeros(0), np.zeros(0)

    def add(self, u: Floats, terms: Floats, slack: Floats, swing: Floats, trial: Trial) -> None:
        """One more."""
        if self.terms.shape[1] == 0 and len(terms):
            self.terms = np.full((len(self.x), len(terms)), np.nan)
        row = terms if len(terms) else np.full(self.terms.shape[1], np.nan)
        self.x, self.terms, self.slack = np.vstack([self.x, u]), np.vstack([self.terms, row]), np.vstack([self.slack, slack])
        self.swing, self.noise = np.vstack([self.swing, swing]), np.append(self.noise, trial.noise)
        self.age = np.append(self.age, 1.0 if trial.terms else _UNSETTLED)


def _argmax(at: Floats, value: Floats) -> Floats:
    row: Floats = at[int(np.argmax(value))]
    return row
