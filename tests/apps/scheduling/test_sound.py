"""Facts that are wrong, each told in one sentence with the name of what is meant."""

from __future__ import annotations

from typing import Any

import pytest

from ronghe.apps.scheduling.problem import Arrival, Choice, Fixed, Job, Machine, Off, Operation, Pool, Problem, Setup, Weights
from ronghe.apps.scheduling.sound import sound


def _problem(operation: dict[str, Any] | None = None, job: dict[str, Any] | None = None, **more: Any) -> Problem:
    a = Operation(**{"name": "cut", "choices": (Choice("saw", 4),), **(operation or {})})
    b = Operation(name="drill", choices=(Choice("press", 3),))
    j = Job(**{"name": "J", "operations": (a, b), **(job or {})})
    fields: dict[str, Any] = {"machines": (Machine(name="saw"), Machine(name="press")), "jobs": (j,)}
    fields |= {"pools": (Pool(name="crew", size=2),), "arrivals": (Arrival(material="steel", at=0, quantity=5.0),)}
    return Problem(**{**fields, **more})


def test_a_sound_problem_has_nothing_wrong() -> None:
    full = _problem(
        {"people": {"crew": 2}, "uses": {"steel": 9.0}, "after": ()},
        setups=(Setup(before="a", after="b", duration=1), Setup(before="a", after="b", duration=2, machine="saw")),
        fixed=(Fixed(operation="drill", machine="saw", start=-3, end=4),),
    )
    assert sound(full) == []


@pytest.mark.parametrize(
    ("problem", "says"),
    [
        (_problem(jobs=()), "nothing to plan"),
        (_problem(job={"operations": ()}), "nothing to plan"),
        (_problem({"choices": ()}), "operation cut has no machine"),
        (_problem({"choices": (Choice("sow", 4),)}), "operation cut names machine sow, which does not exist (did you mean saw?)"),
        (_problem({"choices": (Choice("saw", 4), Choice("saw", 5))}), "operation cut names machine saw 2 times"),
        (_problem({"choices": (Choice("saw", -4),)}), "operation cut lasts -4 on saw: negative"),
        (_problem({"name": "drill"}), "operation drill is given 2 times"),
        (_problem({"name": ""}), "one operation has no name"),
        (_problem({"after": ("dril",)}), "operation cut names operation dril, which does not exist (did you mean drill?)"),
        (_problem({"after": ("drill",)}), "the routing goes in a circle: cut → drill → cut"),
        (_problem({"after": ("cut",)}), "the routing goes in a circle: cut → cut"),
        (_problem({"people": {"crow": 1}}), "operation cut names pool crow, which does not exist (did you mean crew?)"),
        (_problem({"people": {"crew": 3}}), "operation cut needs 3 of crew; there are 2"),
        (_problem({"people": {"crew": -1}}), "operation cut needs -1 of crew"),
        (_problem({"uses": {"steal": 1.0}}), "operation cut names material steal, which does not exist (did you mean steel?)"),
        (_problem({"uses": {"steel": float("nan")}}), "operation cut uses nan of steel"),
        (_problem(job={"weight": -1.0}), "the weight of job J is -1"),
        (_problem(job={"due": 1 << 50}), "the due date of job J"),
        (_problem(weights=Weights()), "every weight is 0"),
        (_problem(weights=Weights(makespan=float("inf"))), "a weight of the objective"),
        (_problem(tick=0.0), "the tick lasts 0 s"),
        (_problem(machines=(Machine(name="saw"), Machine(name="saw"), Machine(name="press"))), "machine saw is given 2 times"),
        (_problem(machines=(Machine(name="saw", off=(Off(5, 5, "repair"),)), Machine(name="press"))), "off from 5 to 5 (repair)"),
        (_problem(setups=(Setup(before="a", after="b", duration=-2),)), "the set-up from a to b is negative"),
        (_problem(setups=(Setup(before="a", after="b", duration=2, machine="prss"),)), "names machine prss"),
        (_problem(setups=(Setup(before="", after="b", duration=2),)), "a set-up to b lacks a family"),
        (_problem(setups=(Setup(before="a", after="b", duration=2),) * 2), "the set-up from a to b is given 2 times"),
        (_problem(arrivals=(Arrival(material="steel", at=0, quantity=-1.0),)), "the arrival of steel at 0 is -1"),
        (_problem(fixed=(Fixed(operation="cat", machine="saw", start=0),)), "operation cat, which does not exist (did you mean cut?)"),
        (_problem(fixed=(Fixed(operation="cut", machine="press", start=0),)), "which cannot do it, and no end is given"),
        (_problem(fixed=(Fixed(operation="cut", machine="saw", start=5, end=4),)), "ends at 4, before it starts (5)"),
        (_problem({"choices": (Choice("saw", 1 << 41),)}), "choose a longer tick"),
    ],
)
def test_what_is_wrong_is_told_by_name(problem: Problem, says: str) -> None:
    said = sound(problem)
    assert any(says in s.en for s in said), said
    assert all(s.zh and s.zh != s.en for s in said)


def test_an_operation_longer_than_every_shift_fits_nowhere() -> None:
    nights = tuple(Off(8 + 24 * d, 24 + 24 * d, "night") for d in range(10))
    machines = (Machine(name="saw", off=nights), Machine(name="press"))
    whole = {"choices": (Choice("saw", 9),), "pauses": False}
    assert [s.en for s in sound(_problem(whole, machines=machines))] == [
        "operation cut fits nowhere: it takes 9 on saw in one go, whose longest working span is 8"
    ]
    assert sound(_problem({**whole, "pauses": True}, machines=machines)) == []
    assert sound(_problem({**whole, "choices": (Choice("saw", 9), Choice("press", 9))}, machines=machines)) == []


def test_of_many_faults_twenty_are_told_and_the_rest_counted() -> None:
    jobs = tuple(Job(name=f"J{k}", operations=(Operation(name=f"o{k}", choices=()),)) for k in range(200))
    said = sound(_problem(jobs=jobs))
    assert len(said) == 21
    assert said[-1].en == "and 180 more"


def test_too_many_operations_are_refused() -> None:
    one = (Choice("saw", 1),)
    jobs = (Job(name="J", operations=tuple(Operation(name=str(k), choices=one) for k in range(100_001))),)
    assert "100001 operations" in sound(_problem(jobs=jobs))[0].en
