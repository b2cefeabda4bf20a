from __future__ import annotations

import json
import shlex
from datetime import date
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from ronghe.apps.energy.tariff import Tariff
from ronghe.chain import Facts, Outcome, apply, changes, read, run
from ronghe.cli.plan import plan, write_example
from ronghe.errors import AppError, RongheError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("chain") / "works"
    write_example(path)
    return path


@pytest.fixture(scope="module")
def facts(folder: Path) -> Facts:
    return read(folder)


@pytest.fixture(scope="module")
def before(facts: Facts) -> Outcome:
    return run(facts, seconds=2, workers=1)


def test_each_hands_its_times_to_the_next(facts: Facts, before: Outcome) -> None:
    assert before.wrong == ()
    orders = {o.order: o for o in before.orders}
    assert len(orders) == 10
    assert all(o.ready is not None and o.arrives is not None and o.ready < o.arrives for o in orders.values())
    assert before.trucks is not None
    assert before.routes is not None
    for route in before.routes.routes:
        left = 0
        for stop in route.stops:  # no trip begins before what it carries is ready
            if stop.do in ("start", "reload"):
                left = before.trucks.start + stop.depart * 10**9
            elif stop.order:
                assert (orders[stop.order].ready or 0) <= left
    steel = next(s for s in before.stock if s.material == "steel_sheet")
    assert facts.items["steel_sheet"].on_hand == 190
    assert steel.lowest >= 0
    assert steel.course[-1][1] == pytest.approx(
        190 + 320 - 459 + (steel.orders if steel.arrives and steel.arrives <= steel.course[-1][0] else 0)
    )


def test_figures_are_sums_of_what_is_stated(facts: Facts, before: Outcome) -> None:
    f = before.figures
    parts = (f.production, f.setup, f.holding, f.transport, f.tardiness, f.energy_cost)
    assert None not in parts
    assert f.missing == ()
    assert f.cost == pytest.approx(sum(p for p in parts if p is not None))
    assert f.energy is not None
    assert f.carbon_energy == pytest.approx(f.energy * 0.5366)
    assert f.carbon == pytest.approx((f.carbon_energy or 0) + (f.carbon_transport or 0))
    assert f.setup == pytest.approx(before.schedule.setup / 60 * 140)
    assert f.fill_rate == pytest.approx(sum(o.quantity for o in before.orders if o.in_time) / 830)
    none = run(msgspec.structs.replace(facts, terms=type(facts.terms)(), tariff=None), seconds=1, workers=1)
    assert none.moved is None
    assert none.figures.energy_cost is None
    assert none.figures.production is None
    assert set(none.figures.missing) == {"production", "setup", "tardiness", "carbon_energy"}


def test_what_may_wait_goes_to_cheap_hours_and_no_truck_waits(facts: Facts, before: Outcome) -> None:
    assert before.moved is not None
    assert before.moved.operations > 0
    assert before.moved.money > 1, "of the search's left-most plan something is always to be won here"
    plain = run(msgspec.structs.replace(facts, tariff=None), seconds=2, workers=1)
    assert before.figures.in_time >= plain.figures.in_time
    flat = """
[[version]]
from = "2026-01-01"
[[version.period]]
name = "flat"
price = 0.67
"""
    path = Path(facts.folder).parent / "flat.toml"
    path.write_text(flat, encoding="utf-8")
    same = run(msgspec.structs.replace(facts, tariff=Tariff.read(path)), seconds=1, workers=1)
    assert same.figures.energy_cost == pytest.approx(0.67 * (same.figures.energy or 0))
    assert same.moved is not None
    assert same.moved.operations == 0
    ends = msgspec.structs.replace(facts, tariff=Tariff([msgspec.structs.replace(Tariff.read(path).versions[0], until=date(2026, 3, 3))]))
    short = run(ends, seconds=1, workers=1)
    assert short.moved is None
    assert "energy_cost" in short.figures.missing, "no price is made up where the tariff ends"


