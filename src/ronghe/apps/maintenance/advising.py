"""From a named cause to an advised set-point, one step at a time, never faster than its effect can be seen."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass

from ronghe.apps.maintenance import wording
from ronghe.apps.maintenance.cause import Cause
from ronghe.apps.maintenance.settings import Rule
from ronghe.errors import AppError
from ronghe.guard.advice import Advice, Evidence, Expected
from ronghe.plant import Plant
from ronghe.signals.when import parse_duration
from ronghe.text import Text

_REFUSED = ("refused", "failed", "rolled_back", "expired")


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
    """Applies the rules. Knows what became of its advice by `feedback`, which may be called from another thread."""

    def __init__(self, app: str, plant: Plant, equipment: str, rules: tuple[Rule, ...]) -> None:
        self._app, self._plant, self._equipment, self._rules = app, plant, equipment, rules
        where = f"apps.{app}.advise"
        self.set_points = [resolve(plant, equipment, r.set, where) for r in rules]
        self._effects = [resolve(plant, equipment, r.expect.tag, where) if r.expect else "" for r in rules]
        self._given: dict[tuple[str, int], _Standing] = {}  # by finding and rule
        self._outcomes: dict[str, str] = {}
        for rule, tag in zip(rules, self.set_points, strict=True):
            self._check(rule, tag, where)

    def _check(self, rule: Rule, tag: str, where: str) -> None:
        if (rule.step is None) == (rule.to is None):
            raise AppError(Text("say either step or to", "step 与 to 只能写一个"), where=where)
        if not self._plant.tags[tag].writable:
            raise AppError(
                Text(f"{tag} cannot be written", f"{tag} 不可写"),
                where=where,
                todo=Text("mark it writable in tags.csv and give it a guard", "请在 tags.csv 中标为可写，并配置守护"),
            )
        known = {name for t in self._plant.tags.values() for name in self._names(t.tag, t.property)}
        name = rule.when.split()[0] if rule.when.split() else ""
        if name not in known or rule.when.split()[1:] not in ([], ["low"], ["high"], ["unsteady"]):
            near = difflib.get_close_matches(name, known, 1)
            raise AppError(
                Text(f"when = {rule.when!r} names no property", f"when = {rule.when!r} 未指明任何属性"),
                where=where,
                todo=Text(f"did you mean {near[0]!r}?", f"是否想写 {near[0]!r}？")
                if near
                else Text("e.g. cooler_efficiency low", "例如 cooler_efficiency low"),
            )
        for duration in (rule.within, rule.after, rule.expires, rule.again):
            parse_duration(duration)

    def feedback(self, advice: str, outcome: str) -> None:
        """What became of an advice."""
        self._outcomes[advice] = outcome

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
        cause: Cause,
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
            if not self._matches(rule, cause):
                self._given[finding, i] = _Standing("", 0, closed=True)
            elif given is None and parse_duration(rule.after) > 0:
                self._given[finding, i] = _Standing("", now + parse_duration(rule.after))
            elif self._may(finding, i, rule, now):
                value = self._value(rule, set_points.get(self.set_points[i], math.nan))
                if value is not None:
                    advice = self._write(i, cause, finding, evidence, reason, now, value, model)
                    self._given[finding, i] = _Standing(advice.id, now + max(parse_duration(rule.within), 1))
                    out.append(advice)
        return tuple(out)

    def action(self, cause: Cause, set_points: Mapping[str, float]) -> Text | None:
        """What the first rule that applies would have a person do, or None."""
        for i, rule in enumerate(self._rules):
            tag = self.set_points[i]
            before = set_points.get(tag, math.nan)
            value = self._value(rule, before)
            if self._matches(rule, cause) and value is not None:
                prop = self._plant.property_of(tag)
                return wording.change(prop.name(), before, value, prop.unit)
        return None

    def _matches(self, rule: Rule, cause: Cause) -> bool:
        name, *way = rule.when.split()
        return name in self._names(cause.of.tag, cause.of.prop) and way in ([], [cause.way])

    def _names(self, tag: str, prop: str) -> set[str]:
        """All that a rule may call a cause: its property, its tag or the tag's last part, or the part of the equipment it is of."""
        names = {prop, tag, tag.rpartition("/")[2]}
        path = tag.rpartition("/")[0]
        while path and path != self._equipment:
            names |= {path, path.removeprefix(f"{self._equipment}/")}
            path = path.rpartition("/")[0]
        return names

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

    def _value(self, rule: Rule, present: float) -> float | None:
        if math.isnan(present):
            return None
        value = rule.to if rule.to is not None else present + (rule.step or 0.0)
        return value if value != present else None

    def _write(
        self, i: int, cause: Cause, finding: str, evidence: tuple[Evidence, ...], reason: Text, now: int, value: float, model: str
    ) -> Advice:
        rule, tag = self._rules[i], self.set_points[i]
        expected = None
        if rule.expect is not None:
            effect = self._effects[i]
            within = parse_duration(rule.within) / 1e9
            expected = Expected(tag=effect, low=rule.expect.low, high=rule.expect.high, within=within, unit=self._plant.unit_of(effect))
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
