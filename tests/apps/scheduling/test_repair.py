"""Repair: after any event a plan that holds, at once, with no more moved than must be."""

from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ronghe.apps.scheduling.check import check, claims
from ronghe.apps.scheduling.dispatch import first
from ronghe.apps.scheduling.problem import Arrival, Choice, Fixed, Job, Machine, Operation, Plan, Problem, Setup, Weights
from ronghe.apps.scheduling.repair import Moved, begun, breakdown, late_material, maintenance, moved, quality_stop, repair, rework, rush
from ronghe.errors import AppError

from .shops import shop


def _event(kind: str, r: random.Random, problem: Problem, plan: Plan, now: int, frozen: int) -> Problem:
    machine, start = r.choice(problem.machines).name, now + r.randint(0, 20)
    if kind in ("breakdown", "maintenance", "quality_stop"):
        stands = {"breakdown": breakdown, "maintenance": maintenance, "quality_stop": quality_stop}[kind]
        return stands(problem, plan, machine, start, start + r.randint(1, 30), now=now, frozen=frozen)
    if kind == "rush":
        like = r.choice(problem.jobs)
        names = {o.name: f"R.{i}" for i, o in enumerate(like.operations)}
        steps = tuple(
            msgspec.structs.replace(o, name=names[o.name], uses={}, after=None if o.after is None else tuple(names[a] for a in o.after))
            for o in like.operations
        )
        return rush(problem, Job(name="R", operations=steps, release=now, due=now + 10, weight=5.0), plan, now=now, frozen=frozen)
    if kind == "late_material" and any(a.at > now for a in problem.arrivals):
        coming = r.choice([a for a in problem.arrivals if a.at > now])
        return late_material(problem, coming.material, coming.at + 20, plan=plan, now=now, frozen=frozen)
    return rework(problem, r.choice([o.name for j in problem.jobs for o in j.operations]), duration=0.5, plan=plan, now=now)


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 10**9),
    kind=st.sampled_from(["breakdown", "maintenance", "quality_stop", "rush", "late_material", "rework"]),
    now=st.sampled_from([0, 6, 19, 45]),
    frozen=st.sampled_from([0, 0, 10]),
)
def test_after_any_event_the_repaired_plan_holds_and_keeps_what_has_begun(seed: int, kind: str, now: int, frozen: int) -> None:
    problem = shop(seed)
    old = first(problem)
    changed = _event(kind, random.Random(seed), problem, old, now, frozen)
    new = repair(changed, old)
    assert check(changed, new) == []
    assert claims(changed, new) == []
    before = {a.operation: a for a in old.assigned}
    for a in new.assigned:
        if a.operation in before and before[a.operation].start < now:
            assert (a.machine, a.start) == (before[a.operation].machine, before[a.operation].start)


