"""A day under way: what is done and committed, and the problem that is left from now on.

A vehicle that has left a stop drives on to the next, and serves there; what lies behind that stop can still be changed. Goods aboard stay
aboard: their orders are that vehicle's. Goods that are still at the depot can go with a vehicle that has not left it, or, where a vehicle
may load again, with its next trip, which here is a vehicle of its own ("NAME+") that begins when the trip before is expected back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from ronghe.apps.logistics.problem import FOREVER, Order, Plan, Problem, Route, Stop, Tick, Vehicle
from ronghe.apps.logistics.schedule import Facts, Visit, driven, plan, route, timed, visits_of

NEXT = "+"  # after a vehicle's name: its trips after the one it is on


@dataclass(frozen=True, slots=True)
class Day:
    """The facts of the day, and the plan in force with what has happened so far in it. `broken`: vehicle → the place where it stands."""

    problem: Problem
    plan: Plan
    broken: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rest:
    """What is left of a day at `now`: a problem like any other, what each of its vehicles would do next as planned, and the orders that
    no vehicle has. `done`: stops of each vehicle that are over or committed."""

    now: Tick
    problem: Problem
    visits: dict[str, list[Visit]]
    loose: list[str]
    done: dict[str, tuple[Stop, ...]]


def committed(r: Route, now: Tick) -> int:
    """How many of a route's stops are over or cannot be changed any more; 0 where the vehicle has not begun."""
    if r.stops[0].start > now:
        return 0
    k = next((i for i, s in enumerate(r.stops) if s.depart > now), len(r.stops) - 1)
    loading = r.stops[k].do in ("start", "reload") and r.stops[k].start <= now
    return min(k + 1 + loading, len(r.stops))


def rest(day: Day, now: Tick, *, again: bool = False) -> Rest:
    """The problem from now on. With `again` vehicles load once more where they may, though it was not planned; such a vehicle then keeps
    the time at which it is back."""
    p = day.problem
    routes = {r.vehicle: r for r in day.plan.routes}
    facts = Facts(p)
    served: set[str] = set()
    vehicles: list[Vehicle] = []
    visits: dict[str, list[Visit]] = {}
    done: dict[str, tuple[Stop, ...]] = {}
    held: dict[str, Order] = {}  # goods aboard: order as it is from now on
    for v in p.vehicles:
        r = routes.get(v.name)
        k = committed(r, now) if r is not None else 0
        if v.name in day.broken:
            if r is not None:
                done[v.name] = r.stops
                served.update(s.order for s in r.stops if s.do in ("serve", "deliver"))
            continue
        if r is None or k == 0:
            vehicles.append(msgspec.structs.replace(v, earliest=max(v.earliest, now)))
            visits[v.name] = visits_of(r) if r is not None else []
            continue
        done[v.name] = r.stops[:k]
        served.update(s.order for s in done[v.name] if s.do in ("serve", "deliver"))
        for left, todo in _left(facts, v, r, k, held, again=again):
            vehicles.append(left)
            visits[left.name] = todo
    planned = {x.name for todo in visits.values() for x in todo}
    here = tuple(v.name for v in vehicles if not _under_way(v, done))
    remaining = [held.get(o.name) or _loose(o, here, vehicles) for o in p.orders if o.name not in served]
    problem = msgspec.structs.replace(p, orders=tuple(remaining), vehicles=tuple(vehicles))
    return Rest(now, problem, visits, [o.name for o in remaining if o.name not in planned], done)


def _under_way(v: Vehicle, done: dict[str, tuple[Stop, ...]]) -> bool:
    """Whether it is in the middle of a trip: it cannot take what is still at the depot."""
    return v.name in done and done[v.name][-1].do not in ("reload", "end")


def _loose(o: Order, here: tuple[str, ...], vehicles: Sequence[Vehicle]) -> Order:
    """An order whose goods are not aboard: only vehicles at a depot can bring it; those under way may collect."""
    at_depot_only = any(o.delivery) and not o.origin
    may = here if at_depot_only else tuple(v.name for v in vehicles)
    wanted = {*o.only, *(f"{name}{NEXT}" for name in o.only)}
    allowed = tuple(n for n in may if not wanted or n in wanted)
    if len(allowed) == len(vehicles):
        return msgspec.structs.replace(o, only=())
    return msgspec.structs.replace(o, only=allowed or ("",))


