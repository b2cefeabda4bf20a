"""Days on which things happen: whatever it is, the plan holds at once, and holds when it is improved."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ronghe.apps.logistics import replan, running
from ronghe.apps.logistics.check import check
from ronghe.apps.logistics.problem import Order, Place
from ronghe.apps.logistics.running import Day
from ronghe.apps.logistics.schedule import Facts, Visit, late_by, plan
from ronghe.apps.logistics.solve import solve
from ronghe.errors import AppError

from .conftest import day, happening, mixed, truck


@settings(deadline=None, max_examples=15, derandomize=True)
@given(st.integers(0, 10_000))
def test_whatever_happens_the_plan_holds(seed: int) -> None:
    rng = random.Random(seed)
    p = mixed(rng)
    first = solve(p, seconds=0.08, workers=1)
    assert check(p, first) == []
    today, now = Day(p, first), 0
    for i in range(4):
        now += rng.randint(0, 5000)
        done = {(r.vehicle, s) for r in today.plan.routes for s in r.stops if s.depart <= now}
        try:
            after, left, found = replan.apply(today, happening(rng, today.problem, i), now)
        except AppError:
            continue
        assert check(left.problem, found) == []
        better = solve(left.problem, seconds=0.04, workers=1, start=found)
        assert check(left.problem, better) == []
        today = running.merged(after, left, better)
        served = [s.order for r in today.plan.routes for s in r.stops if s.do in ("serve", "deliver")]
        assert sorted([*served, *(u.order for u in today.plan.unserved)]) == sorted(o.name for o in today.problem.orders)
        kept = {(r.vehicle, s.place, s.order, s.depart) for r in today.plan.routes for s in r.stops}
        assert {(v, s.place, s.order, s.depart) for v, s in done if s.do not in ("end", "reload")} <= kept  # the past stays


AT = [(0.0, 0.0), (1.0, 0.0), (2.0, 0.0), (3.0, 0.0), (0.0, 1.0)]


def underway() -> Day:
    """t1 drives p1, p2, p3 (100 s each); t2 stands at the depot."""
    orders = tuple(Order(name=f"o{i}", place=f"p{i}", delivery=(3,), service=10, latest=1000) for i in (1, 2, 3))
    p = day(orders, (truck("t1", latest=5000), truck("t2", latest=5000)), AT)
    return Day(p, plan(Facts(p), [("t1", [Visit("serve", f"o{i}") for i in (1, 2, 3)])]))


def stops(today: Day) -> dict[str, list[str]]:
    return {r.vehicle: [s.order for s in r.stops if s.order] for r in today.plan.routes}


def test_a_new_order_goes_with_a_vehicle_that_has_not_left_the_depot() -> None:
    today, _, _ = replan.apply(underway(), replan.NewOrder(order=Order(name="n", place="p2", delivery=(1,))), 150)
    assert stops(today) == {"t1": ["o1", "o2", "o3"], "t2": ["n"]}
    today, _, _ = replan.apply(underway(), replan.NewOrder(order=Order(name="n", place="p2", pickup=(1,))), 150)
    assert stops(today)["t2" if "t2" in stops(today) else "t1"] != []
    assert "n" in stops(today)["t1"]  # to collect something it need not have it from the depot
    here = Place(name="here", x=0.0, y=2.0)
    today, _, _ = replan.apply(underway(), replan.NewOrder(order=Order(name="n", place="here", delivery=(1,)), place=here), 150)
    assert stops(today)["t2"] == ["n"]


def test_a_late_vehicle_is_late_by_least_and_the_promise_is_kept_beside_it() -> None:
    before = underway()
    today, left, _ = replan.apply(before, replan.LateVehicle(vehicle="t1", ticks=800), 150)  # on its way to p2
    late = late_by(today.plan, Facts(today.problem))
    assert late == {"o2": 10, "o3": 120}
    assert {o.name: o.promised for o in left.problem.orders} == {"o3": 1000}
    moved = replan.moved(before.plan, today.plan)
    assert [(m.order, m.by) for m in moved] == [("o2", 800), ("o3", 800)]


def test_goods_of_a_broken_vehicle_are_collected_by_another() -> None:
    today, left, found = replan.apply(underway(), replan.Breakdown(vehicle="t1"), 230)  # has left p2
    assert stops(today) == {"t1": ["o1", "o2"], "t2": ["o3", "o3"]}
    assert [s.place for s in found.routes[0].stops] == ["p0", "p2", "p3", "p0"]
    assert left.problem.orders[0].origin == "p2"
    today, _, _ = replan.apply(underway(), replan.Breakdown(vehicle="t1", goods="depot"), 230)
    assert stops(today)["t2"] == ["o3"]


def test_what_is_cancelled_comes_back_and_what_is_under_way_cannot_be() -> None:
    today, _, found = replan.apply(underway(), replan.Cancelled(order="o3"), 150)
    assert stops(today) == {"t1": ["o1", "o2"]}
    assert found.routes[0].stops[0].load == (3,)  # the goods of o3
    for event in (replan.Cancelled(order="o2"), replan.Cancelled(order="o9"), replan.LateVehicle(vehicle="t9", ticks=1)):
        with pytest.raises(AppError):
            replan.apply(underway(), event, 150)


def test_a_vehicle_loads_again_for_what_would_be_left_out() -> None:
    before = underway()
    again = truck("t1", latest=5000, max_trips=2, reloads=("p0",))
    before = Day(day(before.problem.orders, (again,), AT), before.plan)
    today, _, _ = replan.apply(before, replan.NewOrder(order=Order(name="n", place="p4", delivery=(9,))), 150)
    assert [s.do for s in today.plan.routes[0].stops] == ["start", "serve", "serve", "serve", "reload", "serve", "end"]
    assert check(today.problem, today.plan) == []
