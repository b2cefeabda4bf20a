"""What a day was worth: what the meter says that it cost, against the time-of-use rule computed on the same measured load.

The rule is followed through the quarter-hours of the day with a battery as the options describe it, from the state in which the rule itself
left it the day before, with a month's peak of its own. It decides each quarter-hour by the load of the one before, as the safe rule of the
plant does: a rule that knew the load of the quarter-hour that begins could not have been run.
The first of a day it decides by its own: what came before is not at hand.

Money is energy, wear, and what was added to the month's demand charge; what more is in store at the end of the day than at its beginning
is credited at the cheapest price of the day, to both.

Interval (95 %), of two independent sources, in quadrature (GUM, JCGM 100:2008):

- the meter: its class as the limit of a uniform error of gain, u = class / √3. Both costs hang on the one meter, so it scales only the
  difference, taken without sign quarter-hour by quarter-hour, and that of the peaks;
- the battery that the rule would have had: a whole cycle's efficiency is known to ± 2 points (uniform); the rule is computed at either end.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from ronghe.apps.energy import rule
from ronghe.apps.energy.forecast.ensemble import Floats
from ronghe.apps.energy.memory import PER_DAY, MonthSoFar, Quarter
from ronghe.apps.energy.site import Battery, Site, follow, share

HOURS: Final = 24 / PER_DAY
_EFFICIENCY: Final = 0.02
_COVERAGE: Final = 1.96 / math.sqrt(3)
WHOLE: Final = 0.95  # of a day's quarter-hours must have been measured, or it is worth nothing


@dataclass(frozen=True, slots=True, eq=False)
class Ruled:
    """A day under the rule: kW imported by quarter-hour, kW of all batteries, kWh in each at the end, money."""

    grid: Floats
    battery: Floats
    stored: tuple[float, ...]
    money: float


@dataclass(frozen=True, slots=True, eq=False)
class Prices:
    """Of the quarter-hours of a day and of the day after it: `price` [2 · n] and `sell` [n] per kWh; `demand` per kW."""

    price: Floats
    sell: Floats
    demand: float


@dataclass(frozen=True, slots=True, eq=False)
class Worth:
    """Money, its interval, kWh bought less and the rule's day."""

    money: float
    low: float
    high: float
    kwh: float
    ruled: Ruled


def ruled(site: Site, quarters: Sequence[Quarter], prices: Prices, month: MonthSoFar, stored: Sequence[float]) -> Ruled:
    """The day under the rule from `stored` kWh on; `month` is the rule's own, and is not changed."""
    energies, cap, batteries = list(stored), month.cap if month.floor else np.inf, site.batteries
    grid, power = np.zeros(len(quarters)), np.zeros(len(quarters))
    seen = quarters[0].net + quarters[0].other
    for t, quarter in enumerate(quarters):
        net = quarter.net + quarter.other
        ahead = prices.price[t : t + PER_DAY]
        wanted = [rule.power(b, e, ahead, HOURS, twice=month.floor > 0) for b, e in zip(batteries, energies, strict=True)]
        powers = share(wanted, follow(sum(wanted), seen, cap, max(site.export, -seen)), batteries, energies, HOURS)
        energies = [b.after(p, e, HOURS) for b, p, e in zip(batteries, powers, energies, strict=True)]
        power[t] = sum(powers)
        grid[t] = net + power[t]
        cap, seen = max(cap, float(grid[t])), net
    wear = sum(b.wear for b in batteries) / max(1, len(batteries))
    return Ruled(grid, power, tuple(energies), _money(grid, power, prices, month, wear) - _credit(batteries, stored, energies, prices))


def _money(grid: Floats, power: Floats, prices: Prices, month: MonthSoFar, wear: float) -> float:
    n = len(grid)
    energy = float((np.maximum(grid, 0) * prices.price[:n] - np.maximum(-grid, 0) * prices.sell[:n]).sum()) * HOURS
    more = max(0.0, float(grid.max()) - month.peak) * prices.demand
    return energy + more + wear * float(np.maximum(-power, 0).sum()) * HOURS


def _credit(batteries: Sequence[Battery], before: Sequence[float], after: Sequence[float], prices: Prices) -> float:
    cheapest = float(prices.price.min())
    return sum((b - a) * cheapest / x.one_way for x, a, b in zip(batteries, before, after, strict=True))


def worth(
    site: Site,
    quarters: Sequence[Quarter],
    prices: Prices,
    month: MonthSoFar,
    by_rule: MonthSoFar,
    stored: Sequence[float],
    ruled_stored: Sequence[float],
    accuracy: float,
) -> Worth:
    """Of a day whose quarter-hours are all measured; both months as they were at its beginning. `accuracy`: class of the meter, %."""
    grid, power = np.array([q.grid for q in quarters]), np.array([sum(q.battery) for q in quarters])
    wear = sum(b.wear for b in site.batteries) / max(1, len(site.batteries))
    actual = _money(grid, power, prices, month, wear) - _credit(site.batteries, stored, quarters[-1].stored, prices)
    ours = ruled(site, quarters, prices, by_rule, ruled_stored)
    money = ours.money - actual
    peaks = abs(max(0.0, float(ours.grid.max()) - by_rule.peak) - max(0.0, float(grid.max()) - month.peak)) * prices.demand
    moved = float((np.abs(ours.grid - grid) * prices.price[: len(grid)]).sum()) * HOURS + peaks
    meter = _COVERAGE * accuracy / 100 * moved
    other = [ruled(_with(site, d), quarters, prices, by_rule, ruled_stored).money - ours.money for d in (-_EFFICIENCY, _EFFICIENCY)]
    model = _COVERAGE * max(abs(o) for o in other)
    half = math.hypot(meter, model)
    return Worth(money, money - half, money + half, float((ours.grid - grid).sum()) * HOURS, ours)


def _with(site: Site, more: float) -> Site:
    return replace(site, batteries=tuple(replace(b, efficiency=min(1.0, b.efficiency + more)) for b in site.batteries))
