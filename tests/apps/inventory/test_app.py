"""The store on a node: the app contract, and what people ask of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from ronghe.apps.contract import Question
from ronghe.apps.inventory.app import Stock
from ronghe.apps.inventory.settings import Options
from ronghe.errors import AppError
from ronghe.plant import Plant

from ..contract import AppContract, Make, feed, findings
from .conftest import DAYS, write

NOW = 1_700_000_000 * 10**9
OPTIONS = Options(stock={"bolt": "bolts/level"})
_fed = np.concatenate([np.full(8, 500.0), np.full(8, 20.0), [np.nan] * 4, np.full(8, 500.0)])[:, None]


class TestStockContract(AppContract):
    rows = _fed

    @pytest.fixture
    def make(self, plant: Plant) -> Make:
        return lambda state: Stock("store", plant, "store", OPTIONS, state, clock=lambda: NOW)


@pytest.fixture
def make(plant: Plant, tmp_path: Path) -> Callable[..., Stock]:
    (tmp_path / "state").mkdir()
    return lambda options=OPTIONS: Stock("store", plant, "store", options, tmp_path / "state", clock=lambda: NOW)


def ask(app: Stock, verb: str, **body: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(app.ask(Question(verb=verb, body=body))))


def test_a_level_that_falls_is_told_and_ends(make: Callable[..., Stock]) -> None:
    app = make()
    said = findings(feed(app, _fed))
    bolt = [(f.key, f.active, f.priority) for f in said if "bolt" in f.key]
    assert bolt == [("store/bolt/short", True, "high"), ("store/bolt/short", False, "high")]
    assert [f.key for f in said if f.active and "glue" in f.key] == ["store/glue/excess"]
    assert not [f for f in said if "/new/" in f.key], "of an item with too little demand nothing is said"


def test_one_look_at_a_low_level_is_not_told(make: Callable[..., Stock]) -> None:
    rows = np.array([500.0, 500, 500, 20, 20, 500, 500, 500])[:, None]
    assert not [f for f in findings(feed(make(), rows)) if "bolt" in f.key]


def test_items_and_orders(make: Callable[..., Stock]) -> None:
    app = make()
    feed(app, _fed[:12])
    bolt, glue, new = ask(app, "items")
    assert (bolt["state"], glue["state"], new["state"]) == ("short", "excess", "unknown")
    assert bolt["on_hand"] == 20
    assert bolt["days_of_cover"] == pytest.approx(2, abs=0.5)
    assert bolt["service_simulated"] >= 0.95
    assert bolt["title"] == {"en": "螺栓 bolt", "zh": "螺栓 bolt"}
    assert new["days_of_cover"] is new["reorder_at"] is new["service_simulated"] is None
    [order] = ask(app, "orders")
    assert order["item"] == "bolt"
    assert order["quantity"] == bolt["order_up_to"] - 20
    assert order["text"]["zh"]


def test_one_item(make: Callable[..., Stock]) -> None:
    app = make()
    got = ask(app, "item", name="bolt")
    assert len(got["history"]) == DAYS
    assert got["history"][-1]["time"] == 1000 * (1_699_920_000)  # END
    assert got["forecast"][0]["time"] == 1000 * (1_699_920_000 + 86_400)
    assert all(f["low"] <= f["mean"] <= f["high"] for f in got["forecast"])
    assert {s["method"] for s in got["backtest"]} >= {"seasonal_naive", got["method"]}
    costs, services = [c["cost"] for c in got["curve"]], [c["service"] for c in got["curve"]]
    assert services == sorted(services)
    assert costs[-1] > costs[0], "service costs stock"
    into = sum(s["in"] for s in got["projection"])
    assert into == got["order"]
    assert got["projection"][4]["on_hand"] == pytest.approx(10, abs=12)  # 60 on hand, 10 a day, the order not here yet
    with pytest.raises(AppError):
        ask(app, "item", name="bolts")


def test_files_that_change_are_read_again_and_a_broken_one_leaves_the_plan(make: Callable[..., Stock], store: Path) -> None:
    app = make(Options())
    assert not app.wants().tags
    feed(app, np.zeros((4, 0)))
    (store / "items.csv").write_text("item,lead_time\nbolt,-5\n")
    feed(app, np.zeros((1, 0)))
    status = ask(app, "status")
    assert "lead_time is -5" in status["trouble"]["en"]
    assert status["planned"] == status["of"] == 3
    write(store, ["glue,胶水,kg,3,10,0.95,1,4"], {"glue": [20.0] * 60})
    said = findings(feed(app, np.zeros((4, 0))))
    assert ask(app, "status") == {"planned": 1, "of": 1, "trouble": None, "warnings": []}
    assert ("store/glue/excess", False) in [(f.key, f.active) for f in said]
    assert ("store/glue/short", True) in [(f.key, f.active) for f in said]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (Options(stock={"nut": "bolts/level"}), "'nut' is not among the items"),
        (Options(stock={"bolt": "bolts/lvel"}), "bolts/level"),
        (Options(folder="nowhere"), "does not exist"),
        (Options(period="90min"), "whole hours"),
    ],
)
def test_options_that_cannot_be(make: Callable[..., Stock], options: Options, says: str) -> None:
    with pytest.raises(AppError, match=says):
        make(options)
