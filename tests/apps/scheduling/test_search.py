"""Local search: whatever it finds holds; it is no worse than where it began; it stops when told."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from ronghe.apps.scheduling.check import check, claims, measure
from ronghe.apps.scheduling.dispatch import first
from ronghe.apps.scheduling.problem import Choice, Fixed, Job, Machine, Operation, Plan, Problem, Setup, Weights
from ronghe.apps.scheduling.repair import begun
from ronghe.apps.scheduling.search import improve

from .shops import shop


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**9), now=st.sampled_from([0, 0, 7, 23]), frozen=st.sampled_from([0, 15]))
def test_what_the_search_finds_holds_and_is_no_worse(seed: int, now: int, frozen: int) -> None:
    problem = shop(seed)
    start = first(problem)
    if now:
        problem = begun(problem, start, now, frozen)
    plan = improve(problem, start, 0.05, seed=seed)
    assert check(problem, plan) == []
    assert claims(problem, plan) == []
    assert plan.objective <= measure(problem, start).objective + 1e-6


def test_it_finds_the_optimum_that_enumeration_finds() -> None:
    """One machine, set-ups, weighted tardiness: all 7! sequences are tried beside it."""
    sizes = [
        (4, 9, 1.0, "a"),
        (6, 11, 2.0, "b"),
        (3, 8, 1.0, "a"),
        (7, 30, 4.0, "c"),
        (2, 6, 1.0, "b"),
        (5, 20, 3.0, "c"),
        (4, 25, 1.0, "a"),
    ]
    problem = Problem(
        machines=(Machine(name="M", family="a"),),
        jobs=tuple(
            Job(name=f"j{i}", operations=(Operation(name=f"j{i}.1", choices=(Choice("M", p),), family=f),), due=d, weight=w)
            for i, (p, d, w, f) in enumerate(sizes)
        ),
        setups=tuple(Setup(before=a, after=b, duration=2 + abs(ord(a) - ord(b))) for a in "abc" for b in "abc" if a != b),
        weights=Weights(tardiness=1.0, setup=0.25),
    )
    lengths = {(s.before, s.after): s.duration for s in problem.setups}

    def cost(order: tuple[int, ...]) -> float:
        at, family, total = 0, "a", 0.0
        for i in order:
            p, d, w, f = sizes[i]
            setup = lengths.get((family, f), 0)
            at, family = at + setup + p, f
            total += w * max(0, at - d) + 0.25 * setup
        return total

    best = min(cost(o) for o in itertools.permutations(range(len(sizes))))
    assert improve(problem, first(problem), 0.3).objective == best


def test_better_plans_are_told_and_it_stops_when_told() -> None:
    problem = shop(3, jobs=12)
    start, told, asked = first(problem), list[Plan](), list[int]()

    def stop() -> bool:
        asked.append(1)
        return len(asked) > 60

    plan = improve(problem, start, 3600.0, told=told.append, stop=stop)
    assert check(problem, plan) == []
    assert all(check(problem, p) == [] for p in told)
    assert [p.objective for p in told] == sorted((p.objective for p in told), reverse=True)
    assert all(p.objective >= plan.objective for p in told)


def test_work_goes_into_the_gap_before_a_fixed_operation_only_where_its_setup_fits_too() -> None:
    def operation(name: str, family: str) -> Job:
        return Job(name=name, operations=(Operation(name=f"{name}.1", choices=(Choice("M", 5),), family=family),), due=0)

    problem = Problem(
        machines=(Machine(name="M", family="a"),),
        jobs=(operation("kept", "b"), operation("same", "b"), operation("other", "a")),
        setups=(Setup(before="a", after="b", duration=3), Setup(before="b", after="a", duration=3)),
        fixed=(Fixed(operation="kept.1", machine="M", start=8),),
        weights=Weights(tardiness=1.0),
    )
    plan = improve(problem, first(problem), 0.05)
    assert check(problem, plan) == []
    assert {a.operation: a.start for a in plan.assigned} == {"kept.1": 8, "other.1": 0, "same.1": 13}
