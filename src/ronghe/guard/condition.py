"""The language of interlocks: conditions over tags, with units, in three-valued logic.

    line1/pump1/pressure < 8 bar and (line1/tank/level > 20 % or not line1/pump1/trip)

    condition  = and-term { "or" and-term }
    and-term   = not-term { "and" not-term }
    not-term   = "not" not-term | "(" condition ")" | comparison
    comparison = operand [ ( "<" | "<=" | ">" | ">=" | "==" | "!=" ) operand ]
    operand    = tag | number [ unit ] | "true" | "false"

Units are UCUM codes and are converted to the tag's. A tag alone must be a bool. A tag that begins with a digit, or holds a space or a
bracket, is written in quotes. The signals of apps are tags, too: apps/APP/SIGNAL, numbers without unit.

For the text of `watch` see `ronghe.guard.effect`.

A tag that is not known (no Good value, or too old) makes its comparison unknown; "and", "or", "not" follow Kleene's strong logic
(Kleene, 1952: "Introduction to Metamathematics", §64): unknown and false is false, unknown or true is true, all else unknown. Only a
condition that is true permits anything.
"""

from __future__ import annotations

import difflib
import math
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from ronghe.errors import GuardError, RongheError
from ronghe.guard.lexer import Lexer, Token, error
from ronghe.plant import units
from ronghe.plant.checks import computed_by
from ronghe.plant.model import Plant, Property
from ronghe.text import Text

_NOTHING: Final = Text("")

Truth = bool | None
"""True, false, or unknown (None)."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A tag's value as a condition may use it, in the tag's unit; None where it is not known, and then `why`."""

    value: float | None
    why: Text = _NOTHING


Look = Callable[[str], Seen]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a condition came out as, and the comparisons that made it so, with their numbers."""

    truth: Truth
    reasons: tuple[Text, ...]

    @property
    def text(self) -> Text:
        """The reasons in one sentence."""
        return Text("; ".join(r.en for r in self.reasons), "；".join(r.in_("zh") for r in self.reasons))


@dataclass(frozen=True, slots=True)
class Comparison:
    """left `op` right, where at least the left is a tag. The right is a tag with right × gain + offset in the left's unit, or a number."""

    shown: str
    left: str
    op: str
    unit: str
    right: str = ""
    number: float = 0.0
    gain: float = 1.0
    offset: float = 0.0

    def evaluate(self, look: Look) -> Verdict:
        """See `Condition.evaluate`."""
        left, right = look(self.left), look(self.right) if self.right else Seen(self.number)
        for tag, seen in ((self.left, left), (self.right, right)):
            if seen.value is None or not math.isfinite(seen.value):
                why = seen.why if seen.why.en else Text("not a number", "不是有效数值")
                return Verdict(None, (Text(f"{self.shown} is unknown: {tag}: {why.en}", f"{self.shown} 无法判断：{tag}：{why.in_('zh')}"),))
        assert left.value is not None
        assert right.value is not None
        other = right.value * self.gain + self.offset if self.right else right.value
        truth = _OPERATORS[self.op](left.value, other)
        now = quantity(left.value, self.unit, other) + (f" / {quantity(other, self.unit, left.value)}" if self.right else "")
        says = Text("holds", "成立") if truth else Text("does not hold", "不成立")
        return Verdict(truth, (Text(f"{self.shown} {says.en}: now {now}", f"{self.shown} {says.zh}：当前 {now}"),))

    def comparisons(self) -> Iterator[Comparison]:
        """See `Condition.comparisons`."""
        yield self

    def tags(self) -> Iterator[str]:
        """See `Condition.tags`."""
        yield self.left
        if self.right:
            yield self.right


@dataclass(frozen=True, slots=True)
class Not:
    """not `part`."""

    part: Node

    def evaluate(self, look: Look) -> Verdict:
        """See `Condition.evaluate`."""
        inner = self.part.evaluate(look)
        return Verdict(None if inner.truth is None else not inner.truth, inner.reasons)

    def comparisons(self) -> Iterator[Comparison]:
        """See `Condition.comparisons`."""
        return self.part.comparisons()

    def tags(self) -> Iterator[str]:
        """See `Condition.tags`."""
        return self.part.tags()


