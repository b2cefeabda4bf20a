"""Distribution systems: each stage has one supplier and any number of customers; each keeps a base-stock level of its own.

No exact method is known that is not enumeration. Levels: two moments of what a stage has outstanding, propagated downstream: Graves, A
multi-echelon inventory model for a repairable item with one-for-one replenishment, Management Science 31 (1985), after Sherbrooke's METRIC
(1968). Cost: simulation of those levels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ronghe.apps.inventory.distributions import Normal
from ronghe.apps.inventory.policy.eoq import minimise

_PERIODS = 200_000
_WARM = 1_000
_BATCHES = 30
_T95 = 2.045  # Student's t, 29 degrees of freedom
_SWEEPS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One stage. Local holding cost and stock-out cost per unit and period, whole lead time, demand of its own customers per period."""

    holding: float
    lead: int
    before: int | None = None
    stockout: float = 0.0
    mean: float = 0.0
    sd: float = 0.0


@dataclass(frozen=True, slots=True)
class Distribution:
    """Local base-stock levels; cost per period as the two moments have it, and as simulated, with half of its 95 % interval."""

    levels: dict[int, float]
    estimate: float
    cost: float
    half: float


def solve(sites: Mapping[int, Site], seed: int = 0) -> Distribution:
    """Good levels. Customers are at stages that supply no other; stock on its way is held at the cost of the stage that sent it."""
    system = System(sites)
    levels = dict.fromkeys(system.inner, 0.0)
    for _ in range(_SWEEPS):
        for i in system.inner:
            top = system.mean[i] * (sites[i].lead + 1) + 8 * system.sd[i] * math.sqrt(sites[i].lead + 1)
            levels[i] = minimise(lambda s, i=i: system.cost(levels | {i: s})[0], 0.0, top)  # type: ignore[misc]
    estimate, every = system.cost(levels)
    cost, half = system.simulate(every, seed)
    return Distribution(every, estimate, cost, half)


class System:
    """The tree, upstream first, with the demand that passes through each stage."""

    def __init__(self, sites: Mapping[int, Site]) -> None:
        self.sites = sites
        self.after: dict[int, list[int]] = {i: [j for j, s in sites.items() if s.before == i] for i in sites}
        self.order: list[int] = [i for i, s in sites.items() if s.before is None]  # upstream first
        for i in self.order:
            self.order.extend(self.after[i])
        self.inner = [i for i in self.order if self.after[i]]
        self.mean: dict[int, float] = {}
        self.sd: dict[int, float] = {}
        for i in reversed(self.order):
            self.mean[i] = sites[i].mean + sum(self.mean[j] for j in self.after[i])
            self.sd[i] = math.hypot(sites[i].sd, *(self.sd[j] for j in self.after[i]))
        self.on_the_way = sum(sites[s.before].holding * self.mean[i] * s.lead for i, s in sites.items() if s.before is not None)

    def cost(self, inner: Mapping[int, float]) -> tuple[float, dict[int, float]]:
        """By two moments: cost per period, and all levels, those at the customers the best for the inner ones given."""
        owed: dict[int, tuple[float, float]] = {}  # mean and variance of what a stage owes
        levels = dict(inner)
        total = self.on_the_way
        for i in self.order:
            s = self.sites[i]
            mean, variance = self.mean[i] * s.lead, self.sd[i] ** 2 * s.lead
            if s.before is not None:
                share = self.mean[i] / self.mean[s.before]
                late, spread = owed[s.before]
                mean += share * late
                variance += share * share * spread + share * (1 - share) * late
            outstanding = Normal(mean, math.sqrt(max(variance, 1e-12)))
            if i not in inner:
                levels[i] = outstanding.quantile(s.stockout / (s.stockout + s.holding))
            short = outstanding.loss(levels[i])
            owed[i] = short, max(0.0, 2 * outstanding.second_loss(levels[i]) - short * short)
            total += s.holding * (levels[i] - mean + short) + (0.0 if self.after[i] else s.stockout * short)
        return total, levels

    def simulate(self, levels: Mapping[int, float], seed: int) -> tuple[float, float]:
        """Mean cost per period of these levels and half of its 95 % interval: batch means. What is short is shared out by what is owed."""
        from ronghe.apps.inventory.network.flow import run

        place = {i: k for k, i in enumerate(self.order)}
        sites = [self.sites[i] for i in self.order]
        rng = np.random.default_rng(seed)
        own = np.array([[s.mean, s.sd] for s in sites])
        demand = np.where(own[:, 1] > 0, np.maximum(rng.normal(own[:, 0], own[:, 1], (_PERIODS, len(sites))), 0.0), 0.0)
        stock, owed = run(
            demand,
            np.array([-1 if s.before is None else place[s.before] for s in sites]),
            np.array([s.lead for s in sites]),
            np.array([levels[i] for i in self.order]),
            _WARM,
            _BATCHES,
        )
        held = np.array([s.holding for s in sites])
        penalty = np.array([0.0 if self.after[i] else self.sites[i].stockout for i in self.order])
        batches = stock @ held + owed @ penalty + self.on_the_way
        return float(batches.mean()), _T95 * float(batches.std(ddof=1)) / math.sqrt(_BATCHES)
