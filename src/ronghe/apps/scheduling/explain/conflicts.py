"""Where there is no plan: the smallest set of facts that contradict one another (QuickXplain, Junker 2004)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from ronghe.apps.scheduling.arrays import Arrays
from ronghe.apps.scheduling.check import check
from ronghe.apps.scheduling.dispatch import QUICK, by_rule
from ronghe.apps.scheduling.problem import Arrival, Fixed, Problem
from ronghe.text import Text

_Change = Callable[[Problem], Problem]
_replace = msgspec.structs.replace


@dataclass(frozen=True, slots=True)
class _Fact:
    """A fact in words, and the problem without it."""

    text: Text
    without: _Change


def conflict(problem: Problem) -> list[Text]:
    """Facts that together leave no plan, while without any one of them there is one as far as these are concerned: what is fixed, when
    machines and people are off, how many people there are, what material comes, what must not pause. [] where a plan is found at once, or
    where the reason lies in none of these. The problem itself is taken to be sound."""
    facts = _facts(problem)

    def possible(kept: Sequence[_Fact]) -> bool:
        changed = problem
        names = {id(f) for f in kept}
        for f in facts:
            if id(f) not in names:
                changed = f.without(changed)
        return _has_plan(changed)

    if possible(facts) or not possible(()):
        return []
    return [f.text for f in _smallest(possible, (), False, facts)]


def _smallest(possible: Callable[[Sequence[_Fact]], bool], kept: Sequence[_Fact], fresh: bool, facts: Sequence[_Fact]) -> Sequence[_Fact]:
    """Those of `facts` that, with `kept`, suffice for there to be no plan, and none of which can be spared."""
    if fresh and not possible(kept):
        return ()
    if len(facts) == 1:
        return facts
    half = len(facts) // 2
    left, right = facts[:half], facts[half:]
    second = _smallest(possible, (*kept, *left), True, right)
    first = _smallest(possible, (*kept, *second), bool(second), left)
    return (*first, *second)


def _has_plan(problem: Problem) -> bool:
    a = Arrays.of(problem)
    for rule in QUICK:
        plan = by_rule(a, [rule])
        if plan.status != "unknown" and not check(problem, plan):
            return True
    return False


def _facts(problem: Problem) -> list[_Fact]:
    return [*_machine_facts(problem), *_people_facts(problem), *_material_facts(problem), *_pause_facts(problem), *_fixed_facts(problem)]


def _machine_facts(problem: Problem) -> list[_Fact]:
    def without(name: str, at: int) -> _Change:
        def change(p: Problem) -> Problem:
            off = next(m.off for m in problem.machines if m.name == name)[at]
            machines = (_replace(m, off=tuple(o for o in m.off if o is not off)) if m.name == name else m for m in p.machines)
            return _replace(p, machines=tuple(machines))

        return change

    return [_Fact(_off(m.name, o.start, o.end, o.why), without(m.name, x)) for m in problem.machines for x, o in enumerate(m.off)]


def _people_facts(problem: Problem) -> list[_Fact]:
    def fewer(name: str) -> _Change:
        enough = sum(o.people.get(name, 0) for j in problem.jobs for o in j.operations)
        return lambda p: _replace(p, pools=tuple(_replace(x, size=max(x.size, enough)) if x.name == name else x for x in p.pools))

    def without(name: str, at: int) -> _Change:
        off = next(x.off for x in problem.pools if x.name == name)[at]

        def change(p: Problem) -> Problem:
            pools = (_replace(x, off=tuple(o for o in x.off if o is not off)) if x.name == name else x for x in p.pools)
            return _replace(p, pools=tuple(pools))

        return change

    sizes = [_Fact(Text(f"{p.name}: only {p.size}", f"{p.name} 仅有 {p.size}"), fewer(p.name)) for p in problem.pools]
    return sizes + [_Fact(_off(p.name, o.start, o.end, o.why), without(p.name, x)) for p in problem.pools for x, o in enumerate(p.off)]


def _off(name: str, start: int, end: int, why: str) -> Text:
    said = f" ({why})" if why else ""
    return Text(f"{name} is off from {start} to {end}{said}", f"{name} 在 {start} 至 {end} 不可用{said}")


def _material_facts(problem: Problem) -> list[_Fact]:
    needed: dict[str, float] = {}
    for j in problem.jobs:
        for o in j.operations:
            for name, quantity in o.uses.items():
                needed[name] = needed.get(name, 0.0) + quantity

    def plenty(name: str, quantity: float) -> _Change:
        return lambda p: _replace(p, arrivals=(*p.arrivals, Arrival(material=name, at=0, quantity=quantity)))

    found = []
    for name, quantity in needed.items():
        come = sum(a.quantity for a in problem.arrivals if a.material == name)
        last = max((a.at for a in problem.arrivals if a.material == name), default=0)
        text = Text(
            f"of {name} {come:g} comes in all, the last at {last}; {quantity:g} is needed",
            f"物料 {name} 总到货 {come:g}（最后一批在 {last}），需求 {quantity:g}",
        )
        found.append(_Fact(text, plenty(name, quantity)))
    return found


def _pause_facts(problem: Problem) -> list[_Fact]:
    def pausing(name: str) -> _Change:
        def change(p: Problem) -> Problem:
            jobs = []
            for j in p.jobs:
                rows = tuple(_replace(o, pauses=True) if o.name == name else o for o in j.operations)
                jobs.append(_replace(j, operations=rows) if rows != j.operations else j)
            return _replace(p, jobs=tuple(jobs))

        return change

    found = []
    for j in problem.jobs:
        for o in j.operations:
            if not o.pauses:
                shortest = min(c.duration for c in o.choices)
                text = Text(f"{o.name} takes {shortest} and must not pause", f"工序 {o.name} 需 {shortest} 且不允许中断")
                found.append(_Fact(text, pausing(o.name)))
    return found


def _fixed_facts(problem: Problem) -> list[_Fact]:
    def free(name: str) -> _Change:
        return lambda p: _replace(p, fixed=tuple(f for f in p.fixed if f.operation != name))

    def said(f: Fixed) -> Text:
        return Text(f"{f.operation} is fixed on {f.machine} at {f.start}", f"工序 {f.operation} 固定在 {f.machine}、{f.start} 开始")

    return [_Fact(said(f), free(f.operation)) for f in problem.fixed]
