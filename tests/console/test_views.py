"""The views of inspection and of danger zones in a real browser, over real cameras, the real inspector and the real watch over zones."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from browser import Watched, axe
from conftest import Open
from eye import Eye
from playwright.sync_api import Page, expect

from ronghe.console import Role

LINE, TEACH, REVIEW, CHARTS, ZONES = (
    "#/apps/plates/line",
    "#/apps/plates/teach",
    "#/apps/plates/review",
    "#/apps/plates/charts",
    "#/apps/guarded/zones",
)

TRANSFER = """bytes => {
  const data = new DataTransfer();
  data.items.add(new File([new Uint8Array(bytes)], "one more.jpg", { type: "image/jpeg" }));
  return data;
}"""


@pytest.fixture(scope="module")
def eye(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Eye]:
    """The line at work; the first test teaches it."""
    eye = Eye(tmp_path_factory.mktemp("eye"))
    eye.start()
    yield eye
    eye.stop()


@pytest.fixture
def page_of(eye: Eye, open_page: Open) -> Callable[..., Watched]:
    """Opens a page of the line."""
    return lambda role, **how: open_page(role, of=eye, **how)


def ask(client: httpx.Client, verb: str, app: str = "plates", **args: Any) -> Any:
    answer = client.get(f"/api/apps/{app}/ask/{verb}", params=args)
    assert answer.status_code == 200, answer.text
    return answer.json()


def until(what: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return found


def see(eye: Eye, client: httpx.Client, *pictures: bytes) -> list[dict[str, Any]]:
    """Lays parts under the camera one after the other; gives what was decided of them, in order."""
    names = []
    for picture in pictures:
        names.append(eye.put(picture))
        until(lambda: any(p["name"] == names[-1] for p in ask(client, "recent", count=5)))
    found = {p["name"]: p for p in ask(client, "recent", count=len(names) + 5)}
    return [found[name] for name in names]


def box(page: Page, selector: str) -> tuple[float, float, float, float]:
    found = page.locator(selector).first.bounding_box()
    assert found is not None
    return found["x"], found["y"], found["width"], found["height"]


def test_teaching_from_the_browser(eye: Eye, page_of: Any, tmp_path: Path) -> None:
    """From no model to thresholds of one's own: pictures through the file picker, a damaged one among them, by one who may."""
    assert ask(eye.client(Role.VIEWER), "status")["state"] == "no model"
    files = {"good": [eye.part() for _ in range(22)], "defective": [eye.part(defective=True) for _ in range(3)]}
    for label, pictures in files.items():
        (tmp_path / label).mkdir()
        for k, picture in enumerate(pictures):
            (tmp_path / label / f"{k:02d}.jpg").write_bytes(picture)
    (tmp_path / "good" / "99 damaged.jpg").write_bytes(eye.part()[:-400])
    viewer = page_of(Role.VIEWER).go(TEACH)
    expect(viewer.locator("input[type=file]").first).to_be_disabled()
    expect(viewer.get_by_text("Not taught yet.")).to_be_visible()
    watched = page_of(Role.ENGINEER)
    page = watched.go(TEACH)
    page.get_by_label("Good parts").set_input_files(sorted((tmp_path / "good").iterdir()))
    page.get_by_label("Known defects").set_input_files(sorted((tmp_path / "defective").iterdir()))
    expect(page.get_by_text("Taken: 25. Not taken: 1")).to_be_visible(timeout=30_000)
    damaged = page.get_by_role("listitem").filter(has_text="99 damaged.jpg")
    expect(damaged).to_contain_text("truncated")
    given = page.evaluate_handle(TRANSFER, list(eye.part()))
    page.locator("label", has_text="Good parts").dispatch_event("drop", {"dataTransfer": given})
    expect(page.get_by_text("Taken: 26.")).to_be_visible()
    page.locator("label", has_text="Good parts").evaluate(
        "(box, data) => box.dispatchEvent(new ClipboardEvent('paste', {clipboardData: data, bubbles: true}))", given
    )
    expect(page.get_by_text("Taken: 27.")).to_be_visible()  # the same picture once more: 23 are learned from
    page.get_by_role("button", name="Learn from these").click()
    expect(page.get_by_role("progressbar", name="Learning…")).to_be_visible()
    expect(page.get_by_role("button", name="Learning…")).to_be_disabled()
    expect(page.get_by_text("good pictures: 23", exact=True)).to_be_visible(timeout=60_000)
    expect(page.get_by_text("good (23)")).to_be_visible()
    expect(page.get_by_text(re.compile(r"Of \d+ good parts at most \d+ will be rejected\."))).to_be_visible()
    before = ask(eye.client(Role.VIEWER), "status")["thresholds"]
    passing = page.get_by_role("slider", name="Passes up to")
    passing.focus()
    page.keyboard.press("Home")  # so low that every good part would go to a person
    shares = page.get_by_label("What these thresholds do")
    expect(shares).to_contain_text("100 %")
    page.keyboard.press("ArrowRight")
    page.get_by_role("button", name="As before").click()
    x, y, width, height = box(page, "g[role=slider] .reach >> nth=1")
    page.mouse.move(x + width / 2, y + height / 2)
    page.mouse.down()
    page.mouse.move(x + width / 2 + 60, y + height / 2, steps=4)
    page.mouse.up()
    page.get_by_role("button", name="Use these thresholds").click()
    until(lambda: ask(eye.client(Role.VIEWER), "status")["thresholds"]["reject"] > before["reject"])
    assert ask(eye.client(Role.VIEWER), "status")["thresholds"]["pass"] == pytest.approx(before["pass"], abs=1e-3)
    assert [e for e in watched.errors if "400 (Bad Request)" not in e] == []  # a browser notes the refused picture itself
    assert watched.foreign == []


