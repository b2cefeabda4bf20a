"""One run of the chain: stock → shop → trucks → cheap hours → figures."""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec

from ronghe.apps.logistics import check as trucks_check
from ronghe.apps.logistics import replan
from ronghe.apps.logistics import solve as trucks_solve
from ronghe.apps.logistics.problem import FOREVER, Route
from ronghe.apps.logistics.problem import Plan as Trucks
from ronghe.apps.logistics.problem import Problem as TrucksProblem
from ronghe.apps.logistics.running import Day
from ronghe.apps.scheduling import check, repair, solve, sound
from ronghe.apps.scheduling.problem import Arrival, Plan
from ronghe.apps.scheduling.problem import Problem as Shop
from ronghe.chain.clean import moved, priced
from ronghe.chain.facts import Facts, Item
from ronghe.chain.figures import figures
from ronghe.chain.outcome import Level, Outcome, Served
from ronghe.errors import AppError
from ronghe.text import Text

_BEFORE = -1  # a tick at which no vehicle has set out
_SHARE = 0.5  # of the time for the schedule; the rest for the routes


def run(
    facts: Facts, *, seconds: float, seed: int = 0, workers: int = 2, before: Outcome | None = None, event: Text | None = None
) -> Outcome:
    """Plans the whole chain in about `seconds`. After `before` the schedule is first repaired from that plan: what need not move does not.

    Raises AppError where the facts do not fit together or no schedule exists, MissingExtra without the planning libraries.
    """
    shop = with_stock(facts)
    if wrong := sound.sound(shop):
        raise AppError(wrong[0], where=facts.folder)
    start = repair.repair(shop, before.schedule) if before is not None else None
    schedule = solve.solve(shop, seconds=seconds * _SHARE, seed=seed, workers=workers, start=start)
    said = tuple(check.check(shop, schedule))
    trucks, routes = facts.trucks, None
    if trucks is not None:
        trucks = released(trucks, shop, schedule)
        kept = before.routes if before is not None and before.trucks is not None and before.trucks.vehicles == trucks.vehicles else None
        trucks, routes = _routed(trucks, seconds * (1 - _SHARE), seed, workers, kept)
        said += tuple(trucks_check.check(trucks, routes))
    shop = priced(facts, shop, schedule)
    schedule, worth = moved(shop, schedule, trucks, routes)
    if worth is not None:
        said = tuple(check.check(shop, schedule))
        if trucks is not None and routes is not None:
            trucks = released(trucks, shop, schedule)
            said += tuple(trucks_check.check(trucks, routes))
    orders = served(shop, schedule, trucks, routes)
    stock = levels(facts, shop, schedule)
    return Outcome(
        shop=shop,
        schedule=schedule,
        trucks=trucks,
        routes=routes,
        orders=orders,
        stock=stock,
        figures=figures(facts.terms, shop, schedule, trucks, routes, orders, stock, tariff=facts.tariff is not None),
        moved=worth,
        wrong=said,
        event=event,
    )


def _routed(trucks: TrucksProblem, seconds: float, seed: int, workers: int, kept: Trucks | None) -> tuple[TrucksProblem, Trucks]:
    """Routes, and the orders as they were planned: where not all can be in time, some have their windows moved, by as little as found, and
    their promise beside it."""
    routes: Trucks | None = None
    if all(o.release <= o.latest for o in trucks.orders):
        routes = trucks_solve.solve(trucks, seconds=seconds / 2, seed=seed, workers=workers, start=_still(trucks, kept))
    if routes is None or routes.unserved:
        known = routes if routes is not None else kept
        left, routes = replan.repaired(Day(trucks, known if known is not None else Trucks(routes=(), objective=0.0)), _BEFORE)
        trucks = left.problem
    return trucks, trucks_solve.solve(trucks, seconds=seconds / 2, seed=seed, workers=workers, start=_still(trucks, routes))


def _still(trucks: TrucksProblem, routes: Trucks | None) -> Trucks | None:
    """The earlier routes where they hold for the new times, for the search to begin with; without vehicles that have nothing to bring."""
    if routes is None or trucks_check.check(trucks, routes):
        return None
    return msgspec.structs.replace(routes, routes=tuple(r for r in routes.routes if any(s.order for s in r.stops)))


# --- stock → shop -------------------------------------------------------------------------------------------------------------------


def with_stock(facts: Facts) -> Shop:
    """The shop with the stock there is, instead of what its own tables say, and with what inventory says to order now."""
    shop = facts.shop
    if not facts.items:
        return shop
    kept = tuple(a for a in shop.arrivals if a.at > 0 or a.material not in facts.items)
    used = {m for j in shop.jobs for o in j.operations for m in o.uses}
    more = [
        a
        for material, item in facts.items.items()
        if material in used
        for a in (_on_hand(material, item), _under_way(shop, material, item), _ordered(shop, material, item))
        if a is not None
    ]
    return msgspec.structs.replace(shop, arrivals=(*more, *kept))


def _on_hand(material: str, item: Item) -> Arrival:
    return Arrival(material=material, at=0, quantity=item.on_hand)


def _under_way(shop: Shop, material: str, item: Item) -> Arrival | None:
    """What the stock says is on order; where the shop's own arrivals name this material, they say it better."""
    if item.on_order <= 0 or item.due is None or any(a.material == material and a.at > 0 for a in shop.arrivals):
        return None
    at = math.ceil((item.due - shop.start / 1e9) / shop.tick)
    return Arrival(material=material, at=max(0, at), quantity=item.on_order, source="on order")


