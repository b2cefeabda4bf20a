"""Against the optimum by exhaustion, and what happens where not everything can be done."""

from __future__ import annotations

import itertools
import random
import sys

import pytest

from ronghe.apps.logistics.check import check
from ronghe.apps.logistics.problem import FOREVER, Order, Plan, Problem
from ronghe.apps.logistics.schedule import Facts, visits_of
from ronghe.apps.logistics.solve import solve
from ronghe.errors import MissingExtra

from .conftest import H, day, truck


def exhausted(p: Problem) -> int:
    """Least distance over all orders of the stops, cut into routes of two vehicles, by a simulation of its own."""
    metres, took = p.roads[""].distance, p.roads[""].duration
    index = {x.name: i for i, x in enumerate(p.places)}
    best = FOREVER
    for line in itertools.permutations(p.orders):
        for cut in range(len(line) // 2 + 1):
            total = 0
            for part in (line[:cut], line[cut:]):
                at, clock, load = 0, 0, sum(o.delivery[0] for o in part)
                if load > 10:
                    break
                for o in part:
                    total += int(metres[at, index[o.place]])
                    clock = max(clock + int(took[at, index[o.place]]), o.earliest)
                    if clock > o.latest:
                        break
                    clock, at = clock + o.service, index[o.place]
                else:
                    total += int(metres[at, 0])
                    continue
                break
            else:
                best = min(best, total)
    return best


@pytest.mark.parametrize("seed", range(3))
def test_tiny_problems_are_solved_to_the_optimum(seed: int) -> None:
    rng = random.Random(seed)
    at = [(5.0, 5.0), *((rng.uniform(0, 10), rng.uniform(0, 10)) for _ in range(6))]
    orders = tuple(
        Order(
            name=f"o{i}",
            place=f"p{i}",
            delivery=(rng.randint(1, 4),),
            earliest=(early := rng.choice([0, 0, 1000])),
            latest=early + rng.choice([1500, FOREVER // 2]),
            service=100,
        )
        for i in range(1, 7)
    )
    p = day(orders, (truck("a"), truck("b")), at)
    best = exhausted(p)
    assert best < FOREVER
    found = solve(p, seconds=0.5, seed=seed)
    assert check(p, found) == []
    assert (found.status, round(found.objective * p.money)) == ("feasible", best)


def served(found: Plan) -> set[str]:
    return {s.order for r in found.routes for s in r.stops if s.do in ("serve", "deliver")}


def test_a_vehicle_loads_again_where_it_may_and_leaves_out_what_is_not_worth_its_way() -> None:
    at = [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (9.0, 9.0)]
    orders = (
        Order(name="a", place="p1", delivery=(8,)),
        Order(name="b", place="p2", delivery=(8,)),
        Order(name="far", place="p3", delivery=(1,), prize=5_000),
    )
    p = day(orders, (truck(max_trips=2, reloads=("p0",)),), at, loading=60)
    found = solve(p, seconds=0.3)
    assert check(p, found) == []
    assert [s.do for s in found.routes[0].stops] == ["start", "serve", "reload", "serve", "end"]
    assert (found.objective, [u.order for u in found.unserved]) == (4.0 + 5.0, ["far"])
    assert found.carbon is None  # no factor, no number


def test_what_cannot_all_be_done_is_done_in_part_and_says_why() -> None:
    at = [(0.0, 0.0), (1.0, 0.0), (2.0, 0.0), (9.0, 0.0)]
    orders = (
        Order(name="a", place="p1", delivery=(6,)),
        Order(name="b", place="p2", delivery=(6,)),
        Order(name="heavy", place="p2", delivery=(11,)),
        Order(name="soon", place="p3", latest=60),
    )
    p = day(orders, (truck(),), at)
    found = solve(p, seconds=0.5)
    assert (found.status, served(found)) == ("partial", {"a"})
    assert check(p, found) == []
    why = {u.order: u.why.en for u in found.unserved}
    assert "more than any vehicle holds" in why["heavy"]
    assert "time window" in why["soon"]
    assert "left" in why["b"]


def test_without_the_planning_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyvrp", None)
    with pytest.raises(MissingExtra, match=r"ronghe\[planning\]"):
        solve(day((Order(name="a", place="p1"),), (truck(),), [(0.0, 0.0), (1.0, 0.0)]), seconds=0.1)


def test_goods_are_collected_on_the_way_by_a_vehicle_that_may() -> None:
    at = [(0.0, 0.0), (1.0, 0.0), (2.0, 0.0)]
    orders = (
        Order(name="a", place="p1", delivery=(3,), origin="p2", origin_service=60, only=("t2",)),
        Order(name="b", place="p2", delivery=(3,), pickup=(9,), only=("t1",)),
    )
    p = day(orders, (truck("t1"), truck("t2", carbon=0.5)), at)
    found = solve(p, seconds=0.3)
    assert check(p, found) == []
    routes = {r.vehicle: r for r in found.routes}
    assert [(v.do, v.name) for v in visits_of(routes["t2"])] == [("collect", "a"), ("deliver", "a")]
    assert [s.load for s in routes["t1"].stops] == [(3,), (9,), (0,)]
    assert routes["t2"].carbon == pytest.approx(4 * 0.5)


def test_it_begins_from_a_plan_and_is_never_worse_and_can_be_stopped() -> None:
    rng = random.Random(5)
    at = [(5.0, 5.0), *((rng.uniform(0, 10), rng.uniform(0, 10)) for _ in range(40))]
    orders = tuple(Order(name=f"o{i}", place=f"p{i}", delivery=(1,), latest=5 * H) for i in range(1, 41))
    p = day(orders, tuple(truck(f"t{i}") for i in range(5)), at)
    first = solve(p, seconds=0.2)
    told: list[Plan] = []
    stopped = solve(p, seconds=60, start=first, told=told.append, stop=lambda: True)
    assert stopped.objective <= first.objective
    assert stopped.seconds < 60
    assert Facts(p).orders.keys() == served(stopped)
