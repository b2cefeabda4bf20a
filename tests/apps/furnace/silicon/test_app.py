"""The app as a node runs it: forecasts, says cold and hot, refuses where the model never was, advises, remembers."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from shutil import copy
from typing import Any

import msgspec
import numpy as np
import pytest

from ronghe.apps.contract import Finding, Question, Result
from ronghe.apps.furnace.rist import Assumptions
from ronghe.apps.furnace.silicon.app import Silicon
from ronghe.apps.furnace.silicon.settings import Options, Rule, Target
from ronghe.errors import AppError, ModelError, RongheError
from ronghe.plant import Equipment, Plant, Property, Tag
from ronghe.signals import Window
from ronghe.text import Text

from ...contract import AppContract, window
from .conftest import START

S = 10**9
NORMAL = np.array([0.45, 45.0, 1150.0, 220.0, 46.0])  # silicon, coal, blast temperature, top pressure, set-point of coal
PROPERTIES = {
    "silicon": ("silicon", "硅含量", "%"),
    "coal": ("coal rate", "喷煤量", "t/h"),
    "blast_temperature": ("blast temperature", "风温", "Cel"),
    "top_pressure": ("top pressure", "顶压", "kPa"),
    "coal_setpoint": ("coal set-point", "喷煤设定值", "t/h"),
}
OPTIONS = Options(target=Target(low=0.3, high=0.6), every="10min", chance=0.3, hold=2)
Make = Callable[..., Silicon]


@pytest.fixture
def plant(tmp_path: Path, model: Path) -> Plant:
    folder = tmp_path / "plant"
    folder.mkdir()
    copy(model, folder / "silicon.model")
    return Plant(
        path="acme/baosteel/ironworks",
        name=Text("ironworks"),
        folder=str(folder),
        dictionary={p: Property(property=p, name_en=en, name_zh=zh, unit=u) for p, (en, zh, u) in PROPERTIES.items()},
        tags={f"bf1/{p}": Tag(tag=f"bf1/{p}", property=p, every=60.0, writable=p == "coal_setpoint") for p in PROPERTIES},
        equipment={"bf1": Equipment(name=Text("Blast furnace 1", "1 号高炉"))},
    )


@pytest.fixture
def make(plant: Plant) -> Make:
    return lambda state, **changed: Silicon("hearth", plant, "bf1", msgspec.structs.replace(OPTIONS, **changed), state)


class Bench:
    """Feeds rows 10 min apart; an assay every third row, as old as it then is."""

    def __init__(self, app: Silicon) -> None:
        self.app, self.n = app, 0
        self.taken = 0
        self.silicon = float("nan")
        self.results: list[Result] = []

    def feed(self, rows: int, silicon: float = 0.45, noise: float = 0.0, **changed: float) -> list[Finding]:
        rng = np.random.default_rng(self.n)
        found = []
        for _ in range(rows):
            time = (START + 400 * 24 * 3600 * S) // (600 * S) * 600 * S + self.n * 600 * S
            if self.n % 3 == 0:
                self.taken, self.silicon = time, silicon * float(np.exp(noise * rng.normal()))
            tags = self.app.wants().tags
            usual = dict(zip((f"bf1/{p}" for p in PROPERTIES), NORMAL, strict=True))
            row = np.array([[changed.get(t.removeprefix("bf1/"), usual[t]) for t in tags]])
            row[0, tags.index("bf1/silicon")] = self.silicon
            age = np.zeros_like(row)
            age[0, tags.index("bf1/silicon")] = (time - self.taken) / S
            codes = np.where(np.isnan(row), np.uint32(0x80000000), np.uint32(0))
            self.results.append(self.app.step(Window(tags, np.array([time]), row, codes, age)))
            found.extend(self.results[-1].findings)
            self.n += 1
        return found

    def state(self) -> dict[str, Any]:
        return json.loads(msgspec.json.encode(self.app.ask(Question(verb="state"))))  # type: ignore[no-any-return]


@pytest.fixture
def bench(make: Make, tmp_path: Path) -> Callable[..., Bench]:
    def start(**changed: Any) -> Bench:
        state = tmp_path / "state"
        state.mkdir(exist_ok=True)
        return Bench(make(state, **changed))

    return start


def keys(found: list[Finding]) -> list[tuple[str, bool]]:
    return [(f.key, f.active) for f in found]


def test_a_furnace_that_cools_and_warms_again(bench: Callable[..., Bench]) -> None:
    b = bench()
    assert keys(b.feed(60)) == []
    signals = b.results[-1].signals
    assert signals["silicon_low"] < signals["silicon_forecast"] < signals["silicon_high"]
    assert signals["silicon_forecast"] == pytest.approx(0.45, abs=0.05)
    found = b.feed(60, silicon=0.22)
    assert set(keys(found)) == {("bf1/silicon_low", True)}
    assert all(later.score >= 2 * before.score for before, later in itertools.pairwise(found)), "told again only when twice as bad"
    first = found[0]
    assert "below 0.30 %" in first.text.en
    assert "低于 0.30 %" in first.text.zh
    assert first.action.zh.startswith("炉缸可能向凉")
    assert first.score >= 1
    assert first.evidence[0].expected == 0.3
    assert first.evidence[0].tag == "apps/hearth/silicon_forecast"
    assert keys(b.feed(90)) == [("bf1/silicon_low", False)]


def test_it_refuses_where_the_model_never_was(bench: Callable[..., Bench]) -> None:
    b = bench()
    b.feed(12)
    found = b.feed(5, blast_temperature=900.0)
    assert keys(found) == [("bf1/silicon_refused", True)]
    assert "blast temperature is 900 Cel" in found[0].text.en
    assert "风温为 900" in found[0].text.zh
    assert b.results[-1].signals == {}
    assert b.state()["fan"] == []
    assert [t["en"].split(" is ")[0] for t in b.state()["outside"]] == ["blast temperature"]
    assert keys(b.feed(5)) == [("bf1/silicon_refused", False)]
    missing = b.feed(5, coal=float("nan"))
    assert "coal rate has no good value" in missing[0].text.en


def test_without_an_assay_nothing_is_forecast(bench: Callable[..., Bench]) -> None:
    b = bench()
    found = b.feed(80, silicon=float("nan"))
    assert keys(found) == [("bf1/silicon_refused", True)]
    assert "no assay of the last 12 h" in found[0].text.en
    assert b.state()["silicon"] is None


def test_drift_is_said_when_the_interval_breaks_its_promise(bench: Callable[..., Bench]) -> None:
    b = bench(target=None)
    b.feed(90)
    assert b.state()["coverage"] == 1.0
    assert not b.state()["drift"]
    found = b.feed(120, noise=0.6)
    assert ("bf1/silicon_drift", True) in keys(found)
    assert b.state()["drift"]
    assert b.state()["coverage"] < 0.85


def test_a_rule_becomes_advice_only_beyond_the_target(bench: Callable[..., Bench]) -> None:
    rule = Rule(when="silicon low", set="coal_setpoint", step=1.5, within="2h")
    b = bench(advise=(rule,), chance=0.05)
    b.feed(60, silicon=0.34)  # the interval leaves the target, the value expected does not
    assert ("bf1/silicon_low", True) in keys([f for r in b.results for f in r.findings])
    assert [a for r in b.results for a in r.advice] == []
    b.feed(60, silicon=0.22)
    advice = [a for r in b.results for a in r.advice]
    assert advice[0].tag == "bf1/coal_setpoint"
    assert advice[0].value == 47.5
    assert advice[0].model == b.app.model
    assert advice[0].finding == "bf1/silicon_low"


def test_what_was_learned_outlives_a_restart(bench: Callable[..., Bench]) -> None:
    b = bench()
    b.feed(60, silicon=0.3)
    b.app.close()
    again = bench()
    again.n, again.taken, again.silicon = b.n, b.taken, b.silicon
    b.feed(1, silicon=0.3)
    again.feed(1, silicon=0.3)
    assert again.results[-1].signals["silicon_forecast"] == pytest.approx(b.results[-1].signals["silicon_forecast"], abs=1e-6)


def test_what_its_page_is_told(bench: Callable[..., Bench]) -> None:
    b = bench()
    b.feed(90, noise=0.1)
    state = b.state()
    assert state["unit"] == "%"
    assert state["target"] == {"low": 0.3, "high": 0.6}
    assert len(state["history"]) == 30
    assert len(state["past"]) == 30 == len([p for p in state["past"] if p["low"] < p["mean"] < p["high"]])
    assert state["silicon"] == {"value": b.silicon, "time": b.taken // 10**6, "age_s": 1200.0, "good": True}
    fan = state["fan"]
    assert fan[0]["time"] == state["now"]
    assert fan[-1]["time"] - fan[0]["time"] == 4 * 3600 * 1000
    widths = [p["high"] - p["low"] for p in fan]
    assert widths == sorted(widths)
    assert widths[-1] > 1.05 * widths[0]
    assert (state["model"]["rows"], state["model"]["hash"]) == (600, b.app.model)
    rist = json.loads(msgspec.json.encode(b.app.ask(Question(verb="rist"))))
    assert rist["from"] == "typed"
    assert rist["carbon"] == pytest.approx(392, abs=0.5)
    assert len(rist["line"]) == 2
    assert {p["name"] for p in rist["points"]} == set("AEPVW")


def test_the_balance_by_what_is_measured(bench: Callable[..., Bench]) -> None:
    b = bench(rist_tags={"blast_temperature": "blast_temperature"}, rist=Assumptions(heat_loss=350.0))
    with pytest.raises(AppError, match="blast temperature has no good value"):
        b.app.ask(Question(verb="rist"))
    b.feed(3)
    answer: Any = b.app.ask(Question(verb="rist"))
    assert answer["from"] == "tags"
    assert "blast 1150 °C" in [t.en for t in answer["assumptions"]]
    assert answer["carbon"] > 395


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"model": "none.model"}, "make it: ronghe furnace silicon fit DIR -o none.model"),
        ({"silicon": "bf1/si"}, "no tag"),
        ({"inputs": {"wind": "coal"}}, "no input of the model"),
        ({"inputs": {"coal": "nothing"}}, "no tag"),
        ({"target": Target(low=0.6, high=0.3)}, "not below"),
        ({"target": None, "advise": (Rule(when="silicon low", set="coal_setpoint", step=1.0),)}, "needs a target"),
        ({"rist_tags": {"moisture": "coal"}}, "is in 't/h'"),
        ({"rist_tags": {"wind": "coal"}}, "no assumption"),
        ({"every": "0s"}, "longer than nothing"),
    ],
)
def test_what_cannot_be_set_up(make: Make, tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    with pytest.raises(RongheError, match=said) as e:
        make(tmp_path, **changed)
    assert e.value.what.zh


def test_an_input_that_is_nowhere_is_named(plant: Plant, tmp_path: Path) -> None:
    tags = {t: tag for t, tag in plant.tags.items() if t != "bf1/coal"}
    with pytest.raises(ModelError, match="input 'coal'"):
        Silicon("hearth", msgspec.structs.replace(plant, tags=tags), "bf1", OPTIONS, tmp_path)


class TestContract(AppContract):
    """Rows whose assay is new in each: the furnace cools, and is warm again."""

    rows = np.repeat(NORMAL[None, :4], 120, axis=0)
    rows[30:70, 0] = 0.2

    @pytest.fixture
    def make(self, plant: Plant) -> Callable[[Path], Silicon]:
        return lambda state: Silicon("hearth", plant, "bf1", OPTIONS, state)

    def test_its_rows_fit(self, make: Callable[[Path], Silicon], state: Path) -> None:
        app = make(state)
        assert app.wants().tags == tuple(f"bf1/{p}" for p in list(PROPERTIES)[:4])
        assert len(window(app, self.rows)) == 120
