"""furnace.silicon: how hot the hearth is and where it goes, by the silicon of the next heats.

What may be asked of it (times: ms since 1970 UTC; texts {"en", "zh"}; a number without a value is null):

    state   → {"now", "unit", "silicon": {"value", "time", "age_s", "good"}, "target": {"low", "high"} or null,
              "history": [{"time", "value"}], "fan": [{"time", "mean", "low", "high"}], "past": [{"time", "mean", "low", "high", "value"}],
              "coverage", "hit_rate", "drift", "text", "model": {"hash", "rows", "until"}, "outside": [text]}
    rist    → {"line", "points": [{"name", "x", "y", "title"}], "x_title", "y_title", "carbon", "oxygen", "nitrogen", "assumptions", "from"}
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
from msgspec.structs import replace

from ronghe.apps import advising
from ronghe.apps.advising import Adviser, resolve
from ronghe.apps.advising.adviser import Applies
from ronghe.apps.contract import App, Finding, Page, Priority, Question, Result, Right, Wants
from ronghe.apps.furnace.rist import operating_line, solve
from ronghe.apps.furnace.silicon import present, wiring, wording
from ronghe.apps.furnace.silicon.features import HOUR
from ronghe.apps.furnace.silicon.outlook import Outlook
from ronghe.apps.furnace.silicon.packing import MADE_BY, package, unpack
from ronghe.apps.furnace.silicon.settings import Options
from ronghe.apps.standing import Standing
from ronghe.errors import AppError, ModelError
from ronghe.guard.advice import Advice, Evidence
from ronghe.models import load, save
from ronghe.plant import Plant
from ronghe.plant.units import convert
from ronghe.signals import Window
from ronghe.signals.when import parse_duration
from ronghe.text import Text

log = logging.getLogger(__name__)

Words = Callable[[], tuple[Text, Text, Text]]
"""What is so, what to do about it, and what is said when it is over."""

_SIDES: Final[tuple[wording.Side, ...]] = ("low", "high")
_WORSE: Final = 2.0

_PRIORITY: Final[dict[str, Priority]] = {"low": "medium", "high": "medium", "drift": "low", "refused": "low"}


class Silicon(App):
    """One furnace. Signals: `silicon_forecast`, `silicon_low`, `silicon_high` (%) of a heat tapped now."""

    uses: ClassVar[str] = "furnace.silicon"
    Options: ClassVar[type[Options]] = Options
    pages: ClassVar[tuple[Page, ...]] = (Page(slug="furnace", title=Text("Furnace", "高炉"), view="furnace"),)
    verbs: ClassVar[Mapping[str, Right]] = {"state": "read", "rist": "read"}

    def __init__(self, name: str, plant: Plant, equipment: str, options: Any, state: Path) -> None:
        super().__init__(name, plant, equipment, options if options is not None else Options(), state)
        o: Options = self.options
        where = f"apps.{name}"
        self._every, self._age = parse_duration(o.every), parse_duration(o.assay_age)
        if self._every <= 0:
            raise AppError(Text("every must be longer than nothing", "every 必须大于零"), where=f"{where}.every")
        if o.target is not None and o.target.low >= o.target.high:
            raise AppError(Text("the target's low is not below its high", "目标下限不低于上限"), where=f"{where}.target")
        if o.advise and o.target is None:
            raise AppError(Text("advice needs a target", "给出建议需要先设定目标范围"), where=f"{where}.advise")
        path = Path(plant.folder) / o.model
        if not path.exists():
            raise ModelError(
                Text("there is no such model package", "没有这个模型包"),
                where=str(path),
                todo=Text(f"make it: {MADE_BY} DIR -o {o.model}", f"请先生成：{MADE_BY} DIR -o {o.model}"),
            )
        given = load(path)
        self._trained = unpack(given, str(path))
        self._manifest, self.model = given.manifest, given.hash
        self._silicon = resolve(plant, equipment, o.silicon, f"{where}.silicon")
        self._inputs = wiring.inputs(plant, equipment, given.manifest, o.inputs, where)
        self._measured = wiring.measured(plant, equipment, o.rist_tags, where)
        self._adviser = Adviser(name, plant, equipment, o.advise)
        self._tags = tuple(dict.fromkeys([self._silicon, *self._inputs, *self._measured.values(), *self._adviser.set_points]))
        self._column = {t: j for j, t in enumerate(self._tags)}
        # What was learned since is another file for another model, and for another meaning of its inputs.
        kept = hashlib.sha256(repr((self.model, self._silicon, self._inputs)).encode()).hexdigest()[:16]
        self._kept = state / f"{kept}.model"
        self._take_up()
        self.outlook = Outlook(self._trained.forecaster, self._age)
        self._values: dict[str, float] = {}
        self._time = self._saved = 0
        self._assay: tuple[int, float] | None = None  # the newest, and whether it still is Good
        self._good = False
        self._reasons: tuple[Text, ...] = ()
        self._runs: dict[str, int] = {}  # of each condition: rows for which it has been otherwise than told
        self._told: dict[str, float] = {}  # conditions that stand, and their score as last told
        self._looked = 0
        self._said = Standing(state / "standing.json")

    # --- contract ---------------------------------------------------------------------------------------------------------------

    def wants(self) -> Wants:
        """Its inputs, the assay, the set-points it may advise on."""
        return Wants(tags=self._tags, every=self._every / 1e9, max_age=max(self._age / 1e9, 3 * self._every / 1e9))

    def step(self, window: Window) -> Result:
        """New rows in; forecasts, findings and advice out."""
        findings: list[Finding] = []
        advice: list[Advice] = []
        signals: dict[str, float] = {}
        for i in range(len(window)):
            signals = self._row(window, i)
            self._judge(findings, advice)
        if findings:
            self._said.note(findings)
        return Result(findings=tuple(findings), advice=tuple(advice), signals=signals)

    def ask(self, question: Question) -> object:
        """Answers for its page."""
        match question.verb:
            case "state":
                return present.state(self.outlook, self._time, self.options, self._assay, self._good, self._reasons, self._about())
            case "rist":
                return self._rist()
        return super().ask(question)

    def signal(self, name: str) -> Text:
        """What people call one of its signals."""
        known = {
            "silicon_forecast": Text("silicon expected", "预计硅含量"),
            "silicon_low": Text("silicon, lower end of the 90 % interval", "硅含量 90 % 区间下限"),
            "silicon_high": Text("silicon, upper end of the 90 % interval", "硅含量 90 % 区间上限"),
        }
        return known.get(name) or super().signal(name)

    def feedback(self, advice: str, outcome: str) -> None:
        """Told what became of an advice: paces the next one."""
        self._adviser.feedback(advice, outcome)

    def close(self) -> None:
        """Keeps what was learned."""
        self._keep()

    # --- rows -------------------------------------------------------------------------------------------------------------------

    def _row(self, window: Window, i: int) -> dict[str, float]:
        """Takes a row: the assay if it is new, then the forecast, unless there is a reason against it."""
        self._time = self._adviser.now = int(window.time[i])
        self._values = {t: self._fresh(window, i, t) for t in self._tags}
        self.outlook.at(self._time)
        assay = self._values[self._silicon]
        self._good = math.isfinite(assay)
        if self._good:
            self._assay = (self._time - round(float(window.age[i, self._column[self._silicon]]) * 1e9), assay)
        elif self._assay is not None and not 0 <= self._time - self._assay[0] <= self._age:
            self._assay = None
        row = np.array([self._values[t] for t in self._inputs])
        self._reasons = self._against(row)
        self.outlook.row(self._time, None if self._reasons else row)
        if self._assay is not None:
            self.outlook.assay(*self._assay)
        if self._time - self._saved >= HOUR or self._time < self._saved:
            self._keep()
        said = self.outlook.now
        return {} if said is None else {"silicon_forecast": said.mean, "silicon_low": said.low, "silicon_high": said.high}

    def _fresh(self, window: Window, i: int, tag: str) -> float:
        """Its value; NaN where it is older than its kind may be: the grid keeps all as long as an assay."""
        j = self._column[tag]
        most = self._age / 1e9 if tag == self._silicon else 3 * max(self.plant.tags[tag].every, self._every / 1e9)
        return float(window.value[i, j]) if window.age[i, j] <= most else math.nan

    def _against(self, row: np.ndarray[tuple[int], np.dtype[np.float64]]) -> tuple[Text, ...]:
        """Why nothing can be forecast: no assay, inputs without a value, inputs where the model never was."""
        out = [] if self._assay is not None else [wording.no_assay(self._age / 3.6e12)]
        for tag, value, low, high in zip(self._inputs, row.tolist(), self._trained.low.tolist(), self._trained.high.tolist(), strict=True):
            prop = self.plant.property_of(tag)
            if not math.isfinite(value):
                out.append(wording.missing(prop.name()))
            elif not low <= value <= high:
                out.append(wording.outside(prop.name(), value, low, high, prop.unit))
        return tuple(out)

    def _take_up(self) -> None:
        """What was learned in an earlier life of the app, if it is of the same model."""
        if self._kept.exists():
            try:
                self._trained = unpack(load(self._kept), str(self._kept))
            except ModelError as e:
                log.warning("app %s starts from its model anew: %s", self.name, e)

    def _keep(self) -> None:
        self._saved = self._time
        try:
            save(self._kept, package(self._manifest, self._trained))
        except ModelError as e:  # a full disk must not stop the forecast
            log.warning("app %s: %s", self.name, e)

    # --- findings ---------------------------------------------------------------------------------------------------------------

    def _judge(self, findings: list[Finding], advice: list[Advice]) -> None:
        """Begins and ends what is so, and advises on it."""
        self._condition("refused", bool(self._reasons), lambda: (wording.refused(self._reasons), Text(""), wording.again()), findings)
        inside = self.outlook.coverage()
        drift = self.outlook.drifts()
        self._condition(
            "drift",
            drift,
            lambda: (wording.drifting(inside or 0.0, self.outlook.counted()), wording.refit(), wording.kept()),
            findings,
        )
        for side in _SIDES:
            self._target(side, findings, advice, trusted=not drift)
        self._looked += 1
        if self._said.inherited and self._looked > 2 * self.options.hold:  # said in an earlier life and not seen since
            over = sorted(self._said.inherited - {self._key(k) for k in self._told})
            self._said.inherited.clear()
            text = Text("Over: not seen again since the restart", "已结束：重启后未再出现")
            findings.extend(self._finding(key.rpartition("/silicon_")[2], False, text) for key in over)

    def _target(self, side: wording.Side, findings: list[Finding], advice: list[Advice], *, trusted: bool) -> None:
        o: Options = self.options
        said = self.outlook.now
        if o.target is None:
            return
        limit = o.target.low if side == "low" else o.target.high
        chance = self.outlook.chance(limit, below=side == "low")
        threshold = 0.8 * o.chance if side in self._told else o.chance
        applies = _applies(side)
        set_points = {t: self._values[t] for t in self._adviser.set_points}

        def words() -> tuple[Text, Text, Text]:
            text = wording.back() if said is None else wording.beyond(side, said.mean, said.low, said.high, limit, chance)
            return text, self._adviser.action(applies, set_points) or wording.look(side), wording.back()

        self._condition(side, said is not None and chance >= threshold, words, findings, chance / o.chance, limit)
        beyond = said is not None and (said.mean < limit if side == "low" else said.mean > limit)
        if side in self._told and beyond and trusted and self._adviser.due(self._key(side), self._time):
            evidence = self._evidence(limit)
            advice.extend(self._adviser.advise(applies, self._key(side), evidence, words()[0], self._time, set_points, self.model))

    def _condition(
        self, kind: str, on: bool, words: Words, findings: list[Finding], score: float = 1.0, limit: float | None = None
    ) -> None:
        """One condition, told after it has stood for `hold` rows and when it is twice as bad, and ended after as many rows without it."""
        told = kind in self._told
        self._runs[kind] = self._runs.get(kind, 0) + 1 if on != told else 0
        worse = told and on and score >= _WORSE * self._told[kind]
        if self._runs[kind] < self.options.hold and not worse:
            return
        self._runs[kind] = 0
        text, action, over = words()
        if on:
            self._told[kind] = score
            evidence = self._evidence(limit) if limit is not None else ()
            findings.append(replace(self._finding(kind, True, text), action=action, score=score, evidence=evidence))
        else:
            del self._told[kind]
            self._adviser.ended(self._key(kind))
            findings.append(self._finding(kind, False, over))

    def _key(self, kind: str) -> str:
        return f"{self.equipment or self.name}/silicon_{kind}"

    def _finding(self, kind: str, active: bool, text: Text) -> Finding:
        return Finding(
            key=self._key(kind),
            app=self.name,
            equipment=self.equipment,
            time=self._time,
            active=active,
            priority=_PRIORITY.get(kind, "low"),
            text=text,
            model=self.model,
        )

    def _evidence(self, limit: float) -> tuple[Evidence, ...]:
        if self.outlook.now is None:
            return ()
        return (Evidence(tag=f"apps/{self.name}/silicon_forecast", value=self.outlook.now.mean, expected=limit, unit="%", share=1.0),)

    # --- answers ----------------------------------------------------------------------------------------------------------------

    def _about(self) -> dict[str, Any]:
        t = self._manifest.training
        return {"hash": self.model, "rows": t.rows, "until": t.end // 10**6 or None}

    def _rist(self) -> dict[str, Any]:
        """The balance, with what is measured where it is measured now."""
        taken = {}
        for name, tag in self._measured.items():
            value = self._values.get(tag, math.nan)
            if not math.isfinite(value):
                raise AppError(wording.missing(self.plant.property_of(tag).name()), where=tag)
            taken[name] = convert(value, self.plant.unit_of(tag), wiring.UNITS[name])
        given = replace(self.options.rist, **taken)
        balance = solve(given)
        return present.rist(given, balance, operating_line(given, balance), "tags" if taken else "typed")


def _applies(side: wording.Side) -> Applies:
    def applies(rule: advising.Rule) -> bool:
        return rule.when == f"silicon {side}"

    return applies
