"""Finds the policy that gives the service asked for, by simulation on draws of demand and lead time."""

from __future__ import annotations

import math
from typing import Literal

import msgspec
import numpy as np

from ronghe.apps.inventory import loops
from ronghe.apps.inventory.distributions import Floats
from ronghe.apps.inventory.simulate import Costs, Outcome, Policy, simulate

Measure = Literal["fill", "cycle", "ready"]
_COLUMNS = {
    "fill": (loops.FILLED, loops.DEMANDED),
    "cycle": (loops.GOOD_CYCLES, loops.CYCLES),
    "ready": (loops.READY, loops.PERIODS),
}
_DEARER = 0.05  # than the cheapest: what coming near the target may cost
_NEAR = 0.004  # above the target: where lots and whole units allow it, no more is bought


def lead_times(mean: float, sd: float, n: int, rng: np.random.Generator) -> Floats:
    """n lead times in whole periods, gamma with this mean and sd; a part of a period is rounded up or down so that the mean stays."""
    if sd > 0 and mean > 0:
        drawn = rng.gamma((mean / sd) ** 2, sd * sd / mean, n)
        return np.asarray(np.floor(drawn + rng.random(n)), np.float64)
    return np.asarray(np.floor(mean + rng.random(n)) if mean % 1 else np.full(n, mean), np.float64)


class Draws(msgspec.Struct, frozen=True):
    """Demand and lead time (whole periods) of each period: float64[n] each; whether only whole units are asked for."""

    demand: Floats
    lead: Floats
    whole: bool


def reach(target: float, policy: Policy, draws: Draws, measure: Measure = "fill", near: float | None = None) -> Policy:
    """The policy with the least reorder point that gives the service on these draws; Q, S − s, lots and review stay as they are.

    Every point is tried on the same draws, so that service rises with the point but for lots; halving finds the crossing. `near`: a point
    that it may be near to, which makes it quicker.
    """
    demand, lead = draws.demand, draws.lead
    top, under = _COLUMNS[measure]

    def service(point: float) -> float:
        p = policy.moved(point)
        sums = loops.run(demand, lead, p.point, p.level, p.quantity, p.lot, p.least, p.review, len(demand) // 10, 1)
        total = float(sums[0, under])
        return float(sums[0, top]) / total if total else 1.0

    mean = float(demand.mean())
    one = max(mean, float(demand.std()), 1.0 if draws.whole else 1e-9)
    low, high = -max(policy.quantity, policy.level - policy.point) - one, mean * (float(lead.mean()) + policy.review) + one
    step = one
    if near is not None:
        low, high, step = near - 2, near + 2, 2.0
        while service(low) >= target and step < 1e6 * one:
            low, high, step = low - step, low, 2 * step
        step = 2.0
    while service(high) < target and step < 1e6 * one:
        low, high, step = high, high + step, 2 * step
    if draws.whole:
        low, high = math.floor(low), math.ceil(high)
    while high - low > (1.0 if draws.whole else 1e-4 * one):
        middle = math.floor((low + high) / 2) if draws.whole else (low + high) / 2
        low, high = (low, middle) if service(middle) >= target else (middle, high)
    return policy.moved(float(high))


def tune(target: float, policy: Policy, draws: Draws, costs: Costs, measure: Measure = "fill") -> tuple[Policy, Outcome]:
    """As `reach`; where whole units alone would give more service than is asked for, other order quantities near the one wanted are tried,
    and of those that cost about the same the one that comes nearest the target is taken."""
    best = reach(target, policy, draws, measure)
    outcome = simulate(best, draws.demand, draws.lead, costs)
    if not draws.whole or getattr(outcome, measure).mean <= target + _NEAR:
        return best, outcome
    wanted = policy.quantity or policy.level - policy.point
    least = max(1, math.floor(0.5 * wanted))
    most = max(least + 9, math.ceil(1.5 * wanted))  # a few units either way, where few are ordered at once
    tried = [(best, outcome)]
    for size in sorted({round(x) for x in np.linspace(least, most, 24)}):
        other = msgspec.structs.replace(
            policy, quantity=float(size) if policy.quantity else 0.0, level=0.0 if policy.quantity else policy.point + size
        )
        found = reach(target, other, draws, measure, best.point)
        tried.append((found, simulate(found, draws.demand, draws.lead, costs)))
    limit = (1 + _DEARER) * min(x[1].cost.mean for x in tried)
    affordable = [x for x in tried if x[1].cost.mean <= limit]
    return min(affordable, key=lambda x: (max(0.0, getattr(x[1], measure).mean - target - _NEAR), x[1].cost.mean))
