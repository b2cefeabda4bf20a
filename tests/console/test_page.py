"""The page in a real browser, over a plant at work."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from asked import Shapes
from browser import axe
from conftest import Open
from playwright.sync_api import Page, expect
from pump_station import PRESSURE, SPEED, TEMPERATURE, Station
from served import PASSWORD

from ronghe.console import Role

PLACES = {
    "overview": "#/",
    "equipment": "#/equipment",
    "area": "#/equipment/line1",
    "machine": "#/equipment/line1/pump1",
    "value": f"#/tag/{SPEED}",
    "trends": f"#/trends?tags={PRESSURE},{TEMPERATURE}&span=60000",
    "alarms": "#/alarms",
    "advice": "#/advice",
    "ledger": "#/ledger",
    "dictionary": "#/dictionary",
    "connections": "#/connections",
    "apps": "#/apps",
    "users": "#/users",
    "nowhere": "#/no/such/page",
}


def number(page: Page, tag: str) -> str:
    return page.locator(f'[data-tag="{tag}"] .number').first.inner_text()


def until_changed(page: Page, tag: str, before: str) -> None:
    expect(page.locator(f'[data-tag="{tag}"] .number').first).not_to_have_text(before, timeout=10_000)


def test_from_the_one_time_link_to_live_values(open_page: Open, tmp_path: Path) -> None:
    new = Station(tmp_path)
    new.start()
    try:
        watched = open_page(base=new.base)
        page = watched.go(new.link.removeprefix(new.base))
        expect(page.get_by_role("heading", name="The first administrator")).to_be_visible()
        page.get_by_label("User name").fill("王丽")
        page.get_by_label("New password").fill(PASSWORD)
        page.get_by_label("Once more").fill(PASSWORD + "x")
        expect(page.get_by_role("button", name="Set the password")).to_be_disabled()
        page.get_by_label("Once more").fill(PASSWORD)
        page.get_by_role("button", name="Set the password").click()
        expect(page.locator(f'[data-tag="{PRESSURE}"][data-good="true"]').first).to_be_visible()
        assert "#/link" not in page.url
        until_changed(page, PRESSURE, number(page, PRESSURE))
        again = open_page(base=new.base).go(new.link.removeprefix(new.base))
        expect(again.get_by_text("used already")).to_be_visible()
        # The console goes: the page says at once that nothing on it is current, and recovers by itself.
        new.console_off()
        expect(page.get_by_text("nothing below is current")).to_be_visible(timeout=15_000)
        expect(page.locator('[data-good="true"]')).to_have_count(0)
        new.console_on()
        expect(page.locator(f'[data-tag="{PRESSURE}"][data-good="true"]').first).to_be_visible(timeout=20_000)
        expect(page.get_by_text("nothing below is current")).to_be_hidden()
        assert watched.foreign == []
    finally:
        new.stop()


def test_sign_in_and_out(station: Station, open_page: Open) -> None:
    name = station.person(Role.OPERATOR)
    page = open_page().go("#/alarms")
    page.get_by_label("User name").fill(name)
    page.get_by_label("Password").fill("not the password")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("do not fit")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", name="Alarms")).to_be_visible()  # the place that was asked for
    page.locator("summary", has_text=name).click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


def test_language(open_page: Open) -> None:
    page = open_page(Role.VIEWER, language="zh").go("#/alarms")
    expect(page.get_by_role("heading", name="报警", exact=True)).to_be_visible()  # at first the browser's
    assert page.evaluate("document.documentElement.lang") == "zh-CN"
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", name="Alarms", exact=True)).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Alarms", exact=True)).to_be_visible()  # and kept
    assert page.evaluate("document.documentElement.lang") == "en"


def test_trend_zooms_and_its_link_shows_the_same(open_page: Open) -> None:
    watched = open_page(Role.VIEWER)
    page = watched.go(PLACES["trends"])
    plot = page.locator(".u-over").first
    plot.wait_for()
    box = plot.bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.5, y)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, y, steps=5)
    page.mouse.up()
    page.wait_for_url(re.compile(r"from=\d+&to=\d+"))
    span = page.locator("[data-from]")
    expect(span).not_to_have_attribute("data-from", "")
    found = re.search(r"from=(\d+)&to=(\d+)", page.url)
    assert found is not None
    assert 10_000 < int(found[2]) - int(found[1]) < 20_000  # a quarter of a minute
    expect(span).to_have_attribute("data-from", found[1])
    other = open_page(Role.VIEWER).go("#" + page.url.partition("#")[2])
    expect(other.locator("[data-from]")).to_have_attribute("data-from", found[1])
    page.get_by_role("button", name="Zoom out").click()
    expect(span).not_to_have_attribute("data-from", found[1])
    page.get_by_role("button", name="Live", exact=True).click()
    page.wait_for_url(re.compile(r"span=\d+"))
    page.locator(".u-over").first.hover()
    expect(page.locator("td[data-label='At cursor']").first).to_contain_text("bar")
    assert watched.errors == []


def test_a_value_is_added_to_a_trend_by_typing(open_page: Open) -> None:
    page = open_page(Role.VIEWER).go("#/trends")
    box = page.get_by_role("combobox")
    box.fill("bearing")
    box.press("Enter")
    page.wait_for_url(re.compile("bearing_temperature"))
    expect(page.locator("tbody")).to_contain_text("Bearing temperature")


def test_alarm_is_acknowledged_and_shelved(station: Station, open_page: Open) -> None:
    key = "line1/pump1/in_browser"
    watched = open_page(Role.OPERATOR)
    page = watched.go("#/alarms")
    expect(page.locator("table, .calm").first).to_be_visible()
    station.raise_alarm(key, "critical")
    row = page.locator(f'tr[data-key="{key}"]')
    expect(row).to_have_attribute("data-state", "unacknowledged")  # without reloading
    expect(page.locator("[aria-live=assertive]")).to_contain_text("Critical: bearing is warmer")
    row.get_by_role("button", name="Show evidence").click()
    expect(page.get_by_role("cell", name="71.0 °C", exact=True)).to_be_visible()
    row.get_by_role("button", name="Acknowledge").click()
    expect(row).to_have_attribute("data-state", "acknowledged")
    expect(row).to_contain_text("operator1")
    row.get_by_role("button", name="Shelve").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Why").fill("bearing is ordered")
    dialog.get_by_role("button", name="Shelve").click()
    expect(row).to_have_attribute("data-state", "shelved")
    expect(row).to_contain_text("operator1: bearing is ordered")
    assert watched.errors == []


def test_advice_is_approved_and_the_machine_moves(station: Station, open_page: Open) -> None:
    close_cases(station)
    now = station.call(station.speed.read_value())
    case = station.advise("browser-approve", now - 15)
    page = open_page(Role.OPERATOR).go("#/")
    page.get_by_role("link", name=re.compile("Approve or reject: Feed pump · Speed set-point to")).click()
    expect(page.get_by_role("heading", name="Feed pump · Speed set-point")).to_be_visible()
    expect(page.get_by_role("region", name="Evidence")).to_contain_text("80 %")
    expect(page.get_by_role("region", name="Checks")).to_contain_text("Envelope")
    outlook = page.get_by_role("region", name="If you approve")
    expect(outlook).to_contain_text(f"writes {now - 15:.0f} 1/min and reads it back")  # before the button, what it will do
    page.get_by_role("button", name=f"Approve: write {now - 15:.0f} 1/min").click()
    expect(page.get_by_role("region", name="History")).to_contain_text("operator1")
    expect(page.get_by_role("region", name="Proposal")).to_contain_text("Written")
    assert station.call(station.speed.read_value()) == now - 15
    assert case.id in page.url
    page.get_by_role("link", name="Overview").first.click()
    expect(page.get_by_role("region", name="Done, and what it was worth")).to_contain_text(f"{now:.0f} → {now - 15:.0f} 1/min")


def test_the_overview_shows_which_value_is_wrong(station: Station, open_page: Open) -> None:
    station.raise_alarm("line1/pump1/which")
    page = open_page(Role.VIEWER).go("#/")
    machine = page.get_by_role("article", name="Feed pump")
    wrong = machine.get_by_role("link", name=re.compile("^Bearing temperature"))
    expect(wrong).to_contain_text("normal 60.0 °C")
    expect(wrong).to_have_class(re.compile("wrong"))
    calm = page.get_by_role("article", name="Tank").get_by_role("link", name=re.compile("^Level"))
    expect(calm).not_to_have_class(re.compile("wrong"))


def test_sentences_name_what_they_are_about(station: Station, open_page: Open) -> None:
    close_cases(station)
    now = station.call(station.speed.read_value())
    case = station.advise("browser-prose", now - 5)
    for language, interlock in (("en", "Feed pump · Pressure < 20 bar holds"), ("zh", "给水泵 · 压力 < 20 bar 成立")):
        page = open_page(Role.VIEWER, language=language).go(f"#/advice/{case.id}")
        expect(page.get_by_text(interlock)).to_be_visible()
        expect(page.get_by_text(PRESSURE)).to_have_count(0)


def test_a_large_plant_shows_its_parts_and_the_machines_in_trouble(open_page: Open, tmp_path: Path) -> None:
    large = Station(tmp_path, machines=30)
    large.start()
    try:
        large.raise_alarm()
        token = large.users.open_session(large.person(Role.VIEWER))
        watched = open_page(base=large.base)
        watched.page.context.add_cookies([{"name": large.cookie, "value": token, "url": large.base}])
        page = watched.go("#/")
        expect(page.get_by_role("article")).to_have_count(1)  # of 32 machines the one with an alarm
        expect(page.get_by_role("article", name="Feed pump")).to_be_visible()
        area = page.locator("a.card", has_text="Line2")
        expect(area).to_contain_text("30 machines · 30 values")
        expect(area).to_contain_text("no alarms")
        area.click()
        expect(page.get_by_role("heading", name="Line2")).to_be_visible()
        assert watched.errors == []
    finally:
        large.stop()


def test_advice_is_rejected_with_a_reason(station: Station, open_page: Open) -> None:
    close_cases(station)
    now = station.call(station.speed.read_value())
    case = station.advise("browser-reject", now - 10)
    page = open_page(Role.OPERATOR).go(f"#/advice/{case.id}")
    page.get_by_role("button", name="Reject").click()
    page.get_by_label("Why").fill("batch is running")
    page.get_by_role("button", name="Reject").click()
    expect(page.get_by_role("region", name="History")).to_contain_text("batch is running")
    assert station.call(station.speed.read_value()) == now


def test_the_guard_s_refusal_says_why(station: Station, open_page: Open) -> None:
    close_cases(station)
    case = station.advise("browser-refused", 2500.0)
    assert case.state == "refused"
    page = open_page(Role.VIEWER).go(f"#/advice/{case.id}")
    checks = page.get_by_role("region", name="Checks")
    expect(checks.locator(".failed").first).to_contain_text("not met")
    expect(checks).to_contain_text("600 … 1450")
    expect(page.get_by_role("button", name="Approve")).to_have_count(0)


def test_kill_switch(station: Station, open_page: Open) -> None:
    close_cases(station)
    viewer = open_page(Role.VIEWER).go("#/dictionary")
    viewer.get_by_role("button", name="Stop writes").click()
    expect(viewer.get_by_role("dialog")).to_contain_text("needs the role operator")
    page = open_page(Role.OPERATOR).go("#/ledger")
    page.get_by_role("button", name="Stop writes").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Stop all writes now").click()
    expect(dialog).to_be_visible()  # a reason is needed
    assert station.node.guard.killed == ""
    dialog.get_by_label("Why").fill("smoke in the hall")
    dialog.get_by_role("button", name="Stop all writes now").click()
    try:
        expect(page.get_by_role("alert").filter(has_text="All writes to machines are stopped")).to_contain_text("smoke in the hall")
        expect(viewer.get_by_role("alert").filter(has_text="stopped")).to_be_visible()  # everybody sees it
        assert "operator1" in station.node.guard.killed
        engineer = open_page(Role.ENGINEER).go("#/")
        engineer.get_by_role("button", name="Writes stopped").click()
        engineer.get_by_role("dialog").get_by_label("Why").fill("all clear")
        engineer.get_by_role("dialog").get_by_role("button", name="Release").click()
        expect(page.get_by_role("alert").filter(has_text="All writes")).to_be_hidden()
    finally:
        release(station)
    assert station.node.guard.killed == ""


def test_people(station: Station, open_page: Open) -> None:
    page = open_page(Role.ADMINISTRATOR).go("#/users")
    form = page.locator("form")
    form.get_by_label("User name").fill("zhou")
    form.get_by_label("Role").select_option("engineer")
    form.get_by_role("button", name="Add user").click()
    link = page.get_by_label("One-time link").input_value()
    assert link.startswith(station.base + "#/link/")
    page.get_by_label("Role: zhou").select_option("viewer")
    expect(page.get_by_label("Role: zhou")).to_have_value("viewer")
    row = page.get_by_role("row").filter(has_text="zhou")
    row.get_by_role("button", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(row).to_have_count(0)
    viewer = open_page(Role.VIEWER).go("#/users")
    expect(viewer.get_by_role("heading", name="Nothing here")).to_be_visible()


def test_a_value_that_is_not_good_says_so(station: Station, open_page: Open) -> None:
    page = open_page(Role.VIEWER).go(f"#/tag/{SPEED}")
    value = page.locator(f'[data-tag="{SPEED}"]').first
    expect(value).to_have_attribute("data-good", "true")
    station.lose_device()
    try:
        expect(value).to_have_attribute("data-good", "false", timeout=20_000)
        expect(value.locator("s")).to_be_visible()
        expect(value).to_have_class(re.compile("hatched"))
        expect(page.locator("dd strong").first).not_to_have_text("good")
    finally:
        station.find_device()
    expect(value).to_have_attribute("data-good", "true", timeout=30_000)


def test_keyboard_alone(station: Station, open_page: Open) -> None:
    key = "line1/pump1/keyboard"
    station.raise_alarm(key, "critical")
    page = open_page(Role.OPERATOR).go("#/")
    expect(page.locator(f'[data-tag="{PRESSURE}"]').first).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    alarms = page.get_by_role("navigation", name="Menu").get_by_role("link", name="Alarms")
    alarms.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Alarms", exact=True)).to_be_focused()
    acknowledge = page.locator(f'tr[data-key="{key}"]').get_by_role("button", name="Acknowledge")
    for _ in range(40):
        page.keyboard.press("Tab")
        if acknowledge.evaluate("e => e === document.activeElement"):
            break
    outline = acknowledge.evaluate("e => getComputedStyle(e).outlineWidth")
    assert outline == "3px"
    page.keyboard.press("Enter")
    expect(page.locator(f'tr[data-key="{key}"]')).to_have_attribute("data-state", "acknowledged")
    page.get_by_role("button", name="Stop writes").press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()


@pytest.mark.parametrize("language", ["zh", "en"])
def test_no_page_is_wider_than_the_screen(station: Station, open_page: Open, language: str) -> None:
    station.raise_alarm()
    watched = open_page(Role.ADMINISTRATOR, language=language)
    places = {**PLACES, "case": f"#/advice/{station.advise(f'wide-{language}', 2500.0).id}"}
    wide = []
    for name, place in places.items():
        page = watched.go(place)
        for width in (360, 768, 1400) if language == "en" else (360,):  # Chinese is the shorter one
            page.set_viewport_size({"width": width, "height": 860})
            page.wait_for_timeout(60)
            over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            wide += [(name, width, over)] if over > 0 else []
    assert wide == []
    assert watched.errors == []
    assert watched.foreign == []


@pytest.mark.parametrize("theme", ["grey", "dark"])
def test_every_page_is_accessible(station: Station, open_page: Open, theme: str) -> None:
    """WCAG 2.2 A and AA, as far as axe-core can judge: names, roles, contrast, order."""
    station.raise_alarm()
    watched = open_page(Role.ADMINISTRATOR, theme=theme)
    script = axe()
    places = {**PLACES, "case": f"#/advice/{station.advise(f'axe-{theme}', 2500.0).id}"}
    if theme == "dark":  # only the colours differ
        places = {name: places[name] for name in ("overview", "machine", "alarms", "case")}
    found = []
    for name, place in places.items():
        page = watched.go(place)
        page.wait_for_timeout(200)
        page.evaluate(script)
        tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
        result = page.evaluate("tags => axe.run(document, {runOnly: {type: 'tag', values: tags}, resultTypes: ['violations']})", tags)
        found += [(name, v["id"], [n["html"][:160] for n in v["nodes"][:3]]) for v in result["violations"]]
    assert found == []


def test_the_way_in_is_accessible(open_page: Open) -> None:
    watched = open_page()
    for place in ("#/", "#/link/nothing"):
        page = watched.go(place)
        page.wait_for_timeout(300)
        page.evaluate(axe())
        assert page.evaluate("axe.run(document)")["violations"] == []


def test_a_page_whose_view_nobody_has_shows_the_app_by_its_contract(shapes: Shapes, open_page: Open) -> None:
    watched = open_page(Role.VIEWER)
    page = watched.go("#/apps/shapes/kept")
    expect(page.get_by_role("heading", name="Kept shapes")).to_be_visible()
    expect(page.get_by_role("heading", name="What it looks at")).to_be_visible()
    page.get_by_role("navigation", name="Pages of shapes").get_by_role("link", name="More").click()
    expect(page.get_by_role("heading", name="More")).to_be_visible()
    assert watched.errors == []


def close_cases(station: Station) -> None:
    """Nobody waits for anything."""
    client = station.client(Role.OPERATOR)
    for case in station.node.guard.cases():
        if case.state in ("waiting", "advised"):
            client.post(f"/api/cases/{case.id}/reject", json={"why": "another test"})
    for _ in range(200):
        if not any(c.open for c in station.node.guard.cases()):
            return
        station.call(station.pause(0.1))


def release(station: Station) -> None:
    if station.node.guard.killed:
        station.client(Role.ENGINEER).post("/api/kill/release", json={"why": "test is over"})
