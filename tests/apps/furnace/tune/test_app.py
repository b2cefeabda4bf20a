"""furnace.tune on a small kiln: the app contract, a guard in auto, people who say no or do it themselves, and sensors that fail."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from ronghe.apps.contract import App, Question
from ronghe.apps.furnace.tune.app import Tune
from ronghe.apps.furnace.tune.settings import Hold, Vary
from ronghe.errors import AppError
from ronghe.plant import Plant

from ...contract import AppContract, feed, findings
from .conftest import START, Kiln, options

Open = Callable[[], Tune]


@pytest.fixture
def make(plant: Plant) -> Callable[[Path], App]:
    return lambda state: Tune("tune", plant, "kiln", options(), state)


@pytest.fixture
def open_(plant: Plant, tmp_path: Path) -> Open:
    (tmp_path / "state").mkdir()
    return lambda: Tune("tune", plant, "kiln", options(), tmp_path / "state")


def rows() -> np.ndarray:
    """Nobody does what is advised; somebody moves the fan; then the sensors are lost for a while."""
    rng = np.random.default_rng(0)
    air, fan = np.full(200, START[0]), np.full(200, START[1])
    fan[60:] = 50.0
    out = np.column_stack([air, fan, 130 + 0.1 * rng.normal(size=200), 3.5 + 0.01 * rng.normal(size=200)])
    out[150:160, 2] = np.nan
    return out


class TestTuneContract(AppContract):
    rows = rows()


def test_to_the_optimum_by_ramps_inside_the_limit(open_: Open) -> None:
    app, kiln = open_(), Kiln()
    results = kiln.run(app, 1200)
    assert app.pilot.phase == "hold"
    best = app.tuner.best
    assert best is not None
    assert best.objective == pytest.approx(100.0, abs=0.6)
    assert best.x == pytest.approx((0.62, 70.0), abs=0.06 * 100)
    assert kiln.least_oxygen > 2.0
    assert any(len(c.settings) == 2 for r in results for c in r.changes)
    said = [f for f in findings(results) if f.key.endswith("/settled")]
    assert said
    assert "已达最优" in said[-1].text.zh


def test_it_goes_on_where_it_was(open_: Open) -> None:
    app, kiln = open_(), Kiln()
    kiln.run(app, 300)
    known, best = len(app.tuner.trials), app.tuner.best
    app.close()
    app = open_()
    assert len(app.tuner.trials) == known > 3
    assert app.tuner.best == best
    kiln.run(app, 60)
    assert len(app.tuner.trials) > known


def test_what_was_learned_of_another_task_is_not_taken_up(plant: Plant, open_: Open, tmp_path: Path) -> None:
    app = open_()
    Kiln().run(app, 120)
    assert app.tuner.trials
    other = options(hold=(Hold(tag="oxygen", limit=3.0, side="above"),))
    assert not Tune("tune", plant, "kiln", other, tmp_path / "state").tuner.trials


def test_a_no_is_a_limit(open_: Open) -> None:
    app, kiln = open_(), Kiln()
    given = None
    while given is None:
        result = app.step(kiln.row(app))
        given = next(iter(result.advice), None)
    assert given.value > START[0]
    app.feedback(given.id, "rejected")
    result = app.step(kiln.row(app))
    assert any(f.key.endswith("/refused") and f.active for f in result.findings)
    kiln.run(app, 400)
    assert kiln.x[0] <= START[0] + 1e-9
    assert all(a[0] <= START[0] + 1e-9 for a in [t.x for t in app.tuner.trials])


def test_what_a_person_does_is_learned(open_: Open) -> None:
    app, kiln = open_(), Kiln()
    for _ in range(5):
        app.step(kiln.row(app))
    kiln.x[:] = (0.5, 60.0)
    for _ in range(40):
        app.step(kiln.row(app))
    steps = msgspec.json.decode(msgspec.json.encode(app.ask(Question(verb="path"))))["steps"]
    assert steps[0]["by"] == "person"
    assert steps[0]["x"] == [0.5, 60.0]
    assert steps[0]["feasible"]


def test_nothing_is_proposed_while_a_sensor_is_lost(make: Callable[[Path], App], tmp_path: Path) -> None:
    app = make(tmp_path)
    given = rows()
    given[35:, 3] = np.nan
    results = feed(app, given[:60])
    assert any(r.advice for r in results[:35])
    assert not any(r.advice or r.changes for r in results[35:])
    assert any("氧含量" in f.text.zh for f in findings(results) if f.key.endswith("/blind"))


def test_what_it_is_worth_is_proven_by_turns(plant: Plant, tmp_path: Path) -> None:
    app = Tune("tune", plant, "kiln", options(prove=True, price=2.0, settle="20min"), tmp_path)
    kiln = Kiln(1)
    results = kiln.run(app, 1900)
    [saving] = [s for r in results for s in r.savings]
    assert saving.method == "switchback"
    assert saving.money is not None
    gain = 80 * (0.3 - 0.62) ** 2 + 60 * (0.4 - 0.7) ** 2
    assert saving.money.value == pytest.approx(gain * 2.0 * 4 / 6, rel=0.05)
    assert saving.money.low < saving.money.value < saving.money.high
    assert kiln.x == pytest.approx(app.tuner.best.x if app.tuner.best else ())


def test_its_page(open_: Open) -> None:
    app, kiln = open_(), Kiln()
    empty = msgspec.json.decode(msgspec.json.encode(app.ask(Question(verb="path"))))
    assert empty["steps"] == []
    assert empty["best"] is None
    kiln.run(app, 200)
    page = msgspec.json.decode(msgspec.json.encode(app.ask(Question(verb="path"))))
    assert page["objective"]["unit"] == "kW"
    assert [v["tag"] for v in page["variables"]] == ["kiln/air_sp", "kiln/fan_sp"]
    assert page["constraints"][0]["margin"] >= 0.1
    assert page["best"] is not None
    assert {s["by"] for s in page["steps"]} <= {"start", "model"}


@pytest.mark.parametrize(
    ("more", "where"),
    [
        ({"objective": {"costs": 1.0}}, "objective"),
        ({"vary": (Vary(tag="cost", low=0, high=1, ramp="1 kW per 1h"),)}, "vary"),
        ({"vary": (Vary(tag="air_sp", low=1, high=0, ramp="0.1 per 1h"),)}, "vary"),
        ({"vary": (Vary(tag="fan_sp", low=0, high=1, ramp="fast"),)}, "vary"),
        ({"window": "5min"}, "window"),
    ],
)
def test_what_is_wrong_is_told(plant: Plant, tmp_path: Path, more: dict[str, object], where: str) -> None:
    with pytest.raises(AppError) as e:
        Tune("tune", plant, "kiln", options(**more), tmp_path)
    assert e.value.where == f"apps.tune.{where}"
    assert e.value.what.zh
