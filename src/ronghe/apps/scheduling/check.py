"""The one independent checker: does a plan hold, and what is it worth? Shares no code with the solvers; reads like the rules in `problem`.

It is written to be read and believed, not to be fast (about 20 µs an operation).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec

from ronghe.apps.scheduling.problem import Assigned, Fixed, Job, Machine, Off, Operation, Plan, Problem, Tick
from ronghe.text import Text

_ROUNDING = 1e-6  # of quantities and weighted sums, relative to their size


class Figures(NamedTuple):
    """What a plan is worth; `tardiness` is weighted, `objective` that of the problem's weights."""

    makespan: Tick
    tardiness: float
    setup: Tick
    objective: float


def check(problem: Problem, plan: Plan) -> list[Text]:
    """Every violation in words, each naming what it concerns; [] when the plan holds. The problem itself is taken to be sound."""
    shop = _Shop.of(problem)
    said = list(_complete(shop, plan))
    things = list(_things(shop, plan))
    for thing in things:
        said += _together(shop, thing)
        said += _in_time(shop, thing)
    said += _machines(shop, things)
    said += _precedence(shop, plan)
    said += _people(shop, things)
    said += _materials(shop, plan)
    return said


def measure(problem: Problem, plan: Plan) -> Figures:
    """Make-span, weighted tardiness, set-up time and objective, computed anew from where the operations lie."""
    shop = _Shop.of(problem)
    ends: dict[str, Tick] = {}
    for a in plan.assigned:
        if a.operation in shop.operation:
            job = shop.operation[a.operation][1].name
            ends[job] = max(ends.get(job, a.end), a.end)
    tardiness = sum(j.weight * max(0, ends[j.name] - j.due) for j in problem.jobs if j.due is not None and j.name in ends)
    setup = sum(needed for _, needed in _setups(shop, list(_things(shop, plan))))
    makespan = max(ends.values(), default=0)
    w = problem.weights
    return Figures(makespan, tardiness, setup, w.makespan * makespan + w.tardiness * tardiness + w.setup * setup)


def stamped(problem: Problem, plan: Plan) -> Plan:
    """The plan with its figures measured anew."""
    f = measure(problem, plan)
    return msgspec.structs.replace(plan, makespan=f.makespan, tardiness=f.tardiness, setup=f.setup, objective=f.objective)


def claims(problem: Problem, plan: Plan) -> list[Text]:
    """What a plan says of itself and is not so: its figures, and a lower bound above its own objective."""
    said = []
    real = measure(problem, plan)
    for name, stated, actual in [
        (Text("make-span", "完工时间"), plan.makespan, real.makespan),
        (Text("tardiness", "拖期"), plan.tardiness, real.tardiness),
        (Text("set-up time", "换型时间"), plan.setup, real.setup),
        (Text("objective", "目标值"), plan.objective, real.objective),
    ]:
        if abs(stated - actual) > _ROUNDING * max(1.0, abs(actual)):
            said.append(
                Text(f"the plan states {name.en} {stated:g}; it is {actual:g}", f"计划所述{name.zh}为 {stated:g}，实际为 {actual:g}")
            )
    if plan.lower_bound is not None and plan.lower_bound > real.objective + _ROUNDING * max(1.0, abs(real.objective)):
        said.append(
            Text(
                f"the plan states the lower bound {plan.lower_bound:g}, above its objective {real.objective:g}",
                f"计划所述下界 {plan.lower_bound:g} 高于其目标值 {real.objective:g}",
            )
        )
    return said


@dataclass(slots=True)
class _Calendar:
    """When something is off, as disjoint intervals in order, with the off ticks before each."""

    starts: list[Tick]
    ends: list[Tick]
    before: list[Tick]

    @classmethod
    def of(cls, offs: Iterable[Off]) -> _Calendar:
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
class _Shop:
    """The problem by name."""

    problem: Problem
    machine: dict[str, Machine]
    operation: dict[str, tuple[Operation, Job]]
    before: dict[str, tuple[str, ...]]
    fixed: dict[str, Fixed]
    setup: dict[tuple[str, str, str], Tick]
    off: dict[str, tuple[Off, ...]]  # pool → when
    calendars: dict[tuple[str, tuple[str, ...], bool], _Calendar] = field(default_factory=dict)

    @classmethod
    def of(cls, problem: Problem) -> _Shop:
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

    def calendar(self, machine: str, pools: Iterable[str], stops: bool) -> _Calendar:
        """When a machine or one of the pools is off; with `stops` only its stops."""
        key = (machine, tuple(sorted(pools)), stops)
        if key not in self.calendars:
            offs = [*self.machine[machine].off, *(o for p in key[1] for o in self.off.get(p, ()))]
            self.calendars[key] = _Calendar.of(o for o in offs if o.stop or not stops)
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
class _Thing:
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


def _things(shop: _Shop, plan: Plan) -> Iterator[_Thing]:
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
        yield _Thing(
            shop.machine[machine],
            parts,
            all(shop.begun(p.operation) for p in parts),
            operations[0].family,
            all(o.pauses for o in operations),
            {pool: n for pool, n in needs.items() if n > 0},
            order,
        )


