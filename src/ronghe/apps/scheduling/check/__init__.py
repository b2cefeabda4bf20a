"""The one independent checker: does a plan hold, and what is it worth? Shares no code with the solvers; reads like the rules in `problem`.

It is written to be read and believed, not to be fast (about 20 µs an operation).
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from ronghe.apps.scheduling.check.energy import Energy, energy
from ronghe.apps.scheduling.check.rules import ROUNDING, complete, in_time, machines, materials, people, precedence, setups, together
from ronghe.apps.scheduling.check.shop import Shop, things
from ronghe.apps.scheduling.problem import Plan, Problem, Tick
from ronghe.text import Text

__all__ = ["Energy", "Figures", "check", "claims", "energy", "measure", "stamped"]


class Figures(NamedTuple):
    """What a plan is worth; `tardiness` is weighted, `objective` that of the problem's weights."""

    makespan: Tick
    tardiness: float
    setup: Tick
    objective: float


def check(problem: Problem, plan: Plan) -> list[Text]:
    """Every violation in words, each naming what it concerns; [] when the plan holds. The problem itself is taken to be sound."""
    shop = Shop.of(problem)
    said = list(complete(shop, plan))
    found = list(things(shop, plan))
    for thing in found:
        said += together(shop, thing)
        said += in_time(shop, thing)
    said += machines(shop, found)
    said += precedence(shop, plan)
    said += people(shop, found)
    said += materials(shop, plan)
    return said


def measure(problem: Problem, plan: Plan) -> Figures:
    """Make-span, weighted tardiness, set-up time and objective, computed anew from where the operations lie."""
    shop = Shop.of(problem)
    ends: dict[str, Tick] = {}
    for a in plan.assigned:
        if a.operation in shop.operation:
            job = shop.operation[a.operation][1].name
            ends[job] = max(ends.get(job, a.end), a.end)
    tardiness = sum(j.weight * max(0, ends[j.name] - j.due) for j in problem.jobs if j.due is not None and j.name in ends)
    setup = sum(needed for _, needed in setups(shop, list(things(shop, plan))))
    makespan = max(ends.values(), default=0)
    w = problem.weights
    return Figures(makespan, tardiness, setup, w.makespan * makespan + w.tardiness * tardiness + w.setup * setup)


def stamped(problem: Problem, plan: Plan) -> Plan:
    """The plan with its figures measured anew."""
    f = measure(problem, plan)
    return msgspec.structs.replace(plan, makespan=f.makespan, tardiness=f.tardiness, setup=f.setup, objective=f.objective)


def claims(problem: Problem, plan: Plan) -> list[Text]:
    """What a plan says of itself and is not so: its figures, and a lower bound above its own objective."""
    said = []
    real = measure(problem, plan)
    power = energy(problem, plan) or Energy(0.0, None, None)
    energies: list[tuple[Text, float | None, float | None]] = [
        (Text("energy", "用电量"), plan.energy, power.kwh),
        (Text("energy cost", "电费"), plan.energy_cost, power.money),
        (Text("carbon", "碳排放"), plan.carbon, power.carbon),
    ]
    for name, stated, actual in [
        *((name, stated, actual or 0.0) for name, stated, actual in energies if stated is not None),
        (Text("make-span", "完工时间"), plan.makespan, real.makespan),
        (Text("tardiness", "拖期"), plan.tardiness, real.tardiness),
        (Text("set-up time", "换型时间"), plan.setup, real.setup),
        (Text("objective", "目标值"), plan.objective, real.objective),
    ]:
        if abs(stated - actual) > ROUNDING * max(1.0, abs(actual)):
            said.append(
                Text(f"the plan states {name.en} {stated:g}; it is {actual:g}", f"计划所述{name.zh}为 {stated:g}，实际为 {actual:g}")
            )
    if plan.lower_bound is not None and plan.lower_bound > real.objective + ROUNDING * max(1.0, abs(real.objective)):
        said.append(
            Text(
                f"the plan states the lower bound {plan.lower_bound:g}, above its objective {real.objective:g}",
                f"计划所述下界 {plan.lower_bound:g} 高于其目标值 {real.objective:g}",
            )
        )
    return said
