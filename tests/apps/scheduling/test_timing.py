"""Moved to cheap hours: nothing is late, every rule holds, and no other timing of the same sequences costs less."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ronghe.apps.scheduling import solve, timing
from ronghe.apps.scheduling.check import check, claims, energy, measure
from ronghe.apps.scheduling.formats import table
from ronghe.apps.scheduling.problem import Assigned, Choice, Job, Machine, Operation, Plan, Pool, Prices, Problem, Setup, Weights
from ronghe.cli.scheduling import scheduling
from ronghe.errors import AppError

from .shops import shop


def priced(problem: Problem, seed: int) -> Problem:
    r = random.Random(seed)
    n, slot = r.randint(1, 30), r.randint(1, 7)
    prices = Prices(
        slot=slot,
        money=tuple(r.choice([-0.1, 0.3, 0.7, 1.1]) for _ in range(n)),
        carbon=tuple(r.random() for _ in range(n)),
        carbon_price=r.choice([0.0, 2.0]),
    )
    machines = tuple(msgspec.structs.replace(m, power=r.choice([0.0, 5.0, 40.0])) for m in problem.machines)
    jobs = tuple(msgspec.structs.replace(j, due=None if j.due is None else j.due + 30) for j in problem.jobs)
    return msgspec.structs.replace(problem, machines=machines, jobs=jobs, prices=prices, tick=60.0)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**7))
@example(1000137)  # what lasts 0 behind a stop, its set-up before it
def test_it_holds_and_costs_no_more_and_nothing_is_later(seed: int) -> None:
    problem = priced(shop(seed), seed)
    plan = solve.first(problem)
    moved = timing.shifted(problem, plan)
    assert check(problem, moved) == []
    assert claims(problem, moved) == []
    a, b = energy(problem, plan), energy(problem, moved)
    if a is None or b is None:
        assert moved == plan
        return
    assert problem.prices is not None
    assert b.kwh == pytest.approx(a.kwh)
    worth = [(e.money or 0) + problem.prices.carbon_price * (e.carbon or 0) for e in (a, b)]
    assert worth[1] <= worth[0] + 1e-9
    assert measure(problem, moved).objective <= measure(problem, plan).objective + 1e-9
    was = {x.operation: x for x in plan.assigned}
    assert all(x.setup_start >= was[x.operation].setup_start and x.machine == was[x.operation].machine for x in moved.assigned)


def sequences(rows: Iterable[Assigned]) -> list[list[str]]:
    """What the two machines do, and the fitter (J0.0 and J1.1), in their order."""
    there = sorted(rows, key=lambda a: a.start)
    on = [[a.operation for a in there if a.machine == m] for m in ("M0", "M1")]
    return [*on, [a.operation for a in there if a.operation in ("J0.0", "J1.1")]]


@pytest.mark.parametrize("seed", range(5))
def test_no_other_timing_costs_less(seed: int) -> None:
    """Two jobs of two steps on two machines, with a set-up and one fitter: every timing of the same sequences tried."""
    r = random.Random(seed)
    crew = {"fitter": 1}
    jobs = tuple(
        Job(
            name=f"J{j}",
            operations=tuple(
                Operation(name=f"J{j}.{o}", choices=(Choice(f"M{o}", r.randint(1, 4)),), family="ab"[j], people=crew if o == j else {})
                for o in range(2)
            ),
            due=r.randint(10, 13),
        )
        for j in range(2)
    )
    problem = Problem(
        machines=(Machine(name="M0", power=r.choice([10, 30]), family="a"), Machine(name="M1", power=20, family="a")),
        jobs=jobs,
        setups=(Setup(before="a", after="b", duration=2), Setup(before="b", after="a", duration=1)),
        pools=(Pool(name="fitter", size=1),),
        prices=Prices(slot=3, money=tuple(r.choice([0.2, 0.5, 1.0]) for _ in range(7))),
        weights=Weights(tardiness=1.0),
        tick=3600.0,
    )
    plan = solve.first(problem)
    moved = timing.shifted(problem, plan)
    limit = measure(problem, plan).tardiness
    order = sequences(plan.assigned)
    best = float("inf")
    for starts in itertools.product(*(range(a.start, 13) for a in plan.assigned)):
        rows = [
            Assigned(operation=a.operation, machine=a.machine, setup_start=s - (a.start - a.setup_start), start=s, end=s + a.end - a.start)
            for a, s in zip(plan.assigned, starts, strict=True)
        ]
        if sequences(rows) != order:
            continue
        other = Plan(assigned=tuple(rows), objective=0.0)
        cost = energy(problem, other)
        assert cost is not None
        assert cost.money is not None
        if cost.money < best - 1e-9 and measure(problem, other).tardiness <= limit and not check(problem, other):
            best = cost.money
    assert moved.energy_cost == pytest.approx(best)


def test_by_hand() -> None:
    """Three hours at 20 kW, due at 10: from tick 4 the price falls. A batch takes its power once, and what is due earlier stays."""
    jobs = (
        Job(name="A", operations=(Operation(name="A.1", choices=(Choice("oven", 3),)),), due=10),
        Job(name="B", operations=(Operation(name="B.1", choices=(Choice("oven", 3),)),), due=12),
        Job(name="C", operations=(Operation(name="C.1", choices=(Choice("saw", 2),)),), due=1),
    )
    machines = (Machine(name="oven", batch=2, power=20), Machine(name="saw", power=5))
    prices = Prices(slot=4, money=(1.0, 0.25), carbon=(0.5, 0.5))
    problem = Problem(machines=machines, jobs=jobs, prices=prices, tick=3600.0, weights=Weights(tardiness=1.0))
    rows = [
        Assigned(operation=o, machine=m, setup_start=0, start=0, end=e, batch=b)
        for o, m, e, b in [("A.1", "oven", 3, 1), ("B.1", "oven", 3, 1), ("C.1", "saw", 2, 0)]
    ]
    moved = timing.shifted(problem, Plan(assigned=tuple(rows), objective=0.0))
    at = {a.operation: a.start for a in moved.assigned}
    assert at == {"A.1": 4, "B.1": 4, "C.1": 0}, "as early as it is cheapest; what is late already stays"
    assert moved.energy == pytest.approx(70)
    assert moved.energy_cost == pytest.approx(60 * 0.25 + 10)
    assert moved.carbon == pytest.approx(35)
    sooner = timing.shifted(problem, Plan(assigned=tuple(rows), objective=0.0), {"A": 5})
    assert {a.operation: a.start for a in sooner.assigned}["A.1"] == 2, "two hours of the three at most"
    lies = msgspec.structs.replace(moved, energy_cost=1.0)
    assert any("energy cost" in t.en for t in claims(problem, lies))


def test_prices_in_the_tables(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    files = {
        "settings": "key,value\nstart,2026-03-02T08:00\ntick,1 min\ncarbon_price,500\n",
        "machines": "machine,power_kw\nkiln,60\n",
        "orders": "order,product,due\nA,tile,2026-03-02T20:00\n",
        "routings": "product,step,machine,minutes\ntile,fire,kiln,90\n",
        "prices": "from,price,carbon\n2026-03-02T06:00,1.1,0.6\n2026-03-02T12:00,-0.05,0.4\n2026-03-02T14:30,0.7,0.5\n",
    }
    for name, text in files.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    problem = table.read(folder)
    assert problem.prices is not None
    assert problem.prices.slot == 30
    assert problem.prices.money[7:10] == (1.1, -0.05, -0.05)
    assert problem.prices.carbon_price == pytest.approx(0.5)
    table.write(problem, tmp_path / "copy")
    assert table.read(tmp_path / "copy") == problem
    found = json.loads(CliRunner().invoke(scheduling, ["solve", str(folder), "--seconds", "0.2", "--json"]).output)
    assert found["energy"] == pytest.approx(90)
    assert found["energy_cost"] == pytest.approx(-4.5)
    assert found["carbon"] == pytest.approx(36)
    (folder / "prices.csv").write_text("from,price\n2026-03-02T09:00,1\n2026-03-02T10:00,x\n", encoding="utf-8")
    with pytest.raises(AppError) as e:
        table.read(folder)
    assert "prices.csv:3" in e.value.in_("en")
