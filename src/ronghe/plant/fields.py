"""Turns a table of plant.toml into a msgspec type field by field, so that every wrong field is told and not only the first."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar, get_args, get_origin

import msgspec

from ronghe.errors import RongheError
from ronghe.plant.problems import Problems, nearest
from ronghe.text import Text

Kind = TypeVar("Kind", bound=msgspec.Struct)


def read_fields(
    kind: type[Kind],
    table: Mapping[str, Any],
    *,
    file: str,
    line: Callable[..., int],
    problems: Problems,
    loose: frozenset[str] = frozenset(),
    folder: Path | None = None,
    given: Mapping[str, Any] | None = None,
) -> Kind | None:
    """An instance of `kind`, in which wrong fields have their default (so that checking goes on); None where that cannot be.

    `line(key)` is the line of a key. `given` are fields that the table does not hold (its own name). Fields of type `pathlib.Path` are
    taken relative to `folder`. Fields in `loose` came from the environment as text and may be read as numbers.
    """
    given = given or {}
    fields = {f.encode_name: f for f in msgspec.structs.fields(kind) if f.name not in given}
    before = len(problems.found)

    def path_below_folder(type_: Any, value: Any) -> Any:
        if type_ is Path and isinstance(value, str):
            return folder / value if folder else Path(value)
        raise NotImplementedError

    def convert(value: Any, type_: Any, loosely: bool) -> Any:
        return msgspec.convert(value, type_, strict=not loosely, dec_hook=path_below_folder)

    values: dict[str, Any] = dict(given)
    for key, value in table.items():
        field = fields.get(key)
        if field is None:
            problems.error(file, line(key), f"unknown key {key[:80]!r}", f"未知的键 {key[:80]!r}", nearest(key, fields))
            continue
        choices = _choices(field.type)
        if choices and isinstance(value, str) and value not in choices:
            listed = ", ".join(choices)
            problems.error(
                file,
                line(key),
                f"{key} is {value[:80]!r}, none of {listed}",
                f"{key} 为 {value[:80]!r}，可选值：{listed}",
                nearest(value, choices),
            )
            continue
        try:
            values[field.name] = convert(value, field.type, key in loose)
        except (msgspec.ValidationError, RongheError) as e:
            what = explain(e)
            problems.error(file, line(key), f"{key}: {what.en}", f"{key}：{what.in_('zh')}")
    for key, field in fields.items():
        if field.required and key not in table:
            problems.error(file, line(), f"the key {key!r} is missing", f"缺少键 {key!r}")
    wrong = len(problems.found) > before
    try:
        whole: Kind = kind(**values)  # the type's own checks between fields (__post_init__) run here
    except (ValueError, TypeError, RongheError) as e:
        if not wrong:
            what = explain(e)
            problems.error(file, line(), what.en, what.in_("zh"))
        return None
    return whole


_EXPECTED: Final = re.compile(r"Expected `([^`]*)`, got `([^`]*)`")
_LIMIT: Final = re.compile(r"Expected `([^`]*)` (of length )?([<>=]+ *\S+)")
_ENUM: Final = re.compile(r"Invalid enum value '?(.*?)'?$")
_MISSING: Final = re.compile(r"Object missing required field `([^`]*)`")
_UNKNOWN: Final = re.compile(r"Object contains unknown field `([^`]*)`")
_AT: Final = re.compile(r" - at `\$([^`]*)`$")
_TYPES: Final = {
    "str": ("a text in quotes", "带引号的文本"),
    "int": ("a whole number", "整数"),
    "float": ("a number", "数字"),
    "bool": ("true or false", "true 或 false"),
    "array": ("a list [...]", "列表 [...]"),
    "object": ("a table", "表"),
    "datetime": ("a date and time", "日期时间"),
    "date": ("a date", "日期"),
    "time": ("a time", "时间"),
    "null": ("nothing", "空"),
}


def bare(kind: Any) -> Any:
    """A field's type without its description."""
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind


def _choices(kind: Any) -> tuple[str, ...]:
    return get_args(bare(kind)) if get_origin(bare(kind)) is Literal else ()


def explain(e: Exception) -> Text:
    """What msgspec or a type's own check found wrong."""
    if isinstance(e, RongheError):
        tail = (f"; {e.todo.en}", f"；{e.todo.in_('zh')}") if e.todo.en else ("", "")
        return Text(e.what.en + tail[0], e.what.in_("zh") + tail[1])
    message = str(e)
    at = _AT.search(message)
    place = at[1].lstrip(".") if at else ""
    message = message[: at.start()] if at else message
    text = _translated(message)
    return Text(f"{place}: {text.en}", f"{place}：{text.in_('zh')}") if place else text


def _translated(message: str) -> Text:
    if m := _EXPECTED.fullmatch(message):
        wanted, got = (_words(part) for part in m.groups())
        return Text(f"expected {wanted.en}, found {got.en}", f"应为{wanted.in_('zh')}，实为{got.in_('zh')}")
    if m := _LIMIT.fullmatch(message):
        wanted = _words(m[1])
        length = ("of length ", "长度 ") if m[2] else ("", "")
        return Text(f"expected {wanted.en} {length[0]}{m[3]}", f"应为{wanted.in_('zh')}，{length[1]}{m[3]}")
    if m := _ENUM.fullmatch(message):
        return Text(f"{m[1]!r} is none of the possible values", f"{m[1]!r} 不在可选值中")
    if m := _MISSING.fullmatch(message):
        return Text(f"the key {m[1]!r} is missing", f"缺少键 {m[1]!r}")
    if m := _UNKNOWN.fullmatch(message):
        return Text(f"unknown key {m[1]!r}", f"未知的键 {m[1]!r}")
    return Text(message, message)


def _words(types: str) -> Text:
    known = [_TYPES.get(t.strip(), (t.strip(), t.strip())) for t in types.split("|")]
    return Text(" or ".join(k[0] for k in known), "或".join(k[1] for k in known))
