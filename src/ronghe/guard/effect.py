"""Watching a write: the effect it must show, and whether it has been seen.

watch = "line1/pump1/bearing_temperature falls within 10 min"        by more than its noise
watch = "line1/pump1/bearing_temperature falls by 2 K within 10 min"
watch = "line1/pump1/pressure > 3 bar within 30 s"                   any condition that must become true

watch = tag ( "falls" | "rises" ) [ "by" number unit ] "within" time | condition "within" time
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

from ronghe.errors import GuardError, RongheError
from ronghe.guard.advice import Expected
from ronghe.guard.case import Watched
from ronghe.guard.condition import Condition, Look, Parser, Seen, number, parse, quantity
from ronghe.guard.lexer import Token
from ronghe.plant import units
from ronghe.plant.model import Plant
from ronghe.signals.when import parse_duration
from ronghe.text import Text

SAMPLES: Final = 3
"""An effect counts as seen when this many successive samples show it: one sample may be noise."""
SIGMA: Final = 3.0
"""`falls` and `rises` without an amount mean: by more than this many standard deviations of the tag before the write."""


@dataclass(frozen=True, slots=True)
class Change:
    """`tag` must change by low..high (its own unit), or by more than its noise in the direction of `noise_sign`, within `within` ns."""

    text: str
    within: int
    tag: str
    unit: str
    low: float = -math.inf
    high: float = math.inf
    noise_sign: Literal[-1, 0, 1] = 0

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags it looks at."""
        return (self.tag,)

    def fix(self, now: int, base: float, noise: float) -> Watched:
        """The effect in absolute numbers, from the value at the moment of writing and the tag's standard deviation before it."""
        low, high = base + self.low, base + self.high
        if self.noise_sign > 0:  # more than: a value that stands still has not changed
            low = math.nextafter(base + SIGMA * noise, math.inf)
        elif self.noise_sign < 0:
            high = math.nextafter(base - SIGMA * noise, -math.inf)
        bounds = [None if math.isinf(b) else b for b in (low, high)]
        if bounds[0] is None:
            wants = Text(f"at most {quantity(bounds[1] or 0.0, self.unit)}", f"不高于 {quantity(bounds[1] or 0.0, self.unit)}")
        elif bounds[1] is None:
            wants = Text(f"at least {quantity(bounds[0], self.unit)}", f"不低于 {quantity(bounds[0], self.unit)}")
        else:
            span = f"{number(bounds[0], bounds[1])}..{quantity(bounds[1], self.unit, bounds[0])}"
            wants = Text(f"in {span}", f"处于 {span}")
        from_ = quantity(base, self.unit)
        text = Text(
            f"{self.tag} {wants.en} (from {from_}) within {self.within / 1e9:g} s",
            f"{self.tag} 在 {self.within / 1e9:g} s 内{wants.zh}（原为 {from_}）",
        )
        return Watched(text=text, until=now + self.within, tag=self.tag, base=base, low=bounds[0], high=bounds[1])