def _complete(shop: _Shop, plan: Plan) -> Iterator[Text]:
    """Every operation once, on a machine that can do it, where it is fixed."""
    count = Counter(a.operation for a in plan.assigned)
    for name in shop.operation:
        if count[name] == 0:
            yield Text(f"{name} is not in the plan", f"计划中缺少工序 {name}")
        elif count[name] > 1:
            yield Text(f"{name} is in the plan {count[name]} times", f"工序 {name} 在计划中出现 {count[name]} 次")
    for a in plan.assigned:
        if a.operation not in shop.operation:
            yield Text(f"the plan holds {a.operation}, which is no operation of the problem", f"计划中的 {a.operation} 不是本问题的工序")
            continue
        if a.machine not in shop.machine:
            yield Text(f"{a.operation} lies on {a.machine}, which does not exist", f"{a.operation} 排在不存在的设备 {a.machine} 上")
            continue
        fixed = shop.fixed.get(a.operation)
        if fixed is None:
            if shop.duration(a.operation, a.machine) is None:
                yield Text(f"{a.machine} cannot do {a.operation}", f"设备 {a.machine} 不能加工 {a.operation}")
            if a.setup_start < shop.problem.now or a.start < shop.problem.now:
                now, at = shop.when(shop.problem.now), shop.when(min(a.setup_start, a.start))
                yield Text(f"{a.operation} begins at {at}, before now ({now})", f"{a.operation} 在 {at} 开始，早于当前时刻（{now}）")
        elif (a.machine, a.start) != (fixed.machine, fixed.start) or fixed.end not in (None, a.end):
            yield Text(
                f"{a.operation} is fixed on {fixed.machine} at {shop.when(fixed.start)}; the plan moves it",
                f"{a.operation} 已固定在 {fixed.machine}、{shop.when(fixed.start)}，计划却移动了它",
            )


def _together(shop: _Shop, thing: _Thing) -> Iterator[Text]:
    """A batch is one thing and not too large."""
    if len(thing.parts) == 1:
        return
    if len(thing.parts) > thing.machine.batch:
        yield Text(
            f"{thing.machine.name} does {thing.machine.batch} at once; the batch {thing.name} has {len(thing.parts)}",
            f"设备 {thing.machine.name} 一批最多 {thing.machine.batch} 件，批次 {thing.name} 有 {len(thing.parts)} 件",
        )
    if len({(p.setup_start, p.start, p.end) for p in thing.parts}) > 1:
        yield Text(f"the batch {thing.name} does not start and end as one", f"批次 {thing.name} 的开始与结束时间不一致")
    if len({shop.operation[p.operation][0].family for p in thing.parts}) > 1:
        yield Text(f"the batch {thing.name} mixes families", f"批次 {thing.name} 混合了不同的产品族")


def _in_time(shop: _Shop, thing: _Thing) -> Iterator[Text]:
    """Release, duration and calendars of one thing."""
    for p in thing.parts:
        if not p.setup_start <= p.start <= p.end:
            yield Text(f"{p.operation}: set-up, start and end are out of order", f"{p.operation} 的换型、开始、结束时间顺序有误")
            return
        job = shop.operation[p.operation][1]
        if not shop.begun(p.operation) and p.start < job.release:
            yield Text(
                f"{p.operation} starts at {shop.when(p.start)}, before {job.name} is released ({shop.when(job.release)})",
                f"{p.operation} 在 {shop.when(p.start)} 开始，早于订单 {job.name} 的下达时间（{shop.when(job.release)}）",
            )
    if thing.begun and any(shop.fixed[p.operation].end is not None for p in thing.parts):
        return
    ends = [shop.fixed[p.operation].end for p in thing.parts if p.operation in shop.fixed]
    given = any(e is not None for e in ends)
    lasts = max((shop.duration(p.operation, thing.machine.name) or 0 for p in thing.parts), default=0)
    off = shop.calendar(thing.machine.name, thing.needs, stops=False)
    stop = shop.calendar(thing.machine.name, thing.needs, stops=True)
    if not given:
        worked = thing.end - thing.start - off.off(thing.start, thing.end)
        if worked != lasts:
            yield Text(
                f"{thing.name} is worked on for {worked} ticks on {thing.machine.name}; it takes {lasts}",
                f"{thing.name} 在 {thing.machine.name} 上实际加工 {worked} 个时间单位，应为 {lasts}",
            )
        elif lasts and (off.off(thing.start, thing.start + 1) or off.off(thing.end - 1, thing.end)):
            yield Text(
                f"{thing.name} starts or ends while {thing.machine.name} or its people are off",
                f"{thing.name} 的开始或结束落在 {thing.machine.name} 或人员的非工作时间",
            )
    if thing.begun:
        return
    until = thing.start if given else thing.end
    if stop.off(thing.setup_start, until):
        yield Text(
            f"{thing.name} lies across a stop of {thing.machine.name} or its people",
            f"{thing.name} 跨越了 {thing.machine.name} 或人员的停机时段",
        )
    elif not thing.pauses and off.off(thing.setup_start, until):
        yield Text(
            f"{thing.name} must not pause, but lies across a pause of {thing.machine.name} or its people",
            f"{thing.name} 不允许中断，却跨越了 {thing.machine.name} 或人员的非工作时间",
        )
    if thing.setup_start < thing.start and off.off(thing.setup_start, thing.setup_start + 1):
        yield Text(
            f"the set-up of {thing.name} starts while {thing.machine.name} or its people are off",
            f"{thing.name} 的换型开始于 {thing.machine.name} 或人员的非工作时间",
        )


