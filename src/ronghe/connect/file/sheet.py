"""A CSV file as text: its encoding, its separator, where its header is, and its lines in blocks."""

from __future__ import annotations

import codecs
import csv
import gzip
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import pyarrow as pa
from pyarrow import csv as pacsv

from ronghe.errors import BadFrame, Unreachable
from ronghe.text import Text

_HEAD: Final = 1 << 18  # bytes looked at to find encoding and separator
_SCAN: Final = 1 << 26  # bytes looked through for a character that tells the encoding
_FIRST: Final = 1 << 16  # characters of the first block: samples soon
_BLOCK: Final = 1 << 20  # of the others
_LONGEST: Final = 1 << 24  # characters a line may have
_SEPARATORS: Final = (",", ";", "\t", "|")
_BOMS: Final = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_MARKS: Final = tuple(bom for bom, _ in _BOMS)
_DATUM: Final = re.compile(r"(?=.*\d)[-+\d.,:/\sTZeE年月日时分秒]+")  # a number or a time, no name

Skipped = Callable[[int, Text], None]
"""Told of each row that cannot be used: its line, and what is wrong."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """How to read one CSV file. `columns` are unique; data begin after line `header` (the first line is 1)."""

    path: Path
    encoding: str
    separator: str
    columns: tuple[str, ...]
    header: int


def look(path: Path) -> Sheet:
    """Finds out how a CSV file is written. Raises Unreachable when it cannot be opened, BadFrame when it is no table."""
    with _Reading(path), _open(path) as file:
        head = telling = file.read(_HEAD)
        read = len(head)
        while telling.isascii() and telling and read < _SCAN:
            telling = file.read(_HEAD)
            read += len(telling)
    encoding = _encoding(head if head.startswith(_MARKS) else telling)
    text = codecs.getincrementaldecoder(encoding)("replace").decode(head, len(head) < _HEAD)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if len(head) == _HEAD:
        lines = lines[:-1]
    separator, header, width = _table(lines)
    if header < 0:
        raise BadFrame(
            Text("no table: no line with column names and a line of data below it", "不是表格：找不到列名行及其下的数据行"),
            where=str(path),
            todo=Text("save it as CSV with a first line of column names", "请另存为首行是列名的 CSV"),
        )
    return Sheet(path, encoding, separator, _unique(_cells(lines[header], separator), width), header + 1)


def blocks(sheet: Sheet, columns: list[str], skipped: Skipped) -> Iterator[tuple[pa.Table, Callable[[int], int]]]:
    """The data in order, as tables of text columns, each with a function from row to line. Rows with too few or too many cells are told and
    left out. Raises Unreachable, BadFrame."""
    for first, text in _lines(sheet):
        rejected: list[tuple[int, int]] = []

        def reject(row: pacsv.InvalidRow, to: list[tuple[int, int]] = rejected) -> str:
            to.append((row.number, row.actual_columns))
            return "skip"

        table = _parsed(sheet, first, text, columns, reject)
        whole = _Rows(first, text, {number - 1 for number, _ in rejected})
        for number, cells in rejected:
            what = Text(f"{cells} cells, {len(sheet.columns)} columns", f"有 {cells} 个单元格，应为 {len(sheet.columns)} 列")
            skipped(whole.line_of_any(number - 1), what)
        yield table, whole.line


def _parsed(sheet: Sheet, first: int, text: str, columns: list[str], reject: Callable[[pacsv.InvalidRow], str]) -> pa.Table:
    data = text.encode("utf-8", "replace")
    try:
        return pacsv.read_csv(
            pa.BufferReader(data),
            read_options=pacsv.ReadOptions(column_names=list(sheet.columns), use_threads=False, block_size=len(data) + 1),
            parse_options=pacsv.ParseOptions(delimiter=sheet.separator, invalid_row_handler=reject),
            convert_options=pacsv.ConvertOptions(
                column_types=dict.fromkeys(sheet.columns, pa.string()), include_columns=columns, strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid as e:
        raise BadFrame(Text(f"not CSV: {e}", f"不是 CSV：{e}"), where=f"{sheet.path}:{first}", todo=_SAVE_AGAIN) from e


class _Rows:
    """From rows of a block to lines of the file; worked out only when something is wrong."""

    def __init__(self, first: int, text: str, rejected: set[int]) -> None:
        self._first, self._text, self._rejected = first, text, rejected
        self._all: list[int] = []
        self._kept: list[int] = []

    def line_of_any(self, row: int) -> int:
        """The line of a row, counted with the rejected ones."""
        if not self._all:
            self._all = [i for i, line in enumerate(self._text.split("\n")) if line]
        return self._first + (self._all[row] if row < len(self._all) else row)

    def line(self, row: int) -> int:
        """The line of a row of the table."""
        if not self._kept:
            self.line_of_any(0)
            self._kept = [at for i, at in enumerate(self._all) if i not in self._rejected]
        return self._first + (self._kept[row] if row < len(self._kept) else row)


_SAVE_AGAIN: Final = Text("open it in a spreadsheet and save it again as CSV", "请用电子表格软件打开并重新另存为 CSV")


def _lines(sheet: Sheet) -> Iterator[tuple[int, str]]:
    """(line number, text of whole lines), without the header and what stands above it."""
    with _Reading(sheet.path), _open(sheet.path) as raw:
        text = codecs.getreader(sheet.encoding)(raw, "replace")
        number, rest, size = 1, "", _FIRST
        while True:
            more = text.read(size)
            size = _BLOCK
            block = (rest + more).replace("\r\n", "\n")
            if more and block.endswith("\r"):
                block, held = block[:-1], "\r"
            else:
                held = ""
            block = block.replace("\r", "\n")
            cut = len(block) if not more else block.rfind("\n") + 1
            block, rest = block[:cut], block[cut:] + held
            if len(rest) > _LONGEST:
                raise BadFrame(Text("a line without end", "有一行过长"), where=f"{sheet.path}:{number}", todo=_SAVE_AGAIN)
            count = block.count("\n")
            while block and number <= sheet.header:
                _, _, block = block.partition("\n")
                number, count = number + 1, count - 1
            if block.strip("\n"):
                yield number, block
            number += count
            if not more:
                return


def _open(path: Path) -> IO[bytes]:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


class _Reading:
    """Turns what reading a file may raise into the tree of errors."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, (gzip.BadGzipFile, EOFError, zlib.error)):
            what = Text(f"a damaged .gz file: {error}", f".gz 文件已损坏：{error}")
            raise BadFrame(what, where=str(self._path), todo=Text("copy it again", "请重新复制该文件")) from error
        if isinstance(error, OSError):
            why = error.strerror or str(error)
            raise Unreachable(
                Text(f"the file cannot be read: {why}", f"无法读取文件：{why}"),
                where=str(self._path),
                todo=Text("check path and rights", "请检查路径和权限"),
            ) from error


