"""State detection (ISO 13374): learns normal operation, says when the equipment leaves it, names the cause, advises.

Rows → moving windows → score (`normal`, `scorer`) → excursion (`excursion`) → cause (`cause`) → finding, and by a rule advice (`rules`).
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ronghe.apps.advising import Adviser, resolve
from ronghe.apps.contract import App, Finding, Page, Priority, Result, Wants
from ronghe.apps.maintenance import rules, wording
from ronghe.apps.maintenance.cause import Cause, Departures, Measured, explain
from ronghe.apps.maintenance.excursion import Excursion
from ronghe.apps.maintenance.normal import Normal, learn
from ronghe.apps.maintenance.packing import match, pack, unpack
from ronghe.apps.maintenance.rowfile import RowFile
from ronghe.apps.maintenance.scorer import Scorer
from ronghe.apps.maintenance.sensors import Fault, SensorWatch
from ronghe.apps.maintenance.settings import Options
from ronghe.apps.standing import Standing
from ronghe.errors import AppError, ModelError
from ronghe.guard.advice import Advice
from ronghe.models import load, save
from ronghe.plant import Plant
from ronghe.signals import Window
from ronghe.signals import quality as q
from ronghe.signals.when import parse_duration
from ronghe.text import Text

log = logging.getLogger(__name__)

_NEWS = 1.5  # a standing finding is told again when its score has changed by this factor


class Detect(App):
    """One equipment watched. Signals: `score` (1 is the limit), `judged` (1, or 0 where a row is out of scope), `learned` (0..1)."""

    uses: ClassVar[str] = "maintenance.detect"
    Options: ClassVar[type[Options]] = Options
    pages: ClassVar[tuple[Page, ...]] = (Page(slug="state", title=Text("State detection", "状态检测")),)

    def __init__(
        self, name: str, plant: Plant, equipment: str, options: Any, state: Path, *, clock: Callable[[], int] = time.time_ns
    ) -> None:
        super().__init__(name, plant, equipment, options if options is not None else Options(), state)
        o: Options = self.options
        self._clock = clock
        self._every = parse_duration(o.every)
        if self._every <= 0:
            raise AppError(Text("every must be longer than nothing", "every 必须大于零"), where=f"apps.{name}.every")
        self.columns = _columns(plant, equipment, o, name)
        self._adviser = Adviser(name, plant, equipment, o.advise)
        rules.check(o.advise, plant, equipment, f"apps.{name}.advise")
        self._running = resolve(plant, equipment, o.running.tag, f"apps.{name}.running") if o.running else ""
        judged = [c.tag for c in self.columns]
        self._k = len(judged)
        self._tags = tuple(dict.fromkeys([*judged, *self._adviser.set_points, *([self._running] if self._running else [])]))
        self._set_points = [(t, self._tags.index(t)) for t in dict.fromkeys(self._adviser.set_points)]
        self._settling = 0  # rows after a start still to wait out
        self._cause: Cause | None = None
        self._told, self._standing = 0.0, 0  # score of the finding as last told; rows for which it has stood
        self._exhausted: set[int] = set()  # rules of which it was told that their set-point is at its end
        self._blind = False
        self._excursion = Excursion(self._rows(o.hold), self._rows(o.release))
        self._said = Standing(state / "standing.json")
        self._second_look = self._rows(o.hold) + self._rows(o.release) + self._rows(o.silent)  # judged rows until what is not said is over
        self._rows_to_learn = max(self._rows(o.learn), 1)
        self._learning: RowFile | None = None
        self.model = ""
        if not self._known_model():
            self._learning = RowFile(state, judged, self._every / 1e9)

    def _rows(self, duration: str) -> int:
        return -(-parse_duration(duration) // self._every)

    # --- contract ---------------------------------------------------------------------------------------------------------------

    def wants(self) -> Wants:
        """Its measured tags, the set-points it may advise on, and the tag that says whether the equipment runs."""
        slowest = max(self.plant.tags[t].every for t in self._tags)
        return Wants(tags=self._tags, every=self._every / 1e9, max_age=3 * max(slowest, self._every / 1e9))

    def step(self, window: Window) -> Result:
        """New rows in, findings and advice out."""
        findings: list[Finding] = []
        advice: list[Advice] = []
        signals: dict[str, float] = {}
        for i in range(len(window)):
            row = window.value[i, : self._k]
            if not self._in_scope(window, i):
                signals = {"judged": 0.0}
            elif self._learning is not None:
                signals = self._learn_row(int(window.time[i]), row)
            else:
                signals = self._judge_row(window, i, row, findings, advice)
            if self._said.inherited and self._second_look <= 0:
                findings.extend(self._over(int(window.time[i]), {f.key for f in findings}))
        if findings:
            self._said.note(findings)
        return Result(findings=tuple(findings), advice=tuple(advice), signals=signals)

    def feedback(self, advice: str, outcome: str) -> None:
        """Told what became of an advice: paces the next one."""
        self._adviser.feedback(advice, outcome)

    # --- scope ------------------------------------------------------------------------------------------------------------------

    def _in_scope(self, window: Window, i: int) -> bool:
        """Whether the equipment runs and has settled; where nothing says, it does."""
        rule = self.options.running
        if rule is None:
            return True
        value = window.value[i, self._tags.index(self._running)]
        runs = not math.isnan(value) and (rule.above is None or value > rule.above) and (rule.below is None or value < rule.below)
        if not runs:
            self._settling = self._rows(rule.settle)
            if self._learning is None:
                self._scorer.reset()
            return False
        self._settling -= 1
        return self._settling < 0

    # --- learning ---------------------------------------------------------------------------------------------------------------

    @property
    def _package(self) -> Path:
        return self.state / "normal.model"

    def _known_model(self) -> bool:
        """Takes up a given or an earlier learned model; says whether there is one."""
        given = self.options.model
        path = Path(self.plant.folder) / given if given else self._package
        if not given and not path.exists():
            return False
        try:
            package = load(path)
            normal = unpack(package, str(path))
            order = match(package, self.columns, str(path))
        except ModelError as e:
            if given:
                raise
            log.warning("app %s learns anew: %s", self.name, e)
            return False
        if not given and order != list(range(len(self.columns))):
            log.info("app %s learns anew: its tags have changed", self.name)
            return False
        self._take_up(normal, order, package.hash)
        return True

    def _take_up(self, normal: Normal, order: list[int], model: str) -> None:
        """Judges from now on by this model, whose inputs are the columns in `order`."""
        self._inputs = np.array(order, np.intp)
        self.columns = [self.columns[j] for j in order]
        self._scorer = Scorer(normal.to_accuracy(self._accuracy()))
        self._judged = self._scorer.normal.judged
        self._departures = Departures(len(self.columns))
        self._sensors = SensorWatch(normal.run, normal.low, normal.high, max(self._rows(self.options.silent), 1))
        self.model = model

    def _learn_row(self, at: int, row: NDArray[np.float64]) -> dict[str, float]:
        """Keeps a row of normal operation; fits when there are enough."""
        assert self._learning is not None
        if 2 * int(np.isnan(row).sum()) <= len(row):
            self._learning.append(at, row)
        if self._learning.rows >= self._rows_to_learn:
            self._fit()
            return {"learned": 1.0, "judged": 0.0}
        return {"learned": self._learning.rows / self._rows_to_learn, "judged": 0.0}

    def _fit(self) -> None:
        assert self._learning is not None
        times, rows = self._learning.read()
        try:
            normal = learn(rows, window=self.options.window, false_alarm=self.options.false_alarm)
        except AppError:
            self._rows_to_learn = 2 * len(rows)  # too few, or nothing moved yet: the runner says why, and it goes on learning
            raise
        package = pack(normal, self.columns, rows, name=self.name, created=self._clock(), time=times, every=self._every / 1e9)
        try:
            model = save(self._package, package)
            self._learning.delete()
        except ModelError as e:  # a full disk: judge by what was learned; the rows are still there for the next start
            log.warning("app %s: %s", self.name, e)
            model = ""
        self._learning = None
        self._take_up(normal, list(range(len(self.columns))), model)
        for row in rows[-normal.window :]:
            self._scorer.step(row)

    def _accuracy(self) -> NDArray[np.float64]:
        """Uncertainty of each instrument, from the range in the dictionary; 0 where it gives none."""
        ranges = [self.plant.dictionary[c.prop] for c in self.columns]
        spans = [p.high - p.low if p.high is not None and p.low is not None else 0.0 for p in ranges]
        return self.options.accuracy * np.array(spans)

    # --- judging ----------------------------------------------------------------------------------------------------------------

    def _judge_row(
        self, window: Window, i: int, row: NDArray[np.float64], findings: list[Finding], advice: list[Advice]
    ) -> dict[str, float]:
        at = self._adviser.now = int(window.time[i])
        row = row[self._inputs]
        for j, fault in self._sensors.step(row):
            findings.append(self._sensor(j, fault, window, i))
        score = self._scorer.step(self._sensors.trusted(row))
        self._say_blind(at, findings)
        if math.isnan(score):
            return {"judged": 0.0}
        self._second_look -= 1
        self._departures.step(self._scorer)
        active = self._excursion.step(score)
        if active:
            self._out(at, score, window.value[i], findings, advice)
        elif self._cause is not None:
            findings.append(self._end(at, self._cause))
        return {"score": score, "judged": 1.0}

    def _out(self, at: int, score: float, values: NDArray[np.float64], findings: list[Finding], advice: list[Advice]) -> None:
        """The equipment is away from normal: tell it when it is news, and see whether there is something to advise."""
        self._standing += 1
        far = not self._told / _NEWS < score < self._told * _NEWS
        news = score > 1.0 and (far or self._standing == self._scorer.normal.window)  # the window now holds nothing from before
        if not news and not self._adviser.due(self._cause.key if self._cause is not None else "", at):
            return
        named = None if self._cause is None or (news and self._departures.outgrown(self._cause)) else self._cause
        cause, evidence, followers = explain(self._scorer, self._departures, self.columns, named)
        if self._cause is not None and cause.key != self._cause.key:
            if not news:  # on its way back through the level expected
                return
            findings.append(self._end(at, self._cause))
        self._cause = cause
        text = wording.departed(cause, followers, wording.place(self.plant, self.equipment, cause.of.tag))
        set_points = {tag: float(values[j]) for tag, j in self._set_points}
        applies = rules.applies_to(cause, self.equipment)
        exhausted = self._adviser.exhausted(applies, set_points)
        if news or (score > 1.0 and not self._exhausted.issuperset(exhausted)):
            self._told = score
            self._exhausted.update(exhausted)
            findings.append(
                Finding(
                    key=cause.key,
                    app=self.name,
                    equipment=self.equipment,
                    time=at,
                    active=True,
                    priority=self.options.priority,
                    text=text,
                    action=self._adviser.action(applies, set_points) or wording.look_into(cause),
                    score=score,
                    evidence=evidence,
                    model=self.model,
                )
            )
        if score > 1.0:
            advice.extend(self._adviser.advise(applies, cause.key, evidence, text, at, set_points, self.model))

    def _end(self, at: int, cause: Cause) -> Finding:
        self._adviser.ended(cause.key)
        self._cause, self._told, self._standing = None, 0.0, 0
        self._exhausted.clear()
        text = wording.back_to_normal(cause, wording.place(self.plant, self.equipment, cause.of.tag))
        return self._condition(cause.key, at, False, self.options.priority, text)

    def _over(self, at: int, said: set[str]) -> list[Finding]:
        """Ends conditions that stood when the app was last stopped and have not been seen since."""
        keys = sorted(self._said.inherited - said)
        self._said.inherited.clear()
        text = Text("Over: not seen again since the restart", "已结束：重启后未再出现")
        return [self._condition(k, at, False, self.options.priority, text) for k in keys]

    def _sensor(self, j: int, fault: Fault | None, window: Window, i: int) -> Finding:
        """A sensor that gives nothing, or always the same."""
        c, seconds = self.columns[j], self._every / 1e9
        if fault == "stuck":
            usual = float(self._scorer.normal.run[j]) * seconds
            text = wording.stuck(c.name, c.tag, float(self._sensors.same[j]) * seconds, usual)
        else:
            code = int(window.quality[i, self._tags.index(c.tag)])
            text = wording.no_value(c.name, c.tag, float(self._sensors.empty[j]) * seconds, q.reason(code))
        return self._condition(f"{c.tag}_sensor", int(window.time[i]), fault is not None, "low", text)

    def _say_blind(self, at: int, findings: list[Finding]) -> None:
        """Too many values missing to judge by, for as long as a dead sensor takes; or no longer."""
        missing = sum(fault == "dead" and bool(self._judged[j]) for j, fault in self._sensors.faults.items())
        blind = 2 * missing > self._judged.sum() if missing else False
        if blind != self._blind:
            self._blind = bool(blind)
            text = wording.not_judged(self.plant.equipment_name(self.equipment), missing, int(self._judged.sum()))
            findings.append(self._condition(f"{self.equipment or self.name}/not_judged", at, self._blind, "low", text))

    def _condition(self, key: str, at: int, active: bool, priority: Priority, text: Text) -> Finding:
        return Finding(
            key=key, app=self.name, equipment=self.equipment, time=at, active=active, priority=priority, text=text, model=self.model
        )


def _columns(plant: Plant, equipment: str, options: Options, name: str) -> list[Measured]:
    """The tags to judge: measured numbers under the equipment, as the options say. Raises AppError when none is left."""
    chosen = []
    for tag in plant.tags_under(equipment):
        prop = plant.property_of(tag.tag)
        below = tag.tag.removeprefix(f"{equipment}/")
        names = (tag.tag, below, prop.property)
        if prop.type not in ("float", "int") or (tag.writable and not options.tags):
            continue
        if options.tags and not any(fnmatchcase(n, p) for n in names for p in options.tags):
            continue
        if not any(fnmatchcase(n, p) for n in names for p in options.exclude):
            chosen.append((tag, prop))
    if not chosen:
        raise AppError(
            Text(f"no measured numbers under {equipment!r}", f"{equipment!r} 下没有可用的数值测点"),
            where=f"apps.{name}",
            todo=Text("check `equipment`, `tags` and `exclude`", "请检查 equipment、tags 与 exclude"),
        )
    shared = [p.property for _, p in chosen]
    return [Measured(t.tag, p.property, _name(p.name(), t.tag, shared.count(p.property) > 1), p.unit, p.name()) for t, p in chosen]


def _name(name: Text, tag: str, ambiguous: bool) -> Text:
    """The property's name; with the tag's own where several tags have the property."""
    if not ambiguous:
        return name
    last = tag.rpartition("/")[2]
    return Text(f"{name.en} ({last})", f"{name.in_('zh')}（{last}）")
