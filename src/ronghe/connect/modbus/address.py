"""Addresses of values in a Modbus device, in one notation.

    [UNIT/]TABLE:NUMBER[.BIT][:TYPE[:ORDER]]        5/holding:100:float32:cdab, coil:3, holding:40.3
    [UNIT/]REFERENCE[.BIT][:TYPE[:ORDER]]           40101:float32 (classic, counted from 1: the same register as holding:100)

NUMBER counts from 0, as on the wire (MODBUS Application Protocol V1.1b3, 4.4); decimal or 0x hexadecimal.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from typing import Final, Literal

from ronghe.plant.model import ValueType
from ronghe.text import Text

Table = Literal["coil", "discrete", "input", "holding"]
TABLES: Final[tuple[Table, ...]] = ("coil", "discrete", "input", "holding")
BIT_TABLES: Final = ("coil", "discrete")
WORDS: Final = {
    "int16": 1,
    "uint16": 1,
    "bcd16": 1,
    "int32": 2,
    "uint32": 2,
    "float32": 2,
    "bcd32": 2,
    "int64": 4,
    "uint64": 4,
    "float64": 4,
}
"""Registers a type takes. Beside these: `bool` (coil, discrete or one bit of a register) and `text[n]` (n registers, 2n characters)."""

_SYNONYMS: Final = {
    "int": "int16", "short": "int16", "word": "uint16", "uint": "uint16", "ushort": "uint16", "dint": "int32", "dword": "uint32",
    "long": "int32", "udint": "uint32", "float": "float32", "real": "float32", "single": "float32", "double": "float64", "lreal": "float64",
    "lint": "int64", "string": "text[8]", "str": "text[8]", "text": "text[8]", "bit": "bool", "boolean": "bool", "bcd": "bcd16",
}  # fmt: skip
_TABLE_SYNONYMS: Final = {
    "hr": "holding", "holdingregister": "holding", "holdings": "holding", "register": "holding", "reg": "holding", "ir": "input",
    "inputs": "input", "inputregister": "input", "co": "coil", "coils": "coil", "di": "discrete", "discreteinput": "discrete",
    "contact": "discrete",
}  # fmt: skip
_ORDERS: Final = {"ab": "abcd", "ba": "badc", "abcdefgh": "abcd", "badcfehg": "badc", "ghefcdab": "cdab", "hgfedcba": "dcba"}
_REFERENCE: Final = re.compile(r"[0134]\d{4,5}")
_CLASSIC: Final[dict[str, Table]] = {"0": "coil", "1": "discrete", "3": "input", "4": "holding"}
_MAX_TEXT: Final = 125


class Malformed(ValueError):
    """An address that cannot be read. `text` says what is wrong with it and what was probably meant."""

    def __init__(self, en: str, zh: str) -> None:
        self.text = Text(en, zh)
        super().__init__(en)


@dataclass(frozen=True, slots=True)
class Point:
    """One value in a device. `order` is None where neither the address nor its type decides; `bit` is None but for a bit of a register."""

    unit: int | None
    table: Table
    start: int
    kind: str  # "bool", "text", or a key of WORDS
    words: int  # registers; 1 for a coil or a discrete input
    order: str | None = None
    bit: int | None = None

    @property
    def end(self) -> int:
        """The first register (or coil) after it."""
        return self.start + self.words

    @property
    def writable(self) -> bool:
        """Whether the protocol has a function that writes it."""
        return self.table in ("coil", "holding")


def parse(address: str) -> Point:
    """The value an address means. Raises Malformed with a text that says what was probably meant."""
    rest = address.strip().lower()
    unit = None
    if "/" in rest:
        head, _, rest = rest.partition("/")
        unit = _unit(head)
    first, *more = rest.split(":")
    if _digits(first.partition(".")[0]):
        table, start, bit = _reference(first)
    else:
        table = _table(first, address)
        if not more:
            raise Malformed(f"{address!r} has no register number, e.g. {table}:100", f"{address!r} 缺少寄存器号，例如 {table}:100")
        number, dot, place = more.pop(0).partition(".")
        start, bit = _number(table, number), _bit(place) if dot else None
    if len(more) > 2:
        raise Malformed(f"too many parts in {address!r}: TABLE:NUMBER:TYPE:ORDER", f"{address!r} 段数过多，应为 表:编号:类型:字节序")
    kind, words = _kind(table, more[0] if more else "", bit)
    if start + words > 65536:
        raise Malformed(f"{kind} at {start} ends after the last register, 65535", f"{kind} 从 {start} 开始，超出最后一个寄存器 65535")
    return Point(unit, table, start, kind, words, _order(more[1], kind, words) if len(more) > 1 else None, bit)


def check(address: str, type: ValueType) -> Text | None:
    """What is wrong with an address for a property of this type, or None."""
    try:
        point = parse(address)
    except Malformed as e:
        return e.text
    if (point.kind == "text") != (type == "text"):
        if type == "text":
            return Text(f"a text needs its length in registers, e.g. {address}:text[8]", f"文本需注明寄存器数，例如 {address}:text[8]")
        return Text(f"text[…] holds no {type}: give a numeric type, e.g. uint16", f"text[…] 不是 {type}：请改用数值类型，例如 uint16")
    if type == "bool" and point.kind.startswith("float"):
        place = f"{point.table}:{point.start}"
        return Text(
            f"a {point.kind} is no bool; one bit of a register is {place}.0", f"{point.kind} 不是布尔量；取寄存器的一位应写 {place}.0"
        )
    return None


def _digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _unit(text: str) -> int:
    if not _digits(text) or int(text) > 255:
        raise Malformed(
            f"unit {text!r} is no number from 0 to 255, as in 5/holding:100", f"站号 {text!r} 应为 0 到 255，例如 5/holding:100"
        )
    return int(text)


def _table(text: str, address: str) -> Table:
    if text in TABLES:
        return text
    plain = re.sub(r"[ _-]", "", text)
    near = _TABLE_SYNONYMS.get(plain) or _TABLE_SYNONYMS.get(plain + "s") or next(iter(difflib.get_close_matches(plain, TABLES, 1)), "")
    hint = f"{near}{address.lower()[address.lower().find(text) + len(text) :]}" if near else "holding:100"
    raise Malformed(
        f"no table {text!r}: coil, discrete, input or holding, e.g. {hint}",
        f"没有表 {text!r}：可用 coil、discrete、input、holding，例如 {hint}",
    )


def _number(table: str, text: str) -> int:
    number = int(text, 16) if re.fullmatch(r"0x[0-9a-f]+", text) else int(text) if _digits(text) else -1
    if 0 <= number <= 65535:
        return number
    if _REFERENCE.fullmatch(text) and _CLASSIC[text[0]] == table and 1 <= int(text[1:]) <= 65536:
        meant = f"{table}:{int(text[1:]) - 1}"
        raise Malformed(
            f"{text} counts from 1 in the classic way: write {meant} or {text}", f"{text} 是从 1 起算的传统编号：请写 {meant} 或 {text}"
        )
    raise Malformed(f"{text!r} is no register number from 0 to 65535", f"{text!r} 不是 0 到 65535 的寄存器号")


def _reference(text: str) -> tuple[Table, int, int | None]:
    number, dot, bit = text.partition(".")
    ok = _REFERENCE.fullmatch(number)
    offset = int(number[1:]) if ok else 0
    if not ok or not 1 <= offset <= 65536:
        raise Malformed(
            f"{number!r} names no table: write holding:{number}, or a classic reference of 5 or 6 digits, e.g. 40101 for holding:100",
            f"{number!r} 未说明是哪个表：请写 holding:{number}，或 5/6 位传统编号，例如 40101 即 holding:100",
        )
    return _CLASSIC[number[0]], offset - 1, _bit(bit) if dot else None


def _bit(text: str) -> int:
    if not _digits(text) or int(text) > 15:
        raise Malformed(f"bit {text!r} is no number from 0 (lowest) to 15", f"位号 {text!r} 应为 0（最低位）到 15")
    return int(text)


def _kind(table: Table, text: str, bit: int | None) -> tuple[str, int]:
    if table in BIT_TABLES:
        if bit is not None or text not in ("", "bool", "bit"):
            raise Malformed(f"a {table} is one bit: write {table}:NUMBER alone", f"{table} 只有一位：只需写 {table}:编号")
        return "bool", 1
    if bit is not None:
        if text not in ("", "bool", "bit"):
            raise Malformed(f"one bit of a register is a bool, not {text!r}", f"寄存器的一位是布尔量，不是 {text!r}")
        return "bool", 1
    if not text:
        return "uint16", 1
    if text in WORDS:
        return text, WORDS[text]
    if (found := re.fullmatch(r"text\[(\d{1,3})\]", text)) and 1 <= int(found[1]) <= _MAX_TEXT:
        return "text", int(found[1])
    if text in ("bool", "bit"):
        raise Malformed("which bit? write NUMBER.BIT, e.g. holding:40.3", "请注明位号，例如 holding:40.3")
    if text in _ORDERS or text in _ORDERS.values():
        raise Malformed(f"the type comes before the order, e.g. float32:{text}", f"类型应写在字节序之前，例如 float32:{text}")
    found = re.fullmatch(r"(?:text|string|str)\W*(\d+)\W*", text)
    near = f"text[{found[1]}]" if found else _SYNONYMS.get(text) or next(iter(difflib.get_close_matches(text, WORDS, 1)), "")
    known = ", ".join([*WORDS, "text[n]"])
    hint = (f" (did you mean {near}?)", f"（是否想写 {near}？）") if near else ("", "")
    raise Malformed(f"no type {text!r}{hint[0]}; known: {known}", f"没有类型 {text!r}{hint[1]}；可用：{known}")


def _order(text: str, kind: str, words: int) -> str:
    order = _ORDERS.get(text, text)
    if kind == "bool" or order not in ("abcd", "badc", "cdab", "dcba"):
        raise Malformed(f"no order {text!r}: abcd, badc, cdab or dcba", f"没有字节序 {text!r}：可用 abcd、badc、cdab、dcba")
    if text in _ORDERS and kind != "text" and len(text) != 2 * words:
        raise Malformed(
            f"order {text!r} is for {len(text)} bytes, {kind} has {2 * words}",
            f"字节序 {text!r} 用于 {len(text)} 字节，{kind} 为 {2 * words} 字节",
        )
    return order
