"""furnace.control: holds a process at its targets, inside its limits, by set-points that are advised anew at every step.

Every input is an advice of its own and not a part of one change: the next step corrects what was not carried out, because it plans from
what the set-points show, while a change that takes back all of it when one part fails would leave the process to old values.

What may be asked of it (times: ms since 1970 UTC; texts {"en", "zh"}; a number without a value is null): `path`, see `present`.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

import msgspec
import numpy as np

from ronghe.apps.contract import App, Finding, Page, Priority, Question, Result, Right, Wants
from ronghe.apps.furnace.control import present, wording
from ronghe.apps.furnace.control.controller import Controller, Plan
from ronghe.apps.furnace.control.settings import Options
from ronghe.apps.furnace.control.symbolic import Floats
from ronghe.apps.furnace.control.wiring import row_values, wire_up
from ronghe.apps.standing import Standing
from ronghe.guard.advice import Advice, Evidence
from ronghe.plant import Plant
from ronghe.signals import Window
from ronghe.text import Text

log = logging.getLogger(__name__)

_VALID: Final = 0.8  # part of a step for which an advice is valid: its case is closed before the next comes
_STEPS: Final = 240  # kept for the page
_SAVED: Final = 100  # steps after which what was learned is written down again
_PRIORITY: Final[dict[str, Priority]] = {"measurement": "high", "solver": "medium"}


class Control(App):
    """One process. Signals: `cost` of the step, `solve_ms`, and `NAME_factor` of every parameter that it learns."""

    uses: ClassVar[str] = "furnace.control"
    Options: ClassVar[type[Options]] = Options
    pages: ClassVar[tuple[Page, ...]] = (Page(slug="control", title=Text("Control", "先进控制"), view="tuning"),)
    verbs: ClassVar[Mapping[str, Right]] = {"path": "read"}

    def __init__(self, name: str, plant: Plant, equipment: str, options: Any, state: Path) -> None:
        super().__init__(name, plant, equipment, options if options is not None else Options(), state)
        self.wiring = wire_up(name, plant, equipment, self.options)
        self.control = Controller(self.wiring.process, self.wiring.tuning, self.wiring.parameters)
        self.steps: deque[present.Step] = deque(maxlen=_STEPS)
        self._before: Floats | None = None  # inputs as last known
        self._seen = 0  # rows with everything known
        self._told: set[str] = set()
        self._standing = Standing(state / "standing.json")
        self._memory = state / "learned.json"
        self._recall()

    # --- contract ---------------------------------------------------------------------------------------------------------------

    def wants(self) -> Wants:
        """All measured states, all inputs, and the tags of targets."""
        slowest = max(self.plant.tags[t].every for t in self.wiring.tags)
        return Wants(tags=self.wiring.tags, every=self.wiring.every / 1e9, max_age=1.5 * max(slowest, self.wiring.every / 1e9))

    def step(self, window: Window) -> Result:
        """Each row is a step of the filter and a plan; the newest plan is advised."""
        findings: list[Finding] = []
        advice: tuple[Advice, ...] = ()
        signals: dict[str, float] = {}
        for i in range(len(window)):
            values = dict(zip(window.tags, window.value[i].tolist(), strict=True))
            advice = self._row(int(window.time[i]), values, findings, signals)
        if findings:
            self._standing.note(findings)
        return Result(findings=tuple(findings), advice=advice, signals=signals)

    def ask(self, question: Question) -> object:
        """Answers for its page."""
        if question.verb == "path":
            return present.path(self)
        return super().ask(question)

    def signal(self, name: str) -> Text:
        """What people call one of its signals."""
        return wording.signal(name)

    def close(self) -> None:
        """Keeps what was learned."""
        self._remember()

    # --- a step -----------------------------------------------------------------------------------------------------------------

    def _row(self, at: int, values: dict[str, float], findings: list[Finding], signals: dict[str, float]) -> tuple[Advice, ...]:
        w, e = self.wiring, self.control.estimator
        y, inputs = row_values(w.measured, values), row_values(w.inputs, values)
        goal = np.array([w.wire(n).inward(values[g]) if isinstance(g, str) else g for n, g in w.goals.items()])
        missing = [tag for tag in w.tags if math.isnan(values[tag])]
        # What a row shows of an input was written just after the row before: it was in force since then.
        before = inputs if self._before is None else np.where(np.isnan(inputs), self._before, inputs)
        if not np.isnan(before).any():
            self._before = before
            self.control.observe(y, before)
        self._say("measurement", at, wording.blind(self.plant, missing) if missing else None, findings)
        if missing or not self.control.started:
            return ()
        self._seen += 1
        plan = self.control.plan(goal, inputs)
        self._say("solver", at, wording.no_plan(plan.by) if plan.by != "optimal" else None, findings)
        for c, limit in enumerate(self.control.limits):
            state = w.process.states[limit.state]
            broken = plan.beyond[c] > 1e-3 * state.span
            text = wording.cannot_keep(state, limit.high, limit.value, float(plan.beyond[c])) if broken else None
            self._say(f"{state.name}_{'high' if limit.high else 'low'}", at, text, findings)
        cost = self._cost(y, inputs, goal)
        watching = self._seen <= self.options.look
        by: present.By = "watching" if watching else plan.by
        self.steps.append(
            present.Step(at, inputs, plan.inputs[0], y, cost, self._cost(plan.states[0], plan.inputs[0], goal, full=True), by)
        )
        signals |= {"cost": cost, "solve_ms": 1e3 * plan.seconds}
        for j, i in enumerate(self.control.sampled.learned):
            signals[f"{w.process.parameters[i].name}_factor"] = float(np.exp(e.theta[j]))
        if self._seen % _SAVED == 0:
            self._remember()
        return () if watching or plan.by == "hold" else self._advice(at, plan, inputs, y, goal)

    def _advice(self, at: int, plan: Plan, inputs: Floats, y: Floats, goal: Floats) -> tuple[Advice, ...]:
        w, out = self.wiring, []
        names = [*(s.name for s in w.process.states), *(i.name for i in w.process.inputs)]
        evidence = []
        for j, name in enumerate(w.goals):
            wire = w.wire(name)
            seen = dict(zip((m.name for m in (*w.measured, *w.inputs)), [*y, *inputs], strict=True))[name]
            evidence.append(Evidence(tag=wire.tag, value=wire.outward(float(seen)), expected=wire.outward(float(goal[j])), unit=wire.unit))
        ends = np.concatenate([plan.states[-1], plan.inputs[-1]])
        reached = [(w.wire(n), w.wire(n).outward(float(ends[names.index(n)]))) for n in w.goals]
        reason = wording.reason(reached, len(plan.inputs) * w.every / 1e9, plan.by)
        for j, i in enumerate(w.process.inputs):
            value = float(plan.inputs[0, j])
            if abs(value - inputs[j]) <= self.options.least * (i.high - i.low):
                continue
            out.append(
                Advice(
                    id=f"{self.name}-{at}-{i.name}",
                    app=self.name,
                    tag=w.inputs[j].tag,
                    value=w.inputs[j].outward(value),
                    time=at,
                    expires=at + int(_VALID * w.every),
                    reason=reason,
                    evidence=tuple(evidence),
                )
            )
        return tuple(out)

    def _cost(self, shown: Floats, inputs: Floats, goal: Floats, *, full: bool = False) -> float:
        """What a step costs by its targets, in spans and ranges squared; `shown` are all states (`full`) or the measured ones."""
        w = self.wiring
        states = list(range(len(w.process.states))) if full else list(self.control.sampled.measured)
        at = {w.process.states[i].name: (shown[k], w.process.states[i].span) for k, i in enumerate(states)}
        at |= {i.name: (inputs[j], i.high - i.low) for j, i in enumerate(w.process.inputs)}
        return float(sum(weight * ((at[n][0] - goal[j]) / at[n][1]) ** 2 for j, (n, weight) in enumerate(w.tuning.targets.items())))

    # --- findings ---------------------------------------------------------------------------------------------------------------

    def _say(self, kind: str, at: int, text: Text | None, findings: list[Finding]) -> None:
        key = f"{self.equipment or self.name}/control/{kind}"
        standing = key in self._told or key in self._standing.inherited
        if (text is None and not standing) or (text is not None and key in self._told):
            return
        (self._told.discard if text is None else self._told.add)(key)
        findings.append(
            Finding(
                key=key,
                app=self.name,
                equipment=self.equipment,
                time=at,
                active=text is not None,
                priority=_PRIORITY.get(kind, "high"),
                text=text or Text("no longer so", "已恢复正常"),
                action=wording.action(kind) if text is not None else Text(""),
            )
        )

    # --- memory -----------------------------------------------------------------------------------------------------------------

    def _remember(self) -> None:
        e = self.control.estimator
        learned = _Learned(self._names(), e.theta.tolist(), e.d.tolist(), e.cov.tolist())
        part = self._memory.with_suffix(".part")
        try:
            part.write_bytes(msgspec.json.encode(learned))
            part.replace(self._memory)
        except OSError as e2:  # a full disk must not keep it from controlling
            log.warning("%s is not written: %s", self._memory, e2)

    def _recall(self) -> None:
        """What was learned in an earlier life, where it is of this very model."""
        e = self.control.estimator
        try:
            found = msgspec.json.decode(self._memory.read_bytes(), type=_Learned)
        except FileNotFoundError:
            return
        except (OSError, msgspec.DecodeError) as error:
            log.warning("%s is passed over: %s", self._memory, error)
            return
        cov = np.array(found.cov)
        if found.names == self._names() and cov.shape == e.cov.shape and np.isfinite(cov).all():
            e.theta, e.d, e.cov = np.array(found.theta), np.array(found.d), cov

    def _names(self) -> list[str]:
        """Of what is learned, with the values from which: a change of the model begins anew."""
        c = self.control
        states = [c.process.states[i].name for i in c.sampled.measured]
        return [f"{c.process.parameters[i].name}={c.parameters[i]!r}" for i in c.sampled.learned] + states


class _Learned(msgspec.Struct, frozen=True):
    names: list[str]
    theta: list[float]
    d: list[float]
    cov: list[list[float]]
