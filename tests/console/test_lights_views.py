"""The views of energy and furnaces in a real browser, over answers that are known to the digit."""

from __future__ import annotations

import copy
import re
import time
from collections.abc import Iterator

import pytest
from browser import axe
from conftest import Open
from playwright.sync_api import expect
from pump_station import SPEED, Station
from told import Told

from ronghe.console import Role
from ronghe.edge.runner import Runner
from ronghe.guard import Interval, Saving
from ronghe.text import Text

PLACES = [f"#/apps/site/{slug}" for slug in ("energy", "books", "furnace", "tuning")]
ENERGY, BOOKS, FURNACE, TUNING = PLACES
KEPT = ("now", "step_s")
WHOLE = ("next", "target", "model", "saving")  # there or not
HOUR = 3_600_000_000_000  # ns


@pytest.fixture(scope="module")
def told(station: Station) -> Iterator[Told]:
    """The app of known answers, at work on the pump station's node."""
    app = Told("site", station.node.plant, station.node.folder)
    runner = Runner(app, station.node.index, lambda result, at: None)
    runner.start()
    station.node.runners["site"] = runner
    yield app
    del station.node.runners["site"]
    runner.close()


def test_energy_says_where_power_flows_and_who_decides(told: Told, open_page: Open) -> None:
    watched = open_page(Role.VIEWER)
    page = watched.go(ENERGY)
    flow = page.get_by_role("region", name="Energy now").get_by_role("listitem")
    expect(flow.filter(has_text="Battery")).to_contain_text(re.compile(r"120 kW\s*discharging.*62 %.*of 1 000 kWh", re.DOTALL))
    expect(flow.filter(has_text="Grid")).to_contain_text(re.compile(r"412 kW\s*bought"))
    expect(flow.filter(has_text="Hall")).to_contain_text("no good value")
    expect(flow.filter(has_text="Hall").locator(".hatched")).to_have_count(1)
    expect(page.get_by_role("region", name="Who decides now")).to_contain_text("optimiser")
    expect(page.get_by_role("region", name="This month so far")).to_contain_text(re.compile(r"655 kW.*26 208 CNY", re.DOTALL))
    expect(page.get_by_role("region", name="What it was worth")).to_contain_text("95 % interval +3 911 … +4 834")
    grid = page.get_by_role("img", name=re.compile("^Grid: measured .* planned .* kW"))
    grid.focus()
    page.keyboard.press("ArrowLeft")  # what one chart points at, all of them tell
    soc = page.get_by_role("figure").filter(has=page.get_by_role("img", name=re.compile("^State of charge")))
    expect(soc.get_by_role("status")).to_contain_text(re.compile(r"planned \d+"))
    before = told.answers["now"]
    told.answers["now"] = before | {
        "by": "rule",
        "why": {"en": "the tariff cannot be read", "zh": "电价表无法读取"},
        "price": None,
        "tariff": None,
    }
    expect(page.get_by_role("region", name="Who decides now")).to_contain_text(
        re.compile("safe rule.*the tariff cannot be read", re.DOTALL)
    )
    expect(page.get_by_text("There is no tariff.")).to_be_visible()
    told.answers["now"] = before
    assert watched.errors == []


def test_the_books_say_whether_a_baseline_holds_and_carbon_by_either_account(told: Told, open_page: Open) -> None:
    watched = open_page(Role.VIEWER)
    page = watched.go(BOOKS)
    steel = page.get_by_role("region", name="Power per tonne of steel")
    expect(steel).to_contain_text("✓ The baseline holds.")
    expect(page.get_by_role("figure").filter(has_text="Used and expected").locator("path.wrong")).to_have_count(1)
    page.get_by_role("button", name="Compressed air").click()
    expect(page.get_by_role("region", name="Compressed air")).to_contain_text("R² is 0.31, below 0.75")
    carbon = page.get_by_role("region", name="Carbon", exact=True)
    expect(carbon).to_contain_text("49 t")
    carbon.get_by_role("button", name="market-based").click()
    expect(carbon).to_contain_text("35.7 t")
    expect(page.get_by_role("row", name=re.compile("Billet 150 812 t 412.3 kg.t 396.0 … 428.0"))).to_be_visible()
    expect(
        page.get_by_role("row", name=re.compile("Grid, East China.*location-based.*0.5703 kg.kWh.*2023.*notice 2023-43"))
    ).to_be_visible()
    assert watched.errors == []


def test_the_furnace_says_what_is_foretold_and_how_good_that_was(told: Told, open_page: Open) -> None:
    watched = open_page(Role.VIEWER)
    page = watched.go(FURNACE)
    silicon = page.get_by_role("region", name="Silicon")
    expect(silicon).to_contain_text(re.compile(r"0\.46.*% · good · 60 min.*78 %.*91\.0 %", re.DOTALL))
    expect(page.get_by_role("alert").filter(has_text="not as it was learnt")).to_be_visible()
    expect(silicon).to_contain_text("blast moisture")
    fan = page.get_by_role("figure").filter(has_text="Silicon, foretold and measured")
    outside = sum(not 0.4 <= one["value"] <= 0.5 for one in told.answers["state"]["history"])
    expect(fan.locator("path.wrong")).to_have_count(outside)
    rist = page.get_by_role("figure").filter(has_text="Operating line (Rist)")
    expect(rist.locator("circle.spot")).to_have_count(3)
    expect(page.get_by_role("region", name="Points of the line")).to_contain_text(re.compile("top gas.*hot-metal carbon", re.DOTALL))
    assert watched.errors == []


