"""From the order of stops to times, loads and costs: each route as early home as it can be, and then begun as late as that allows.

The end of a route as a function of its start s is max(E, s + c): E is found by one pass forward from the earliest start, the latest start
that still ends at E by one pass back (time-window segments: Vidal, Crainic, Gendreau & Prins, Computers & OR 40 (2013) 475-489).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import msgspec
import numpy as np

from ronghe.apps.logistics.problem import Depot, Do, Order, Plan, Problem, Route, Status, Stop, Tick, Unserved, Vehicle
from ronghe.text import Text

NOT_ASKED: Final = Text("not planned yet", "尚未安排")


@dataclass(frozen=True, slots=True)
class Visit:
    """One stop between start and end: what is done, for which order; for a reload, at which place."""

    do: Do
    name: str


def alike(problem: Problem) -> list[list[Vehicle]]:
    """Vehicles that differ in nothing but their names, together; an order that is for some of them only sets those apart."""
    named = {o.only for o in problem.orders if o.only}
    groups: dict[tuple[Vehicle, tuple[bool, ...]], list[Vehicle]] = {}
    for v in problem.vehicles:
        key = (msgspec.structs.replace(v, name="", title=""), tuple(v.name in only for only in named))
        groups.setdefault(key, []).append(v)
    return list(groups.values())


class Facts:
    """A problem with its names resolved."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.place = {p.name: i for i, p in enumerate(problem.places)}
        self.orders = {o.name: o for o in problem.orders}
        self.vehicles = {v.name: v for v in problem.vehicles}
        self.depots = {d.place: d for d in problem.depots}
        self.width = len(problem.dimensions)
        self._legs: dict[str, tuple[memoryview, memoryview]] = {}

    def depot(self, place: str) -> Depot:
        """The depot at a place; where a vehicle is on its way there may be none: open for ever, nothing to load."""
        return self.depots.get(place) or Depot(place=place)

    def legs(self, vehicle: Vehicle) -> tuple[memoryview, memoryview]:
        """Distances and durations, [from, to]: looked up one by one a view of an array is faster than the array."""
        if vehicle.roads not in self._legs:
            roads = self.problem.roads[vehicle.roads]
            self._legs[vehicle.roads] = (np.ascontiguousarray(roads.distance).data, np.ascontiguousarray(roads.duration).data)
        return self._legs[vehicle.roads]


@dataclass(slots=True)
class Timed:
    """A route's numbers. `late`: ticks by which work starts too late, by stop (0 at depots); `beyond`: by how much the shift, the depots'
    hours and the limits of the vehicle are missed, summed; `over`: how much too much is aboard at the worst."""

    places: list[int]
    arrive: list[int]
    start: list[int]
    depart: list[int]
    loads: list[list[int]]
    distance: int
    duration: int
    late: list[int]
    beyond: int
    over: int

    @property
    def holds(self) -> bool:
        """Whether nothing is missed."""
        return not (self.over or self.beyond or any(self.late))


def timed(facts: Facts, vehicle: Vehicle, visits: Sequence[Visit]) -> Timed:
    """Times and loads of a route with these visits."""
    places, opens, closes, work = _nodes(facts, vehicle, visits)
    distances, durations = facts.legs(vehicle)
    n = len(places)
    legs = [durations[leg] for leg in pairwise(places)]
    _, start, _, missed = _forward(opens[0], opens, closes, work, legs)
    latest = start[-1]
    for i in range(n - 2, -1, -1):
        latest = min(max(closes[i], start[i]), latest - legs[i] - work[i])
    arrive, start, depart, _ = _forward(max(start[0], latest), opens, closes, work, legs)
    distance = sum(distances[leg] for leg in pairwise(places))
    duration = depart[-1] - start[0]
    beyond = max(0, duration - vehicle.max_duration) + max(0, distance - vehicle.max_distance)
    for i in (0, *(i for i, v in enumerate(visits, 1) if v.do == "reload"), n - 1):
        beyond, missed[i] = beyond + missed[i], 0
    loads, over = _loads(facts, vehicle, visits)
    return Timed(places, arrive, start, depart, loads, distance, duration, missed, beyond, over)


