"""The books on a node: the app contract, and what people ask of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from ronghe.apps.contract import App, Question, Result
from ronghe.apps.energy.account.app import Account
from ronghe.apps.energy.account.settings import DriverSpec, IndicatorSpec, MeterSpec, Options, ProductSpec
from ronghe.errors import AppError
from ronghe.plant import Plant, Property, Tag
from ronghe.text import Text

from ...contract import AppContract, Make, feed, findings, window

ROWS = 5  # of three minutes, in a period
METERS = (
    MeterSpec(name="hall", title=Text("Hall", "车间"), tag="hall/energy", kind="counter", factor="grid"),
    MeterSpec(name="gas", tag="boiler/heat", kind="counter", factor="natural-gas"),
)
DRIVERS = (DriverSpec(name="pieces", title=Text("Pieces", "产量"), tag="hall/pieces", kind="counter"),)
INDICATORS = (IndicatorSpec(name="hall", title=Text("Hall per piece", "车间单耗"), meters=("hall",), drivers=("pieces",), target=0.05),)
PRODUCTS = (ProductSpec(name="bracket", quantity="pieces", unit="pcs"),)
OPTIONS = Options(
    meters=METERS,
    drivers=DRIVERS,
    indicators=INDICATORS,
    products=PRODUCTS,
    every="3min",
    period="15min",
    baseline="10h",
    hold=4,
    false_alarm=500,
    zone="UTC",
)


def rows(periods: int, more: range = range(0), lost: range = range(0)) -> NDArray[np.float64]:
    """A hall of 40 kW and 0.5 kWh a piece, some periods with 15 kW more, some without its meter."""
    rng = np.random.default_rng(3)
    made = np.repeat(rng.integers(15, 45, periods), ROWS)
    period = np.arange(periods * ROWS) // ROWS
    power = 40 + 0.5 * made * 20 + np.repeat(rng.normal(0, 4, periods), ROWS) + 15.0 * np.isin(period, list(more))
    energy = 90_000 + np.cumsum(power / 20)
    energy[np.isin(period, list(lost))] = np.nan
    return np.column_stack([energy, 7000 + 6.0 * np.arange(len(made)), np.cumsum(made)])


_fed = rows(80, range(50, 62), range(70, 72))


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    dictionary = {
        "energy": Property(property="energy", unit="kW.h"),
        "heat": Property(property="heat", unit="MJ"),
        "pieces": Property(property="pieces", unit="1"),
    }
    tags = {
        "works/hall/energy": Tag(tag="works/hall/energy", property="energy", connection="meter"),
        "works/boiler/heat": Tag(tag="works/boiler/heat", property="heat", connection="meter"),
        "works/hall/pieces": Tag(tag="works/hall/pieces", property="pieces", connection="meter"),
    }
    (tmp_path / "plant").mkdir(exist_ok=True)
    return Plant(path="acme/suzhou/works", name=Text("works"), folder=str(tmp_path / "plant"), dictionary=dictionary, tags=tags)


class TestAccountContract(AppContract):
    rows = _fed

    def results(self, app: App, start: int = 0, end: int | None = None) -> list[Result]:
        """At their own times: books are kept by the calendar."""
        return [app.step(window(app, self.rows[i : i + 1], i)) for i in range(*slice(start, end).indices(len(self.rows)))]

    @pytest.fixture
    def make(self, plant: Plant) -> Make:
        return lambda state: Account("books", plant, "works", OPTIONS, state)


@pytest.fixture
def make(plant: Plant, tmp_path: Path) -> Callable[..., Account]:
    (tmp_path / "state").mkdir()
    return lambda options=OPTIONS: Account("books", plant, "works", options, tmp_path / "state")


def ask(app: Account, verb: str, **body: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(app.ask(Question(verb=verb, body=body))))


def test_an_indicator_leaves_its_band_and_a_meter_is_lost(make: Callable[..., Account]) -> None:
    app = make()
    results = feed(app, _fed, ROWS)
    said = [(f.key, f.active) for f in findings(results)]
    assert said[0] == ("works/hall/gap", True), "the first period began before the app did"
    assert [s for s in said if "enpi" in s[0]] == [("works/hall/enpi", True), ("works/hall/enpi", False)]
    assert said[-2:] == [("works/hall/gap", True), ("works/hall/gap", False)]
    more = next(f for f in findings(results) if "enpi" in f.key)
    assert "more energy than the baseline expects" in more.text.en
    assert "能耗较基准高" in more.text.zh
    ratios = [r.signals["hall_enpi"] for r in results if "hall_enpi" in r.signals]
    assert np.median(ratios[:8]) == pytest.approx(1, abs=0.03)
    assert max(ratios) == pytest.approx(1.05, abs=0.03)


def test_what_its_page_asks(make: Callable[..., Account]) -> None:
    app = make()
    feed(app, _fed[: 20 * ROWS], ROWS)
    [waiting] = ask(app, "enpi")["indicators"]
    assert not waiting["valid"]
    assert "still being measured" in waiting["why"]["en"]
    assert waiting["periods"][5]["expected"] is None
    for r in range(20 * ROWS, len(_fed), 20):
        app.step(window(app, _fed[r : r + 20], r))
    [hall] = ask(app, "enpi")["indicators"]
    assert hall["valid"] is True
    assert hall["unit"] == "kW·h"
    assert hall["driver"] == {"en": "Pieces", "zh": "产量"}
    assert hall["r2"] > 0.98
    assert len(hall["cusum"]) == len(hall["periods"]) == 80
    assert hall["target"] == pytest.approx(0.95 * hall["periods"][-1]["expected"])
    inside = [p for p in hall["periods"] if p["actual"] is not None and p["low"] <= p["actual"] <= p["high"]]
    assert len(inside) >= 0.75 * 77
    carbon = ask(app, "carbon")
    measured = [p["actual"] for p in hall["periods"] if p["actual"] is not None]
    assert carbon["scope2_location_kg"] == pytest.approx(0.5306 * sum(measured), rel=1e-6)
    assert carbon["scope1_kg"] == pytest.approx(6.0 * 5 / 1000 * 56.157 * 79, rel=0.03)
    assert {f["name"] for f in carbon["factors"]} == {"electricity-cn", "electricity-cn-residual", "natural-gas"}
    [bracket] = carbon["products"]
    assert bracket["low"] < bracket["kg_per_unit"] < bracket["high"]
    first = [p["time"] for p in hall["periods"]]
    again = ask(app, "rebase", **{"from": first[0], "to": first[0] + 86_400_000})
    assert not again["indicators"][0]["valid"], "a day is not over yet"
    assert make().ask(Question(verb="meters"))[0]["unit"] == "kW·h"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"meters": ()}, "no meter"),
        ({"meters": (MeterSpec(name="hall", tag="hall/enrgy"),)}, "did you mean"),
        ({"meters": (MeterSpec(name="hall", tag="hall/energy", kind="counter", factor="natural-gas"),), "products": ()}, None),
        ({"meters": (*METERS, METERS[0])}, "the same name"),
        ({"indicators": (IndicatorSpec(name="x", meters=("hal",)),)}, "no meter 'hal'"),
        ({"indicators": (IndicatorSpec(name="x", meters=("hall",), drivers=("t",)),)}, "no driver 't'"),
        ({"period": "7h"}, "no period"),
        ({"zone": "Moon/Sea"}, "no time zone"),
        ({"baseline": "soon"}, "not a duration"),
        ({"baseline": "2026-01-01..soon"}, "no span"),
        ({"factors": "mine.toml"}, "cannot be read"),
        ({"meters": (MeterSpec(name="hall", tag="hall/pieces", kind="counter", factor="grid"),)}, "measured in 1"),
    ],
)
def test_options_that_do_not_fit(make: Callable[..., Account], changes: dict[str, Any], said: str | None) -> None:
    options = msgspec.structs.replace(OPTIONS, **changes)
    if said is None:
        assert make(options).wants().tags
        return
    with pytest.raises(Exception, match=said) as e:
        make(options)
    assert isinstance(e.value, AppError) or "duration" in str(e.value)
