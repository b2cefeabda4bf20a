"""Simulates a policy and says what service it gives, with confidence limits.

Method of batch means (Law, Simulation Modeling and Analysis, 5th ed., §9.5.3): 30 batches, Student's t.
"""

from __future__ import annotations

import math

import msgspec

from ronghe.apps.inventory import loops
from ronghe.apps.inventory.distributions import Floats

_BATCHES = 30
_T95 = 2.045  # Student's t, 29 degrees of freedom, both sides 5 %


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """(s, S): up to `level`; (s, nQ): as many of `quantity` as needed. Both in lots, at least `least`, at every `review`-th period."""

    point: float
    level: float = 0.0
    quantity: float = 0.0
    lot: float = 0.0
    least: float = 0.0
    review: int = 1

    def moved(self, point: float) -> Policy:
        """With another reorder point; (s, S) keeps S − s."""
        return msgspec.structs.replace(self, point=point, level=self.level + point - self.point)


class Costs(msgspec.Struct, frozen=True, kw_only=True):
    """Per unit in stock and period; per order; per unit owed and period."""

    holding: float = 0.0
    order: float = 0.0
    backorder: float = 0.0


class Estimate(msgspec.Struct, frozen=True):
    """A mean and half the width of its 95 % confidence interval."""

    mean: float
    half: float


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a policy gave. Services are parts of 1; stock, owed and cost are means per period."""

    fill: Estimate  # β: of demand, met from stock at once
    cycle: Estimate  # α: of replenishment cycles, without a shortage
    ready: Estimate  # of periods, that end with stock
    stock: Estimate
    owed: Estimate
    orders: Estimate
    cost: Estimate
    periods: int


def simulate(policy: Policy, demand: Floats, lead: Floats, costs: Costs) -> Outcome:
    """`demand` float64[n] and `lead` float64[n] in periods, of each period; the first tenth warms up. n at least 400."""
    warm = len(demand) // 10
    sums = loops.run(demand, lead, policy.point, policy.level, policy.quantity, policy.lot, policy.least, policy.review, warm, _BATCHES)
    periods = sums[:, loops.PERIODS]

    def ratio(top: Floats, under: Floats) -> Estimate:
        if not under.sum():
            return Estimate(1.0, 0.0)
        mean = float(top.sum() / under.sum())
        apart = top - mean * under  # ratio estimator: the mean of a quotient is not the quotient of means
        return Estimate(mean, _T95 * float(apart.std(ddof=1)) / math.sqrt(_BATCHES) / float(under.mean()))

    money = costs.holding * sums[:, loops.STOCK] + costs.backorder * sums[:, loops.OWED] + costs.order * sums[:, loops.ORDERS]
    return Outcome(
        fill=ratio(sums[:, loops.FILLED], sums[:, loops.DEMANDED]),
        cycle=ratio(sums[:, loops.GOOD_CYCLES], sums[:, loops.CYCLES]),
        ready=ratio(sums[:, loops.READY], periods),
        stock=ratio(sums[:, loops.STOCK], periods),
        owed=ratio(sums[:, loops.OWED], periods),
        orders=ratio(sums[:, loops.ORDERS], periods),
        cost=ratio(money, periods),
        periods=int(periods.sum()),
    )
