"""An order of operations and a machine for each → a plan and its cost; from any position on, given what was kept of those before."""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import Final, NamedTuple

import numpy as np

from ronghe.apps.scheduling.arrays import (
    BEFORE,
    BEGUN,
    C_MACHINE,
    CHOICE,
    FAMILY,
    FIXED,
    FIXED_CALENDAR,
    FIXED_END,
    FIXED_START,
    FOREVER,
    J_DUE,
    J_WEIGHT,
    JOB,
    M_BATCH,
    M_FAMILY,
    M_FIX,
    M_SETUPS,
    TAIL,
    W_MAKESPAN,
    W_SETUP,
    W_TARDINESS,
    Arrays,
    Floats,
    Ints,
    Tables,
)
from ronghe.apps.scheduling.problem import Assigned, Plan
from ronghe.apps.scheduling.search.compiled import inlined, kernel
from ronghe.apps.scheduling.search.placing import (
    P_BOUND,
    P_COST,
    P_END,
    P_JOINED,
    P_PREVIOUS,
    P_SETUP,
    P_START,
    S_LEADER,
    Shop,
    back,
    employ,
    find,
    ready,
    remaining,
    reset,
    settle,
    shop,
)

_EVERY: Final = 16  # positions between two kept states


# Columns of `Work.op`: position in `order` (-1: fixed) and choice; of the plan last kept: start, set-up, end, leader of its batch, what its
# machine did before or -1, 1 where the machine decided its start; the best plan's choice; scratch: mark, path, and the start last tried.
PLACE, PICK, START, SETUP, END, LEADER, PREVIOUS, BOUND, BEST, MARK, PATH, TRIED = range(12)


class Work(NamedTuple):
    """One searcher's memory. n operations, of which r are to be placed; j jobs; k kept states."""

    order: Ints  # (r,) operations in the order they are placed; what comes before another stands before it
    best: Ints  # (r,) the best order
    buffer: Ints  # (r,)
    op: Ints  # (n, 12)
    sums: Floats  # (j + 3,) weighted tardiness of each job that is already certain; then its sum, the make-span, the set-ups
    fixed_sums: Floats  # (j + 3,) before anything is placed
    kept_machine: Ints  # (k, m, 12) states before every 16th position
    kept_sums: Floats  # (k, j + 3)
    kept_taken: Floats  # (k, q)
    random: Ints  # (2,) state of the generator; the latest mark


def work(t: Tables, seed: int) -> Work:
    """Memory for one searcher. `order` and the picks are to be filled by the caller."""
    n, j, m, q = len(t.op) - 1, len(t.job) - 1, len(t.machine) - 1, max(0, len(t.supply_ptr) - 1)
    r = int((t.op[:-1, FIXED] == 0).sum())
    k = r // _EVERY + 2
    op = np.zeros((n, 12), np.int64)
    op[:, PLACE], op[:, PICK], op[:, LEADER], op[:, PREVIOUS] = -1, t.op[:-1, CHOICE], np.arange(n), -1
    op[:, START], op[:, SETUP], op[:, END] = t.op[:-1, FIXED_START], t.op[:-1, FIXED_START], t.op[:-1, FIXED_END]
    sums = np.zeros(j + 3)
    for i in np.flatnonzero(t.op[:-1, FIXED]):
        end, x = int(t.op[i, FIXED_END]), int(t.op[i, JOB])
        sums[x] = max(sums[x], t.job[x, J_WEIGHT] * max(0.0, end - t.job[x, J_DUE]))
        sums[j + 1] = max(sums[j + 1], end)
    sums[j] = sums[:j].sum()
    return Work(
        order=np.zeros(r, np.int64),
        best=np.zeros(r, np.int64),
        buffer=np.zeros(r, np.int64),
        op=op,
        sums=sums.copy(),
        fixed_sums=sums,
        kept_machine=np.zeros((k, m, 12), np.int64),
        kept_sums=np.zeros((k, j + 3)),
        kept_taken=np.zeros((k, q)),
        random=np.array([(seed * 2654435761 + 88172645463325252) & 0x7FFFFFFFFFFFFFFF, 0], np.int64),
    )


@kernel
def _copy(machine: Ints, machine_to: Ints, sums: Floats, sums_to: Floats, taken: Floats, taken_to: Floats) -> None:
    """Element by element: an assignment of slices costs numba seconds to compile."""
    for m in range(machine.shape[0]):
        for x in range(machine.shape[1]):
            machine_to[m, x] = machine[m, x]
    for j in range(len(sums)):
        sums_to[j] = sums[j]
    for q in range(len(taken)):
        taken_to[q] = taken[q]


