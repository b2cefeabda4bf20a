"""One decision before an uncertain demand, and the base-stock level that it is for a lead time.

Snyder & Shen (2019), §4.3 and §9.2-9.4. h holding (overage) cost, p stock-out (underage) cost of one unit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ronghe.apps.inventory.distributions import Demand


@dataclass(frozen=True, slots=True)
class Level:
    """A base-stock level and its expected cost (or, for `explicit`, profit) per period."""

    level: float
    cost: float


def expected(level: float, holding: float, stockout: float, demand: Demand) -> float:
    """h E[(S − D)⁺] + p E[(D − S)⁺]."""
    short = demand.loss(level)
    return holding * (level - demand.mean + short) + stockout * short


def newsvendor(holding: float, stockout: float, demand: Demand) -> Level:
    """The least level at which P(D <= S) reaches p/(p + h): optimal for any distribution, whole on a lattice."""
    level = demand.quantile(stockout / (stockout + holding))
    return Level(level, expected(level, holding, stockout, demand))


def explicit(revenue: float, purchase: float, salvage: float, demand: Demand) -> Level:
    """From prices: the level, and the expected profit as `cost`."""
    best = newsvendor(purchase - salvage, revenue - purchase, demand)
    return Level(best.level, (revenue - purchase) * demand.mean - best.cost)


def disruptions(holding: float, stockout: float, demand: float, failure: float, recovery: float) -> Level:
    """A steady demand from a supplier that is up or down for whole periods (Markov chain): Snyder & Shen (9.14)-(9.18).

    The chance of having been down for n periods is π₀ = β/(α + β), πₙ = αβ/(α + β)·(1 − β)ⁿ⁻¹.
    """
    chances = [recovery / (failure + recovery)]
    while math.fsum(chances) < 1 - 1e-15 and len(chances) < 100_000:
        n = len(chances)
        chances.append(failure * recovery / (failure + recovery) * (1 - recovery) ** (n - 1))
    reached, down = chances[0], 0
    while reached < stockout / (stockout + holding):
        down += 1
        reached += chances[down]
    level = (down + 1) * demand
    cost = math.fsum(
        c * (holding * max(level - (n + 1) * demand, 0.0) + stockout * max((n + 1) * demand - level, 0.0)) for n, c in enumerate(chances)
    )
    return Level(level, cost)


def additive_yield(holding: float, stockout: float, demand: float, low: float, high: float) -> Level:
    """A known demand; what comes in is the order plus an amount uniform between `low` and `high`: Snyder & Shen §9.4."""
    width = high - low
    # S + Y < demand with chance h/(h + p) would be too little to keep, p/(h + p) too little to miss
    level = demand - (low + width * holding / (holding + stockout))
    over, under = level + high - demand, demand - level - low  # how far either end of what comes in is from the demand
    return Level(level, (holding * over * over + stockout * under * under) / (2 * width))
