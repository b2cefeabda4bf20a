"""Lot sizes for a demand that is known but changes.

Wagner & Whitin, Dynamic version of the economic lot size model, Management Science 5 (1958); Silver & Meal, A heuristic for selecting lot
size quantities for the case of a deterministic time-varying demand rate, Production and Inventory Management 14 (1973).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lots:
    """What to order in each period, and what it all costs."""

    orders: tuple[float, ...]
    cost: float


def wagner_whitin(demand: Sequence[float], fixed: Sequence[float], holding: Sequence[float], purchase: Sequence[float]) -> Lots:
    """The optimum. Lists of one length; `holding[t]` is paid for what is left at the end of period t."""
    n = len(demand)
    best = [math.inf] * n + [0.0]  # from the start of period t, with nothing there
    reach = [n] * n
    for t in reversed(range(n)):
        kept, carried, bought = 0.0, 0.0, 0.0
        for end in range(t + 1, n + 1):  # order in t for t … end − 1
            bought += demand[end - 1]
            carried += kept * demand[end - 1]
            kept += holding[end - 1]
            price = fixed[t] if bought else 0.0
            cost = price + purchase[t] * bought + carried + best[end]
            if cost < best[t]:
                best[t], reach[t] = cost, end
    orders = [0.0] * n
    t = 0
    while t < n:
        orders[t] = math.fsum(demand[t : reach[t]])
        t = reach[t]
    return Lots(tuple(orders), best[0])


def silver_meal(demand: Sequence[float], fixed: float, holding: float) -> Lots:
    """Lengthens an order while its cost per period falls. Nothing is ordered in a leading period without demand."""
    n = len(demand)
    orders = [0.0] * n
    total = 0.0
    t = 0
    while t < n:
        if demand[t] == 0:
            t += 1
            continue
        cost, end, carried = fixed, t + 1, 0.0
        while end < n:
            more = carried + holding * (end - t) * demand[end]
            if (fixed + more) / (end - t + 1) > cost:
                break
            carried, cost, end = more, (fixed + more) / (end - t + 1), end + 1
        orders[t] = math.fsum(demand[t:end])
        total += fixed + carried
        t = end
    return Lots(tuple(orders), total)
