"""A segment: samples sorted by (tag, time) in one Parquet file that never changes. The source of truth.

Columns, readable by any Parquet reader:

    tag int32 (store id) | time timestamp[ns, UTC] | digits int64 | scale int8 | value double or null | quality uint32 | text or null

A sample's value is `digits / 10**scale` where scale >= 0, else `value` (see `ronghe.historian.digits`). The footer's key "ronghe" holds,
for each tag, how many rows it has and their first and last time (an Arrow stream, base64), so that a tag is found without searching;
it says nothing that the columns do not say.
"""

from __future__ import annotations

import base64
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ronghe.errors import HistorianError
from ronghe.historian import digits, disk
from ronghe.historian.block import Block, Rows, concat, ranges
from ronghe.text import Text

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
GROUP: Final = 16_384
"""Rows of a row group in a small segment: the least that is decoded to get at one tag."""
_GROUPS: Final = 1024  # a larger segment has larger groups instead of more
_AT_ONCE: Final = 64  # row groups decoded at a time, which bounds a query's memory
_HAS_DIGITS, _HAS_PLAIN, _HAS_QUALITY, _HAS_TEXT = 1, 2, 4, 8


class Meta(msgspec.Struct, frozen=True):
    """What the manifest says of a segment. Times in ns; `first` and `last` are those of its oldest and newest sample."""

    file: str
    rows: int
    bytes: int
    first: int
    last: int


@dataclass(frozen=True, slots=True, eq=False)
class Index:
    """Per tag of a segment (arrays of one length, tags ascending): rows [start, end), first and last time, scale of its digits.
    `holds` uint8[row groups]: which columns say anything there."""

    tag: NDArray[np.int32]
    start: Rows
    end: Rows
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    scale: NDArray[np.int8]
    group: int
    holds: NDArray[np.uint8]

    def find(self, tags: NDArray[np.int32]) -> Rows:
        """Positions of those of `tags` (sorted) that are here."""
        near = np.minimum(self.tag.searchsorted(tags), len(self.tag) - 1)
        return near[self.tag[near] == tags]


