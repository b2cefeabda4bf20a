"""logistics.dispatch: the routes of a day planned, and kept planned while the vehicles are on the road.

Facts (tables, `formats`) → plan (`solve`) → checked → shown. An event gives a plan that holds at once (`replan`), which is then improved
in a thread of its own (`board`). What the plan says of the past is taken as done, until a tag or a person says that a vehicle is late.

What may be asked of it (times: ms since 1970 UTC; texts {"en", "zh"}; see `present.day` for the shape of a plan):

    plan     GET   → a plan, with "checked", "improving", "version", "why" (why there is none, or null)
    try      GET   {"event"} → {"problems": [{"text"}], "plan", "moved": [{"order", "before", "after", "minutes"}], "delta"}
    adopt    POST  {"event"} → plan; as an engineer
    reload   POST  reads the day's files anew; as an engineer
    improve  POST  {"seconds"} → plan; as an operator
    stop     POST  → plan; as an operator

    event = {"kind": "late_vehicle", "vehicle", "minutes"} | {"kind": "breakdown", "vehicle", "place"?, "goods"?: "aboard" | "depot"}
          | {"kind": "new_stop", "stop": {"name", "place" | "x", "y", "demand", "from", "to", "minutes"}}
          | {"kind": "cancel", "place" | "order"} | {"kind": "window", "place" | "order", "from", "to"}
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

from ronghe.apps.advising import resolve
from ronghe.apps.contract import App, Finding, Page, Question, Result, Right, Wants
from ronghe.apps.logistics import asking, present, replan
from ronghe.apps.logistics.board import Board
from ronghe.apps.logistics.settings import Options
from ronghe.apps.logistics.telling import Telling
from ronghe.errors import AppError
from ronghe.plant import Plant
from ronghe.signals import Window
from ronghe.signals.when import parse_duration
from ronghe.text import Text

_LONGEST: Final = 3600.0  # s that may be asked for
_SECONDS: Final = {"s": 1.0, "min": 60.0, "h": 3600.0}


class Dispatch(App):
    """The vehicles of one day. Signals: `late`, `unserved` (orders), `distance_km`, `cost`, `planned` (1: a plan that holds)."""

    uses: ClassVar[str] = "logistics.dispatch"
    Options: ClassVar[type[Options]] = Options
    pages: ClassVar[tuple[Page, ...]] = (Page(slug="routes", title=Text("Routes", "配送路线"), view="routes"),)
    verbs: ClassVar[Mapping[str, Right]] = {
        "plan": "read",
        "try": "read",
        "adopt": "change",
        "reload": "change",
        "improve": "operate",
        "stop": "operate",
    }

    def __init__(
        self, name: str, plant: Plant, equipment: str, options: Any, state: Path, *, clock: Callable[[], int] = time.time_ns
    ) -> None:
        super().__init__(name, plant, equipment, options if options is not None else Options(), state)
        o: Options = self.options
        self._board = Board(Path(plant.folder) / o.folder, state, clock)
        self._tags = tuple(resolve(plant, equipment, d.tag, f"apps.{name}.delays") for d in o.delays)
        self._units = [self._unit(t) for t in self._tags]
        self._known = [0.0] * len(self._tags)  # s that each vehicle is known to be late
        vehicles = {v.name for v in self._board.shown.day.problem.vehicles}
        for d in o.delays:
            if d.vehicle not in vehicles:
                what, known = Text(f"there is no vehicle {d.vehicle!r}", f"没有车辆 {d.vehicle!r}"), sorted(vehicles)[:20]
                todo = Text("one of: " + ", ".join(known), "可用：" + "、".join(known))
                raise AppError(what, where=f"apps.{name}.delays", todo=todo)
        self._tell = Telling(name, equipment, state / "standing.json")
        self._begun = False

    def _unit(self, tag: str) -> float:
        unit = self.plant.unit_of(tag)
        if unit not in _SECONDS:
            raise AppError(Text(f"{tag} is in {unit!r}, not in s, min or h", f"{tag} 的单位为 {unit!r}，应为 s、min 或 h"), where=self.name)
        return _SECONDS[unit]

    # --- contract ---------------------------------------------------------------------------------------------------------------

    def wants(self) -> Wants:
        """The tags that say how late vehicles are; without any, rows come from the clock alone."""
        slowest = max((self.plant.tags[t].every for t in self._tags), default=1.0)
        return Wants(tags=self._tags, every=1.0, max_age=3 * max(slowest, 1.0))

    def step(self, window: Window) -> Result:
        """Rows: vehicles that are late, and the clock."""
        if not len(window):
            return Result()
        self._begin()
        findings: list[Finding] = []
        for i in range(len(window)):
            self._heard([float(v) for v in window.value[i]])
            findings += self._tell.findings(self._board.shown, self._board.failed, int(window.time[i]))
        return Result(findings=tuple(findings), signals=self._signals())

    def _heard(self, reported: list[float]) -> None:
        """What the vehicles say of themselves."""
        for k, d in enumerate(self.options.delays):
            late = reported[k] * self._units[k]
            if math.isfinite(late) and abs(late - self._known[k]) >= parse_duration(d.above) / 1e9:
                ticks = round((late - self._known[k]) / self._board.shown.day.problem.tick)
                self._known[k] = late
                self._happened([replan.LateVehicle(vehicle=d.vehicle, ticks=ticks)])

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            self._board.first()
            self._board.improve(self.options.seconds)

    def _happened(self, events: list[replan.Event]) -> None:
        self._board.happened(events)
        self._board.improve(self.options.seconds)

    def _signals(self) -> dict[str, float]:
        shown = self._board.shown
        signals = {"planned": 1.0 if shown.planned and not shown.wrong else 0.0}
        if shown.planned:
            figures = present.day(shown.day, self._board.now())["figures"]
            signals |= {k: float(figures[k]) for k in ("late", "unserved", "distance_km", "cost") if figures[k] is not None}
        return signals

    def signal(self, name: str) -> Text:
        """What people call a signal."""
        names = {
            "planned": Text("plan holds", "方案有效"),
            "late": Text("late orders", "晚点订单数"),
            "unserved": Text("orders not served", "未配送订单数"),
            "distance_km": Text("kilometres", "总里程（km）"),
            "cost": Text("cost", "成本"),
        }
        return names.get(name) or super().signal(name)

    def close(self) -> None:
        """Ends the thread; the plan is on disk."""
        self._board.close()

    # --- asked ------------------------------------------------------------------------------------------------------------------

    def ask(self, question: Question) -> object:
        """Answers; see the module."""
        self._begin()
        body = question.body
        match question.verb:
            case "plan":
                return self._plan()
            case "try":
                return self._try(body.get("event"))
            case "adopt":
                self._happened(asking.events(self._board.shown.day, body.get("event")))
            case "reload":
                self._board.reload()
                self._board.first()
                self._board.improve(self.options.seconds)
            case "improve":
                self._board.improve(self._seconds(body.get("seconds", self.options.seconds)))
            case "stop":
                self._board.stop()
            case _:
                return super().ask(question)
        return self._plan()

    def _seconds(self, said: object) -> float:
        if not isinstance(said, int | float) or not 0 < said <= _LONGEST:
            raise AppError(Text(f"seconds: a number, 0..{_LONGEST:g}", f"seconds 应为 0..{_LONGEST:g} 的数字"), where="seconds")
        return float(said)

    def _plan(self) -> dict[str, Any]:
        board = self._board
        shown = board.shown
        return present.day(shown.day, board.now()) | {
            "checked": shown.planned and not shown.wrong,
            "improving": board.improving,
            "version": shown.version,
            "why": present.text(board.failed) if board.failed is not None else None,
        }

    def _try(self, said: object) -> dict[str, Any]:
        board = self._board
        before = board.shown.day
        day, wrong = board.tried(asking.events(before, said))
        now = present.day(before, board.now())
        would = present.day(day, board.now()) | {"checked": not wrong, "improving": False}
        minutes = before.problem.tick / 60
        moved = [
            {"order": m.order, "before": m.before, "after": m.after, "minutes": None if m.by is None else m.by * minutes}
            for m in replan.moved(before.plan, day.plan)
        ]
        delta = {
            k: would["figures"][k] - now["figures"][k]
            for k in ("cost", "distance_km", "hours", "carbon_kg", "late", "unserved")
            if would["figures"][k] is not None and now["figures"][k] is not None
        }
        return {
            "problems": [{"text": present.text(w)} for w in wrong],
            "plan": would,
            "moved": moved,
            "delta": {**delta, "moved": len(moved)},
        }
