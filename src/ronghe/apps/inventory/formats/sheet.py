"""Tables as people keep them: CSV in any usual encoding and separator, or a sheet of an Excel workbook. Columns of text, with lines."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
from numpy.typing import NDArray

from ronghe.apps.inventory.distributions import Floats
from ronghe.errors import AppError, MissingExtra
from ronghe.text import Text

_FORMATS: Final = ("%Y-%m-%d", "%Y/%m/%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y/%m/%d %H:%M:%S", "%Y-%m-%d %H:%M",
                   "%Y/%m/%d %H:%M", "%Y%m%d", "%d.%m.%Y", "%Y年%m月%d日", "%Y-%m-%dT%H:%M:%SZ")  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """Columns of text, all of one length; "" where nothing stands. `blank` are the lines of the file that hold nothing."""

    path: Path
    columns: Mapping[str, pa.Array]
    blank: NDArray[np.int64]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()))) if self.columns else 0

    def line(self, row: int) -> int:
        """The line of the file that a row stands on; the head is line 1."""
        line = row + 2
        for b in self.blank:
            if b > line:
                break
            line += 1
        return line

    def at(self, row: int) -> str:
        """File and line, as errors say it."""
        return f"{self.path}:{self.line(row)}"

    def text(self, name: str) -> list[str]:
        """A column as it stands; empty texts where there is no such column."""
        return [str(v) for v in self.columns[name].to_pylist()] if name in self.columns else [""] * len(self)

    def numbers(self, name: str, default: float = math.nan, *, signed: bool = False) -> Floats:
        """A column of numbers: float64[rows]; `default` where nothing stands. Raises AppError, with the line, for anything else, for
        what is not finite, and, unless `signed`, for what is below zero."""
        if name not in self.columns:
            return np.full(len(self), default)
        column = self.columns[name]
        empty = pc.equal(column, "")
        try:
            numbers = pc.if_else(empty, pa.scalar(None, pa.string()), column).cast(pa.float64())
            value = numbers.fill_null(default).to_numpy(zero_copy_only=False).astype(np.float64)
        except pa.ArrowInvalid:
            value = np.array([default if not t else self._number(name, i, t) for i, t in enumerate(self.text(name))])
        given = ~np.asarray(empty.to_numpy(zero_copy_only=False), bool)
        bad = given & (~np.isfinite(value) | ((value < 0) & (not signed)))
        if bad.any():
            i = int(np.argmax(bad))
            said = column[i].as_py()
            what = (
                Text(f"{name} is {said}, below zero", f"{name} 为 {said}，不能为负")
                if value[i] < 0 and math.isfinite(value[i])
                else Text(f"{name} is {said}, not a finite number", f"{name} 为 {said}，不是有限数值")
            )
            raise AppError(what, where=self.at(i))
        return value

    def _number(self, name: str, row: int, said: str) -> float:
        tidy = said.replace(",", "").replace("，", "").replace(" ", "")
        try:
            return float(tidy[:-1]) / 100 if tidy.endswith(("%", "％")) else float(tidy)
        except ValueError:
            raise AppError(Text(f"{name} is {said!r}, not a number", f"{name} 为 {said!r}，不是数值"), where=self.at(row)) from None

    def times(self, name: str) -> NDArray[np.int64]:
        """A column of dates or times: int64[rows], s since 1970 UTC. Raises AppError, with the line, for what is none."""
        column = self.columns[name]
        for form in _FORMATS:
            parsed = pc.strptime(column, format=form, unit="s", error_is_null=True)
            if not parsed.null_count:
                return np.asarray(parsed.cast(pa.int64()).to_numpy(zero_copy_only=False))
        return np.array([self.time(name, i, t) for i, t in enumerate(self.text(name))], np.int64)

    def time(self, name: str, row: int, said: str) -> int:
        """One date or time: s since 1970 UTC."""
        try:
            found = datetime.fromisoformat(said.replace("/", "-"))
            return round((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp())
        except ValueError:
            pass
        for form in _FORMATS:
            try:
                return round(datetime.strptime(said, form).replace(tzinfo=UTC).timestamp())
            except ValueError:
                continue
        raise AppError(
            Text(f"{name} is {said!r}, not a date", f"{name} 为 {said!r}，不是日期"),
            where=self.at(row),
            todo=Text("write 2026-03-09 or 2026/03/09", "请写成 2026-03-09 或 2026/03/09"),
        )


def read(path: Path, names: Mapping[str, Sequence[str]], needed: Sequence[str], sheet: Sequence[str] = ()) -> Sheet:
    """Reads the columns called `names` (our name → what people call it); the others are passed over. `sheet`: what the sheet of a
    workbook may be called. Raises AppError for a file that is no table, has no rows, or lacks a column of `needed`."""
    head, columns, blank = _workbook(path, sheet) if path.suffix.lower() in (".xlsx", ".xlsm") else _csv(path)
    known = {alias.lower(): ours for ours, aliases in names.items() for alias in (ours, *aliases)}
    found: dict[str, pa.Array] = {}
    for title, column in zip(head, columns, strict=True):
        ours = known.get(title.strip().lower().replace(" ", "_"))
        if ours is None:
            continue
        if ours in found:
            raise AppError(
                Text(f"two columns mean {ours}: {title!r} is the second", f"有两列都表示 {ours}：第二列为 {title!r}"), where=f"{path}:1"
            )
        found[ours] = column
    missing = [n for n in needed if n not in found]
    if missing:
        raise AppError(
            Text(f"there is no column {missing[0]!r}", f"缺少列 {missing[0]!r}"),
            where=f"{path}:1",
            todo=Text(f"columns here: {', '.join(head)}", f"现有列：{'、'.join(head)}"),
        )
    out = Sheet(path, found, blank)
    if not len(out):
        raise AppError(Text("there is a head and no row under it", "只有表头，没有数据行"), where=str(path))
    return out


def _decode(raw: bytes, path: Path) -> str:
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return raw.decode("utf-16", errors="replace")
    head = raw[:2000]
    if b"\x00" in head:  # UTF-16 without a mark: in little-endian the zeros of commas and digits stand second
        return raw.decode("utf-16-le" if head[1::2].count(0) >= head[::2].count(0) else "utf-16-be", errors="replace")
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise AppError(
        Text("is in no encoding that is known (UTF-8, UTF-16, GB 18030)", "文件编码无法识别（支持 UTF-8、UTF-16、GB 18030）"),
        where=str(path),
        todo=Text("save it as CSV UTF-8", "请另存为 UTF-8 编码的 CSV"),
    )


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as e:
        raise AppError(Text(f"cannot be read: {e.strerror}", f"无法读取：{e.strerror}"), where=str(path)) from e


def _csv(path: Path) -> tuple[list[str], list[pa.Array], NDArray[np.int64]]:
    text = _decode(_bytes(path), path)
    lines = text.splitlines()
    head = next((x for x in lines if x.strip()), "")
    if not head:
        raise AppError(Text("the file is empty", "文件为空"), where=str(path))
    delimiter = max(",;\t|", key=head.count)
    titles = next(iter(_split(head, delimiter)))
    if len(set(titles)) < len(titles):
        twice = next(t for t in titles if titles.count(t) > 1)
        raise AppError(Text(f"two columns are called {twice!r}", f"有两列同名 {twice!r}"), where=f"{path}:1")
    blank = np.array([i + 1 for i, x in enumerate(lines) if not x.strip()], np.int64)
    if len(blank):
        text = "\n".join(x for x in lines if x.strip())
    try:
        table = pacsv.read_csv(
            io.BytesIO(text.encode()),
            parse_options=pacsv.ParseOptions(delimiter=delimiter),
            convert_options=pacsv.ConvertOptions(column_types={t: pa.string() for t in titles}, strings_can_be_null=False),
            read_options=pacsv.ReadOptions(column_names=titles, skip_rows=1),
        )
    except pa.ArrowInvalid as e:
        reason = str(e).removeprefix("CSV parse error: ")
        raise AppError(
            Text(f"not a table: {reason}", f"不是表格：{reason}"),
            where=str(path),
            todo=Text("every line needs as many values as the first has names", "每一行的列数须与表头一致"),
        ) from e
    columns = [pc.utf8_trim_whitespace(table.column(t).combine_chunks()) for t in titles]
    return titles, [c.combine_chunks() if isinstance(c, pa.ChunkedArray) else c for c in columns], blank


def _split(head: str, delimiter: str) -> list[list[str]]:
    return [[t.strip() for t in row] for row in csv.reader([head], delimiter=delimiter)]


def _workbook(path: Path, sheet: Sequence[str]) -> tuple[list[str], list[pa.Array], NDArray[np.int64]]:
    try:
        from openpyxl import load_workbook
    except ImportError as e:
        raise MissingExtra("planning", Text("reading Excel", "读取 Excel")) from e
    try:
        book = load_workbook(io.BytesIO(_bytes(path)), read_only=True, data_only=True)
    except (OSError, KeyError, ValueError) as e:
        raise AppError(Text("is no Excel workbook", "不是 Excel 工作簿"), where=str(path)) from e
    except Exception as e:  # a damaged archive makes the library raise its own, undocumented kinds
        raise AppError(Text(f"is no Excel workbook: {e}", f"不是 Excel 工作簿：{e}"), where=str(path)) from e
    wanted = next((n for n in book.sheetnames if n.strip().lower() in sheet), "")
    if not wanted:
        raise AppError(
            Text(f"has no sheet called {sheet[0]!r}", f"没有名为 {sheet[0]!r} 的工作表"),
            where=str(path),
            todo=Text(f"sheets: {', '.join(book.sheetnames)}", f"现有工作表：{'、'.join(book.sheetnames)}"),
        )
    rows = [[_cell(v) for v in row] for row in book[wanted].iter_rows(values_only=True)]
    blank = np.array([i + 1 for i, r in enumerate(rows) if not any(r)], np.int64)
    rows = [r for r in rows if any(r)]
    if not rows:
        raise AppError(Text("the sheet is empty", "工作表为空"), where=f"{path}:{wanted}")
    width = len(rows[0])
    columns = [pa.array([(r[j] if j < len(r) else "") for r in rows[1:]], pa.string()) for j in range(width)]
    return rows[0], columns, blank


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%S")
    return str(value).strip()
