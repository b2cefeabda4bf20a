"""(r, Q): order Q when the inventory position falls to r, under continuous review.

Snyder & Shen (2019), chapter 5; Zheng, On properties of stochastic inventory systems, Management Science 38 (1992);
Federgruen & Zheng, An efficient algorithm for computing an optimal (r, Q) policy, Operations Research 40 (1992).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ronghe.apps.inventory.distributions import Demand, Lattice, Normal
from ronghe.apps.inventory.policy.eoq import backorders, eoq, minimise
from ronghe.apps.inventory.policy.newsvendor import expected, newsvendor


@dataclass(frozen=True, slots=True)
class Reorder:
    """Reorder point, order quantity, expected cost per unit of time."""

    point: float
    quantity: float
    cost: float


@dataclass(frozen=True, slots=True)
class Setting:
    """The facts: costs, demand per unit of time, and the demand of one lead time."""

    holding: float
    stockout: float
    fixed: float
    rate: float
    lead: Normal


def cost(s: Setting, point: float, quantity: float) -> float:
    """Exact for continuous demand: the mean of the newsvendor cost over the positions r … r + Q, which are equally likely, and K λ/Q."""

    def inside(x: float) -> float:  # ∫ of h(x − D)⁺ + p(D − x)⁺ dx
        return s.holding * (x * x / 2 - x * s.lead.mean) - (s.holding + s.stockout) * s.lead.second_loss(x)

    return (s.fixed * s.rate + inside(point + quantity) - inside(point)) / quantity


def best_point(s: Setting, quantity: float) -> float:
    """The r for which the cost of position r equals that of r + Q."""

    def step(r: float) -> float:
        return expected(r + quantity, s.holding, s.stockout, s.lead) - expected(r, s.holding, s.stockout, s.lead)

    high = newsvendor(s.holding, s.stockout, s.lead).level
    low = high - quantity
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if step(middle) < 0 else (low, middle)
    return (low + high) / 2


def exact(s: Setting) -> Reorder:
    """The optimum. With r best for each Q, the cost is convex in Q; at least EOQ with backorders (Zheng 1992)."""
    least = backorders(s.fixed, s.holding, s.stockout, s.rate).quantity
    q = minimise(lambda x: cost(s, best_point(s, x), x), least, 2 * least + 10 * s.lead.sd)
    r = best_point(s, q)
    return Reorder(r, q, cost(s, r, q))


def exact_discrete(holding: float, stockout: float, fixed: float, rate: float, lead: Lattice) -> Reorder:
    """Unit demands: take in positions in the order of their cost until the next is dearer than the mean (Federgruen & Zheng 1992)."""

    def g(position: int) -> float:
        return expected(position, holding, stockout, lead)

    low = high = round(newsvendor(holding, stockout, lead).level)
    total = fixed * rate + g(low)
    quantity = 1
    while min(g(low - 1), g(high + 1)) < total / quantity:
        if g(low - 1) < g(high + 1):
            low -= 1
            total += g(low)
        else:
            high += 1
            total += g(high)
        quantity += 1
    return Reorder(low - 1, quantity, total / quantity)


def eil(s: Setting) -> Reorder:
    """Expected-inventory-level approximation (stock-outs cost per unit, not per time): Hadley & Whitin (1963). `cost` is its own."""
    q, before = eoq(s.fixed, s.holding, s.rate).quantity, 0.0
    r = s.lead.mean
    while abs(q - before) > 1e-12 * q:
        before = q
        r = s.lead.quantile(1 - q * s.holding / (s.stockout * s.rate))
        q = math.sqrt(2 * s.rate * (s.fixed + s.stockout * s.lead.loss(r)) / s.holding)
    own = s.holding * (r - s.lead.mean + q / 2) + s.fixed * s.rate / q + s.stockout * s.rate * s.lead.loss(r) / q
    return Reorder(r, q, own)


def eoq_backorders(s: Setting) -> Reorder:
    """Q of EOQ with backorders, the best r for it; at most 11.8 % above the optimum (Zheng 1992, Axsäter 1996)."""
    q = backorders(s.fixed, s.holding, s.stockout, s.rate).quantity
    r = best_point(s, q)
    return Reorder(r, q, cost(s, r, q))


def eoq_safety_stock(s: Setting) -> Reorder:
    """Q of EOQ, r at the newsvendor level of the lead time."""
    q = eoq(s.fixed, s.holding, s.rate).quantity
    r = newsvendor(s.holding, s.stockout, s.lead).level
    return Reorder(r, q, cost(s, r, q))


def loss_function(s: Setting) -> Reorder:
    """Leaves out the shortage beyond r + Q: n(r) = hQ/(h + p), Q² = 2[Kλ + (h + p) n⁽²⁾(r)]/h, in turn."""
    q, before = eoq(s.fixed, s.holding, s.rate).quantity, 0.0
    r = s.lead.mean
    while abs(q - before) > 1e-12 * q:
        before = q
        r = _point_of_loss(s.lead, s.holding * q / (s.holding + s.stockout))
        q = math.sqrt(2 * (s.fixed * s.rate + (s.holding + s.stockout) * s.lead.second_loss(r)) / s.holding)
    return Reorder(r, q, cost(s, r, q))


def _point_of_loss(lead: Demand, loss: float) -> float:
    """Where E[(D − r)⁺] is `loss`."""
    low, high = lead.mean - loss - 10 * lead.sd, lead.mean + 10 * lead.sd
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if lead.loss(middle) > loss else (low, middle)
    return (low + high) / 2
