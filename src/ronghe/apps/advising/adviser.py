"""From a named condition to an advised set-point, one step at a time, never faster than its effect can be seen."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ronghe.apps.advising import wording
from ronghe.apps.advising.headroom import Headroom
from ronghe.apps.advising.rule import Rule
from ronghe.errors import AppError
from ronghe.guard.advice import Advice, Evidence, Expected
from ronghe.guard.limits import compile_guard
from ronghe.plant import Plant
from ronghe.signals.when import parse_duration
from ronghe.text import Text

_WRITTEN = ("writing", "watching", "done", "failed", "rolled_back")  # it was written, or may have been
_OVER = ("done", "failed", "rolled_back", "refused", "rejected", "expired")
_REFUSED = ("refused", "failed", "rolled_back", "expired")

Applies = Callable[[Rule], bool]
"""Whether a rule is for the condition that is."""


def resolve(plant: Plant, equipment: str, tag: str, what: str) -> str:
    """A tag written below the equipment or from the root, as in tags.csv. Raises AppError for one that there is not."""
    for candidate in (tag, f"{equipment}/{tag}"):
        if candidate in plant.tags:
            return candidate
    near = difflib.get_close_matches(tag, [n for t in plant.tags for n in (t.removeprefix(f"{equipment}/"), t)], 1)
    hint = Text(f"did you mean {near[0]!r}?", f"是否想写 {near[0]!r}？") if near else Text("add it to tags.csv", "请在 tags.csv 中添加")
    raise AppError(Text(f"there is no tag {tag!r}", f"没有测点 {tag!r}"), where=what, todo=hint)


@dataclass(slots=True)
class _Standing:
    """An advice that was given: when the next may be, and whether any may be at all."""

    id: str
    next: int
    closed: bool = False


class Adviser:
    """Applies the rules. Knows what became of its advice by `feedback`, which may be called from another thread.

    Raises AppError for a rule whose tags are not there, or cannot be written, or that says neither step nor to; what its `when` names is
    for the app to check.
    """

    def __init__(self, app: str, plant: Plant, equipment: str, rules: Sequence[Rule]) -> None:
        self._app, self._plant, self._rules = app, plant, rules
        where = f"apps.{app}.advise"
        self.set_points = [resolve(plant, equipment, r.set, where) for r in rules]
        self._effects = [resolve(plant, equipment, r.expect.tag, where) if r.expect else "" for r in rules]
        self._given: dict[tuple[str, int], _Standing] = {}  # by finding and rule
        self._outcomes: dict[str, str] = {}
        self._changes: dict[str, tuple[str, float, int]] = {}  # by advice that is not over: set-point, |change|, ns until it must be
        self._written: set[str] = set()  # those of them that were written
        self.now = 0  # time of the newest row, ns
        for rule, tag in zip(rules, self.set_points, strict=True):
            self._check(rule, tag, where)
        self._room = {t: Headroom(compile_guard(plant, plant.guards[t]) if t in plant.guards else None) for t in self.set_points}

    def _check(self, rule: Rule, tag: str, where: str) -> None:
        if (rule.step is None) == (rule.to is None):
            raise AppError(Text("say either step or to", "step 与 to 只能写一个"), where=where)
        if not self._plant.tags[tag].writable:
            raise AppError(
                Text(f"{tag} cannot be written", f"{tag} 不可写"),
                where=where,
                todo=Text("mark it writable in tags.csv and give it a guard", "请在 tags.csv 中标为可写，并配置守护"),
            )
        for duration in (rule.within, rule.after, rule.expires, rule.again):
            parse_duration(duration)

    def feedback(self, advice: str, outcome: str) -> None:
        """What became of an advice."""
        self._outcomes[advice] = outcome
        if advice not in self._changes:
            return
        tag, size, patience = self._changes[advice]
        room = self._room[tag]
        if outcome in _WRITTEN and advice not in self._written:
            room.moved(self.now, size)
            self._written.add(advice)
        if outcome == "rolled_back":  # the way back is a write, too
            room.moved(self.now, size)
        room.open[advice] = self.now + patience
        if outcome in _OVER:
            del self._changes[advice], room.open[advice]
            self._written.discard(advice)

    def due(self, finding: str, now: int) -> bool:
        """Whether it is worth asking for advice on a finding at `now` (ns)."""
        given = [self._given.get((finding, i)) for i in range(len(self._rules))]
        return any(g is None or (not g.closed and (now >= g.next or g.id in self._outcomes)) for g in given)

    def ended(self, finding: str) -> None:
        """A finding has ended: whatever was advised for it is over."""
        for given in [g for g in self._given if g[0] == finding]:
            self._outcomes.pop(self._given.pop(given).id, None)

    def advise(
        self,
        applies: Applies,
        finding: str,
        evidence: tuple[Evidence, ...],
        reason: Text,
        now: int,
        set_points: Mapping[str, float],
        model: str,
    ) -> tuple[Advice, ...]:
        """What is to be advised at `now` (ns) for a finding, given the present set-points. Nothing where one of them is not known."""
        out = []
        for i, rule in enumerate(self._rules):
            given = self._given.get((finding, i))
            if not applies(rule):
                self._given[finding, i] = _Standing("", 0, closed=True)
            elif given is None and parse_duration(rule.after) > 0:
                self._given[finding, i] = _Standing("", now + parse_duration(rule.after))
            elif self._may(finding, i, rule, now):
                present = set_points.get(self.set_points[i], math.nan)
                if math.isnan(present):
                    continue
                value, room = self._value(i, present), self._room[self.set_points[i]]
                free = room.free_from(abs(value - present), now) if value is not None else now + parse_duration(rule.again)
                if value is None or free > now:
                    self._given[finding, i] = _Standing(given.id if given else "", free)
                    continue
                advice = self._write(i, finding, evidence, reason, now, present, value, model)
                self._given[finding, i] = _Standing(advice.id, now + max(parse_duration(rule.within), 1))
                patience = parse_duration(rule.expires) + 2 * parse_duration(rule.within)
                self._changes[advice.id] = self.set_points[i], abs(value - present), patience
                out.append(advice)
        return tuple(out)

    def action(self, applies: Applies, set_points: Mapping[str, float]) -> Text | None:
        """What a person is to know and do: the set-points that are at their end, and the first step that is left; None for neither."""
        said = [self._at_end(i, set_points) for i in self.exhausted(applies, set_points)]
        for i, rule in enumerate(self._rules):
            before = set_points.get(self.set_points[i], math.nan)
            value = self._value(i, before)
            if applies(rule) and value is not None:
                prop = self._plant.property_of(self.set_points[i])
                said.append(wording.change(prop.name(), before, value, prop.unit))
                break
        return Text("; ".join(t.en for t in said), "；".join(t.in_("zh") for t in said)) if said else None

    def exhausted(self, applies: Applies, set_points: Mapping[str, float]) -> tuple[int, ...]:
        """The rules that apply but whose set-point stands at the end of its envelope."""
        present = [set_points.get(tag, math.nan) for tag in self.set_points]
        return tuple(
            i
            for i, rule in enumerate(self._rules)
            if applies(rule) and self._room[self.set_points[i]].at_end(present[i], _wanted(rule, present[i]))
        )

    def _at_end(self, i: int, set_points: Mapping[str, float]) -> Text:
        prop, present = self._plant.property_of(self.set_points[i]), set_points[self.set_points[i]]
        return wording.at_end(prop.name(), present, prop.unit, high=_wanted(self._rules[i], present) > present)

    def _may(self, finding: str, i: int, rule: Rule, now: int) -> bool:
        given = self._given.get((finding, i))
        if given is None:
            return True
        outcome = self._outcomes.pop(given.id, "")
        if outcome == "rejected":
            given.closed = True
        elif outcome in _REFUSED:
            given.next = now + parse_duration(rule.again)
        elif outcome in ("waiting", "advised"):
            given.next = max(given.next, now + parse_duration(rule.expires))
        elif outcome in ("writing", "watching"):  # the guard will say how it ends, at the latest after the time promised
            given.next = max(given.next, now + 2 * parse_duration(rule.within))
        elif outcome == "done":
            given.next = min(given.next, now)  # the effect was seen: the next step may follow
        return not given.closed and now >= given.next

    def _value(self, i: int, present: float) -> float | None:
        return self._room[self.set_points[i]].permitted(present, _wanted(self._rules[i], present))

    def _write(
        self,
        i: int,
        finding: str,
        evidence: tuple[Evidence, ...],
        reason: Text,
        now: int,
        present: float,
        value: float,
        model: str,
    ) -> Advice:
        """The promise is that of the rule's whole step; a part of the step promises that part of it."""
        rule, tag = self._rules[i], self.set_points[i]
        part = (value - present) / (_wanted(rule, present) - present)
        expected = None
        if rule.expect is not None:
            effect = self._effects[i]
            within = parse_duration(rule.within) / 1e9
            expected = Expected(
                tag=effect, low=part * rule.expect.low, high=part * rule.expect.high, within=within, unit=self._plant.unit_of(effect)
            )
        return Advice(
            id=f"{self._app}-{now}-{i}",
            app=self._app,
            tag=tag,
            value=value,
            time=now,
            expires=now + parse_duration(rule.expires),
            reason=reason,
            evidence=evidence,
            expected=expected,
            valid_while=rule.valid_while,
            finding=finding,
            model=model,
        )


def _wanted(rule: Rule, present: float) -> float:
    """The value that a rule would set, whatever the guard permits."""
    return rule.to if rule.to is not None else present + (rule.step or 0.0)
