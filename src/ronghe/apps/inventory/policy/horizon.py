"""A finite horizon with discounting: the best (sₜ, Sₜ) of each period by dynamic programming (Scarf 1960).

Snyder & Shen (2019), §4.3.3 and §4.4.3. Stock and demand on whole numbers; the cost of a period is exact for the demand's distribution.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ronghe.apps.inventory.distributions import Floats, Normal
from ronghe.apps.inventory.policy.newsvendor import expected


@dataclass(frozen=True, slots=True)
class Horizon:
    """Reorder points and order-up-to levels of each period, and the expected discounted cost from the first stock."""

    points: tuple[int, ...]
    levels: tuple[int, ...]
    cost: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Costs are per unit, but `fixed` per order; the terminal ones are of what is left or owed after the last period."""

    periods: int
    holding: float
    stockout: float
    terminal_holding: float
    terminal_stockout: float
    purchase: float
    fixed: float
    discount: float
    initial: int
    demand: Normal


def solve(f: Facts) -> Horizon:
    """Backwards from the end, over every whole stock that can matter."""
    lattice = f.demand.on_lattice(1.0)
    start = max(lattice.low, 0)  # a demand below zero is none
    chance = lattice.p[start - lattice.low :]
    spread = math.ceil(8 * f.demand.sd)
    once = 2 * math.ceil(math.sqrt(2 * f.fixed * max(f.demand.mean, 1.0) / f.holding)) + 1
    low = min(f.initial, -3 * spread) - math.ceil(f.demand.mean) - spread
    high = max(f.initial, math.ceil(f.demand.mean) + spread + once + f.periods)
    x = np.arange(low, high + 1)
    now = np.array([expected(float(y), f.holding, f.stockout, f.demand) for y in x])
    # how the next stock follows from the position y: y − d, never below the table
    after = np.maximum(x[:, None] - (start + np.arange(len(chance)))[None, :] - low, 0)
    value: Floats = f.terminal_holding * np.maximum(x, 0) + f.terminal_stockout * np.maximum(-x, 0)
    points, levels = [], []
    for _ in range(f.periods):
        cost = now + f.discount * (value[after] @ chance)
        stay = cost
        buy = cost + f.purchase * x  # of ordering up to y, less what the stock itself is worth
        best_level = int(np.argmin(buy))  # K-convexity: the same from whatever stock one orders
        order = f.fixed + buy[best_level] - f.purchase * x
        ordering = (order < stay) & (x < x[best_level])
        value = np.where(ordering, order, stay)
        levels.append(int(x[best_level]))
        points.append(int(x[ordering][-1]) if f.fixed else levels[-1])  # without a fixed cost: a base-stock level
    return Horizon(tuple(reversed(points)), tuple(reversed(levels)), float(value[f.initial - low]))