def _sequences(things: list[_Thing]) -> Iterator[list[_Thing]]:
    """The things on each machine in their order."""
    on: dict[str, list[_Thing]] = defaultdict(list)
    for t in things:
        on[t.machine.name].append(t)
    for there in on.values():
        yield sorted(there, key=lambda t: (t.setup_start, t.end, t.order))


def _setups(shop: _Shop, things: list[_Thing]) -> Iterator[tuple[_Thing, Tick]]:
    """How long the set-up of each thing must be, in their order; what has begun needs none."""
    for there in _sequences(things):
        family = there[0].machine.family
        for t in there:
            yield t, 0 if t.begun else shop.between(t.machine.name, family, t.family)
            family = t.family or family


def _machines(shop: _Shop, things: list[_Thing]) -> Iterator[Text]:
    """One thing at a time, each set up for."""
    for there in _sequences(things):
        latest = there[0]
        for t in there[1:]:
            if t.setup_start < latest.end and not (t.begun and latest.begun):
                yield Text(
                    f"{latest.name} and {t.name} overlap on {t.machine.name} at {shop.when(t.setup_start)}",
                    f"{latest.name} 与 {t.name} 在设备 {t.machine.name} 上重叠（{shop.when(t.setup_start)}）",
                )
            latest = max(latest, t, key=lambda x: x.end)
    for t, needed in _setups(shop, things):
        if t.begun:
            continue
        took = t.start - t.setup_start - shop.calendar(t.machine.name, t.needs, stops=False).off(t.setup_start, t.start)
        if took != needed or (not needed and t.setup_start != t.start):
            yield Text(
                f"{t.name} needs a set-up of {needed} on {t.machine.name}; the plan gives it {took}",
                f"{t.name} 在 {t.machine.name} 上需换型 {needed} 个时间单位，计划中为 {took}",
            )


def _precedence(shop: _Shop, plan: Plan) -> Iterator[Text]:
    at = {a.operation: a for a in plan.assigned}
    for a in plan.assigned:
        if shop.begun(a.operation):
            continue
        for name in shop.before.get(a.operation, ()):
            if name in at and a.start < at[name].end:
                yield Text(
                    f"{a.operation} starts at {shop.when(a.start)}, before {name} ends ({shop.when(at[name].end)})",
                    f"{a.operation} 在 {shop.when(a.start)} 开始，而前道工序 {name} 到 {shop.when(at[name].end)} 才结束",
                )


def _people(shop: _Shop, things: list[_Thing]) -> Iterator[Text]:
    """At no tick more of a pool in use than it has; the first excess of each pool is told."""
    for pool in shop.problem.pools:
        users = [t for t in things if pool.name in t.needs and t.end > t.setup_start]
        changes: dict[Tick, int] = defaultdict(int)
        for t in users:
            changes[t.setup_start] += t.needs[pool.name]
            changes[t.end] -= t.needs[pool.name]
        used = 0
        for at in sorted(changes):
            used += changes[at]
            if used <= pool.size:
                continue
            there = [t for t in users if t.setup_start <= at < t.end]
            if all(t.begun for t in there):
                continue
            names = ", ".join(t.name for t in there)
            yield Text(
                f"{names} need {used} of {pool.name} at {shop.when(at)}; there are {pool.size}",
                f"{shop.when(at)} 时 {names} 共需 {pool.name} {used}，仅有 {pool.size}",
            )
            break


def _materials(shop: _Shop, plan: Plan) -> Iterator[Text]:
    """Nothing is taken before it has come; the first shortage of each material is told."""
    taken: dict[str, list[tuple[Tick, Assigned, float]]] = defaultdict(list)
    for a in plan.assigned:
        if a.operation in shop.operation:
            for material, quantity in shop.operation[a.operation][0].uses.items():
                taken[material].append((a.start, a, quantity))
    for material, uses in taken.items():
        come = sorted((x.at, x.quantity) for x in shop.problem.arrivals if x.material == material)
        there, i, total = 0.0, 0, sum(q for _, q in come)
        # Of those that start together the begun ones are served first: they have their material.
        for at, a, quantity in sorted(uses, key=lambda u: (u[0], not shop.begun(u[1].operation), u[1].operation)):
            while i < len(come) and come[i][0] <= at:
                there += come[i][1]
                i += 1
            there -= quantity
            if there < -_ROUNDING * max(1.0, total) and not shop.begun(a.operation):
                yield Text(
                    f"{a.operation} takes {quantity:g} {material} at {shop.when(at)}; {-there:g} of it is not there yet",
                    f"{a.operation} 在 {shop.when(at)} 需用 {material} {quantity:g}，尚缺 {-there:g}",
                )
                break
