"""What a plan takes of electricity, what that costs and emits: rule 7 of `problem`, slot by slot."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from ronghe.apps.scheduling.check.shop import Calendar, Shop, things
from ronghe.apps.scheduling.problem import Plan, Prices, Problem, Tick


class Energy(NamedTuple):
    """kWh, money without carbon's price, kg CO2e; None where the problem does not state prices or factors."""

    kwh: float
    money: float | None
    carbon: float | None


def energy(problem: Problem, plan: Plan) -> Energy | None:
    """None where no machine states its power."""
    if not any(m.power for m in problem.machines):
        return None
    shop, prices = Shop.of(problem), problem.prices
    hour = 3600 / problem.tick
    kwh = money = carbon = 0.0
    for thing in things(shop, plan):
        off = shop.calendar(thing.machine.name, thing.needs, stops=False)
        kw = thing.machine.power
        kwh += kw * _working(off, thing.setup_start, thing.end) / hour
        if prices is not None and kw:
            for slot, a, b in _slots(prices, thing.setup_start, thing.end):
                taken = kw * _working(off, a, b) / hour
                money += taken * prices.money[slot]
                carbon += taken * prices.carbon[slot] if prices.carbon else 0.0
    return Energy(kwh, None if prices is None else money, carbon if prices is not None and prices.carbon else None)


def _working(off: Calendar, a: Tick, b: Tick) -> Tick:
    return b - a - off.off(a, b)


def _slots(prices: Prices, a: Tick, b: Tick) -> list[tuple[int, Tick, Tick]]:
    """[a, b) cut by slots: (which, from, to)."""
    last = len(prices.money) - 1
    cuts = [a, *(s * prices.slot for s in range(max(1, a // prices.slot + 1), min(last, (b - 1) // prices.slot) + 1)), b]
    return [(min(max(x // prices.slot, 0), last), x, y) for x, y in pairwise(cuts)]
