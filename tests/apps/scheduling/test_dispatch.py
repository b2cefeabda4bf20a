"""Dispatching: every rule's plan holds; the rules rank as their papers say; what cannot be placed is said, not invented."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ronghe.apps.scheduling.arrays import Arrays
from ronghe.apps.scheduling.check import check, claims
from ronghe.apps.scheduling.dispatch import ATC_GRID, ATCS_GRID, QUICK, Rule, by_rule, first
from ronghe.apps.scheduling.problem import Choice, Job, Machine, Off, Operation, Problem, Setup, Weights
from ronghe.apps.scheduling.search.dispatching import ATCS, EDD, SPT

from .shops import shop


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 10**9), rule=st.sampled_from([*QUICK, ATC_GRID[0], ATCS_GRID[-1]]))
def test_every_plan_by_a_rule_holds_and_states_its_worth(seed: int, rule: Rule) -> None:
    problem = shop(seed)
    plan = by_rule(problem, [rule])
    assert check(problem, plan) == []
    assert claims(problem, plan) == []


def _single(*jobs: tuple[str, int, int, float, str]) -> Problem:
    return Problem(
        machines=(Machine(name="M", family="a"),),
        jobs=tuple(
            Job(name=name, operations=(Operation(name=f"{name}.1", choices=(Choice("M", p),), family=f),), due=d, weight=w)
            for name, p, d, w, f in jobs
        ),
        setups=(Setup(before="a", after="b", duration=5), Setup(before="b", after="a", duration=5)),
        weights=Weights(tardiness=1.0),
    )


@pytest.mark.parametrize(
    ("rule", "order"),
    [
        (Rule(EDD), ["z", "x", "y"]),
        (Rule(SPT), ["y", "x", "z"]),
        (Rule(ATCS, 2.0, None), ["y", "x", "z"]),  # y: by far the weightiest; then both others are late, and the shorter goes first
        (Rule(ATCS, 2.0, 0.1), ["z", "x", "y"]),  # … but y is of another family, and a set-up costs five
    ],
)
def test_rules_order_as_their_formulas_say(rule: Rule, order: list[str]) -> None:
    problem = _single(("x", 4, 12, 1.0, "a"), ("y", 3, 20, 40.0, "b"), ("z", 5, 5, 1.0, "a"))
    plan = by_rule(problem, [rule])
    assert [a.operation[0] for a in sorted(plan.assigned, key=lambda a: a.start)] == order


def test_the_best_of_a_grid_is_no_worse_than_any_of_it() -> None:
    problem = shop(7, jobs=12)
    best = by_rule(Arrays.of(problem), QUICK).objective
    assert best == min(by_rule(problem, [r]).objective for r in QUICK)


def test_what_has_no_place_for_ever_gives_no_plan() -> None:
    stopped = Machine(name="M", off=(Off(0, 1 << 51, "sold", stop=True),))
    problem = Problem(machines=(stopped,), jobs=(Job(name="j", operations=(Operation(name="j.1", choices=(Choice("M", 3),)),)),))
    plan = first(problem)
    assert plan.status == "unknown"
    assert plan.assigned == ()
