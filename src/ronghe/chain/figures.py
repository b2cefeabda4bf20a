"""What a plan of the chain costs, serves and emits, from what is stated: prices and factors of chain.csv, power of the machines, holding
costs of the items, costs and factors of the vehicles."""

from __future__ import annotations

from ronghe.apps.logistics.problem import Plan as Trucks
from ronghe.apps.logistics.problem import Problem as TrucksProblem
from ronghe.apps.scheduling.check import energy
from ronghe.apps.scheduling.problem import Off, Plan
from ronghe.apps.scheduling.problem import Problem as Shop
from ronghe.chain.outcome import Figures, Level, Served
from ronghe.chain.terms import Terms


def figures(
    terms: Terms,
    shop: Shop,
    schedule: Plan,
    trucks: TrucksProblem | None,
    routes: Trucks | None,
    orders: tuple[Served, ...],
    stock: tuple[Level, ...],
    *,
    tariff: bool = False,
) -> Figures:
    """All figures of a plan. `tariff`: one is stated, so that the energy has a price, or should have."""
    hour = 3600 / shop.tick
    setup = schedule.setup / hour
    working = sum(work(shop, schedule).values()) / hour - setup
    late = sum(o.weight * max(0, o.ready - o.due) / 3.6e12 for o in orders if o.ready is not None and o.due is not None)
    power = energy(shop, schedule)
    kwh = None if power is None else power.kwh
    money: dict[str, float | None] = {
        "production": _times(working, terms.machine_hour),
        "setup": _times(setup, terms.setup_hour),
        "holding": _sum([s.holding for s in stock]),
        "transport": routes.objective if routes is not None else None,
        "tardiness": _times(late, terms.late_hour),
        "energy_cost": None if power is None else power.money,
    }
    carbon = {
        "carbon_energy": power.carbon if power is not None and power.carbon is not None else _times(kwh, terms.electricity_carbon),
        "carbon_transport": routes.carbon if routes is not None else None,
    }
    there = {
        "transport": trucks is not None,
        "carbon_transport": trucks is not None,
        "holding": bool(stock),
        "energy_cost": tariff,
    }
    asked = sum(o.quantity for o in orders)
    metre = trucks.metre if trucks is not None else None
    return Figures(
        **money,
        **carbon,
        cost=sum(v for v in money.values() if v is not None),
        carbon=sum(v for v in carbon.values() if v is not None),
        orders=len(orders),
        in_time=sum(o.in_time for o in orders),
        fill_rate=sum(o.quantity for o in orders if o.in_time) / asked if asked else None,
        energy=kwh,
        distance=sum(r.distance for r in routes.routes) * metre / 1000 if routes is not None and metre is not None else None,
        missing=tuple(k for k, v in {**money, **carbon}.items() if v is None and there.get(k, True)),
    )


def _times(amount: float | None, price: float | None) -> float | None:
    return None if amount is None or price is None else amount * price


def _sum(values: list[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return sum(known) if known else None


def work(shop: Shop, schedule: Plan) -> dict[str, int]:
    """Ticks in which each machine works, set-ups included and pauses left out. What is done together (a batch) counts once."""
    off = {m.name: m.off for m in shop.machines}
    spans = {(a.machine, a.setup_start, a.end) for a in schedule.assigned}
    found = dict.fromkeys(off, 0)
    for machine, start, end in spans:
        found[machine] += end - start - _paused(off[machine], start, end)
    return found


def _paused(off: tuple[Off, ...], start: int, end: int) -> int:
    total, reached = 0, start
    for o in sorted(off, key=lambda o: o.start):
        total += max(0, min(o.end, end) - max(o.start, reached))
        reached = max(reached, min(o.end, end))
    return total