@dataclass(frozen=True, slots=True)
class Join:
    """All (`rule` True: "and") or any (`rule` False: "or") of the parts."""

    rule: bool
    parts: tuple[Node, ...]

    def evaluate(self, look: Look) -> Verdict:
        """See `Condition.evaluate`. Every part is evaluated, so that all reasons are known."""
        found = [p.evaluate(look) for p in self.parts]
        truths = [v.truth for v in found]
        truth: Truth = (not self.rule) if (not self.rule) in truths else None if None in truths else self.rule
        return Verdict(truth, tuple(r for v in found if v.truth is truth for r in v.reasons))

    def comparisons(self) -> Iterator[Comparison]:
        """See `Condition.comparisons`."""
        for part in self.parts:
            yield from part.comparisons()

    def tags(self) -> Iterator[str]:
        """See `Condition.tags`."""
        for part in self.parts:
            yield from part.tags()


Node = Comparison | Not | Join


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition bound to a plant: every tag is known to it and every unit fits."""

    text: str
    root: Node

    def evaluate(self, look: Look) -> Verdict:
        """Its truth under the values that `look` gives, and the reasons."""
        return self.root.evaluate(look)

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """Its comparisons, in order."""
        return tuple(self.root.comparisons())

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags it uses, each once, in order."""
        return tuple(dict.fromkeys(self.root.tags()))


def parse(text: str, plant: Plant) -> Condition:
    """Reads a condition. Raises GuardError that names the column (from 1) and what was probably meant."""
    parser = Parser(text, plant)
    root = parser.condition()
    parser.end()
    return Condition(text, root)


def number(value: float, *others: float) -> str:
    """Four significant digits, more where it takes more to tell the value from `others`: 6.0004 is not "6" beside a limit of 6."""
    for digits in range(4, 17):
        shown = _digits(value, digits)
        if all(value == other or shown != _digits(other, digits) for other in others):
            return shown
    return repr(value)


def _digits(value: float, digits: int) -> str:
    """No exponent where it can be helped: 14503 and not 1.45e+04."""
    return f"{value:.0f}" if 10 ** (digits - 1) <= abs(value) < 1e9 else f"{value:.{digits}g}"


def quantity(value: float, unit: str, *others: float) -> str:
    """A value with its unit, as people read it, told from `others` of the same unit."""
    return f"{number(value, *others)} {units.label(unit)}".strip()


