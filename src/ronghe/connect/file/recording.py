"""One recorded file, CSV or Parquet, as batches in time order within each chunk."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ronghe.connect.file import sheet as sheets
from ronghe.connect.file.cells import codes, is_classic, numbers, texts
from ronghe.connect.file.options import Options
from ronghe.connect.file.sheet import Sheet, Skipped
from ronghe.connect.file.times import Clock, from_column, guess_first
from ronghe.errors import BadAddress, BadFrame, Unreachable
from ronghe.signals import Batch, TagIndex
from ronghe.signals import quality as q
from ronghe.text import Text

TABLES: Final = (".csv", ".txt", ".tsv")
_ROWS: Final = 1 << 16  # rows a chunk of Parquet
_TIME: Final = (
    "time",
    "timestamp",
    "datetime",
    "date",
    "date_time",
    "ts",
    "t",
    "sourcetimestamp",
    "时间",
    "时间戳",
    "采集时间",
    "日期时间",
    "日期",
)
_TAG: Final = (
    "tag",
    "tagname",
    "tag_name",
    "name",
    "point",
    "variable",
    "signal",
    "metric",
    "测点",
    "位号",
    "点名",
    "变量",
    "标签",
    "测点名称",
)
_VALUE: Final = ("value", "val", "v", "reading", "值", "数值", "测量值", "采集值")
_QUALITY: Final = ("quality", "status", "q", "statuscode", "质量", "质量码", "状态码")

_BARE_DATE: Final = r"^\d{1,4}[-/.年]\d{1,2}[-/.月]\d{1,4}日?$"
_OF_DAY: Final = r"^\d{1,2}[:时]\d{1,2}"


class Source(Protocol):
    """A file's columns, and its rows in chunks."""

    path: Path
    columns: tuple[str, ...]
    decimal_comma: bool

    def tables(self, columns: list[str], skipped: Skipped) -> Iterator[tuple[pa.Table, Callable[[int], int]]]:
        """Chunks of some columns; each with a function from row to line. Raises Unreachable, BadFrame."""
        ...


class Csv:
    """A CSV file, perhaps .gz. Every column is text."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._sheet: Sheet = sheets.look(path)
        self.columns = self._sheet.columns
        self.decimal_comma = self._sheet.separator != ","

    def tables(self, columns: list[str], skipped: Skipped) -> Iterator[tuple[pa.Table, Callable[[int], int]]]:
        return sheets.blocks(self._sheet, columns, skipped)


class Parquet:
    """A Parquet file; columns have types."""

    decimal_comma = False

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._open() as file:
            self.columns = tuple(file.schema_arrow.names)

    def tables(self, columns: list[str], skipped: Skipped) -> Iterator[tuple[pa.Table, Callable[[int], int]]]:
        first = 1
        with self._open() as file:
            try:
                for batch in file.iter_batches(batch_size=_ROWS, columns=columns):
                    yield pa.Table.from_batches([batch]), first.__add__
                    first += batch.num_rows
            except (pa.ArrowException, OSError) as e:
                raise self._damaged(e) from e

    def _open(self) -> pq.ParquetFile:
        try:
            return pq.ParquetFile(self.path)
        except (FileNotFoundError, PermissionError, IsADirectoryError) as e:
            why = e.strerror or str(e)
            raise Unreachable(
                Text(f"the file cannot be read: {why}", f"无法读取文件：{why}"),
                where=str(self.path),
                todo=Text("check path and rights", "请检查路径和权限"),
            ) from e
        except (pa.ArrowException, OSError) as e:
            raise self._damaged(e) from e

    def _damaged(self, e: Exception) -> BadFrame:
        said = str(e).splitlines()[0][:200]
        return BadFrame(
            Text(f"no Parquet file, or a damaged one: {said}", f"不是 Parquet 文件或已损坏：{said}"),
            where=str(self.path),
            todo=Text("write it again", "请重新生成该文件"),
        )


@dataclass(frozen=True, slots=True)
class Layout:
    """Which column is what. In a long file `tag` and `value` are set; in a wide one every column but `time` is a tag."""

    time: str
    clock: Clock
    of_day: str = ""  # where date and time of day are two columns
    tag: str = ""
    value: str = ""
    quality: str = ""
    classic: bool = False  # whether qualities are those of OPC Classic


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which tags to take: their names, and whether each is text; a row's tag is the place in `names`."""

    names: tuple[str, ...]
    text: tuple[bool, ...]


