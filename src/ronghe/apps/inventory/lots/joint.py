"""Joint replenishment: items that share the fixed cost of an order; item i is ordered every k_i-th time.

Silver, A simple method of determining order quantities in joint replenishments, Management Science 22 (1976); Goyal, Determination of
optimum packaging frequency of items jointly replenished, Management Science 21 (1974).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Joint:
    """Time between orders, how many of them pass between two orders of each item, what is ordered then, cost per unit of time."""

    cycle: float
    every: tuple[int, ...]
    quantities: tuple[float, ...]
    cost: float


@dataclass(frozen=True, slots=True)
class Items:
    """`shared` cost of any order, `own` of each item in it, holding cost and demand of each per unit of time."""

    shared: float
    own: Sequence[float]
    holding: Sequence[float]
    rate: Sequence[float]


def _best_cycle(items: Items, every: Sequence[int]) -> Joint:
    fixed = items.shared + math.fsum(a / k for a, k in zip(items.own, every, strict=True))
    held = math.fsum(h * d * k for h, d, k in zip(items.holding, items.rate, every, strict=True))
    cycle = math.sqrt(2 * fixed / held)
    return Joint(cycle, tuple(every), tuple(d * k * cycle for d, k in zip(items.rate, every, strict=True)), math.sqrt(2 * fixed * held))


def silver(items: Items) -> Joint:
    """The item with the least own cost per value used is in every order; the others by a square root, rounded as k(k + 1) asks."""
    ratio = [a / (h * d) for a, h, d in zip(items.own, items.holding, items.rate, strict=True)]
    first = min(range(len(ratio)), key=ratio.__getitem__)
    rest = [r * items.holding[first] * items.rate[first] / (items.shared + items.own[first]) for r in ratio]
    return _best_cycle(items, [1 if i == first else max(1, round(math.sqrt(x))) for i, x in enumerate(rest)])


def optimal(items: Items) -> Joint:
    """The best strict cycle. For a cycle T each k_i is known: k(k − 1) <= 2 a_i/(h_i d_i T²) <= k(k + 1). So the k's change only at the
    places T = √(2 a_i/(h_i d_i k(k + 1))), and every stretch between two of them that can hold the optimum is looked at: from the best
    T at k = 1, above which none is better, down to that where the shared cost alone is more than the best so far."""
    best = min(_best_cycle(items, [1] * len(items.own)), silver(items), key=lambda j: j.cost)
    longest = max(best.cycle, math.sqrt(2 * (items.shared + math.fsum(items.own)) / math.fsum(map(_held, items.holding, items.rate))))
    shortest = items.shared / best.cost
    places = {longest}
    for a, h, d in zip(items.own, items.holding, items.rate, strict=True):
        k = 1
        while (t := math.sqrt(2 * a / (h * d * k * (k + 1)))) > shortest:
            if t < longest:
                places.add(t)
            k += 1
    for t in sorted(places, reverse=True):
        inside = t * (1 - 1e-9)  # just below the place, where the k's of the stretch hold
        every = [_multiple(2 * a / (h * d * inside * inside)) for a, h, d in zip(items.own, items.holding, items.rate, strict=True)]
        best = min(best, _best_cycle(items, every), key=lambda j: j.cost)
    return best


def _held(holding: float, rate: float) -> float:
    return holding * rate


def _multiple(x: float) -> int:
    """The k with k(k − 1) <= x <= k(k + 1)."""
    return max(1, math.ceil((math.sqrt(1 + 4 * x) - 1) / 2))