def _ordered(shop: Shop, material: str, item: Item) -> Arrival | None:
    if item.order <= 0:
        return None
    at = shop.now + math.ceil(item.lead / shop.tick)
    return Arrival(material=material, at=at, quantity=item.order, source=PROPOSED)


PROPOSED = "to be ordered now"
"""The source of what inventory says to order; it comes after the item's lead time if it is ordered at once."""


# --- shop → trucks ------------------------------------------------------------------------------------------------------------------


def ends(shop: Shop, schedule: Plan) -> dict[str, int]:
    """When each order is ready, ns."""
    at = {a.operation: a.end for a in schedule.assigned}
    return {
        j.name: shop.start + round(max(at[o.name] for o in j.operations) * shop.tick * 1e9)
        for j in shop.jobs
        if j.operations and all(o.name in at for o in j.operations)
    }


def released(trucks: TrucksProblem, shop: Shop, schedule: Plan) -> TrucksProblem:
    """The orders of the trucks: those that the shop makes leave when they are ready, never before."""
    ready = ends(shop, schedule)

    def tick(ns: int) -> int:
        return max(0, math.ceil((ns - trucks.start) / (trucks.tick * 1e9)))

    orders = tuple(msgspec.structs.replace(o, release=max(o.release, tick(ready[o.name]))) if o.name in ready else o for o in trucks.orders)
    return msgspec.structs.replace(trucks, orders=orders)


def served(shop: Shop, schedule: Plan, trucks: TrucksProblem | None, routes: Trucks | None) -> tuple[Served, ...]:
    """Every order of the shop on its way to the customer."""
    ready = ends(shop, schedule)
    begins: dict[str, int] = {}
    of = {o.name: j.name for j in shop.jobs for o in j.operations}
    for a in schedule.assigned:
        begins[of[a.operation]] = min(begins.get(of[a.operation], a.start), a.start)
    drops = dict(_drops(trucks, routes))
    wanted = {o.name: o for o in trucks.orders} if trucks is not None else {}
    left = {u.order: u.why for u in routes.unserved} if routes is not None else {}
    title = {p.name: p.title or p.name for p in trucks.places} if trucks is not None else {}
    found = []
    for j in shop.jobs:
        order, drop = wanted.get(j.name), drops.get(j.name)
        until = order.promised if order is not None and order.promised is not None else order.latest if order is not None else None
        found.append(
            Served(
                order=j.name,
                customer=title.get(order.place, order.place) if order is not None else "",
                quantity=j.quantity,
                weight=j.weight,
                begins=_ns(shop.start, shop.tick, begins.get(j.name)),
                ready=ready.get(j.name),
                due=_ns(shop.start, shop.tick, j.due),
                vehicle=drop[0] if drop is not None else "",
                arrives=drop[1] if drop is not None else None,
                until=_ns(trucks.start, trucks.tick, until) if trucks is not None and until is not None and until < FOREVER else None,
                why=left.get(j.name),
            )
        )
    return tuple(found)


def _ns(start: int, tick: float, at: int | None) -> int | None:
    return None if at is None else start + round(at * tick * 1e9)


def _drops(trucks: TrucksProblem | None, routes: Trucks | None) -> Iterable[tuple[str, tuple[str, int]]]:
    """Order → which vehicle brings it, and when the work there starts (ns)."""
    if trucks is None or routes is None:
        return
    for route in routes.routes:
        for order, start in _served_by(route):
            yield order, (route.vehicle, trucks.start + round(start * trucks.tick * 1e9))


def _served_by(route: Route) -> Iterable[tuple[str, int]]:
    return ((s.order, s.start) for s in route.stops if s.order and s.do in ("serve", "deliver"))


# --- stock as it goes ---------------------------------------------------------------------------------------------------------------


def levels(facts: Facts, shop: Shop, schedule: Plan) -> tuple[Level, ...]:
    """The course of every material that the shop uses, from its start to the end of the plan."""
    at = {a.operation: a.start for a in schedule.assigned}
    moves: dict[str, list[tuple[int, float]]] = {}
    for a in shop.arrivals:
        moves.setdefault(a.material, []).append((a.at, a.quantity))
    for j in shop.jobs:
        for o in j.operations:
            for material, quantity in o.uses.items():
                if o.name in at:
                    moves.setdefault(material, []).append((at[o.name], -quantity))
    return tuple(_level(material, found, facts, shop, schedule) for material, found in sorted(moves.items()))


def _level(material: str, moves: list[tuple[int, float]], facts: Facts, shop: Shop, schedule: Plan) -> Level:
    item = facts.items.get(material)
    there, lowest, held, last = 0.0, math.inf, 0.0, 0
    course = []
    for at in sorted({t for t, _ in moves}):  # what comes and goes at one moment is one step: nothing is short in between
        held += there * max(0, min(at, schedule.makespan) - last)
        last = max(last, min(at, schedule.makespan))
        there += sum(q for t, q in moves if t == at)
        if at <= schedule.makespan:
            course.append((shop.start + round(at * shop.tick * 1e9), round(there, 6)))
            lowest = min(lowest, there)
    held += there * max(0, schedule.makespan - last)
    seconds = held * shop.tick
    ordered = next((a for a in shop.arrivals if a.material == material and a.source == PROPOSED), None)
    return Level(
        material=material,
        unit=item.unit if item is not None else "",
        course=tuple(course),
        lowest=round(lowest, 6) if course else 0.0,
        holding=seconds * item.holding if item is not None and item.holding is not None else None,
        orders=item.order if item is not None else 0.0,
        arrives=_ns(shop.start, shop.tick, ordered.at) if ordered is not None else None,
        text=item.text if item is not None else None,
    )
