"""The zone app on pictures of the shipped sequence, with the real detector."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from ronghe.apps.contract import Finding, Question, Result
from ronghe.apps.safety.interlock import Request
from ronghe.apps.safety.labels import Labels
from ronghe.apps.safety.settings import ZoneOptions, ZoneSpec
from ronghe.apps.safety.zone import Zone
from ronghe.errors import AppError
from ronghe.guard.advice import Advice
from ronghe.picture import Picture
from ronghe.plant import Plant
from ronghe.signals import Window
from ronghe.signals import quality as q

from .conftest import CAMERA, PERMIT, START, S, pictures

RUNNING = "line1/press/running"


class Fed:
    """An app, fed pictures and the rows between them, and all that it said."""

    def __init__(self, plant: Plant, state: Path, watched: tuple[ZoneSpec, ...], **options: object) -> None:
        self.now = START
        request = (Request(set="permit", to=0, within="1s"),)
        given = ZoneOptions(**{"zones": watched, "request": request, **options})  # type: ignore[arg-type]
        self.app = Zone("zones", plant, "line1/press", given, state, clock=lambda: self.now)
        self.values = {PERMIT: 1.0, RUNNING: 1.0, CAMERA: 1.0}
        self.findings: list[Finding] = []
        self.advice: list[Advice] = []

    def show(self, shown: Iterable[Picture]) -> None:
        for picture in shown:
            self.row(picture.time)
            self._take(self.app.see(picture))

    def row(self, time: int) -> None:
        self.now = time
        tags = self.app.wants().tags
        value = np.array([[self.values[t] for t in tags]])
        code = np.where(np.isnan(value), np.uint32(q.BAD_NO_COMMUNICATION), np.uint32(q.GOOD))
        self._take(self.app.step(Window(tags, np.array([time]), value, code, np.zeros(value.shape))))

    def _take(self, result: Result) -> None:
        self.findings += result.findings
        self.advice += result.advice

    def standing(self) -> set[str]:
        keys: set[str] = set()
        for f in self.findings:
            (keys.add if f.active else keys.discard)(f.key.rpartition("/")[2] if "/request/" not in f.key else "request")
        return keys


@pytest.fixture
def zones(tune: Labels) -> tuple[ZoneSpec, ...]:
    return tune.zones


def test_whoever_steps_in_is_told_and_the_interlock_is_requested_until_it_is_in_force(
    plant: Plant, state: Path, zones: tuple[ZoneSpec, ...], tune: Labels
) -> None:
    fed = Fed(plant, state, zones)
    first = next(f.frame for f in tune.frames if any("press" in p.zones for p in f.people))
    fed.show(pictures("tune", first - 12, 26))
    press = next(f for f in fed.findings if f.key.endswith("/press"))
    assert (press.priority, press.active) == ("critical", True)
    assert press.text.zh.startswith("1 号压力机的危险区域")
    assert abs(press.time - (START + first * S // 10)) <= S
    asked = [a for a in fed.advice if a.finding == press.key]
    assert [(a.tag, a.value) for a in asked] == [(PERMIT, 0.0)]
    assert fed.standing() >= {"press"}
    fed.values[PERMIT] = 0.0
    before = len(fed.advice)
    fed.show(pictures("tune", first + 14, 4))
    assert len(fed.advice) == before, "in force: not asked again"
    (event,) = [e for e in fed.app.ask(Question(verb="events")) if e["zone"] == "press"]  # type: ignore[attr-defined]
    assert fed.app.ask(Question(verb="snapshot", body={"event": event["id"]}))[:3] == b"\xff\xd8\xff"  # type: ignore[index]


def test_a_request_that_nobody_carries_out_is_told(plant: Plant, state: Path, zones: tuple[ZoneSpec, ...], tune: Labels) -> None:
    fed = Fed(plant, state, zones)
    first = next(f.frame for f in tune.frames if any("press" in p.zones for p in f.people))
    fed.show(pictures("tune", first, 20))
    assert "request" in fed.standing()


def test_a_zone_is_watched_while_its_condition_holds_or_is_not_known(
    plant: Plant, state: Path, zones: tuple[ZoneSpec, ...], tune: Labels
) -> None:
    first = next(f.frame for f in tune.frames if any("press" in p.zones for p in f.people))
    shown = list(pictures("tune", first + 8, 4))
    told = {}
    for running in (0.0, 1.0, float("nan")):
        fed = Fed(plant, state, tuple(ZoneSpec(name=z.name, polygon=z.polygon, active_while=RUNNING) for z in zones))
        fed.values[RUNNING] = running
        fed.show(shown)
        told[str(running)] = "press" in fed.standing()
    assert told == {"0.0": False, "1.0": True, "nan": True}


@pytest.mark.parametrize("fault", ["silent", "unreadable", "bad", "frozen", "dark", "covered"])
def test_a_camera_that_does_not_see_is_an_alarm_and_a_request_within_a_second(
    plant: Plant, state: Path, zones: tuple[ZoneSpec, ...], fault: str
) -> None:
    fed = Fed(plant, state, zones, fps=3)  # its sight is judged on every picture, people on few: this is about sight
    shown = list(pictures("tune", 0, 40))
    fed.show(shown)
    assert fed.standing() == set()
    last = shown[-1]
    assert last.pixels is not None
    noise = np.random.default_rng(0)
    for i in range(1, 11):
        at = last.time + i * S // 10
        pixels: np.ndarray | None = last.pixels
        if fault == "dark":
            pixels = noise.integers(0, 6, last.pixels.shape, np.uint8)
        elif fault == "covered":
            pixels = (90 + noise.integers(0, 6, last.pixels.shape)).astype(np.uint8)
        elif fault == "unreadable":
            pixels = None
        code = q.BAD_NO_COMMUNICATION if fault == "bad" else q.BAD_DECODING if pixels is None else q.GOOD
        if fault == "silent":
            fed.row(at)
        else:
            fed.show([replace(last, time=at, pixels=pixels, quality=code)])
    (told,) = [f for f in fed.findings if f.key.endswith("/unmonitored")]
    assert told.active
    assert told.time - last.time <= S
    assert [a.value for a in fed.advice if a.finding == told.key] == [0.0]
    fed.show(replace(p, time=last.time + (11 + i) * S // 10) for i, p in enumerate(pictures("tune", 10, 25)))
    assert "unmonitored" not in fed.standing()


def test_without_fail_safe_a_blind_camera_is_an_alarm_only(plant: Plant, state: Path, zones: tuple[ZoneSpec, ...]) -> None:
    fed = Fed(plant, state, zones, fail_safe=False)
    fed.show(pictures("tune", 0, 4))
    for i in range(5, 15):
        fed.row(START + i * S // 10)
    assert fed.standing() == {"unmonitored"}
    assert fed.advice == []


def test_a_camera_that_never_gave_a_picture_is_an_alarm(plant: Plant, state: Path, zones: tuple[ZoneSpec, ...]) -> None:
    fed = Fed(plant, state, zones)
    for i in range(10):
        fed.row(START + i * S // 10)
    assert fed.standing() == {"unmonitored"}


def test_pictures_judged_too_late_are_not_seen(plant: Plant, state: Path, zones: tuple[ZoneSpec, ...]) -> None:
    fed = Fed(plant, state, zones, late="1s")
    for picture in pictures("tune", 0, 6):
        fed.now = picture.time + 2 * S
        fed._take(fed.app.see(picture))
    assert "unmonitored" in fed.standing()


# --- what is asked ------------------------------------------------------------------------------------------------------------------


def test_zones_are_set_kept_and_refused(plant: Plant, state: Path, zones: tuple[ZoneSpec, ...]) -> None:
    fed = Fed(plant, state, zones)
    new = {"name": "door", "polygon": [[0.1, 0.1], [0.4, 0.1], [0.3, 0.6]], "active_while": ""}
    said = fed.app.ask(Question(verb="set_zones", body={"zones": [new]}, who="li"))
    assert (said["by"], [z["name"] for z in said["zones"]]) == ("li", ["door"])  # type: ignore[index]
    for bad in (
        [{**new, "polygon": [[0, 0], [1, 1]]}],
        [{**new, "polygon": [[0, 0], [2, 0], [1, 1]]}],
        [new, new],
        [{**new, "active_while": "nothing/like/it"}],
        [{**new, "active_while": "line1/press/h2s_a > 1 [ppm]"}],
        [{**new, "colour": "red"}],
        [],
        "all",
    ):
        with pytest.raises(AppError):
            fed.app.ask(Question(verb="set_zones", body={"zones": bad}, who="li"))
    again = Fed(plant, state, zones).app.ask(Question(verb="zones"))
    assert [z["name"] for z in again["zones"]] == ["door"]  # type: ignore[index]
    fed.app.ask(Question(verb="set_zones", body={"zones": None}, who="li"))
    assert [z["name"] for z in fed.app.ask(Question(verb="zones"))["zones"]] == [z.name for z in zones]  # type: ignore[index]


def test_the_finding_of_a_zone_that_is_taken_away_ends(plant: Plant, state: Path, zones: tuple[ZoneSpec, ...], tune: Labels) -> None:
    fed = Fed(plant, state, zones)
    first = next(f.frame for f in tune.frames if any("press" in p.zones for p in f.people))
    fed.show(pictures("tune", first + 6, 6))
    assert "press" in fed.standing()
    fed.app.ask(Question(verb="set_zones", body={"zones": [{"name": "door", "polygon": [[0, 0], [0.1, 0], [0, 0.1]]}]}, who="li"))
    fed.show(pictures("tune", first + 12, 1))
    assert "press" not in fed.standing()


def test_what_is_shown_and_kept_has_no_face(plant: Plant, state: Path, zones: tuple[ZoneSpec, ...], tune: Labels) -> None:
    fed = Fed(plant, state, zones)
    with pytest.raises(AppError):
        fed.app.ask(Question(verb="snapshot"))
    at = max((f for f in tune.frames), key=lambda f: max((p.box[3] - p.box[1] for p in f.people if p.visible > 0.9), default=0.0))
    (picture,) = pictures("tune", at.frame, 1)
    fed.show([picture])
    jpeg = fed.app.ask(Question(verb="snapshot"))
    assert isinstance(jpeg, bytes)
    shown = cv2.cvtColor(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    assert picture.pixels is not None
    for person in at.people:
        if person.visible < 0.9:
            continue
        left, top, right, bottom = (round(c) for c in person.box)
        head = slice(top, top + (bottom - top) // 8), slice(left + (right - left) // 3, right - (right - left) // 3)
        was, now = (p[head].mean(2) for p in (picture.pixels, shown))
        detail = [(p - cv2.GaussianBlur(p, (0, 0), 2)).ravel() for p in (was, now)]
        assert abs(np.corrcoef(*detail)[0, 1]) < 0.5, "what is finer than a cell is gone"
    state_said = fed.app.ask(Question(verb="state"))
    json.dumps(state_said)
    assert state_said["people"]  # type: ignore[index]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"zones": ()}, "1 to 16 zones"),
        ({"picture": "permit"}, "no image"),
        ({"request": (Request(set="running", to=0),)}, "cannot be written"),
        ({"request": (Request(set="permit", to=0, of=("roof",)),)}, "none of"),
        ({"every": "0s"}, "longer than nothing"),
    ],
)
def test_what_cannot_be_watched_is_refused(
    plant: Plant, state: Path, zones: tuple[ZoneSpec, ...], options: dict[str, object], said: str
) -> None:
    with pytest.raises(AppError, match=said):
        Fed(plant, state, zones, **options)
