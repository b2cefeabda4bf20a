"""The views of the chain in a real browser, over the real apps: the schedule, the changeover, the routes and the stock."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import Watched, axe
from conftest import Open
from playwright.sync_api import Locator, Page, expect
from works import Works

from ronghe.console import Role

SHOP, CHANGE, TRUCKS, STORE = "#/apps/shop/schedule", "#/apps/change/changeover", "#/apps/trucks/routes", "#/apps/store/stock"
LONG = 60_000  # ms: a first plan may have to be compiled


@pytest.fixture(scope="module")
def works(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Works]:
    works = Works(tmp_path_factory.mktemp("works"))
    works.start()
    yield works
    works.stop()


def opened(watched: Watched, place: str) -> Page:
    page = watched.go(place)
    expect(page.get_by_text(re.compile("^(Loading…|正在加载…)$"))).to_have_count(0, timeout=LONG)
    return page


def operations(works: Works) -> dict[str, Any]:
    """The shop's plan by operation, when there is one."""
    client = works.client(Role.VIEWER)
    while not (found := client.get("/api/apps/shop/ask/plan").json()["operations"]):
        pass
    return {o["name"]: o for o in found}


def bar(page: Page, operation: str) -> Locator:
    return page.locator(f'[data-operation="{operation}"]')


def middle(where: Locator) -> tuple[float, float]:
    box = where.locator(".body").bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_a_bar_is_dragged_and_what_cannot_be_is_said_at_once(works: Works, open_page: Open) -> None:
    page = opened(open_page(Role.ENGINEER, of=works), SHOP)
    expect(page.get_by_role("button", name=re.compile("of order SO-"))).to_have_count(60, timeout=LONG)
    last = max((o for o in operations(works).values() if o["name"].endswith("mill")), key=lambda o: o["start"])
    first = f"{last['job']}/saw"
    x, y = middle(bar(page, last["name"]))
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(middle(bar(page, first))[0], y, steps=6)  # while it is still being sawn; the button is down
    alert = page.get_by_role("alert").filter(has_text="This cannot be")
    expect(alert).to_contain_text(re.compile(f"{last['name']}.*{first}"))
    expect(bar(page, last["name"])).to_have_class(re.compile("conflict"))
    expect(page.get_by_role("button", name="Adopt")).to_be_disabled()
    page.mouse.up()
    expect(alert).to_be_visible()
    page.get_by_role("button", name="Discard").click()
    expect(alert).to_be_hidden()
    expect(bar(page, last["name"])).not_to_have_class(re.compile("conflict"))


def test_a_bar_is_moved_by_keyboard_and_adopted(works: Works, open_page: Open) -> None:
    watched = open_page(Role.ENGINEER, of=works)
    page = opened(watched, SHOP)
    last = max(operations(works).values(), key=lambda o: o["end"])
    bar(page, last["name"]).focus()
    detail = page.get_by_role("region", name="Operation", exact=True)
    expect(detail).to_contain_text(last["name"])
    beside = page.get_by_role("region", name="What if")
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowRight")
    expect(beside).to_be_visible()
    page.keyboard.press("Escape")  # given up: nothing is tried any more
    expect(beside).to_be_hidden()
    page.keyboard.press("Enter")
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Enter")
    expect(beside.get_by_role("row", name=re.compile("Make-span.*worse"))).to_be_visible()
    beside.get_by_role("button", name="Adopt").click()
    expect(beside).to_be_hidden()
    assert operations(works)[last["name"]]["start"] > last["start"]
    detail.get_by_role("button", name="Set free").click()
    expect(beside.get_by_role("row", name=re.compile("Make-span.*better"))).to_be_visible()
    beside.get_by_role("button", name="Discard").click()
    shown = page.locator("[data-operation]").count()
    for _ in range(5):
        page.get_by_role("button", name="Closer").click()
    assert page.locator("[data-operation]").count() < shown  # what is out of sight is not drawn
    assert watched.errors == []


def test_a_breakdown_is_tried_by_anybody_and_adopted_by_an_engineer(works: Works, open_page: Open) -> None:
    pages = [opened(open_page(role, of=works), SHOP) for role in (Role.VIEWER, Role.ENGINEER)]
    for page in pages:
        event = page.get_by_role("region", name="Something happens")
        event.get_by_label("Machine").select_option("mill1")
        event.get_by_role("button", name="What then?").click()
        expect(page.get_by_text("Operations that move:")).to_be_visible()
    viewer, page = pages
    expect(viewer.get_by_role("button", name="Adopt")).to_be_disabled()
    expect(viewer.get_by_role("button", name="Improve")).to_be_disabled()
    page.get_by_role("button", name="Adopt").click()
    expect(page.get_by_role("region", name="Events")).to_contain_text("mill1 stands")
    expect(page.get_by_text("Operations that the last event moved:")).to_be_visible()
    page.get_by_role("region", name="Improve").get_by_role("spinbutton").fill("500")
    page.get_by_role("button", name="Improve").click()
    going, proven = page.get_by_role("progressbar"), page.get_by_text("optimal", exact=True)
    expect(going.or_(proven).first).to_be_visible()  # it goes on, or nothing better can be found and it has ended by itself
    if not proven.is_visible():
        page.get_by_role("button", name="Stop", exact=True).click()
    expect(going).to_be_hidden()
    page.locator("summary", has_text="Export").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    assert re.fullmatch(r"shop-\d{4}-\d\d-\d\d\.csv", download.value.suggested_filename)
    assert "SO-1" in Path(download.value.path()).read_text(encoding="utf-8-sig")