def _nodes(facts: Facts, vehicle: Vehicle, visits: Sequence[Visit]) -> tuple[list[int], list[int], list[int], list[int]]:
    """Place, earliest, latest, work of each stop, start and end included."""
    trips: list[list[Visit]] = [[]]
    for v in visits:
        trips.append([]) if v.do == "reload" else trips[-1].append(v)
    release = [max((facts.orders[v.name].release for v in trip), default=0) for trip in trips]
    first, last = facts.depot(vehicle.start), facts.depot(vehicle.end)
    nodes = [(vehicle.start, max(vehicle.earliest, first.opens, release[0]), min(vehicle.latest, first.closes), first.loading)]
    trip = 0
    for v in visits:
        if v.do == "reload":
            trip += 1
            depot = facts.depot(v.name)
            nodes.append((v.name, max(depot.opens, release[trip]), depot.closes, depot.loading))
            continue
        o = facts.orders[v.name]
        if v.do == "collect":
            nodes.append((o.origin, o.origin_earliest, o.origin_latest, o.origin_service))
        else:
            nodes.append((o.place, o.earliest, o.latest, o.service))
    nodes.append((vehicle.end, last.opens, min(vehicle.latest, last.closes), 0))
    return (
        [facts.place[p] for p, _, _, _ in nodes],
        [opens for _, opens, _, _ in nodes],
        [closes for _, _, closes, _ in nodes],
        [work for _, _, _, work in nodes],
    )


def _forward(
    at: int, opens: list[int], closes: list[int], work: list[int], legs: list[int]
) -> tuple[list[int], list[int], list[int], list[int]]:
    """Arrival, start, departure and ticks late at each stop, from a start at `at`."""
    arrive, start, depart, missed = [at], [max(at, opens[0])], [max(at, opens[0]) + work[0]], [max(0, max(at, opens[0]) - closes[0])]
    for i, leg in enumerate(legs, 1):
        arrive.append(depart[-1] + leg)
        begun = max(arrive[-1], opens[i])
        start.append(begun)
        depart.append(begun + work[i])
        missed.append(max(0, begun - closes[i]))
    return arrive, start, depart, missed


def _loads(facts: Facts, vehicle: Vehicle, visits: Sequence[Visit]) -> tuple[list[list[int]], int]:
    """What is aboard on leaving each stop, and the worst excess over the capacity."""
    width = facts.width
    aboard = _padded(vehicle.aboard, width)
    leaving: list[list[int]] = []
    trip_start = 0
    ends = [i for i, v in enumerate(visits) if v.do == "reload"] + [len(visits)]
    load = aboard
    for end in ends:
        trip = visits[trip_start:end]
        load = [load[d] + sum(_padded(facts.orders[v.name].delivery, width)[d] for v in trip if v.do == "serve") for d in range(width)]
        leaving.append(load)
        for v in trip:
            o = facts.orders[v.name]
            out = _padded(o.delivery, width) if v.do in ("serve", "deliver") else [0] * width
            into = _padded(o.delivery if v.do == "collect" else o.pickup if v.do == "serve" else (), width)
            load = [a - b + c for a, b, c in zip(load, out, into, strict=True)]
            leaving.append(load)
        load = [0] * width  # a depot takes everything off
        trip_start = end + 1
    leaving.append([0] * width)
    over = max(
        (max(a - c for a, c in zip(at, vehicle.capacity, strict=False)) for at in leaving if vehicle.capacity),
        default=0,
    )
    return leaving, max(0, over)


def _padded(amounts: tuple[int, ...], width: int) -> list[int]:
    return [*amounts, *[0] * (width - len(amounts))]


def cost(vehicle: Vehicle, distance: int, duration: Tick) -> int:
    """Units of money for a route."""
    return vehicle.fixed + vehicle.per_distance * distance + vehicle.per_tick * duration


def route(facts: Facts, vehicle: Vehicle, visits: Sequence[Visit]) -> Route:
    """A route with its times, loads, cost and carbon."""
    t = timed(facts, vehicle, visits)
    names = [vehicle.start, *(_where(facts, v) for v in visits), vehicle.end]
    does: list[Do] = ["start", *(v.do for v in visits), "end"]
    orders = ["", *("" if v.do == "reload" else v.name for v in visits), ""]
    stops = tuple(
        Stop(place=names[i], do=does[i], order=orders[i], arrive=t.arrive[i], start=t.start[i], depart=t.depart[i], load=tuple(t.loads[i]))
        for i in range(len(names))
    )
    return driven(facts, vehicle, stops)


