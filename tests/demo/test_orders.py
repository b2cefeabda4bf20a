"""The order board: what the demonstration writes is what its apps can plan."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ronghe.apps.inventory import plan as inventory
from ronghe.apps.inventory.formats import items
from ronghe.apps.logistics import check as logistics_check
from ronghe.apps.logistics import formats as logistics
from ronghe.apps.logistics import solve as logistics_solve
from ronghe.apps.scheduling import check, formats, present, solve, sound
from ronghe.demo.orders import PARTS, write_works

NOW = datetime(2026, 5, 4, 13, 27, 31, tzinfo=UTC)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("works")
    (place / "schedule").mkdir()
    (place / "schedule" / "old.csv").write_text("of an earlier run")
    write_works(place, NOW)
    return place


def test_its_dates_are_from_now_on_and_nothing_of_an_earlier_run_stays(folder: Path) -> None:
    assert {p.name for p in folder.iterdir()} == set(PARTS)
    assert not (folder / "schedule" / "old.csv").exists()
    assert "@" not in "".join(p.read_text(encoding="utf-8") for p in folder.rglob("*.csv"))
    problem = formats.read(folder / "schedule")
    assert problem.start == int(NOW.replace(second=0).timestamp()) * 10**9
    assert problem.jobs[0].due == 7 * 60


def test_the_orders_can_be_planned_and_the_press_is_needed(folder: Path) -> None:
    problem = formats.read(folder / "schedule")
    assert sound.sound(problem) == []
    plan = solve.first(problem)
    assert check.check(problem, plan) == []
    assert {"press", "etching/etcher"} <= {m.name for m in problem.machines}
    assert present.utilisation(problem, plan)["press"] > 0.1


def test_the_stock_says_what_to_order(folder: Path) -> None:
    book = items.read(folder / "stock")
    assert abs(book.end - NOW.timestamp()) < 2 * timedelta(days=1).total_seconds()
    planned = inventory.plan(book)
    assert len(planned) == 5
    assert any(p.order > 0 for p in planned)
    assert {p.item if isinstance(p.item, str) else p.item.item for p in planned} >= {"laminate", "thin laminate"}


def test_the_deliveries_can_be_driven(folder: Path) -> None:
    problem = logistics.read(folder / "logistics")
    plan = logistics_solve.solve(problem, seconds=1, workers=1)
    assert logistics_check.check(problem, plan) == []
    assert plan.unserved == ()