def test_the_tuning_shows_its_path_its_limits_and_what_was_not_kept(told: Told, open_page: Open) -> None:
    watched = open_page(Role.VIEWER)
    page = watched.go(TUNING)
    expect(page.get_by_role("region", name="State")).to_contain_text(
        re.compile(r"Seeking.*waits until.*\+38\.4.*95 % interval \+31 … \+45\.8", re.DOTALL)
    )
    expect(page.get_by_role("img", name=re.compile("between 1 350 and 1 500: now 1 384, proposed 1 378 °C"))).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("Oxygen in the stack ≤ 4 % 4.30 % −0.30 % not kept"))).to_be_visible()
    expect(page.get_by_role("figure").filter(has_text="Gas per tonne").locator("path.wrong")).to_have_count(1)
    expect(page.get_by_role("row", name=re.compile("^4 .*model.*✕ no"))).to_be_visible()
    assert watched.errors == []


def test_an_engineer_turns_the_switch_with_a_reason_and_others_see_who_did(station: Station, told: Told, open_page: Open) -> None:
    end = time.time_ns() // HOUR * HOUR
    saving = Saving(
        key="site/battery",
        app="site",
        equipment="",
        name=Text("Battery against the rule", "储能与规则对比"),
        start=end - 24 * HOUR,
        end=end,
        method="rule_on_measured",
        baseline=Text("charge at night", "夜间充电"),
        money=Interval(value=312.4, low=250.0, high=374.8),
    )

    async def book() -> None:
        station.node.guard.savings.book(saving)

    station.call(book())
    watched = open_page(Role.ENGINEER)
    page = watched.go("#/autonomy")
    speed = page.get_by_role("row").filter(has_text="Feed pump · Speed set-point")
    expect(speed.get_by_role("button", name="automatic")).to_be_disabled()  # more than plant.toml permits
    speed.get_by_role("button", name="advise only", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Switch to “advise only”").click()
    expect(dialog).to_be_visible()  # not without a reason
    dialog.get_by_label("Why (for the record)").fill("a new impeller")
    page.keyboard.press("Enter")
    expect(speed.get_by_role("button", name="advise only", exact=True)).to_have_attribute("aria-pressed", "true")
    assert station.node.guard.modes.of(SPEED) == "advise"
    expect(page.get_by_role("row", name=re.compile(r"Battery against the rule.*\+312 CNY.*\+250 … \+375"))).to_be_visible()
    viewer = open_page(Role.VIEWER).go("#/autonomy")
    row = viewer.get_by_role("row").filter(has_text="Feed pump · Speed set-point")
    expect(row).to_contain_text(re.compile("engineer1.*ago: a new impeller"))
    expect(row.get_by_role("button", name="a person approves")).to_be_disabled()
    page.get_by_role("link", name="Ledger").click()
    expect(page.get_by_role("listitem").filter(has_text="Mode switched").first).to_contain_text("a person approves → advise only")

    async def back() -> None:
        station.node.guard.switch(SPEED, "approve", "test", "as before")

    station.call(back())
    assert watched.errors == []


def nothing(answer: object) -> object:
    """The same answer where nothing is known: every number null, every list empty."""
    if isinstance(answer, dict):
        return {k: v if k in KEPT else None if k in WHOLE else nothing(v) for k, v in answer.items()}
    return [] if isinstance(answer, list) else answer if isinstance(answer, (str, bool)) else None


def test_what_is_not_known_is_said_and_nothing_invented(told: Told, open_page: Open) -> None:
    kept = copy.deepcopy(told.answers)
    told.answers |= {verb: nothing(answer) for verb, answer in kept.items()}  # type: ignore[misc]
    watched = open_page(Role.VIEWER)
    try:
        for place, said in zip(
            PLACES, ("No day is over yet", "No indicator is kept", "There are no numbers yet", "No step yet"), strict=True
        ):
            page = watched.go(place)
            expect(page.get_by_text(said).first).to_be_visible()
            assert "NaN" not in page.locator("main").inner_text()
            assert "undefined" not in page.locator("main").inner_text()
    finally:
        told.answers |= kept
    assert watched.errors == []


@pytest.mark.parametrize(("language", "theme"), [("en", "grey"), ("zh", "dark")])
def test_every_view_fits_a_phone_and_is_accessible(told: Told, open_page: Open, language: str, theme: str) -> None:
    watched = open_page(Role.ENGINEER, language=language, theme=theme)
    script, found = axe(), []
    for place in (*PLACES, "#/autonomy"):
        page = watched.go(place)
        expect(page.locator("svg.plot, table").first).to_be_visible()
        for width in (360, 1400):
            page.set_viewport_size({"width": width, "height": 860})
            page.wait_for_timeout(80)
            over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            found += [(place, f"{over} px wider than {width}")] if over > 0 else []
        page.evaluate("scrollTo(0, 0)")  # from under the bar at the top
        page.evaluate(script)
        tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
        result = page.evaluate("tags => axe.run(document, {runOnly: {type: 'tag', values: tags}, resultTypes: ['violations']})", tags)
        found += [(place, v["id"], [n["html"][:160] for n in v["nodes"][:3]]) for v in result["violations"]]
    assert found == []
    assert watched.errors == []
    assert watched.foreign == []
