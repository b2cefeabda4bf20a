"""One calendar month under each policy: none, rule, optimiser, and the optimum that knows the month beforehand.

A policy is given what was measured before the step that it decides. Within the step the battery follows the meter (`site.follow`), as its
own controller does in a plant; with `held` it does not, and the load of the step has no part in what the battery does, but that it never
feeds in.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import numpy as np

from ronghe.apps.energy import demand, rule
from ronghe.apps.energy.forecast.ensemble import Floats, ensemble, ready
from ronghe.apps.energy.forecast.errors import Errors
from ronghe.apps.energy.planner import Ahead, Planner, Standing
from ronghe.apps.energy.programme import Ask, Programme
from ronghe.apps.energy.replay.simulator import Counted, Limits, check
from ronghe.apps.energy.site import Battery, Site, follow

AHEAD = (0, 3, 15, 47, 95)  # steps ahead at which forecasts are scored: a quarter-hour, 1 h, 4 h, 12 h, 24 h


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """A month: `net` is load less PV from the beginning of the record to the end of the month, of which the month is `net[first:]`; `price`
    and the others are those of its steps and a day and a half more. `weekday` of the month's first day."""

    name: str
    net: Floats
    first: int
    price: Floats
    sell: Floats
    demand: float
    carbon: float
    carbon_price: float
    battery: Battery
    soc: float
    export: float
    weekday: int
    held: bool
    per_day: int = 96


class Bill(msgspec.Struct, frozen=True, kw_only=True):
    """What a month cost under one policy."""

    cost: float
    energy: float
    demand: float
    wear: float
    carbon: float
    carbon_kg: float
    peak_kw: float
    violations: int
    soc_end: float


class Month(msgspec.Struct, frozen=True, kw_only=True):
    """One month's table. `rule` charges once a day, `rule_twice` twice. `floor_kw`: the cap that it began with. `rule_steps`: those in
    which the optimiser had too little history, and the rule acted."""

    month: str
    none: Bill
    rule: Bill
    rule_twice: Bill
    optimiser: Bill
    perfect: Bill
    floor_kw: float | None
    rule_steps: int
    steps_ms: list[float]
    errors: list[list[float]]


def replay(task: Task, clock: Callable[[], float] = time.perf_counter) -> Month:
    """The month under each policy."""
    net, hours = task.net[task.first :], 24 / task.per_day
    site = Site(batteries=(task.battery,), export=task.export)
    floor = _floor(task, task.net[: task.first])
    acted = Acted(task, site, floor, clock)
    power = acted.run()
    best = Programme(site, np.full(len(net), hours)).solve(
        Ask(
            net=net,
            peak=net,
            price=_full_price(task)[: len(net)],
            sell=task.sell[: len(net)],
            cap=0.0,
            demand=task.demand,
            stored=np.array([task.soc * task.battery.capacity]),
            end=(len(net) - 1, np.array([task.soc * task.battery.capacity])),
        )
    )
    return Month(
        month=task.name,
        none=_bill(task, np.zeros(len(net))),
        rule=_bill(task, _ruled(task, floor, twice=False)),
        rule_twice=_bill(task, _ruled(task, floor, twice=True)),
        optimiser=_bill(task, power),
        perfect=_bill(task, best.battery[0]),
        floor_kw=floor if np.isfinite(floor) else None,
        rule_steps=acted.rule_steps,
        steps_ms=acted.steps_ms,
        errors=acted.errors.sums.tolist(),
    )


def _floor(task: Task, known: Floats) -> float:
    """The cap that the month begins with: none where there is no demand charge, or too little is known."""
    if not task.demand or not ready(len(known), task.per_day):
        return np.inf
    return demand.floor(known, task.per_day, demand.Store.of(Site(batteries=(task.battery,))))


def _full_price(task: Task) -> Floats:
    return task.price + task.carbon * task.carbon_price


def _bill(task: Task, power: Floats) -> Bill:
    net, hours, b = task.net[task.first :], 24 / task.per_day, task.battery
    n, grid = len(net), net + power
    limits = Limits(
        capacity=b.capacity,
        power=b.power,
        efficiency=b.efficiency,
        low=b.low,
        high=b.high,
        start=task.soc,
        end=task.soc,
        export=max(task.export, -float(net.min())),  # PV that was fed in without a battery is nobody's violation
    )
    counted: Counted = check(limits, hours, net.tolist(), power.tolist(), grid.tolist())
    bought, fed = np.maximum(grid, 0.0), np.maximum(-grid, 0.0)
    energy = float((bought * task.price[:n] - fed * task.sell[:n]).sum()) * hours
    kg = float(bought.sum()) * hours * task.carbon
    wear = counted.discharged * b.wear
    charge = max(counted.peak, 0.0) * task.demand
    return Bill(
        cost=energy + charge + wear + kg * task.carbon_price,
        energy=energy,
        demand=charge,
        wear=wear,
        carbon=kg * task.carbon_price,
        carbon_kg=kg,
        peak_kw=counted.peak,
        violations=counted.violations,
        soc_end=counted.soc_end,
    )


