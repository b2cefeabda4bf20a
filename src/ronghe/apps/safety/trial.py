"""The zone app on a recording, with no plant: a machine that does as it is asked, and a clock that runs while the work is done.

Each picture of a recording is judged as if it had just come, however long the one before took: so what is found does not depend on how
busy this machine is. Whether it keeps up with that many pictures a second is told by the times.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from ronghe.apps.contract import Finding
from ronghe.apps.safety.interlock import Request
from ronghe.apps.safety.settings import Health, Vote, ZoneOptions, ZoneSpec
from ronghe.apps.safety.zone import Zone
from ronghe.guard.advice import Advice
from ronghe.picture import Picture
from ronghe.plant import Plant, Property, Tag
from ronghe.signals import Window
from ronghe.signals import quality as q
from ronghe.text import Text

CAMERA = "watched/camera"
PERMIT = "watched/permit"
_ROW = 100_000_000  # ns


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """What may be tried."""

    zones: tuple[ZoneSpec, ...]
    sure: float = ZoneOptions().sure
    doubtful: float = ZoneOptions().doubtful
    vote: Vote = Vote()
    fps: float = ZoneOptions().fps
    health: Health = Health()
    late: str = ""  # a recording may be judged as slowly as it takes; what it took is reported


@dataclass(frozen=True, slots=True)
class Judged:
    """What one picture, or one row of the grid (`picture` None), led to. Times in s."""

    time: int  # ns, of the picture or row
    picture: Picture | None
    findings: tuple[Finding, ...]
    requests: tuple[Advice, ...]
    wall: float  # from the picture's time until the result was there
    cpu: float  # processor time of judging it
    people: tuple[tuple[tuple[float, float, float, float], float], ...]  # boxes and scores of those watched
    occupied: frozenset[str]  # zones with somebody inside
    monitored: bool


class Trial:
    """One camera watched without a plant."""

    def __init__(self, setting: Setting, state: Path) -> None:
        """`state`: a folder for the app. Raises AppError for zones that cannot be watched."""
        plant = Plant(
            path="watched",
            name=Text("the machine", "设备"),
            dictionary={"view": Property(property="view", type="image"), "permit": Property(property="permit", type="bool")},
            tags={
                CAMERA: Tag(tag=CAMERA, property="view", every=0.1),
                PERMIT: Tag(tag=PERMIT, property="permit", every=0.1, writable=True),
            },
        )
        options = ZoneOptions(
            zones=setting.zones,
            request=(Request(set=PERMIT, to=0.0),),
            sure=setting.sure,
            doubtful=setting.doubtful,
            vote=setting.vote,
            fps=setting.fps,
            health=setting.health,
            late=setting.late,
        )
        self._now = 0
        self.app = Zone("zones", plant, "watched", options, state, clock=lambda: self._now + time.perf_counter_ns() - self._began)
        self._began = time.perf_counter_ns()
        self._row = 0
        self._permit = 1.0
        self._standing: set[str] = set()

    def run(self, pictures: Iterable[Picture], *, live: bool = False) -> Iterator[Judged]:
        """Judges them, in order. `live`: their times are those of the wall clock; pictures are then not waited for."""
        for picture in pictures:
            yield from self._rows(picture.time)
            yield self._judge(picture, time.time_ns() if live else picture.time)

    def silence(self, until: int) -> Iterator[Judged]:
        """No picture comes until `until` (ns)."""
        yield from self._rows(until)

    def _rows(self, until: int) -> Iterator[Judged]:
        """The grid up to a time, as a node gives it."""
        self._row = self._row or until - _ROW
        while self._row + _ROW <= until:
            self._row += _ROW
            code = np.array([[q.GOOD, q.GOOD]], np.uint32)
            tags = self.app.wants().tags
            value = np.array([[1.0 if t == CAMERA else self._permit for t in tags]])
            self._start(self._row)
            result = self.app.step(Window(tags, np.array([self._row]), value, code, np.zeros((1, 2))))
            if result.findings or result.advice:
                yield self._outcome(self._row, None, result.findings, result.advice, 0.0, result.signals.get("monitored", 1.0) > 0)

    def _judge(self, picture: Picture, began: int) -> Judged:
        self._start(began)
        cpu = time.process_time()
        result = self.app.see(picture)
        cpu = time.process_time() - cpu
        return self._outcome(picture.time, picture, result.findings, result.advice, cpu, result.signals.get("monitored", 1.0) > 0)

    def _start(self, at: int) -> None:
        self._now, self._began = at, time.perf_counter_ns()

    def _outcome(
        self, at: int, picture: Picture | None, findings: tuple[Finding, ...], requests: tuple[Advice, ...], cpu: float, monitored: bool
    ) -> Judged:
        """Also lets the machine do as it was asked; somebody starts it again when all is clear."""
        for f in findings:
            (self._standing.add if f.active else self._standing.discard)(f.key)
        self._permit = 0.0 if requests else self._permit if self._standing else 1.0
        for a in requests:
            self.app.feedback(a.id, "done")
        state = self.app.watched()
        wall = (self._now + time.perf_counter_ns() - self._began - at) / 1e9
        return Judged(at, picture, findings, requests, wall, cpu, state.people, state.occupied, monitored)
