"""People in danger zones: polygons over a camera's picture, a finding and an interlock request for whoever is inside.

Advisory: it replaces no safety PLC, light curtain or scanner (IEC 61508, ISO 13849, IEC 61496). See docs/safety.md.

Picture → whether the camera sees (`sight`) → people (`people`) → followed (`tracks`) → votes in each zone (`occupancy`) → finding, and the
request to the guard (`interlock`). Whatever keeps it from seeing is an alarm, and with `fail_safe` a request, too.

What may be asked of it:

    zones      GET   → {"zones": [...], "by": "" or who set them, "time": ns, "occupied": {zone: bool}, "active": {zone: bool}}
    state      GET   → {"time": ns, "monitored": bool, "why": text or null, "people": [{"box": [l, t, r, b], "score", "zones": [...]}],
                        "latency": s from picture to result, "advisory": text}
    snapshot   GET   → JPEG, faces blurred: the newest picture, or {"event": id} of an intrusion; {"longest": pixels}
    events     GET   → [{"id", "time", "zone", "people"}], newest first: intrusions of which a picture is kept
    set_zones  POST  {"zones": [{"name", "polygon": [[x, y], ...], "active_while", "rule", "share", "dwell", "release"}]}, or
                     {"zones": null} for those of plant.toml; as an engineer. In force at once, kept, and in the ledger with who did it.
    learn_view POST  takes what the camera shows from now on as its usual view (after it was moved on purpose); as an engineer.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Final

import msgspec
import numpy as np

from ronghe.apps.advising import resolve
from ronghe.apps.contract import App, Page, Question, Result, Right, Wants
from ronghe.apps.safety import ADVISORY, wording
from ronghe.apps.safety.album import Album
from ronghe.apps.safety.faces import Faces
from ronghe.apps.safety.interlock import Interlocks
from ronghe.apps.safety.occupancy import Occupancy
from ronghe.apps.safety.people import People, Person
from ronghe.apps.safety.settings import ZoneOptions, ZoneSpec
from ronghe.apps.safety.sight import Sight
from ronghe.apps.safety.telling import Telling
from ronghe.apps.safety.tracks import Tracks
from ronghe.apps.safety.zonefile import Edited, ZoneFile, validate
from ronghe.apps.standing import Standing
from ronghe.errors import AppError
from ronghe.guard.advice import Evidence
from ronghe.guard.condition import Condition, Seen, parse
from ronghe.picture import Picture, encode
from ronghe.plant import Plant
from ronghe.signals import Window
from ronghe.signals import quality as q
from ronghe.signals.when import parse_duration
from ronghe.text import Text

log = logging.getLogger(__name__)

_PRIVATE: Final = 0.2  # least score of a detection whose face is blurred: below what is watched
_LATE: Final = 3  # pictures in a row
_SECOND: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Watched:
    """Boxes (left, top, right, bottom; parts of the picture) and scores of people, and the zones with somebody inside."""

    people: tuple[tuple[tuple[float, float, float, float], float], ...]
    occupied: frozenset[str]


class Zone(App):
    """One camera watched. Signals: `people`, `inside`, `monitored` (1 or 0), `latency` (s from picture to result)."""

    uses: ClassVar[str] = "safety.zone"
    safety: ClassVar[bool] = True
    Options: ClassVar[type[ZoneOptions]] = ZoneOptions
    pages: ClassVar[tuple[Page, ...]] = (Page(slug="zones", title=Text("Danger zones", "危险区域"), view="safety-zones"),)
    verbs: ClassVar[Mapping[str, Right]] = {
        "zones": "read",
        "state": "read",
        "snapshot": "read",
        "events": "read",
        "set_zones": "change",
        "learn_view": "change",
    }

    def __init__(
        self, name: str, plant: Plant, equipment: str, options: Any, state: Path, *, clock: Callable[[], int] = time.time_ns
    ) -> None:
        super().__init__(name, plant, equipment, options if options is not None else ZoneOptions(), state)
        o: ZoneOptions = self.options
        self._clock = clock
        self._tag = _image_tag(plant, equipment, o.picture, f"apps.{name}.picture")
        self._every = parse_duration(o.every)
        self._late = parse_duration(o.late) if o.late else 0
        if self._every <= 0:
            raise AppError(Text("every must be longer than nothing", "every 必须大于零"), where=f"apps.{name}.every")
        self._people, self._faces = People(), Faces()
        self._sight = Sight(o.health)
        self._tracks = Tracks(o.vote.m, o.sure)
        self._file = ZoneFile(state / "zones.json")
        self._edited = self._file.load(plant)
        if self._edited is None:
            validate(o.zones, plant, f"apps.{name}.zones")
        self._interlocks = Interlocks(name, plant, equipment, o.request, [z.name for z in o.zones])
        self._album = Album(state / "events", o.keep)
        self._said = Standing(state / "standing.json")
        self._tell = Telling(name, equipment, self._interlocks, self._people.origin.sha256)
        self._to_keep: list[tuple[int, str, int, Picture, list[Person]]] = []  # time, zone, people inside, what was seen
        self._gone: list[str] = []  # findings of zones that are no more
        self._values: dict[str, tuple[int, Seen]] = {}
        self._newest: tuple[Picture, list[Person]] | None = None
        self._judged = self._latency = 0
        self._late_ones = 0
        self._good = 0  # pictures judged in a row with nothing wrong
        self._first_row = 0
        self._why: Text | None = Text("no picture has been judged yet", "尚未判断任何图像")
        self._use(self._edited.zones if self._edited else o.zones)

    def _use(self, zones: tuple[ZoneSpec, ...]) -> None:
        self._zones = [Occupancy(z, self.options.vote) for z in zones]
        self._active: dict[str, Condition | None] = {z.name: parse(z.active_while, self.plant) if z.active_while else None for z in zones}

    # --- contract ---------------------------------------------------------------------------------------------------------------

    def wants(self) -> Wants:
        """The camera, the tags of the conditions, and the set-points that it asks to be set."""
        conditions = [t for c in self._active.values() if c is not None for t in c.tags]
        tags = tuple(dict.fromkeys([self._tag, *conditions, *self._interlocks.tags]))
        slowest = max(self.plant.tags[t].every for t in tags)
        return Wants(tags=tags, every=self._every / 1e9, max_age=3 * max(slowest, self._every / 1e9), pictures=(self._tag,))

    def step(self, window: Window) -> Result:
        """Rows: what the conditions' tags are, and whether the camera has fallen silent."""
        if not len(window):
            return Result()
        self._keep()
        now = int(window.time[-1])
        self._first_row = self._first_row or int(window.time[0])
        self._interlocks.look(window)
        for j, tag in enumerate(window.tags):
            value, code = float(window.value[-1, j]), int(window.quality[-1, j])
            self._values[tag] = now, Seen(None, q.reason(code)) if np.isnan(value) else Seen(value)
        if self._sight.last or now - self._first_row > parse_duration(self.options.health.silent):
            why = self._sight.silent(now)
            code = int(window.quality[-1, window.tags.index(self._tag)])
            if why is not None and self._sight.last and not q.is_good(np.array([code], np.uint32))[0]:
                why = q.reason(code)
            if why is not None:
                self._why, self._good = why, 0
        return self._result(now, {})

    def see(self, picture: Picture) -> Result:
        """One picture: who is where."""
        why = self._sight.look(picture)
        if picture.pixels is None:
            self._why, self._good = why, 0
            return self._result(picture.time, {})
        if why is not None and self._key("unmonitored") not in self._tell.standing:
            self._why, self._good = why, 0  # told before anything else is done
            return self._result(picture.time, {})
        if why is None and picture.time - self._judged < 0.9e9 / self.options.fps:
            return Result()
        try:
            people = self._people.find(picture.pixels, min(_PRIVATE, self.options.doubtful))
        except Exception:  # a detector that fails sees nobody: that must not pass for an empty zone
            log.exception("app %s cannot judge a picture", self.name)
            self._why, self._good = Text("the detector failed; see the log", "检测器出错，详见日志"), 0
            return self._result(picture.time, {})
        self._newest = picture, people
        self._judged = picture.time
        watched = [p for p in people if p.score >= self.options.doubtful]
        hits = self._tracks.step(watched)
        for zone in self._zones:
            if self._is_active(zone.spec.name, picture.time):
                zone.step(self._tracks.tracks, hits, picture.time)
            else:
                zone.clear()
        self._latency = self._clock() - picture.time
        self._note(why or self._too_late())
        inside = {t.number for z in self._zones for t in z.people}
        signals = {"people": float(len(hits)), "inside": float(len(inside)), "latency": self._latency / 1e9}
        return self._result(picture.time, signals)

    def _too_late(self) -> Text | None:
        self._late_ones = self._late_ones + 1 if self._late and self._latency > self._late else 0
        if self._late_ones < _LATE:
            return None
        return Text(
            f"pictures are judged {self._latency / 1e9:.1f} s after they were taken", f"图像在拍摄 {self._latency / 1e9:.1f} s 后才判断"
        )

    def _note(self, why: Text | None) -> None:
        """A picture was judged: with nothing wrong for as many as the vote remembers, the zones are monitored again."""
        self._good = 0 if why is not None else self._good + 1
        if why is not None:
            self._why = why
        elif self._good >= self.options.vote.m:
            self._why = None

    def _is_active(self, name: str, now: int) -> bool:
        """Whether a zone is in force; where nothing says that it is not, it is."""
        condition = self._active[name]
        return condition is None or condition.evaluate(lambda tag: self._seen(tag, now)).truth is not False

    def _seen(self, tag: str, now: int) -> Seen:
        at, seen = self._values.get(tag, (0, Seen(None, Text("not heard of", "尚无数据"))))
        return seen if abs(now - at) < 3 * _SECOND else Seen(None, Text("stale", "数据陈旧"))

    # --- what is told -----------------------------------------------------------------------------------------------------------

    def _result(self, now: int, signals: dict[str, float]) -> Result:
        for key in self._gone:
            if key in self._tell.standing:
                self._tell.end(key, now, Text("the zones were changed", "区域已被修改"))
        self._gone.clear()
        for zone in self._zones:
            self._tell_zone(zone, now)
        self._tell_sight(now)
        if self._why is None and self._said.inherited:
            for key in sorted(self._said.inherited - set(self._tell.standing)):
                self._tell.over(key, now)
        if self._tell.findings:
            self._said.note(self._tell.findings)
        return self._tell.taken({**signals, "monitored": 0.0 if self._why is not None else 1.0})

    def _tell_zone(self, zone: Occupancy, now: int) -> None:
        name, key = zone.spec.name, self._key(zone.spec.name)
        machine, told = self.plant.equipment_name(self.equipment), self._tell.standing.get(key)
        if not zone.occupied:
            if told is not None:
                active = self._is_active(name, now)
                self._tell.end(key, now, wording.clear(name, machine) if active else wording.inactive(name, machine))
            return
        count = len(zone.people)
        if told is None or told.evidence[0].value < count:
            if told is None and self._newest is not None and self.options.keep:
                self._to_keep.append((now, name, count, *self._newest))
            evidence = (Evidence(tag=self._tag, value=float(count), expected=0.0, share=1.0),)
            score = max((t.score for t in zone.people), default=0.0)
            self._tell.begin(key, now, "critical", wording.intrusion(name, machine, max(count, 1)), wording.LOOK, evidence, score)
        self._tell.request(key, name, zone.since, now)

    def _tell_sight(self, now: int) -> None:
        key, told = self._key("unmonitored"), self._key("unmonitored") in self._tell.standing
        if self._why is None:
            if told:
                self._tell.end(key, now, wording.monitored())
            return
        waiting = not self._sight.last and now - self._first_row <= parse_duration(self.options.health.silent)
        if not told and (self._good or waiting):
            return  # it has just been started
        if not told:
            text = wording.unmonitored([z.spec.name for z in self._zones], self._why)
            self._tell.begin(key, now, "critical", text, wording.SEE_TO_CAMERA)
        if self.options.fail_safe:
            self._tell.request(key, "", self._tell.standing[key].time, now)

    def _key(self, zone: str) -> str:
        return f"{self.equipment}/{self.name}/{zone}"

    def _keep(self) -> None:
        """Keeps the pictures of intrusions: after the request, which waits for no disk."""
        for now, zone, count, picture, people in self._to_keep:
            assert picture.pixels is not None
            self._album.add(now, zone, count, encode(self._faces.blur(picture.pixels, people), quality=85))
        self._to_keep.clear()

    def feedback(self, advice: str, outcome: str) -> None:
        """Told what became of a request."""
        self._interlocks.feedback(advice, outcome)

    def close(self) -> None:
        """Keeps what is to be kept."""
        self._keep()

    def watched(self) -> Watched:
        """What the newest judged picture showed."""
        people = [p for p in self._newest[1] if p.score >= self.options.doubtful] if self._newest else []
        return Watched(tuple((p.box, p.score) for p in people), frozenset(z.spec.name for z in self._zones if z.occupied))

    # --- what is asked ----------------------------------------------------------------------------------------------------------

    def ask(self, question: Question) -> object:
        """Answers; see the module."""
        match question.verb:
            case "zones":
                return self._answer_zones()
            case "state":
                return self._answer_state()
            case "snapshot":
                return self._snapshot(question.body)
            case "events":
                self._keep()
                return msgspec.to_builtins(self._album.events)
            case "set_zones":
                self._set_zones(question)
                return self._answer_zones()
            case "learn_view":
                self._sight.learn()
                return self._answer_state()
        return super().ask(question)

    def _answer_zones(self) -> dict[str, Any]:
        now = self._judged
        return {
            "zones": msgspec.to_builtins([z.spec for z in self._zones]),
            "by": self._edited.by if self._edited else "",
            "time": self._edited.time if self._edited else 0,
            "occupied": {z.spec.name: z.occupied for z in self._zones},
            "active": {z.spec.name: self._is_active(z.spec.name, now) for z in self._zones},
        }

    def _answer_state(self) -> dict[str, Any]:
        newest = self._newest
        found = [p for p in newest[1] if p.score >= self.options.doubtful] if newest else []
        return {
            "time": newest[0].time if newest else 0,
            "monitored": self._why is None,
            "why": msgspec.to_builtins(self._why),
            "people": [
                {"box": list(p.box), "score": round(p.score, 3), "zones": [z.spec.name for z in self._zones if z.holds(p.box)]}
                for p in found
            ],
            "latency": self._latency / 1e9,
            "advisory": msgspec.to_builtins(ADVISORY),
        }

    def _snapshot(self, body: dict[str, Any]) -> bytes:
        if event := str(body.get("event", "")):
            self._keep()
            return self._album.picture(event)
        if self._newest is None or self._newest[0].pixels is None:
            raise AppError(Text("there is no picture yet", "尚无图像"), where=f"apps.{self.name}")
        try:
            longest = int(body.get("longest", 0))
        except (TypeError, ValueError):
            longest = 0
        pixels, people = self._newest[0].pixels, self._newest[1]
        return encode(self._faces.blur(pixels, people), quality=85, longest=max(longest, 0))

    def _set_zones(self, question: Question) -> None:
        given = question.body.get("zones")
        where = f"apps.{self.name}.zones"
        try:
            zones = self.options.zones if given is None else msgspec.convert(given, tuple[ZoneSpec, ...], strict=False)
        except msgspec.ValidationError as e:
            raise AppError(Text(f"the zones are not understood: {e}", f"区域格式有误：{e}"), where=where) from e
        validate(zones, self.plant, where)
        known = set(self.wants().tags)
        for zone in zones:
            for tag in parse(zone.active_while, self.plant).tags if zone.active_while else ():
                if tag not in known:
                    what = (
                        f"the condition of zone {zone.name} uses {tag}, which this app is not given",
                        f"区域 {zone.name} 的条件用到 {tag}，应用未接入",
                    )
                    todo = Text("name it in a zone of plant.toml and restart", "请先写入 plant.toml 的区域并重启")
                    raise AppError(Text(*what), where=where, todo=todo)
        self._edited = None if given is None else Edited(zones=zones, by=question.who, time=self._clock())
        self._file.save(self._edited)
        kept = {(z.spec.name, z.spec.polygon): z for z in self._zones}
        self._gone = [self._key(z.spec.name) for z in self._zones if z.spec.name not in {n.name for n in zones}]
        self._use(zones)
        self._zones = [kept[z.spec.name, z.spec.polygon] if _same(kept.get((z.spec.name, z.spec.polygon)), z) else z for z in self._zones]


def _same(old: Occupancy | None, new: Occupancy) -> bool:
    return old is not None and old.spec == new.spec


def _image_tag(plant: Plant, equipment: str, tag: str, where: str) -> str:
    """The camera's tag. Raises AppError where there is none, or more than one and none is named."""
    images = [t.tag for t in plant.tags_under(equipment) if plant.property_of(t.tag).type == "image"]
    if tag:
        found = resolve(plant, equipment, tag, where)
        if plant.property_of(found).type != "image":
            raise AppError(Text(f"{found} is no image", f"{found} 不是图像测点"), where=where)
        return found
    if len(images) != 1:
        count = len(images)
        what = Text(
            f"{equipment or 'the plant'} has {count} cameras: name one", f"{equipment or '工厂'}有 {count} 个摄像机测点，请指定一个"
        )
        raise AppError(what, where=where, todo=Text('picture = "TAG"', 'picture = "测点"'))
    return images[0]