_FREE = 1e6  # kW, the cap where there is none
_CAREFUL_H = 33.0  # before a month's end the rule stores no more than must be left: at night there may be no load to give it to
_END_H = 2.0


def _ruled(task: Task, floor: float, *, twice: bool) -> Floats:
    """The month's powers under the time-of-use rule."""
    net, hours, battery = task.net[task.first :], 24 / task.per_day, task.battery
    end = task.soc * battery.capacity
    energy, peak, price, powers = end, 0.0, _full_price(task), np.zeros(len(net))
    for t in range(len(net)):
        left = len(net) - t
        if np.isinf(floor) and t % task.per_day == 0:
            floor = _floor(task, task.net[: task.first + t])
        wanted = _rule(battery, energy, price[t : t + task.per_day], hours, end, left, twice=twice and bool(np.isfinite(floor)))
        powers[t], energy = _act(task, wanted, max(peak, floor), energy, float(net[t]), last=left == 1)
        peak = max(peak, net[t] + powers[t])
    return powers


def _rule(battery: Battery, energy: float, price: Floats, hours: float, end: float, left: int, *, twice: bool) -> float:
    if left * hours <= _END_H:
        return rule.toward(battery, energy, end, left * hours)
    high = end if left * hours <= _CAREFUL_H else None
    return rule.power(battery, energy, price, hours, high=high, twice=twice)


def _act(task: Task, wanted: float, cap: float, energy: float, net: float, *, last: bool) -> tuple[float, float]:
    """What the battery does in a step, and what is in store after it. In the month's last step its end goes before the cap."""
    hours, b = 24 / task.per_day, task.battery
    power = follow(wanted, net, np.inf if last or task.held else cap, max(task.export, -net))
    power = b.within(power, energy, hours)
    return power, b.after(power, energy, hours)


class Acted:
    """The month under the optimiser, step by step."""

    def __init__(self, task: Task, site: Site, floor: float, clock: Callable[[], float]) -> None:
        self._task, self._floor, self._clock = task, floor, clock
        self._planner = Planner(site, task.per_day, held=task.held)
        self.errors = Errors(task.net, task.per_day, AHEAD)
        self.steps_ms: list[float] = []
        self.rule_steps = 0

    def run(self) -> Floats:
        """The month's powers, kW."""
        task, b = self._task, self._task.battery
        net = task.net[task.first :]
        energy, peak, powers, floor = task.soc * b.capacity, 0.0, np.zeros(len(net)), self._floor
        for t in range(len(net)):
            if np.isinf(floor) and t % task.per_day == 0:
                floor = _floor(task, task.net[: task.first + t])
            wanted, cap = self._decide(task.net[: task.first + t], t, energy, max(peak, floor))
            powers[t], energy = _act(task, wanted, cap, energy, float(net[t]), last=t == len(net) - 1)
            peak = max(peak, net[t] + powers[t])
        return powers

    def _decide(self, known: Floats, t: int, energy: float, peak: float) -> tuple[float, float]:
        """Set-point and cap of step `t` of the month, from what was `known` before it."""
        task, planner = self._task, self._planner
        left, end = len(task.net) - len(known), task.soc * task.battery.capacity
        if not ready(len(known), task.per_day):
            self.rule_steps += 1
            price = _full_price(task)[t : t + task.per_day]
            return _rule(task.battery, energy, price, 24 / task.per_day, end, left, twice=False), peak
        began = self._clock()
        paths = ensemble(known, task.per_day, planner.ahead, (task.weekday + t // task.per_day) % 7)
        ahead = Ahead(
            paths=paths,
            price=_full_price(task)[t : t + planner.ahead],
            sell=task.sell[t : t + planner.ahead],
            demand=task.demand,
            left=left,
        )
        decided = planner.decide(ahead, Standing(stored=np.array([energy]), peak=min(peak, _FREE), end=np.array([end])))
        self.steps_ms.append(1e3 * (self._clock() - began))
        if t % 4 == 0:
            self.errors.note(len(known), paths)
        return float(decided.power[0]), decided.cap
