"""Cheap, clean hours: what electricity costs and emits while the plan runs, and how late each order may be ready for its truck."""

from __future__ import annotations

import math
from typing import Final

import msgspec
import numpy as np

from ronghe.apps.logistics.problem import Plan as Trucks
from ronghe.apps.logistics.problem import Problem as TrucksProblem
from ronghe.apps.scheduling import timing
from ronghe.apps.scheduling.check import energy
from ronghe.apps.scheduling.problem import Plan, Prices, Tick
from ronghe.apps.scheduling.problem import Problem as Shop
from ronghe.chain.facts import Facts
from ronghe.chain.outcome import Moved

_QUARTER: Final = 900.0  # s of a slot, or a tick where that is longer


def priced(facts: Facts, shop: Shop, schedule: Plan) -> Shop:
    """The shop with the tariff's prices for as long as it plans; as it is where no tariff is stated, or it ends before."""
    if facts.tariff is None:
        return shop
    slot = max(1, int(_QUARTER // shop.tick))
    last = max([schedule.makespan, *(j.due for j in shop.jobs if j.due is not None)])
    times = shop.start + np.round(np.arange(last // slot + 1) * slot * shop.tick * 1e9).astype(np.int64)
    money = facts.tariff.price(times)
    if not np.isfinite(money).all():
        return shop
    terms = facts.terms
    carbon: tuple[float, ...] = ()
    if facts.factors is not None:
        carbon = tuple(facts.factors.grid(times).tolist())
    elif terms.electricity_carbon is not None:
        carbon = (terms.electricity_carbon,) * len(times)
    price = (terms.carbon_price or 0.0) / 1000
    return msgspec.structs.replace(shop, prices=Prices(slot=slot, money=tuple(money.tolist()), carbon=carbon, carbon_price=price))


def moved(shop: Shop, schedule: Plan, trucks: TrucksProblem | None, routes: Trucks | None) -> tuple[Plan, Moved | None]:
    """The schedule in the cheapest hours of its machines' sequences: no order is ready late that was not, none later that was, and none
    after its truck begins to load."""
    if shop.prices is None:
        return schedule, None
    found = timing.shifted(shop, schedule, _latest(shop, schedule, trucks, routes))
    was = {a.operation: a.start for a in schedule.assigned}
    a, b = energy(shop, schedule), energy(shop, found)
    if a is None or b is None or a.money is None or b.money is None:
        return found, None
    return found, Moved(
        operations=sum(x.start != was[x.operation] for x in found.assigned),
        money=a.money - b.money,
        carbon=None if a.carbon is None or b.carbon is None else a.carbon - b.carbon,
    )


def _latest(shop: Shop, schedule: Plan, trucks: TrucksProblem | None, routes: Trucks | None) -> dict[str, Tick]:
    """Order → tick by which it must be ready."""
    job = {o.name: j for j in shop.jobs for o in j.operations}
    ends: dict[str, Tick] = {}
    for a in schedule.assigned:
        ends[job[a.operation].name] = max(ends.get(job[a.operation].name, a.end), a.end)
    found = {j.name: max(ends.get(j.name, j.due), j.due) for j in shop.jobs if j.due is not None}
    if trucks is None or routes is None:
        return found
    for route in routes.routes:
        loads = 0.0
        for stop in route.stops:
            if stop.do in ("start", "reload"):
                loads = (trucks.start + stop.start * trucks.tick * 1e9 - shop.start) / (shop.tick * 1e9)
            elif stop.order in ends:
                found[stop.order] = min(found.get(stop.order, ends[stop.order]), math.floor(loads + 1e-9))
    return found
