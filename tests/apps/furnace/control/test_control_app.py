"""The live controller: the app contract, units, guards, blindness, limits that cannot be kept, and what it remembers."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from ronghe.apps.contract import Question
from ronghe.apps.furnace.control.app import Control
from ronghe.apps.furnace.control.settings import Options
from ronghe.errors import RongheError
from ronghe.plant import Plant
from ronghe.twin.plants import steady, trajectory
from ronghe.twin.plants.tanks import tanks

from ...contract import AppContract, Make, feed, findings, window
from .conftest import LEVELS, PUMPS, four_tanks

TAGS = {f"h{i}": f"level{i}" for i in range(1, 5)} | {"v1": "pump1", "v2": "pump2"}
OPTIONS = Options(tags=TAGS, target={"h1": 140.0, "h2": 127.0}, horizon=12, look=3, deadline="20s")
REST = np.concatenate([10 * steady(tanks(), np.array([3.0, 3.0]), tanks().parameter_values()), [3000.0, 3000.0]])


def _rows(n: int, **changed: float) -> np.ndarray:
    rows = np.tile(REST, (n, 1))
    for name, value in changed.items():
        rows[:, list(TAGS).index(name)] = value
    return rows


class TestControlContract(AppContract):
    controls = True
    rows = np.concatenate([_rows(6), _rows(3, h2=np.nan), _rows(6), _rows(2, v1=np.nan), _rows(3)])

    @pytest.fixture
    def make(self, plant: Plant) -> Make:
        return lambda state: Control("control", plant, "water/tanks", OPTIONS, state)


def make(plant: Plant, state: Path, **options: Any) -> Control:
    state.mkdir(exist_ok=True)
    return Control("control", plant, "water/tanks", msgspec.structs.replace(OPTIONS, **options), state)


class Loop:
    """The app and four real tanks; whatever is advised is done."""

    def __init__(self, app: Control, factors: dict[str, float]) -> None:
        self.app, self.p = app, tanks().parameter_values(factors)
        self.u, self.k = np.array([3.0, 3.0]), 0
        self.x = steady(tanks(), self.u, self.p)
        self.highest = self.x.copy()
        self.advice: list[Any] = []

    def run(self, n: int) -> list[Any]:
        said = []
        for _ in range(n):
            row = np.concatenate([10 * self.x, 1000 * self.u])
            result = self.app.step(window(self.app, row[None], self.k))
            said.extend(result.findings)
            for a in result.advice:
                self.u[PUMPS.index(a.tag)] = a.value / 1000
            self.advice.extend(result.advice)
            self.x = trajectory(tanks(), self.x, self.u, self.p, 5.0)[-1]
            self.highest, self.k = np.maximum(self.highest, self.x), self.k + 1
        return said


def test_it_reaches_its_targets_with_a_wrong_model_and_without_lasting_error(plant: Plant, tmp_path: Path) -> None:
    loop = Loop(make(plant, tmp_path / "state"), {"k1": 0.85, "a1": 1.1, "g2": 1.2, "leak": 1.0})
    assert loop.run(3) == []
    assert loop.advice == [], "it only watches at first"
    assert loop.run(45) == []
    assert loop.x[:2] == pytest.approx([14.0, 12.7], abs=0.02)
    first = loop.advice[0]
    assert first.expires < first.time + 5 * 10**9, "it is over before the next comes"
    assert {a.tag for a in loop.advice} == set(PUMPS)
    assert all(0 <= a.value <= 8000 for a in loop.advice), "as the guard permits, not the pump"
    assert any(a.value > 7990 for a in loop.advice), "and that is used"
    assert "level 1" in first.reason.en
    assert "液位 1" in first.reason.zh
    assert first.reason.en.endswith("mm")


def test_it_moves_no_faster_than_the_guard_lets_it(tmp_path: Path) -> None:
    plant = four_tanks(tmp_path, rate="500 mV per 5 s")
    loop = Loop(make(plant, tmp_path / "state"), {})
    loop.run(12)
    values = np.array([3000.0] + [a.value for a in loop.advice if a.tag == PUMPS[0]])
    assert np.abs(np.diff(values)).max() <= 250 + 1e-3, "two steps may fall into one window"
    assert np.abs(np.diff(values)).max() > 200


def test_blind_it_holds_and_says_so(plant: Plant, tmp_path: Path) -> None:
    app = make(plant, tmp_path / "state")
    results = feed(app, np.concatenate([_rows(5), _rows(4, h2=np.nan), _rows(3)]))
    assert any(r.advice for r in results[:5])
    assert not any(r.advice for r in results[5:9])
    assert results[9].advice
    said = findings(results)
    assert [(f.key, f.active) for f in said] == [("water/tanks/control/measurement", a) for a in (True, False)]
    assert LEVELS[1] in said[0].text.en
    assert "液位" in said[0].text.zh


def test_a_limit_that_cannot_be_kept_is_named(plant: Plant, tmp_path: Path) -> None:
    """Tank 1 holds more than it may: no pump takes it out at once."""
    app = make(plant, tmp_path / "state", limits={"h1": "2..10 cm"}, target={"h1": 90.0, "h2": 127.0})
    loop = Loop(app, {})
    said = [f for f in loop.run(25) if f.key.endswith("h1_high")]
    assert [(f.key, f.active) for f in said] == [("water/tanks/control/h1_high", True), ("water/tanks/control/h1_high", False)]
    assert "level 1" in said[0].text.en
    assert "10 cm" in said[0].text.en
    assert loop.x[0] == pytest.approx(9.0, abs=0.1)


def test_without_time_for_a_plan_it_goes_on_with_the_last_and_then_holds(plant: Plant, tmp_path: Path) -> None:
    app = make(plant, tmp_path / "state", horizon=4)
    assert any(r.advice for r in feed(app, _rows(5)))
    solve = app.control._problem.solve

    def late(*given: Any) -> Any:
        return dataclasses.replace(solve(*given), solved=False)

    app.control._problem.solve = late  # type: ignore[method-assign]
    results = [app.step(window(app, _rows(1), 5 + k)) for k in range(6)]
    assert [bool(r.advice) for r in results] == [True, True, True, False, False, False]
    said = findings(results)
    assert [f.key for f in said] == ["water/tanks/control/solver"]
    assert app.ask(Question(verb="path"))["steps"][-1]["state"] == "hold"


def test_what_it_learned_outlives_it(plant: Plant, tmp_path: Path) -> None:
    app = make(plant, tmp_path / "state")
    Loop(app, {"k1": 0.8}).run(20)
    learned = app.control.estimator.theta.copy()
    assert np.abs(learned).max() > 0.05
    app.close()
    assert make(plant, tmp_path / "state").control.estimator.theta == pytest.approx(learned)
    other = make(plant, tmp_path / "state", parameters={"k1": 3.0})
    assert not other.control.estimator.theta.any(), "another model begins anew"


def test_its_path(plant: Plant, tmp_path: Path) -> None:
    app = make(plant, tmp_path / "state")
    assert msgspec.json.decode(msgspec.json.encode(app.ask(Question(verb="path"))))["steps"] == []
    Loop(app, {}).run(6)
    path = msgspec.json.decode(msgspec.json.encode(app.ask(Question(verb="path"))))
    pump = path["variables"][0]
    assert (pump["tag"], pump["unit"], pump["low"], pump["high"]) == (PUMPS[0], "mV", 0, 8000)
    assert [s["state"] for s in path["steps"]] == ["watching"] * 3 + ["optimal"] * 3
    high = next(c for c in path["constraints"] if c["side"] == "below")
    assert (high["limit"], high["unit"]) == (20, "cm")
    assert high["margin"] == pytest.approx(20 - high["value"])
    assert path["objective"]["title"]["zh"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"model": "kiln"}, "kiln"),
        ({"tags": {k: v for k, v in TAGS.items() if k != "h3"}}, "h3"),
        ({"tags": TAGS | {"h3": "level9"}}, "level9"),
        ({"tags": TAGS | {"h3": "pump1"}}, "mV"),
        ({"tags": TAGS | {"h9": "level3"}}, "h9"),
        ({"tags": TAGS | {"v1": "level3"}}, "mm"),
        ({"target": {}}, "target"),
        ({"target": {"h1": "level"}}, "level"),
        ({"limits": {"v1": "0..5 V"}}, "v1"),
        ({"parameters": {"k9": 1.0}}, "k9"),
    ],
)
def test_options_that_do_not_fit_are_told(plant: Plant, tmp_path: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(RongheError, match=said):
        make(plant, tmp_path / "state", **options)
