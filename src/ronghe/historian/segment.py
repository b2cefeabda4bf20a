"""A segment: samples sorted by (tag, time) in one Parquet file that never changes. The source of truth.

Columns, readable by any Parquet reader:

    tag int32 (store id) | time timestamp[ns, UTC] | digits int64 | scale int8 | value double or null | quality uint32 | text or null

A sample's value is `digits / 10**scale` where scale >= 0, else `value` (see `ronghe.historian.digits`). Beside a segment may lie its
minutes (see `ronghe.historian.minutes`).
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ronghe.historian import digits, minutes
from ronghe.historian.block import Block, Rows, concat, merge
from ronghe.historian.cache import BlockCache
from ronghe.historian.minutes import Partials
from ronghe.historian.tagfile import Index, Pieces, TagFile, TagFileWriter, column

SCHEMA: Final = pa.schema(
    [
        pa.field("tag", pa.int32(), nullable=False),
        pa.field("time", pa.timestamp("ns", tz="UTC"), nullable=False),
        pa.field("digits", pa.int64(), nullable=False),
        pa.field("scale", pa.int8(), nullable=False),
        pa.field("value", pa.float64()),
        pa.field("quality", pa.uint32(), nullable=False),
        pa.field("text", pa.utf8()),
    ]
)
_HAS_DIGITS, _HAS_PLAIN, _HAS_QUALITY, _HAS_TEXT = 1, 2, 4, 8
GROUP: Final = 8192  # rows of a row group in a segment of up to some million rows
_CACHED_TAGS: Final = 500  # a question about more tags than this is an export, and leaves the cache alone
_WORTH: Final = 8  # samples a minute and tag from which on minutes are worth their space


class Meta(msgspec.Struct, frozen=True):
    """What the manifest says of a segment. Times in ns; `first` and `last` are those of its oldest and newest sample; `minutes` says
    whether they lie beside it."""

    file: str
    rows: int
    bytes: int
    first: int
    last: int
    minutes: bool = False


def _holds(table: pa.Table) -> int:
    """Which columns say anything in a row group."""
    scale = table.column("scale").to_numpy()
    return (
        _HAS_DIGITS * bool((scale >= 0).any())
        | _HAS_PLAIN * bool((scale < 0).any())
        | _HAS_QUALITY * bool((table.column("quality").to_numpy() != 0).any())
        | _HAS_TEXT * (table.column("text").null_count < table.num_rows)
    )


class SegmentWriter:
    """Writes one segment and its minutes, piece by piece; each piece has all rows of its tags, and pieces come in the order of tags."""

    def __init__(self, path: Path, rows: int, *, with_minutes: bool) -> None:
        """`rows` is about how many will come. Raises OSError, here and in `write` and `finish`."""
        self._file = TagFileWriter(
            path,
            SCHEMA,
            rows,
            group=GROUP,
            dictionary=["tag", "scale", "quality", "text"],
            encoding={"time": "DELTA_BINARY_PACKED", "digits": "BYTE_STREAM_SPLIT", "value": "BYTE_STREAM_SPLIT"},
            holds=_holds,
        )
        self._minutes = minutes.writer(minutes.path_of(path), rows // _WORTH) if with_minutes else None

    def write(self, block: Block) -> None:
        """Appends a sorted block."""
        if not len(block):
            return
        first, end = block.firsts(), block.lasts() + 1
        numbers, scale, plain = digits.encode(block.value, first)
        scales = np.repeat(scale, end - first)
        scales[plain] = digits.PLAIN
        columns = [
            pa.array(block.tag),
            pa.array(block.time).cast(SCHEMA.field("time").type),
            pa.array(numbers),
            pa.array(scales),
            pa.array(block.value, mask=~plain),
            pa.array(block.quality),
            pa.nulls(len(block), pa.utf8()) if block.text is None else block.text,
        ]
        self._file.write(columns, (block.tag[first], end - first, block.time[first], block.time[end - 1], scale))
        if self._minutes:
            minutes.write(self._minutes, minutes.partials(block, minutes.MINUTE))

    def finish(self) -> Meta | None:
        """Completes the files, durably, under their own names. None when nothing was written: there is then no file."""
        if not self._file.rows:
            self.abandon()
            return None
        path = self._file.path
        size = 0
        if self._minutes and self._minutes.rows * _WORTH <= self._file.rows:
            self._minutes.finish()
            size = self._minutes.path.stat().st_size
        elif self._minutes:
            self._minutes.abandon()
        first, last = self._file.finish()
        return Meta(path.name, self._file.rows, size + path.stat().st_size, first, last, size > 0)

    def abandon(self) -> None:
        """Gives up: removes what was written. Safe at any point."""
        self._file.abandon()
        if self._minutes:
            self._minutes.abandon()


class Segment:
    """Reads one segment. Opened on first use; safe between threads. Every method raises FileNotFoundError when the file is gone (merged
    or retired since), HistorianError when it is damaged."""

    def __init__(self, folder: Path, meta: Meta, cache: BlockCache) -> None:
        self.meta = meta
        self._cache = cache
        self.path = folder / meta.file
        self._file = TagFile(self.path)
        self._minutes = TagFile(minutes.path_of(self.path)) if meta.minutes else None

    @property
    def files(self) -> list[TagFile]:
        """What it consists of."""
        return [self._file, *([self._minutes] if self._minutes else [])]

    def index(self) -> Index:
        """Its tags."""
        return self._file.index()

    def close(self) -> None:
        """Lets go of the files and of what was cached; the next use opens them again."""
        for file in self.files:
            file.close()

    def read(self, tags: NDArray[np.int32] | None, start: int, end: int) -> Block:
        """The samples of some tags (sorted ids; None: all) with start <= time < end."""
        index = self.index()
        at = index.find(tags)
        at = at[(index.first[at] < end) & (index.last[at] >= start)]
        if tags is None or len(at) > _CACHED_TAGS:
            block = self._decode(index, Pieces(index, at, index.start[at], index.end[at]).within(start, end))
        else:
            block = self._read_cached(index, at, start, end)
        within = (block.time >= start) & (block.time < end)
        return block if within.all() else block.take(np.flatnonzero(within))

    def _read_cached(self, index: Index, at: Rows, start: int, end: int) -> Block:
        """The samples of the tags at some positions of the index, at least those with start <= time < end."""
        hits = [self._cache.get(self.meta.file, tag) for tag in index.tag[at].tolist()]
        held = [b for b in hits if b is not None]
        at = at[[b is None for b in hits]]
        # A tag of few rows is decoded with its row group anyhow: then it is read whole, and kept.
        whole = (index.end[at] - index.start[at] <= GROUP) | ((index.first[at] >= start) & (index.last[at] < end))
        large = at[~whole]
        parts = [self._decode(index, Pieces(index, large, index.start[large], index.end[large]).within(start, end))]
        small = at[whole]
        if len(small):
            found = self._decode(index, Pieces(index, small, index.start[small], index.end[small]))
            for tag, low, high in zip(index.tag[small].tolist(), *(c.tolist() for c in found.bounds(index.tag[small])), strict=True):
                self._cache.put(self.meta.file, tag, found.take(np.arange(low, high)))
            parts.append(found)
        parts = [p for p in (*held, *parts) if len(p)]
        return concat(parts) if len(held) == len(parts) else merge(parts)  # those held are in the order of tags

    def read_last(self, tags: NDArray[np.int32], at: int) -> Block:
        """The newest sample of each tag (sorted ids) at or before a time."""
        if len(tags) <= _CACHED_TAGS:
            index = self.index()
            rows = index.find(tags)
            small = index.end[rows] - index.start[rows] <= GROUP
            block = self.read(index.tag[rows[small]], 0, at + 1)
            return concat([b for b in (block.take(block.lasts()), self._ends(index.tag[rows[~small]], at)) if len(b)])
        return self._ends(tags, at)

    def _ends(self, tags: NDArray[np.int32], at: int) -> Block:
        """As `read_last`, decoding the row groups in which they lie only."""
        index = self.index()
        rows = index.find(tags)
        rows = rows[index.first[rows] <= at]
        # Where all of a tag is old enough it is the tag's last row; else it is searched for.
        begin = np.where(index.last[rows] <= at, index.end[rows] - 1, index.start[rows])
        block = self._decode(index, Pieces(index, rows, begin, index.end[rows]).ends(at))
        old = np.flatnonzero(block.time <= at)
        block = block if len(old) == len(block) else block.take(old)
        return block.take(block.lasts())

    def minutes(self, tags: NDArray[np.int32] | None, start: int, end: int, floats: Collection[str]) -> Partials:
        """The minutes of some tags (sorted ids; None: all) from `start` to before `end`, both whole minutes; made from the samples where
        none lie beside the segment. Of sum, min and max only `floats` are sure to be there."""
        if self._minutes is None:
            return minutes.partials(self.read(tags, start, end), minutes.MINUTE)
        return minutes.read(self._minutes, tags, start, end, floats)

    def _decode(self, index: Index, pieces: Pieces) -> Block:
        return concat([self._decode_some(index, some) for some in pieces.batches()])

    def _decode_some(self, index: Index, pieces: Pieces) -> Block:
        holds = int(np.bitwise_or.reduce(index.holds[pieces.group]))
        bits = ((_HAS_DIGITS, "digits"), (_HAS_PLAIN, "value"), (_HAS_QUALITY, "quality"), (_HAS_TEXT, "text"))
        table, rows = self._file.load(pieces, ["time", *(name for bit, name in bits if holds & bit)])
        sizes = pieces.stop - pieces.begin
        time = column(table, "time", rows)
        if holds & _HAS_DIGITS:
            value = digits.decode(column(table, "digits", rows), index.scale[pieces.at], sizes)
        else:
            value = np.full(len(time), np.nan)
        if holds & _HAS_PLAIN:
            data = table.column("value").combine_chunks()
            valid, plain = np.asarray(data.is_valid()), data.fill_null(0.0).to_numpy()
            value = np.where(valid, plain, value) if rows is None else np.where(valid[rows], plain[rows], value)
        quality = column(table, "quality", rows) if holds & _HAS_QUALITY else np.zeros(len(time), np.uint32)
        text = None
        if holds & _HAS_TEXT:
            text = table.column("text").combine_chunks()
            text = text if rows is None else text.take(pa.array(rows))
        return Block(np.repeat(index.tag[pieces.at], sizes), time, value, quality, text)