@kernel
def _load(t: Tables, s: Shop, w: Work, k: int) -> None:
    """The state before position k · _EVERY."""
    if k == 0 or len(t.pool):
        reset(t, s)
    if k == 0:
        for j in range(len(w.sums)):
            w.sums[j] = w.fixed_sums[j]
        return
    if len(t.pool):  # people in use are not kept: they follow from what is placed
        for x in range(k * _EVERY):
            i = w.order[x]
            if w.op[i, LEADER] == i:
                employ(t, s, i, w.op[i, SETUP], w.op[i, END])
    _copy(w.kept_machine[k], s.machine, w.kept_sums[k], w.sums, w.kept_taken[k], s.taken)


@kernel
def decode(t: Tables, s: Shop, w: Work, first: int, limit: float, keep: bool) -> tuple[float, int]:
    """(cost, positions placed) of `w.order` and its picks, from position `first` on; stops as soon as the cost is certain to reach `limit`,
    or where an operation has no place (cost: infinity). With `keep`, starts, states and all that a search asks of a plan are stored."""
    makespan, tardiness, setups = t.scalars[W_MAKESPAN], t.scalars[W_TARDINESS], t.scalars[W_SETUP]
    late, last, spent = len(t.job) - 1, len(t.job), len(t.job) + 1
    k = first // _EVERY
    _load(t, s, w, k)
    at = k * _EVERY
    while at < len(w.order):
        if keep and at % _EVERY == 0:
            z = at // _EVERY
            _copy(s.machine, w.kept_machine[z], w.sums, w.kept_sums[z], s.taken, w.kept_taken[z])
        i = w.order[at]
        c = w.op[i, PICK]
        if not find(t, s, i, c, ready(t, s, i)):
            return np.inf, at
        settle(t, s, i, c)
        place, job = s.place, t.op[i, JOB]
        at += 1
        end = place[P_END] + t.op[i, TAIL]
        lateness = t.job[job, J_WEIGHT] * (end - t.job[job, J_DUE])
        if lateness > w.sums[job]:
            w.sums[late] += lateness - w.sums[job]
            w.sums[job] = lateness
        w.sums[last] = max(w.sums[last], float(end))
        w.sums[spent] += place[P_COST]
        w.op[i, TRIED] = place[P_START]
        if keep:
            _keep(t, s, w, i, c, at - 1)
        if makespan * w.sums[last] + tardiness * w.sums[late] + setups * w.sums[spent] >= limit:
            return np.inf, at
    w.sums[spent] += remaining(t, s)
    return makespan * w.sums[last] + tardiness * w.sums[late] + setups * w.sums[spent], at


@inlined
def _keep(t: Tables, s: Shop, w: Work, i: int, c: int, at: int) -> None:
    place = s.place
    w.op[i, START], w.op[i, SETUP], w.op[i, END] = place[P_START], place[P_SETUP], place[P_END]
    w.op[i, PREVIOUS], w.op[i, BOUND], w.op[i, PLACE] = place[P_PREVIOUS], place[P_BOUND], at
    w.op[i, LEADER] = s.machine[t.choice[c, C_MACHINE], S_LEADER] if place[P_JOINED] else i


def load(a: Arrays, w: Work, plan: Plan) -> Ints:
    """`plan`'s machines and the order of its starts into `w`; what the plan lacks comes last, on its first machine. Gives the keys of that
    order (n,): start · (n + 1) + place in the plan, FOREVER where there is none."""
    t = a.tables
    n = len(t.op) - 1
    key = np.full(n, FOREVER, np.int64)
    for x, p in enumerate(plan.assigned):
        i = a.index.get(p.operation)
        if i is None:
            continue
        key[i] = p.start * (n + 1) + min(x, n)
        m = a.machine.get(p.machine)
        for c in range(t.op[i, CHOICE], t.op[i + 1, CHOICE]):
            if t.choice[c, C_MACHINE] == m:
                w.op[i, PICK] = c
    w.order[:] = topological(t, key)
    return key


