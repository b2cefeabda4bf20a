"""scheduling.plan: the orders of a shop planned, and kept planned: repaired at once when a machine stands, improved while the clock runs.

Facts (tables, `formats`) → first plan → improved by a thread of its own (`live.worker`) → checked → shown. An event gives new facts, and a
repaired plan at once. What the plan says of the past is taken as done: an MES that knows better tells it by the table `begun`.

What may be asked of it (times: ms since 1970 UTC; texts {"en", "zh"}; see `present.schedule` for the shape of a plan):

    plan     GET   → a plan, with "checked", "improving", "version", "changed", "events", "why" (why there is none, or text or null)
    try      GET   {"moves": [{"operation", "machine", "start"}], "event": …} → {"problems": [{"operation", "text"}], "plan", "delta"}
    export   GET   {"as": "ics" | "csv" | "xlsx" | "b2mml"} → bytes
    adopt    POST  {"moves", "event"} → plan; as an engineer. What was moved stays where it was put, until {"operation", "free": true}.
    reload   POST  reads the shop's files anew; as an engineer. What has begun stays.
    improve  POST  {"seconds"} → plan; as an operator
    stop     POST  → plan; as an operator

    event = {"kind": "breakdown" | "maintenance" | "quality_stop", "machine", "from", "to"}
          | {"kind": "rush", "job": {"name", "like": an existing job, "product", "quantity", "due", "weight"}}
          | {"kind": "late_material", "material", "at", "quantity"}
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

import msgspec

from ronghe.apps.contract import App, Finding, Page, Question, Result, Right, Wants
from ronghe.apps.scheduling import export, formats, present, sound
from ronghe.apps.scheduling.live import events
from ronghe.apps.scheduling.live.board import Board, State, begun
from ronghe.apps.scheduling.live.explaining import Explaining
from ronghe.apps.scheduling.live.settings import Options
from ronghe.apps.scheduling.live.stops import Stops, Turn
from ronghe.apps.scheduling.live.telling import Telling
from ronghe.apps.scheduling.live.worker import Worker
from ronghe.apps.scheduling.problem import Plan, Problem
from ronghe.errors import AppError
from ronghe.plant import Plant
from ronghe.signals import Window
from ronghe.text import Text

log = logging.getLogger(__name__)

_LONGEST: Final = 3600.0  # s that may be asked for


class Planning(App):
    """One shop. Signals: `late_orders`, `tardiness_h`, `utilisation` (mean of the machines, 0..1), `planned` (1: a plan that holds)."""

    uses: ClassVar[str] = "scheduling.plan"
    Options: ClassVar[type[Options]] = Options
    pages: ClassVar[tuple[Page, ...]] = (Page(slug="schedule", title=Text("Schedule", "生产排程"), view="schedule"),)
    verbs: ClassVar[Mapping[str, Right]] = {
        "plan": "read",
        "try": "read",
        "export": "read",
        "adopt": "change",
        "reload": "change",
        "improve": "operate",
        "stop": "operate",
    }

    def __init__(
        self, name: str, plant: Plant, equipment: str, options: Any, state: Path, *, clock: Callable[[], int] = time.time_ns
    ) -> None:
        super().__init__(name, plant, equipment, options if options is not None else Options(), state)
        self._clock = clock
        self._stops = Stops.of(self.options.stops, plant)
        self._board = Board(state / "schedule.json", clock)
        self._start()
        known = {m.name for m in self._board.state.problem.machines}
        for stop in self.options.stops:
            if stop.machine not in known:
                raise AppError(
                    Text(f"the schedule has no machine {stop.machine!r}", f"排程中没有机器 {stop.machine!r}"),
                    where=f"apps.{name}.stops",
                    todo=Text("one of: " + ", ".join(sorted(known)), "可用：" + "、".join(sorted(known))),
                )
        self._stops.resume(frozenset(self._board.state.standing))
        self._worker = Worker(self._board)
        self._explaining = Explaining()
        self._tell = Telling(name, equipment, state / "standing.json", self._title)
        self._begun = False

    def _start(self) -> None:
        """Goes on with the plan of an earlier life where it is of the same files."""
        path = Path(self.plant.folder) / self.options.folder
        source = _fingerprint(path)
        kept = self._board.kept
        if kept is None or kept.source != source:
            self._board.put(State(problem=_read(path), source=source) if kept is None else self._reread(kept, path, source))

    def _reread(self, kept: State, path: Path, source: str) -> State:
        """The shop's files have changed: new facts, but what has begun is where it is."""
        fresh = _read(path)
        same = kept.problem.start == fresh.start and kept.problem.tick == fresh.tick
        if not same or kept.plan is None:
            return State(problem=fresh, source=source, events=kept.events)
        known = {o.name: {c.machine for c in o.choices} for j in fresh.jobs for o in j.operations}
        now = self._board.tick(fresh)
        past = begun(msgspec.structs.replace(fresh, fixed=()), kept.plan, now).fixed
        told = {f.operation for f in fresh.fixed}
        fixed = fresh.fixed + tuple(f for f in past if f.operation not in told and f.machine in known.get(f.operation, ()))
        problem = msgspec.structs.replace(fresh, now=max(now, fresh.now), fixed=fixed)
        return State(problem=problem, plan=events.repaired(problem, kept.plan), source=source, events=kept.events)

    def _title(self, machine: str) -> Text:
        return self.plant.equipment[machine].name if machine in self.plant.equipment else Text(machine, machine)

    # --- contract ---------------------------------------------------------------------------------------------------------------

    def wants(self) -> Wants:
        """The tags that say whether machines stand; without any, rows come from the clock alone."""
        tags = self._stops.tags
        slowest = max((self.plant.tags[t].every for t in tags), default=1.0)
        return Wants(tags=tags, every=1.0, max_age=3 * max(slowest, 1.0))

    def step(self, window: Window) -> Result:
        """Rows: machines that stand, and the clock."""
        if not len(window):
            return Result()
        self._begin()
        findings: list[Finding] = []
        for i in range(len(window)):
            turns = list(self._stops.step(window, i))
            for turn in turns:
                self._turned(turn)
            if turns or i + 1 == len(window):
                findings += self._tell.findings(self._board.state, self._worker.failed, int(window.time[i]))
        self._overdue()
        return Result(findings=tuple(findings), signals=self._signals())

    def _begin(self) -> None:
        """The first plan, when it is first needed: a node starts its apps without waiting for their solvers."""
        if not self._begun:
            self._begun = True
            if self.options.seconds <= 0:
                self._worker.first()
            self._worker.improve(self.options.seconds)

    def _turned(self, turn: Turn) -> None:
        """A machine stands, or works again."""
        state = self._board.state
        standing = dict(state.standing)
        if turn.down:
            end = self._board.tick(ahead=turn.lasts / 1e9)
            begin = events.tick_at(state.problem, turn.since)
            standing[turn.machine] = end
            self._replan(
                events.breakdown(state, turn.machine, begin, end, self._board.tick(), self._title, turn.why), "breakdown", standing
            )
        elif turn.machine in standing:
            del standing[turn.machine]
            self._replan(events.works_again(state, turn.machine, self._board.tick(), self._title), "repaired", standing)

    def _overdue(self) -> None:
        """A machine stands for longer than it was taken to."""
        for watched in self._stops.watched:
            state, machine = self._board.state, watched.spec.machine
            now = self._board.tick()
            if machine in state.standing and now >= state.standing[machine] > 0:
                end = self._board.tick(ahead=watched.lasts / 1e9)
                change = events.breakdown(
                    state, machine, state.standing[machine], end, now, self._title, Text("it still stands", "仍未恢复")
                )
                self._replan(change, "breakdown", {**state.standing, machine: end})

    def _replan(self, change: events.Changed, kind: str, standing: dict[str, int]) -> None:
        state = self._board.state
        plan = events.repaired(change.problem, state.plan) if state.plan is not None else None
        changed = tuple(events.moved_names(state.plan, plan))
        said = change.text
        if plan is not None:
            said = Text(f"{said.en}; {len(changed)} operation(s) moved", f"{said.in_('zh')}；调整了 {len(changed)} 道工序")
        new = msgspec.structs.replace(state, problem=change.problem, plan=plan, standing=standing)
        self._board.happened(new, kind, said, changed)
        self._worker.improve(self.options.seconds)

    def _signals(self) -> dict[str, float]:
        state = self._board.state
        if state.plan is None or not state.checked:
            return {"planned": 0.0}
        late = present.lateness(state.problem, state.plan)
        used = present.utilisation(state.problem, state.plan)
        return {
            "planned": 1.0,
            "late_orders": float(len(late)),
            "tardiness_h": present.Times(state.problem).hours(sum(late.values())),
            "utilisation": sum(used.values()) / max(len(used), 1),
        }

    def signal(self, name: str) -> Text:
        """What people call a signal."""
        names = {
            "planned": Text("plan holds", "排程有效"),
            "late_orders": Text("late orders", "延期订单数"),
            "tardiness_h": Text("hours late in all", "延期总时长（h）"),
            "utilisation": Text("utilisation of the machines", "设备平均负荷"),
        }
        return names.get(name) or super().signal(name)

    def close(self) -> None:
        """Ends the thread; the plan is on disk."""
        self._worker.close()

    # --- what is asked ----------------------------------------------------------------------------------------------------------

    def ask(self, question: Question) -> object:
        """Answers; see the module."""
        self._begin()
        match question.verb:
            case "plan":
                return self._plan()
            case "try":
                return self._try(question.body)
            case "export":
                return self._export(question.body)
            case "adopt":
                return self._adopt(question.body, question.who)
            case "reload":
                path = Path(self.plant.folder) / self.options.folder
                new = self._reread(self._board.state, path, _fingerprint(path))
                self._board.happened(new, "reload", Text("the shop's files were read anew", "已重新读取车间文件"), ())
                self._worker.improve(self.options.seconds)
                return self._plan()
            case "improve":
                self._worker.improve(_seconds(question.body))
                return self._plan()
            case "stop":
                self._worker.stop()
                return self._plan()
        return super().ask(question)

    def _plan(self) -> dict[str, Any]:
        state = self._board.state
        settled = state.checked and not self._worker.improving
        why_late = self._explaining.of(state, settled=settled)
        shown = present.schedule(state.problem, state.plan, self._board.tick(), why_late, self._title)
        why = self._worker.failed or (state.wrong[0] if state.wrong else None)
        return {
            **shown,
            "checked": state.checked,
            "improving": self._worker.improving,
            "version": state.revision,
            "changed": list(state.changed),
            "events": present.events(state.events),
            "why": present.text(why),
        }

    def _tried(self, body: dict[str, Any]) -> tuple[State, State, Plan, events.Changed]:
        """What is in force, what it would be, and what the change is."""
        state = self._board.state
        if state.plan is None:
            raise AppError(Text("there is no plan yet", "尚无排程"), todo=Text("try again in a moment", "请稍后重试"))
        change = events.asked(state, body, self._board.tick(), self._title)
        plan = events.repaired(change.problem, state.plan)
        return state, msgspec.structs.replace(state, problem=change.problem, plan=plan), plan, change

    def _try(self, body: dict[str, Any]) -> dict[str, Any]:
        state, new, plan, _ = self._tried(body)
        assert state.plan is not None
        problems = events.objections(new.problem, plan, body)
        shown = present.schedule(new.problem, plan, self._board.tick(), lambda _: (None, None), self._title)
        moved = list(events.moved_names(state.plan, plan))
        before, after = present.figures(state.problem, state.plan, 0), shown["figures"]
        delta = {k: after[k] - before[k] for k in ("tardiness_h", "makespan_h", "setup_h")}
        shown |= {"checked": not problems, "improving": False, "version": state.revision, "changed": moved, "events": [], "why": None}
        return {"problems": problems, "plan": shown, "delta": {**delta, "moved": len(moved)}}

    def _adopt(self, body: dict[str, Any], who: str) -> dict[str, Any]:
        state, new, plan, change = self._tried(body)
        if problems := events.objections(new.problem, plan, body):
            first = problems[0]["text"]
            raise AppError(
                Text(f"this does not work: {first['en']}", f"无法这样安排：{first['zh']}"),
                todo=Text("move it elsewhere, or change what is in its way", "请移到别处，或先解除与之冲突的约束"),
            )
        by = Text(f" ({who})", f"（{who}）") if who else Text("")
        said = Text(change.text.en + by.en, change.text.in_("zh") + by.in_("zh"))
        self._board.happened(new, str((body.get("event") or {}).get("kind", "move")), said, tuple(events.moved_names(state.plan, plan)))
        self._worker.improve(self.options.seconds)
        return self._plan()

    def _export(self, body: dict[str, Any]) -> bytes:
        state = self._board.state
        if state.plan is None or not state.checked:
            raise AppError(Text("there is no plan that holds", "当前没有有效的排程"))
        problem = msgspec.structs.replace(state.problem, now=self._board.tick())
        return export.export(problem, state.plan, str(body.get("as", "csv")))


def _read(path: Path) -> Problem:
    problem = formats.read(path)
    if wrong := sound.sound(problem):
        raise AppError(wrong[0], where=str(path))
    return problem


def _fingerprint(path: Path) -> str:
    """Changes when a file of the shop does."""
    files = sorted(path.iterdir()) if path.is_dir() else [path] if path.exists() else []
    return "|".join(f"{f.name}:{f.stat().st_mtime_ns}:{f.stat().st_size}" for f in files)


def _seconds(body: dict[str, Any]) -> float:
    try:
        return min(max(float(body.get("seconds", 10.0)), 0.0), _LONGEST)
    except (TypeError, ValueError) as e:
        raise AppError(Text("seconds must be a number", "seconds 必须是数字")) from e
