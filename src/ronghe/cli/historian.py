"""`ronghe query`: what the historian holds, as a table, CSV, JSON or Parquet; works while the node runs."""

from __future__ import annotations

import csv
import difflib
import fnmatch
import json
import math
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final
from unicodedata import east_asian_width

import click
import pyarrow as pa
import pyarrow.parquet as pq

from ronghe.errors import BadQuery
from ronghe.historian import Historian
from ronghe.historian.aggregate import FUNCTIONS
from ronghe.historian.place import store_of
from ronghe.signals import TagIndex
from ronghe.signals import quality as q
from ronghe.signals.when import format_time, parse_duration, parse_time
from ronghe.text import Text, language

_TAGS_AT_ONCE: Final = 50  # tags read at a time, so that an export of everything needs little memory
_SHOWN: Final = 100  # rows of a table on the screen
_HELP: Final = Text(
    "Read the historian of PLANT (a plant folder or a store). PATTERN names tags, with * for any part; FROM and TO are times: "
    "-7d, -15min, now, 2026-03-01T08:00:00Z (the last hour if not given). Works while the node runs.",
    "查询 PLANT（工厂文件夹或历史库）的历史数据。PATTERN 为标签名，可用 * 通配；FROM、TO 为时间："
    "-7d、-15min、now、2026-03-01T08:00:00Z（默认最近一小时）。节点运行时也可使用。",
)


_MINUS: Final = "\N{MINUS SIGN}"


class _Query(click.Command):
    """A command to which "-7d" is a time, not options."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, [re.sub(r"^-(?=[\d.])", _MINUS, a) for a in args])


@click.command(name="query", cls=_Query, help=str(_HELP))
@click.argument("plant", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("pattern", default="*")
@click.argument("start", metavar="[FROM]", default="-1h")
@click.argument("end", metavar="[TO]", default="now")
@click.option("--every", help=str(Text("one row per tag and this long, e.g. 1min", "每个标签按此时长聚合为一行，如 1min")))
@click.option(
    "--function",
    "functions",
    multiple=True,
    type=click.Choice(FUNCTIONS),
    help=str(Text("with --every; may be repeated (mean if not given)", "与 --every 合用，可重复（默认 mean）")),
)
@click.option("--last", is_flag=True, help=str(Text("the newest sample of each tag", "每个标签的最新值")))
@click.option("--sql", "sql_text", help=str(Text("a SELECT over samples(tag, time, value, quality, text)", "对 samples 执行 SELECT")))
@click.option("--limit", type=click.IntRange(min=1), help=str(Text("at most so many rows", "最多输出行数")))
@click.option("--format", "form", type=click.Choice(["table", "csv", "json", "parquet"]), help=str(Text("output format", "输出格式")))
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help=str(Text("write to a file", "写入文件")))
def query(
    plant: Path,
    pattern: str,
    start: str,
    end: str,
    every: str | None,
    functions: tuple[str, ...],
    last: bool,
    sql_text: str | None,
    limit: int | None,
    form: str | None,
    output: Path | None,
) -> None:
    """Opens the store read-only, answers, and writes the answer piece by piece."""
    now = time.time_ns()
    span = parse_time(start.replace(_MINUS, "-"), now), parse_time(end.replace(_MINUS, "-"), now)
    step = parse_duration(every) if every else None
    if functions and step is None:
        raise BadQuery(
            Text("--function needs --every", "--function 需要与 --every 合用"),
            todo=Text("say over how long, e.g. --every 1min", "请给出聚合时长，如 --every 1min"),
        )
    with Historian(store_of(plant), TagIndex(), readonly=True) as store:
        for damage in store.stats().damage:
            click.echo(damage.in_(language()), err=True)
        if sql_text is not None:
            pieces = iter([store.sql(sql_text)])
        else:
            pieces = _answer(store, _matching(store, pattern), span, step, functions or ("mean",), last)
        write(_limited(pieces, limit), form or form_of(output), output, cut=limit is None)


def _answer(
    store: Historian, tags: list[str], span: tuple[int, int], step: int | None, functions: tuple[str, ...], last: bool
) -> Iterator[pa.Table]:
    """Tables of one schema, some tags at a time, sorted by tag and time."""
    for first in range(0, len(tags), _TAGS_AT_ONCE):
        some = tags[first : first + _TAGS_AT_ONCE]
        if last:
            yield pa.Table.from_batches([store.last(some).arrow()])
        elif step is None:
            yield pa.Table.from_batches([store.raw(some, *span).arrow()])
        else:
            yield store.aggregate(some, *span, step, functions)


def _matching(store: Historian, pattern: str) -> list[str]:
    tags = sorted(store.tags())
    found = [t for t in tags if fnmatch.fnmatchcase(t, pattern)]
    if found:
        return found
    near = difflib.get_close_matches(pattern, tags, n=3, cutoff=0.5) or tags[:3]
    known = ", ".join(near) or "–"
    raise BadQuery(
        Text(f"no tag matches {pattern!r}", f"没有标签匹配 {pattern!r}"),
        where=str(store.folder),
        todo=Text(f"recorded tags are, for example: {known}; quote a pattern with *", f"已记录的标签例如：{known}；带 * 的模式请加引号"),
    )


def _limited(pieces: Iterator[pa.Table], limit: int | None) -> Iterator[pa.Table]:
    for piece in pieces:
        if limit is not None:
            piece = piece.slice(0, limit)
            limit -= piece.num_rows
        yield piece
        if limit == 0:
            return


def form_of(output: Path | None) -> str:
    endings = {".csv": "csv", ".json": "json", ".parquet": "parquet"}
    return endings.get(output.suffix.lower(), "csv") if output else "table"


# ── writing ──


def write(pieces: Iterator[pa.Table], form: str, output: Path | None, *, cut: bool) -> None:
    if form == "parquet":
        if output is None:
            raise BadQuery(
                Text("Parquet goes to a file", "Parquet 只能写入文件"), todo=Text("name it: -o FILE.parquet", "请指定文件：-o FILE.parquet")
            )
        _write_parquet(pieces, output)
        return
    with _opened(output) as file:
        if form == "csv":
            _write_csv(pieces, file)
        elif form == "json":
            _write_json(pieces, file)
        else:
            _write_table(pieces, file, _SHOWN if cut and output is None else None)


@contextmanager
def _opened(output: Path | None) -> Iterator[IO[str]]:
    if output is None:
        yield sys.stdout
    else:
        with output.open("w", encoding="utf-8", newline="") as file:
            yield file


def _write_parquet(pieces: Iterator[pa.Table], output: Path) -> None:
    writer: pq.ParquetWriter | None = None
    try:
        for piece in pieces:
            plain = [f.with_type(f.type.value_type) if pa.types.is_dictionary(f.type) else f for f in piece.schema]
            piece = piece.cast(pa.schema(plain))
            writer = writer or pq.ParquetWriter(output, piece.schema, compression="zstd")
            writer.write_table(piece)
    finally:
        if writer:
            writer.close()


def _write_csv(pieces: Iterator[pa.Table], file: IO[str]) -> None:
    writer = csv.writer(file, lineterminator="\n")
    for n, piece in enumerate(pieces):
        if n == 0:
            writer.writerow(piece.column_names)
        writer.writerows(["" if v is None else v for v in row] for row in _rows(piece))


def _write_json(pieces: Iterator[pa.Table], file: IO[str]) -> None:
    """An array with one object a row; a value that is not a number in JSON's sense is null."""
    between = "[\n"
    for piece in pieces:
        for row in _rows(piece):
            file.write(between + json.dumps(dict(zip(piece.column_names, row, strict=True)), ensure_ascii=False, default=str))
            between = ",\n"
    file.write("\n]\n" if between != "[\n" else "[]\n")