@dataclass(frozen=True, slots=True)
class Becomes:
    """A condition that must become true within `within` ns."""

    text: str
    within: int
    condition: Condition

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags it looks at."""
        return self.condition.tags

    def fix(self, now: int) -> Watched:
        """The effect as it is watched from now on."""
        seconds = f"{self.within / 1e9:g} s"
        text = Text(f"{self.condition.text} within {seconds}", f"{seconds} 内满足 {self.condition.text}")
        return Watched(text=text, until=now + self.within, condition=self.condition.text)


Watch = Change | Becomes


def parse_watch(text: str, plant: Plant) -> Watch:
    """Reads a watch. Raises GuardError that names the column and what was probably meant."""
    parser = Parser(text, plant)
    first = parser.lexer.peek()
    if first.kind == "tag":
        ahead = Parser(text, plant)
        ahead.lexer.next()
        verb = ahead.lexer.next()
        if verb.kind == "word" and verb.text in ("falls", "rises"):
            return _change(ahead, first, 1 if verb.text == "rises" else -1)
    root = parser.condition()
    condition = Condition(text[: parser.lexer.peek().start].strip(), root)
    within = _within(parser)
    return Becomes(text, within, condition)


def _change(parser: Parser, tag: Token, sign: Literal[-1, 1]) -> Change:
    prop = parser.property_of(tag)
    if not parser.lexer.take("word", "by"):
        return Change(parser.text, _within(parser), tag.text, prop.unit, noise_sign=sign)
    token = parser.lexer.next()
    if token.kind != "number":
        raise parser.wrong(token, Text("expected an amount, e.g. by 2 K", "此处应为变化量，如 by 2 K"))
    amount = parser.number(token, tag.text, prop, difference=True)
    if amount <= 0:
        raise parser.wrong(token, Text("an amount is more than 0", "变化量必须大于 0"))
    low, high = (amount, math.inf) if sign > 0 else (-math.inf, -amount)
    return Change(parser.text, _within(parser), tag.text, prop.unit, low, high)


def _within(parser: Parser) -> int:
    todo = Text("end with a time, e.g. within 10 min", "请以时限结尾，如 within 10 min")
    if not parser.lexer.take("word", "within"):
        raise parser.wrong(parser.lexer.peek(), Text("`within` is missing", "缺少 within"), todo)
    token = parser.lexer.next()
    if token.kind != "number":
        raise parser.wrong(token, Text("a time is missing", "缺少时限"), todo)
    try:
        ns = parse_duration(f"{token.text}{token.unit}")
    except RongheError as e:
        raise parser.wrong(token, e.what, e.todo) from e
    if ns <= 0:
        raise parser.wrong(token, Text("a time is more than 0", "时限必须大于 0"))
    parser.end()
    return ns


def from_expected(expected: Expected, plant: Plant) -> Change:
    """The effect that an advice promises. Raises GuardError for a promise that cannot be watched."""
    tag, text = expected.tag, f"expected effect on {expected.tag}"
    if tag not in plant.tags or plant.property_of(tag).type == "text":
        raise GuardError(Text(f"the expected effect names no tag with a number: {tag!r}", f"预期效果所指的测点不存在或不是数值：{tag!r}"))
    unit = plant.unit_of(tag)
    if not (math.isfinite(expected.low) and math.isfinite(expected.high) and expected.low <= expected.high and 0 < expected.within < 1e9):
        raise GuardError(
            Text(
                f"the expected effect {expected.low:g}..{expected.high:g} within {expected.within:g} s cannot be watched",
                f"预期效果 {expected.low:g}..{expected.high:g}（{expected.within:g} s 内）无法观察",
            )
        )
    try:
        gain, _ = units.factor(expected.unit or unit, unit)
    except RongheError as e:
        raise GuardError(e.what, todo=e.todo) from e
    return Change(text, round(expected.within * 1e9), tag, unit, expected.low * gain, expected.high * gain)


class Watcher:
    """Whether the effects of one case have been seen. Kept in memory only: after a restart it begins to count again."""

    def __init__(self, watched: tuple[Watched, ...], plant: Plant) -> None:
        self.watched = watched
        self._conditions = [_condition(w.condition, plant) for w in watched]
        self._runs = [0] * len(watched)
        self._newest = [0] * len(watched)

    def look(self, look: Look, known: dict[str, int]) -> None:
        """Takes the values as they are now; `known[tag]` is the time (ns) for which a tag's value is known. Same time, same sample."""
        for i, watched in enumerate(self.watched):
            if self._runs[i] >= SAMPLES:
                continue
            condition = self._conditions[i]
            if watched.tag:
                holds, newest = _inside(look(watched.tag), watched), known.get(watched.tag, 0)
            elif condition is not None:
                holds, newest = condition.evaluate(look).truth is True, max((known.get(t, 0) for t in condition.tags), default=0)
            else:
                continue
            if newest > self._newest[i] or not holds:
                self._newest[i] = newest
                self._runs[i] = self._runs[i] + 1 if holds else 0

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags it looks at."""
        return tuple(dict.fromkeys([w.tag for w in self.watched if w.tag] + [t for c in self._conditions if c is not None for t in c.tags]))

    def all_seen(self) -> bool:
        """Whether every effect was seen."""
        return all(run >= SAMPLES for run in self._runs)

    def missing(self) -> tuple[Watched, ...]:
        """The effects that were not seen."""
        return tuple(w for w, run in zip(self.watched, self._runs, strict=True) if run < SAMPLES)


def _inside(seen: Seen, watched: Watched) -> bool:
    value = seen.value
    if value is None or not math.isfinite(value):
        return False
    return (watched.low is None or value >= watched.low) and (watched.high is None or value <= watched.high)


def _condition(text: str, plant: Plant) -> Condition | None:
    try:
        return parse(text, plant) if text else None
    except GuardError:  # the plant folder was changed since: what cannot be judged counts as not seen
        return None
