"""PyVRP (https://pyvrp.org, Wouda, Lan & Kool, INFORMS J. on Computing 36 (2024) 943-955) behind the problem's words.

Every order gets locations of its own, so that what only some vehicles may serve can be kept from the others by a way too long to be taken.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from ronghe.apps.logistics.problem import FOREVER, Order, Plan, Problem, Vehicle
from ronghe.apps.logistics.schedule import Facts, Visit, alike, on_its_way, visits_of
from ronghe.errors import MissingExtra
from ronghe.text import Text

_LONGEST: Final = 1 << 33
"""A way that must not be taken: longer than any route, and so short that no penalty of it overflows 64 bits."""
_DEAREST: Final = 1e8
"""Money, the highest penalty of one unit of anything: as above."""
_LOAD_PENALTY: Final = 30


@dataclass(frozen=True, slots=True)
class Manner:
    """How one search goes about it; see PyVRP's parameters of the same meaning."""

    history: int  # of late acceptance
    perturbations: int  # at most, between two local searches
    neighbours: int


MANNERS: Final = (Manner(300, 25, 50), Manner(100, 10, 30))
"""Which is better depends on the problem (docs/logistics.md): they are tried beside one another. The first has PyVRP's defaults."""


def pyvrp() -> Any:
    """The module pyvrp. Raises MissingExtra."""
    try:
        import pyvrp as module
    except ImportError as e:
        raise MissingExtra("planning", Text("planning routes", "路线规划")) from e
    return module


class Stop(Protocol):
    """Asked once an iteration whether to end, with the cost of the best solution so far."""

    def __call__(self, best_cost: int) -> bool: ...