def test_the_line_shows_what_was_decided_and_where(eye: Eye, page_of: Any) -> None:
    watched = page_of(Role.VIEWER)
    page = watched.go(LINE)
    client = eye.client(Role.VIEWER)
    (good,) = see(eye, client, eye.part())
    verdict = page.get_by_role("region", name="Verdict")
    expect(page.get_by_role("heading", name=good["name"])).to_be_visible()
    expect(verdict).to_contain_text("passes")
    (bad,) = see(eye, client, eye.part(defective=True))
    assert (good["verdict"], bad["verdict"]) == ("pass", "reject")
    expect(verdict).to_contain_text("rejected")
    expect(verdict.get_by_label("Where it is not like the good ones")).to_contain_text("1")
    expect(page.get_by_role("img", name=re.compile(f"{bad['name']}: rejected, score .* Places marked: [1-9]"))).to_be_visible()
    shown = page.locator("svg image").first.get_attribute("href")
    page.get_by_role("button", name="Heat map").click()
    expect(page.locator("svg image").first).not_to_have_attribute("href", str(shown))
    page.get_by_role("list", name="The last parts").get_by_role("link", name=re.compile(f"#{good['number']}.*passes")).click()
    page.wait_for_url(re.compile(f"part={good['id']}$"))  # a link that can be sent
    expect(page.get_by_role("heading", name=good["name"])).to_be_visible()
    expect(verdict).to_contain_text("passes")
    expect(page.get_by_role("button", name="defective")).to_be_disabled()  # a viewer judges nothing
    assert watched.errors == []


def test_a_part_that_could_not_be_seen_and_a_camera_that_is_gone(eye: Eye, page_of: Any) -> None:
    page = page_of(Role.VIEWER).go(LINE)
    (blind,) = see(eye, eye.client(Role.VIEWER), eye.part()[:-500])
    assert blind["verdict"] == "unreadable"
    verdict = page.get_by_role("region", name="Verdict")
    expect(verdict).to_contain_text("could not be seen")
    expect(page.get_by_text("There was nothing to see")).to_be_visible()
    see(eye, eye.client(Role.VIEWER), eye.part())
    expect(verdict.locator("strong").first).to_have_text("passes")
    (eye.folder / "station").rename(eye.folder / "unplugged")
    try:
        expect(page.get_by_role("alert").filter(has_text="No current picture")).to_be_visible()
        expect(verdict.locator("s")).to_have_text("passes")  # struck through: nothing is known of the part that is there now
    finally:
        (eye.folder / "unplugged").rename(eye.folder / "station")
    until(lambda: see(eye, eye.client(Role.VIEWER), eye.part()))
    expect(page.get_by_role("alert").filter(has_text="No current picture")).to_be_hidden()


def test_reviewing_with_the_keyboard(eye: Eye, page_of: Any) -> None:
    client = eye.client(Role.OPERATOR)
    engineer = eye.client(Role.ENGINEER)
    kept = ask(client, "status")["thresholds"]
    engineer.post("/api/apps/plates/ask/thresholds", json={"pass": 0.0, "reject": 100.0})  # everything goes to a person
    first, second = see(eye, client, eye.part(), eye.part(defective=True))
    engineer.post("/api/apps/plates/ask/thresholds", json=kept)
    watched = page_of(Role.OPERATOR)
    page = watched.go(REVIEW)
    desk = page.get_by_role("region", name="The part in hand")
    heading = desk.get_by_role("heading").first
    for _ in range(8):  # the queue begins with what could not be seen
        name = re.split(r" #", heading.inner_text())[0]
        if name == first["name"]:
            break
        desk.focus()
        page.keyboard.press("n")
        expect(heading).not_to_contain_text(name)
    desk.focus()
    page.keyboard.press("g")
    expect(page.get_by_text("Judged just now: 1")).to_be_visible()
    assert (ask(client, "part", id=first["id"])["label"], ask(client, "part", id=first["id"])["by"]) == ("good", "operator1")
    for _ in range(8):
        name = re.split(r" #", heading.inner_text())[0]
        if name == second["name"]:
            break
        page.keyboard.press("n")
        expect(heading).not_to_contain_text(name)
    page.get_by_label("Class of the defect").fill("redness")
    page.get_by_role("button", name="defective").click()
    expect(page.get_by_text("Judged just now: 2")).to_be_visible()
    labelled = ask(client, "part", id=second["id"])
    assert (labelled["label"], labelled["class"]) == ("defective", "redness")
    assert watched.errors == []


