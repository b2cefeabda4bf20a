"""What msgspec says of a wrong value, in words for a person and in both languages."""

from __future__ import annotations

import re
from typing import Final

from ronghe.errors import RongheError
from ronghe.text import Text

_EXPECTED: Final = re.compile(r"Expected `([^`]*)`, got `([^`]*)`")
_LIMIT: Final = re.compile(r"Expected `([^`]*)` (of length )?([<>=]+ *\S+)")
_PATTERN: Final = re.compile(r"Expected `str` matching regex '(.*)'")
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


def explain(e: Exception, meaning: str = "") -> Text:
    """What msgspec or a type's own check found wrong; `meaning` is what the field says of itself, told instead of a pattern."""
    if isinstance(e, RongheError):
        tail = (f"; {e.todo.en}", f"；{e.todo.in_('zh')}") if e.todo.en else ("", "")
        return Text(e.what.en + tail[0], e.what.in_("zh") + tail[1])
    message = str(e)
    at = _AT.search(message)
    place = at[1].lstrip(".") if at else ""
    message = message[: at.start()] if at else message
    text = _translated(message, meaning)
    return Text(f"{place}: {text.en}", f"{place}：{text.in_('zh')}") if place else text


def _translated(message: str, meaning: str) -> Text:
    if m := _EXPECTED.fullmatch(message):
        wanted, got = (_words(part) for part in m.groups())
        return Text(f"expected {wanted.en}, found {got.en}", f"应为{wanted.in_('zh')}，实为{got.in_('zh')}")
    if m := _LIMIT.fullmatch(message):
        wanted = _words(m[1])
        length = ("of length ", "长度 ") if m[2] else ("", "")
        return Text(f"expected {wanted.en} {length[0]}{m[3]}", f"应为{wanted.in_('zh')}，{length[1]}{m[3]}")
    if m := _PATTERN.fullmatch(message):
        form = meaning or m[1]
        return Text(f"does not have the form of {form}", f"格式不符：{form}")
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
