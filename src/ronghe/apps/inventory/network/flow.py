"""The loop over periods of a distribution system under local base-stock policies."""

from __future__ import annotations

import numpy as np

from ronghe.apps.inventory.compiled import kernel
from ronghe.apps.inventory.distributions import Floats


@kernel
def run(demand: Floats, parent: Floats, lead: Floats, level: Floats, warm: int, batches: int) -> tuple[Floats, Floats]:
    """Mean stock on hand and mean quantity owed to those it supplies, of each stage: float64[batches, stages] each.

    demand[t, i] of a stage's own customers; parent[i] its supplier (−1: outside, always has), which stands before it; what is sent in
    period t is there at the start of period t + lead. A stage orders what was asked of it, at once.
    """
    n, k = demand.shape
    longest = 1
    for i in range(k):
        longest = max(longest, int(lead[i]) + 1)
    due = np.zeros((longest, k))
    have = level.copy()
    owed = np.zeros(k)  # to a stage, by its supplier
    own = np.zeros(k)  # to a stage's own customers
    asked = np.zeros(k)
    stock = np.zeros((batches, k))
    short = np.zeros((batches, k))
    size = (n - warm) // batches
    for t in range(n):
        b = min(batches - 1, max(0, (t - warm) // size))
        for i in range(k):
            asked[i] = demand[t, i]
            have[i] += due[t % longest, i]
            due[t % longest, i] = 0.0
        for i in range(k - 1, 0, -1):
            if parent[i] >= 0:
                asked[int(parent[i])] += asked[i]
        for i in range(k):
            if parent[i] < 0:
                due[(t + int(lead[i])) % longest, i] += asked[i]
            else:
                owed[i] += asked[i]
            own[i] += demand[t, i]
        for i in range(k):
            total = own[i]
            for j in range(i + 1, k):
                if parent[j] == i:
                    total += owed[j]
            part = min(1.0, have[i] / total) if total > 0 else 0.0
            sent = part * own[i]
            own[i] -= sent
            for j in range(i + 1, k):
                if parent[j] == i:
                    goes = part * owed[j]
                    owed[j] -= goes
                    due[(t + int(lead[j])) % longest, j] += goes
                    sent += goes
            have[i] -= sent
            if t >= warm:
                stock[b, i] += have[i]
                short[b, i] += total - sent
    last = n - warm - size * (batches - 1)
    for b in range(batches):
        length = last if b == batches - 1 else size
        for i in range(k):
            stock[b, i] /= length
            short[b, i] /= length
    return stock, short
