"""What happens to a shop, as new facts, and at once a plan for them that changes as little as it must.

An event gives a new problem: `begun` fixes what has begun and moves `now`, then come the event's own facts. `repair` keeps every machine's
sequence, shifts to the right what must wait, and gives an operation to another machine only where its own would delay it. `improve` may
then go on from there while the clock runs.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np

from ronghe.apps.scheduling.arrays import (
    BEGUN,
    C_DURATION,
    CHOICE,
    FAMILY,
    FIXED,
    FIXED_CALENDAR,
    FIXED_END,
    FIXED_START,
    FOREVER,
    LATEST,
    M_BATCH,
    M_FAMILY,
    M_FIX,
    M_SETUPS,
    Arrays,
    Ints,
    windows,
)
from ronghe.apps.scheduling.problem import Arrival, Choice, Fixed, Job, Machine, Off, Operation, Plan, Problem, Tick
from ronghe.apps.scheduling.search.annealing import keep_best
from ronghe.apps.scheduling.search.decode import BEST, PICK, Work, decode, load, plan_of, topological, work
from ronghe.apps.scheduling.search.placing import Shop, back, shop
from ronghe.apps.scheduling.search.shifting import shift
from ronghe.errors import AppError
from ronghe.text import Text

_PLACES: Final = 6  # in the old order that are tried for what is new
_REWORK: Final = "again"


@dataclass(frozen=True, slots=True)
class Moved:
    """An operation that lies elsewhere than before."""

    operation: str
    machine: str
    machine_before: str
    start: Tick
    start_before: Tick


def moved(old: Plan, new: Plan, tolerance: Tick = 0) -> list[Moved]:
    """Operations of both plans on another machine, or with a start that differs by more than `tolerance`; by their new starts."""
    before = {a.operation: a for a in old.assigned}
    found = []
    for a in sorted(new.assigned, key=lambda a: a.start):
        b = before.get(a.operation)
        if b is not None and (a.machine != b.machine or abs(a.start - b.start) > tolerance):
            found.append(Moved(a.operation, a.machine, b.machine, a.start, b.start))
    return found


def repair(problem: Problem, old: Plan) -> Plan:
    """A plan for `problem` at once (1,000 operations: some 50 ms), near to `old`. What is fixed stays even where it collides or comes
    before what it needs: the checker tells. Status "unknown" and no operations where one has no place for ever."""
    began = time.perf_counter()
    a = Arrays.of(problem)
    plan = _repaired(a, old, began)
    if plan.status == "unknown" and (a.tables.op[:, LATEST] < FOREVER).any():
        a.tables.op[:, LATEST] = FOREVER
        plan = _repaired(a, old, began)
    return plan


def _repaired(a: Arrays, old: Plan, began: float) -> Plan:
    t = a.tables
    s, w = shop(t), work(t, 0)
    key = load(a, w, old)
    start = np.where(key < FOREVER, key // len(t.op), FOREVER)
    picks = w.op[:, PICK].copy()
    new = np.flatnonzero((key == FOREVER) & (t.op[:-1, FIXED] == 0))
    best = np.inf
    for order in _orders(a, key, new):
        for patience in (FOREVER, 0):
            w.order[:] = order
            w.op[:, PICK] = picks
            cost = _shifted(a, s, w, start, new, patience)
            if cost < best:
                best = cost
                keep_best(w)
    w.order[:] = w.best
    w.op[:, PICK] = w.op[:, BEST]
    if not np.isfinite(best):
        return Plan(assigned=(), objective=np.inf, status="unknown", seconds=time.perf_counter() - began, by="repair")
    return plan_of(a, w, "repair", time.perf_counter() - began)


def _shifted(a: Arrays, s: Shop, w: Work, start: Ints, new: Ints, patience: Tick) -> float:
    """The cost of `w.order` when what starts no more than `patience` later than before keeps its machine, and what is new goes where it
    ends first."""
    until = np.minimum(start + patience, FOREVER)
    until[new] = -1
    if not shift(a.tables, s, w, until):
        return np.inf
    return float(decode(a.tables, s, w, 0, np.inf, False)[0])


def _orders(a: Arrays, key: Ints, new: Ints) -> Iterator[Ints]:
    """The old order; where there is something new, with that at several places from the front to the end."""
    t = a.tables
    if not len(new):
        yield topological(t, key)
        return
    known = key[key < FOREVER]
    low = a.problem.now * len(t.op) - 1  # before what starts now
    high = max(int(known.max()) if len(known) else 0, low) + 1
    least = np.array([t.choice[t.op[i, CHOICE] : t.op[i + 1, CHOICE], C_DURATION].min() for i in new]) * len(t.op)
    for place in range(_PLACES):
        made = key.copy()
        # Operations stand in the order of their job: each new one is taken to follow the new one before it.
        made[new] = low + (high - low) * place // (_PLACES - 1) + np.cumsum(least) - least
        yield topological(t, made)


# --- events ---------------------------------------------------------------------------------------------------------------------------


def begun(problem: Problem, plan: Plan, now: Tick, frozen: Tick = 0) -> Problem:
    """The problem at `now`: what has begun, its set-up included, is fixed where it is, and so is what starts before `now + frozen`."""
    known = {f.operation for f in problem.fixed}
    more = tuple(
        Fixed(operation=p.operation, machine=p.machine, start=p.start, end=p.end if p.start < now else None)
        for p in plan.assigned
        if p.operation not in known and (p.setup_start < now or p.start < now + frozen)
    )
    return msgspec.structs.replace(problem, now=max(now, problem.now), fixed=problem.fixed + more)


def breakdown(problem: Problem, plan: Plan, machine: str, start: Tick, end: Tick, *, now: Tick | None = None, frozen: Tick = 0) -> Problem:
    """`machine` stands in [start, end). What it was working on goes on when it works again. Frozen operations it can no longer do in time
    are free again."""
    return _stands(problem, plan, machine, Off(start, end, "breakdown", stop=True), now, frozen)


def maintenance(
    problem: Problem, plan: Plan, machine: str, start: Tick, end: Tick, *, now: Tick | None = None, frozen: Tick = 0
) -> Problem:
    """A maintenance window: as a breakdown, but known before."""
    return _stands(problem, plan, machine, Off(start, end, "maintenance", stop=True), now, frozen)


def quality_stop(
    problem: Problem, plan: Plan, machine: str, start: Tick, end: Tick, *, now: Tick | None = None, frozen: Tick = 0
) -> Problem:
    """`machine` is stopped in [start, end) because what comes from it is not good. For what must be done again see `rework`."""
    return _stands(problem, plan, machine, Off(start, end, "quality", stop=True), now, frozen)


def rush(problem: Problem, job: Job, plan: Plan | None = None, *, now: Tick | None = None, frozen: Tick = 0) -> Problem:
    """One more order; with `plan`, what has begun by it is fixed. AppError where there is one of that name."""
    if any(j.name == job.name for j in problem.jobs):
        raise AppError(
            Text(f"there is an order {job.name} already", f"订单 {job.name} 已存在"),
            todo=Text("give the rush order a name of its own", "请为插单另取名称"),
        )
    problem = _at(problem, plan, now, frozen)
    return msgspec.structs.replace(problem, jobs=(*problem.jobs, job))


def late_material(
    problem: Problem, material: str, at: Tick, *, source: str = "", plan: Plan | None = None, now: Tick | None = None, frozen: Tick = 0
) -> Problem:
    """What is still to come of `material` (from `source`, where it is named) and was to come before `at` comes then. AppError where nothing
    of it is to come. Frozen operations that need it are free again."""
    own = {f.operation for f in problem.fixed}
    problem = _at(problem, plan, now, frozen)

    def late(a: Arrival) -> bool:
        return a.material == material and a.at > problem.now and (not source or a.source == source)

    if not any(late(a) for a in problem.arrivals):
        raise AppError(
            Text(f"nothing of {material} is still to come", f"物料 {material} 没有待到货记录"),
            todo=Text("name a material with a delivery after now", "请指定当前时刻之后仍有到货的物料"),
        )
    arrivals = tuple(msgspec.structs.replace(a, at=max(at, a.at)) if late(a) else a for a in problem.arrivals)
    users = {o.name for j in problem.jobs for o in j.operations if material in o.uses}
    early = {f.operation for f in problem.fixed if f.operation in users and f.start < at}
    return _settled(_freed(msgspec.structs.replace(problem, arrivals=arrivals), early), own)


def rework(problem: Problem, operation: str, *, duration: float = 1.0, plan: Plan | None = None, now: Tick | None = None) -> Problem:
    """`operation` must be done once more, in `duration` of its time, before the rest of its job that has not begun goes on. AppError where
    there is no such operation."""
    own = {f.operation for f in problem.fixed}
    problem = _at(problem, plan, now, 0)
    started = {f.operation for f in problem.fixed if f.start < problem.now}
    jobs = []
    for j in problem.jobs:
        found = next((o for o in j.operations if o.name == operation), None)
        jobs.append(j if found is None else _once_more(j, found, duration, started))
    if tuple(jobs) == problem.jobs:
        raise AppError(Text(f"there is no operation {operation}", f"没有工序 {operation}"))
    changed = msgspec.structs.replace(problem, jobs=tuple(jobs))
    made = {o.name for j in jobs for o in j.operations} - {o.name for j in problem.jobs for o in j.operations}
    return _settled(_freed(changed, made), own)


def _once_more(job: Job, operation: Operation, duration: float, started: set[str]) -> Job:
    names = {o.name for o in job.operations}
    number = 1
    while f"{operation.name}/{_REWORK}{number}" in names:
        number += 1
    made = msgspec.structs.replace(
        operation,
        name=f"{operation.name}/{_REWORK}{number}",
        choices=tuple(Choice(c.machine, max(1, round(c.duration * duration))) for c in operation.choices),
        uses={},
        after=(operation.name, *(o.name for o in job.operations if o.name in started and o.name != operation.name)),
    )
    following = _followers((job,), {operation.name})
    rows: list[Operation] = []
    previous: tuple[str, ...] = ()
    for o in job.operations:
        after = previous if o.after is None else o.after
        waits = o.name in following and o.name not in started
        rows.append(msgspec.structs.replace(o, after=(*after, made.name) if waits else after))
        previous = (o.name,)
    return msgspec.structs.replace(job, operations=(*rows, made))


def _followers(jobs: Iterable[Job], names: set[str]) -> set[str]:
    """What comes after any of `names`, directly or not."""
    after: dict[str, list[str]] = {}
    for j in jobs:
        previous: tuple[str, ...] = ()
        for o in j.operations:
            for b in previous if o.after is None else o.after:
                after.setdefault(b, []).append(o.name)
            previous = (o.name,)
    reached: set[str] = set()
    left = list(names)
    while left:
        for f in after.get(left.pop(), ()):
            if f not in reached:
                reached.add(f)
                left.append(f)
    return reached


def _at(problem: Problem, plan: Plan | None, now: Tick | None, frozen: Tick) -> Problem:
    if plan is None:
        return problem if now is None else msgspec.structs.replace(problem, now=max(now, problem.now))
    return begun(problem, plan, problem.now if now is None else now, frozen)


def _stands(problem: Problem, plan: Plan, machine: str, off: Off, now: Tick | None, frozen: Tick) -> Problem:
    if all(m.name != machine for m in problem.machines):
        raise AppError(Text(f"there is no machine {machine}", f"没有设备 {machine}"))
    if off.end <= off.start:
        raise AppError(Text(f"{machine} cannot stand from {off.start} to {off.end}", f"设备 {machine} 的停机结束不晚于开始"))
    own = {f.operation for f in problem.fixed}
    problem = _at(problem, plan, now, frozen)
    before = next(m for m in problem.machines if m.name == machine)
    after = msgspec.structs.replace(before, off=(*before.off, off))
    fixed = tuple(_lengthened(f, before, after, off) if f.machine == machine and f.start < problem.now else f for f in problem.fixed)
    machines = tuple(after if m.name == machine else m for m in problem.machines)
    changed = msgspec.structs.replace(problem, machines=machines, fixed=fixed)
    ends = {p.operation: p.end for p in plan.assigned}
    across = {f.operation for f in fixed if f.machine == machine and f.start < off.end and off.start < ends.get(f.operation, f.start + 1)}
    return _settled(_freed(changed, across), own)


def _lengthened(f: Fixed, before: Machine, after: Machine, off: Off) -> Fixed:
    """What has begun and would lie across the stop goes on behind it."""
    if f.end is None or not f.start < off.end or not off.start < f.end:
        return f
    left = sum(max(0, min(e, f.end) - max(s, off.start, f.start)) for s, e, _ in windows(before.off))
    end = f.end
    for s, e, _ in windows(after.off):
        s = max(s, off.start, f.start)
        if left > 0 and e > s:
            end = min(e, s + left)
            left -= end - s
    return msgspec.structs.replace(f, end=end)


def _freed(problem: Problem, names: set[str]) -> Problem:
    """Without the fixing of those, and of what follows them, that have not begun."""
    free = names | _followers(problem.jobs, names)
    return msgspec.structs.replace(problem, fixed=tuple(f for f in problem.fixed if f.operation not in free or f.start < problem.now))


def _settled(problem: Problem, own: set[str]) -> Problem:
    """Without what was fixed only because it stands in the frozen zone (not among the problem's `own`) and can no longer stand where it
    does: something before it on its machine has become longer, or left it in another family."""
    while any(f.operation not in own and f.start >= problem.now for f in problem.fixed):
        bad = _squeezed(Arrays.of(problem), own)
        if not bad:
            break
        problem = _freed(problem, bad)
    return problem


def _squeezed(a: Arrays, own: set[str]) -> set[str]:
    t, found = a.tables, set()
    for m in range(len(t.machine) - 1):
        free, family = -FOREVER, int(t.machine[m, M_FAMILY])
        for f in t.fix[t.machine[m, M_FIX] : t.machine[m + 1, M_FIX]]:
            start, end, after = int(t.op[f, FIXED_START]), int(t.op[f, FIXED_END]), int(t.op[f, FAMILY])
            setup = int(t.setup[t.machine[m, M_SETUPS], family, after]) if family and after else 0
            together = t.machine[m, M_BATCH] > 1 and free == end
            begin = back(t.window_ptr, t.window, t.op[f, FIXED_CALENDAR], start, setup)
            if begin < free and not t.op[f, BEGUN] and not together and a.operations[f].name not in own:
                found.add(a.operations[f].name)
                break  # what stands behind it may do so again
            free, family = max(free, end), after or family
    return found
