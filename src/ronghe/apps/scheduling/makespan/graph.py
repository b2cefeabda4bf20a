"""The disjunctive graph of a (flexible) job shop in arrays: operations in chains, each machine's operations in a doubly linked list.

Heads r (earliest starts) and tails t (longest way to the end, the operation itself included) are the longest paths of Roy and Sussmann's
graph (1964); the make-span is max r + t. Everything here is compiled and lets go of the interpreter's lock.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from ronghe.apps.scheduling.problem import Assigned, Plan, Problem

Ints = NDArray[np.int64]


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
        start, end = semi_active(self.before, self.release, self.at, self.machine, self.lasts, self.machines, order, machine)
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


@njit(cache=True, nogil=True)
def duration(at: Ints, machine: Ints, lasts: Ints, i: int, m: int) -> int:
    """How long operation i takes on machine m; −1 where it cannot."""
    for c in range(at[i], at[i + 1]):
        if machine[c] == m:
            return lasts[c]
    return -1


@njit(cache=True, nogil=True)
def semi_active(
    before: Ints, release: Ints, at: Ints, machine: Ints, lasts: Ints, machines: int, order: Ints, on: Ints
) -> tuple[Ints, Ints]:
    """Starts and ends where every operation, in this order, begins as soon as its machine and its job let it."""
    n = len(before)
    start, end, free = np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(machines, np.int64)
    for i in order:
        s = max(release[i], free[on[i]])
        if before[i] >= 0:
            s = max(s, end[before[i]])
        start[i] = s
        end[i] = s + duration(at, machine, lasts, i, on[i])
        free[on[i]] = end[i]
    return start, end


@njit(cache=True, nogil=True)
def construct(jobs: Ints, release: Ints, at: Ints, machine: Ints, lasts: Ints, machines: int, sample: int, seed: int) -> tuple[Ints, Ints]:
    """A random order and machines: of `sample` jobs drawn, the one with most work left goes next, on the machine that ends it first."""
    n, count = at.shape[0] - 1, jobs.shape[0] - 1
    np.random.seed(seed)
    left = np.zeros(count, np.float64)
    for j in range(count):
        for i in range(jobs[j], jobs[j + 1]):
            left[j] += np.mean(lasts[at[i] : at[i + 1]])
    following = jobs[:-1].copy()
    ready, free = np.zeros(count, np.int64), np.zeros(machines, np.int64)
    active = np.array([j for j in range(count) if jobs[j] < jobs[j + 1]])
    order, on = np.zeros(n, np.int64), np.zeros(n, np.int64)
    many = len(active)
    for step in range(n):
        chosen = np.random.randint(many)
        for _ in range(sample - 1):
            other = np.random.randint(many)
            if left[active[other]] > left[active[chosen]]:
                chosen = other
        j = active[chosen]
        i = following[j]
        best, best_end = -1, np.int64(0)
        for c in range(at[i], at[i + 1]):
            end = max(release[i], ready[j], free[machine[c]]) + lasts[c]
            if best < 0 or end < best_end:
                best, best_end = c, end
        order[step], on[i] = i, machine[best]
        ready[j] = free[machine[best]] = best_end
        left[j] -= np.mean(lasts[at[i] : at[i + 1]])
        following[j] += 1
        if following[j] == jobs[j + 1]:
            many -= 1
            active[chosen] = active[many]
    return order, on


@njit(cache=True, nogil=True)
def relink(order: Ints, on: Ints, guide: Ints, guide_on: Ints, share: float, seed: int) -> tuple[Ints, Ints]:
    """A solution `share` of the way from one to another: neighbours in the order that the guide has the other way round change places, at
    random, and machines are taken over. Both orders are linear extensions of the jobs, so is every one between: all are feasible.
    """
    n = len(order)
    np.random.seed(seed)
    now, machines, rank = order.copy(), on.copy(), np.zeros(n, np.int64)
    for k in range(n):
        rank[guide[k]] = k
    for i in range(n):
        if guide_on[i] != on[i] and np.random.random() < share:
            machines[i] = guide_on[i]
    inverted = 0
    for a in range(n):
        for b in range(a + 1, n):
            if machines[now[a]] == machines[now[b]] and rank[now[a]] > rank[now[b]]:
                inverted += 1
    wanted = inverted * share
    changed, moved = 0, True
    while changed < wanted and moved:
        moved = False
        first = np.random.randint(n)
        for k in range(n - 1):
            a = (first + k) % (n - 1) if n > 1 else 0
            u, v = now[a], now[a + 1]
            if rank[u] > rank[v]:
                moved = True
                if np.random.random() < 0.5:
                    now[a], now[a + 1] = v, u
                    changed += machines[u] == machines[v]
                    if changed >= wanted:
                        break
    return now, machines


@njit(cache=True, nogil=True)
def distance(order: Ints, on: Ints, other: Ints, other_on: Ints) -> float:
    """Share of the pairs that follow one another on a machine whose order, or machine, is different in the other solution: 0..1."""
    n = len(order)
    rank = np.zeros(n, np.int64)
    for k in range(n):
        rank[other[k]] = k
    last = np.full(max(on.max(), other_on.max()) + 1, -1)
    different, pairs = 0, 0
    for i in order:
        u = last[on[i]]
        if u >= 0:
            pairs += 1
            different += rank[u] > rank[i] or other_on[u] != on[u] or other_on[i] != on[i]
        last[on[i]] = i
    return different / max(1, pairs)
