"""A problem as flat arrays: what the compiled kernels read. Indices follow the problem's own order; nothing is lost but the names.

Rows of varying length (choices of an operation, windows of a calendar …) lie end to end, with `*_ptr[i]:*_ptr[i + 1]` the i-th (CSR).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ronghe.apps.scheduling.problem import Off, Operation, Problem, Tick

FOREVER: Final = 1 << 50
"""Ticks: later than anything that is planned."""

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


# Columns of the tables below. In `op`, the last four say where the rows of an operation begin in choice, before, people and uses.
JOB, FAMILY, PAUSES, CREW, TAIL, LATEST, FIXED, FIXED_START, FIXED_END, FIXED_CALENDAR, BEGUN, CHOICE, BEFORE, PEOPLE, USES = range(15)
C_MACHINE, C_DURATION, C_CALENDAR = range(3)
M_BATCH, M_SETUPS, M_FAMILY, M_FIX = range(4)  # of `machine`; setups: first index of `setup`, fix: where its rows begin in `fix`
J_RELEASE, J_DUE, J_WEIGHT, J_FIRST = range(4)  # first: its first operation
NOW, W_MAKESPAN, W_TARDINESS, W_SETUP = range(4)  # of `scalars`


class Tables(NamedTuple):
    """n operations, j jobs, m machines, f families (0: none), k calendars, p pools, q materials. Times are ticks. Few and wide, because
    each array that is handed on costs compile time."""

    op: Ints  # (n + 1, 15) crew: equal where the same people are needed; tail: least work of its job after it; latest: must have ended by
    choice: Ints  # (…, 3)
    before: Ints  # (…,) operations that must have ended
    people: Ints  # (…, 2) pool, how many
    uses: Floats  # (…, 2) material, quantity
    job: Floats  # (j + 1, 4) due: FOREVER where there is none
    machine: Ints  # (m + 1, 4)
    setup: Ints  # (classes, f, f)
    fix: Ints  # (…,) fixed operations of a machine in their order
    window_ptr: Ints  # (k + 1,)
    window: Ints  # (…, 3) start, end, span: windows with the same span are parted by pauses only
    pool: Ints  # (p,) size
    supply_ptr: Ints  # (q + 1,)
    supply: Floats  # (…, 2) tick, and how much may be taken from then on by what is not fixed
    scalars: Floats  # (4,)


@dataclass(frozen=True, slots=True)
class Arrays:
    """`tables` for the kernels, and the way back to names."""

    problem: Problem
    tables: Tables
    operations: tuple[Operation, ...]
    index: dict[str, int]  # operation → row
    machine: dict[str, int]

    @classmethod
    def of(cls, problem: Problem) -> Arrays:
        """The compiled form of a sound problem."""
        return _of(problem)

    @property
    def plain(self) -> bool:
        """No people, materials or batches: operations in the order of their starts give the same plan again."""
        t = self.tables
        return not len(t.people) and not len(t.uses) and bool((t.machine[:-1, M_BATCH] == 1).all())


def windows(offs: Iterable[Off]) -> list[tuple[Tick, Tick, int]]:
    """The working windows (start, end, span) that `offs` leave; the span changes where a stop lies between."""
    found: list[tuple[Tick, Tick, int]] = []
    at, span = -FOREVER, 0
    for off in sorted(offs, key=lambda o: (o.start, o.end)):
        if off.end <= off.start:
            continue
        if off.start > at:
            found.append((at, off.start, span))
        at = max(at, off.end)
        span += off.stop
    if at < FOREVER:
        found.append((at, FOREVER, span))
    return found


def _jobs(problem: Problem) -> Floats:
    rows = np.zeros((len(problem.jobs) + 1, 4))
    for i, j in enumerate(problem.jobs):
        rows[i] = j.release, FOREVER if j.due is None else j.due, j.weight, rows[i, J_FIRST]
        rows[i + 1, J_FIRST] = rows[i, J_FIRST] + len(j.operations)
    return rows


def _flat(rows: Sequence[Sequence[tuple[int, ...]]], width: int) -> Ints:
    return np.array([x for r in rows for x in r], np.int64).reshape(-1, width)


class _Calendars:
    """One calendar for each machine with the people an operation needs; equal ones are shared."""

    def __init__(self, problem: Problem) -> None:
        self.machine = [m.off for m in problem.machines]
        self.pool = {p.name: p.off for p in problem.pools}
        self.known: dict[tuple[int, tuple[str, ...]], int] = {}
        self.made: dict[tuple[tuple[Tick, Tick, int], ...], int] = {}

    def of(self, machine: int, operation: Operation) -> int:
        pools = tuple(sorted(p for p, n in operation.people.items() if n > 0 and self.pool.get(p)))
        key = (machine, pools)
        if key not in self.known:
            made = tuple(windows([*self.machine[machine], *(o for p in pools for o in self.pool[p])]))
            self.known[key] = self.made.setdefault(made, len(self.made))
        return self.known[key]


def _of(problem: Problem) -> Arrays:
    operations = [o for j in problem.jobs for o in j.operations]
    index = {o.name: i for i, o in enumerate(operations)}
    machine = {m.name: i for i, m in enumerate(problem.machines)}
    names = [o.family for o in operations] + [m.family for m in problem.machines]
    family = {"": 0} | {f: i + 1 for i, f in enumerate(sorted({f for f in names if f}))}
    pool = {p.name: i for i, p in enumerate(problem.pools)}
    material = {q: i for i, q in enumerate(sorted({q for o in operations for q in o.uses}))}
    calendars = _Calendars(problem)
    before = _before(problem, index)
    crews: dict[tuple[tuple[str, int], ...], int] = {}
    crew = [crews.setdefault(tuple(sorted((p, n) for p, n in o.people.items() if n > 0)), len(crews)) for o in operations]
    fix_calendar = {f.operation: calendars.of(machine[f.machine], operations[index[f.operation]]) for f in problem.fixed}
    choice = [[(machine[c.machine], c.duration, calendars.of(machine[c.machine], o)) for c in o.choices] for o in operations]
    people = [[(pool[p], n) for p, n in o.people.items() if n > 0] for o in operations]
    uses = [[(material[q], x) for q, x in o.uses.items()] for o in operations]
    made = list(calendars.made)
    fixed = _fixed(problem, operations, index, fix_calendar, made)
    op = _operations(problem, operations, index, family, crew, fixed, fix_calendar, before)
    rows: dict[int, list[list[Any]]] = {CHOICE: [*choice], BEFORE: [*before], PEOPLE: [*people], USES: [*uses]}
    for column, row in rows.items():
        op[:, column] = np.cumsum([0, *map(len, row)])
    setup_class, setup = _setups(problem, family)
    on: list[list[int]] = [[] for _ in problem.machines]
    for f in sorted(problem.fixed, key=lambda f: (f.start, fixed[f.operation][1])):
        on[machine[f.machine]].append(index[f.operation])
    supply_ptr, supply = _supply(problem, operations, index, material)
    w = problem.weights
    tables = Tables(
        op=op,
        choice=_flat(choice, 3),
        before=np.array([b for r in before for b in r], np.int64),
        people=_flat(people, 2),
        uses=np.array([x for r in uses for x in r], np.float64).reshape(-1, 2),
        job=_jobs(problem),
        machine=_machines(problem, family, setup_class, on),
        setup=setup,
        fix=np.array([i for r in on for i in r], np.int64),
        window_ptr=np.cumsum([0, *map(len, made)], dtype=np.int64),
        window=_flat(made, 3),
        pool=np.array([p.size for p in problem.pools], np.int64),
        supply_ptr=supply_ptr,
        supply=supply,
        scalars=np.array([problem.now, w.makespan, w.tardiness, w.setup], np.float64),
    )
    return Arrays(problem, tables, tuple(operations), index, machine)


def _operations(
    problem: Problem,
    operations: list[Operation],
    index: dict[str, int],
    family: dict[str, int],
    crew: list[int],
    fixed: dict[str, tuple[Tick, Tick]],
    fix_calendar: dict[str, int],
    before: list[list[int]],
) -> Ints:
    """`Tables.op` but for where the rows of an operation begin in other tables."""
    at = [fixed.get(o.name, (0, 0)) for o in operations]
    now = problem.now
    op = np.zeros((len(operations) + 1, 15), np.int64)
    columns: dict[int, Any] = {
        JOB: [i for i, j in enumerate(problem.jobs) for _ in j.operations],
        FAMILY: [family[o.family] for o in operations],
        PAUSES: [o.pauses for o in operations],
        CREW: crew,
        TAIL: _tails(problem, index, before, fixed),
        LATEST: _deadlines(before, operations, fixed, now),
        FIXED: [o.name in fixed for o in operations],
        FIXED_START: [s for s, _ in at],
        FIXED_END: [e for _, e in at],
        FIXED_CALENDAR: [fix_calendar.get(o.name, 0) for o in operations],
        BEGUN: [o.name in fixed and s < now for o, (s, _) in zip(operations, at, strict=True)],
    }
    for column, values in columns.items():
        op[:-1, column] = values
    return op


def _machines(problem: Problem, family: dict[str, int], setup_class: Ints, fixed: list[list[int]]) -> Ints:
    machines = np.zeros((len(problem.machines) + 1, 4), np.int64)
    machines[:-1, M_BATCH] = [m.batch for m in problem.machines]
    machines[:-1, M_SETUPS] = setup_class
    machines[:-1, M_FAMILY] = [family[m.family] for m in problem.machines]
    machines[:, M_FIX] = np.cumsum([0, *map(len, fixed)])
    return machines


def _before(problem: Problem, index: dict[str, int]) -> list[list[int]]:
    rows = []
    for j in problem.jobs:
        previous: list[int] = []
        for o in j.operations:
            rows.append(previous if o.after is None else [index[a] for a in o.after])
            previous = [index[o.name]]
    return rows


def _tails(problem: Problem, index: dict[str, int], before: list[list[int]], fixed: dict[str, tuple[Tick, Tick]]) -> Ints:
    """Least work of its own job that follows each operation, as far as it is not fixed."""
    tail = np.zeros(len(before), np.int64)
    for j in problem.jobs:
        rows = {index[o.name]: min((c.duration for c in o.choices), default=0) for o in j.operations if o.name not in fixed}
        followers = dict.fromkeys(rows, 0)
        for i in rows:
            for b in before[i]:
                if b in rows:
                    followers[b] += 1
        done = [i for i, n in followers.items() if n == 0]
        while done:
            i = done.pop()
            for b in before[i]:
                if b in rows:
                    tail[b] = max(tail[b], rows[i] + tail[i])
                    followers[b] -= 1
                    if not followers[b]:
                        done.append(b)
    return tail


def _deadlines(before: list[list[int]], operations: list[Operation], fixed: dict[str, tuple[Tick, Tick]], now: Tick) -> Ints:
    """When each operation must have ended because a fixed one that has not begun follows it."""
    latest = np.full(len(before), FOREVER, np.int64)
    for i, row in enumerate(before):
        at = fixed.get(operations[i].name)
        if at is not None and at[0] >= now:
            for b in row:
                latest[b] = min(latest[b], at[0])
    return latest


def _fixed(
    problem: Problem,
    operations: list[Operation],
    index: dict[str, int],
    calendar: dict[str, int],
    made: list[tuple[tuple[Tick, Tick, int], ...]],
) -> dict[str, tuple[Tick, Tick]]:
    """(start, end) of what is fixed; where the end is not given it follows from the duration, and moves over whatever is off."""
    found = {}
    for f in problem.fixed:
        end = f.end
        if end is None:
            left = next((c.duration for c in operations[index[f.operation]].choices if c.machine == f.machine), 0)
            end = f.start
            for a, b, _ in made[calendar[f.operation]]:
                if b <= f.start or left == 0:
                    continue
                a = max(a, f.start)
                end = min(b, a + left)
                left -= end - a
        found[f.operation] = (f.start, end)
    return found


def _setups(problem: Problem, family: dict[str, int]) -> tuple[Ints, Ints]:
    """Machines without lines of their own share the first table."""
    own = {s.machine for s in problem.setups if s.machine}
    classes = {"": 0} | {m.name: i + 1 for i, m in enumerate(m for m in problem.machines if m.name in own)}
    setup = np.zeros((len(classes), len(family), len(family)), np.int64)
    lines = [s for s in problem.setups if s.before in family and s.after in family and s.before and s.after]
    for s in lines:
        if not s.machine:
            setup[:, family[s.before], family[s.after]] = s.duration
    for s in lines:
        if s.machine:
            setup[classes[s.machine], family[s.before], family[s.after]] = s.duration
    return np.array([classes.get(m.name, 0) for m in problem.machines], np.int64), setup


def _supply(problem: Problem, operations: list[Operation], index: dict[str, int], material: dict[str, int]) -> tuple[Ints, Floats]:
    """For each material the ticks from which on more of it may be promised: what has come less what fixed operations take, now or later."""
    changes: list[dict[Tick, float]] = [{0: 0.0} for _ in material]
    for a in problem.arrivals:
        if a.material in material:
            there = changes[material[a.material]]
            there[max(0, a.at)] = there.get(max(0, a.at), 0.0) + a.quantity
    for f in problem.fixed:
        for name, quantity in operations[index[f.operation]].uses.items():
            there = changes[material[name]]
            there[max(0, f.start)] = there.get(max(0, f.start), 0.0) - quantity
    ptr: list[int] = [0]
    rows: list[tuple[float, float]] = []
    for change in changes:
        times = sorted(change)
        level = np.cumsum([change[t] for t in times])
        promised = np.minimum.accumulate(level[::-1])[::-1]
        rows += zip(times, promised, strict=True)
        ptr.append(len(rows))
    return np.array(ptr, np.int64), np.array(rows, np.float64).reshape(-1, 2)