def driven(facts: Facts, vehicle: Vehicle, stops: tuple[Stop, ...]) -> Route:
    """The route with these stops: its distance, duration, cost and carbon."""
    distances, _ = facts.legs(vehicle)
    index = [facts.place[s.place] for s in stops]
    legs = [distances[leg] for leg in pairwise(index)]
    duration = stops[-1].depart - stops[0].start
    return Route(
        vehicle=vehicle.name,
        stops=stops,
        distance=sum(legs),
        duration=duration,
        cost=cost(vehicle, sum(legs), duration),
        carbon=_carbon(facts.problem, vehicle, legs, [s.load for s in stops]),
    )


def _where(facts: Facts, v: Visit) -> str:
    if v.do == "reload":
        return v.name
    return facts.orders[v.name].origin if v.do == "collect" else facts.orders[v.name].place


def _carbon(p: Problem, vehicle: Vehicle, legs: list[int], loads: list[tuple[int, ...]]) -> float | None:
    """kg CO2e from the stated factors; None without one, or where the problem's distances are no metres."""
    if vehicle.carbon is None or p.metre is None or (vehicle.carbon_load is not None and p.weight is None):
        return None
    kg = 0.0
    for leg, load in zip(legs, loads, strict=False):
        tonnes = load[p.weight] / p.grain / 1000 if p.weight is not None else 0.0
        kg += leg * p.metre / 1000 * (vehicle.carbon + (vehicle.carbon_load or 0.0) * tonnes)
    return kg


def visits_of(route: Route) -> list[Visit]:
    """The visits of a route, start and end left away."""
    return [Visit(s.do, s.place if s.do == "reload" else s.order) for s in route.stops[1:-1]]


def plan(
    facts: Facts,
    routes: Iterable[tuple[str, Sequence[Visit]]],
    *,
    why: dict[str, Text] | None = None,
    seconds: float = 0.0,
    by: str = "",
) -> Plan:
    """A plan of (vehicle, visits) each; vehicles without visits stay where they are, unless they are on their way and must come home."""
    made: list[Route] = []
    served: set[str] = set()
    holds = True
    for name, visits in routes:
        vehicle = facts.vehicles[name]
        if not visits and not on_its_way(facts, vehicle):
            continue
        r = route(facts, vehicle, visits)
        holds = holds and timed(facts, vehicle, visits).holds
        served.update(v.name for v in visits if v.do in ("serve", "deliver"))
        made.append(r)
    left = [o for o in facts.problem.orders if o.name not in served]
    status: Status = "infeasible" if not holds else "partial" if any(o.prize is None for o in left) else "feasible"
    total = sum(r.cost for r in made) + sum(o.prize or 0 for o in left)
    carbons = [r.carbon for r in made]
    return Plan(
        routes=tuple(made),
        unserved=tuple(Unserved(order=o.name, why=(why or {}).get(o.name, _reason(o))) for o in left),
        objective=total / facts.problem.money,
        status=status,
        carbon=None if any(c is None for c in carbons) or not made else sum(c for c in carbons if c is not None),
        seconds=seconds,
        by=by,
    )


def on_its_way(facts: Facts, vehicle: Vehicle) -> bool:
    """Whether a vehicle starts where no depot is, or with something aboard: then it drives home even with nothing left to do."""
    return vehicle.start not in facts.depots or any(vehicle.aboard)


def _reason(o: Order) -> Text:
    if o.prize is not None:
        return Text("serving it costs more than it is worth", "配送成本高于其价值")
    return NOT_ASKED


def latest_start(o: Order) -> Tick:
    """When work at an order's place should begin at the latest: as promised, where its window was moved."""
    return o.latest if o.promised is None else o.promised


def late_by(plan: Plan, facts: Facts) -> dict[str, Tick]:
    """Ticks by which each late order is late."""
    out: dict[str, Tick] = {}
    for r in plan.routes:
        for s in r.stops:
            if s.do in ("serve", "deliver") and s.start > latest_start(facts.orders[s.order]):
                out[s.order] = s.start - latest_start(facts.orders[s.order])
    return out
