"""Reads tags.csv and dictionary.csv: one record a line, columns in any order, problems with their line."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, get_args, get_origin

import msgspec

from ronghe.errors import RongheError
from ronghe.plant.fields import bare
from ronghe.plant.problems import Problems, nearest
from ronghe.plant.textfile import read_text
from ronghe.signals.when import parse_duration

Record = TypeVar("Record", bound=msgspec.Struct)

_TRUE: Final = ("true", "1", "yes", "y", "是")
_FALSE: Final = ("false", "0", "no", "n", "否")


class _Wrong(Exception):
    """A cell that cannot be read: what is wrong in both languages, and what was probably meant."""

    def __init__(self, en: str, zh: str, meant: str = "") -> None:
        self.en, self.zh, self.meant = en, zh, meant


def read_table(path: Path, kind: type[Record], problems: Problems) -> list[tuple[int, Record]]:
    """(line, record) of every record; a wrong cell is among the problems and has its default, so that checking goes on.

    Columns are the fields of `kind`, in any order, divided by "," or ";" or tab; blank lines and lines that begin with "#" are passed
    over. A missing optional column, or an empty cell, stands for the field's default.
    """
    text = read_text(path, problems)
    if text is None:
        return []
    rows = _rows(path.name, text, problems)
    header = next(rows, None)
    if header is None:
        columns = ",".join(kind.__struct_fields__)
        problems.error(
            path.name, 1, f"the file is empty; its first line names the columns: {columns}", f"文件为空；首行应为列名：{columns}"
        )
        return []
    line, names = header
    columns_at = _header(path.name, line, names, kind, problems)
    if columns_at is None:
        return []
    fields = {f.name: f for f in msgspec.structs.fields(kind)}
    readers = [(i, n, _reader(n, bare(fields[n].type)), fields[n].required) for n, i in columns_at.items()]
    found: list[tuple[int, Record]] = []
    for line, cells in rows:
        if len(cells) > len(names) and any(c.strip() for c in cells[len(names) :]):
            problems.error(
                path.name,
                line,
                f"{len(cells)} cells, but the header has {len(names)}: put a cell that holds the separator in double quotes",
                f"该行有 {len(cells)} 格，而表头只有 {len(names)} 列：含分隔符的单元格请加英文双引号",
            )
            continue
        values, whole = {}, True
        for i, name, read, required in readers:
            cell = cells[i].strip() if i < len(cells) else ""
            try:
                if cell:
                    values[name] = read(cell)
                elif required:
                    raise _Wrong("is empty", "为空")
            except _Wrong as e:
                problems.error(path.name, line, f"{name} {e.en}", f"{name} {e.zh}", e.meant)
                whole = whole and not required
        if whole:
            found.append((line, kind(**values)))
    return found


def _rows(name: str, text: str, problems: Problems) -> Iterator[tuple[int, list[str]]]:
    """(line, cells) of each line that is neither blank nor a comment; the first, the header, without empty cells at its end."""
    first = next((line for line in text.split("\n") if line.strip() and not line.lstrip().startswith("#")), "")
    separator = max(",;\t", key=first.count)
    lines = ("\n" if line.lstrip().startswith("#") else line for line in io.StringIO(text))
    reader = csv.reader(lines, delimiter=separator, strict=True)
    header, line = True, 1
    try:
        for cells in reader:
            if any(c.strip() for c in cells):
                width = max(i for i, c in enumerate(cells) if c.strip()) + 1
                yield line, cells[:width] if header else cells
                header = False
            line = reader.line_num + 1
    except csv.Error as e:
        if "end of data" in str(e):
            problems.error(name, line, "a double quote is opened and never closed", "双引号未闭合")
        elif "field limit" in str(e) or "field larger" in str(e):
            problems.error(
                name, line, "a cell of more than 128 KiB: is a double quote never closed?", "单元格超过 128 KiB：双引号是否未闭合？"
            )
        else:
            problems.error(name, line, f"not valid CSV: {e}", f"CSV 格式错误：{e}")


def _header(name: str, line: int, cells: list[str], kind: type[msgspec.Struct], problems: Problems) -> dict[str, int] | None:
    known = kind.__struct_fields__
    at: dict[str, int] = {}
    usable = True
    for i, cell in enumerate(cells):
        column = cell.strip().lower()
        if column in at:
            problems.error(name, line, f"the column {column!r} appears twice", f"列 {column!r} 重复出现")
        elif column in known:
            at[column] = i
        elif "，" in cell:
            problems.error(name, line, "columns are divided by ',' and not by '，'", "列之间应使用英文逗号 ','，而不是 '，'")
            usable = False
        else:
            problems.error(
                name,
                line,
                f"no column is called {cell.strip()[:80]!r}",
                f"没有名为 {cell.strip()[:80]!r} 的列",
                nearest(cell.strip(), known),
            )
    for f in msgspec.structs.fields(kind):
        if f.required and f.name not in at:
            problems.error(name, line, f"the column {f.name!r} is missing", f"缺少列 {f.name!r}")
            usable = False
    return at if usable else None


def _reader(name: str, kind: Any) -> Callable[[str], Any]:
    if name == "every":
        return _seconds
    if get_origin(kind) is Literal:
        return lambda cell: _choice(cell, get_args(kind))
    if kind is bool:
        return _truth
    return _number if float in (kind, *get_args(kind)) else str


def _number(cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        point = cell.replace(",", ".")
        raise _Wrong(f"is {cell[:80]!r}, not a number", f"{cell[:80]!r} 不是数字", point if _is_number(point) else "") from None
    if not math.isfinite(value):
        raise _Wrong(f"is {cell!r}, not a finite number", f"{cell!r} 不是有限的数字")
    return value


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False


def _truth(cell: str) -> bool:
    if cell.lower() in _TRUE or cell.lower() in _FALSE:
        return cell.lower() in _TRUE
    raise _Wrong(f"is {cell[:80]!r}, neither true nor false", f"{cell[:80]!r} 既不是 true 也不是 false")


def _choice(cell: str, known: tuple[str, ...]) -> str:
    if cell.lower() in known:
        return cell.lower()
    choices = ", ".join(known)
    raise _Wrong(f"is {cell[:80]!r}, none of {choices}", f"{cell[:80]!r} 不在可选值中：{choices}", nearest(cell, known))


def _seconds(cell: str) -> float:
    try:
        ns = parse_duration(cell)
    except RongheError as e:
        meant = f"{cell}s" if _is_number(cell) else ""
        raise _Wrong(f"is {cell[:80]!r}, not a duration; {e.todo.en}", f"{cell[:80]!r} 不是时长；{e.todo.in_('zh')}", meant) from None
    if ns <= 0:
        raise _Wrong(f"is {cell[:80]!r}; it must be more than 0", f"为 {cell[:80]!r}，必须大于 0")
    return ns / 1e9
