"""Gas, temperature and pressure limits by M-out-of-N voting over redundant sensors, latched, with an interlock request.

Advisory: it replaces no safety instrumented function (IEC 61511). See docs/safety.md.

Row → votes (`voting`) → hold → trip, latched until a person resets it → finding, and the request to the guard (`interlock`).

What may be asked of it:

    groups  GET   → [{"name", "vote", "tripped", "since": ns, "votes", "needed", "values": [...], "bad": [...], "resettable": bool}]
    reset   POST  {"group": name}; as an operator. Refused while the votes still say trip. In the ledger with who did it.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from ronghe.apps.advising import resolve
from ronghe.apps.contract import App, Page, Question, Result, Right, Wants
from ronghe.apps.safety import limit_wording as wording
from ronghe.apps.safety.interlock import Interlocks
from ronghe.apps.safety.settings import Group, LimitsOptions
from ronghe.apps.safety.telling import Telling
from ronghe.apps.safety.voting import Outcome, Voting
from ronghe.apps.standing import Standing
from ronghe.errors import AppError
from ronghe.guard.advice import Evidence
from ronghe.plant import Plant
from ronghe.signals import Window
from ronghe.signals.when import parse_duration
from ronghe.text import Text

log = logging.getLogger(__name__)

_MINUTE: Final = 60_000_000_000  # ns after which a condition of an earlier life that was not told again is over


@dataclass(slots=True)
class _Watched:
    """One group at work. Times in ns; 0 is "not"."""

    group: Group
    tags: tuple[str, ...]
    columns: list[int]
    voting: Voting
    unit: str
    over_since: int = 0
    tripped: int = 0
    apart_since: int = 0
    outcome: Outcome | None = None
    value: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))


class Limits(App):
    """Limits of one equipment watched. Signals: by group `GROUP/votes` and `GROUP/tripped` (0 or 1)."""

    uses: ClassVar[str] = "safety.limits"
    safety: ClassVar[bool] = True
    Options: ClassVar[type[LimitsOptions]] = LimitsOptions
    pages: ClassVar[tuple[Page, ...]] = (Page(slug="limits", title=Text("Voted limits", "表决限值")),)
    verbs: ClassVar[Mapping[str, Right]] = {"groups": "read", "reset": "operate"}

    def __init__(
        self, name: str, plant: Plant, equipment: str, options: Any, state: Path, *, clock: Callable[[], int] = time.time_ns
    ) -> None:
        super().__init__(name, plant, equipment, options if options is not None else LimitsOptions(), state)
        o: LimitsOptions = self.options
        self._clock = clock
        self._every, self._max_age = parse_duration(o.every), parse_duration(o.max_age)
        if self._every <= 0:
            raise AppError(Text("every must be longer than nothing", "every 必须大于零"), where=f"apps.{name}.every")
        if not o.groups:
            raise AppError(Text("there is no group of sensors", "未配置传感器组"), where=f"apps.{name}.groups")
        self._interlocks = Interlocks(name, plant, equipment, o.request, [g.name for g in o.groups])
        places = [tuple(resolve(plant, equipment, t, f"apps.{name}.groups.{g.name}") for t in g.tags) for g in o.groups]
        self._tags = tuple(dict.fromkeys([*(t for tags in places for t in tags), *self._interlocks.tags]))
        self._groups = [self._watched(g, tags) for g, tags in zip(o.groups, places, strict=True)]
        if len({g.name for g in o.groups}) < len(o.groups):
            raise AppError(Text("two groups have the same name", "传感器组名称重复"), where=f"apps.{name}.groups")
        self._latches = state / "tripped.json"
        self._tell = Telling(name, equipment, self._interlocks)
        self._said = Standing(state / "standing.json")
        self._resets: list[tuple[_Watched, str]] = []
        self._rows = 0
        self._take_up()

    def _watched(self, group: Group, tags: tuple[str, ...]) -> _Watched:
        where = f"apps.{self.name}.groups.{group.name}"
        m, n = int(group.vote[0]), int(group.vote[-1])
        if n != len(tags) or m > n or len(set(tags)) < n:
            what = Text(f"{group.vote} does not fit {len(tags)} sensors", f"{group.vote} 与 {len(tags)} 个传感器不符")
            raise AppError(what, where=where, todo=Text(f"e.g. {min(m, len(tags))}oo{len(tags)}", f"例如 {min(m, len(tags))}oo{len(tags)}"))
        if group.high is None and group.low is None:
            raise AppError(Text("say high or low, or both", "high 与 low 至少写一个"), where=where)
        if group.high is not None and group.low is not None and group.low >= group.high:
            raise AppError(Text("low is not below high", "low 须小于 high"), where=where)
        units = {self.plant.unit_of(t) for t in tags}
        if len(units) > 1:
            shown = ", ".join(sorted(units))
            raise AppError(Text(f"its sensors have different units: {shown}", f"各传感器单位不一致：{shown}"), where=where)
        for duration in (group.hold, group.discrepancy_hold):
            parse_duration(duration)
        return _Watched(group, tags, [self._tags.index(t) for t in tags], Voting(group), units.pop())

    # --- contract ---------------------------------------------------------------------------------------------------------------

    def wants(self) -> Wants:
        """The sensors, and the set-points that it asks to be set."""
        return Wants(tags=self._tags, every=self._every / 1e9, max_age=self._max_age / 1e9)

    def step(self, window: Window) -> Result:
        """New rows in, findings and requests out."""
        if not len(window):
            return Result()
        signals: dict[str, float] = {}
        for i in range(len(window)):
            now = int(window.time[i])
            row = Window(window.tags, window.time[i : i + 1], window.value[i : i + 1], window.quality[i : i + 1], window.age[i : i + 1])
            self._interlocks.look(row)
            for w in self._groups:
                self._judge(w, window.value[i, w.columns], now)
                signals[f"{w.group.name}/votes"] = float(w.outcome.votes if w.outcome else 0)
                signals[f"{w.group.name}/tripped"] = 1.0 if w.tripped else 0.0
            self._rows += 1
            if self._said.inherited and self._rows * self._every > _MINUTE:
                for key in sorted(self._said.inherited - set(self._tell.standing)):
                    self._tell.over(key, now)
                self._said.inherited.clear()
        if self._tell.findings:
            self._said.note(self._tell.findings)
        return self._tell.taken(signals)

    def feedback(self, advice: str, outcome: str) -> None:
        """Told what became of a request."""
        self._interlocks.feedback(advice, outcome)

    # --- judging ----------------------------------------------------------------------------------------------------------------

    def _judge(self, w: _Watched, value: NDArray[np.float64], now: int) -> None:
        outcome = w.outcome = w.voting.step(value)
        w.value = value
        self._tell_sensors(w, outcome, now)
        key, name = self._key(w.group.name), w.group.name
        if outcome.trip:
            w.over_since = w.over_since or now
            if not w.tripped and now - w.over_since >= parse_duration(w.group.hold):
                w.tripped = now
                self._keep()
        else:
            w.over_since = 0
            if w.tripped and w.group.reset == "auto":
                w.tripped = 0
                self._keep()
        if not w.tripped:
            if key in self._tell.standing:
                self._tell.end(key, now, wording.back(name, self._reset_by(w)))
            return
        if key not in self._tell.standing:
            text = wording.tripped(w.group, w.unit, outcome, [wording.value(float(v), w.unit) for v in value])
            action = wording.ACTION_LATCHED if w.group.reset == "manual" else wording.ACTION
            self._tell.begin(key, now, "critical", text, action, self._evidence(w), score=1.0)
        self._tell.request(key, name, w.tripped, now)

    def _tell_sensors(self, w: _Watched, outcome: Outcome, now: int) -> None:
        """Sensors that give nothing, and sensors that disagree."""
        standing = self._tell.standing
        for i, tag in enumerate(w.tags):
            key = f"{self._key(w.group.name)}/sensor/{tag}"
            if i in outcome.bad and key not in standing:
                self._tell.begin(key, now, "high", wording.sensor_bad(tag, w.group, outcome), wording.SEE_TO_SENSOR, score=1.0)
            elif i not in outcome.bad and key in standing:
                self._tell.end(key, now, wording.sensor_good(tag))
        most = w.group.discrepancy
        if most is None:
            return
        key = f"{self._key(w.group.name)}/discrepancy"
        if not outcome.spread > most:
            w.apart_since = 0
            if key in standing and not math.isnan(outcome.spread):
                self._tell.end(key, now, wording.agree(w.group.name))
            return
        w.apart_since = w.apart_since or now
        if key not in standing and now - w.apart_since >= parse_duration(w.group.discrepancy_hold):
            text = wording.apart(w.group, w.unit, outcome.spread)
            self._tell.begin(key, now, "medium", text, wording.SEE_TO_SENSOR, self._evidence(w), score=1.0)

    def _evidence(self, w: _Watched) -> tuple[Evidence, ...]:
        limit = w.group.high if w.group.high is not None else w.group.low
        assert limit is not None
        return tuple(
            Evidence(tag=t, value=float(v), expected=limit, unit=w.unit) for t, v in zip(w.tags, w.value, strict=True) if np.isfinite(v)
        )

    def _key(self, group: str) -> str:
        return f"{self.equipment}/{self.name}/{group}"

    # --- latch and reset --------------------------------------------------------------------------------------------------------

    def _keep(self) -> None:
        """Trips outlive the process: a restart is no reset."""
        part = self._latches.with_suffix(".part")
        try:
            part.write_bytes(msgspec.json.encode({w.group.name: w.tripped for w in self._groups if w.tripped}))
            part.replace(self._latches)
        except OSError as e:
            log.warning("%s is not written: %s", self._latches, e)

    def _take_up(self) -> None:
        try:
            kept = msgspec.json.decode(self._latches.read_bytes(), type=dict[str, int])
        except FileNotFoundError:
            return
        except (OSError, msgspec.DecodeError) as e:
            log.warning("%s cannot be read, every group counts as tripped: %s", self._latches, e)
            kept = {w.group.name: self._clock() for w in self._groups}
        for w in self._groups:
            w.tripped = kept.get(w.group.name, 0) if w.group.reset == "manual" else 0

    def ask(self, question: Question) -> object:
        """Answers; see the module."""
        if question.verb == "groups":
            return [self._answer(w) for w in self._groups]
        if question.verb == "reset":
            return self._reset(str(question.body.get("group", "")), question.who)
        return super().ask(question)

    def _answer(self, w: _Watched) -> dict[str, Any]:
        o = w.outcome
        return {
            "name": w.group.name,
            "vote": w.group.vote,
            "tripped": bool(w.tripped),
            "since": w.tripped,
            "votes": o.votes if o else 0,
            "needed": o.needed if o else 0,
            "tags": list(w.tags),
            "values": [float(v) if np.isfinite(v) else None for v in w.value],
            "unit": w.unit,
            "bad": [w.tags[i] for i in o.bad] if o else [],
            "resettable": bool(w.tripped) and o is not None and not o.trip,
        }

    def _reset(self, name: str, who: str) -> dict[str, Any]:
        found = [w for w in self._groups if w.group.name == name]
        where = f"apps.{self.name}.groups"
        if not found:
            raise AppError(Text(f"there is no group {name[:60]!r}", f"没有传感器组 {name[:60]!r}"), where=where)
        w = found[0]
        if w.outcome is None or w.outcome.trip:
            what = Text("the sensors still vote to trip, or none was seen since the start", "传感器仍表决为跳车，或启动后尚无数据")
            raise AppError(what, where=f"{where}.{name}", todo=Text("mend the cause first", "请先消除原因"))
        w.tripped = 0
        self._resets.append((w, who))
        self._keep()
        return self._answer(w)

    def _reset_by(self, w: _Watched) -> str:
        who = [by for of, by in self._resets if of is w]
        self._resets = [r for r in self._resets if r[0] is not w]
        return who[-1] if who else ""