def _left(facts: Facts, v: Vehicle, r: Route, k: int, held: dict[str, Order], *, again: bool) -> list[tuple[Vehicle, list[Visit]]]:
    """What is left of a vehicle that has begun, with what it was to do; its later trips apart."""
    at, todo = r.stops[k - 1], visits_of(msgspec.structs.replace(r, stops=(r.stops[0], *r.stops[k:])))
    trips = v.max_trips - sum(s.do == "reload" for s in r.stops[:k]) - (at.do == "end")
    base = msgspec.structs.replace(
        v,
        fixed=0,
        latest=min(v.latest, r.stops[0].start + v.max_duration),
        max_distance=_less(v.max_distance, driven(facts, v, r.stops[:k]).distance),
        aboard=(),
    )
    if at.do in ("reload", "end"):
        if trips < 1 or (at.do == "end" and at.place not in v.reloads):
            return []
        return [(msgspec.structs.replace(base, start=at.place, earliest=at.arrive, max_trips=trips), todo)]
    cut = next((i for i, x in enumerate(todo) if x.do == "reload"), len(todo))
    current, later = todo[:cut], todo[cut + 1 :]
    _hold(facts, v, current, held)
    brought = [held[x.name].delivery for x in current if x.name in held]
    aboard = tuple(a - sum(b[d] for b in brought if d < len(b)) for d, a in enumerate(at.load))
    current = [Visit("serve", x.name) if x.name in held else x for x in current]
    first = msgspec.structs.replace(base, start=at.place, earliest=at.depart, max_trips=1, aboard=aboard)
    if cut == len(todo) and not (again and trips > 1 and v.end in v.reloads):
        return [(first, current)]
    depot = todo[cut].name if cut < len(todo) else v.end
    ahead = timed(facts_with(facts, held), msgspec.structs.replace(first, end=depot), current)
    second = msgspec.structs.replace(
        base,
        name=v.name + NEXT,
        start=depot,
        earliest=ahead.depart[-1],
        max_trips=trips - 1,
        max_distance=_less(base.max_distance, ahead.distance),
    )
    first = msgspec.structs.replace(
        first,
        end=depot,
        latest=min(base.latest, ahead.depart[-1]),
        max_distance=base.max_distance if base.max_distance >= FOREVER else ahead.distance,
    )
    return [(first, current), (second, later)]


def facts_with(facts: Facts, held: dict[str, Order]) -> Facts:
    """The facts with some orders as they are from now on."""
    return Facts(msgspec.structs.replace(facts.problem, orders=tuple(held.get(o.name, o) for o in facts.problem.orders)))


def _less(limit: int, by: int) -> int:
    return limit if limit >= FOREVER else max(0, limit - by)


def _hold(facts: Facts, v: Vehicle, current: Sequence[Visit], held: dict[str, Order]) -> None:
    """Orders of which the goods are aboard become the vehicle's own."""
    collected_later = {x.name for x in current if x.do == "collect"}
    for x in current:
        o = facts.orders[x.name]
        if (x.do == "serve" and any(o.delivery)) or (x.do == "deliver" and x.name not in collected_later):
            held[o.name] = msgspec.structs.replace(o, only=(v.name,), release=0, origin="")


def merged(day: Day, left: Rest, found: Plan) -> Day:
    """The day with a plan for its rest."""
    facts, rest_facts = Facts(day.problem), Facts(left.problem)
    routes: list[Route] = []
    by_name = {r.vehicle: r for r in found.routes}
    for v in day.problem.vehicles:
        before = left.done.get(v.name, ())
        ahead = by_name.get(v.name)
        if v.name in day.broken:
            routes += [driven(facts, v, before)] if before else []
            continue
        if before and ahead is None and before[-1].do == "reload":
            ahead = route(rest_facts, rest_facts.vehicles[v.name], [])
        stops = _joined(before, ahead.stops if ahead is not None else ())
        after = rest_facts.vehicles.get(v.name + NEXT)
        if after is not None:
            nxt = by_name.get(after.name) or (route(rest_facts, after, []) if after.start != after.end else None)
            stops = _joined(stops, nxt.stops if nxt is not None else ())
        if stops:
            routes.append(driven(facts, v, tuple(_as_ordered(facts, s) for s in stops)))
    served = {s.order for r in routes for s in r.stops if s.do in ("serve", "deliver")}
    whole = plan(facts, [])
    total = sum(r.cost for r in routes) + sum(o.prize or 0 for o in day.problem.orders if o.name not in served)
    carbons = [r.carbon for r in routes]
    whole = msgspec.structs.replace(
        whole,
        routes=tuple(routes),
        unserved=found.unserved,
        objective=total / day.problem.money,
        status=found.status,
        carbon=None if None in carbons or not carbons else sum(c for c in carbons if c is not None),
        seconds=found.seconds,
        by=found.by,
    )
    return Day(day.problem, whole, day.broken)


def _as_ordered(facts: Facts, s: Stop) -> Stop:
    """What was collected is delivered, though for the rest of the day it was simply aboard."""
    return msgspec.structs.replace(s, do="deliver") if s.do == "serve" and facts.orders[s.order].origin else s


def _joined(before: tuple[Stop, ...], after: tuple[Stop, ...]) -> tuple[Stop, ...]:
    """One after the other: the last stop before is the first after. At a depot it is where the next trip is loaded, or the end of all."""
    if not before or not after:
        return before or after
    last = before[-1]
    if last.do in ("reload", "end"):
        if len(after) == 2 and after[0].place == after[1].place:
            return (*before[:-1], msgspec.structs.replace(last, do="end", start=last.arrive, depart=last.arrive, load=after[1].load))
        last = msgspec.structs.replace(after[0], do="reload", arrive=last.arrive)
    return (*before[:-1], last, *after[1:])
