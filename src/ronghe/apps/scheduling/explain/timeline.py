"""A job's own time, from its release to its end, cut into pieces that each have one cause.

The pieces follow the chain that decides the job's end: from its last operation back through whatever ended last before each one. Waiting is
laid to what the machine did meanwhile, to material where that came later still, to pauses and stops, to people.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from ronghe.apps.scheduling.problem import Assigned, Job, Off, Operation, Plan, Problem, Tick

Kind = Literal["work", "setup", "machine", "material", "pause", "stop", "people", "now", "planned"]


@dataclass(frozen=True, slots=True)
class Piece:
    """[start, end) of the job's time. `other`: the job behind which it waits, the material, the pool, or why something is off."""

    kind: Kind
    operation: str
    machine: str
    start: Tick
    end: Tick
    other: str = ""
    at: Tick = 0  # of material: when it comes


@dataclass(slots=True)
class Shop:
    """A problem and a plan by name."""

    problem: Problem
    operation: dict[str, tuple[Operation, Job]] = field(default_factory=dict)
    before: dict[str, tuple[str, ...]] = field(default_factory=dict)
    at: dict[str, Assigned] = field(default_factory=dict)
    on: dict[str, list[Assigned]] = field(default_factory=dict)  # machine → what it does, in order

    @classmethod
    def of(cls, problem: Problem, plan: Plan) -> Shop:
        shop = cls(problem)
        for j in problem.jobs:
            previous: tuple[str, ...] = ()
            for o in j.operations:
                shop.operation[o.name] = (o, j)
                shop.before[o.name] = previous if o.after is None else o.after
                previous = (o.name,)
        on = defaultdict(list)
        for a in sorted(plan.assigned, key=lambda a: (a.setup_start, a.end)):
            if a.operation in shop.operation:
                shop.at[a.operation] = a
                on[a.machine].append(a)
        shop.on = dict(on)
        return shop

    def end(self, job: Job) -> Tick | None:
        """When the job ends; None where the plan lacks one of its operations."""
        ends = [self.at[o.name].end for o in job.operations if o.name in self.at]
        return max(ends) if len(ends) == len(job.operations) and ends else None

    def offs(self, a: Assigned) -> list[Off]:
        """When its machine or its people are off."""
        machine = next((m.off for m in self.problem.machines if m.name == a.machine), ())
        people = self.operation[a.operation][0].people
        return [*machine, *(o for p in self.problem.pools if people.get(p.name) for o in p.off)]


def timeline(shop: Shop, job: Job) -> list[Piece]:
    """The pieces from the release of the job (or of the one its chain begins in) to its end, in order of time."""
    last = max((shop.at[o.name] for o in job.operations), key=lambda a: a.end)
    pieces: list[Piece] = []
    a: Assigned | None = last
    while a is not None:
        before = [shop.at[b] for b in shop.before[a.operation] if b in shop.at]
        previous = max(before, key=lambda b: b.end, default=None)
        ready = previous.end if previous is not None else shop.operation[a.operation][1].release
        ready = min(ready, a.start)
        pieces += reversed([p for p in _operation(shop, a, ready) if p.end > p.start])
        a = previous
    return pieces[::-1]


def _operation(shop: Shop, a: Assigned, ready: Tick) -> Iterator[Piece]:
    """From when it could have begun to its end."""
    begin = max(ready, min(a.setup_start, a.start))
    yield from _waiting(shop, a, ready, begin)
    yield from _split(shop, a, "setup", begin, a.start)
    yield from _split(shop, a, "work", a.start, a.end)


def _split(shop: Shop, a: Assigned, kind: Kind, start: Tick, end: Tick, other: str = "") -> Iterator[Piece]:
    """[start, end) as `kind`, without what is off."""
    at = start
    for off in sorted(shop.offs(a), key=lambda o: (o.start, o.end)):
        s, e = max(at, off.start), min(end, off.end)
        if e > s:
            yield Piece(kind, a.operation, a.machine, at, s, other)
            yield Piece("stop" if off.stop else "pause", a.operation, a.machine, s, e, off.why)
            at = e
    yield Piece(kind, a.operation, a.machine, at, end, other)


def _waiting(shop: Shop, a: Assigned, ready: Tick, begin: Tick) -> Iterator[Piece]:
    if begin <= ready:
        return
    others = [b for b in shop.on[a.machine] if b.operation != a.operation and not (b.batch and b.batch == a.batch)]
    there = [b for b in others if b.end <= begin and b.end > ready]
    free = max((b.end for b in there), default=ready)
    material, comes, source = _material(shop, a)
    at = ready
    if comes > max(free, ready) and comes <= a.start:
        at = min(comes, begin)
        yield Piece("material", a.operation, a.machine, ready, at, f"{material}\n{source}", comes)
    else:
        for b in sorted(there, key=lambda b: b.end):
            yield from _split(shop, b, "machine", at, b.end, shop.operation[b.operation][1].name)
            at = b.end
    now = min(max(at, shop.problem.now), begin)
    fixed = any(f.operation == a.operation for f in shop.problem.fixed)
    if now > at and not fixed:
        yield Piece("now", a.operation, a.machine, at, now)
        at = now
    pool = _crowded(shop, a, at, begin)
    yield from _split(shop, a, "people" if pool else "planned", at, begin, pool)


def _material(shop: Shop, a: Assigned) -> tuple[str, Tick, str]:
    """(material, when enough of it for this operation too has come, from where) of the one that comes last; ("", -1, "") without any."""
    latest = ("", -1, "")
    for name, quantity in shop.operation[a.operation][0].uses.items():
        users = ((b, shop.operation[b.operation][0].uses.get(name, 0.0)) for b in shop.at.values())
        needed = quantity + sum(q for b, q in users if (b.start, b.operation) < (a.start, a.operation))
        come = 0.0
        for x in sorted((x for x in shop.problem.arrivals if x.material == name), key=lambda x: x.at):
            come += x.quantity
            if come >= needed * (1 - 1e-9):
                if x.at > latest[1]:
                    latest = (name, x.at, x.source)
                break
    return latest


def _crowded(shop: Shop, a: Assigned, start: Tick, end: Tick) -> str:
    """A pool that others use too much of, somewhere in [start, end), for this operation to have begun."""
    needs = shop.operation[a.operation][0].people
    for pool in shop.problem.pools:
        needed = needs.get(pool.name, 0)
        users = [b for b in shop.at.values() if b.operation != a.operation and shop.operation[b.operation][0].people.get(pool.name)]
        lying = [b for b in users if b.setup_start < end and start < b.end]
        if needed and any(_used(shop, pool.name, lying, t) + needed > pool.size for t in {start, *(b.setup_start for b in lying)}):
            return pool.name
    return ""


def _used(shop: Shop, pool: str, lying: Iterable[Assigned], t: Tick) -> int:
    return sum(shop.operation[b.operation][0].people[pool] for b in lying if b.setup_start <= t < b.end)
