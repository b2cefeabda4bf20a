"""furnace.tune: set-points moved, slowly and inside limits, to where the process is best; whoever moves them, it learns from what happens.

What may be asked of it (times: ms since 1970 UTC; texts {"en", "zh"}; a number without a value is null):

    path     GET   → {"objective": {"title", "unit", "better"}, "variables": [{"tag", "title", "unit", "low", "high", "value", "proposed",
                       "ramp"}], "constraints": [{"title", "unit", "limit", "side", "value", "margin"}], "steps": [{"n", "time", "x",
                       "objective", "expected", "low", "high", "feasible", "by", "state"}], "radius", "best": n or null, "saving":
                       {"value", "low", "high"} or null, "state": text, "settled"}
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

import msgspec
import numpy as np

from ronghe.apps.advising import resolve
from ronghe.apps.advising.headroom import Headroom
from ronghe.apps.contract import App, Finding, Page, Priority, Question, Result, Right, Wants
from ronghe.apps.furnace.tune import memory, present, wording
from ronghe.apps.furnace.tune.pilot import Pace, Pilot, Row
from ronghe.apps.furnace.tune.proof import Proof
from ronghe.apps.furnace.tune.settings import Options
from ronghe.apps.furnace.tune.space import Limit, Proposal, Space
from ronghe.apps.furnace.tune.tuner import Tuner
from ronghe.apps.standing import Standing
from ronghe.errors import AppError, RongheError
from ronghe.guard import Change, ChangeCase, Setting
from ronghe.guard.advice import Advice, Evidence, Expected
from ronghe.guard.change import ENDED
from ronghe.guard.limits import compile_guard
from ronghe.plant import Plant, units
from ronghe.plant.quantity import parse_rate
from ronghe.signals import Window
from ronghe.signals.when import parse_duration
from ronghe.text import Text

_BLIND: Final = 3  # rows without a good value until it is told
_PATIENCE: Final = 3  # rows for which a step is asked for; then it is asked for anew, from where the set-point is by then
_OVER: Final = ("done", "failed", "rolled_back", "refused", "rejected", "expired")
_REFUSED: Final = ("refused", "rejected", "rolled_back")
_PRIORITY: Final[dict[str, Priority]] = {"trial": "low", "near": "medium", "settled": "low", "blind": "medium", "refused": "low"}


class Tune(App):
    """One process. Signals: `objective`, `trials`, `radius`, `settled` (0 or 1)."""

    uses: ClassVar[str] = "furnace.tune"
    Options: ClassVar[type[Options]] = Options
    pages: ClassVar[tuple[Page, ...]] = (Page(slug="tuning", title=Text("Tuning", "工艺寻优"), view="tuning"),)
    verbs: ClassVar[Mapping[str, Right]] = {"path": "read"}

    def __init__(self, name: str, plant: Plant, equipment: str, options: Any, state: Path) -> None:
        super().__init__(name, plant, equipment, options, state)
        if not isinstance(options, Options):
            raise AppError(Text("objective and vary are missing", "缺少 objective 与 vary"), where=f"apps.{name}")
        o: Options = options
        self.weights = {self._tag(t, "objective"): w for t, w in o.objective.items()}
        self.set_points = tuple(self._set_point(v.tag) for v in o.vary)
        self.held = tuple(self._tag(h.tag, "hold") for h in o.hold)
        if len(set(self.set_points)) < len(self.set_points):
            raise AppError(Text("a set-point is listed twice", "设定值重复"), where=f"apps.{name}.vary")
        self._every = parse_duration(o.every)
        settle, window = parse_duration(o.settle), parse_duration(o.window)
        if self._every <= 0 or window < 10 * self._every:
            what = Text("a window needs ten rows at least", "window 至少应包含十行数据")
            raise AppError(what, where=f"apps.{name}.window", todo=Text("a longer window, or a shorter every", "加长 window 或缩短 every"))
        self.space = Space(
            low=tuple(v.low for v in o.vary),
            high=tuple(v.high for v in o.vary),
            limits=tuple(Limit(limit=h.limit, side=h.side, margin=h.margin) for h in o.hold),
            better=o.better,
        )
        ramps = tuple(self._ramp(v.ramp, tag) for v, tag in zip(o.vary, self.set_points, strict=True))
        self._check_ranges()
        self.tuner = Tuner(self.space, np.random.default_rng(o.seed), step=o.step, least=o.least)
        self.pilot = Pilot(self.space, Pace(ramp=ramps, settle=settle / 1e9, window=window / 1e9, row=self._every / 1e9), self.tuner)
        self.proof = Proof(o.prove, o.price, o.currency, o.better)
        self._file = state / "tuning.json"
        self._kept = self._recall()
        guards = [plant.guards.get(t) for t in self.set_points]
        self._rooms = [Headroom(compile_guard(plant, g) if g is not None else None) for g in guards]
        self.row: Row | None = None  # the last good one
        self.proposed: tuple[float, ...] | None = None
        self.expected: dict[int, Proposal] = {}  # by trial: what was expected of it
        self._open: tuple[str, dict[int, float], int] | None = None  # id, values by variable, until when (ns)
        self._outcomes: list[tuple[str, str]] = []
        self._missing = 0
        self._now = 0
        self._told: set[str] = set()
        self._said = Standing(state / "standing.json")
        self._underway: Proposal | None = None

    # --- contract ---------------------------------------------------------------------------------------------------------------

    @property
    def tags(self) -> tuple[str, ...]:
        """Set-points, terms of the objective, constrained values; each once."""
        return tuple(dict.fromkeys((*self.set_points, *self.weights, *self.held)))

    def wants(self) -> Wants:
        """All of them."""
        slowest = max(self.plant.tags[t].every for t in self.tags)
        return Wants(tags=self.tags, every=self._every / 1e9, max_age=3 * max(slowest, self._every / 1e9))

    def step(self, window: Window) -> Result:
        """Each row is a look at the process; at most one step of a ramp is advised for it."""
        if not len(window):
            return Result()
        findings: list[Finding] = []
        advice: list[Advice] = []
        changes: list[Change] = []
        for i in range(len(window)):
            at = int(window.time[i])
            values = dict(zip(window.tags, window.value[i].tolist(), strict=True))
            missing = [t for t in self.tags if not math.isfinite(values[t])]
            self._missing = self._missing + 1 if missing else 0
            self._tell("blind", self._missing >= _BLIND, wording.blind([self.title(t) for t in missing]), at, findings)
            if not missing:
                self._look(values, at, findings, advice, changes)
        if findings:
            self._said.note(findings)
        return Result(
            findings=tuple(findings), advice=tuple(advice), changes=tuple(changes), signals=self._signals(), savings=self.proof.take(self)
        )

    def feedback(self, advice: str, outcome: str) -> None:
        """What became of a step; looked at with the next row."""
        if self._open is not None and advice == self._open[0]:
            self._outcomes.append((advice, outcome))

    def follow(self, change: ChangeCase) -> None:
        """What became of a step of several set-points."""
        if self._open is not None and change.change.id == self._open[0] and change.state in ENDED:
            self._outcomes.append((change.change.id, change.state))

    def ask(self, question: Question) -> object:
        """Answers for its page."""
        return present.path(self) if question.verb == "path" else super().ask(question)

    def signal(self, name: str) -> Text:
        """What people call one of its signals."""
        return present.SIGNALS.get(name) or super().signal(name)

    def close(self) -> None:
        """Every trial is on the disk already."""

    def title(self, tag: str) -> Text:
        """What people call a tag."""
        return self.plant.property_of(tag).name()

    @property
    def objective(self) -> Text:
        """What people call the objective."""
        return Text(self.options.title, self.options.title) if self.options.title else self.title(next(iter(self.weights)))

    @property
    def unit(self) -> str:
        """Of the objective."""
        return self.options.unit or self.plant.unit_of(next(iter(self.weights)))

    @property
    def missing(self) -> bool:
        """Whether the last row had no good value of something."""
        return self._missing > 0

    # --- a row ------------------------------------------------------------------------------------------------------------------

    def _look(self, values: dict[str, float], at: int, findings: list[Finding], advice: list[Advice], changes: list[Change]) -> None:
        row = Row(
            time=at / 1e9,
            x=tuple(values[t] for t in self.set_points),
            terms=tuple(w * values[t] for t, w in self.weights.items()),
            values=tuple(values[t] for t in self.held),
        )
        self.row, self._now, known = row, at, len(self.tuner.trials)
        refused = self._outcome(row, at, findings)
        wanted = self.pilot.step(row)
        if len(self.tuner.trials) > known:
            self._keep()
        self.proof.look(self.pilot, self.tuner, row)
        if self.pilot.phase == "hold":
            self.proposed = None
        self._tell_all(row, at, findings)
        if wanted is not None and not refused and self._open is None:
            self._propose(row, wanted, at, advice, changes)

    def _propose(self, row: Row, wanted: tuple[float, ...], at: int, advice: list[Advice], changes: list[Change]) -> None:
        """One step, as far as all guards permit, in the same part of the way for all: they arrive together."""
        part = 1.0
        for i, (now, then) in enumerate(zip(row.x, wanted, strict=True)):
            if then != now:
                allowed = self._rooms[i].permitted(now, then)
                if allowed is None or self._rooms[i].free_from(abs(allowed - now), at) > at:
                    part = 0.0 if abs(then - now) > 1e-3 * (self.space.high[i] - self.space.low[i]) else part
                    continue
                part = min(part, (allowed - now) / (then - now))
        steps = {i: a + part * (b - a) for i, (a, b) in enumerate(zip(row.x, wanted, strict=True)) if part * abs(b - a) > 0}
        if not steps:
            return
        name, until = f"{self.name}-{at}", at + _PATIENCE * self._every
        self._open = name, steps, until
        for i in steps:
            self._rooms[i].open[name] = until
        moved = wording.moves(
            [(self.title(self.set_points[i]), row.x[i], v, self.plant.unit_of(self.set_points[i])) for i, v in steps.items()]
        )
        reason = self._reason(moved)
        if len(steps) > 1:
            settings = tuple(Setting(tag=self.set_points[i], value=v) for i, v in steps.items())
            changes.append(Change(id=name, app=self.name, name=reason, settings=settings, time=at, expires=until, reason=reason))
            return
        [(i, value)] = steps.items()
        key = "near" if self.pilot.phase == "back" and "near" in self._told else "trial"
        advice.append(
            Advice(
                id=name,
                app=self.name,
                tag=self.set_points[i],
                value=value,
                time=at,
                expires=until,
                reason=reason,
                evidence=self._evidence(),
                expected=self._expected(row, i, value),
                finding=self._key(key),
            )
        )

    def _expected(self, row: Row, i: int, value: float) -> Expected | None:
        """What the step does to the objective, where that is one measured tag and was foretold."""
        p, way = self.pilot.proposal, None if self.pilot.proposal is None else self.pilot.proposal.x[i] - row.x[i]
        if p is None or p.low is None or p.high is None or not way or len(self.weights) > 1 or self.pilot.phase != "ramp":
            return None
        [(tag, weight)] = self.weights.items()
        part, now = (value - row.x[i]) / way, sum(row.terms)
        low, high = sorted((part * (p.low - now) / weight, part * (p.high - now) / weight))
        within = self.pilot.pace.settle + self.pilot.pace.window
        return Expected(tag=tag, low=low, high=high, within=within, unit=self.plant.unit_of(tag))

    def _outcome(self, row: Row, at: int, findings: list[Finding]) -> bool:
        """Takes note of what became of the step that was asked for; whether it was refused."""
        if self._open is None:
            return False
        name, steps, until = self._open
        states = [s for n, s in self._outcomes if n == name]
        self._outcomes.clear()
        over = next((s for s in states if s in _OVER), None)
        if over is None and at <= until:
            return False
        for i, value in steps.items():
            self._rooms[i].open.pop(name, None)
            if over in ("done", "rolled_back", "failed"):
                self._rooms[i].moved(at, abs(value - row.x[i]) or 1e-9)
        self._open = None
        if over not in _REFUSED:
            return False
        for i, value in steps.items():
            above = value > row.x[i]
            self.tuner.narrow(i, row.x[i], above=above)
            self._kept = msgspec.structs.replace(self._kept, refusals=(*self._kept.refusals, memory.Refusal(i, row.x[i], above)))
        self._keep()
        self.pilot.stay(row)
        i = next(iter(steps))
        text = wording.refused(self.title(self.set_points[i]), row.x[i], self.plant.unit_of(self.set_points[i]))
        self._tell("refused", False, text, at, findings)
        self._tell("refused", True, text, at, findings)
        return True

    # --- what is told -----------------------------------------------------------------------------------------------------------

    def _tell_all(self, row: Row, at: int, findings: list[Finding]) -> None:
        pilot, moving = self.pilot, self.pilot.phase in ("ramp", "back", "settle", "window") and self.pilot.proposal is not None
        if pilot.proposal is not self._underway:
            self._tell("trial", False, wording.OVER, at, findings)
            self._underway = pilot.proposal
            if pilot.proposal is not None:
                self.expected[len(self.tuner.trials)] = pilot.proposal
                self.proposed = pilot.proposal.x
        self._tell("trial", moving, self._trial(row), at, findings)
        self._tell("near", pilot.phase == "back" and pilot.near is not None, self._near(row), at, findings)
        best = self.tuner.best
        said = "" if best is None or best.objective is None else wording.amount(best.objective, self.unit)
        self._tell("settled", pilot.phase == "hold", wording.settled(self.objective, said, len(self.tuner.trials)), at, findings)
        if pilot.phase == "hold":
            self._tell("refused", False, wording.OVER, at, findings)
        for key in sorted(self._said.inherited):
            kind = key.rpartition("/")[2]
            if kind not in self._told:
                findings.append(self._finding(kind, False, wording.OVER, at))
        self._said.inherited.clear()

    def _trial(self, row: Row) -> Text:
        p = self.pilot.proposal
        if p is None:
            return wording.OVER
        moved = [
            (self.title(t), a, b, self.plant.unit_of(t))
            for t, a, b, low, high in zip(self.set_points, row.x, p.x, self.space.low, self.space.high, strict=True)
            if abs(b - a) > 1e-3 * (high - low)
        ]
        expected = "" if p.low is None or p.high is None else f"{wording.amount(p.low, '')}..{wording.amount(p.high, self.unit)}"
        return wording.trial(len(self.tuner.trials) + 1, wording.moves(moved), self.objective, expected)

    def _near(self, row: Row) -> Text:
        if self.pilot.near is None:
            return wording.OVER
        i, tag = self.pilot.near, self.held[self.pilot.near]
        limit = self.space.limits[i]
        return wording.near(self.title(tag), row.values[i], limit.limit, self.plant.unit_of(tag), below=limit.side == "below")

    def _reason(self, moved: Text) -> Text:
        if self.pilot.phase == "back" and self.pilot.near is not None:
            return wording.back(moved, self.title(self.held[self.pilot.near]))
        return wording.step(len(self.tuner.trials) + 1, moved)

    def _tell(self, kind: str, holds: bool, text: Text, at: int, findings: list[Finding]) -> None:
        if holds != (kind in self._told):
            (self._told.add if holds else self._told.discard)(kind)
            findings.append(self._finding(kind, holds, text if holds else wording.OVER, at))

    def _finding(self, kind: str, active: bool, text: Text, at: int) -> Finding:
        return Finding(
            key=self._key(kind),
            app=self.name,
            equipment=self.equipment,
            time=at,
            active=active,
            priority=_PRIORITY[kind],
            text=text,
            action=wording.ACTIONS[kind] if active else Text(""),
            score=1.0 if kind in ("near", "blind") and active else 0.0,
            evidence=self._evidence() if active else (),
        )

    def _key(self, kind: str) -> str:
        return f"{self.equipment or self.name}/{self.name}/{kind}"

    def _evidence(self) -> tuple[Evidence, ...]:
        """The objective's terms and the constrained values as they are, beside the best known."""
        best, row = self.tuner.best, self.row
        if best is None or row is None or not best.terms:
            return ()
        terms = zip(self.weights.items(), row.terms, best.terms, strict=True)
        seen = [(tag, a / w, b / w) for (tag, w), a, b in terms if w]
        seen += list(zip(self.held, row.values, best.values, strict=True))
        return tuple(Evidence(tag=t, value=v, expected=e, unit=self.plant.unit_of(t)) for t, v, e in seen)

    def _signals(self) -> dict[str, float]:
        out = {"trials": float(len(self.tuner.trials)), "radius": self.tuner.radius, "settled": float(self.pilot.phase == "hold")}
        return out if self.row is None else out | {"objective": float(sum(self.row.terms))}

    # --- options and memory -----------------------------------------------------------------------------------------------------

    def _tag(self, tag: str, option: str) -> str:
        found = resolve(self.plant, self.equipment, tag, f"apps.{self.name}.{option}")
        if self.plant.property_of(found).type in ("text", "image"):
            raise AppError(Text(f"{found} is no number", f"{found} 不是数值"), where=f"apps.{self.name}.{option}")
        return found

    def _set_point(self, tag: str) -> str:
        found = self._tag(tag, "vary")
        if not self.plant.tags[found].writable:
            todo = Text("mark it writable in tags.csv and give it a guard", "请在 tags.csv 中标为可写，并配置守护")
            raise AppError(Text(f"{found} cannot be written", f"{found} 不可写"), where=f"apps.{self.name}.vary", todo=todo)
        return found

    def _ramp(self, text: str, tag: str) -> float:
        """Own units per s. Raises AppError."""
        try:
            change, unit, per = parse_rate(text)
            gain = units.factor(unit, self.plant.unit_of(tag))[0] if unit else 1.0
        except RongheError as e:
            raise AppError(e.what, where=f"apps.{self.name}.vary", todo=e.todo) from e
        return change * gain / (per / 1e9)

    def _check_ranges(self) -> None:
        for v in self.options.vary:
            if not v.low < v.high:
                what = Text(f"the range of {v.tag} is empty: {v.low:g}..{v.high:g}", f"{v.tag} 的范围为空：{v.low:g}..{v.high:g}")
                raise AppError(what, where=f"apps.{self.name}.vary")

    def _recall(self) -> memory.Kept:
        what = msgspec.json.encode([self.set_points, self.space, self.weights, self.held]).decode()
        kept = memory.load(self._file, what)
        if kept.trials:
            self.tuner.recall(kept.trials, kept.radius)
        for r in kept.refusals:
            self.tuner.narrow(r.variable, r.value, above=r.above)
        return kept

    def _keep(self) -> None:
        self._kept = msgspec.structs.replace(self._kept, trials=tuple(self.tuner.trials), radius=self.tuner.radius)
        memory.save(self._file, self._kept)