def _encoding(head: bytes) -> str:
    for bom, name in _BOMS:
        if head.startswith(bom):
            return name
    for name in ("utf-8", "gb18030"):
        try:
            codecs.getincrementaldecoder(name)().decode(head, len(head) < _HEAD)
        except UnicodeDecodeError:
            continue
        return name
    return "utf-8"


def _cells(line: str, separator: str) -> list[str]:
    try:
        return [c.strip() for c in next(csv.reader([line], delimiter=separator), [])]
    except csv.Error:
        return []


def _table(lines: list[str]) -> tuple[str, int, int]:
    """(separator, index of the header line, number of columns), by the separator that cuts most lines into one number of cells; index -1
    where there is no table."""
    some = [(i, line) for i, line in enumerate(lines[:200]) if line.strip()]
    best: tuple[int, int, str, int] = (0, 0, ",", -1)
    for separator in _SEPARATORS:
        counts = [(i, len(_cells(line, separator))) for i, line in some]
        common = Counter(n for _, n in counts if n > 1).most_common(1)
        if not common:
            continue
        width, times = common[0]
        at, header = next((k, i) for k, (i, n) in enumerate(counts) if n == width)
        if at and counts[at - 1][1] == width - 1 and not _names(_cells(lines[header], separator)):
            header = counts[at - 1][0]  # data lines end with a separator, the header does not
        if times > 1 and (times, width) > best[:2] and _names(_cells(lines[header], separator)):
            best = (times, width, separator, header)
    return best[2], best[3], best[1]


def _names(cells: list[str]) -> bool:
    """Whether cells can be column names: most of those that are not empty are neither numbers nor times."""
    filled = [c for c in cells if c]
    return 2 * sum(not _DATUM.fullmatch(c) for c in filled) >= len(filled) > 0


def _unique(names: list[str], width: int) -> tuple[str, ...]:
    """`width` column names, made to differ; nameless ones are called by their place."""
    out: dict[str, None] = {}
    for i, name in enumerate([*names, *[""] * (width - len(names))]):
        plain = mine = name or f"column{i + 1}"
        count = 1
        while mine in out:
            count += 1
            mine = f"{plain}_{count}"
        out[mine] = None
    return tuple(out)
