"""(s, S): at each review, when the inventory position is at or below s, order up to S.

Zheng & Federgruen, Finding optimal (s, S) policies is about as simple as evaluating a single policy, Operations Research 39 (1991);
Ehrhardt & Mosier, A revision of the power approximation, Management Science 30 (1984).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ronghe.apps.inventory.distributions import Floats, Lattice, Normal
from ronghe.apps.inventory.policy.newsvendor import expected, newsvendor


@dataclass(frozen=True, slots=True)
class MinMax:
    """Reorder point s, order-up-to level S, expected cost per period (NaN where it was not computed)."""

    point: float
    level: float
    cost: float


def exact(holding: float, stockout: float, fixed: float, demand: Lattice, protection: Lattice | None = None) -> MinMax:
    """The optimum. `demand` of one period, not negative; `protection` of a lead time and a review period, same step; None: `demand`."""
    over = protection or demand
    renewal = _Renewal(_not_negative(demand))
    g_of = _Remembered(lambda position: expected(position * demand.step, holding, stockout, over))
    valley = round(newsvendor(holding, stockout, over).level / demand.step)  # where G is least
    s, top = valley - 1, valley
    while renewal.cost(fixed, g_of, s, top) > g_of(s):
        s -= 1
    best, best_top = renewal.cost(fixed, g_of, s, top), top
    top += 1
    while g_of(top) <= best:
        c = renewal.cost(fixed, g_of, s, top)
        if c < best:
            best_top = top
            while renewal.cost(fixed, g_of, s, top) <= g_of(s + 1):
                s += 1
            best = renewal.cost(fixed, g_of, s, top)
        top += 1
    return MinMax(s * demand.step, best_top * demand.step, best)


def cost_of(
    holding: float, stockout: float, fixed: float, demand: Lattice, point: float, level: float, protection: Lattice | None = None
) -> float:
    """Expected cost per period of one policy, its numbers rounded to the lattice."""
    over = protection or demand
    s, top = round(point / demand.step), round(level / demand.step)
    return _Renewal(_not_negative(demand)).cost(fixed, lambda y: expected(y * demand.step, holding, stockout, over), s, top)


def _not_negative(demand: Lattice) -> Floats:
    """P(D = i steps), i = 0, 1, …; a demand below zero is left out."""
    if demand.low < 0:
        kept = demand.p[-demand.low :]
        return np.asarray(kept / kept.sum())
    return np.concatenate([np.zeros(demand.low), demand.p])


class _Remembered:
    """A function of whole numbers that computes each value once."""

    def __init__(self, f: Callable[[int], float]) -> None:
        self._f = f
        self._known: dict[int, float] = {}

    def __call__(self, n: int) -> float:
        if n not in self._known:
            self._known[n] = self._f(n)
        return self._known[n]


class _Renewal:
    """m(j): expected visits of the position j below S in one cycle; grows as it is asked for."""

    def __init__(self, p: Floats) -> None:
        self._p = p
        self._m: Floats = np.array([1 / (1 - p[0])])

    def upto(self, n: int) -> NDArray[np.float64]:
        """m(0) … m(n − 1)."""
        while len(self._m) < n:
            j = len(self._m)
            k = min(j, len(self._p) - 1)
            new = float(self._p[1 : k + 1] @ self._m[j - k : j][::-1]) / (1 - self._p[0])
            self._m = np.append(self._m, new)
        return self._m[:n]

    def cost(self, fixed: float, g: Callable[[int], float], s: int, top: int) -> float:
        """c(s, S) = [K + Σ m(j) G(S − j)] / Σ m(j), j = 0 … S − s − 1."""
        m = self.upto(top - s)
        total = fixed + math.fsum(v * g(top - j) for j, v in enumerate(m))
        return total / float(m.sum())


def power(holding: float, stockout: float, fixed: float, demand: Normal, lead: Normal) -> MinMax:
    """The power approximation; `lead` is the demand over lead time and review."""
    q = 1.30 * demand.mean**0.494 * (fixed / holding) ** 0.506 * (1 + (lead.sd / demand.mean) ** 2) ** 0.116
    z = math.sqrt(q / lead.sd * holding / stockout)
    s = 0.973 * lead.mean + lead.sd * (0.183 / z + 1.063 - 2.192 * z)
    return MinMax(s, s + q, math.nan)
