"""Lower bounds at once, by counting: no plan can be better.

The make-span is at least the longest way through the routing, and on each machine at least what Jackson's preemptive schedule takes
for the operations that only it can do (Carlier 1982, EJOR 11), and all work shared evenly over all machines.
"""

from __future__ import annotations

import heapq
from collections import defaultdict

from ronghe.apps.scheduling.problem import Problem


def lower_bound(problem: Problem) -> float:
    """A bound of the objective, ≥ 0. The routing must have no cycle."""
    lasts, before = _facts(problem)
    heads = _heads(problem, lasts, before)
    w = problem.weights
    bound = 0.0
    if w.makespan:
        bound += w.makespan * _makespan(problem, lasts, before, heads)
    if w.tardiness:
        for job in problem.jobs:
            if job.due is not None and job.operations:
                end = max(heads[o.name] + lasts[o.name] for o in job.operations)
                bound += w.tardiness * job.weight * max(0, end - job.due)
    return bound


def _facts(problem: Problem) -> tuple[dict[str, int], dict[str, tuple[str, ...]]]:
    """The shortest duration of each operation, and what comes before it."""
    lasts: dict[str, int] = {}
    before: dict[str, tuple[str, ...]] = {}
    for job in problem.jobs:
        previous: tuple[str, ...] = ()
        for o in job.operations:
            lasts[o.name] = min(c.duration for c in o.choices)
            before[o.name] = previous if o.after is None else o.after
            previous = (o.name,)
    for f in problem.fixed:
        # Its duration where it lies, which may be longer than the shortest; a given end may be anything.
        if f.end is not None:
            lasts[f.operation] = f.end - f.start
    return lasts, before


def _heads(problem: Problem, lasts: dict[str, int], before: dict[str, tuple[str, ...]]) -> dict[str, int]:
    """The earliest start of each operation, with all machines free."""
    release = {o.name: max(problem.now, j.release, 0) for j in problem.jobs for o in j.operations}
    fixed = {f.operation: f.start for f in problem.fixed}
    heads: dict[str, int] = {}
    for name in _sorted(before):
        ready = max((heads[b] + lasts[b] for b in before[name]), default=release[name])
        heads[name] = fixed.get(name, max(ready, release[name]))
    return heads


def _sorted(before: dict[str, tuple[str, ...]]) -> list[str]:
    """The operations, each behind what comes before it."""
    following: dict[str, list[str]] = defaultdict(list)
    waits = {name: len(b) for name, b in before.items()}
    for name, names in before.items():
        for b in names:
            following[b].append(name)
    out = [name for name, n in waits.items() if n == 0]
    for name in out:
        for f in following[name]:
            waits[f] -= 1
            if waits[f] == 0:
                out.append(f)
    return out


def _makespan(problem: Problem, lasts: dict[str, int], before: dict[str, tuple[str, ...]], heads: dict[str, int]) -> int:
    tails = dict.fromkeys(before, 0)  # from an operation's end to the end of all
    for name in reversed(_sorted(before)):
        for b in before[name]:
            tails[b] = max(tails[b], tails[name] + lasts[name])
    best = max(heads[n] + lasts[n] + tails[n] for n in before)
    fixed = {f.operation for f in problem.fixed}
    batches = {m.name for m in problem.machines if m.batch > 1}
    alone: dict[str, list[tuple[int, int, int]]] = defaultdict(list)
    work, batched = 0, False
    for o in (o for j in problem.jobs for o in j.operations if o.name not in fixed):
        batched |= any(c.machine in batches for c in o.choices)
        work += lasts[o.name]
        if len(o.choices) == 1 and o.choices[0].machine not in batches:
            alone[o.choices[0].machine].append((heads[o.name], lasts[o.name], tails[o.name]))
    if work and not batched:
        best = max(best, max(0, problem.now) + -(-work // len(problem.machines)))
    return max([best, *(_jackson(jobs) for jobs in alone.values())])


def _jackson(jobs: list[tuple[int, int, int]]) -> int:
    """Of (head, duration, tail) on one machine: of those there, always the one with the longest tail, given up for a longer one."""
    jobs = sorted(jobs)
    there: list[tuple[int, int]] = []  # (−tail, what is left)
    now, i, bound = 0, 0, 0
    while i < len(jobs) or there:
        if not there:
            now = max(now, jobs[i][0])
        while i < len(jobs) and jobs[i][0] <= now:
            heapq.heappush(there, (-jobs[i][2], jobs[i][1]))
            i += 1
        tail, left = heapq.heappop(there)
        until = now + left if i == len(jobs) else min(now + left, jobs[i][0])
        if now + left > until:
            heapq.heappush(there, (tail, now + left - until))
        else:
            bound = max(bound, until - tail)
        now = until
    return bound