def group_rows(rows: int) -> int:
    """Rows of a row group in a segment of so many rows."""
    return max(GROUP, 1 << (max(rows // _GROUPS, 1) - 1).bit_length())


class SegmentWriter:
    """Writes one segment, piece by piece; each piece has all rows of its tags, and pieces come in the order of tags."""

    def __init__(self, path: Path, rows: int) -> None:
        """`rows` is about how many will come. Raises OSError, here and in `write` and `finish`."""
        self.path = path
        self._aside = path.with_name(path.name + ".tmp")
        self._group = group_rows(rows)
        self._file = pa.OSFile(str(self._aside), "wb")
        self._writer = pq.ParquetWriter(
            self._file,
            SCHEMA,
            compression="zstd",
            use_dictionary=["tag", "scale", "quality", "text"],
            column_encoding={"time": "DELTA_BINARY_PACKED", "digits": "BYTE_STREAM_SPLIT", "value": "BYTE_STREAM_SPLIT"},
            write_statistics=["tag", "time"],
            write_page_checksum=True,
            store_schema=False,
        )
        self._pending: list[pa.Table] = []
        self._waiting = 0
        self._parts: list[tuple[NDArray[Any], ...]] = []
        self._holds: list[int] = []
        self._rows = 0

    def write(self, block: Block) -> None:
        """Appends a sorted block."""
        if not len(block):
            return
        first, end = block.firsts(), block.lasts() + 1
        numbers, scale, plain = digits.encode(block.value, first)
        self._parts.append((block.tag[first], end - first, block.time[first], block.time[end - 1], scale))
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
        self._pending.append(pa.Table.from_arrays(columns, schema=SCHEMA))
        self._waiting += len(block)
        self._rows += len(block)
        self._drain(self._waiting - self._waiting % self._group)

    def _drain(self, rows: int) -> None:
        """Writes the first `rows` pending rows, one row group after the other."""
        if not rows:
            return
        table = pa.concat_tables(self._pending)
        for start in range(0, rows, self._group):
            piece = table.slice(start, min(self._group, rows - start))
            scale = piece.column("scale").to_numpy()
            self._holds.append(
                _HAS_DIGITS * bool((scale >= 0).any())
                | _HAS_PLAIN * bool((scale < 0).any())
                | _HAS_QUALITY * bool((piece.column("quality").to_numpy() != 0).any())
                | _HAS_TEXT * (piece.column("text").null_count < piece.num_rows)
            )
            self._writer.write_table(piece, row_group_size=self._group)
        self._waiting -= rows
        self._pending = [table.slice(rows)] if self._waiting else []

    def finish(self) -> Meta | None:
        """Completes the file, durably, under its own name. None when nothing was written: there is then no file."""
        self._drain(self._waiting)
        if not self._rows:
            self.abandon()
            return None
        tag, rows, first, last, scale = (np.concatenate(c) for c in zip(*self._parts, strict=True))
        table = pa.RecordBatch.from_arrays(
            [pa.array(np.diff(tag, prepend=0)), *map(pa.array, (rows, first, last, scale))], ["tag", "rows", "first", "last", "scale"]
        )
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
            writer.write_batch(table)
        packed = {"group": self._group, "holds": bytes(self._holds), "tags": sink.getvalue().to_pybytes()}
        self._writer.add_key_value_metadata({"ronghe": base64.b64encode(msgspec.msgpack.encode(packed)).decode()})
        self._writer.close()
        self._file.close()
        disk.sync_file(self._aside)
        os.replace(self._aside, self.path)
        disk.sync_folder(self.path.parent)
        return Meta(self.path.name, self._rows, self.path.stat().st_size, int(first.min()), int(last.max()))

    def abandon(self) -> None:
        """Gives up: closes and removes what was written. Safe at any point."""
        try:
            self._writer.close()
            self._file.close()
        except OSError:
            pass  # the disk may be full; the file goes anyway
        self._aside.unlink(missing_ok=True)


class Segment:
    """Reads one segment. Opened on first use; safe between threads."""

    def __init__(self, folder: Path, meta: Meta) -> None:
        self.meta = meta
        self.path = folder / meta.file
        self._lock = threading.Lock()
        self._file: pq.ParquetFile | None = None
        self._index: Index | None = None

    def index(self) -> Index:
        """What the footer says. Raises FileNotFoundError when the file is gone (merged or retired since), HistorianError when damaged."""
        with self._lock:
            return self._open()[1]

    def _open(self) -> tuple[pq.ParquetFile, Index]:
        if self._file is None or self._index is None:
            try:
                file = pq.ParquetFile(pa.OSFile(str(self.path)), page_checksum_verification=True, pre_buffer=False)
                self._index = _read_index(file)
                self._file = file
            except FileNotFoundError:
                raise
            except (OSError, KeyError, ValueError, pa.ArrowException, msgspec.MsgspecError) as e:
                raise self._damaged(e) from e
        return self._file, self._index

    def close(self) -> None:
        """Lets go of the file and of what was cached; the next use opens it again."""
        with self._lock:
            self._file = self._index = None

    def read(self, tags: NDArray[np.int32] | None, start: int, end: int) -> Block:
        """The samples of some tags (sorted ids; None: all) with start <= time < end. Raises as `index`."""
        index = self.index()
        at = np.arange(len(index.tag)) if tags is None else index.find(tags)
        at = at[(index.first[at] < end) & (index.last[at] >= start)]
        if not len(at):
            return Block.empty()
        block = self._rows(index, at, index.start[at], index.end[at])
        if int(index.first[at].min()) >= start and int(index.last[at].max()) < end:
            return block
        within = (block.time >= start) & (block.time < end)
        return block if within.all() else block.take(np.flatnonzero(within))

    def read_last(self, tags: NDArray[np.int32], at: int) -> Block:
        """The newest sample of each tag (sorted ids) at or before a time. Raises as `index`."""
        index = self.index()
        rows = index.find(tags)
        rows = rows[index.first[rows] <= at]
        done = index.last[rows] <= at
        whole, cut = rows[done], rows[~done]
        parts = []
        if len(whole):
            parts.append(self._rows(index, whole, index.end[whole] - 1, index.end[whole]))
        if len(cut):
            block = self.read(index.tag[cut], 0, at + 1)
            parts.append(block.take(block.lasts()))
        return concat(parts)

    def _rows(self, index: Index, at: Rows, begin: Rows, stop: Rows) -> Block:
        """Rows [begin[i], stop[i]) of the tags at positions `at[i]` of the index, a bounded number of row groups at a time."""
        groups = np.unique(ranges(begin // index.group, (stop - 1) // index.group + 1))
        parts = []
        for i in range(0, len(groups), _AT_ONCE):
            some = groups[i : i + _AT_ONCE]
            low, high = some[0] * index.group, (some[-1] + 1) * index.group
            mine = (stop > low) & (begin < high)
            parts.append(self._decode(index, some, at[mine], np.maximum(begin[mine], low), np.minimum(stop[mine], high)))
        return concat(parts)

    def _decode(self, index: Index, groups: Rows, at: Rows, begin: Rows, stop: Rows) -> Block:
        """Rows [begin[i], stop[i]) of the segment, all of which lie in `groups`."""
        holds = int(np.bitwise_or.reduce(index.holds[groups]))
        table = self._load(groups, holds)
        # From rows of the segment to rows of the table, which has some of its row groups only.
        sizes = stop - begin
        nth = groups.searchsorted(begin // index.group)
        begin = begin + (nth - groups[nth]) * index.group
        rows = None if int(sizes.sum()) == table.num_rows else ranges(begin, begin + sizes)

        def column(name: str) -> NDArray[Any]:
            data = table.column(name)
            array = (data.cast(pa.int64()) if name == "time" else data).to_numpy()
            return array if rows is None else array[rows]

        time = column("time")
        value = digits.decode(column("digits"), index.scale[at], sizes) if holds & _HAS_DIGITS else np.full(len(time), np.nan)
        if holds & _HAS_PLAIN:
            data = table.column("value").combine_chunks()
            valid, plain = np.asarray(data.is_valid()), data.fill_null(0.0).to_numpy()
            value = np.where(valid, plain, value) if rows is None else np.where(valid[rows], plain[rows], value)
        quality = column("quality") if holds & _HAS_QUALITY else np.zeros(len(time), np.uint32)
        text = None
        if holds & _HAS_TEXT:
            text = table.column("text").combine_chunks()
            text = text if rows is None else text.take(pa.array(rows))
        return Block(np.repeat(index.tag[at], sizes), time, value, quality, text)

    def _load(self, groups: Rows, holds: int) -> pa.Table:
        """Row groups, and of their columns those that say anything."""
        names = ["time"]
        for bit, name in ((_HAS_DIGITS, "digits"), (_HAS_PLAIN, "value"), (_HAS_QUALITY, "quality"), (_HAS_TEXT, "text")):
            if holds & bit:
                names.append(name)
        with self._lock:
            file, _ = self._open()
            try:
                return file.read_row_groups(groups.tolist(), columns=names, use_threads=len(groups) > 4)
            except (OSError, pa.ArrowException) as e:
                raise self._damaged(e) from e

    def _damaged(self, e: Exception) -> HistorianError:
        return HistorianError(
            Text(f"the segment cannot be read: {e}", f"数据段无法读取：{e}"),
            where=str(self.path),
            todo=Text("restore the file from a backup, or move it away to go on without it", "请从备份恢复该文件，或将其移走后继续"),
        )


def _read_index(file: pq.ParquetFile) -> Index:
    packed = msgspec.msgpack.decode(base64.b64decode(file.metadata.metadata[b"ronghe"]))
    with pa.ipc.open_stream(packed["tags"]) as reader:
        table = reader.read_all()
    rows, first, last, scale = (table.column(n).to_numpy() for n in ("rows", "first", "last", "scale"))
    end = np.cumsum(rows)
    tag = np.cumsum(table.column("tag").to_numpy(), dtype=np.int32)
    return Index(tag, end - rows, end, first, last, scale, packed["group"], np.frombuffer(packed["holds"], np.uint8))
