"""CP-SAT: proofs on small problems, bounds below what other plans reach, and what its model leaves out."""

from __future__ import annotations

from itertools import permutations

import msgspec
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ronghe.apps.scheduling import exact
from ronghe.apps.scheduling.bounds import lower_bound
from ronghe.apps.scheduling.check import check, measure, stamped
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


def _jobs(durations: list[int], families: list[str], dues: list[int], **more: object) -> tuple[Job, ...]:
    return tuple(
        Job(name=f"J{k}", operations=(Operation(name=f"o{k}", choices=(Choice("M", d),), family=f, **more),), due=due)
        for k, (d, f, due) in enumerate(zip(durations, families, dues, strict=True))
    )


def _one_machine(problem: Problem) -> float:
    """The optimum of one machine with set-ups, due dates and no calendar, by trying every order."""
    setups = {(s.before, s.after): s.duration for s in problem.setups}
    best = float("inf")
    for order in permutations(problem.jobs):
        at, family, assigned = 0, problem.machines[0].family, []
        for j in order:
            o = j.operations[0]
            setup = setups.get((family, o.family), 0) if family and o.family else 0
            family = o.family or family
            end = at + setup + o.choices[0].duration
            assigned.append(Assigned(operation=o.name, machine="M", setup_start=at, start=at + setup, end=end))
            at = end
        best = min(best, measure(problem, Plan(assigned=tuple(assigned), objective=0)).objective)
    return best


@settings(deadline=None, max_examples=15)
@given(st.data())
def test_set_ups_and_due_dates_are_solved_as_by_trying_every_order(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 4))
    few, families = st.integers(1, 5), st.sampled_from(["", "a", "b"])
    jobs = _jobs(*(data.draw(st.lists(x, min_size=n, max_size=n)) for x in (few, families, st.integers(0, 12))))
    setups = tuple(Setup(before=x, after=y, duration=data.draw(st.integers(0, 4))) for x in "ab" for y in "ab")
    machine = Machine(name="M", family=data.draw(families))
    problem = Problem(machines=(machine,), jobs=jobs, setups=setups, weights=Weights(makespan=1, tardiness=2, setup=0.5))
    outcome = exact.solve(problem, seconds=20, workers=1)
    best = _one_machine(problem)
    assert outcome.plan is not None
    assert check(problem, outcome.plan) == []
    assert stamped(problem, outcome.plan).objective == outcome.plan.objective == outcome.lower_bound == best
    assert lower_bound(problem) <= best
    below = exact.solve(problem, seconds=20, workers=1, below=best, start=outcome.plan)
    assert (below.status, below.lower_bound) == ("infeasible", best)


def test_stops_people_and_choices_are_in_the_model() -> None:
    two = (Choice("M", 4), Choice("N", 6))
    jobs = tuple(Job(name=f"J{k}", operations=(Operation(name=f"o{k}", choices=two, people={"crew": 1}),)) for k in range(3))
    machines = (Machine(name="M", off=(Off(3, 5, stop=True),)), Machine(name="N"))
    problem = Problem(machines=machines, jobs=jobs, pools=(Pool(name="crew", size=1),))
    assert exact.exact(problem)
    outcome = exact.solve(problem, seconds=20, workers=1)
    assert outcome.status == "optimal"
    assert outcome.plan is not None
    assert check(problem, outcome.plan) == []
    assert outcome.plan.objective == 14  # one after another: on N from 0, on M from 6 and 10


def test_what_is_left_out_gives_a_bound_and_no_plan() -> None:
    base = Problem(machines=(Machine(name="M"),), jobs=_jobs([3, 4], ["", ""], [9, 9]))
    pause = msgspec.structs.replace(base, machines=(Machine(name="M", off=(Off(1, 50),)),))
    steel = msgspec.structs.replace(
        base, jobs=_jobs([3, 4], ["", ""], [9, 9], uses={"steel": 1.0}), arrivals=(Arrival(material="steel", at=5, quantity=2.0),)
    )
    for problem, bound in ((pause, 7), (steel, 12)):
        assert not exact.exact(problem)
        outcome = exact.solve(problem, seconds=20, workers=1)
        assert (outcome.plan, outcome.lower_bound) == (None, bound)


def test_what_is_fixed_stays_and_what_has_begun_sets_the_machine_up() -> None:
    jobs = _jobs([3, 4, 2, 2], ["a", "b", "a", ""], [9, 9, 9, 9])
    setups = (Setup(before="a", after="b", duration=5), Setup(before="b", after="a", duration=1))
    fixed = (Fixed(operation="o0", machine="M", start=-1, end=6), Fixed(operation="o3", machine="M", start=20))
    problem = Problem(
        machines=(Machine(name="M", family="b"),), jobs=jobs, setups=setups, fixed=fixed, now=2, weights=Weights(tardiness=1.0)
    )
    outcome = exact.solve(problem, seconds=20, workers=1)
    assert outcome.status == "optimal"
    assert outcome.plan is not None
    assert check(problem, outcome.plan) == []
    at = {a.operation: (a.setup_start, a.start, a.end) for a in outcome.plan.assigned}
    # `a` goes on without a set-up, then five for `b`: 8 late for o1, 13 for o3 where it is fixed.
    assert at == {"o0": (-1, -1, 6), "o2": (6, 6, 8), "o1": (8, 13, 17), "o3": (20, 20, 22)}
    assert outcome.plan.objective == outcome.lower_bound == 8 + 13


def test_it_ends_when_told_to() -> None:
    rng = np.random.default_rng(0)
    jobs = tuple(
        Job(
            name=f"J{j}",
            operations=tuple(
                Operation(name=f"{j}.{k}", choices=(Choice(str(m), int(rng.integers(1, 100))),)) for k, m in enumerate(rng.permutation(20))
            ),
        )
        for j in range(20)
    )
    problem = Problem(machines=tuple(Machine(name=str(m)) for m in range(20)), jobs=jobs)
    outcome = exact.solve(problem, seconds=10_000, workers=1, stop=lambda: True)  # nobody can wait for the end of this one
    assert outcome.status in ("feasible", "unknown")
    assert outcome.lower_bound is not None
