"""Samples sorted by (tag, time), each once: what the head, the segments and the queries hand to one another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Columns of one length. `tag` int32[n] holds ids of the store, not of a `TagIndex`; `time` int64[n] is in ns."""

    tag: NDArray[np.int32]
    time: NDArray[np.int64]
    value: NDArray[np.float64]
    quality: NDArray[np.uint32]
    text: pa.StringArray | None = None

    def __len__(self) -> int:
        return len(self.tag)

    @classmethod
    def empty(cls) -> Block:
        return cls(np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0), np.empty(0, np.uint32))

    def take(self, rows: Rows) -> Block:
        text = None if self.text is None else self.text.take(pa.array(rows))
        return Block(self.tag[rows], self.time[rows], self.value[rows], self.quality[rows], text)

    def slice(self, start: int, end: int) -> Block:
        """Rows [start, end) without copying."""
        text = None if self.text is None else self.text.slice(start, end - start)
        return Block(self.tag[start:end], self.time[start:end], self.value[start:end], self.quality[start:end], text)

    def select(self, tags: NDArray[np.int32] | None, start: int, end: int) -> Block:
        """The rows of some tags (sorted ids; None: all) with start <= time < end. The block must be sorted."""
        rows = ranges(*self.bounds(tags)) if tags is not None else None
        time = self.time if rows is None else self.time[rows]
        within = (time >= start) & (time < end)
        if rows is None:
            return self if within.all() else self.take(np.flatnonzero(within))
        return self.take(rows if within.all() else rows[within])

    def firsts(self) -> Rows:
        """The first row of each tag. The block must be sorted."""
        return np.flatnonzero(np.append(True, self.tag[1:] != self.tag[:-1])[: len(self)])

    def lasts(self) -> Rows:
        """The last row of each tag. The block must be sorted."""
        return np.flatnonzero(np.append(self.tag[1:] != self.tag[:-1], True)[: len(self)])

    def bounds(self, tags: NDArray[np.int32]) -> tuple[Rows, Rows]:
        """First row and row after the last of each of `tags`. The block must be sorted."""
        return self.tag.searchsorted(tags, "left"), self.tag.searchsorted(tags, "right")


def ranges(first: Rows, end: Rows) -> Rows:
    """All integers of the ranges [first[i], end[i]), one range after the other."""
    sizes = end - first
    total = int(sizes.sum())
    if not total:
        return np.empty(0, np.int64)
    keep = sizes > 0
    first, sizes = first[keep], sizes[keep]
    offsets = np.repeat(first - np.concatenate([[0], np.cumsum(sizes)[:-1]]), sizes)
    return np.arange(total, dtype=np.int64) + offsets


def concat(parts: Sequence[Block]) -> Block:
    """One after the other, unsorted."""
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return Block.empty()
    text = None
    if any(p.text is not None for p in parts):
        text = pa.concat_arrays([pa.nulls(len(p), pa.utf8()) if p.text is None else p.text for p in parts])
    return Block(
        np.concatenate([p.tag for p in parts]),
        np.concatenate([p.time for p in parts]),
        np.concatenate([p.value for p in parts]),
        np.concatenate([p.quality for p in parts]),
        text,
    )


def merge(parts: Sequence[Block]) -> Block:
    """Parts in the order in which they were written, each sorted or not, as one sorted block; the later written of two wins."""
    parts = [p for p in parts if len(p)]
    whole = concat(parts)
    if len(whole) < 2 or _ascending(whole.tag, whole.time):
        return whole
    # Stable, and NumPy's stable sort of 16-bit keys is a radix sort: 5x faster than sorting by (tag, time), and mostly enough,
    # since each tag's samples are usually written in the order of their time.
    few = int(whole.tag.max()) < 65536
    order = np.argsort(whole.tag.astype(np.uint16) if few else whole.tag, kind="stable")
    tag, time = whole.tag[order], whole.time[order]
    if not _ascending(tag, time):
        order = np.lexsort((whole.time, whole.tag))
        tag, time = whole.tag[order], whole.time[order]
        last = np.ones(len(order), np.bool_)
        last[:-1] = (tag[1:] != tag[:-1]) | (time[1:] != time[:-1])
        if not last.all():
            order, tag, time = order[last], tag[last], time[last]
    text = None if whole.text is None else whole.text.take(pa.array(order))
    return Block(tag, time, whole.value[order], whole.quality[order], text)


def _ascending(tag: NDArray[np.int32], time: NDArray[np.int64]) -> bool:
    """Whether (tag, time) strictly ascends."""
    step = tag[1:] - tag[:-1]
    return bool(((step > 0) | ((step == 0) & (time[1:] > time[:-1]))).all())
