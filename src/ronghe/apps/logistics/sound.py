"""What is wrong with the facts of a routing problem themselves, before anything is planned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final, Literal

import msgspec
import numpy as np

from ronghe.apps.logistics.problem import Order, Problem, Vehicle
from ronghe.apps.logistics.schedule import Facts, Visit, alike, timed
from ronghe.text import Text

MOST: Final = 5_000
"""Orders, or places, of one problem. The distances between as many take 200 MB."""

Kind = Literal["place", "depot", "order", "vehicle", "roads"]


class Fault(msgspec.Struct, frozen=True):
    """One thing that does not fit: what it is about, and what is wrong."""

    kind: Kind
    name: str
    text: Text


def sound(problem: Problem) -> list[Fault]:
    """Everything that is wrong, the plainest first; [] where a plan can be looked for. Where names do not fit, nothing further is asked."""
    faults = list(_names(problem)) or list(_numbers(problem))
    return faults or list(_alone(problem))


def _names(p: Problem) -> Iterator[Fault]:
    groups: tuple[tuple[Kind, Sequence[str], str], ...] = (
        ("place", [x.name for x in p.places], "地点"),
        ("depot", [x.place for x in p.depots], "仓库"),
        ("order", [x.name for x in p.orders], "订单"),
        ("vehicle", [x.name for x in p.vehicles], "车辆"),
    )
    for kind, names, zh in groups:
        if len(names) > MOST:
            yield Fault(
                kind,
                "",
                Text(
                    f"{len(names)} of kind {kind}, at most {MOST} can be planned at once", f"{zh}共 {len(names)} 个，一次最多规划 {MOST} 个"
                ),
            )
        for name, n in Counter(names).items():
            if n > 1:
                yield Fault(kind, name, Text(f"two are called {name!r}", f"{zh} {name!r} 重名"))
    if not p.vehicles:
        yield Fault("vehicle", "", Text("there is no vehicle", "没有车辆"))
    places, vehicles = {x.name for x in p.places}, {v.name for v in p.vehicles}
    depots = {d.place for d in p.depots}
    for d in p.depots:
        if d.place not in places:
            yield Fault("depot", d.place, Text(f"there is no place {d.place!r}", f"没有地点 {d.place!r}"))
    for o in p.orders:
        for name in (o.place, *([o.origin] if o.origin else [])):
            if name not in places:
                yield Fault("order", o.name, Text(f"there is no place {name!r}", f"没有地点 {name!r}"))
        for name in o.only:
            if name not in vehicles:
                yield Fault("order", o.name, Text(f"there is no vehicle {name!r}", f"没有车辆 {name!r}"))
    for v in p.vehicles:
        for name in (v.start, v.end):
            if name not in places:
                yield Fault("vehicle", v.name, Text(f"there is no place {name!r}", f"没有地点 {name!r}"))
        for name in (v.end, *v.reloads):
            if name in places and name not in depots:
                yield Fault("vehicle", v.name, Text(f"{name!r} is no depot", f"{name!r} 不是仓库"))
        if v.roads not in p.roads:
            yield Fault("vehicle", v.name, Text(f"there are no roads {v.roads!r}", f"没有路网 {v.roads!r}"))


def _numbers(p: Problem) -> Iterator[Fault]:
    n = len(p.places)
    for name, r in p.roads.items():
        if r.distance.shape != (n, n) or r.duration.shape != (n, n):
            yield Fault("roads", name, Text(f"distances are not {n} x {n}", f"距离矩阵不是 {n} × {n}"))
        elif min(int(r.distance.min(initial=0)), int(r.duration.min(initial=0))) < 0:
            i, j = np.argwhere((r.distance < 0) | (r.duration < 0))[0]
            pair = f"{p.places[i].name} → {p.places[j].name}"
            yield Fault("roads", name, Text(f"negative from {pair}", f"{pair} 为负值"))
        elif np.diagonal(r.distance).any() or np.diagonal(r.duration).any():
            yield Fault("roads", name, Text("a way from a place to itself is not 0", "同一地点之间的距离应为 0"))
    for d in p.depots:
        if d.opens > d.closes or d.loading < 0:
            yield Fault(
                "depot", d.place, Text("it closes before it opens, or loading takes less than nothing", "关闭早于开放，或装货时长为负")
            )
    for o in p.orders:
        yield from (Fault("order", o.name, text) for text in _order(p, o))
    for v in p.vehicles:
        if min((v.fixed, v.per_distance, v.per_tick, v.max_duration, v.max_distance, *v.capacity, *v.aboard)) < 0 or v.max_trips < 1:
            yield Fault("vehicle", v.name, Text("a capacity, cost or limit is negative", "容量、成本或限值为负"))
        elif v.earliest > v.latest:
            yield Fault("vehicle", v.name, Text("its shift ends before it begins", "班次结束早于开始"))


def _order(p: Problem, o: Order) -> Iterator[Text]:
    if any(a < 0 for a in (*o.delivery, *o.pickup)):
        worst = min((*o.delivery, *o.pickup)) / p.grain
        yield Text(f"the demand is negative: {worst:g}", f"需求量为负：{worst:g}")
    if max(len(o.delivery), len(o.pickup)) > len(p.dimensions):
        yield Text(f"more amounts than dimensions ({len(p.dimensions)})", f"数量维度多于 {len(p.dimensions)}")
    if min(o.service, o.origin_service) < 0:
        yield Text("service takes less than nothing", "服务时长为负")
    if o.earliest > o.latest or o.origin_earliest > o.origin_latest:
        yield Text("its time window ends before it begins", "时间窗结束早于开始")
    if o.origin and any(o.pickup):
        yield Text("an order with an origin has no pickup to take back", "有起运点的订单不能同时有回收量")
    if o.prize is not None and o.prize < 0:
        yield Text("its prize is negative", "价值为负")


def _alone(p: Problem) -> Iterator[Fault]:
    """Orders that no vehicle can serve even if it has nothing else to do."""
    facts = Facts(p)
    kinds = [g[0] for g in alike(p)]
    for o in p.orders:
        if o.prize is None and (text := why_not(facts, o, kinds)) is not None:
            yield Fault("order", o.name, text)


def why_not(facts: Facts, o: Order, vehicles: Sequence[Vehicle]) -> Text | None:
    """Why none of these vehicles can serve an order even alone; None where one can."""
    visits = [Visit("collect", o.name), Visit("deliver", o.name)] if o.origin else [Visit("serve", o.name)]
    may = [v for v in vehicles if not o.only or v.name in o.only]
    if not may:
        return Text("no vehicle may serve it", "没有可用车辆")
    timings = [timed(facts, v, visits) for v in may]
    if any(t.holds for t in timings):
        return None
    if all(t.over for t in timings):
        p = facts.problem
        d = next(d for d in range(facts.width) if all(_amount(o, d) + _at(v.aboard, d) > _room(v, d) for v in may) or d == facts.width - 1)
        most = max(_room(v, d) - _at(v.aboard, d) for v in may)
        a, b, what = _amount(o, d) / p.grain, most / p.grain, p.dimensions[d]
        return Text(f"{a:g} {what} are more than any vehicle holds ({b:g})", f"{what} {a:g} 超过任何车辆的容量（{b:g}）")
    return Text("no vehicle can be there within its time window and be back in its shift", "没有车辆能在时间窗内到达并在班次内返回")


def _amount(o: Order, d: int) -> int:
    return max(_at(o.delivery, d), _at(o.pickup, d))


def _at(amounts: tuple[int, ...], d: int) -> int:
    return amounts[d] if d < len(amounts) else 0


def _room(v: Vehicle, d: int) -> int:
    return v.capacity[d] if d < len(v.capacity) else 1 << 60
