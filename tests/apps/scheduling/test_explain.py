"""Explanations: shares add up to the lateness; a fix that is told keeps its word; a conflict is the smallest there is."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ronghe.apps.scheduling.dispatch import first
from ronghe.apps.scheduling.explain import Why, conflict, why_late
from ronghe.apps.scheduling.problem import Arrival, Choice, Fixed, Job, Machine, Off, Operation, Plan, Pool, Problem, Setup, Weights
from ronghe.errors import AppError

from .shops import shop


def _job(name: str, duration: int, **more: object) -> Job:
    operation = {k: more.pop(k) for k in ("family", "people", "uses", "pauses") if k in more}
    choices = (Choice("M", duration),)
    return Job(name=name, operations=(Operation(name=f"{name}.1", choices=choices, **operation),), **more)  # type: ignore[arg-type]


def _why(problem: Problem, job: str) -> Why:
    return why_late(problem, first(problem), job)


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10**9))
def test_the_shares_add_up_to_the_lateness(seed: int) -> None:
    problem = shop(seed)
    plan = first(problem)
    ends = {j.name: max(a.end for a in plan.assigned if a.operation.startswith(f"{j.name}.")) for j in problem.jobs}
    for j in problem.jobs:
        why = why_late(problem, plan, j.name)
        late = 0 if j.due is None else max(0, ends[j.name] - j.due)
        assert why.late == late
        assert sum(c.share for c in why.causes) == pytest.approx(late)
        assert all(c.share > 0 for c in why.causes)
        assert all(f.late <= 0.8 * late for f in why.fixes)


def test_behind_another_order_and_its_setup() -> None:
    machines = (Machine(name="M", family="a"),)
    problem = Problem(
        machines=machines,
        jobs=(_job("long", 30, family="a", weight=9.0, due=30), _job("x", 10, family="b", due=20)),
        setups=(Setup(before="a", after="b", duration=6),),
        weights=Weights(tardiness=1.0),
    )
    why = _why(problem, "x")
    assert why.late == 26
    assert [(c.kind, c.ticks) for c in why.causes] == [("machine", 30), ("setup", 6)]
    assert [c.share for c in why.causes] == pytest.approx([26 * 30 / 36, 26 * 6 / 36])
    assert "behind long" in why.text.en
    assert "long 先加工" in why.text.zh
    assert why.fix is not None
    assert why.fix.en.startswith("x goes before long: then in time, but others")


def test_material_says_its_source_and_expediting_it_helps() -> None:
    problem = Problem(
        machines=(Machine(name="M"),),
        jobs=(_job("x", 10, uses={"steel": 2.0}, due=15),),
        arrivals=(Arrival(material="steel", at=0, quantity=1.0), Arrival(material="steel", at=40, quantity=1.0, source="truck 7")),
        weights=Weights(tardiness=1.0),
    )
    why = _why(problem, "x")
    assert [(c.kind, c.ticks, c.share) for c in why.causes] == [("material", 40, 35.0)]
    assert "truck 7" in why.text.en
    assert why.fix is not None
    assert "steel from truck 7 comes 40 ticks earlier: then in time" in why.fix.en


def test_a_pause_asks_for_overtime_a_short_pool_for_people() -> None:
    night = (Off(8, 20, "night"),)
    problem = Problem(machines=(Machine(name="M", off=night),), jobs=(_job("x", 12, due=14),), weights=Weights(tardiness=1.0))
    why = _why(problem, "x")
    assert [(c.kind, c.ticks) for c in why.causes] == [("pause", 12)]
    assert why.fix is not None
    assert "M works 12 ticks overtime" in why.fix.en
    two = (Choice("N", 9),)
    other = Job(name="y", operations=(Operation(name="y.1", choices=two, people={"fitter": 1}),), due=9, weight=9.0)
    problem = Problem(
        machines=(Machine(name="M"), Machine(name="N")),
        jobs=(other, _job("x", 5, people={"fitter": 1}, due=6)),
        pools=(Pool(name="fitter", size=1),),
        weights=Weights(tardiness=1.0),
    )
    why = _why(problem, "x")
    assert [(c.kind, c.ticks) for c in why.causes] == [("people", 9)]
    assert any(f.text.en == "one more of fitter: then in time" for f in why.fixes)


def test_released_late_and_sheer_work_are_no_delay_and_nothing_helps() -> None:
    problem = Problem(machines=(Machine(name="M"),), jobs=(_job("x", 10, release=7, due=4),), weights=Weights(tardiness=1.0))
    why = _why(problem, "x")
    assert {(c.kind, c.share) for c in why.causes} == {("release", 7.0), ("work", 6.0)}
    assert why.fixes == ()
    assert why.fix is None


def test_what_is_in_time_or_unknown() -> None:
    problem = Problem(machines=(Machine(name="M"),), jobs=(_job("x", 10, due=10),))
    assert _why(problem, "x").text.en == "x is in time"
    with pytest.raises(AppError, match="no order y"):
        _why(problem, "y")
    with pytest.raises(AppError, match="no order x"):
        why_late(problem, Plan(assigned=(), objective=0.0), "x")


def _conflict(**more: object) -> set[str]:
    jobs = more.pop("jobs", (_job("x", 10), _job("y", 10)))
    noise = (Off(1000, 1010, "far away"),)
    machines = more.pop("machines", (Machine(name="M", off=noise),))
    problem = Problem(machines=machines, jobs=jobs, **more)  # type: ignore[arg-type]
    found = conflict(problem)
    assert all(t.zh for t in found)
    return {t.en for t in found}


def test_conflicts_are_the_smallest_set() -> None:
    both = (Fixed(operation="x.1", machine="M", start=5), Fixed(operation="y.1", machine="M", start=9))
    assert _conflict(fixed=both) == {"x.1 is fixed on M at 5", "y.1 is fixed on M at 9"}
    short = (_job("x", 5, uses={"oil": 3.0}), _job("y", 5))
    assert _conflict(jobs=short, arrivals=(Arrival(material="oil", at=4, quantity=1.0),)) == {
        "of oil 1 comes in all, the last at 4; 3 is needed"
    }
    ever = 1 << 51
    gaps = (Off(6, 8, "break"), Off(12, ever, "sold", stop=True))
    whole = (_job("x", 7, pauses=False), _job("y", 2))
    assert _conflict(jobs=whole, machines=(Machine(name="M", off=gaps),)) == {
        "M is off from 6 to 8 (break)",
        f"M is off from 12 to {ever} (sold)",
        "x.1 takes 7 and must not pause",
    }
    crowd = (_job("x", 5, people={"fitter": 2}), _job("y", 5))
    assert _conflict(jobs=crowd, pools=(Pool(name="fitter", size=1),)) == {"fitter: only 1"}


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**9))
def test_where_there_is_a_plan_nothing_conflicts(seed: int) -> None:
    assert conflict(shop(seed)) == []