def topological(t: Tables, key: Ints) -> Ints:
    """What is not fixed by `key`, each after what must come before it; ValueError where that is impossible (a cycle)."""
    n = len(t.op) - 1
    ptr, before, fixed, keys = t.op[:, BEFORE].tolist(), t.before.tolist(), t.op[:, FIXED].tolist(), key.tolist()
    waits = [0] * n
    followers: list[list[int]] = [[] for _ in range(n)]
    for i in range(n):
        for b in before[ptr[i] : ptr[i + 1]]:
            if not fixed[b]:
                followers[b].append(i)
                waits[i] += 1
    heap = [(keys[i], i) for i in range(n) if not fixed[i] and waits[i] == 0]
    heapify(heap)
    order = []
    while heap:
        _, i = heappop(heap)
        order.append(i)
        for f in followers[i]:
            waits[f] -= 1
            if waits[f] == 0 and not fixed[f]:
                heappush(heap, (keys[f], f))
    if len(order) != n - sum(fixed[:n]):
        raise ValueError("a cycle among the operations")
    return np.array(order, np.int64)


def plan_of(a: Arrays, w: Work, by: str, seconds: float) -> Plan:
    """The plan that `w.order` and `w.choice` stand for, with its figures; status "unknown" and no operations where one has no place."""
    t, s = a.tables, shop(a.tables)
    cost, _ = decode(t, s, w, 0, np.inf, True)
    if not np.isfinite(cost):
        return Plan(assigned=(), objective=np.inf, status="unknown", seconds=seconds, by=by)
    machines = [m.name for m in a.problem.machines]
    size = np.bincount(w.op[w.order, LEADER], minlength=len(t.op) - 1) if len(w.order) else np.zeros(len(t.op) - 1, np.int64)
    rows = [
        Assigned(
            operation=a.operations[i].name,
            machine=machines[t.choice[w.op[i, PICK], C_MACHINE]],
            setup_start=int(w.op[i, SETUP]),
            start=int(w.op[i, START]),
            end=int(w.op[i, END]),
            batch=int(w.op[i, LEADER]) + 1 if size[w.op[i, LEADER]] > 1 else 0,
        )
        for i in w.order
    ]
    rows += _fixed(a, w, machines)
    rows.sort(key=lambda r: r.start)  # what starts together stays in the order in which it was placed
    makespan, tardiness, setup = int(w.sums[-2]), float(w.sums[-3]), int(w.sums[-1])
    return Plan(assigned=tuple(rows), objective=float(cost), makespan=makespan, tardiness=tardiness, setup=setup, seconds=seconds, by=by)


def _fixed(a: Arrays, w: Work, machines: list[str]) -> list[Assigned]:
    """What is fixed, set-ups right before it as the machine's earlier operations leave it; equal ones on a machine for batches are one."""
    t, found = a.tables, []
    on: dict[int, list[tuple[int, int, int, int]]] = {}  # start, end, which comes first where both are equal, family
    for x, i in enumerate(w.order):
        row = (int(w.op[i, START]), int(w.op[i, END]), x, int(t.op[i, FAMILY]))
        on.setdefault(int(t.choice[w.op[i, PICK], C_MACHINE]), []).append(row)
    for m, name in enumerate(machines):
        rows = [
            (int(t.op[f, FIXED_START]), int(t.op[f, FIXED_END]), x - len(t.op), int(t.op[f, FAMILY]), int(f))
            for x, f in enumerate(t.fix[t.machine[m, M_FIX] : t.machine[m + 1, M_FIX]])
        ]
        lying = sorted([*on.get(m, []), *(r[:4] for r in rows)])
        equal: dict[tuple[int, int, int], list[int]] = {}
        for start, end, rank, family, f in rows:
            batch = equal.setdefault((start, end, family), [])
            batch.append(f)
            before = next((r[3] for r in reversed(lying) if r[3] and r[:3] < (start, end, rank)), int(t.machine[m, M_FAMILY]))
            setup = int(t.setup[t.machine[m, M_SETUPS], before, family]) if before and family and not t.op[f, BEGUN] else 0
            first = batch[(len(batch) - 1) // int(t.machine[m, M_BATCH]) * int(t.machine[m, M_BATCH])]
            found.append(
                Assigned(
                    operation=a.operations[f].name,
                    machine=name,
                    setup_start=int(back(t.window_ptr, t.window, t.op[f, FIXED_CALENDAR], start, setup)),
                    start=start,
                    end=end,
                    batch=len(t.op) + first if t.machine[m, M_BATCH] > 1 else 0,
                )
            )
    return found
