"""Guaranteed service on trees: each stage quotes a service time and keeps the stock that covers its net lead time.

Graves & Willems, Optimizing strategic safety stock placement in supply chains, Manufacturing & Service Operations Management 2 (2000),
whose dynamic program over a spanning tree this is (pseudo-polynomial in the longest replenishment time).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One stage. Times are whole periods; `sd` of the demand of customers served here; `bound` is k in k σ √τ."""

    holding: float
    time: int
    bound: float
    sd: float = 0.0
    before: tuple[int, ...] = ()  # stages that supply it
    inbound: int = 0  # service time of suppliers outside
    outbound: int | None = None  # largest service time that customers outside accept; None: there are none


@dataclass(frozen=True, slots=True)
class Guaranteed:
    """Outgoing service time and base-stock over the mean demand of each stage; holding cost per period."""

    service: dict[int, int]
    stock: dict[int, float]
    cost: float


def optimal(sites: Mapping[int, Site]) -> Guaranteed:
    """The least holding cost. Raises ValueError where the stages are no tree."""
    return _Tree(sites).solve()


class _Tree:
    """The dynamic program, rooted at one stage; a subtree's value as a function of the time that passes along the arc to its parent."""

    def __init__(self, sites: Mapping[int, Site]) -> None:
        self.sites = sites
        self.after: dict[int, list[int]] = {i: [] for i in sites}
        for i, s in sites.items():
            for b in s.before:
                self.after[b].append(i)
        self.root = next(iter(sites))
        self.order: list[int] = []
        self.parent: dict[int, int | None] = {self.root: None}
        waiting = [self.root]
        while waiting:
            i = waiting.pop()
            self.order.append(i)
            for n in (*sites[i].before, *self.after[i]):
                if n == self.parent[i]:
                    continue
                if n in self.parent:
                    raise ValueError("the stages are no tree")
                self.parent[n] = i
                waiting.append(n)
        if len(self.order) < len(sites):
            raise ValueError("the stages are no tree")
        self.longest: dict[int, int] = {}
        self.spread: dict[int, float] = {}
        for i in sites:
            self._longest(i)
            self._spread(i)
        self.best: dict[int, list[tuple[float, int, int]]] = {}  # time on the arc → (cost, SI, S) of the subtree

    def _longest(self, i: int) -> int:
        """The longest time in which stage i can be replenished."""
        if i not in self.longest:
            s = self.sites[i]
            self.longest[i] = s.time + max([s.inbound, *(self._longest(b) for b in s.before)])
        return self.longest[i]

    def _spread(self, i: int) -> float:
        """Standard deviation of the demand that passes through stage i; demands of different customers are independent."""
        if i not in self.spread:
            self.spread[i] = math.sqrt(self.sites[i].sd ** 2 + sum(self._spread(a) ** 2 for a in self.after[i]))
        return self.spread[i]

    def solve(self) -> Guaranteed:
        for i in reversed(self.order):
            self.best[i] = self._table(i)
        service: dict[int, int] = {}
        incoming: dict[int, int] = {}
        for i in self.order:
            p = self.parent[i]
            if p is None:
                _, incoming[i], service[i] = min(self.best[i])
                continue
            arc = incoming[p] if i in self.sites[p].before else service[p]
            _, incoming[i], service[i] = self.best[i][min(arc, len(self.best[i]) - 1)]
        cost = min(self.best[self.root])[0]
        stock = {i: self._stock(i, incoming[i], service[i]) for i in self.sites}
        return Guaranteed(service, stock, cost)

    def _stock(self, i: int, si: int, s: int) -> float:
        site = self.sites[i]
        return site.bound * self.spread[i] * math.sqrt(max(0, si + site.time - s))

    def _table(self, i: int) -> list[tuple[float, int, int]]:
        """For each time on the arc to the parent the best (cost, SI, S) of the subtree; for the root one for every pair."""
        site, p = self.sites[i], self.parent[i]
        most_in = self.longest[i] - site.time
        most_out = self.longest[i] if site.outbound is None else min(self.longest[i], site.outbound)
        up = [b for b in site.before if b != p]
        down = [a for a in self.after[i] if a != p]
        # what the subtrees that supply i cost when each may promise up to SI, and those that i supplies when it promises S
        cost_in = [math.fsum(self.best[b][min(si, len(self.best[b]) - 1)][0] for b in up) for si in range(most_in + 1)]
        cost_out = [math.fsum(self.best[a][s][0] for a in down) for s in range(most_out + 1)]
        pairs = []
        for si in range(site.inbound, most_in + 1):
            for s in range(min(most_out, si + site.time) + 1):
                own = site.holding * self._stock(i, si, s)
                pairs.append((own + cost_in[si] + cost_out[s], si, s))
        if p is None:
            return pairs
        if i in self.sites[p].before:  # the arc carries what i promises; the parent bears it being at most so much
            return [min(x for x in pairs if x[2] <= most) for most in range(most_out + 1)]
        # the arc carries what the parent promises i: SI is at least that
        return [min(((c, max(si, t), s) for c, si, s in pairs if si >= t), default=(math.inf, t, 0)) for t in range(self.longest[p] + 1)]
