"""The shortest make-span of job shops and flexible job shops: a population improved by tabu search, and by ways from one member to another.

After Peng, Lü and Cheng 2015 (TS/PR, Computers & OR 53): of some solutions on the way between two members the most promising is improved by
tabu search, and takes the place of the worst member where it is better and unlike the others. Several threads may work on one population:
what is compiled runs without the interpreter's lock.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ronghe.apps.scheduling.makespan.graph import Graph, Ints, construct, distance, plain, relink
from ronghe.apps.scheduling.makespan.tabu import Space, search

__all__ = ["Graph", "Member", "Population", "evolve", "plain"]

SIZE = 10
PATIENCE = 12_500  # moves without gain that end a tabu search (Peng et al.)
CHILDREN = 4  # looked at on the way between two members
GLANCE = 500  # moves without gain that such a look takes
_ALIKE = 0.02  # distance below which two members of one make-span are taken for one


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """A solution: a linear extension of the operations, their machines, and the make-span."""

    order: Ints
    on: Ints
    makespan: int


@dataclass(slots=True)
class Population:
    """What the threads share. `told` is called with each new best, under the lock; `flag[0] = 1` ends every search at once."""

    graph: Graph
    told: Callable[[Member], None]
    target: int = 0  # a lower bound: a member that meets it is optimal
    members: list[Member] = field(default_factory=list)
    best: Member | None = None
    flag: Ints = field(default_factory=lambda: np.zeros(1, np.int64))
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, one: Member) -> None:
        """Takes a member in, if it is worth its place."""
        with self.lock:
            if self.best is None or one.makespan < self.best.makespan:
                self.best = one
                self.told(one)
            if any(m.makespan == one.makespan and distance(m.order, m.on, one.order, one.on) < _ALIKE for m in self.members):
                return
            self.members.append(one)
            if len(self.members) > SIZE:
                self.members.remove(max(self.members, key=lambda m: m.makespan))

    def pair(self, rng: np.random.Generator) -> tuple[Member, Member] | None:
        """Two members drawn at random; None while there are fewer than it takes."""
        with self.lock:
            if len(self.members) < SIZE:
                return None
            a, b = rng.choice(len(self.members), 2, replace=False)
            return self.members[a], self.members[b]

    @property
    def best_makespan(self) -> float:
        """The make-span of the best; ∞ while there is none."""
        return np.inf if self.best is None else self.best.makespan

    @property
    def over(self) -> bool:
        """Whether the search is to end: told so, or the best is optimal."""
        return bool(self.flag[0]) or (self.best is not None and self.best.makespan <= self.target)


def evolve(population: Population, seed: int) -> None:
    """One thread's work, until the population is `over`."""
    g = population.graph
    rng, space = np.random.default_rng(seed), Space.of(len(g), g.machines)
    while not population.over:
        parents = population.pair(rng)
        if parents is None:
            order, on = construct(g, int(rng.integers(1, 6)), _seed(rng))
        else:
            order, on = _child(population, space, *parents, rng)
        improve(population, space, order, on, _seed(rng))


def _child(population: Population, space: Space, a: Member, b: Member, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Of some solutions between two members, each improved a little, the best."""
    found = []
    for _ in range(CHILDREN):
        order, on = relink(a.order, a.on, b.order, b.on, rng.uniform(0.3, 0.7), _seed(rng))
        found.append(
            search(population.graph, space, order, on, patience=GLANCE, target=population.target, flag=population.flag, seed=_seed(rng))
        )
    order, on, _, _ = min(found, key=lambda f: f[2])
    return order, on


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(1 << 31))


def improve(population: Population, space: Space, order: Ints, on: Ints, seed: int, patience: int = PATIENCE) -> None:
    """Improves one solution by tabu search and adds it."""
    order, on, makespan, _ = search(
        population.graph, space, order, on, patience=patience, target=population.target, flag=population.flag, seed=seed
    )
    population.add(Member(order, on, int(makespan)))
