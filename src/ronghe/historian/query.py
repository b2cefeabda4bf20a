"""Reading: what was written, from segments and memory together, each sample once."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ronghe.errors import BadQuery
from ronghe.historian.block import Block, merge
from ronghe.historian.head import Head
from ronghe.historian.segment import Segment
from ronghe.signals import Window
from ronghe.signals import quality as q
from ronghe.text import Text

_ROWS: Final = 4_000_000  # samples read at a time where not all of them are wanted at once
_FILES_OPEN: Final = 32  # files kept open between queries
_GRID_MAX: Final = 50_000_000  # cells of a grid

Span = tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64]]
"""Tags, and the first and last time of each."""


@dataclass(frozen=True, slots=True)
class Sources:
    """A consistent view: segments, then heads, each in the order in which their samples were written. Tags are sorted store ids."""

    segments: tuple[Segment, ...] = ()
    heads: tuple[Head, ...] = ()

    def raw(self, tags: NDArray[np.int32] | None, start: int, end: int) -> Block:
        """The samples of some tags (None: all) with start <= time < end, sorted."""
        found = [s.read(tags, start, end) for s in self.segments if s.meta.first < end and s.meta.last >= start]
        found += [run.select(tags, start, end) for head in self.heads for run in head.runs()]
        return merge(found)

    def last(self, tags: NDArray[np.int32], at: int) -> Block:
        """The newest sample of each tag at or before a time, for the tags that have one."""
        found: list[tuple[int, Block]] = []
        best = np.zeros(len(tags), np.int64)

        def take(order: int, block: Block) -> None:
            where = tags.searchsorted(block.tag)
            best[where] = np.maximum(best[where], block.time)
            found.append((order, block))

        runs = [run for head in self.heads for run in head.runs()]
        for order, run in enumerate(runs, len(self.segments)):
            old = run.select(tags, 0, at + 1)
            take(order, old.take(old.lasts()))
        # Segments from the newest to the oldest, and of each only the tags of which it may hold a newer sample than found so far.
        for order, segment in sorted(enumerate(self.segments), key=lambda s: -s[1].meta.last):
            open_ = best <= min(segment.meta.last, at)
            if segment.meta.first <= at and open_.any():
                take(order, segment.read_last(tags[open_], at))
        whole = merge([b for _, b in sorted(found, key=lambda f: f[0])])
        return whole.take(whole.lasts())

    def spans(self, tags: NDArray[np.int32] | None, start: int, end: int) -> list[Span]:
        """For each source, where the samples of some tags (None: all) lie that may be in [start, end)."""
        out = []
        for segment in self.segments:
            if segment.meta.first < end and segment.meta.last >= start:
                index = segment.index()
                at = index.find(tags)
                at = at[(index.first[at] < end) & (index.last[at] >= start)]
                out.append((index.tag[at], index.first[at], index.last[at]))
            else:
                out.append(_NOWHERE)
        for head in self.heads:
            for run in head.runs():
                some = run.select(tags, start, end)
                out.append((some.tag[some.firsts()], some.time[some.firsts()], some.time[some.lasts()]))
        return out

    def let_go(self) -> None:
        """Closes the files that were not used for longest, if many are open: each holds some hundred kB."""
        opened = sorted((f for s in self.segments for f in s.files if f.used), key=lambda f: f.used)
        for file in opened[:-_FILES_OPEN]:
            file.close()

    def rows(self, tags: NDArray[np.int32] | None, start: int, end: int) -> int:
        """About how many samples of some tags (None: all) are in [start, end) in the segments."""
        rows = 0.0
        for segment in self.segments:
            if segment.meta.first < end and segment.meta.last >= start:
                index = segment.index()
                at = index.find(tags)
                inside = np.minimum(index.last[at], end) - np.maximum(index.first[at], start) + 1
                share = np.clip(inside / (index.last[at] - index.first[at] + 1), 0, 1)
                rows += float((share * (index.end[at] - index.start[at])).sum())
        return int(rows)

    def split(self, tags: NDArray[np.int32] | None, start: int, end: int, every: int) -> list[tuple[int, int]]:
        """[start, end) in parts that begin at multiples of `every` and have a bounded number of samples each (estimated)."""
        parts = self.rows(tags, start, end) // _ROWS + 1
        if parts == 1:
            return [(start, end)]
        oldest = max(min(s.meta.first for s in self.segments), start)
        newest = min(max(s.meta.last for s in self.segments), end)
        cuts = {start, end}
        for i in range(1, parts):
            cut = oldest + (newest - oldest) * i // parts
            cuts.add(min(max(cut - cut % every, start), end))
        ordered = sorted(cuts)
        return list(itertools.pairwise(ordered))


_NOWHERE: Final[Span] = (np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.int64))


def overlap(spans: Sequence[Span]) -> tuple[NDArray[np.bool_], NDArray[np.int32]]:
    """Which sources, and which tags, may have a sample that lies in two sources: those whose times overlap in some tag."""
    sources = np.zeros(len(spans), np.bool_)
    if len(spans) < 2:
        return sources, np.empty(0, np.int32)
    source = np.repeat(np.arange(len(spans)), [len(s[0]) for s in spans])
    tag, begin, end = (np.concatenate(c) for c in zip(*spans, strict=True))
    order = np.lexsort((begin, tag))
    source, tag, begin, end = source[order], tag[order], begin[order], end[order]
    tags: list[NDArray[np.int32]] = [np.empty(0, np.int32)]
    for step in range(1, len(spans)):
        near = (tag[step:] == tag[:-step]) & (begin[step:] <= end[:-step])
        if not near.any():  # in the order of their beginnings, then none overlaps one further back either
            break
        sources[source[step:][near]] = True
        sources[source[:-step][near]] = True
        tags.append(tag[step:][near])
    return sources, np.unique(np.concatenate(tags))


def asof(sources: Sources, tags: Sequence[str], ids: NDArray[np.int32], grid: NDArray[np.int64], every: int, max_age: int) -> Window:
    """Samples on a grid: each cell holds the last sample at or before the row's time, as `ronghe.signals.Grid` does while live. `ids` are
    the store ids of `tags`, -1 for a tag that the store does not know."""
    n, k = len(grid), len(tags)
    value, code = np.full((n, k), np.nan), np.full((n, k), q.BAD_WAITING, np.uint32)
    age = np.full((n, k), np.inf)
    known = np.unique(ids[ids >= 0])
    start = int(grid[0]) if n else 0
    end = int(grid[-1]) + 1 if n else 0
    for a, b in sources.split(known, start, end, every):
        low, high = grid.searchsorted([a, b])
        rows = grid[low:high]
        block = merge([sources.last(known, a - 1), sources.raw(known, a, b)])
        begin, stop = block.bounds(ids)
        for column, (first, last) in enumerate(zip(begin.tolist(), stop.tolist(), strict=True)):
            nearest = block.time[first:last].searchsorted(rows, "right") - 1
            cells = low + np.flatnonzero(nearest >= 0)
            at = first + nearest[nearest >= 0]
            value[cells, column] = block.value[at]
            code[cells, column] = block.quality[at]
            age[cells, column] = (grid[cells] - block.time[at]) / 1e9
    good = q.is_good(code)
    stale = good & (age > max_age / 1e9)
    code[stale] = q.UNCERTAIN_LAST_USABLE
    value[stale | ~good] = np.nan
    return Window(tuple(tags), grid, value, code, age)


def grid_of(start: int, end: int, every: int, columns: int) -> NDArray[np.int64]:
    """The rows start, start + every, … below end. Raises BadQuery for a step or span that makes no sense."""
    check_step(start, end, every)
    if (end - start) // every * max(columns, 1) > _GRID_MAX:
        raise BadQuery(
            Text("the grid would have more than 50 million cells", "网格将超过 5000 万个单元"),
            todo=Text("ask for a shorter span, a longer step or fewer tags", "请缩短时间范围、加大步长或减少标签"),
        )
    return np.arange(start, end, every, dtype=np.int64)


def check_step(start: int, end: int, every: int) -> None:
    """Raises BadQuery unless every > 0 and start <= end."""
    if every <= 0:
        raise BadQuery(Text(f"the step must be longer than nothing, not {every} ns", f"步长必须大于零，不能是 {every} 纳秒"))
    check_span(start, end)


def check_span(start: int, end: int) -> None:
    """Raises BadQuery when the end is before the start."""
    if end < start:
        raise BadQuery(
            Text("the end is before the start", "结束时间早于开始时间"), todo=Text("give the earlier time first", "请先写较早的时间")
        )
