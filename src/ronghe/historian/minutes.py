"""Minutes: what a tag did in each minute of a segment, so that a trend over a month does not read every sample of it.

`seg-N.minutes.parquet` has one row per tag and minute (since 1970): how many samples there are (`total`), how many are Good (`good`), how
many of these have a value (`count`), and the sum, least and greatest of those values. Rows of several segments, or of samples not in any
yet, add up as long as no sample is in two of them. Only merged segments have minutes: one that was just sealed is too short.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ronghe.historian.block import Block, Rows
from ronghe.historian.tagfile import Pieces, TagFile, TagFileWriter, column
from ronghe.signals import quality as q

MINUTE: Final = 60_000_000_000
SCHEMA: Final = pa.schema(
    [
        pa.field("tag", pa.int32(), nullable=False),
        pa.field("time", pa.timestamp("ns", tz="UTC"), nullable=False),
        pa.field("total", pa.int64(), nullable=False),
        pa.field("good", pa.int64(), nullable=False),
        pa.field("count", pa.int64(), nullable=False),
        pa.field("sum", pa.float64(), nullable=False),
        pa.field("min", pa.float64(), nullable=False),
        pa.field("max", pa.float64(), nullable=False),
    ]
)
_FLOATS: Final = ("sum", "min", "max")
_UNEQUAL: Final = 1  # good or count differ from total somewhere in a row group


@dataclass(frozen=True, slots=True, eq=False)
class Partials:
    """Per tag and bucket, sorted: see above. `min` and `max` are NaN where `count` is 0."""

    tag: NDArray[np.int32]
    time: NDArray[np.int64]
    total: NDArray[np.int64]
    good: NDArray[np.int64]
    count: NDArray[np.int64]
    sum: NDArray[np.float64]
    min: NDArray[np.float64]
    max: NDArray[np.float64]

    def columns(self) -> list[NDArray[Any]]:
        return [self.tag, self.time, self.total, self.good, self.count, self.sum, self.min, self.max]


def starts(*keys: NDArray[Any]) -> Rows:
    """The first row of each run of equal keys."""
    n = len(keys[0])
    change = np.ones(n, np.bool_)
    if n:
        change[1:] = False
        for key in keys:
            change[1:] |= key[1:] != key[:-1]
    return np.flatnonzero(change)


def partials(block: Block, every: int) -> Partials:
    """Of a sorted block, in buckets of `every` ns since 1970."""
    bucket = block.time - block.time % every
    first = starts(block.tag, bucket)
    if not len(first):
        return EMPTY
    good = q.is_good(block.quality)
    usable = good & ~np.isnan(block.value)
    total = np.diff(first, append=len(block))
    all_usable = bool(usable.all())
    value = block.value if all_usable else np.where(usable, block.value, 0.0)
    low = value if all_usable else np.where(usable, value, np.nan)
    with np.errstate(invalid="ignore", over="ignore"):
        return Partials(
            block.tag[first],
            bucket[first],
            total,
            total if all_usable else np.add.reduceat(good, first, dtype=np.int64),
            total if all_usable else np.add.reduceat(usable, first, dtype=np.int64),
            np.add.reduceat(value, first),
            np.fmin.reduceat(low, first),
            np.fmax.reduceat(low, first),
        )


def add_up(parts: Sequence[Partials], every: int) -> Partials:
    """Several, none of which counts a sample that another one counts, in buckets of `every` ns."""
    tag, time, *rest = (np.concatenate(c) for c in zip(*(p.columns() for p in parts), strict=True))
    time = time - time % every
    if not len(tag):
        return EMPTY
    if not ((tag[1:] > tag[:-1]) | ((tag[1:] == tag[:-1]) & (time[1:] >= time[:-1]))).all():
        order = np.lexsort((time, tag))
        tag, time, rest = tag[order], time[order], [c[order] for c in rest]
    first = starts(tag, time)
    functions = (np.add, np.add, np.add, np.add, np.fmin, np.fmax)
    with np.errstate(invalid="ignore", over="ignore"):
        return Partials(tag[first], time[first], *(f.reduceat(c, first) for f, c in zip(functions, rest, strict=True)))


def path_of(segment: Path) -> Path:
    """The file of a segment's minutes."""
    return segment.with_name(segment.name.replace(".parquet", ".minutes.parquet"))


def writer(path: Path, rows: int) -> TagFileWriter:
    """Writes the minutes of a segment. Raises OSError, as what it gives does."""
    encoding = {"time": "DELTA_BINARY_PACKED", **dict.fromkeys(_FLOATS, "BYTE_STREAM_SPLIT")}
    counts = ["tag", "total", "good", "count"]
    return TagFileWriter(path, SCHEMA, rows, group=2048, dictionary=counts, encoding=encoding, holds=_holds)


def _holds(table: pa.Table) -> int:
    total, good, count = (table.column(n).to_numpy() for n in ("total", "good", "count"))
    return _UNEQUAL * bool((total != good).any() or (total != count).any())


def write(to: TagFileWriter, some: Partials) -> None:
    """Appends the minutes of whole tags, in the order of tags."""
    first = starts(some.tag)
    sizes = np.diff(first, append=len(some.tag))
    arrays = [pa.array(c) for c in some.columns()]
    arrays[1] = arrays[1].cast(SCHEMA.field("time").type)
    no_scale = np.zeros(len(first), np.int8)
    to.write(arrays, (some.tag[first], sizes, some.time[first], some.time[first + sizes - 1], no_scale))


def read(file: TagFile, tags: NDArray[np.int32] | None, start: int, end: int, floats: Collection[str]) -> Partials:
    """The minutes of some tags (sorted ids; None: all) from `start` to before `end`. Only `floats` of sum, min, max are read; the others
    are NaN."""
    index = file.index()
    at = index.find(tags)
    at = at[(index.first[at] < end) & (index.last[at] >= start)]
    parts = [EMPTY]
    for pieces in Pieces(index, at, index.start[at], index.end[at]).within(start, end).batches():
        equal = not (index.holds[pieces.group] & _UNEQUAL).any()
        counts = ["total"] if equal else ["total", "good", "count"]
        table, rows = file.load(pieces, ["time", *counts, *floats])
        found = {name: column(table, name, rows) for name in table.column_names}
        nothing = np.full(len(found["time"]), np.nan)
        columns = [
            np.repeat(index.tag[pieces.at], pieces.stop - pieces.begin),
            found["time"],
            *(found["total" if equal else n] for n in ("total", "good", "count")),
            *(found.get(n, nothing) for n in _FLOATS),
        ]
        within = (columns[1] >= start) & (columns[1] < end)
        parts.append(Partials(*(columns if within.all() else [c[within] for c in columns])))
    return parts[1] if len(parts) == 2 else Partials(*(np.concatenate(c) for c in zip(*(p.columns() for p in parts), strict=True)))


EMPTY: Final = Partials(*(np.empty(0, t) for t in (np.int32, np.int64, np.int64, np.int64, np.int64, float, float, float)))