def test_the_line_changes_over_through_the_guard_or_goes_back(works: Works, open_page: Open) -> None:
    viewer = opened(open_page(Role.VIEWER, of=works), CHANGE)
    expect(viewer.get_by_role("button", name="Start", exact=True)).to_be_disabled()
    watched = open_page(Role.OPERATOR, of=works)
    page = opened(watched, CHANGE)
    speed = page.get_by_role("row").filter(has_text="Speed set-point")
    minute = page.get_by_role("region", name="Changeover", exact=True)

    def change(recipe: str) -> None:
        page.get_by_label("Recipe").select_option(recipe)
        page.get_by_role("button", name="Start", exact=True).click()
        minute.get_by_role("button", name="Confirm: The valve is open").click()

    expect(speed).to_contain_text(re.compile(r"900 1/min.*good.*→ 1000 1/min"))
    change("fast")
    expect(minute.get_by_role("progressbar")).to_have_attribute("aria-valuemax", "60")
    minute.get_by_role("button", name="Approve").click()
    expect(minute.get_by_text("✓ done")).to_be_visible(timeout=LONG)
    expect(minute.get_by_role("listitem").filter(has_text="The valve is open")).to_contain_text("operator1")
    minute.get_by_role("button", name="Put away").click()
    change("hard")
    minute.get_by_role("button", name="Approve").click()
    expect(minute.get_by_text("✕ rolled back: as before")).to_be_visible(timeout=LONG)
    expect(minute.get_by_role("listitem").filter(has_text="Pressure is there")).to_contain_text("failed")
    page.get_by_label("Recipe").select_option("fast")
    expect(speed).to_contain_text("stays")  # the speed of the changeover before
    minute.get_by_role("button", name="Put away").click()
    change("hard")
    page.get_by_role("button", name="Cancel and roll back").click()
    page.get_by_role("dialog").get_by_role("button", name="Roll back now").click()
    expect(page.get_by_role("region", name="Changeovers before").get_by_text("Hard")).to_have_count(2, timeout=LONG)
    assert watched.errors == []


def test_routes_on_the_map_and_a_vehicle_that_breaks_down(works: Works, open_page: Open) -> None:
    watched = open_page(Role.ENGINEER, of=works)
    page = opened(watched, TRUCKS)
    served = page.get_by_role("button", name=re.compile(r"^(North|East|South), stop \d of Truck"))
    expect(served).to_have_count(3, timeout=LONG)
    name = re.search(r"stop \d of (Truck \d)", served.first.get_attribute("aria-label") or "")
    assert name is not None
    page.get_by_role("button", name=name[1], exact=True).click()
    expect(page.get_by_role("region", name="Stops").get_by_role("listitem").first).to_contain_text("Works")
    page.get_by_role("button", name="depot Works").focus()
    page.keyboard.press("ArrowRight")  # to the first stop of the vehicle in hand
    expect(page.get_by_role("button", name=re.compile(f"stop 1 of {name[1]}"))).to_be_focused()
    event = page.get_by_role("region", name="Something happens")
    event.get_by_role("combobox").first.select_option(label="Vehicle breaks down")
    event.locator("select[name=vehicle]").select_option(label=name[1])
    event.get_by_label("Goods").select_option("depot")
    event.get_by_role("button", name="What then?").click()
    beside = page.get_by_role("region", name="What if")
    expect(beside.get_by_role("row", name=re.compile(r"Vehicles \d 1"))).to_be_visible()
    beside.get_by_role("button", name="Adopt").click()
    expect(beside).to_be_hidden()
    expect(page.get_by_role("button", name=name[1], exact=True)).to_have_count(0)
    assert watched.errors == []


def test_stock_by_state_and_one_item_whole(works: Works, open_page: Open) -> None:
    watched = open_page(Role.VIEWER, of=works)
    page = opened(watched, STORE)
    expect(page.get_by_role("button", name="runs short 1")).to_be_visible(timeout=LONG)
    page.get_by_role("button", name="runs short 1").click()
    page.get_by_role("link", name="Bolt M8").click()
    expect(page.get_by_role("img", name=re.compile("^Demand: history .* pcs; forecast .* pcs"))).to_be_visible()
    projected = page.get_by_role("img", name=re.compile("^Projected stock"))
    projected.focus()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("figure").filter(has=projected).get_by_role("status")).to_contain_text("interval")
    expect(page.get_by_role("row", name=re.compile("Theta"))).to_be_visible()
    assert watched.errors == []


@pytest.mark.parametrize(("language", "theme"), [("en", "grey"), ("zh", "dark")])
def test_every_view_of_the_chain_fits_a_phone_and_is_accessible(works: Works, open_page: Open, language: str, theme: str) -> None:
    watched = open_page(Role.ENGINEER, of=works, language=language, theme=theme)
    script, found = axe(), []
    one = max(operations(works).values(), key=lambda o: o["start"])["name"]
    works.client(Role.OPERATOR).post("/api/apps/change/ask/start", json={"recipe": "hard"})  # the minute is on the screen
    for place in (f"{SHOP}?operation={one}", CHANGE, f"{TRUCKS}?vehicle=T1&place=N", STORE, f"{STORE}?item=bolt"):
        page = opened(watched, place)
        if place.startswith((SHOP, TRUCKS)):
            page.get_by_role("button", name="What then?" if language == "en" else "推演结果").click()
            table = page.get_by_role("region", name="What if" if language == "en" else "假设方案").get_by_role("table")
            expect(table).to_be_visible()
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
    works.client(Role.OPERATOR).post("/api/apps/change/ask/cancel", json={})
    assert found == []
    assert watched.errors == []
    assert watched.foreign == []