def _two() -> tuple[Problem, Plan]:
    """Two machines that can do the same; three jobs on each."""
    jobs = tuple(
        Job(name=f"j{i}", operations=(Operation(name=f"j{i}.1", choices=(Choice("A", 10), Choice("B", 10))),), due=10 * (i // 2 + 1))
        for i in range(6)
    )
    problem = Problem(machines=(Machine(name="A"), Machine(name="B")), jobs=jobs, weights=Weights(tardiness=1.0))
    plan = first(problem)
    assert plan.tardiness == 0
    return problem, plan


def test_nothing_happened_nothing_moves() -> None:
    for seed in range(30):
        problem = shop(seed)
        old = first(problem)
        assert moved(old, repair(problem, old)) == []


def test_what_runs_when_its_machine_breaks_down_goes_on_afterwards_and_others_wait_or_go_elsewhere() -> None:
    problem, old = _two()
    changed = breakdown(problem, old, "A", 4, 24, now=4)
    new = repair(changed, old)
    assert check(changed, new) == []
    on = {a.operation: a for a in new.assigned}
    running = next(a for a in old.assigned if a.machine == "A" and a.start == 0)
    assert (on[running.operation].start, on[running.operation].end) == (0, 30)  # 4 done, 20 stood, 6 left
    assert new.makespan == 40  # right-shifting alone would end at 50
    stayed = [a for a in old.assigned if a.machine == "B"]
    assert all(on[a.operation].machine == "B" for a in stayed)


def test_what_stands_before_the_frozen_horizon_stays() -> None:
    problem, old = _two()
    urgent = Job(name="r", operations=(Operation(name="r.1", choices=(Choice("A", 5), Choice("B", 5))),), due=5, weight=100.0)
    free = repair(rush(problem, urgent, old, now=0), old)
    kept = repair(rush(problem, urgent, old, now=0, frozen=15), old)
    at = {a.operation: a.start for a in free.assigned}, {a.operation: a.start for a in kept.assigned}
    assert at[0]["r.1"] == 0
    assert at[1]["r.1"] == 20
    assert moved(old, kept) == [m for m in moved(old, kept) if m.start_before >= 15]


def test_late_material_moves_only_what_uses_it_and_what_stands_behind_that() -> None:
    problem, _ = _two()
    using = tuple(msgspec.structs.replace(o, uses={"steel": 1.0}) for o in problem.jobs[5].operations)
    jobs = (*problem.jobs[:5], msgspec.structs.replace(problem.jobs[5], operations=using))
    problem = msgspec.structs.replace(problem, jobs=jobs, arrivals=(Arrival(material="steel", at=15, quantity=1.0, source="truck 7"),))
    old = first(problem)
    changed = late_material(problem, "steel", 33, source="truck 7", plan=old, now=5)
    new = repair(changed, old)
    assert check(changed, new) == []
    assert [m.operation for m in moved(old, new)] == ["j5.1"]
    with pytest.raises(AppError, match="nothing of glue"):
        late_material(problem, "glue", 33)


def test_rework_comes_before_what_has_not_begun_of_its_job() -> None:
    steps = tuple(Operation(name=f"j.{i}", choices=(Choice("A", 10),)) for i in range(3))
    problem = Problem(machines=(Machine(name="A"),), jobs=(Job(name="j", operations=steps),))
    old = first(problem)
    changed = rework(problem, "j.0", duration=0.5, plan=old, now=12)  # j.0 is done, j.1 runs
    new = repair(changed, old)
    assert check(changed, new) == []
    at = {a.operation: (a.start, a.end) for a in new.assigned}
    assert at == {"j.0": (0, 10), "j.1": (10, 20), "j.0/again1": (20, 25), "j.2": (25, 35)}


def test_a_plan_is_given_even_where_what_was_fixed_by_hand_collides_and_the_checker_tells() -> None:
    steps = tuple(Operation(name=f"j.{i}", choices=(Choice("A", 10),)) for i in range(2))
    problem = Problem(machines=(Machine(name="A"),), jobs=(Job(name="j", operations=steps),))
    old = first(problem)
    dragged = msgspec.structs.replace(problem, fixed=(Fixed(operation="j.1", machine="A", start=3),))
    new = repair(dragged, old)
    assert {a.operation for a in new.assigned} == {"j.0", "j.1"}
    assert any("j.1 starts at 3" in str(t.en) for t in check(dragged, new))


def test_begun_fixes_an_operation_whose_setup_has_begun() -> None:
    def job(name: str, family: str) -> Job:
        return Job(name=name, operations=(Operation(name=f"{name}.1", choices=(Choice("A", 10),), family=family),))

    problem = Problem(
        machines=(Machine(name="A", family="x"),), jobs=(job("a", "x"), job("b", "y")), setups=(Setup(before="x", after="y", duration=6),)
    )
    old = first(problem)
    at = {a.operation: a.start for a in old.assigned}
    assert at == {"a.1": 0, "b.1": 16}
    changed = begun(problem, old, 12)
    assert {(f.operation, f.start) for f in changed.fixed} == {("a.1", 0), ("b.1", 16)}
    assert check(changed, repair(changed, old)) == []


def test_moved_tells_machine_and_start_beyond_the_tolerance() -> None:
    _, old = _two()
    last = next(a for a in old.assigned if a.operation == "j5.1")
    later = msgspec.structs.replace(last, start=last.start + 3, setup_start=last.start + 3, end=last.end + 3)
    shifted = tuple(later if a is last else a for a in old.assigned)
    new = msgspec.structs.replace(old, assigned=shifted)
    assert moved(old, new, tolerance=2) == [Moved("j5.1", last.machine, last.machine, last.start + 3, last.start)]
    assert moved(old, new, tolerance=3) == []