class Recording:
    """One file, looked at: what it holds, and its samples. Raises Unreachable, BadFrame, BadAddress (no such time column)."""

    def __init__(self, path: Path, options: Options) -> None:
        plain = path.with_suffix("") if path.suffix == ".gz" else path
        self.source: Source = Csv(path) if plain.suffix.lower() in TABLES else Parquet(path)
        self.path = path
        first = next(self.source.tables(list(self.source.columns), lambda line, what: None), None)
        if first is None or not first[0].num_rows:
            raise BadFrame(
                Text("no row of data", "没有数据行"), where=str(path), todo=Text("check the file, or leave it out", "请检查或移除该文件")
            )
        self.layout = _layout(self.source, first[0], options)

    def names(self) -> list[str]:
        """Its tags: columns of a wide file, in their order; all names in a long file, which is read through for them."""
        if not self.layout.tag:
            return [c for c in self.source.columns if c not in (self.layout.time, self.layout.of_day)]
        found: dict[str, None] = {}
        for table, _ in self.source.tables([self.layout.tag], lambda line, what: None):
            found.update(dict.fromkeys(pc.unique(texts(table.column(0))).to_pylist()))
        return [n for n in found if n]

    def chunks(self, wanted: Wanted, index: TagIndex, skipped: Skipped) -> Generator[Batch]:
        """Batches sorted by time within themselves; their tags are places in `wanted`. Empty cells are no samples."""
        at, long = self.layout, bool(self.layout.tag)
        mine = [i for i, n in enumerate(wanted.names) if long or (n in self.source.columns and n != at.time)]
        if not mine:
            return
        needed = [at.time, at.of_day, *([at.tag, at.value, at.quality] if long else [wanted.names[i] for i in mine])]
        for table, line in self.source.tables(list(dict.fromkeys(c for c in needed if c)), skipped):
            written = _time_column(table, at)
            time, ok = from_column(written, at.clock)
            for row in np.flatnonzero(~ok).tolist():
                said = str(written[row].as_py())[:40]
                skipped(line(row), Text(f"no time: {said!r}", f"不是时间：{said!r}"))
            rows = np.flatnonzero(ok)
            rows = rows[np.argsort(time[rows], kind="stable")]
            taken = table.take(pa.array(rows))
            batch = self._long(taken, time[rows], wanted, index) if long else self._wide(taken, time[rows], mine, wanted, index)
            if len(batch):
                yield batch

    def _wide(self, table: pa.Table, time: NDArray[np.int64], mine: list[int], wanted: Wanted, index: TagIndex) -> Batch:
        plain, words = [i for i in mine if not wanted.text[i]], [i for i in mine if wanted.text[i]]
        n, k = len(time), len(plain)
        value, code, there = np.empty((n, k)), np.empty((n, k), np.uint32), np.empty((n, k), np.bool_)
        for j, i in enumerate(plain):
            column = _whole(table.column(wanted.names[i]))
            value[:, j], code[:, j], there[:, j] = numbers(column, decimal_comma=self.source.decimal_comma)
        keep = there.ravel()
        tags = np.tile(np.array(plain, np.int32), n)
        parts = [Batch(index, tags[keep], np.repeat(time, k)[keep], value.ravel()[keep], code.ravel()[keep])]
        for i in words:
            text = texts(table.column(wanted.names[i]))
            rows = np.flatnonzero(pc.not_equal(text, "").to_numpy(zero_copy_only=False))
            tag = np.full(len(rows), i, np.int32)
            parts.append(Batch.of(index, tag, time[rows], np.full(len(rows), np.nan)).with_(text=text.take(pa.array(rows))))
        return parts[0] if not words else _sorted(Batch.concat(parts))

    def _long(self, table: pa.Table, time: NDArray[np.int64], wanted: Wanted, index: TagIndex) -> Batch:
        at = self.layout
        place = pc.index_in(texts(table.column(at.tag)), pa.array(wanted.names, pa.string())).fill_null(-1)
        tag = place.to_numpy(zero_copy_only=False).astype(np.int32)
        column = _whole(table.column(at.value))
        value, code, there = numbers(column, decimal_comma=self.source.decimal_comma)
        text = None
        if any(wanted.text):
            is_text = np.array([*wanted.text, False])[tag]
            words = texts(column)
            said = pc.not_equal(words, "").to_numpy(zero_copy_only=False)
            value, code, there = (
                np.where(is_text, np.nan, value),
                np.where(is_text, np.uint32(q.GOOD), code),
                np.where(is_text, said, there),
            )
            text = pc.if_else(pa.array(is_text), words, pa.scalar(None, pa.string()))
        if at.quality:
            own = codes(_whole(table.column(at.quality)), classic=at.classic)
            code = np.where(own != q.GOOD, own, code)
            there = there | (own != q.GOOD)
        keep = np.flatnonzero((tag >= 0) & there)
        return Batch(
            index, tag[keep], time[keep], value[keep], code[keep].astype(np.uint32), None if text is None else text.take(pa.array(keep))
        )


