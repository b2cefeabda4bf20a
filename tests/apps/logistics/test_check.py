"""Every rule of the checker refuses a plan that breaks it, and nothing else: mutations of a plan that holds."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from ronghe.apps.logistics.check import check
from ronghe.apps.logistics.problem import Order, Plan, Problem, Stop
from ronghe.apps.logistics.schedule import Facts, Visit, plan

from .conftest import day, truck

AT = [(0.0, 0.0), (1.0, 0.0), (2.0, 0.0), (3.0, 0.0)]


def facts() -> Problem:
    orders = (
        Order(name="a", place="p1", delivery=(4,), service=60, earliest=200, latest=600, release=50),
        Order(name="b", place="p2", delivery=(5,), pickup=(6,)),
        Order(name="c", place="p3", delivery=(2,), origin="p1", only=("t1",)),
        Order(name="d", place="p3", delivery=(9,), prize=10_000),
    )
    fleet = (truck(max_trips=2, reloads=("p0",), latest=4000, max_duration=3900, max_distance=20_000), truck("t2"))
    return day(orders, fleet, AT, loading=30)


def held(p: Problem) -> Plan:
    trip = [Visit("serve", "b"), Visit("reload", "p0"), Visit("collect", "c"), Visit("serve", "a"), Visit("deliver", "c")]
    return plan(Facts(p), [("t1", trip)])


def stop(i: int, **changed: object) -> Callable[[Problem, Plan], tuple[Problem, Plan]]:
    def change(p: Problem, f: Plan) -> tuple[Problem, Plan]:
        stops = list(f.routes[0].stops)
        stops[i] = replace(stops[i], **changed)
        return p, replace(f, routes=(replace(f.routes[0], stops=tuple(stops)),))

    return change


def stops(change: Callable[[tuple[Stop, ...]], tuple[Stop, ...]]) -> Callable[[Problem, Plan], tuple[Problem, Plan]]:
    return lambda p, f: (p, replace(f, routes=(replace(f.routes[0], stops=change(f.routes[0].stops)),)))


def vehicle(**changed: object) -> Callable[[Problem, Plan], tuple[Problem, Plan]]:
    return lambda p, f: (replace(p, vehicles=(replace(p.vehicles[0], **changed), p.vehicles[1])), f)


def order(i: int, **changed: object) -> Callable[[Problem, Plan], tuple[Problem, Plan]]:
    return lambda p, f: (replace(p, orders=tuple(replace(o, **changed) if k == i else o for k, o in enumerate(p.orders))), f)


def test_a_plan_that_holds_is_not_objected_to() -> None:
    p = facts()
    assert check(p, held(p)) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (stop(2, arrive=0), "cannot be at p0"),
        (stop(1, start=10_000), "times out of order"),
        (stop(4, start=100), "allowed 200..600"),
        (stop(4, depart=0), "times out of order"),
        (order(0, service=9_999), "the work takes 9999"),
        (order(0, release=3_000), "allowed 3000"),
        (order(0, latest=210), "allowed 200..210"),
        (order(0, only=("t2",)), "may not serve a"),
        (order(2, origin=""), "is not what it asks for"),
        (order(1, delivery=(11,)), "room for 10"),
        (order(1, pickup=(7,)), "7 quantity aboard, stated 6"),
        (order(3, prize=20_000), "the cost is"),
        (vehicle(capacity=(5,)), "6 quantity aboard, room for 5"),
        (vehicle(latest=900), "outside its shift"),
        (vehicle(earliest=500), "outside its shift"),
        (vehicle(max_duration=900), "at most 900"),
        (vehicle(max_distance=9_000), "at most 9000"),
        (vehicle(max_trips=1), "more than 1 trips"),
        (vehicle(reloads=()), "may not load at p0"),
        (vehicle(end="p1"), "does not go from"),
        (vehicle(fixed=7), "cost is"),
        (stops(lambda s: (*s[:3], *s[4:])), "before it has it"),
        (stops(lambda s: (*s[:5], s[6])), "collected and not delivered"),
        (stops(lambda s: s[:1]), "a stop without an order"),
        (lambda p, f: (p, replace(f, routes=(replace(f.routes[0], distance=1),))), "distance is"),
        (lambda p, f: (p, replace(f, routes=(replace(f.routes[0], duration=1),))), "duration is"),
        (lambda p, f: (p, replace(f, routes=(replace(f.routes[0], vehicle="t9"),))), "no vehicle 't9'"),
        (lambda p, f: (p, replace(f, routes=f.routes * 2)), "drives two routes"),
        (lambda p, f: (p, replace(f, unserved=())), "order d is forgotten"),
        (lambda p, f: (p, replace(f, objective=1.0)), "stated 1"),
        (lambda p, f: (replace(p, orders=(*p.orders, Order(name="e", place="p1"))), f), "order e is forgotten"),
    ],
)
def test_a_plan_that_breaks_a_rule_is(change: Callable[[Problem, Plan], tuple[Problem, Plan]], said: str) -> None:
    p = facts()
    wrong = check(*change(p, held(p)))
    assert any(said in w.en for w in wrong), [w.en for w in wrong]
    assert all(w.zh for w in wrong)
