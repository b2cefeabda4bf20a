"""The loop over periods that every simulated policy runs through.

In a period: what is due comes in and fills back orders first; demand is met from stock, what is short waits; then, when it is a review,
the inventory position is looked at and an order placed, which comes in at the start of the (lead + 1)-th period after.
"""

from __future__ import annotations

import numpy as np

from ronghe.apps.inventory.compiled import kernel
from ronghe.apps.inventory.distributions import Floats

DEMANDED, FILLED, STOCK, OWED, ORDERS, ORDERED, CYCLES, GOOD_CYCLES, READY, PERIODS = range(10)
"""Columns of what `run` gives."""


@kernel
def run(
    demand: Floats,
    lead: Floats,
    point: float,
    level: float,
    quantity: float,
    lot: float,
    least: float,
    review: int,
    warm: int,
    batches: int,
) -> Floats:
    """Sums per batch: float64[batches, 10], see the columns above.

    demand[n] and lead[n] (whole periods) of each period. At a position <= `point`: with quantity > 0 as many of it as lift the position
    above the point, else up to `level`; then at least `least`, in whole lots. The first `warm` periods are not counted.
    """
    n = len(demand)
    longest = 1
    for t in range(n):
        longest = max(longest, int(lead[t]) + 2)
    due = np.zeros(longest)
    out = np.zeros((batches, 10))
    size = (n - warm) // batches
    net = level if quantity <= 0 else point + quantity
    position = net
    for t in range(n):
        b = min(batches - 1, max(0, (t - warm) // size))
        at = t % longest
        if due[at] > 0:
            if t >= warm:
                out[b, 6] += 1
                if net >= 0:
                    out[b, 7] += 1
            net += due[at]
            due[at] = 0.0
        d = demand[t]
        from_stock = min(d, max(net, 0.0))
        net -= d
        position -= d
        placed = 0.0
        if t % review == 0 and position <= point:
            lifted = quantity * (np.floor((point - position) / quantity) + 1) if quantity > 0 else level - position
            placed = max(lifted, least)
            if lot > 0:
                placed = np.ceil(placed / lot - 1e-9) * lot
            position += placed
            due[(t + 1 + int(lead[t])) % longest] += placed
        if t >= warm:
            out[b, 0] += d
            out[b, 1] += from_stock
            out[b, 2] += max(net, 0.0)
            out[b, 3] += max(-net, 0.0)
            if placed > 0:
                out[b, 4] += 1
                out[b, 5] += placed
            if net > 0:
                out[b, 8] += 1
            out[b, 9] += 1
    return out
