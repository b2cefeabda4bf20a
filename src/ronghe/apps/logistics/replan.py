"""Late changes: a plan that holds at once, by keeping the routes and inserting where it costs least; `solve` improves it from there.

    day, left, plan = replan.apply(day, event, now)      # at once; the rest of the day is `left.problem`, `plan` its plan
    better = solve(left.problem, seconds=…, start=plan)  # while the clock runs
    day = running.merged(day, left, better)
    moved = replan.moved(before.plan, day.plan)

Cheapest insertion: Rosenkrantz, Stearns & Lewis, SIAM J. Computing 6 (1977) 563-581. What cannot be in time any more is late by as
little as this finds, its window is moved and the promise kept beside it; what cannot be brought at all is left out and said.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from ronghe.apps.logistics.problem import FOREVER, Order, Place, Plan, Problem, Route, Stop, Tick, Vehicle
from ronghe.apps.logistics.roads import with_place
from ronghe.apps.logistics.running import NEXT, Day, Rest, committed, merged, rest
from ronghe.apps.logistics.schedule import Facts, Timed, Visit, alike, cost, on_its_way, plan, timed
from ronghe.errors import AppError
from ronghe.text import Text

_NO_ROOM: Final = Text("no vehicle has the time or the room left", "车辆剩余时间或容量不足")


class LateVehicle(msgspec.Struct, frozen=True, kw_only=True, tag="late_vehicle"):
    """It will be at its next stop, or ready to begin, so many ticks later than planned; below 0: earlier than was feared."""

    vehicle: str
    ticks: Tick


class NewOrder(msgspec.Struct, frozen=True, kw_only=True, tag="new_stop"):
    """An order that came in late, at a place that is known, or at a new one."""

    order: Order
    place: Place | None = None


class Cancelled(msgspec.Struct, frozen=True, kw_only=True, tag="cancel"):
    """An order that is not wanted any more. Goods that are aboard come back."""

    order: str


class Breakdown(msgspec.Struct, frozen=True, kw_only=True, tag="breakdown"):
    """A vehicle that drives no further today. Its goods are collected by others where it stands, or (`goods` = "depot") sent anew."""

    vehicle: str
    place: str = ""  # where it stands; "": where it is serving, else the last stop that it left
    goods: str = "aboard"  # "aboard" | "depot"


class WindowMoved(msgspec.Struct, frozen=True, kw_only=True, tag="window"):
    """An order has another time window."""

    order: str
    earliest: Tick = 0
    latest: Tick = FOREVER


Event = LateVehicle | NewOrder | Cancelled | Breakdown | WindowMoved


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """One order that another vehicle serves, or at another time. `by`: ticks later (earlier below 0); None: was or is not served."""

    order: str
    before: str  # vehicle; "": none
    after: str
    by: Tick | None


def apply(day: Day, event: Event, now: Tick) -> tuple[Day, Rest, Plan]:
    """The day after an event, its rest from `now` and a plan for it that holds. Raises AppError for an event that fits nothing."""
    changed = _happened(day, event, now)
    left, found = repaired(changed, now)
    return merged(changed, left, found), left, found


def repaired(day: Day, now: Tick) -> tuple[Rest, Plan]:
    """The rest of a day and a plan for it, whatever has happened. Vehicles load once more only where something is left out otherwise."""
    left, found = _repair(rest(day, now))
    if any(u.order for u in found.unserved if Facts(left.problem).orders[u.order].prize is None):
        left2, found2 = _repair(rest(day, now, again=True))
        if len(found2.unserved) < len(found.unserved):
            return left2, found2
    return left, found


# --- what happened ----------------------------------------------------------------------------------------------------------------


def _happened(day: Day, event: Event, now: Tick) -> Day:
    """The facts and the plan in force, changed by an event."""
    p = day.problem
    match event:
        case LateVehicle():
            return _late(day, event, now)
        case Breakdown():
            return _broken(day, event, now)
        case NewOrder():
            if any(o.name == event.order.name for o in p.orders):
                raise AppError(Text(f"there is an order {event.order.name!r} already", f"订单 {event.order.name!r} 已存在"))
            p = p if event.place is None else with_place(p, event.place)
            for name in (event.order.place, event.order.origin or event.order.place):
                if all(x.name != name for x in p.places):
                    raise AppError(Text(f"there is no place {name!r}", f"没有地点 {name!r}"))
            return Day(msgspec.structs.replace(p, orders=(*p.orders, event.order)), day.plan, day.broken)
        case Cancelled():
            _still_open(day, event.order, now, collected=True)
            routes = tuple(_without(r, event.order) for r in day.plan.routes)
            orders = tuple(o for o in p.orders if o.name != event.order)
            return Day(msgspec.structs.replace(p, orders=orders), msgspec.structs.replace(day.plan, routes=routes), day.broken)
        case WindowMoved():
            _still_open(day, event.order, now)
            orders = tuple(
                msgspec.structs.replace(o, earliest=event.earliest, latest=event.latest, promised=None) if o.name == event.order else o
                for o in p.orders
            )
            return Day(msgspec.structs.replace(p, orders=orders), day.plan, day.broken)


def _without(r: Route, order: str) -> Route:
    return msgspec.structs.replace(r, stops=tuple(s for s in r.stops if s.order != order))


def _still_open(day: Day, order: str, now: Tick, *, collected: bool = False) -> None:
    """Raises AppError where an order does not exist, or is done or driven to; with `collected` also where its goods were fetched."""
    if all(o.name != order for o in day.problem.orders):
        raise AppError(Text(f"there is no order {order!r}", f"没有订单 {order!r}"))
    for r in day.plan.routes:
        if any(s.order == order and (collected or s.do != "collect") for s in r.stops[: committed(r, now)]):
            raise AppError(
                Text(f"{r.vehicle} is on its way to {order} or has been there", f"{r.vehicle} 正前往或已完成 {order}"),
                todo=Text("call the driver", "请联系司机"),
            )


def _vehicle(day: Day, name: str) -> Vehicle:
    found = [v for v in day.problem.vehicles if v.name == name]
    if not found:
        raise AppError(Text(f"there is no vehicle {name!r}", f"没有车辆 {name!r}"))
    return found[0]


def _late(day: Day, event: LateVehicle, now: Tick) -> Day:
    v = _vehicle(day, event.vehicle)
    r = next((r for r in day.plan.routes if r.vehicle == v.name), None)
    k = committed(r, now) if r is not None else 0
    if r is None or k == 0:
        planned = max(now, r.stops[0].start) if r is not None and event.ticks > 0 else v.earliest
        late = msgspec.structs.replace(v, earliest=max(now, planned + event.ticks))
        vehicles = tuple(late if x.name == v.name else x for x in day.problem.vehicles)
        return Day(msgspec.structs.replace(day.problem, vehicles=vehicles), day.plan, day.broken)
    at = r.stops[k - 1]
    arrive = max(now, at.arrive + event.ticks) if at.arrive > now else at.arrive
    start = max(_opens(day.problem, at), arrive) if at.arrive > now else at.start  # waiting for the window takes up some of it
    depart = max(now, start + (at.depart - at.start) + (event.ticks if at.arrive <= now else 0))
    stops = (*r.stops[: k - 1], msgspec.structs.replace(at, arrive=arrive, start=start, depart=depart), *r.stops[k:])
    routes = tuple(msgspec.structs.replace(r, stops=stops) if x is r else x for x in day.plan.routes)
    return Day(day.problem, msgspec.structs.replace(day.plan, routes=routes), day.broken)


def _opens(p: Problem, s: Stop) -> Tick:
    """When the work at a stop may begin at the earliest."""
    order = next((o for o in p.orders if o.name == s.order), None)
    if order is None:
        return 0
    return order.origin_earliest if s.do == "collect" else order.earliest


def _broken(day: Day, event: Breakdown, now: Tick) -> Day:
    v = _vehicle(day, event.vehicle)
    r = next((r for r in day.plan.routes if r.vehicle == v.name), None)
    k = committed(r, now) if r is not None else 0
    if r is None or k == 0:
        return Day(day.problem, _routeless(day.plan, v.name), {**day.broken, v.name: event.place or v.start})
    left_last = max((i for i, s in enumerate(r.stops) if s.depart <= now), default=0)
    over = r.stops[: left_last + 1]
    standing = next((s.place for s in r.stops if s.arrive <= now < s.depart), over[-1].place)
    place = event.place or standing
    if all(x.name != place for x in day.problem.places):
        raise AppError(Text(f"there is no place {place!r}", f"没有地点 {place!r}"))
    aboard = _aboard(r, left_last, Facts(day.problem)) if event.goods == "aboard" else set()
    orders = tuple(
        msgspec.structs.replace(o, origin=place, origin_earliest=now, origin_latest=FOREVER, origin_service=0, release=0)
        if o.name in aboard
        else o
        for o in day.problem.orders
    )
    routes = tuple(msgspec.structs.replace(r, stops=over) if x is r else x for x in day.plan.routes)
    return Day(
        msgspec.structs.replace(day.problem, orders=orders), msgspec.structs.replace(day.plan, routes=routes), {**day.broken, v.name: place}
    )


def _aboard(r: Route, last: int, facts: Facts) -> set[str]:
    """Orders whose goods are on a vehicle that has left its stop `last` and nothing after it."""
    trip = max(i for i in range(last + 1) if r.stops[i].do in ("start", "reload"))
    out = {s.order for s in r.stops[trip : last + 1] if s.do == "collect"}
    for s in r.stops[trip + 1 :]:
        if s.do in ("reload", "end"):
            break
        if s.do == "serve" and any(facts.orders[s.order].delivery) and not any(facts.orders[s.order].pickup):
            out.add(s.order)
    return out - {s.order for s in r.stops[: last + 1] if s.do in ("serve", "deliver")}


def _routeless(p: Plan, vehicle: str) -> Plan:
    return msgspec.structs.replace(p, routes=tuple(r for r in p.routes if r.vehicle != vehicle))


# --- repair -----------------------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Work:
    """Routes in the making."""

    facts: Facts
    visits: dict[str, list[Visit]]
    loose: list[str]
    why: dict[str, Text]

    def timed(self, name: str, visits: Sequence[Visit] | None = None) -> Timed:
        return timed(self.facts, self.facts.vehicles[name], self.visits[name] if visits is None else visits)

    def cost(self, name: str, visits: Sequence[Visit]) -> tuple[Timed, int]:
        v, t = self.facts.vehicles[name], self.timed(name, visits)
        return t, cost(v, t.distance, t.duration) if visits else 0


def _repair(left: Rest) -> tuple[Rest, Plan]:
    work = _Work(Facts(left.problem), {k: list(v) for k, v in left.visits.items()}, list(left.loose), {})
    for name in work.visits:
        _lighten(work, name)
    work.loose.sort(key=lambda n: (work.facts.orders[n].prize is not None, work.facts.orders[n].latest, n))
    for name in list(work.loose):
        if _insert(work, name):
            work.loose.remove(name)
        elif work.facts.orders[name].prize is None:
            work.why.setdefault(name, _NO_ROOM)
    problem = _promised(work)
    facts = Facts(problem)
    found = plan(facts, work.visits.items(), why=work.why, by="cheapest insertion")
    return Rest(left.now, problem, work.visits, work.loose, left.done), found


def _lighten(work: _Work, name: str) -> None:
    """Takes orders off a route until nothing is missed that another vehicle, or another place in the route, could mend."""
    while not (now := work.timed(name)).holds:
        best: tuple[tuple[int, int], str] | None = None
        for order in dict.fromkeys(v.name for v in work.visits[name] if v.do != "reload"):
            t = work.timed(name, [v for v in work.visits[name] if v.name != order])
            missed = (_missed(t), t.duration)
            if missed < (_missed(now), now.duration) and (best is None or missed < best[0]):
                best = missed, order
        if best is None:
            return
        work.visits[name] = [v for v in work.visits[name] if v.name != best[1]]
        work.loose.append(best[1])


def _missed(t: Timed) -> int:
    return sum(t.late) + t.beyond + t.over


def _insert(work: _Work, name: str) -> bool:
    """Puts an order where it costs least; where it cannot be in time anywhere, where it is late by least and makes no other late."""
    o = work.facts.orders[name]
    best: tuple[tuple[int, int], str, list[Visit]] | None = None
    for vehicle in _candidates(work, o):
        before, paid = work.cost(vehicle, work.visits[vehicle])
        for visits in _with(work.visits[vehicle], o):
            t, price = work.cost(vehicle, visits)
            if t.over > before.over or t.beyond > before.beyond:
                continue
            own = sum(ticks for v, ticks in zip(visits, t.late[1:-1], strict=True) if v.name == name)
            if sum(t.late) - own > sum(before.late):
                continue
            if o.prize is not None and (own or price - paid > o.prize):
                continue
            if best is None or (own, price - paid) < best[0]:
                best = (own, price - paid), vehicle, visits
    if best is None:
        return False
    work.visits[best[1]] = best[2]
    return True


def _candidates(work: _Work, o: Order) -> Iterator[str]:
    """Vehicles that may serve it; of those that are alike and unused, the first."""
    for group in alike(work.facts.problem):
        if o.only and group[0].name not in o.only:
            continue
        unused = False
        for v in group:
            if work.visits[v.name] or not unused:
                unused = unused or not work.visits[v.name]
                yield v.name


def _with(visits: list[Visit], o: Order) -> Iterator[list[Visit]]:
    """A route with an order at every place that it could have; collected and delivered on the same trip."""
    if not o.origin:
        for i in range(len(visits) + 1):
            yield [*visits[:i], Visit("serve", o.name), *visits[i:]]
        return
    for i in range(len(visits) + 1):
        for j in range(i, len(visits) + 1):
            if j > i and visits[j - 1].do == "reload":
                break
            yield [*visits[:i], Visit("collect", o.name), *visits[i:j], Visit("deliver", o.name), *visits[j:]]


def _promised(work: _Work) -> Problem:
    """The problem with the windows of late orders moved to when they are served, and the shifts of drivers who cannot be back in time."""
    p = work.facts.problem
    late: dict[str, Order] = {}
    over: dict[str, Vehicle] = {}
    for name, visits in work.visits.items():
        t = work.timed(name)
        if t.beyond and on_its_way(work.facts, work.facts.vehicles[name]):
            over[name] = msgspec.structs.replace(
                work.facts.vehicles[name], latest=max(work.facts.vehicles[name].latest, t.depart[-1]), max_distance=FOREVER
            )
        for v, ticks, start in zip(visits, t.late[1:-1], t.start[1:-1], strict=True):
            if ticks:
                o = late.get(v.name, work.facts.orders[v.name])
                if v.do == "collect":
                    late[v.name] = msgspec.structs.replace(o, origin_latest=start)
                else:
                    late[v.name] = msgspec.structs.replace(o, latest=start, promised=o.latest if o.promised is None else o.promised)
    vehicles = tuple(over.get(v.name, v) for v in p.vehicles)
    return msgspec.structs.replace(p, orders=tuple(late.get(o.name, o) for o in p.orders), vehicles=vehicles)


# --- what moved -------------------------------------------------------------------------------------------------------------------


def moved(before: Plan, after: Plan, tolerance: Tick = 0) -> list[Moved]:
    """Orders that another vehicle serves, or by more than `tolerance` ticks at another time; sorted by name."""
    a, b = _served(before), _served(after)
    out: list[Moved] = []
    for name in sorted(a.keys() | b.keys()):
        va, sa = a.get(name, ("", None))
        vb, sb = b.get(name, ("", None))
        by = sb.start - sa.start if sa is not None and sb is not None else None
        if va != vb or by is None or abs(by) > tolerance:
            out.append(Moved(order=name, before=va, after=vb, by=by))
    return out


def _served(p: Plan) -> dict[str, tuple[str, Stop]]:
    return {s.order: (r.vehicle.removesuffix(NEXT), s) for r in p.routes for s in r.stops if s.do in ("serve", "deliver")}
