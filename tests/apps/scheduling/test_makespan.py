"""The compiled search: what it gives holds, its make-span is that of the plan, and it finds optima that are known."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ronghe.apps.scheduling.check import check, measure
from ronghe.apps.scheduling.makespan import Graph, Member, Population, evolve, improve, plain
from ronghe.apps.scheduling.makespan.graph import construct, distance, relink
from ronghe.apps.scheduling.makespan.tabu import Space
from ronghe.apps.scheduling.problem import Choice, Fixed, Job, Machine, Off, Operation, Problem, Setup, Weights

FT06 = """2 1 0 3 1 6 3 7 5 3 4 6|1 8 2 5 4 10 5 10 0 10 3 4|2 5 3 4 5 8 0 9 1 1 4 7
1 5 0 5 2 5 3 3 4 8 5 9|2 9 1 3 4 5 5 4 0 3 3 1|1 3 3 3 5 9 0 10 4 4 2 1"""


def shop(rows: list[list[list[tuple[int, int]]]], machines: int, releases: list[int] | None = None) -> Problem:
    """A problem from (machine, duration) choices."""
    return Problem(
        machines=tuple(Machine(name=str(m)) for m in range(machines)),
        jobs=tuple(
            Job(
                name=f"J{j}",
                operations=tuple(
                    Operation(name=f"J{j}.{k}", choices=tuple(Choice(str(m), d) for m, d in choices)) for k, choices in enumerate(row)
                ),
                release=releases[j] if releases else 0,
            )
            for j, row in enumerate(rows)
        ),
    )


def ft06() -> Problem:
    """Fisher and Thompson's 6 x 6: 55 is optimal."""
    rows = [[int(x) for x in line.split()] for line in FT06.replace("\n", "|").split("|")]
    return shop([[[(m, d)] for m, d in zip(row[::2], row[1::2], strict=True)] for row in rows], 6)


@st.composite
def shops(draw: st.DrawFn) -> Problem:
    """Flexible and other job shops, with operations that last nothing."""
    machines = draw(st.integers(1, 4))
    choices = st.dictionaries(st.integers(0, machines - 1), st.integers(0, 6), min_size=1, max_size=3).map(lambda d: list(d.items()))
    rows = draw(st.lists(st.lists(choices, min_size=1, max_size=4), min_size=1, max_size=5))
    return shop(rows, machines, draw(st.lists(st.integers(0, 9), min_size=len(rows), max_size=len(rows))))


def _searched(problem: Problem, seed: int) -> tuple[Graph, Population]:
    graph = Graph.of(problem)
    population = Population(graph, lambda _: None)
    for k in range(3):
        order, on = construct(graph, k + 1, seed)
        improve(population, Space.of(len(graph), graph.machines), order, on, seed + k, patience=200)
    return graph, population


@settings(deadline=None, max_examples=60)
@given(shops(), st.integers(0, 1000))
def test_every_plan_holds_and_is_as_long_as_was_said(problem: Problem, seed: int) -> None:
    graph, population = _searched(problem, seed)
    assert population.best is not None
    for m in population.members:
        plan = graph.plan(problem, m.order, m.on, by="tabu search")
        assert check(problem, plan) == []
        assert measure(problem, plan).makespan == plan.makespan == m.makespan
        order, on = graph.taken(problem, plan)
        assert graph.plan(problem, order, on, by="").makespan == m.makespan


@settings(deadline=None, max_examples=40)
@given(shops(), st.integers(0, 1000), st.floats(0, 1))
def test_what_lies_between_two_plans_holds_too(problem: Problem, seed: int, share: float) -> None:
    graph = Graph.of(problem)
    a, b = construct(graph, 1, seed), construct(graph, 2, seed + 1)
    child = relink(*a, *b, share, seed)
    assert check(problem, graph.plan(problem, *child, by="")) == []
    assert distance(*a, *a) == 0
    assert 0 <= distance(*a, *child) <= 1
    if share == 1:
        assert distance(*child, *b) == 0


def test_it_finds_the_optimum_of_ft06() -> None:
    problem = ft06()
    population = Population(Graph.of(problem), lambda _: None, target=55)
    evolve(population, seed=1)
    assert population.best is not None
    assert population.best.makespan == 55


def test_a_choice_of_machines_is_used() -> None:
    problem = shop([[[(0, 4), (1, 9)]], [[(0, 4), (1, 5)]], [[(0, 2), (1, 3)]]], 2)
    population = Population(Graph.of(problem), lambda _: None, target=6)
    evolve(population, seed=0)
    assert population.best is not None
    assert population.best.makespan == 6  # 4 + 2 beside 5


def test_several_threads_share_a_population_and_end_when_told() -> None:
    told: list[int] = []
    population = Population(Graph.of(ft06()), lambda m: told.append(m.makespan), target=0)
    threads = [threading.Thread(target=evolve, args=(population, seed)) for seed in (1, 2)]
    for t in threads:
        t.start()
    while population.best is None or population.best.makespan > 55:
        threading.Event().wait(0.01)
    population.flag[0] = 1
    for t in threads:
        t.join()
    assert told == sorted(told, reverse=True)
    assert told[-1] == 55


def test_alike_members_are_kept_once() -> None:
    graph = Graph.of(ft06())
    order, on = construct(graph, 1, 0)
    population = Population(graph, lambda _: None)
    for _ in range(3):
        population.add(Member(order, on, 99))
    assert len(population.members) == 1


@pytest.mark.parametrize(
    "more",
    [
        {"setups": (Setup(before="a", after="b", duration=1),)},
        {"fixed": (Fixed(operation="J0.0", machine="0", start=0),)},
        {"weights": Weights(tardiness=1.0)},
        {"weights": Weights(makespan=1.0, tardiness=1.0)},
        {"machines": (Machine(name="0", off=(Off(0, 2),)),)},
        {"machines": (Machine(name="0", batch=2),)},
        {"jobs": (Job(name="J", operations=(Operation(name="x", choices=(Choice("0", 1),), after=()),)),)},
        {"jobs": (Job(name="J", operations=(Operation(name="x", choices=(Choice("0", 1),), people={"crew": 1}),)),)},
        {"jobs": (Job(name="J", operations=(Operation(name="x", choices=(Choice("0", 1),), uses={"steel": 1.0}),)),)},
    ],
)
def test_only_plain_problems_are_its_own(more: dict[str, object]) -> None:
    base = shop([[[(0, 1)]]], 1)
    assert plain(base)
    fields = {f: getattr(base, f) for f in base.__struct_fields__}
    assert not plain(Problem(**{**fields, **more}))


def test_arrays_of_a_problem_with_a_job_without_operations() -> None:
    problem = shop([[[(0, 1)], [(0, 2)]], [], [[(0, 3)]]], 1)
    graph = Graph.of(problem)
    assert np.array_equal(graph.before, [-1, 0, -1])
    assert np.array_equal(graph.after, [1, -1, -1])