def test_charts_are_drawn_and_told(eye: Eye, page_of: Any) -> None:
    client = eye.client(Role.VIEWER)
    see(eye, client, *[eye.part() for _ in range(6)])
    until(lambda: ask(client, "charts")["rate"])
    watched = page_of(Role.VIEWER)
    page = watched.go(CHARTS)
    rate = page.get_by_role("img", name=re.compile("^Share of rejected parts: .* %"))
    expect(rate).to_be_visible()
    assert rate.locator("canvas").count() == 1
    expect(page.get_by_role("region", name="Process capability")).to_be_visible()
    assert watched.errors == []


def test_zones_are_drawn_by_hand_and_by_keyboard(eye: Eye, page_of: Any) -> None:
    client = eye.client(Role.VIEWER)
    until(lambda: ask(client, "state", "guarded")["monitored"])
    viewer = page_of(Role.VIEWER).go(ZONES)
    expect(viewer.get_by_text("this replaces no safety PLC")).to_be_visible()
    expect(viewer.get_by_role("button", name="Edit zones")).to_be_disabled()
    watched = page_of(Role.ENGINEER)
    page = watched.go(ZONES)
    expect(page.get_by_role("img", name=re.compile("camera's picture"))).to_be_visible()
    page.get_by_role("button", name="Edit zones").click()
    corner = page.get_by_role("button", name=re.compile("^Corner 1 of 4, table"))
    corner.focus()
    for _ in range(2):
        page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("Enter")  # a fifth corner, after the first
    x, y, width, height = box(page, 'g[aria-label^="Corner 4 of 5"] .dot')
    page.mouse.move(x + width / 2, y + height / 2)
    page.mouse.down()
    page.mouse.move(x + width / 2 + 40, y + height / 2 + 10, steps=4)
    page.mouse.up()
    page.get_by_label("Name").fill("cutting table")
    page.get_by_label("Name").press("Tab")
    page.get_by_role("button", name="Use these zones").click()
    expect(page.get_by_text("Set by engineer1")).to_be_visible()
    (zone,) = ask(client, "zones", "guarded")["zones"]
    assert zone["name"] == "cutting table"
    assert zone["polygon"][:2] == [[0.1, 0.3], [0.4, 0.3]]
    assert len(zone["polygon"]) == 5
    assert zone["polygon"][3][0] > 0.72
    page.get_by_role("button", name="Edit zones").click()
    page.get_by_role("button", name=re.compile("^Corner 2 of 5")).press("Delete")
    first = page.get_by_role("button", name=re.compile("^Corner 1 of 4"))
    for _ in range(14):
        first.press("Shift+ArrowRight")  # over the far side: the sides would cross
    page.get_by_role("button", name="Use these zones").click()
    expect(page.get_by_role("alert").filter(has_text="sides of the zone cross")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    assert len(ask(client, "zones", "guarded")["zones"][0]["polygon"]) == 5


@pytest.mark.parametrize(("language", "theme"), [("en", "grey"), ("zh", "dark")])
def test_every_view_fits_a_phone_and_is_accessible(eye: Eye, page_of: Any, language: str, theme: str) -> None:
    watched = page_of(Role.ENGINEER, language=language, theme=theme)
    script, found = axe(), []
    part = ask(eye.client(Role.VIEWER), "recent", count=1)[0]["id"]
    places = (LINE, f"{LINE}?part={part}", TEACH, REVIEW, CHARTS, ZONES)
    for place in places if theme == "grey" else (LINE, TEACH, ZONES):  # only words and colours differ
        page = watched.go(place)
        expect(page.get_by_text("Loading…" if language == "en" else "正在加载…")).to_have_count(0)
        if place == ZONES:
            page.get_by_role("button", name="Edit zones" if language == "en" else "编辑区域").click()
        for width in (360, 1400):
            page.set_viewport_size({"width": width, "height": 860})
            page.wait_for_timeout(80)
            over = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            found += [(place, f"{over} px wider than {width}")] if over > 0 else []
        page.evaluate(script)
        tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
        result = page.evaluate("tags => axe.run(document, {runOnly: {type: 'tag', values: tags}, resultTypes: ['violations']})", tags)
        found += [(place, v["id"], [n["html"][:160] for n in v["nodes"][:3]]) for v in result["violations"]]
    assert found == []
    assert watched.errors == []
    assert watched.foreign == []
