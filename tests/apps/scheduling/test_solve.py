"""The one entry: every answer is checked and carries a bound; it can be told, stopped and begun from a plan."""

from __future__ import annotations

import threading

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ronghe.apps.scheduling.bounds import lower_bound
from ronghe.apps.scheduling.check import check, claims
from ronghe.apps.scheduling.problem import Arrival, Choice, Job, Machine, Off, Operation, Plan, Pool, Problem, Setup, Weights
from ronghe.apps.scheduling.solve import first, solve
from ronghe.errors import AppError


def _shop(jobs: int, machines: int, seed: int) -> Problem:
    """A job shop drawn at random, as Taillard's."""
    rng = np.random.default_rng(seed)
    return Problem(
        machines=tuple(Machine(name=str(m)) for m in range(machines)),
        jobs=tuple(
            Job(
                name=f"J{j}",
                operations=tuple(
                    Operation(name=f"J{j}.{k}", choices=(Choice(str(m), int(rng.integers(1, 100))),))
                    for k, m in enumerate(rng.permutation(machines))
                ),
            )
            for j in range(jobs)
        ),
        name="shop",
    )


def _plant() -> Problem:
    """Set-ups, shifts, people, material, due dates: what plants have."""
    night = tuple(Off(8 + 24 * d, 24 + 24 * d, "night") for d in range(20))
    jobs = tuple(
        Job(
            name=f"J{j}",
            operations=(
                Operation(name=f"J{j}.cut", choices=(Choice("A", 3), Choice("B", 4)), family="xyz"[j % 3], people={"crew": 1}),
                Operation(name=f"J{j}.pack", choices=(Choice("C", 2),), uses={"box": 1.0}, pauses=False),
            ),
            due=10 + 3 * j,
            weight=1.0 + j % 2,
        )
        for j in range(6)
    )
    return Problem(
        machines=(Machine(name="A", off=night, family="x"), Machine(name="B", off=night), Machine(name="C")),
        jobs=jobs,
        setups=tuple(Setup(before=a, after=b, duration=2) for a in "xyz" for b in "xyz" if a != b),
        pools=(Pool(name="crew", size=1),),
        arrivals=(Arrival(material="box", at=0, quantity=3.0), Arrival(material="box", at=30, quantity=3.0)),
        weights=Weights(tardiness=1.0, setup=0.1),
        name="plant",
    )


def _right(problem: Problem, plan: Plan) -> None:
    assert check(problem, plan) == []
    assert claims(problem, plan) == []
    assert plan.lower_bound is not None
    assert plan.lower_bound <= plan.objective


@pytest.mark.parametrize("workers", [1, 2])
def test_small_problems_are_solved_to_the_optimum(workers: int) -> None:
    # Two jobs over two machines in opposite order, the one on B first released at 1: B is free for the other from 4.
    a = Job(name="a", operations=tuple(Operation(name=f"a{m}", choices=(Choice(m, d),)) for m, d in (("A", 2), ("B", 3))))
    b = Job(name="b", operations=tuple(Operation(name=f"b{m}", choices=(Choice(m, d),)) for m, d in (("B", 3), ("A", 2))), release=1)
    problem = Problem(machines=(Machine(name="A"), Machine(name="B")), jobs=(a, b), weights=Weights(makespan=2.0))
    plan = solve(problem, seconds=60, workers=workers)
    _right(problem, plan)
    assert (plan.objective, plan.makespan, plan.status, plan.gap) == (14.0, 7, "optimal", 0.0)


def test_every_plan_told_is_better_and_holds() -> None:
    problem = _shop(10, 8, 1)
    told: list[Plan] = []
    plan = solve(problem, seconds=10_000, told=told.append, stop=lambda: len(told) >= 3)
    for each in told:
        _right(problem, each)
    objectives = [p.objective for p in told]
    assert objectives == sorted(objectives, reverse=True)
    assert objectives[0] > plan.objective
    _right(problem, plan)


def test_it_ends_when_told_to_and_hands_on_what_it_has() -> None:
    problem, better = _shop(20, 20, 2), threading.Event()
    start = first(problem)
    plan = solve(problem, seconds=10_000, told=lambda p: better.set() if p.objective < start.objective else None, stop=better.is_set)
    _right(problem, plan)
    assert plan.objective < start.objective
    assert plan.status == "feasible"


def test_it_begins_from_a_plan_where_that_holds() -> None:
    problem = _shop(8, 6, 3)
    good = solve(problem, seconds=1)
    again = solve(problem, seconds=0, start=good)
    assert again.objective <= good.objective
    broken = msgspec.structs.replace(good, assigned=good.assigned[1:])
    _right(problem, solve(problem, seconds=0, start=broken))


@pytest.mark.parametrize("seconds", [0.5, 2.5])
def test_what_plants_have_is_planned_too(seconds: float) -> None:
    problem = _plant()
    plan = solve(problem, seconds=seconds)
    _right(problem, plan)
    assert plan.objective <= first(problem).objective


def test_the_first_plan_holds() -> None:
    for problem in (_shop(5, 4, 4), _plant()):
        _right(problem, first(problem))


@settings(deadline=None, max_examples=10)
@given(st.integers(2, 5), st.integers(1, 4), st.integers(0, 1000))
def test_bounds_are_bounds(jobs: int, machines: int, seed: int) -> None:
    problem = _shop(jobs, machines, seed)
    plan = solve(problem, seconds=20)
    _right(problem, plan)
    assert plan.status == "optimal"
    assert lower_bound(problem) <= plan.objective


def test_facts_that_are_wrong_are_told() -> None:
    shop = _shop(2, 2, 5)
    circle = msgspec.structs.replace(shop.jobs[0].operations[0], after=("J0.1",))
    jobs = (msgspec.structs.replace(shop.jobs[0], operations=(circle, *shop.jobs[0].operations[1:])), shop.jobs[1])
    for call in (lambda p: solve(p, seconds=1), first):
        with pytest.raises(AppError, match=r"shop: the routing goes in a circle: J0\.0 → J0\.1 → J0\.0"):
            call(msgspec.structs.replace(shop, jobs=jobs))


def test_where_there_is_no_plan_the_facts_that_exclude_it_are_told() -> None:
    short = msgspec.structs.replace(_plant(), arrivals=(Arrival(material="box", at=0, quantity=3.0),))
    for call in (lambda p: solve(p, seconds=1), first):
        with pytest.raises(AppError, match=r"there is no plan: .*box"):
            call(short)
