"""Milk runs inside a plant: tuggers, forklifts or AGVs that drive the same rounds every takt. How many does it take?

The problem is like any other, over the aisles of the plant (`formats`: aisles.csv); its orders are what every station needs, and gives
back, each takt. A vehicle drives its round, or several, within one takt, and begins anew with the next.
"""

from __future__ import annotations

import math

import msgspec

from ronghe.apps.logistics.problem import FOREVER, Plan, Problem, Tick
from ronghe.apps.logistics.schedule import Facts, plan, visits_of
from ronghe.apps.logistics.solve import solve
from ronghe.apps.logistics.sound import why_not
from ronghe.errors import AppError
from ronghe.text import Text


class Cycle(msgspec.Struct, frozen=True, kw_only=True):
    """What is driven every takt. `at_least`: fewer vehicles cannot do it, by the work at the stations alone."""

    takt: Tick
    vehicles: int
    at_least: int
    busy: tuple[float, ...]  # part of the takt that each vehicle is on its way, 0..1
    plan: Plan
    problem: Problem


def cycle(problem: Problem, takt: Tick, *, seconds: float, seed: int = 0) -> Cycle:
    """The fewest vehicles found, like the first of the problem's, that serve every order within each takt (ticks), and their rounds.

    Raises AppError where the takt is too short for a station even alone, and MissingExtra without PyVRP.
    """
    model = problem.vehicles[0]
    most = max(1, len(problem.orders))
    # One vehicle more must never be worth the way that it saves.
    way = max((int(r.distance.max(initial=0)) for r in problem.roads.values()), default=0)
    dear = (way * model.per_distance + takt * model.per_tick + 1) * 2 * (most + 1)
    one = msgspec.structs.replace(
        model, fixed=dear, earliest=0, latest=takt, max_duration=takt, max_trips=most, reloads=(model.start,), title=""
    )
    fleet = tuple(msgspec.structs.replace(one, name=f"{model.name}-{i + 1}") for i in range(most))
    depots = tuple(msgspec.structs.replace(d, opens=0, closes=FOREVER) for d in problem.depots)
    orders = tuple(msgspec.structs.replace(o, release=0, prize=None, only=()) for o in problem.orders)
    every = msgspec.structs.replace(problem, vehicles=fleet, depots=depots, orders=orders)
    facts = Facts(every)
    for o in orders:
        if (why := why_not(facts, o, fleet[:1])) is not None:
            raise AppError(Text(f"{o.name} cannot be served within a takt: {why.en}", f"{o.name} 无法在一个节拍内完成：{why.in_('zh')}"))
    found = solve(every, seconds=seconds, seed=seed)
    loading = {d.place: d.loading for d in depots}.get(model.start, 0)
    work = loading + sum(o.service + o.origin_service for o in orders)
    fairly = msgspec.structs.replace(every, vehicles=tuple(msgspec.structs.replace(v, fixed=model.fixed) for v in fleet))
    found = plan(Facts(fairly), [(r.vehicle, visits_of(r)) for r in found.routes], seconds=found.seconds, by=found.by)
    return Cycle(
        takt=takt,
        vehicles=len(found.routes),
        at_least=max(1, math.ceil(work / takt)),
        busy=tuple(r.duration / takt for r in found.routes),
        plan=found,
        problem=fairly,
    )