def _whole(column: pa.ChunkedArray) -> pa.Array:
    column = column.combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = column.chunk(0) if column.num_chunks else pa.array([], column.type)
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _time_column(table: pa.Table, layout: Layout) -> pa.Array:
    column = _whole(table.column(layout.time))
    if not layout.of_day:
        return column
    return pc.binary_join_element_wise(texts(column), texts(table.column(layout.of_day)), " ")


def _sorted(batch: Batch) -> Batch:
    return batch.take(np.argsort(batch.time, kind="stable"))


def _layout(source: Source, head: pa.Table, options: Options) -> Layout:
    """Finds the time column, and whether the file is long. Raises BadAddress when there is none to be found."""
    by_name = {c.strip().lower(): c for c in reversed(source.columns)}

    def named(names: Sequence[str]) -> str:
        return next((by_name[n] for n in names if n in by_name), "")

    clock = Clock(options.time_format, options.zone)
    if options.time_column:
        time = options.time_column if options.time_column in source.columns else by_name.get(options.time_column.lower(), "")
    else:
        time = next((c for c in _likely(source, named(_TIME), head) if _is_time(head, c, clock)), "")
    if not time:
        known = ", ".join(source.columns[:12])
        raise BadAddress(
            Text(f"no time column {options.time_column}".rstrip(), f"找不到时间列 {options.time_column}".rstrip()),
            where=str(source.path),
            todo=Text(
                f"give time_column, one of: {known}; and time_format where it is unusual",
                f"请用 time_column 指定，可选：{known}；格式特殊时再给 time_format",
            ),
        )
    of_day = _of_day(source, head, time)
    clock = replace(clock, first=_first(head, time))
    tag, value = named(_TAG), named(_VALUE)
    long = options.layout == "long" or (options.layout == "auto" and bool(tag and value) and len(source.columns) <= 8)
    if long and not (tag and value):
        raise BadAddress(
            Text("a long file needs the columns tag, time and value", "长表需要 tag、time、value 三列"),
            where=str(source.path),
            todo=Text('rename them, or set layout = "wide"', '请改列名，或设置 layout = "wide"'),
        )
    if not long:
        return Layout(time, clock, of_day)
    quality = named(_QUALITY)
    return Layout(time, clock, of_day, tag, value, quality, bool(quality) and is_classic(_whole(head.column(quality))))


def _likely(source: Source, named: str, head: pa.Table) -> list[str]:
    """Columns that may hold the time: one that is called so; typed timestamps; texts. Bare numbers only where the name says time."""
    others = [c for c in source.columns if c != named and (_typed(head, c) or not _numeric(head, c))]
    return [named, *others] if named else others


def _typed(head: pa.Table, column: str) -> bool:
    kind = head.column(column).type
    return pa.types.is_timestamp(kind) or pa.types.is_date(kind)


def _numeric(head: pa.Table, column: str) -> bool:
    _, code, there = numbers(_whole(head.column(column)), decimal_comma=False)
    return bool(there.any() and (code[there] == q.GOOD).all())


def _is_time(head: pa.Table, column: str, clock: Clock) -> bool:
    """Whether most of the first rows can be read as a time."""
    some = _whole(head.column(column).slice(0, 200))
    if not (pa.types.is_string(some.type) or pa.types.is_large_string(some.type) or _typed(head, column) or _number_type(some.type)):
        return False
    clocks = [replace(clock, first=f) for f in ("day", "month")]
    return any(2 * int(from_column(some, c)[1].sum()) > len(some) for c in clocks)


def _of_day(source: Source, head: pa.Table, time: str) -> str:
    """The column of times of day beside a column of bare dates, or ""."""
    if not _all_match(head, time, _BARE_DATE):
        return ""
    return next((c for c in source.columns if c != time and _all_match(head, c, _OF_DAY)), "")


def _all_match(head: pa.Table, column: str, pattern: str) -> bool:
    some = texts(head.column(column).slice(0, 200))
    return bool(pc.all(pc.match_substring_regex(some, pattern)).as_py())


def _number_type(kind: Any) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _first(head: pa.Table, column: str) -> Any:
    whole = _whole(head.column(column))
    return guess_first(whole) if pa.types.is_string(whole.type) else "day"
