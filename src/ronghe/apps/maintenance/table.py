"""Reads tables of measurements as people have them: CSV with comma, semicolon or tab, decimal comma, BOM, GBK; any usual time column."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc
from numpy.typing import NDArray

from ronghe.errors import AppError
from ronghe.text import Text

_TIMES: Final = ("time", "datetime", "timestamp", "date", "ts", "date_time", "时间", "日期", "时刻", "采集时间")
_FORMATS: Final = (pc.ISO8601, "%Y/%m/%d %H:%M:%S", "%Y/%m/%d %H:%M", "%d.%m.%Y %H:%M:%S", "%m/%d/%Y %H:%M:%S", "%Y%m%d%H%M%S")


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Rows of numbers. `time` int64[n] ns since 1970 UTC (a row a second where the file has no times); `value` float64[n, k] or NaN."""

    path: Path
    columns: tuple[str, ...]
    time: NDArray[np.int64]
    value: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.time)

    def take(self, names: Sequence[str]) -> NDArray[np.float64]:
        """Some columns. Raises AppError for one that is not there."""
        for name in names:
            if name not in self.columns:
                raise AppError(
                    Text(f"there is no column {name!r}", f"没有列 {name!r}"),
                    where=str(self.path),
                    todo=Text(f"columns: {', '.join(self.columns)}", f"现有列：{'、'.join(self.columns)}"),
                )
        out: NDArray[np.float64] = self.value[:, [self.columns.index(n) for n in names]]
        return out

    @property
    def every(self) -> float:
        """Seconds between rows: the median."""
        steps = np.diff(self.time)
        return float(np.median(steps)) / 1e9 if len(steps) and np.median(steps) > 0 else 1.0


def find(path: Path) -> list[Path]:
    """The CSV files at a path: itself, or all in a folder and its sub-folders, sorted. Raises AppError when there is none."""
    if path.is_file():
        return [path]
    found = sorted(p for p in path.rglob("*") if p.is_file() and p.suffix.lower() in (".csv", ".tsv", ".txt"))
    if not found:
        what = (
            Text("no CSV file here", "此处没有 CSV 文件")
            if path.exists()
            else Text("there is no such file or folder", "没有这个文件或文件夹")
        )
        raise AppError(what, where=str(path))
    return found


def read(path: Path) -> Table:
    """Reads a CSV file. Raises AppError, with the line where there is one, for a file without numbers."""
    try:
        raw = path.read_bytes()
    except OSError as e:
        raise AppError(Text(f"cannot be read: {e.strerror}", f"无法读取：{e.strerror}"), where=str(path)) from e
    text = _decode(raw)
    head = next((line for line in text.splitlines() if line.strip()), "")
    if not head:
        raise AppError(Text("the file is empty", "文件为空"), where=str(path))
    delimiter = max(";\t,|", key=head.count)
    comma = delimiter != "," and "," in text and "." not in "".join(text.splitlines()[1:6]).replace(".csv", "")
    try:
        table = pc.read_csv(
            io.BytesIO(text.encode()),
            parse_options=pc.ParseOptions(delimiter=delimiter, ignore_empty_lines=True),
            convert_options=pc.ConvertOptions(
                timestamp_parsers=list(_FORMATS),
                decimal_point="," if comma else ".",
                null_values=["", "NA", "NaN", "nan", "null", "NULL", "None", "-", "--", "#N/A", "Bad", "bad"],
                strings_can_be_null=True,
            ),
        )
    except pa.ArrowInvalid as e:
        reason = str(e).removeprefix("CSV parse error: ")
        raise AppError(
            Text(f"not a table: {reason}", f"不是表格：{reason}"),
            where=str(path),
            todo=Text("every line needs as many values as the first has names", "每一行的列数须与表头一致"),
        ) from e
    return _table(path, table)


def _decode(raw: bytes) -> str:
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return raw.decode("latin-1")


def _table(path: Path, table: pa.Table) -> Table:
    names = [n.strip() for n in table.column_names]
    at = _time_column(names, table)
    kept, values = [], []
    for j, name in enumerate(names):
        kind = table.column(j).type
        if j != at and (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind)):
            column = (
                table.column(j).cast(pa.float64()) if not pa.types.is_boolean(kind) else table.column(j).cast(pa.int8()).cast(pa.float64())
            )
            kept.append(name)
            values.append(column.combine_chunks().to_numpy(zero_copy_only=False))
    if not kept or not table.num_rows:
        text = next((f"{n} = {table.column(j)[0].as_py()!r}" for j, n in enumerate(names) if j != at and table.num_rows), "")
        raise AppError(
            Text(f"no column of numbers{': ' + text if text else ''}", f"没有数值列{'：' + text if text else ''}"),
            where=str(path),
            todo=Text("give a header line, then one row of numbers a line", "首行为列名，其后每行为一组数值"),
        )
    twice = sorted({n for n in kept if kept.count(n) > 1})
    if twice:
        raise AppError(Text(f"two columns are called {twice[0]!r}", f"有两列同名 {twice[0]!r}"), where=str(path))
    value = np.column_stack(values).astype(np.float64)
    value[~np.isfinite(value)] = np.nan
    return Table(path, tuple(kept), _times(path, table, at), value)


def _time_column(names: Sequence[str], table: pa.Table) -> int:
    """The column that says when, or −1: one of a time type, else one of a usual name."""
    for j in range(len(names)):
        if pa.types.is_timestamp(table.column(j).type) or pa.types.is_date(table.column(j).type):
            return j
    return next((j for j, n in enumerate(names) if n.lower() in _TIMES and _rises(table.column(j))), -1)


def _rises(column: pa.ChunkedArray) -> bool:
    """Whether these may be times counted from 1970: numbers, none missing, never falling."""
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)) or column.null_count or not len(column):
        return False
    numbers = column.cast(pa.float64()).combine_chunks().to_numpy(zero_copy_only=False)
    return bool(np.isfinite(numbers).all() and (np.diff(numbers) >= 0).all())


def _times(path: Path, table: pa.Table, at: int) -> NDArray[np.int64]:
    n = table.num_rows
    if at < 0:
        return np.arange(n, dtype=np.int64) * 1_000_000_000
    column = table.column(at).combine_chunks()
    if column.null_count:
        line = int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0]) + 2
        raise AppError(Text("a row has no time", "有一行缺少时间"), where=f"{path}:{line}")
    if pa.types.is_timestamp(column.type) or pa.types.is_date(column.type):
        out: NDArray[np.int64] = column.cast(pa.timestamp("ns")).cast(pa.int64()).to_numpy(zero_copy_only=False)
        return out
    number = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    largest = float(np.abs(number).max())
    unit = next((u for limit, u in ((1e11, 1e9), (1e14, 1e6), (1e17, 1e3)) if largest < limit), 1.0)  # s, ms, µs or ns since 1970
    scaled: NDArray[np.int64] = np.round(number * unit).astype(np.int64)
    return scaled
