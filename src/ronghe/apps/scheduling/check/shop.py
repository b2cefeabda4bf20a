"""A problem by name, for the checker: its calendars, and what occupies a machine in a plan."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from ronghe.apps.scheduling.problem import Assigned, Fixed, Job, Machine, Off, Operation, Plan, Problem, Tick


@dataclass(slots=True)
class Calendar:
    """When something is off, as disjoint intervals in order, with the off ticks before each."""

    starts: list[Tick]
    ends: list[Tick]
    before: list[Tick]

    @classmethod
    def of(cls, offs: Iterable[Off]) -> Calendar:
        starts: list[Tick] = []
        ends: list[Tick] = []
        for off in sorted(offs, key=lambda o: (o.start, o.end)):
            if ends and off.start <= ends[-1]:
                ends[-1] = max(ends[-1], off.end)
            else:
                starts.append(off.start)
                ends.append(off.end)
        before = [0]
        for s, e in zip(starts, ends, strict=True):
            before.append(before[-1] + e - s)
        return cls(starts, ends, before)

    def _until(self, t: Tick) -> Tick:
        i = bisect_right(self.starts, t)
        return self.before[i] - (max(0, self.ends[i - 1] - t) if i else 0)

    def off(self, a: Tick, b: Tick) -> Tick:
        """How many ticks of [a, b) are off."""
        return self._until(b) - self._until(a) if b > a else 0


@dataclass(slots=True)
class Shop:
    """The problem by name."""

    problem: Problem
    machine: dict[str, Machine]
    operation: dict[str, tuple[Operation, Job]]
    before: dict[str, tuple[str, ...]]
    fixed: dict[str, Fixed]
    setup: dict[tuple[str, str, str], Tick]
    off: dict[str, tuple[Off, ...]]  # pool → when
    calendars: dict[tuple[str, tuple[str, ...], bool], Calendar] = field(default_factory=dict)

    @classmethod
    def of(cls, problem: Problem) -> Shop:
        operation = {}
        before = {}
        for job in problem.jobs:
            previous: tuple[str, ...] = ()
            for o in job.operations:
                operation[o.name] = (o, job)
                before[o.name] = previous if o.after is None else o.after
                previous = (o.name,)
        return cls(
            problem,
            {m.name: m for m in problem.machines},
            operation,
            before,
            {f.operation: f for f in problem.fixed},
            {(s.machine, s.before, s.after): s.duration for s in problem.setups},
            {p.name: p.off for p in problem.pools},
        )

    def begun(self, operation: str) -> bool:
        fixed = self.fixed.get(operation)
        return fixed is not None and fixed.start < self.problem.now

    def calendar(self, machine: str, pools: Iterable[str], stops: bool) -> Calendar:
        """When a machine or one of the pools is off; with `stops` only its stops."""
        key = (machine, tuple(sorted(pools)), stops)
        if key not in self.calendars:
            offs = [*self.machine[machine].off, *(o for p in key[1] for o in self.off.get(p, ()))]
            self.calendars[key] = Calendar.of(o for o in offs if o.stop or not stops)
        return self.calendars[key]

    def between(self, machine: str, before: str, after: str) -> Tick:
        """The set-up's length; 0 from or to no family."""
        if not before or not after:
            return 0
        return self.setup.get((machine, before, after), self.setup.get(("", before, after), 0))

    def duration(self, operation: str, machine: str) -> Tick | None:
        return next((c.duration for c in self.operation[operation][0].choices if c.machine == machine), None)

    def when(self, t: Tick) -> str:
        """A tick as people read it."""
        if not self.problem.start:
            return str(t)
        at = datetime.fromtimestamp(self.problem.start // 10**9, UTC) + timedelta(seconds=t * self.problem.tick)
        return at.strftime("%Y-%m-%d %H:%M:%S")


@dataclass(slots=True)
class Thing:
    """What occupies a machine: one operation, or a batch."""

    machine: Machine
    parts: list[Assigned]
    begun: bool
    family: str
    pauses: bool
    needs: dict[str, int]
    order: int  # place in the plan

    @property
    def name(self) -> str:
        return "+".join(p.operation for p in self.parts)

    @property
    def setup_start(self) -> Tick:
        return min(p.setup_start for p in self.parts)

    @property
    def start(self) -> Tick:
        return self.parts[0].start

    @property
    def end(self) -> Tick:
        return max(p.end for p in self.parts)


def things(shop: Shop, plan: Plan) -> Iterator[Thing]:
    groups: dict[tuple[str, int], list[Assigned]] = defaultdict(list)
    for i, a in enumerate(plan.assigned):
        if a.operation in shop.operation and a.machine in shop.machine:
            groups[a.machine, a.batch if a.batch > 0 else -1 - i].append(a)
    for order, ((machine, _), parts) in enumerate(groups.items()):
        operations = [shop.operation[p.operation][0] for p in parts]
        needs: dict[str, int] = {}
        for o in operations:
            for pool, n in o.people.items():
                needs[pool] = max(n, needs.get(pool, 0))
        yield Thing(
            shop.machine[machine],
            parts,
            all(shop.begun(p.operation) for p in parts),
            operations[0].family,
            all(o.pauses for o in operations),
            {pool: n for pool, n in needs.items() if n > 0},
            order,
        )
