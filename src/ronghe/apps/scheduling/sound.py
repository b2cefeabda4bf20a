"""What is wrong with the facts of a problem, each in one sentence with the name of what is meant. A sound problem may still have no plan
(`ronghe.apps.scheduling.explain` says why)."""

from __future__ import annotations

import difflib
import math
from collections import Counter
from collections.abc import Iterable, Iterator

from ronghe.apps.scheduling.problem import Job, Machine, Off, Operation, Pool, Problem
from ronghe.text import Text

LARGEST = 100_000
"""As many operations as are planned at once."""
_LATEST = 1 << 40  # ticks: sums of such times still fit the solvers' whole numbers
_CALENDAR = 5  # more times off than this are a calendar of shifts: behind its last entry nothing is known
_MANY = 20  # faults told of one problem; the rest is counted


def sound(problem: Problem) -> list[Text]:
    """Everything wrong, in the order of the problem; [] when it can be planned. At most 20 are told, then how many more there are."""
    operations = sum(len(j.operations) for j in problem.jobs)
    if operations == 0:
        return [Text("there is nothing to plan: no job has an operation", "没有可排的内容：所有订单都没有工序")]
    if operations > LARGEST:
        return [
            Text(
                f"{operations} operations: at most {LARGEST} are planned at once; plan a shorter period",
                f"共 {operations} 道工序，一次最多排 {LARGEST} 道；请缩短计划周期",
            )
        ]
    said = list(_all(problem))
    more = len(said) - _MANY
    return said if more <= 0 else [*said[:_MANY], Text(f"and {more} more", f"另有 {more} 处问题")]


def _all(problem: Problem) -> Iterator[Text]:
    yield from _names(problem)
    yield from _times(problem)
    machines = {m.name: m for m in problem.machines}
    pools = {p.name: p for p in problem.pools}
    arrivals = {a.material for a in problem.arrivals}
    known = {o.name for j in problem.jobs for o in j.operations}
    fixed = {f.operation for f in problem.fixed}
    for job in problem.jobs:
        if not job.operations:
            yield Text(f"job {job.name} has no operation", f"订单 {job.name} 没有工序")
        for o in job.operations:
            yield from _choices(o, machines)
            yield from _references(o, known, pools, arrivals)
            if o.name not in fixed:
                yield from _fits(o, machines, pools)
    yield from _setups(problem, machines)
    yield from _fixed(problem, machines)
    yield from _cycles(problem.jobs)


def _names(problem: Problem) -> Iterator[Text]:
    kinds: list[tuple[Text, Iterable[str]]] = [
        (Text("machine", "设备"), (m.name for m in problem.machines)),
        (Text("job", "订单"), (j.name for j in problem.jobs)),
        (Text("operation", "工序"), (o.name for j in problem.jobs for o in j.operations)),
        (Text("pool", "人员组"), (p.name for p in problem.pools)),
        (Text("fixed operation", "固定工序"), (f.operation for f in problem.fixed)),
    ]
    for kind, names in kinds:
        for name, n in Counter(names).items():
            if n > 1:
                yield Text(f"{kind.en} {name} is given {n} times", f"{kind.zh} {name} 重复出现 {n} 次")
            if not name:
                yield Text(f"one {kind.en} has no name", f"有{kind.zh}未命名")


def _times(problem: Problem) -> Iterator[Text]:
    w = problem.weights
    if not all(math.isfinite(x) and x >= 0 for x in (w.makespan, w.tardiness, w.setup)):
        yield Text("a weight of the objective is negative or no number", "目标权重为负或不是数值")
    elif not w.makespan + w.tardiness + w.setup:
        yield Text("nothing is to be minimised: every weight is 0", "所有目标权重都为 0，没有优化目标")
    yield from _prices(problem)
    if not (math.isfinite(problem.tick) and problem.tick > 0):
        yield Text(f"the tick lasts {problem.tick:g} s", f"时间单位为 {problem.tick:g} 秒，应大于 0")
    if abs(problem.now) > _LATEST:
        yield Text(f"now ({problem.now}) is too far from the start", f"当前时刻（{problem.now}）距起点过远")
    for machine in problem.machines:
        if machine.batch < 1:
            yield Text(f"machine {machine.name} does {machine.batch} at once", f"设备 {machine.name} 的批量为 {machine.batch}，应不小于 1")
        yield from _off(Text(f"machine {machine.name}", f"设备 {machine.name}"), machine.off)
    for pool in problem.pools:
        if pool.size < 0:
            yield Text(f"pool {pool.name} has {pool.size} people", f"人员组 {pool.name} 的人数为 {pool.size}")
        yield from _off(Text(f"pool {pool.name}", f"人员组 {pool.name}"), pool.off)
    total = 0
    for job in problem.jobs:
        yield from _job(job)
        total += sum(max((c.duration for c in o.choices), default=0) for o in job.operations)
    for s in problem.setups:
        if s.duration < 0:
            yield Text(
                f"the set-up from {s.before} to {s.after} is negative ({s.duration})",
                f"从 {s.before} 到 {s.after} 的换型时间为负（{s.duration}）",
            )
    for a in problem.arrivals:
        if not (math.isfinite(a.quantity) and a.quantity >= 0):
            yield Text(f"the arrival of {a.material} at {a.at} is {a.quantity:g}", f"{a.material} 在 {a.at} 的到货量为 {a.quantity:g}")
        if abs(a.at) > _LATEST:
            yield Text(f"the arrival of {a.material} at {a.at} is too far from the start", f"{a.material} 的到货时刻 {a.at} 距起点过远")
    if total > _LATEST:
        yield Text(f"the work adds up to {total} ticks: choose a longer tick", f"总工时达 {total} 个时间单位，请采用更大的时间单位")


