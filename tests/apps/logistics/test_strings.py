"""Against the optimum by exhaustion; what every slice leaves; what it is not for; being stopped; beside PyVRP."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from ronghe.apps.logistics.check import check
from ronghe.apps.logistics.problem import Order, Plan, Problem
from ronghe.apps.logistics.schedule import Facts, Visit, plan
from ronghe.apps.logistics.solve import solve
from ronghe.apps.logistics.strings import Strings, fits

from .conftest import day, truck
from .test_solve import exhausted


def plain(rng: random.Random, n: int, k: int, **more: Any) -> Problem:
    at = [(5.0, 5.0), *((rng.uniform(0, 10), rng.uniform(0, 10)) for _ in range(n))]
    orders = tuple(Order(name=f"o{i}", place=f"p{i}", delivery=(rng.randint(1, 4),)) for i in range(1, n + 1))
    return day(orders, tuple(truck(f"t{i}", **more) for i in range(k)), at)


def driven(p: Problem, search: Strings) -> Plan:
    routes = [(v.name, [Visit("serve", p.orders[i].name) for i in r]) for v, r in zip(p.vehicles, search.best, strict=False)]
    return plan(Facts(p), routes)


def slices(n: int) -> Any:
    """A clock of so many slices instead of seconds."""
    done = iter(range(n + 1))
    return lambda: next(done) / n


@pytest.mark.parametrize("seed", range(3))
def test_tiny_problems_are_solved_to_the_optimum(seed: int) -> None:
    rng = random.Random(seed)
    p = plain(rng, 6, 2)
    while sum(o.delivery[0] for o in p.orders) > 16:
        p = plain(rng, 6, 2)
    search = Strings(p, seed)
    assert search.build()
    search.run(slices(3), lambda: None)
    assert search.cost == exhausted(p)
    assert check(p, driven(p, search)) == []


def test_what_every_slice_leaves_holds_and_costs_what_it_says_also_one_way_and_with_a_price_for_each_vehicle() -> None:
    p = plain(random.Random(1), 60, 25, fixed=700, per_distance=3)
    p.roads[""].distance[:] += [[(7 * i + 3 * j) % 50 * (i != j) for j in range(61)] for i in range(61)]
    search = Strings(p, 4)
    assert search.build()
    seen: list[int] = []

    def told() -> None:
        found = driven(p, search)
        assert check(p, found) == []
        assert round(found.objective * p.money) == search.cost
        seen.append(search.cost)

    told()
    search.run(slices(5), told)
    assert len(seen) > 1
    assert seen == sorted(seen, reverse=True)
    other = Strings(p, 5)
    other.follow(search.best)
    assert (other.cost, sorted(other.best)) == (search.cost, sorted(search.best))


def test_it_is_for_plain_problems_alone_and_says_where_it_finds_no_room() -> None:
    p = plain(random.Random(2), 8, 4)
    first, car = p.orders[0], p.vehicles[0]
    assert fits(p)
    for order in ({"latest": 900}, {"earliest": 1}, {"prize": 5}, {"pickup": (1,)}, {"release": 9}, {"origin": "p2"}, {"only": ("t1",)}):
        assert not fits(msgspec.structs.replace(p, orders=(msgspec.structs.replace(first, **order), *p.orders[1:])))
    for vehicle in ({"capacity": (9,)}, {"max_distance": 9}, {"end": "p1"}, {"per_tick": 1}):
        assert not fits(msgspec.structs.replace(p, vehicles=(msgspec.structs.replace(car, **vehicle), *p.vehicles[1:])))
    assert not Strings(msgspec.structs.replace(p, vehicles=(car,)), 0).build()


@pytest.mark.parametrize("workers", [1, 2])
def test_solve_uses_it_tells_better_plans_and_can_be_stopped(workers: int) -> None:
    p = plain(random.Random(3), 80, 40)
    told: list[Plan] = []
    found = solve(p, seconds=600, workers=workers, told=told.append, stop=lambda: len(told) > 0)
    assert check(p, found) == []
    assert found.seconds < 600
    assert [check(p, t) for t in told] == [[]] * len(told)
    assert found.objective == min(t.objective for t in told)
    assert workers == 2 or told[0].by == "SISR"  # PyVRP is the first while another thread compiles
