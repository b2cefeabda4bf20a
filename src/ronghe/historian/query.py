"""Reading: what was written, from segments and memory together, each sample once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ronghe.errors import BadQuery
from ronghe.historian.block import Block, merge
from ronghe.historian.head import Head
from ronghe.historian.segment import Segment
from ronghe.signals import Window
from ronghe.signals import quality as q
from ronghe.text import Text

FUNCTIONS: Final = ("mean", "min", "max", "sum", "count", "first", "last", "std")
_ROWS_MAX: Final = 50_000_000


@dataclass(frozen=True, slots=True)
class Sources:
    """A consistent view: segments, then heads, each in the order in which their samples were written."""

    segments: tuple[Segment, ...] = ()
    heads: tuple[Head, ...] = ()

    def parts(self, tags: NDArray[np.int32] | None, start: int, end: int) -> list[Block]:
        """The samples of some tags (sorted ids; None: all) with start <= time < end, from each source that has any."""
        found = [s.read(tags, start, end) for s in self.segments if s.meta.first < end and s.meta.last >= start]
        found += [run.select(tags, start, end) for head in self.heads for run in head.runs()]
        return [b for b in found if len(b)]

    def raw(self, tags: NDArray[np.int32] | None, start: int, end: int) -> Block:
        """As `parts`, in one sorted block."""
        return merge(self.parts(tags, start, end))

    def last(self, tags: NDArray[np.int32], at: int) -> Block:
        """The newest sample of each tag (sorted ids) at or before a time, for the tags that have one."""
        parts: list[tuple[int, Block]] = []
        best = np.zeros(len(tags), np.int64)
        order = len(self.segments)
        for head in self.heads:
            for run in head.runs():
                found = run.select(tags, 0, at + 1)
                found = found.take(found.lasts())
                parts.append((order, found))
                order += 1
        for _, found in parts:
            where = tags.searchsorted(found.tag)
            best[where] = np.maximum(best[where], found.time)
        # Segments from the newest to the oldest, and of each only the tags of which it may hold a newer sample than found so far.
        for order, segment in sorted(enumerate(self.segments), key=lambda s: -s[1].meta.last):
            open_ = best <= min(segment.meta.last, at)
            if segment.meta.first > at or not open_.any():
                continue
            found = segment.read_last(tags[open_], at)
            where = tags.searchsorted(found.tag)
            best[where] = np.maximum(best[where], found.time)
            parts.append((order, found))
        whole = merge([b for _, b in sorted(parts, key=lambda p: p[0])])
        return whole.take(whole.lasts())


def aggregate(block: Block, every: int, functions: Sequence[str]) -> dict[str, NDArray[np.generic]]:
    """Per tag and bucket of `every` ns (a bucket starts at a multiple of `every` since 1970): "tag" (store id), "time" (its start), each
    function over the samples that are Good and have a value (NaN where there are none), and "good", the share of Good samples."""
    n = len(block)
    bucket = block.time - block.time % every
    first = _starts(block.tag, bucket)
    group = np.repeat(np.arange(len(first)), np.diff(np.append(first, n)))
    good = q.is_good(block.quality)
    usable = np.flatnonzero(good & ~np.isnan(block.value))
    value, owner = block.value[usable], group[usable]
    begin = _starts(owner)
    groups = owner[begin]
    count = np.bincount(owner, minlength=len(first))
    total = np.diff(np.append(first, n))

    def spread(data: NDArray[np.float64]) -> NDArray[np.float64]:
        out = np.full(len(first), np.nan)
        out[groups] = data
        return out

    out: dict[str, NDArray[np.generic]] = {"tag": block.tag[first], "time": bucket[first]}
    sums = np.add.reduceat(value, begin) if len(begin) else np.empty(0)
    for name in functions:
        if name == "count":
            out[name] = count
        elif not len(begin):
            out[name] = spread(np.empty(0))
        elif name == "sum":
            out[name] = spread(sums)
        elif name == "mean":
            out[name] = spread(sums / count[groups])
        elif name == "std":
            centred = value - np.repeat(sums / count[groups], count[groups])
            out[name] = spread(np.sqrt(np.add.reduceat(centred**2, begin) / count[groups]))
        elif name == "first":
            out[name] = spread(value[begin])
        elif name == "last":
            out[name] = spread(value[np.append(begin[1:], len(value)) - 1])
        else:
            out[name] = spread((np.minimum if name == "min" else np.maximum).reduceat(value, begin))
    out["good"] = np.add.reduceat(good, first, dtype=np.float64) / total if n else np.empty(0)
    return out


def _starts(*keys: NDArray[np.generic]) -> NDArray[np.int64]:
    """The first row of each run of equal keys."""
    if not len(keys[0]):
        return np.empty(0, np.int64)
    change = keys[0][1:] != keys[0][:-1]
    for key in keys[1:]:
        change |= key[1:] != key[:-1]
    return np.concatenate([[0], np.flatnonzero(change) + 1]).astype(np.int64)


def asof(before: Block, block: Block, tags: Sequence[str], ids: NDArray[np.int32], grid: NDArray[np.int64], max_age: int) -> Window:
    """Puts samples on a grid: each cell holds the last sample at or before the row's time, as `ronghe.signals.Grid` does while live.

    `block` has the samples from the first row's time on, `before` the last one of each tag before it; `ids` are the store ids of `tags`,
    -1 for a tag that the store does not know.
    """
    whole = merge([before, block])
    n, k = len(grid), len(tags)
    value, code = np.full((n, k), np.nan), np.full((n, k), q.BAD_WAITING, np.uint32)
    age = np.full((n, k), np.inf)
    begin, end = whole.bounds(ids)
    for column in range(k):
        lo, hi = int(begin[column]), int(end[column])
        if lo == hi:
            continue
        row = whole.time[lo:hi].searchsorted(grid, "right") - 1
        known = row >= 0
        at = lo + row[known]
        value[known, column] = whole.value[at]
        code[known, column] = whole.quality[at]
        age[known, column] = (grid[known] - whole.time[at]) / 1e9
    good = q.is_good(code)
    stale = good & (age > max_age / 1e9)
    code[stale] = q.UNCERTAIN_LAST_USABLE
    value[stale | ~good] = np.nan
    return Window(tuple(tags), grid, value, code, age)


def grid_of(start: int, end: int, every: int) -> NDArray[np.int64]:
    """The rows start, start + every, … below end. Raises BadQuery for a step or span that makes no sense."""
    check_step(start, end, every)
    if (end - start) // every > _ROWS_MAX:
        raise BadQuery(Text("the grid would have more than 50 million rows", "网格将超过 5000 万行"), todo=WIDER)
    return np.arange(start, end, every, dtype=np.int64)


WIDER: Final = Text("ask for a shorter span or a longer step", "请缩短时间范围或加大步长")


def check_step(start: int, end: int, every: int) -> None:
    """Raises BadQuery unless every > 0 and start <= end."""
    if every <= 0:
        raise BadQuery(Text(f"the step must be longer than nothing, not {every} ns", f"步长必须大于零，不能是 {every} 纳秒"))
    check_span(start, end)


def check_span(start: int, end: int) -> None:
    """Raises BadQuery when the end is before the start."""
    if end < start:
        raise BadQuery(
            Text("the end is before the start", "结束时间早于开始时间"),
            todo=Text("give the earlier time first", "请先写较早的时间"),
        )


def check_functions(functions: Sequence[str]) -> None:
    """Raises BadQuery for a function that is not known."""
    for name in functions:
        if name not in FUNCTIONS:
            known = ", ".join(FUNCTIONS)
            raise BadQuery(
                Text(f"no function is called {name!r}", f"没有名为 {name!r} 的函数"), todo=Text(f"known: {known}", f"可用：{known}")
            )


def table(columns: dict[str, NDArray[np.generic]], names: pa.DictionaryArray) -> pa.Table:
    """The result of `aggregate` as Arrow: `names` in place of ids, a UTC timestamp, null where nothing counted."""
    out = {"tag": names, "time": pa.array(columns["time"]).cast(pa.timestamp("ns", tz="UTC"))}
    for name, data in columns.items():
        if name not in out:
            out[name] = pa.array(data, from_pandas=True) if data.dtype.kind == "f" else pa.array(data)
    return pa.table(out)