def _prices(problem: Problem) -> Iterator[Text]:
    p = problem.prices
    if any(not (math.isfinite(m.power) and m.power >= 0) for m in problem.machines):
        yield Text("the power of a machine is negative or no number", "有设备的功率为负或不是数值")
    if p is None:
        return
    if p.slot < 1 or not p.money or (p.carbon and len(p.carbon) != len(p.money)):
        yield Text(
            "prices need slots of at least a tick, and as many factors as prices", "电价时段至少为一个时间单位，且排放因子须与电价个数相同"
        )
    elif not all(math.isfinite(x) for x in (*p.money, *p.carbon, p.carbon_price)):
        yield Text("a price or an emission factor is no number", "有电价或排放因子不是数值")


def _job(job: Job) -> Iterator[Text]:
    if not (math.isfinite(job.weight) and job.weight >= 0):
        yield Text(f"the weight of job {job.name} is {job.weight:g}", f"订单 {job.name} 的权重为 {job.weight:g}，不能为负")
    for what, at in ((Text("release", "下达时间"), job.release), (Text("due date", "交期"), job.due or 0)):
        if abs(at) > _LATEST:
            yield Text(
                f"the {what.en} of job {job.name} ({at}) is too far from the start", f"订单 {job.name} 的{what.zh}（{at}）距起点过远"
            )


def _off(whose: Text, offs: tuple[Off, ...]) -> Iterator[Text]:
    for off in offs:
        if off.end <= off.start:
            why = f" ({off.why})" if off.why else ""
            yield Text(
                f"{whose.en} is off from {off.start} to {off.end}{why}: the end is not after the start",
                f"{whose.zh} 的停用时段 {off.start} 至 {off.end}{why} 结束不晚于开始",
            )


def _choices(o: Operation, machines: dict[str, Machine]) -> Iterator[Text]:
    if not o.choices:
        yield Text(f"operation {o.name} has no machine", f"工序 {o.name} 没有可用设备")
    for name, n in Counter(c.machine for c in o.choices).items():
        if n > 1:
            yield Text(f"operation {o.name} names machine {name} {n} times", f"工序 {o.name} 重复列出设备 {name}（{n} 次）")
        if name not in machines:
            yield _unknown(Text(f"operation {o.name}", f"工序 {o.name}"), Text("machine", "设备"), name, machines)
    for c in o.choices:
        if c.duration < 0:
            yield Text(
                f"operation {o.name} lasts {c.duration} on {c.machine}: negative",
                f"工序 {o.name} 在 {c.machine} 上的工时为负（{c.duration}）",
            )


def _references(o: Operation, known: set[str], pools: dict[str, Pool], arrivals: set[str]) -> Iterator[Text]:
    whose = Text(f"operation {o.name}", f"工序 {o.name}")
    for name in o.after or ():
        if name not in known:
            yield _unknown(whose, Text("operation", "工序"), name, known)
    for name, n in o.people.items():
        if name not in pools:
            yield _unknown(whose, Text("pool", "人员组"), name, pools)
        elif n < 0:
            yield Text(f"operation {o.name} needs {n} of {name}", f"工序 {o.name} 需要 {name} {n} 人，不能为负")
        elif n > pools[name].size:
            yield Text(
                f"operation {o.name} needs {n} of {name}; there are {pools[name].size}",
                f"工序 {o.name} 需要 {name} {n} 人，仅有 {pools[name].size} 人",
            )
    for name, quantity in o.uses.items():
        if not (math.isfinite(quantity) and quantity >= 0):
            yield Text(f"operation {o.name} uses {quantity:g} of {name}", f"工序 {o.name} 使用 {name} {quantity:g}，不能为负")
        elif quantity > 0 and name not in arrivals:
            yield _unknown(whose, Text("material", "物料"), name, arrivals)