def _rows(piece: pa.Table) -> Iterator[tuple[Any, ...]]:
    """Rows as plain values: ISO times, null for NaN."""
    columns = []
    for name in piece.column_names:
        column = piece.column(name)
        if pa.types.is_timestamp(column.type) and column.type.tz:
            columns.append(
                [None if v is None else format_time(v) for v in column.cast(pa.timestamp("ns", "UTC")).cast(pa.int64()).to_pylist()]
            )
        else:
            columns.append([None if isinstance(v, float) and not math.isfinite(v) else v for v in column.to_pylist()])
    return zip(*columns, strict=True)


_TITLES: Final = {
    "tag": Text("tag", "标签"),
    "time": Text("time (UTC)", "时间 (UTC)"),
    "value": Text("value", "值"),
    "quality": Text("quality", "质量"),
    "text": Text("text", "文本"),
    "mean": Text("mean", "平均"),
    "min": Text("min", "最小"),
    "max": Text("max", "最大"),
    "sum": Text("sum", "合计"),
    "count": Text("count", "样本数"),
    "first": Text("first", "首值"),
    "last": Text("last", "末值"),
    "std": Text("std", "标准差"),
    "good": Text("good", "良好占比"),
}


def _write_table(pieces: Iterator[pa.Table], file: IO[str], shown: int | None) -> None:
    rows: list[list[str]] = []
    names: list[str] = []
    hidden = 0
    for piece in pieces:
        names = piece.column_names
        take = piece if shown is None else piece.slice(0, max(shown - len(rows), 0))
        hidden += piece.num_rows - take.num_rows
        rows += [[_cell(n, v) for n, v in zip(names, row, strict=True)] for row in _rows(take)]
    keep = [i for i, n in enumerate(names) if n != "text" or any(r[i] for r in rows)]
    titles = [str(_TITLES[n]) if n in _TITLES else n for n in names]
    lines = [[line[i] for i in keep] for line in [titles, *rows]]
    widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        file.write("  ".join(cell + " " * (w - _width(cell)) for cell, w in zip(line, widths, strict=True)).rstrip() + "\n")
    if hidden:
        more = Text(
            f"… and {hidden:,} more rows (--limit N, or -o FILE for all)", f"… 另有 {hidden:,} 行（用 --limit N 或 -o FILE 输出全部）"
        )
        click.echo(more.in_(language()), err=True)


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name == "quality":
        return str(q.reason(value))
    if name == "good" and isinstance(value, float):
        return f"{value:.0%}"
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _width(text: str) -> int:
    """Columns on a terminal: a Chinese character takes two."""
    return sum(2 if east_asian_width(c) in "WF" else 1 for c in text)
