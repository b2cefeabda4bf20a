"""The formula of a recipe: from a property below an equipment to a tag, and from a value with its unit to the tag's own."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ronghe.errors import GuardError, RongheError
from ronghe.guard.lexer import Lexer
from ronghe.guard.limits import compile_guard
from ronghe.plant import Plant, units
from ronghe.plant.quantity import parse_quantity, parse_range
from ronghe.text import Text

Tell = Callable[[str, str, RongheError], None]
"""Takes what is wrong: (table, key, error)."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One set-point of a recipe. `value` is in the unit of the tag's property."""

    key: str
    tag: str
    value: float


@dataclass(frozen=True, slots=True)
class Formula:
    """The `[formula]` and `[limits]` tables of one recipe, for one equipment."""

    plant: Plant
    equipment: str
    formula: Mapping[str, Any]
    limits: Mapping[str, Any]

    def read(self, tell: Tell) -> list[Parameter]:
        """The parameters in their order; every one that is wrong is told."""
        found: list[Parameter] = []
        for key, given in self.formula.items():
            try:
                parameter = Parameter(key, tag := set_point(self.plant, self.equipment, key), self._value(tag, given))
                if any(p.tag == tag for p in found):
                    raise RongheError(Text(f"{tag} is set twice", f"{tag} 被重复设置"))
                self._permitted(parameter)
                found.append(parameter)
            except RongheError as e:
                tell("formula", key, e)
        for key, given in self.limits.items():
            try:
                self._limit(key, given, found)
            except RongheError as e:
                tell("limits", key, e)
        return found

    def _value(self, tag: str, given: Any) -> float:
        """A value as the recipe gives it, in the unit of the tag's property."""
        prop = self.plant.property_of(tag)
        if isinstance(given, bool):
            given = str(int(given))
        if isinstance(given, int | float):
            given = repr(given)
        if not isinstance(given, str):
            raise RongheError(Text('expected a value like "185 Cel"', '应为带单位的值，如 "185 Cel"'))
        value, unit = parse_quantity(given)
        if not unit and prop.unit not in ("", "1"):
            todo = Text(f'write "{given} {prop.unit}"', f'请写 "{given} {prop.unit}"')
            raise RongheError(Text(f"{given!r} has no unit", f"{given!r} 没有单位"), todo=todo)
        return units.convert(value, unit, prop.unit)

    def _permitted(self, p: Parameter) -> None:
        """That the tag's guard could ever let it through."""
        guard = self.plant.guards.get(p.tag)
        if guard is None:
            todo = Text(f'add [guards."{p.tag}"] to plant.toml', f'请在 plant.toml 中添加 [guards."{p.tag}"]')
            raise RongheError(Text(f"{p.tag} has no guard: it is never written", f"{p.tag} 未配置守护，不会被写入"), todo=todo)
        if guard.mode == "advise":
            raise RongheError(Text(f"the guard of {p.tag} only shows advice", f"{p.tag} 的守护模式为“仅建议”，不会写入"))
        limits = compile_guard(self.plant, guard)
        if not limits.low <= p.value <= limits.high:
            unit = units.label(limits.unit)
            raise RongheError(
                Text(
                    f"{p.value:g} {unit} is outside what its guard allows, {guard.envelope}",
                    f"{p.value:g} {unit} 超出守护允许范围 {guard.envelope}",
                )
            )

    def _limit(self, key: str, given: Any, parameters: list[Parameter]) -> None:
        if key not in self.formula:
            near = difflib.get_close_matches(key, list(self.formula), 1)
            hint = Text(f"did you mean {near[0]!r}?", f"是否想写 {near[0]!r}？") if near else Text("")
            raise RongheError(Text(f"{key!r} is not in the formula", f"[formula] 中没有 {key!r}"), todo=hint)
        parameter = next((p for p in parameters if p.key == key), None)
        if parameter is None:
            return  # told with the formula
        low, high, unit = parse_range(str(given))
        gain, offset = units.factor(unit, self.plant.unit_of(parameter.tag))
        if not low * gain + offset <= parameter.value <= high * gain + offset:
            raise RongheError(Text(f"{self.formula[key]} lies outside {given}", f"{self.formula[key]} 超出 {given}"))


def set_point(plant: Plant, equipment: str, key: str) -> str:
    """The writable tag that a key of a formula means: a tag below the equipment, or the only one with this property. Raises RongheError."""
    root = f"{equipment}/" if equipment else ""
    part, _, prop = key.rpartition("/")
    below = plant.tags_under(f"{root}{part}".rstrip("/"))
    found = [t.tag for t in below if t.property == prop and t.writable]
    if f"{root}{key}" in plant.tags:
        found = [f"{root}{key}"]
    if len(found) == 1:
        if not plant.tags[found[0]].writable:
            raise RongheError(Text(f"{found[0]} is not writable", f"{found[0]} 不可写"))
        return found[0]
    if found:
        listed = ", ".join(t.removeprefix(root) for t in found[:5])
        raise RongheError(
            Text(f"{key!r} could be any of {listed}", f"{key!r} 不唯一：{listed}"),
            todo=Text("name the part: PART/PROPERTY", "请写明部件：部件/属性"),
        )
    writable = [t for t in plant.tags_under(equipment) if t.writable]
    known = [
        n
        for t in writable
        for n in (t.tag.removeprefix(root), f"{t.equipment().removeprefix(root.rstrip('/')).strip('/')}/{t.property}".strip("/"))
    ]
    near = difflib.get_close_matches(key, known, 1)
    hint = Text(f"did you mean {near[0]!r}?", f"是否想写 {near[0]!r}？") if near else Text("see tags.csv", "请查 tags.csv")
    raise RongheError(Text(f"{equipment or '/'} has no set-point {key!r}", f"{equipment or '/'} 下没有设定值 {key!r}"), todo=hint)


def localized(text: str, plant: Plant, equipment: str) -> str:
    """A condition whose tags may be written below the equipment, with their whole paths. Raises GuardError for what is no condition."""
    lexer, out, at = Lexer(text), "", 0
    while (token := lexer.next()).kind != "end":
        whole = f"{equipment}/{token.text}"
        if token.kind == "tag" and token.text not in plant.tags and whole in plant.tags:
            quoted = f"'{whole}'" if text[token.start] in "'\"" or not _plain(whole) else whole
            out, at = out + text[at : token.start] + quoted, token.end
    return out + text[at:]


def _plain(tag: str) -> bool:
    try:
        token = Lexer(tag).next()
    except GuardError:
        return False
    return token.kind == "tag" and token.text == tag