_OPERATORS: Final[dict[str, Callable[[float, float], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_MIRROR: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
_DEEPEST: Final = 40  # brackets and "not" within one another


class Parser:
    """Recursive descent over the tokens of one text; the rules of `watch` build on it."""

    def __init__(self, text: str, plant: Plant) -> None:
        self.text, self.plant = text, plant
        self.lexer = Lexer(text)
        self._depth = 0

    def condition(self) -> Node:
        """condition = and-term { "or" and-term }"""
        return self._join("or", lambda: self._join("and", self._not_term))

    def _join(self, word: str, part: Callable[[], Node]) -> Node:
        parts = [part()]
        while self.lexer.take("word", word):
            parts.append(part())
        return parts[0] if len(parts) == 1 else Join(word == "and", tuple(parts))

    def _not_term(self) -> Node:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self.wrong(self.lexer.peek(), Text("nested too deeply", "嵌套过深"))
        try:
            if self.lexer.take("word", "not"):
                return Not(self._not_term())
            if self.lexer.take("("):
                inner = self.condition()
                if not self.lexer.take(")"):
                    raise self.wrong(self.lexer.peek(), Text('a ")" is missing', "缺少右括号"))
                return inner
            return self._comparison()
        finally:
            self._depth -= 1

    def _comparison(self) -> Node:
        left = self.operand()
        op = self.lexer.take("op")
        if op is None:
            return self._bare(left)
        right = self.operand()
        more = self.lexer.peek()
        if more.kind == "op":
            todo = Text("join two comparisons with `and`: a > 1 and a < 2", "请用 and 连接两个比较：a > 1 and a < 2")
            raise self.wrong(more, Text("comparisons cannot be chained", "比较不能连写"), todo)
        shown = self.text[left.start : right.end]
        sign = op.text
        if left.kind == "number":
            left, right, sign = right, left, _MIRROR[sign]
        if left.kind == "number":
            raise self.wrong(left, Text("two numbers are compared: one side must be a tag", "两个数相比较：至少一侧应为测点"))
        prop = self.property_of(left)
        if prop.type == "bool" and sign not in ("==", "!="):
            raise self.wrong(op, Text(f"{left.text} is a bool: only == and != apply", f"{left.text} 是布尔量，只能用 == 或 !="))
        if right.kind == "number":
            return Comparison(shown, left.text, sign, prop.unit, number=self.number(right, left.text, prop))
        gain, offset = self._factor(self.property_of(right).unit, prop.unit, right)
        return Comparison(shown, left.text, sign, prop.unit, right=right.text, gain=gain, offset=offset)

    def _bare(self, left: Token) -> Node:
        if left.kind == "number":
            raise self.wrong(left, Text("a number alone is no condition", "单独一个数不是条件"))
        if self.property_of(left).type != "bool":
            what = Text(f"{left.text} is not a bool: compare it with something", f"{left.text} 不是布尔量，需与某值比较")
            raise self.wrong(left, what, Text(f"e.g. {left.text} < 8", f"例如 {left.text} < 8"))
        return Comparison(f"{left.text} == true", left.text, "==", "", number=1.0)

    def operand(self) -> Token:
        """A tag or a number."""
        token = self.lexer.next()
        if token.kind == "word" and token.text in ("true", "false"):
            return Token("number", token.text, token.start, token.end, float(token.text == "true"), "")
        if token.kind == "tag" or token.kind == "number":
            return token
        what = "nothing" if token.kind == "end" else repr(token.text)
        what_zh = "结尾" if token.kind == "end" else repr(token.text)
        raise self.wrong(token, Text(f"expected a tag or a number, found {what}", f"此处应为测点或数值，却是{what_zh}"))

    def property_of(self, tag: Token) -> Property:
        """The property of a tag that the plant has, and that is no text; of an app's signal, a number without unit. Raises GuardError."""
        if tag.text not in self.plant.tags:
            if computed_by(tag.text) in self.plant.apps:
                return Property(property=tag.text)
            near = difflib.get_close_matches(tag.text, [*self.plant.tags, *(f"apps/{a}/" for a in self.plant.apps)], 1, 0.6)
            todo = Text(f"did you mean {near[0]}?", f"是否想写 {near[0]}？") if near else Text("see tags.csv", "请查 tags.csv")
            raise self.wrong(tag, Text(f"no tag {tag.text}", f"没有测点 {tag.text}"), todo)
        prop = self.plant.property_of(tag.text)
        if prop.type == "text":
            raise self.wrong(tag, Text(f"{tag.text} is a text, conditions are about numbers", f"{tag.text} 是文本，条件只能用数值"))
        return prop

    def number(self, token: Token, tag: str, prop: Property, *, difference: bool = False) -> float:
        """A written number in the unit of `tag`; of a difference, only the gain of the conversion counts. Raises GuardError."""
        if not token.unit and prop.unit not in ("", "1"):
            todo = Text(
                f"{tag} is in {prop.unit}: write {token.text} {prop.unit}", f"{tag} 的单位是 {prop.unit}：请写 {token.text} {prop.unit}"
            )
            raise self.wrong(token, Text("a unit is missing", "缺少单位"), todo)
        gain, offset = self._factor(token.unit, prop.unit, token)
        value = token.value * gain + (0.0 if difference else offset)
        if not math.isfinite(value):
            raise self.wrong(token, Text("too large a number", "数值过大"))
        return value

    def _factor(self, source: str, target: str, at: Token) -> tuple[float, float]:
        try:
            return units.factor(source, target)
        except RongheError as e:
            raise self.wrong(at, e.what, e.todo) from e

    def end(self) -> None:
        """Raises GuardError when something is left over."""
        token = self.lexer.peek()
        if token.kind != "end":
            todo = Text("join conditions with `and` or `or`", "请用 and 或 or 连接条件")
            raise self.wrong(token, Text(f"{token.text!r} is not expected here", f"此处不应出现 {token.text!r}"), todo)

    def wrong(self, at: Token, what: Text, todo: Text | str = "") -> GuardError:
        """An error at a token."""
        return error(self.text, at.start, what, todo)