class Engine:
    """One problem as PyVRP sees it. With `leave_out`, orders that must be served may be left out at a price above every detour."""

    def __init__(self, problem: Problem, *, leave_out: bool = False) -> None:
        self._pyvrp = pyvrp()
        self.facts = Facts(problem)
        self.groups = alike(problem)
        self.leave_out = leave_out
        self.singles = [o for o in problem.orders if not o.origin]
        self.shipments = [o for o in problem.orders if o.origin]
        self._depot_at = {place: i for i, place in enumerate(self._depot_places())}
        self._prize, self._far = self._prices()
        self.data = self._data()
        self._client = {o.name: i for i, o in enumerate(self.singles)}
        self._shipment = {o.name: i for i, o in enumerate(self.shipments)}

    def _depot_places(self) -> list[str]:
        p = self.facts.problem
        ways = [*(d.place for d in p.depots), *(place for v in p.vehicles for place in (v.start, v.end))]
        return list(dict.fromkeys(ways))

    def _prices(self) -> tuple[int, int]:
        """Money for an order that must be served and is not: more than any way to serve it. A way that must not be taken: longer than a
        route can be, so that it breaks the longest distance."""
        p = self.facts.problem
        longest = max((int(r.distance.max(initial=0)) for r in p.roads.values()), default=0)
        slowest = max((int(r.duration.max(initial=0)) for r in p.roads.values()), default=0)
        wait = max((o.latest for o in p.orders if o.latest < FOREVER), default=0)
        detour = max(v.fixed + v.per_distance * 4 * longest + v.per_tick * (4 * slowest + wait) for v in p.vehicles)
        prize = 2 * max(1, detour, *(o.prize or 0 for o in p.orders)) if p.orders else 1
        return prize, min(_LONGEST, 2 * (2 * len(p.orders) + 2) * max(1, longest))

    def _data(self) -> Any:
        p, m = self.facts.problem, self._pyvrp
        depots, singles, shipments = self._depot_places(), self.singles, self.shipments
        places = [*depots, *(o.place for o in singles), *(o.origin for o in shipments), *(o.place for o in shipments)]
        index = np.array([self.facts.place[x] for x in places])
        a, b = len(depots), len(depots) + len(singles)
        c = b + len(shipments)
        clients = [m.Client(a + i, **self._client_facts(o)) for i, o in enumerate(singles)]
        pairs = [m.Shipment(b + i, c + i, **self._shipment_facts(o)) for i, o in enumerate(shipments)]
        at = [self.facts.depot(x) for x in depots]
        houses = [m.Depot(i, d.opens, d.closes, d.loading) for i, d in enumerate(at)]
        profiles: dict[tuple[str, bytes], int] = {}
        distances: list[NDArray[np.int64]] = []
        durations: list[NDArray[np.int64]] = []
        types = []
        for group in self.groups:
            kept = np.array([False] * a + [bool(o.only) and group[0].name not in o.only for o in (*singles, *shipments, *shipments)])
            key = (group[0].roads, kept.tobytes())
            if key not in profiles:
                profiles[key] = len(profiles)
                roads = p.roads[group[0].roads]
                distances.append(self._matrix(roads.distance, index, kept))
                same = roads.distance is roads.duration and not kept.any()
                durations.append(distances[-1] if same else roads.duration[np.ix_(index, index)])
            types.append(self._type(group, profiles[key], bound=bool(kept.any())))
        xy = [(p.places[i].x, p.places[i].y) for i in index]
        return m.ProblemData([m.Location(x, y) for x, y in xy], clients, houses, types, distances, durations, [], pairs)

    def _matrix(self, distance: NDArray[np.int64], index: NDArray[np.int64], kept: NDArray[np.bool_]) -> NDArray[np.int64]:
        out: NDArray[np.int64] = distance[np.ix_(index, index)]
        if kept.any():
            out[kept, :] = self._far
            out[:, kept] = self._far
            np.fill_diagonal(out, 0)
        return out

    def _amounts(self, amounts: tuple[int, ...]) -> list[int]:
        return [*amounts, *[0] * (self.facts.width - len(amounts))]

    def _must(self, o: Order) -> dict[str, Any]:
        required = o.prize is None and not self.leave_out
        return {"required": required, "prize": 0 if required else self._prize if o.prize is None else o.prize}

    def _client_facts(self, o: Order) -> dict[str, Any]:
        return {
            "delivery": self._amounts(o.delivery),
            "pickup": self._amounts(o.pickup),
            "service_duration": o.service,
            "tw_early": o.earliest,
            "tw_late": o.latest,
            "release_time": o.release,
            **self._must(o),
        }

    def _shipment_facts(self, o: Order) -> dict[str, Any]:
        return {
            "pickup_tw_early": max(o.origin_earliest, o.release),
            "pickup_tw_late": o.origin_latest,
            "pickup_service_duration": o.origin_service,
            "delivery_tw_early": o.earliest,
            "delivery_tw_late": o.latest,
            "delivery_service_duration": o.service,
            "amount": self._amounts(o.delivery),
            **self._must(o),
        }

    def _type(self, group: list[Vehicle], profile: int, *, bound: bool) -> Any:
        v = group[0]
        limits: dict[str, Any] = {} if v.max_trips > 1 and v.reloads else {"max_reloads": 0}
        return self._pyvrp.VehicleType(
            num_available=len(group),
            capacity=[*v.capacity, *[FOREVER] * (self.facts.width - len(v.capacity))],
            start_depot=self._depot_at[v.start],
            end_depot=self._depot_at[v.end],
            fixed_cost=v.fixed,
            tw_early=v.earliest,
            tw_late=v.latest,
            shift_duration=v.max_duration,
            max_distance=min(v.max_distance, self._far - 1) if bound else v.max_distance,
            unit_distance_cost=v.per_distance,
            unit_duration_cost=v.per_tick,
            profile=profile,
            initial_load=self._amounts(v.aboard),
            **(limits or {"reload_depots": [self._depot_at[d] for d in v.reloads], "max_reloads": v.max_trips - 1}),
        )

    # --- to and fro -------------------------------------------------------------------------------------------------------------

    def visits(self, solution: Any) -> list[tuple[str, list[Visit]]]:
        """(vehicle, visits) of each route. Vehicles on their way that got none are there, too: they drive home."""
        waiting = [list(g) for g in self.groups]
        depots = list(self._depot_at)
        out: list[tuple[str, list[Visit]]] = []
        for route in solution.routes():
            seen = []
            for act in list(route)[1:-1]:
                if act.is_depot():
                    seen.append(Visit("reload", depots[act.idx]))
                elif act.is_client():
                    seen.append(Visit("serve", self.singles[act.idx].name))
                else:
                    seen.append(Visit("collect" if act.is_pickup() else "deliver", self.shipments[act.idx].name))
            vehicle = waiting[route.vehicle_type()].pop(0)
            out.append((vehicle.name, _without_idle_trips(vehicle, seen)))
        out += [(v.name, []) for group in waiting for v in group if on_its_way(self.facts, v)]
        return out

    def solution(self, plan: Plan) -> Any | None:
        """A plan as PyVRP's solution, to start from; None where it has stops that this problem does not know."""
        m = self._pyvrp
        kind = {v.name: i for i, g in enumerate(self.groups) for v in g}
        routes = []
        for r in plan.routes:
            acts = [self._activity(v) for v in visits_of(r)]
            if r.vehicle not in kind or any(a is None for a in acts):
                return None
            if acts:
                routes.append(m.Route(self.data, acts, kind[r.vehicle]))
        return m.Solution(self.data, routes)

    def _activity(self, v: Visit) -> Any | None:
        kinds = self._pyvrp.ActivityType
        table: dict[str, tuple[Any, dict[str, int]]] = {
            "reload": (kinds.DEPOT, self._depot_at),
            "serve": (kinds.CLIENT, self._client),
            "collect": (kinds.PICKUP, self._shipment),
            "deliver": (kinds.DELIVERY, self._shipment),
        }
        kind, index = table[v.do]
        return self._pyvrp.Activity(kind, index[v.name]) if v.name in index else None

    def run(self, stop: Stop, seed: int, manner: Manner, start: Any | None = None, found: Callable[[Any], None] | None = None) -> Any:
        """The best solution found until `stop(cost of the best so far)`; `found` is told each better one.

        PyVRP's iterated local search with penalties that begin at the scale of the problem's own costs: there is no time to find it.
        """
        from pyvrp.IteratedLocalSearch import IteratedLocalSearch, IteratedLocalSearchCallbacks, IteratedLocalSearchParams
        from pyvrp.PenaltyManager import PenaltyManager
        from pyvrp.search import LocalSearch, NeighbourhoodParams, PerturbationManager, PerturbationParams, compute_neighbours

        class Told(IteratedLocalSearchCallbacks):
            def on_best(self, best: Any) -> None:
                if found is not None:
                    found(best)

        warnings.filterwarnings("ignore", category=self._pyvrp.exceptions.PenaltyBoundWarning)
        m = self._pyvrp
        random = m.RandomNumberGenerator(seed=seed)
        near = compute_neighbours(self.data, NeighbourhoodParams(num_neighbours=manner.neighbours))
        search = LocalSearch(self.data, random, near, PerturbationManager(PerturbationParams(max_perturbations=manner.perturbations)))
        for operator in m.SolveParams().operators:
            if operator.supports(self.data):
                search.add_operator(operator(self.data))
        penalties = PenaltyManager(self._penalties(), m.PenaltyParams(max_penalty=_DEAREST))
        if start is None:  # what may be left out is: nothing is wrong then, and what fits is put in
            raw = m.Solution(self.data, []) if self.leave_out else m.Solution.make_random(self.data, random)
            start = search(raw, penalties.cost_evaluator(), exhaustive=True)
        params = IteratedLocalSearchParams(history_length=manner.history, callbacks=Told())
        return IteratedLocalSearch(self.data, penalties, search, start, params).run(stop, False, False).best

    def _penalties(self) -> tuple[list[float], float, float]:
        """Money to begin with for a unit of load too much, by dimension; for a tick too late; for a unit of distance too far."""
        if self.leave_out:
            dear = float(min(_DEAREST, self._prize))  # or it would be cheaper to break a rule than to leave an order out
            return [dear] * self.facts.width, dear, dear
        p = self.facts.problem
        most = [
            max((1, *(max(self._amounts(o.delivery)[d], self._amounts(o.pickup)[d]) for o in p.orders))) for d in range(self.facts.width)
        ]
        unit = max(1, *(v.per_distance for v in p.vehicles))
        way = unit * max(1, *(int(r.distance.max(initial=1)) for r in p.roads.values()))
        slow = max(1, *(int(r.duration.max(initial=1)) for r in p.roads.values()))
        return [min(_DEAREST, _LOAD_PENALTY * way / x) for x in most], min(_DEAREST, 10 * way / slow), float(unit)


def _without_idle_trips(v: Vehicle, visits: Sequence[Visit]) -> list[Visit]:
    """Without loading where nothing is brought from it: it costs nothing where time costs nothing, and still is not meant."""
    out: list[Visit] = []
    for x in visits:
        if x.do == "reload" and x.name == (out[-1].name if out and out[-1].do == "reload" else v.start if not out else ""):
            continue
        out.append(x)
    while out and out[-1] == Visit("reload", v.end):
        out.pop()
    return out
