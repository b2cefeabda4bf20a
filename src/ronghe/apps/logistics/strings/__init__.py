"""Slack induction by string removals, for the plain capacitated problem: one depot, vehicles that differ in nothing, goods to be brought.

`fits(problem)` says whether a problem is one; `Strings(problem, seed)` is one search, `run` goes on with it, `best` is what it found.
Sources and parameters stand in `ronghe.apps.logistics.strings.compiled`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ronghe.apps.logistics.problem import FOREVER, Problem
from ronghe.apps.logistics.schedule import alike

_SLICE: Final = 0.1  # s of search between two looks at the clock
_RATE: Final = 20_000  # rounds a second to begin with, until it is measured
_NEIGHBOURS: Final = 500  # at most, of a customer
_LARGEST: Final = 1 << 28  # way, in money: sums of some fit 32 bits
_WARM: Final = 0.4  # temperature at the beginning, and at the end: parts of the mean cost of a leg
_COOL: Final = 0.01


def fits(problem: Problem) -> bool:
    """Whether the problem has nothing but distances and one capacity: no windows, pickups, prizes, trips, shifts, no choice of vehicle."""
    if not problem.orders or not problem.vehicles or len(problem.dimensions) != 1 or len(alike(problem)) != 1:
        return False
    v = problem.vehicles[0]
    roads = problem.roads[v.roads].distance
    depot = [d for d in problem.depots if d.place == v.start]
    return bool(
        v.start == v.end
        and len(depot) == 1
        and (depot[0].opens, depot[0].closes, v.earliest, v.latest) == (0, FOREVER, 0, FOREVER)
        and min(v.max_duration, v.max_distance) >= FOREVER
        and v.per_tick == 0
        and (v.max_trips == 1 or not v.reloads)
        and not any(v.aboard)
        and v.per_distance * int(roads.max(initial=0)) + v.fixed < _LARGEST
        and all(
            o.prize is None and not (o.only or o.origin or any(o.pickup) or o.earliest or o.release) and o.latest >= FOREVER
            for o in problem.orders
        )
    )


class Strings:
    """One search over a problem that `fits`. Raises MissingExtra without numba."""

    def __init__(self, problem: Problem, seed: int) -> None:
        from ronghe.apps.logistics.strings import compiled

        self._compiled = compiled
        v = problem.vehicles[0]
        n = len(problem.orders)
        cost = costs(problem)
        back = cost if (cost == cost.T).all() else np.ascontiguousarray(cost.T)
        near = np.zeros((n + 1, min(n, _NEIGHBOURS)), np.int32)
        both = np.add(cost, back, dtype=np.int64)
        for c in range(1, n + 1):
            near[c] = 1 + np.argsort(both[c, 1:], kind="stable")[: near.shape[1]]
        demand = np.array([0, *(sum(o.delivery) for o in problem.orders)], np.int64)
        capacity = v.capacity[0] if v.capacity else int(demand.sum())
        # each two routes that are filled first hold more than one vehicle's load together
        k = min(len(problem.vehicles), n, 2 * int(-(-demand.sum() // max(1, capacity))) + 1)
        now = np.zeros(7, np.int64)
        now[compiled.CAPACITY] = capacity
        self._space = compiled.Space(
            cost=cost,
            back=back,
            near=near,
            demand=demand,
            where=np.zeros(n + 1, np.int32),
            rows=np.zeros((4, k, n + 2), np.int32),
            facts=np.zeros((6, k), np.int64),
            best=np.zeros(n + k + 1, np.int32),
            out=np.zeros(n, np.int32),
            key=np.zeros(n, np.float64),
            now=now,
            random=np.random.SeedSequence(seed).generate_state(1, np.uint64) | np.uint64(1),
        )
        self._rate = float(_RATE)
        self._capacity, self._demand = capacity, demand

    def build(self) -> bool:
        """Begins from nothing; whatever has to be compiled is then. False where it finds no room for everything."""
        self._compiled.anneal(self._space, 0, 1.0, 1.0)
        return bool((self._demand <= self._capacity).all() and self._compiled.build(self._space))

    def follow(self, routes: Sequence[Sequence[int]]) -> None:
        """Goes on from these routes of orders, by their number in the problem. They hold."""
        tours = [i for r in routes if r for i in (*(c + 1 for c in r), 0)]
        self._compiled.follow(self._space, np.array([*tours, 0], np.int32))

    @property
    def cost(self) -> int:
        """Of the best, in the problem's units of money."""
        return int(self._space.now[self._compiled.BEST])

    @property
    def best(self) -> list[list[int]]:
        """The routes of the best so far: the orders' numbers in the problem."""
        out: list[list[int]] = [[]]
        for c in self._space.best.tolist():
            if c:
                out[-1].append(c - 1)
            elif out[-1]:
                out.append([])
            else:
                break
        return out[:-1]

    def run(self, share: Callable[[], float], told: Callable[[], None]) -> None:
        """Searches until `share`, the part of the time that is over, is 1; cools with it. `told` is called after slices with a new best."""
        s = self._space
        leg = s.now[self._compiled.BEST] / (len(s.demand) - 1)
        warm, cool = max(leg, 1.0) * _WARM, max(leg, 1.0) * _COOL
        last, step = share(), 0.0
        while last < 1.0:
            rounds = max(self._compiled.STEP, int(self._rate * _SLICE))
            heat = [warm * (cool / warm) ** min(1.0, x) for x in (last, last + step)]
            before, began = self.cost, time.thread_time()
            self._compiled.anneal(s, rounds, *heat)
            self._rate = rounds / max(1e-6, time.thread_time() - began)
            if self.cost < before:
                told()
            done = share()
            last, step = done, done - last


def costs(problem: Problem) -> NDArray[np.int32]:
    """Money for each way between the depot (0) and the orders (1..n), as the objective counts it: a used vehicle pays as it leaves."""
    v = problem.vehicles[0]
    at = {p.name: i for i, p in enumerate(problem.places)}
    index = np.array([at[v.start], *(at[o.place] for o in problem.orders)])
    out: Any = (problem.roads[v.roads].distance[np.ix_(index, index)] * v.per_distance).astype(np.int32)
    out[0, 1:] += v.fixed
    return np.ascontiguousarray(out)
