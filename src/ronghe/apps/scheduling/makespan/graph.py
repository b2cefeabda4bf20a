"""The disjunctive graph of a (flexible) job shop in arrays: operations in chains, each machine's operations in a doubly linked list.

Heads r (earliest starts) and tails t (longest way to the end, the operation itself included) are the longest paths of Roy and Sussmann's
graph (1964); the make-span is max r + t. Everything here is compiled and lets go of the interpreter's lock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ronghe.apps.scheduling.problem import Assigned, Plan, Problem

Ints = NDArray[np.int64]

# No kernel makes arrays, so none needs numba's run-time memory: counting references to arrays costs more than the work between.
_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "_nrt": False}
kernel = njit(**_OPTIONS)


@dataclass(frozen=True, slots=True)
class Graph:
    """What does not change while searching. N operations in the order of their jobs; choices of operation i are at[i]:at[i+1]."""

    jobs: Ints  # J+1: where each job's operations begin
    before: Ints  # N: the operation before in its job, −1: none
    after: Ints  # N
    release: Ints  # N: not before (its job's release, at every operation)
    at: Ints  # N+1
    machine: Ints  # of each choice
    lasts: Ints  # of each choice
    machines: int

    def __len__(self) -> int:
        return len(self.before)

    @property
    def flexible(self) -> bool:
        """Whether any operation has a choice of machines."""
        return len(self.machine) > len(self)

    @classmethod
    def of(cls, problem: Problem) -> Graph:
        """The graph of a problem that is `plain`."""
        index = {m.name: i for i, m in enumerate(problem.machines)}
        operations = [o for j in problem.jobs for o in j.operations]
        jobs = np.cumsum([0, *(len(j.operations) for j in problem.jobs)])
        n = len(operations)
        before, after = np.arange(n) - 1, np.arange(n) + 1
        filled = np.unique(jobs)
        before[filled[:-1]] = -1
        after[filled[1:] - 1] = -1
        return cls(
            jobs=jobs.astype(np.int64),
            before=before.astype(np.int64),
            after=after.astype(np.int64),
            release=np.repeat([max(0, j.release, problem.now) for j in problem.jobs], np.diff(jobs)).astype(np.int64),
            at=np.cumsum([0, *(len(o.choices) for o in operations)]).astype(np.int64),
            machine=np.array([index[c.machine] for o in operations for c in o.choices], np.int64),
            lasts=np.array([c.duration for o in operations for c in o.choices], np.int64),
            machines=len(problem.machines),
        )

    def plan(self, problem: Problem, order: Ints, machine: Ints, *, by: str) -> Plan:
        """The semi-active plan of an order of operations (a linear extension) and their machines."""
        operations = [o for j in problem.jobs for o in j.operations]
        start, end = semi_active(self, order, machine)
        assigned = tuple(
            Assigned(
                operation=o.name, machine=problem.machines[machine[i]].name, setup_start=int(start[i]), start=int(start[i]), end=int(end[i])
            )
            for i, o in enumerate(operations)
        )
        makespan = int(end.max(initial=0))
        return Plan(assigned=assigned, objective=problem.weights.makespan * makespan, makespan=makespan, by=by)

    def taken(self, problem: Problem, plan: Plan) -> tuple[Ints, Ints]:
        """The order and the machines of a plan that holds."""
        at = {a.operation: a for a in plan.assigned}
        there = [at[o.name] for j in problem.jobs for o in j.operations]
        index = {m.name: i for i, m in enumerate(problem.machines)}
        # Operations that last 0 stand before others that start with them, in the order of their jobs.
        order = np.lexsort((np.arange(len(there)), np.array([a.end for a in there]), np.array([a.start for a in there])))
        return order.astype(np.int64), np.array([index[a.machine] for a in there], np.int64)


def plain(problem: Problem) -> bool:
    """Whether a problem is a job shop or flexible job shop with the make-span for its objective, and nothing else."""
    w = problem.weights
    return not (
        problem.setups
        or problem.fixed
        or w.tardiness
        or w.makespan <= 0
        or any(m.off or m.batch > 1 for m in problem.machines)
        or any(o.people or o.uses or o.after is not None for j in problem.jobs for o in j.operations)
    )


@kernel
def duration(at, machine, lasts, i, m):  # type: ignore[no-untyped-def]
    """How long operation i takes on machine m; −1 where it cannot."""
    for c in range(at[i], at[i + 1]):
        if machine[c] == m:
            return lasts[c]
    return -1


@kernel
def _semi_active(before, release, at, machine, lasts, order, on, start, end, free):  # type: ignore[no-untyped-def]
    """Starts and ends where every operation, in this order, begins as soon as its machine and its job let it."""
    for i in order:
        s = max(release[i], free[on[i]])
        if before[i] >= 0:
            s = max(s, end[before[i]])
        start[i] = s
        end[i] = s + duration(at, machine, lasts, i, on[i])
        free[on[i]] = end[i]


def semi_active(g: Graph, order: Ints, on: Ints) -> tuple[Ints, Ints]:
    """Starts and ends where every operation, in this order, begins as soon as its machine and its job let it."""
    start, end = np.zeros(len(g), np.int64), np.zeros(len(g), np.int64)
    _semi_active(g.before, g.release, g.at, g.machine, g.lasts, order, on, start, end, np.zeros(g.machines, np.int64))
    return start, end


@kernel
def _construct(jobs, release, at, machine, lasts, sample, seed, left, following, ready, free, active, order, on):  # type: ignore[no-untyped-def]
    np.random.seed(seed)
    many = len(active)
    for step in range(len(order)):
        chosen = np.random.randint(many)
        for _ in range(sample - 1):
            other = np.random.randint(many)
            if left[active[other]] > left[active[chosen]]:
                chosen = other
        j = active[chosen]
        i = following[j]
        best, best_end = -1, 0
        for c in range(at[i], at[i + 1]):
            end = max(release[i], ready[j], free[machine[c]]) + lasts[c]
            if best < 0 or end < best_end:
                best, best_end = c, end
        order[step], on[i] = i, machine[best]
        ready[j] = free[machine[best]] = best_end
        left[j] -= lasts[best]
        following[j] += 1
        if following[j] == jobs[j + 1]:
            many -= 1
            active[chosen] = active[many]


def construct(g: Graph, sample: int, seed: int) -> tuple[Ints, Ints]:
    """A random order and machines: of `sample` jobs drawn, the one with most work left goes next, on the machine that ends it first."""
    shortest = np.minimum.reduceat(g.lasts, g.at[:-1])
    work = np.concatenate([[0], np.cumsum(shortest)])
    left = np.diff(work[g.jobs])
    active = np.flatnonzero(np.diff(g.jobs)).astype(np.int64)
    order, on, ready = np.zeros(len(g), np.int64), np.zeros(len(g), np.int64), np.zeros(len(left), np.int64)
    free = np.zeros(g.machines, np.int64)
    _construct(g.jobs, g.release, g.at, g.machine, g.lasts, sample, seed, left, g.jobs[:-1].copy(), ready, free, active, order, on)
    return order, on


@kernel
def _relink(now, machines, rank, share, seed):  # type: ignore[no-untyped-def]
    n = len(now)
    np.random.seed(seed)
    inverted = 0
    for a in range(n):
        for b in range(a + 1, n):
            inverted += machines[now[a]] == machines[now[b]] and rank[now[a]] > rank[now[b]]
    wanted = inverted * share
    changed, moved = 0, True
    while changed < wanted and moved:
        moved = False
        first = np.random.randint(n)
        for k in range(n - 1):
            a = (first + k) % (n - 1)
            u, v = now[a], now[a + 1]
            if rank[u] > rank[v]:
                moved = True
                if np.random.randint(2):
                    now[a], now[a + 1] = v, u
                    changed += machines[u] == machines[v]
                    if changed >= wanted:
                        break


def relink(order: Ints, on: Ints, guide: Ints, guide_on: Ints, share: float, seed: int) -> tuple[Ints, Ints]:
    """A solution `share` of the way from one to another: neighbours in the order that the guide has the other way round change places, at
    random, and machines are taken over. Both orders are linear extensions of the jobs, so is every one between: all are feasible.
    """
    taken = np.random.default_rng(seed).random(len(order)) < share
    now, machines = order.copy(), np.where(taken, guide_on, on)
    _relink(now, machines, _ranks(guide), share, seed)
    return now, machines


def distance(order: Ints, on: Ints, other: Ints, other_on: Ints) -> float:
    """Share of the pairs that follow one another on a machine whose order, or machine, is different in the other solution: 0..1."""
    there = order[np.argsort(on[order], kind="stable")]  # machine after machine, each in its order
    u, v = there[:-1], there[1:]
    pairs = on[u] == on[v]
    rank = _ranks(other)
    different = (rank[u] > rank[v]) | (other_on[u] != on[u]) | (other_on[v] != on[v])
    return float((different & pairs).sum() / max(1, pairs.sum()))


def _ranks(order: Ints) -> Ints:
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return rank
