"""The plan of the next day and a half, made anew at every step: forecast paths → reserve for the demand charge → linear programme.

The first 24 steps are planned one by one, what comes after in blocks of an hour. What is decided is the first step's set-points and the cap
that the batteries then hold on the meter until the next step (`site.follow`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ronghe.apps.energy import demand
from ronghe.apps.energy.demand import Reserve, Store
from ronghe.apps.energy.forecast.ensemble import Floats, Paths
from ronghe.apps.energy.programme import Ask, Plan, Programme
from ronghe.apps.energy.site import Site

AHEAD_H: Final = 36
_FINE: Final = 24  # steps planned one by one
_HIGH: Final = 0.9  # quantile of the load for which the cap is planned, where the batteries do not follow the meter
_LOWEST: Final = 0.7  # of the 5 % path: load that is counted on to empty a store before it must be at its end
_REST: Final = 0.95  # what is left in store at the end of the plan is worth this share of what a kWh costs then, at the cheapest


@dataclass(frozen=True, slots=True, eq=False)
class Ahead:
    """What is known and expected of the next h steps. `paths` kW: load less PV, without what is planned. `price`, `sell` per kWh [h];
    `demand` per kW. `left`: steps until the month is over (its greatest quarter-hour counts no more)."""

    paths: Paths
    price: Floats
    sell: Floats
    demand: float
    left: int


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """How things are. `stored` kWh of each battery; `peak` kW: the month's greatest quarter-hour so far, or its floor; `end`: kWh of each
    battery at which they must be after `Ahead.left` steps; `windows`, `levels`: see `programme.Ask`, masks by step."""

    stored: Floats
    peak: float
    end: Floats | None = None
    windows: tuple[tuple[tuple[float, NDArray[np.bool_]], ...], ...] = ()
    levels: Floats | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """`power` kW of each battery for the step that begins, `cap` kW on the import meanwhile; `plan` by blocks of `hours`."""

    power: Floats
    cap: float
    plan: Plan
    hours: Floats
    reserve: Reserve


class Planner:
    """One site at one step length. Keeps the solver's last basis, nothing else."""

    def __init__(self, site: Site, per_day: int, *, held: bool = False) -> None:
        """`per_day`: steps of a day, 96 for quarter-hours. `held`: nobody follows the meter between two plans, so that the cap is planned
        for more load than the mean."""
        self.site, self.per_day, self._held = site, per_day, held
        step = 24 / per_day
        per_hour = max(1, round(1 / step))
        fine = _FINE if per_hour > 1 else AHEAD_H
        coarse = AHEAD_H - round(fine * step)
        counts = np.array([1] * fine + [per_hour] * coarse)
        self.ahead = int(counts.sum())
        self._first = np.cumsum(counts) - counts
        self._counts = counts
        self.hours: Floats = counts * step
        self._store = Store.of(site)
        self._programme = Programme(site, self.hours, levels=len(demand.LEVELS))

    def decide(self, ahead: Ahead, now: Standing) -> Decision:
        """The first step's set-points. Raises AppError where no plan is found."""
        usable = float((now.stored - np.array([b.low * b.capacity for b in self.site.batteries])).sum())
        reserve = demand.reserve(ahead.paths, now.peak, usable, ahead.left, self.per_day, self._store)
        last = self._first + self._counts - 1
        mean = ahead.paths.mean
        ask = Ask(
            net=self._mean(mean),
            peak=np.maximum.reduceat(np.maximum(mean, ahead.paths.quantile(_HIGH)) if self._held else mean, self._first),
            price=self._mean(ahead.price),
            sell=self._mean(ahead.sell),
            cap=reserve.cap,
            demand=ahead.demand,
            stored=now.stored,
            worth=_REST * float(ahead.price.min()),
            end=None if now.end is None or ahead.left > self.ahead else (int(np.searchsorted(last, ahead.left - 1)), now.end),
            most=None if now.end is None or ahead.left > self.ahead else self._most(ahead, now.end, last),
            need=reserve.need[:, last],
            missing=np.array(demand.MISSING) * ahead.demand / 40,
            windows=tuple(tuple((e, self._mean(may.astype(float)) > 0.99) for e, may in w) for w in now.windows),
            levels=now.levels if now.levels is not None else np.empty(0),
        )
        plan = self._programme.solve(ask)
        return Decision(plan.battery[:, 0], reserve.cap, plan, self.hours, reserve)

    def _mean(self, values: Floats) -> Floats:
        found: Floats = np.add.reduceat(values, self._first) / self._counts
        return found

    def _most(self, ahead: Ahead, end: Floats, last: NDArray[np.int64]) -> Floats:
        """What may be in store at the end of each block, so that even little load takes it down to its end in time."""
        out = np.minimum(_LOWEST * np.maximum(ahead.paths.quantile(0.05), 0.0) + self.site.export, self._store.power)
        out[ahead.left :] = 0.0
        hours = 24 / self.per_day
        later = np.concatenate([np.cumsum(out[::-1])[::-1], [0.0]])[last + 1] * hours / self._store.one_way
        return np.where(last < ahead.left, float(end.sum()) + later, np.inf)