def test_a_late_truck_moves_the_schedule_and_the_customers(facts: Facts, before: Outcome) -> None:
    later, text = apply(facts, "late source=T-204 by=30h")
    after = run(later, seconds=2, workers=1, before=before, event=text)
    assert after.wrong == ()
    arrival = next(a for a in after.shop.arrivals if a.source == "T-204")
    there = sum(a.quantity for a in after.shop.arrivals if a.material == "steel_sheet" and a.at < arrival.at)
    uses = {o.name: o.uses.get("steel_sheet", 0.0) for j in after.shop.jobs for o in j.operations}
    assert sum(uses[a.operation] for a in after.schedule.assigned if a.start < arrival.at) <= there
    steps = changes(before, after)
    waits = [s for s in steps if s.kind == "order" and "waits for steel_sheet (T-204), which comes 30.0 h later" in s.text.en]
    assert waits
    assert "等待 steel_sheet（T-204）" in waits[0].text.zh
    assert any(s.kind == "delivery" and (s.hours or 0) > 1 for s in steps)
    assert any(s.kind == "figure" and s.name == "tardiness" for s in steps)
    assert after.figures.in_time < before.figures.in_time


def test_breakdown_rush_and_a_truck_that_drops_out(facts: Facts, before: Outcome) -> None:
    broken, _ = apply(facts, "breakdown machine=oven from=2026-03-02T10:00+08:00 for=6h")
    rushed, text = apply(broken, "rush order=R-1 like=SO-1001 due=2026-03-03T12:00+08:00 quantity=12 weight=9")
    assert text.zh == "插单 R-1：cabinet 12 件"
    out, _ = apply(rushed, "truck vehicle=V1-Wed")
    after = run(out, seconds=2, workers=1, before=before)
    assert after.wrong == ()
    stands = [o for m in after.shop.machines if m.name == "oven" for o in m.off if o.why == "breakdown"]
    assert (stands[0].start, stands[0].end) == (120, 480)
    assert all(a.end <= 120 or a.setup_start >= 480 for a in after.schedule.assigned if a.machine == "oven")
    rush = next(o for o in after.orders if o.order == "R-1")
    assert rush.ready is not None
    assert "V1-Wed" not in {o.vehicle for o in after.orders}
    assert any(s.name == "R-1" and "is new" in s.text.en for s in changes(before, after))


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ("flood", "begins with one of late, breakdown, rush, truck"),
        ("late source=T-205 by=1h", "did you mean 'T-204'?"),
        ("late source=T-204", "late needs by="),
        ("late source=T-204 by=soon", "is not a duration"),
        ("late sauce=T-204", "not 'sauce=T-204'"),
        ("breakdown machine=ovn for=1h", "did you mean 'oven'?"),
        ("rush order=SO-1001 like=SO-1002", "already is an order"),
        ("rush order=R like=SO-1002 quantity=-1", "quantity must be a number above 0"),
        ('late "', "begins with one of"),
    ],
)
def test_events_that_cannot_be_understood(facts: Facts, event: str, said: str) -> None:
    with pytest.raises(RongheError) as e:
        apply(facts, event)
    assert said in e.value.in_("en")
    assert e.value.in_("zh") != e.value.in_("en")


def test_the_commands_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[2] / "docs" / "chain.md").read_text(encoding="utf-8")
    commands = [shlex.split(line.strip())[3:] for line in page.splitlines() if line.startswith("    $ ronghe plan")]
    assert len(commands) == 3
    monkeypatch.chdir(tmp_path)
    for words in commands:
        words = [w if w != "4" else "1" for w in words]
        result = CliRunner().invoke(plan, [*words, *(["-o", "out"] if "--json" in words else [])])
        assert result.exit_code == 0, result.output
    plans = json.loads(result.output)["plans"]
    assert [p["checked"] for p in plans] == [True, True]
    assert plans[1]["event"]["en"] == "T-204 comes 9.0 h later"
    assert plans[1]["changes"]
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        "schedule.csv",
        "schedule.xlsx",
        "calendars.zip",
        "schedule.json",
        "plan.json",
    }
    with pytest.raises(AppError, match="not empty"):
        write_example(tmp_path / "works")


def test_a_folder_without_a_shop(tmp_path: Path) -> None:
    with pytest.raises(AppError, match="neither a folder shop nor"):
        read(tmp_path)
