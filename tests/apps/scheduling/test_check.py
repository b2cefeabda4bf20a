"""The checker, against a second reading of the rules tick by tick, and each rule broken by hand."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ronghe.apps.scheduling.check import check, claims, measure, stamped
from ronghe.apps.scheduling.problem import (
    Arrival,
    Assigned,
    Choice,
    Fixed,
    Job,
    Machine,
    Off,
    Operation,
    Plan,
    Pool,
    Problem,
    Setup,
    Weights,
)

END = 60  # ticks that the tick-by-tick reading looks at


def _off(offs: tuple[Off, ...], *, stops: bool = False) -> set[int]:
    return {t for o in offs if o.stop or not stops for t in range(o.start, o.end)}


def _holds(p: Problem, plan: Plan) -> bool:
    """The rules once more, over sets of ticks: no batches, nothing fixed, everything lasts 1 at least."""
    operations = {o.name: (o, j) for j in p.jobs for o in j.operations}
    at = {a.operation: a for a in plan.assigned}
    if set(at) != set(operations) or len(plan.assigned) != len(operations):
        return False
    previous = {o.name: before for j in p.jobs for o, before in zip(j.operations[1:], [x.name for x in j.operations], strict=False)}
    for name, a in at.items():
        o, job = operations[name]
        lasts = {c.machine: c.duration for c in o.choices}.get(a.machine)
        if lasts is None or not p.now <= a.setup_start <= a.start < a.end or a.start < job.release:
            return False
        machine = next(m for m in p.machines if m.name == a.machine)
        offs = machine.off + tuple(x for pool in p.pools if o.people.get(pool.name) for x in pool.off)
        ticks, off = range(a.setup_start, a.end), _off(offs)
        if set(ticks) & (_off(offs, stops=True) if o.pauses else off) or {a.setup_start, a.start, a.end - 1} & off:
            return False
        earlier = [x for x in plan.assigned if x.machine == a.machine and x.setup_start < a.setup_start]
        if any(x is not a and x.machine == a.machine and set(ticks) & set(range(x.setup_start, x.end)) for x in plan.assigned):
            return False
        families = [machine.family, *(f for x in sorted(earlier, key=lambda x: x.start) if (f := operations[x.operation][0].family))]
        pair = (families[-1], o.family)
        own = {(s.before, s.after): s.duration for s in p.setups if s.machine == a.machine}
        needed = own.get(pair, {(s.before, s.after): s.duration for s in p.setups if not s.machine}.get(pair, 0))
        if len(set(range(a.setup_start, a.start)) - off) != needed or len(set(range(a.start, a.end)) - off) != lasts:
            return False
        if name in previous and a.start < at[previous[name]].end:
            return False
    for t in range(END):
        there = [operations[a.operation][0] for a in plan.assigned if a.setup_start <= t < a.end]
        if any(sum(o.people.get(pool.name, 0) for o in there) > pool.size for pool in p.pools):
            return False
        used = sum(operations[a.operation][0].uses.get("steel", 0) for a in plan.assigned if a.start <= t)
        if used > sum(x.quantity for x in p.arrivals if x.at <= t):
            return False
    return True


_offs = st.lists(st.builds(lambda s, n, stop: Off(s, s + n, stop=stop), st.integers(0, 25), st.integers(1, 4), st.booleans()), max_size=2)
_family = st.sampled_from(["", "a", "b"])


@st.composite
def _problems(draw: st.DrawFn) -> Problem:
    machines = tuple(Machine(name=n, off=tuple(draw(_offs)), family=draw(_family)) for n in "MN")
    jobs = []
    for j in range(draw(st.integers(1, 2))):
        operations = tuple(
            Operation(
                name=f"{j}.{k}",
                choices=tuple(Choice(m, draw(st.integers(1, 4))) for m in draw(st.sampled_from(["M", "N", "MN"]))),
                family=draw(_family),
                pauses=draw(st.booleans()),
                people={"fitters": draw(st.integers(0, 2))},
                uses={"steel": float(draw(st.integers(0, 2)))},
            )
            for k in range(draw(st.integers(1, 2)))
        )
        jobs.append(Job(name=str(j), operations=operations, release=draw(st.integers(0, 5))))
    pairs = [(m, x, y) for m in ("", "M") for x in "ab" for y in "ab"]
    setups = tuple(Setup(machine=m, before=x, after=y, duration=draw(st.integers(0, 3))) for m, x, y in pairs if draw(st.booleans()))
    pools = (Pool(name="fitters", size=draw(st.integers(2, 3)), off=tuple(draw(_offs))),)
    arrivals = (Arrival(material="steel", at=0, quantity=2.0), Arrival(material="steel", at=draw(st.integers(1, 20)), quantity=6.0))
    return Problem(machines=machines, jobs=tuple(jobs), setups=setups, pools=pools, arrivals=arrivals, now=draw(st.integers(0, 2)))


def _placed(p: Problem, draw: Callable[[list[str]], str]) -> Plan | None:
    """A plan that holds, by trying ticks one after another; None where there is none soon."""
    done: list[Assigned] = []
    for job in p.jobs:
        for o in job.operations:
            ready = done[-1].end if o is not job.operations[0] else 0
            machine = draw([c.machine for c in o.choices])
            part = msgspec.structs.replace(
                job, operations=tuple(x for x in job.operations if x.name in {o.name, *(d.operation for d in done)})
            )
            names = {d.operation for d in done}
            some = tuple(j if all(x.name in names for x in j.operations) else part for j in p.jobs[: p.jobs.index(job) + 1])
            smaller = msgspec.structs.replace(p, jobs=some)
            found = next(
                (
                    plan
                    for start in range(ready, END - 20)
                    for setup_start in range(start, max(-1, start - 12), -1)
                    for end in range(start + 1, start + 16)
                    if _holds(
                        smaller,
                        plan := Plan(
                            assigned=(*done, Assigned(operation=o.name, machine=machine, setup_start=setup_start, start=start, end=end)),
                            objective=0,
                        ),
                    )
                ),
                None,
            )
            if found is None:
                return None
            done = list(found.assigned)
    return Plan(assigned=tuple(done), objective=0)


@settings(deadline=None, max_examples=25)
@given(_problems(), st.data())
def test_it_says_what_the_rules_say_read_tick_by_tick(problem: Problem, data: st.DataObject) -> None:
    plan = _placed(problem, lambda names: data.draw(st.sampled_from(names)))
    if plan is None:
        return
    assert check(problem, plan) == []
    for _ in range(20):
        k = data.draw(st.integers(0, len(plan.assigned) - 1))
        a = plan.assigned[k]
        by = data.draw(st.integers(-3, 3))
        ways = {
            "start": {"start": a.start + by},
            "setup": {"setup_start": a.setup_start + by},
            "end": {"end": a.end + by},
            "all": {"setup_start": a.setup_start + by, "start": a.start + by, "end": a.end + by},
            "machine": {"machine": data.draw(st.sampled_from("MN"))},
        }
        moved = msgspec.structs.replace(a, **ways[data.draw(st.sampled_from(sorted(ways)))])
        other = msgspec.structs.replace(plan, assigned=(*plan.assigned[:k], moved, *plan.assigned[k + 1 :]))
        assert (check(problem, other) == []) == _holds(problem, other)


def _one(**more: object) -> Problem:
    """Two operations of a furnace M (batches of 2), two of N."""
    furnace = tuple(Operation(name=f"f{k}", choices=(Choice("M", 4 + k),), family="hot", people={"crew": 2}) for k in range(3))
    jobs = tuple(
        Job(name=f"J{k}", operations=(o, Operation(name=f"n{k}", choices=(Choice("N", 2),))), due=5) for k, o in enumerate(furnace)
    )
    fields = {
        "machines": (Machine(name="M", batch=2, family="cold"), Machine(name="N")),
        "jobs": jobs,
        "pools": (Pool(name="crew", size=3),),
    }
    setups = (Setup(before="cold", after="hot", duration=3),)
    return Problem(**{**fields, "setups": setups, "weights": Weights(makespan=1, tardiness=2, setup=10), **more})


def _at(operation: str, machine: str, setup_start: int, start: int, end: int, batch: int = 0) -> Assigned:
    return Assigned(operation=operation, machine=machine, setup_start=setup_start, start=start, end=end, batch=batch)


BATCHED = (
    _at("f0", "M", 0, 3, 8, 1),
    _at("f1", "M", 0, 3, 8, 1),
    _at("f2", "M", 8, 8, 14),
    _at("n0", "N", 8, 8, 10),
    _at("n1", "N", 10, 10, 12),
    _at("n2", "N", 14, 14, 16),
)


def _plan(*assigned: Assigned) -> Plan:
    named = {a.operation: a for a in BATCHED} | {a.operation: a for a in assigned}
    return Plan(assigned=tuple(named.values()), objective=0)


def test_a_batch_is_one_thing_with_one_set_up_and_one_crew() -> None:
    assert check(_one(), _plan()) == []
    assert measure(_one(), _plan()) == (16, 5 + 7 + 11, 3, 16 + 2 * 23 + 10 * 3)


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        (Plan(assigned=BATCHED[1:], objective=0), "f0 is not in the plan"),
        (Plan(assigned=(*BATCHED, BATCHED[0]), objective=0), "f0 is in the plan 2 times"),
        (_plan(_at("who", "N", 20, 20, 22)), "no operation of the problem"),
        (_plan(_at("n2", "X", 14, 14, 16)), "X, which does not exist"),
        (_plan(_at("n2", "M", 14, 14, 16)), "M cannot do n2"),
        (_plan(_at("f0", "M", -3, 0, 4), _at("f1", "M", 4, 4, 9)), "f0 begins at -3, before now (0)"),
        (_plan(_at("n0", "N", 7, 7, 9)), "before f0 ends"),
        (_plan(_at("n1", "N", 9, 9, 11)), "n0 and n1 overlap on N"),
        (_plan(_at("n2", "N", 14, 14, 17)), "worked on for 3 ticks on N; it takes 2"),
        (_plan(_at("n2", "N", 14, 15, 17)), "needs a set-up of 0"),
        (_plan(_at("f0", "M", 2, 3, 8, 1), _at("f1", "M", 2, 3, 8, 1)), "needs a set-up of 3"),
        (_plan(_at("f2", "M", 0, 3, 8, 1)), "the batch f0+f1+f2 has 3"),
        (_plan(_at("f1", "M", 0, 3, 9, 1)), "does not start and end as one"),
        (_plan(_at("n2", "N", 16, 14, 16)), "out of order"),
    ],
)
def test_each_rule_broken_is_told(plan: Plan, says: str) -> None:
    said = check(_one(), plan)
    assert any(says in s.en for s in said), said
    assert all(s.zh and s.zh != s.en for s in said)


def test_people_and_material_are_told_with_the_moment() -> None:
    few = _one(pools=(Pool(name="crew", size=1),))
    assert "f0+f1 need 2 of crew at 0; there are 1" in [s.en for s in check(few, _plan())]
    job = Job(name="J", operations=(Operation(name="o", choices=(Choice("N", 2),), uses={"steel": 3.0}),), release=1)
    late = Problem(
        machines=(Machine(name="N"),),
        jobs=(job,),
        arrivals=(Arrival(material="steel", at=0, quantity=1.0), Arrival(material="steel", at=5, quantity=2.0)),
    )
    assert check(late, Plan(assigned=(_at("o", "N", 5, 5, 7),), objective=0)) == []
    assert [s.en for s in check(late, Plan(assigned=(_at("o", "N", 4, 4, 6),), objective=0))] == [
        "o takes 3 steel at 4; 2 of it is not there yet"
    ]
    assert "before J is released (1)" in check(late, Plan(assigned=(_at("o", "N", 0, 0, 2),), objective=0))[0].en


def test_what_has_begun_is_stated_as_it_is_and_in_the_way_of_the_others() -> None:
    off = (Off(5, 9, "broken", stop=True),)
    fixed = (Fixed(operation="n0", machine="N", start=2, end=12), Fixed(operation="f0", machine="M", start=1))
    problem = _one(machines=(Machine(name="M", batch=2), Machine(name="N", off=off)), fixed=fixed, now=3, setups=())
    begun = (
        _at("f0", "M", 1, 1, 5),
        _at("n0", "N", 2, 2, 12),
        _at("f1", "M", 5, 5, 10),
        _at("f2", "M", 10, 10, 16),
        _at("n2", "N", 16, 16, 18),
    )
    assert check(problem, _plan(*begun, _at("n1", "N", 12, 12, 14))) == []
    assert "n0 and n1 overlap" in check(problem, _plan(*begun, _at("n1", "N", 10, 10, 12)))[0].en
    assert "n0 is fixed on N at 2; the plan moves it" in [s.en for s in check(problem, _plan(*begun, _at("n0", "N", 3, 3, 12)))]


def test_a_plan_is_held_to_its_own_figures() -> None:
    true = stamped(_one(), _plan())
    assert claims(_one(), true) == []
    assert "states objective 1" in claims(_one(), msgspec.structs.replace(true, objective=1.0))[0].en
    assert "above its objective" in claims(_one(), msgspec.structs.replace(true, lower_bound=1000.0))[0].en


def test_moments_are_told_by_the_clock_where_there_is_one() -> None:
    problem = _one(start=1_767_225_600_000_000_000, tick=60.0)
    said = check(problem, _plan(_at("n0", "N", 7, 7, 9)))
    assert "n0 starts at 2026-01-01 00:07:00, before f0 ends (2026-01-01 00:08:00)" in [s.en for s in said]
