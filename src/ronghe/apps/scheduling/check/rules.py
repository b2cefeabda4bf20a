"""The rules of `ronghe.apps.scheduling.problem`, each as what breaks it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from ronghe.apps.scheduling.check.shop import Shop, Thing
from ronghe.apps.scheduling.problem import Assigned, Plan, Tick
from ronghe.text import Text

ROUNDING = 1e-6
"""Of quantities and weighted sums, relative to their size."""


def complete(shop: Shop, plan: Plan) -> Iterator[Text]:
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


def together(shop: Shop, thing: Thing) -> Iterator[Text]:
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


def in_time(shop: Shop, thing: Thing) -> Iterator[Text]:
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
    given = any(shop.fixed[p.operation].end is not None for p in thing.parts if p.operation in shop.fixed)
    if not given:
        yield from _worked(shop, thing)
    if not thing.begun:
        yield from _open(shop, thing, thing.start if given else thing.end)


def _worked(shop: Shop, thing: Thing) -> Iterator[Text]:
    """As many working ticks as it lasts, the first and the last among them."""
    lasts = max((shop.duration(p.operation, thing.machine.name) or 0 for p in thing.parts), default=0)
    off = shop.calendar(thing.machine.name, thing.needs, stops=False)
    worked = thing.end - thing.start - off.off(thing.start, thing.end)
    if worked != lasts:
        yield Text(
            f"{thing.name} is worked on for {worked} ticks on {thing.machine.name}; it takes {lasts}",
            f"{thing.name} 在 {thing.machine.name} 上实际加工 {worked} 个时间单位，应为 {lasts}",
        )
    elif lasts and ((off.off(thing.start, thing.start + 1) and not thing.begun) or off.off(thing.end - 1, thing.end)):
        yield Text(
            f"{thing.name} starts or ends while {thing.machine.name} or its people are off",
            f"{thing.name} 的开始或结束落在 {thing.machine.name} 或人员的非工作时间",
        )


def _open(shop: Shop, thing: Thing, until: Tick) -> Iterator[Text]:
    """From the start of its set-up `until` there is no stop, and no pause that it must not lie across."""
    off = shop.calendar(thing.machine.name, thing.needs, stops=False)
    if shop.calendar(thing.machine.name, thing.needs, stops=True).off(thing.setup_start, until):
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


def _sequences(things: list[Thing]) -> Iterator[list[Thing]]:
    """The things on each machine in their order."""
    on: dict[str, list[Thing]] = defaultdict(list)
    for t in things:
        on[t.machine.name].append(t)
    for there in on.values():
        yield sorted(there, key=lambda t: (t.setup_start, t.end, t.order))


def setups(shop: Shop, things: list[Thing]) -> Iterator[tuple[Thing, Tick]]:
    """How long the set-up of each thing must be, in their order; what has begun needs none."""
    for there in _sequences(things):
        family = there[0].machine.family
        for t in there:
            yield t, 0 if t.begun else shop.between(t.machine.name, family, t.family)
            family = t.family or family


def machines(shop: Shop, things: list[Thing]) -> Iterator[Text]:
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
    for t, needed in setups(shop, things):
        if t.begun:
            continue
        took = t.start - t.setup_start - shop.calendar(t.machine.name, t.needs, stops=False).off(t.setup_start, t.start)
        if took != needed or (not needed and t.setup_start != t.start):
            yield Text(
                f"{t.name} needs a set-up of {needed} on {t.machine.name}; the plan gives it {took}",
                f"{t.name} 在 {t.machine.name} 上需换型 {needed} 个时间单位，计划中为 {took}",
            )


def precedence(shop: Shop, plan: Plan) -> Iterator[Text]:
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


def people(shop: Shop, things: list[Thing]) -> Iterator[Text]:
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


def materials(shop: Shop, plan: Plan) -> Iterator[Text]:
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
            if there < -ROUNDING * max(1.0, total) and not shop.begun(a.operation):
                yield Text(
                    f"{a.operation} takes {quantity:g} {material} at {shop.when(at)}; {-there:g} of it is not there yet",
                    f"{a.operation} 在 {shop.when(at)} 需用 {material} {quantity:g}，尚缺 {-there:g}",
                )
                break
