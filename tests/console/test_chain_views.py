"""The views of the chain in a real browser: the schedule, the changeover, the routes and the stock."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from browser import Watched, axe
from playwright.sync_api import Locator, Page, expect
from pump_station import Station

import chain
from conftest import Open
from ronghe.console import Role
from ronghe.edge.runner import Runner

PLAN, CHANGE, ROUTES, STOCK = "#/apps/planning/plan", "#/apps/change/change", "#/apps/trucks/routes", "#/apps/stock/stock"
EQUIPMENT = "line1/pump1"


@pytest.fixture(scope="module")
def changeover(station: Station, tmp_path_factory: pytest.TempPathFactory) -> chain.Changeover:
    """The chain's apps on the pump station's node; gives the one that a test breaks."""
    apps = {
        "planning": chain.Scheduling,
        "change": chain.Changeover,
        "trucks": chain.Routes,
        "stock": chain.Stock,
    }
    made = {name: app(name, station.node.plant, EQUIPMENT, tmp_path_factory.mktemp(name)) for name, app in apps.items()}
    for name, app in made.items():
        runner = Runner(app, station.node.index, lambda result, at: None)
        runner.start()
        station.node.runners[name] = runner
    change = made["change"]
    assert isinstance(change, chain.Changeover)
    return change


@pytest.fixture
def page_of(changeover: chain.Changeover, open_page: Open) -> Callable[..., Watched]:
    """Opens a page of the chain."""
    return open_page


def ask(station: Station, app: str, verb: str, **args: Any) -> Any:
    answer = station.client(Role.VIEWER).get(f"/api/apps/{app}/ask/{verb}", params=args)
    assert answer.status_code == 200, answer.text
    return answer.json()


def operations(station: Station) -> dict[str, Any]:
    return {o["name"]: o for o in ask(station, "planning", "plan")["operations"]}


def hold(page: Page, bar: Locator, across: float) -> None:
    """Takes a bar and drags it so many px; it stays in hand."""
    box = bar.locator(".body").bounding_box()
    assert box is not None
    x, y = box["x"] + min(6, box["width"] / 2), box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + across / 2, y, steps=3)
    page.mouse.move(x + across, y, steps=3)


def test_a_bar_is_dragged_and_what_cannot_be_is_said_at_once(station: Station, page_of: Any) -> None:
    watched = page_of(Role.ENGINEER)
    page = watched.go(PLAN)
    before = operations(station)
    now = ask(station, "planning", "plan")["now"]
    late = next(o for o in before.values() if o["name"].endswith(".20") and o["setup"] > now + 6 * chain.HOUR)
    bar = page.locator(f'[data-operation="{late["name"]}"]')
    hold(page, bar, -400)  # to where its first operation is not done yet; the button is still down
    alert = page.get_by_role("alert").filter(has_text="This cannot be")
    expect(alert).to_contain_text(f"{late['name']} would begin before the operation before it ends")
    expect(bar).to_have_class(re.compile("conflict"))
    expect(page.get_by_role("button", name="Adopt")).to_be_disabled()
    page.mouse.up()
    expect(alert).to_be_visible()
    page.get_by_role("button", name="Discard").click()
    expect(alert).to_be_hidden()
    expect(bar).not_to_have_class(re.compile("conflict"))
    assert operations(station) == before


def test_a_bar_is_moved_by_keyboard_and_adopted(station: Station, page_of: Any) -> None:
    watched = page_of(Role.ENGINEER)
    page = watched.go(PLAN)
    before = operations(station)
    last = max(before.values(), key=lambda o: o["start"])
    bar = page.locator(f'[data-operation="{last["name"]}"]')
    bar.focus()
    detail = page.get_by_role("region", name="Operation", exact=True)
    expect(detail).to_contain_text(last["name"])
    page.keyboard.press("Enter")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Escape")  # given up: nothing is tried any more
    expect(page.get_by_role("region", name="What if")).to_be_hidden()
    page.keyboard.press("Enter")
    for _ in range(3):
        page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Enter")
    beside = page.get_by_role("region", name="What if")
    expect(beside.get_by_role("row", name=re.compile("Make-span.*worse"))).to_be_visible()
    beside.get_by_role("button", name="Adopt").click()
    expect(beside).to_be_hidden()
    assert operations(station)[last["name"]]["start"] > last["start"]
    shown = page.locator("[data-operation]").count()
    for _ in range(8):
        page.get_by_role("button", name="Closer").click()
    assert page.locator("[data-operation]").count() < shown  # what is out of sight is not there
    assert watched.errors == []


def test_something_happens_to_the_plan(station: Station, page_of: Any) -> None:
    viewer = page_of(Role.VIEWER).go(PLAN)
    event = viewer.get_by_role("region", name="Something happens")
    event.get_by_label("Machine").select_option(label="Press 3")
    event.get_by_role("button", name="What then?").click()
    expect(viewer.get_by_text("Operations that move:")).to_be_visible()
    expect(viewer.get_by_role("button", name="Adopt")).to_be_disabled()  # a viewer looks on
    expect(viewer.get_by_role("button", name="Improve")).to_be_disabled()
    page = page_of(Role.ENGINEER).go(PLAN)
    event = page.get_by_role("region", name="Something happens")
    event.get_by_label("Machine").select_option(label="Press 3")
    event.get_by_role("button", name="What then?").click()
    page.get_by_role("button", name="Adopt").click()
    expect(page.get_by_role("region", name="Events")).to_contain_text("M3 stands still")
    expect(page.get_by_text("Operations that the last event moved:")).to_be_visible()
    page.get_by_role("button", name="Improve").click()
    expect(page.get_by_role("progressbar")).to_be_visible()
    page.get_by_role("button", name="Stop", exact=True).click()
    expect(page.get_by_role("progressbar")).to_be_hidden()
    page.locator("summary", has_text="Export").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    assert re.fullmatch(r"planning-\d{4}-\d\d-\d\d\.csv", download.value.suggested_filename)
    assert Path(download.value.path()).read_text(encoding="utf-8").startswith("A-1")


def test_a_changeover_is_started_confirmed_and_rolled_back(changeover: chain.Changeover, page_of: Any) -> None:
    viewer = page_of(Role.VIEWER).go(CHANGE)
    expect(viewer.get_by_role("row").filter(has_text="Speed set-point")).to_contain_text(re.compile("good.*→ 1200 1/min"))
    expect(viewer.get_by_role("button", name="Start", exact=True)).to_be_disabled()
    watched = page_of(Role.OPERATOR)
    page = watched.go(CHANGE)
    page.get_by_role("button", name="Start", exact=True).click()
    minute = page.get_by_role("region", name="Changeover", exact=True)
    expect(minute.get_by_role("progressbar")).to_have_attribute("aria-valuemax", "60")
    minute.get_by_role("button", name="Confirm: First piece is good").click()
    expect(minute).to_contain_text("Changed over, first piece good.")
    expect(minute.get_by_role("listitem").filter(has_text="First piece is good")).to_contain_text("operator1")
    assert changeover.current == "plate-b"
    minute.get_by_role("button", name="Put away").click()
    changeover.broken = "inspect"
    page.get_by_label("Recipe").select_option("plate-c")
    page.get_by_role("button", name="Start", exact=True).click()
    expect(minute).to_contain_text("everything is as it was before")
    expect(minute.get_by_role("listitem").filter(has_text="Inspection looks")).to_contain_text("failed")
    expect(minute.get_by_role("listitem").filter(has_text="Set-points written")).to_contain_text("rolled back")
    changeover.broken = ""
    page.get_by_role("button", name="Start", exact=True).click()
    page.get_by_role("button", name="Cancel and roll back").click()
    page.get_by_role("dialog").get_by_role("button", name="Roll back now").click()
    expect(page.get_by_role("region", name="Changeovers before").get_by_text("rolled back: as before")).to_have_count(2)
    assert changeover.current == "plate-b"
    assert watched.errors == []


def test_routes_on_the_map_and_a_vehicle_that_breaks_down(station: Station, page_of: Any) -> None:
    watched = page_of(Role.ENGINEER)
    page = watched.go(ROUTES)
    page.get_by_role("button", name="Truck 2", exact=True).click()
    stops = page.get_by_role("region", name="Stops")
    expect(stops.get_by_role("listitem")).to_have_count(len(ask(station, "trucks", "plan")["routes"][1]["stops"]))
    depot = page.get_by_role("button", name="depot Works")
    depot.focus()
    page.keyboard.press("ArrowRight")  # to the first stop of the vehicle in hand
    expect(page.get_by_role("button", name=re.compile("stop 1 of Truck 2"))).to_be_focused()
    event = page.get_by_role("region", name="Something happens")
    event.get_by_role("combobox").first.select_option(label="Vehicle breaks down")
    event.locator("select[name=vehicle]").select_option(label="Truck 2")
    event.get_by_role("button", name="What then?").click()
    beside = page.get_by_role("region", name="What if")
    expect(beside.get_by_role("row", name=re.compile(r"Vehicles 4 3 −1"))).to_be_visible()
    expect(page.get_by_role("alert").filter(has_text="no vehicle has room for it")).to_be_visible()
    assert len(ask(station, "trucks", "plan")["routes"]) == 4
    beside.get_by_role("button", name="Adopt").click()
    expect(beside).to_be_hidden()
    expect(page.get_by_role("button", name="Truck 2", exact=True)).to_have_count(0)
    assert watched.errors == []


def test_stock_by_state_and_one_item_whole(station: Station, page_of: Any) -> None:
    items = ask(station, "stock", "items")
    short = [item for item in items if item["state"] == "short"]
    watched = page_of(Role.VIEWER)
    page = watched.go(STOCK)
    page.get_by_role("button", name=f"runs short {len(short)}").click()
    expect(page.get_by_role("row")).to_have_count(len(short) + 1)
    page.get_by_role("link", name=re.compile("Sheet")).first.click()
    expect(page.get_by_role("img", name=re.compile(r"^Demand: history .* pcs; forecast"))).to_be_visible()
    projected = page.get_by_role("img", name=re.compile("^Projected stock"))
    projected.focus()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("figure").filter(has=projected).get_by_role("status")).to_contain_text("interval")
    expect(page.get_by_role("region", name="Policy")).to_contain_text(re.compile(r"Below \d+ order up to \d+"))
    assert watched.errors == []


@pytest.mark.parametrize(("language", "theme"), [("en", "grey"), ("zh", "dark")])
def test_every_view_of_the_chain_fits_a_phone_and_is_accessible(
    station: Station, changeover: chain.Changeover, page_of: Any, language: str, theme: str
) -> None:
    watched = page_of(Role.ENGINEER, language=language, theme=theme)
    script, found = axe(), []
    late = max(ask(station, "planning", "plan")["operations"], key=lambda o: o["start"])["name"]
    station.client(Role.OPERATOR).post("/api/apps/change/ask/start", json={"recipe": "plate-c"})  # the minute is on the screen
    for place in (f"{PLAN}?operation={late}", CHANGE, f"{ROUTES}?vehicle=T1&place=S3", STOCK, f"{STOCK}?item=P-003"):
        page = watched.go(place)
        expect(page.get_by_text("Loading…" if language == "en" else "正在加载…")).to_have_count(0)
        if place.startswith((PLAN, ROUTES)):
            page.get_by_role("button", name="What then?" if language == "en" else "推演结果").click()
            expect(page.get_by_role("region", name="What if" if language == "en" else "假设方案").get_by_role("table")).to_be_visible()
        for width in (360, 1400):
            page.set_viewport_size({"width": width, "height": 860})
            page.wait_for_timeout(80)
            over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            found += [(place, f"{over} px wider than {width}")] if over > 0 else []
        page.evaluate(script)
        tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
        result = page.evaluate("tags => axe.run(document, {runOnly: {type: 'tag', values: tags}, resultTypes: ['violations']})", tags)
        found += [(place, v["id"], [n["html"][:160] for n in v["nodes"][:3]]) for v in result["violations"]]
    station.client(Role.OPERATOR).post("/api/apps/change/ask/cancel", json={})
    assert found == []
    assert watched.errors == []
    assert watched.foreign == []