def _unknown(whose: Text, kind: Text, name: str, known: Iterable[str]) -> Text:
    meant = difflib.get_close_matches(name, list(known)[:2000], 1)
    hint = Text(f" (did you mean {meant[0]}?)", f"（是否指 {meant[0]}？）") if meant else Text("")
    return Text(f"{whose.en} names {kind.en} {name}, which does not exist{hint.en}", f"{whose.zh} 引用了不存在的{kind.zh} {name}{hint.zh}")


def _fits(o: Operation, machines: dict[str, Machine], pools: dict[str, Pool]) -> Iterator[Text]:
    """On one of its machines at least it fits between two times that it cannot lie across."""
    spans = []
    for c in o.choices:
        if c.machine not in machines:
            return
        offs = [*machines[c.machine].off, *(x for p, n in o.people.items() if n and p in pools for x in pools[p].off)]
        span = _longest_span([x for x in offs if x.stop or not o.pauses])
        if span is None or span >= c.duration:
            return
        spans.append((c.duration - span, c.machine, c.duration, span))
    if spans:
        _, machine, takes, span = min(spans)
        yield Text(
            f"operation {o.name} fits nowhere: it takes {takes} on {machine} in one go, whose longest working span is {span}",
            f"工序 {o.name} 无处可排：在 {machine} 上需连续 {takes} 个时间单位，而其最长连续工作时段只有 {span}",
        )


def _longest_span(offs: list[Off]) -> int | None:
    """The longest time between two times off; None where they are too few to be a calendar, after whose end there is room."""
    if len(offs) <= _CALENDAR:
        return None
    longest, until = 0, min(x.end for x in offs)
    for x in sorted(offs, key=lambda x: x.start):
        longest = max(longest, x.start - until)
        until = max(until, x.end)
    return longest


def _setups(problem: Problem, machines: dict[str, Machine]) -> Iterator[Text]:
    for (machine, before, after), n in Counter((s.machine, s.before, s.after) for s in problem.setups).items():
        if n > 1:
            on = Text(f" on {machine}", f"（{machine}）") if machine else Text("")
            yield Text(f"the set-up from {before} to {after}{on.en} is given {n} times", f"从 {before} 到 {after} 的换型{on.zh}重复 {n} 次")
        if machine and machine not in machines:
            yield _unknown(
                Text(f"the set-up from {before} to {after}", f"从 {before} 到 {after} 的换型"), Text("machine", "设备"), machine, machines
            )
        if not before or not after:
            yield Text(f"a set-up to {after or before} lacks a family", f"涉及 {after or before} 的换型缺少产品族")


def _fixed(problem: Problem, machines: dict[str, Machine]) -> Iterator[Text]:
    operations = {o.name: o for j in problem.jobs for o in j.operations}
    for f in problem.fixed:
        whose = Text(f"fixed operation {f.operation}", f"固定工序 {f.operation}")
        if f.operation not in operations:
            yield _unknown(Text("a fixed entry", "固定条目"), Text("operation", "工序"), f.operation, operations)
        elif f.machine not in machines:
            yield _unknown(whose, Text("machine", "设备"), f.machine, machines)
        elif f.end is None and all(c.machine != f.machine for c in operations[f.operation].choices):
            yield Text(
                f"{whose.en} lies on {f.machine}, which cannot do it, and no end is given",
                f"{whose.zh} 位于不能加工它的 {f.machine}，且未给出结束时间",
            )
        elif f.end is not None and f.end < f.start:
            yield Text(f"{whose.en} ends at {f.end}, before it starts ({f.start})", f"{whose.zh} 的结束 {f.end} 早于开始 {f.start}")
        elif abs(f.start) > _LATEST or abs(f.end or 0) > _LATEST:
            yield Text(f"{whose.en} is too far from the start", f"{whose.zh} 距起点过远")


def _cycles(jobs: tuple[Job, ...]) -> Iterator[Text]:
    """One cycle of the routing, named whole; the operations on it wait for one another for ever."""
    before: dict[str, list[str]] = {}
    for job in jobs:
        previous: tuple[str, ...] = ()
        for o in job.operations:
            before[o.name] = list(previous if o.after is None else o.after)
            previous = (o.name,)
    done: set[str] = set()
    for root in before:
        trail: dict[str, None] = {}
        stack = [(root, iter(before[root]))] if root not in done else []
        if stack:
            trail[root] = None
        while stack:
            name, rest = stack[-1]
            nxt = next(rest, None)
            if nxt is None:
                done.add(name)
                trail.pop(name)
                stack.pop()
            elif nxt in trail:
                walked = list(trail)
                circle = [nxt, *reversed(walked[walked.index(nxt) + 1 :]), nxt]
                shown = circle if len(circle) <= 12 else [*circle[:11], "…", nxt]
                yield Text(f"the routing goes in a circle: {' → '.join(shown)}", f"工艺路线成环：{' → '.join(shown)}")
                return
            elif nxt not in done and nxt in before:
                trail[nxt] = None
                stack.append((nxt, iter(before[nxt])))
