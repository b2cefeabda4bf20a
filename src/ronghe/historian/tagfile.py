"""Parquet files sorted by tag, with an index in the footer: segments and their minutes are both made of this.

The footer's key "ronghe" holds, for each tag, how many rows it has, their first and last time and the scale of its digits (an Arrow
stream), and for each row group the span of its times and which columns say anything there; all of it base64 of MessagePack. It says
nothing that the columns do not say, and saves searching them.
"""

from __future__ import annotations

import base64
import contextlib
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ronghe.errors import HistorianError
from ronghe.historian import disk
from ronghe.historian.block import Rows, ranges
from ronghe.text import Text

_GROUPS: Final = 2048  # row groups of a file; a larger one has larger groups instead of more
_AT_ONCE: Final = 64  # row groups decoded at a time, which bounds a query's memory


@dataclass(frozen=True, slots=True, eq=False)
class Index:
    """Per tag (arrays of one length, tags ascending): rows [start, end), first and last time, scale of its digits. Per row group of
    `group` rows: oldest and newest time, and `holds`, bits that say which columns are worth reading."""

    tag: NDArray[np.int32]
    start: Rows
    end: Rows
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    scale: NDArray[np.int8]
    group: int
    oldest: NDArray[np.int64]
    newest: NDArray[np.int64]
    holds: NDArray[np.uint8]

    def find(self, tags: NDArray[np.int32] | None) -> Rows:
        """Positions of those of `tags` (sorted; None: all) that are here."""
        if tags is None:
            return np.arange(len(self.tag))
        near = np.minimum(self.tag.searchsorted(tags), len(self.tag) - 1)
        return near[self.tag[near] == tags]


class Pieces:
    """Rows to read, as runs that each lie in one row group: of the tag at position `at[i]`, rows [begin[i], stop[i]) in `group[i]`."""

    def __init__(self, index: Index, at: Rows, begin: Rows, stop: Rows) -> None:
        low, high = begin // index.group, (stop - 1) // index.group + 1
        self._index = index
        self.group = ranges(low, high)
        nth = np.repeat(np.arange(len(at)), high - low)
        self.at = at[nth]
        self.begin = np.maximum(begin[nth], self.group * index.group)
        self.stop = np.minimum(stop[nth], (self.group + 1) * index.group)

    def keep(self, mask: NDArray[np.bool_]) -> Pieces:
        """Some of them."""
        some = object.__new__(Pieces)
        some._index = self._index
        some.group, some.at, some.begin, some.stop = self.group[mask], self.at[mask], self.begin[mask], self.stop[mask]
        return some

    def within(self, start: int, end: int) -> Pieces:
        """Those that may have a time in [start, end)."""
        oldest, newest = self._index.oldest[self.group], self._index.newest[self.group]
        return self.keep((oldest < end) & (newest >= start))

    def ends(self, at: int) -> Pieces:
        """Of each tag, those that may have its newest row at or before a time: a group that a tag shares with others may turn out to have
        nothing so old of it, so it is the last two."""
        some = self.keep(self._index.oldest[self.group] <= at)
        # Pieces of one tag follow one another: the last two are those whose tag is not the tag of the piece after the next.
        last_two = np.ones(len(some.at), np.bool_)
        last_two[:-2] = some.at[2:] != some.at[:-2]
        return some.keep(last_two)

    def batches(self) -> Sequence[Pieces]:
        """In order, a bounded number of row groups at a time."""
        groups = np.unique(self.group)
        if len(groups) <= _AT_ONCE:
            return [self] if len(groups) else []
        nth = groups.searchsorted(self.group) // _AT_ONCE
        return [self.keep(nth == i) for i in range(int(nth.max()) + 1)]


class TagFileWriter:
    """Writes one file, piece by piece; each piece has all rows of its tags, and pieces come in the order of tags."""

    def __init__(
        self,
        path: Path,
        schema: pa.Schema,
        rows: int,
        *,
        group: int,
        dictionary: Sequence[str],
        encoding: Mapping[str, str],
        holds: Callable[[pa.Table], int] = lambda _: 0,
    ) -> None:
        """`rows` is about how many will come; `group` the rows of a row group in a small file: the least that is decoded to get at one
        tag. Raises OSError, here and in `write` and `finish`."""
        self.path, self.rows = path, 0
        self._schema, self._holds_of = schema, holds
        self._aside = path.with_name(path.name + ".tmp")
        self._group = max(group, 1 << (max(rows // _GROUPS, 1) - 1).bit_length())
        self._file = pa.OSFile(str(self._aside), "wb")
        self._writer = pq.ParquetWriter(
            self._file,
            schema,
            compression="zstd",
            use_dictionary=list(dictionary),
            column_encoding=dict(encoding),
            write_statistics=["tag", "time"],
            write_page_checksum=True,
            store_schema=False,
        )
        self._pending: list[pa.Table] = []
        self._waiting = 0
        self._tags: list[tuple[NDArray[Any], ...]] = []
        self._groups: list[tuple[int, int, int]] = []  # oldest, newest, holds

    def write(self, columns: Sequence[pa.Array], tags: tuple[NDArray[Any], ...]) -> None:
        """Appends rows, and of their tags: id, number of rows, first and last time, scale."""
        table = pa.Table.from_arrays(list(columns), schema=self._schema)
        self._tags.append(tags)
        self._pending.append(table)
        self._waiting += table.num_rows
        self.rows += table.num_rows
        self._drain(self._waiting - self._waiting % self._group)

    def _drain(self, rows: int) -> None:
        """Writes the first `rows` pending rows, one row group after the other."""
        if not rows:
            return
        table = pa.concat_tables(self._pending)
        for start in range(0, rows, self._group):
            piece = table.slice(start, min(self._group, rows - start))
            times = piece.column("time").cast(pa.int64()).to_numpy()
            self._groups.append((int(times.min()), int(times.max()), self._holds_of(piece)))
            self._writer.write_table(piece, row_group_size=self._group)
        self._waiting -= rows
        self._pending = [table.slice(rows)] if self._waiting else []

    def finish(self) -> tuple[int, int]:
        """Completes the file, durably, under its own name; gives the times of its oldest and newest row. It must have rows."""
        self._drain(self._waiting)
        self._writer.add_key_value_metadata({"ronghe": self._footer()})
        self._writer.close()
        self._file.close()
        disk.sync_file(self._aside)
        os.replace(self._aside, self.path)
        disk.sync_folder(self.path.parent)
        return min(g[0] for g in self._groups), max(g[1] for g in self._groups)

    def _footer(self) -> str:
        tag, rows, first, last, scale = (np.concatenate(c) for c in zip(*self._tags, strict=True))
        columns = {"tag": np.diff(tag, prepend=np.int32(0)), "rows": rows, "first": first, "last": last, "scale": scale}
        table = pa.RecordBatch.from_arrays([pa.array(c) for c in columns.values()], list(columns))
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
            writer.write_batch(table)
        packed = {"group": self._group, "groups": self._groups, "tags": sink.getvalue().to_pybytes()}
        return base64.b64encode(msgspec.msgpack.encode(packed)).decode()

    def abandon(self) -> None:
        """Gives up: closes and removes what was written. Safe at any point."""
        with contextlib.suppress(OSError):  # the disk may be full; the file goes anyway
            self._writer.close()
        with contextlib.suppress(OSError):
            self._file.close()
        self._aside.unlink(missing_ok=True)


class TagFile:
    """Reads one file. Opened on first use; safe between threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._open: tuple[pq.ParquetFile, Index] | None = None
        self.used = 0.0  # when it was last needed (monotonic, s); 0: it is closed

    def index(self) -> Index:
        """What the footer says. Raises FileNotFoundError when the file is gone (merged or retired since), HistorianError when damaged."""
        with self._lock:
            return self._opened()[1]

    def _opened(self) -> tuple[pq.ParquetFile, Index]:
        if self._open is None:
            try:
                file = pq.ParquetFile(pa.OSFile(str(self.path)), page_checksum_verification=True, pre_buffer=False)
                self._open = file, _read_footer(file)
            except FileNotFoundError:
                raise
            except (OSError, KeyError, ValueError, pa.ArrowException, msgspec.MsgspecError) as e:
                raise self._damaged(e) from e
        self.used = time.monotonic()
        return self._open

    def close(self) -> None:
        """Lets go of the file and of what was cached; the next use opens it again."""
        with self._lock:
            self._open = None
            self.used = 0.0

    def load(self, pieces: Pieces, names: Sequence[str]) -> tuple[pa.Table, Rows | None]:
        """Columns of the row groups of some pieces, and which rows of them the pieces are (None: all). Raises as `index`."""
        groups = np.unique(pieces.group)
        with self._lock:
            file, index = self._opened()
            try:
                table = file.read_row_groups(groups.tolist(), columns=list(names), use_threads=len(groups) > 4)
            except (OSError, pa.ArrowException) as e:
                raise self._damaged(e) from e
        sizes = pieces.stop - pieces.begin
        if int(sizes.sum()) == table.num_rows:
            return table, None
        nth = groups.searchsorted(pieces.group)  # from rows of the file to rows of the table, which has some row groups only
        begin = pieces.begin + (nth - pieces.group) * index.group
        return table, ranges(begin, begin + sizes)

    def _damaged(self, e: Exception) -> HistorianError:
        return HistorianError(
            Text(f"the segment cannot be read: {e}", f"数据段无法读取：{e}"),
            where=str(self.path),
            todo=Text("restore the file from a backup", "请从备份恢复该文件"),
        )


def _read_footer(file: pq.ParquetFile) -> Index:
    packed = msgspec.msgpack.decode(base64.b64decode(file.metadata.metadata[b"ronghe"]))
    with pa.ipc.open_stream(packed["tags"]) as reader:
        table = reader.read_all()
    rows, first, last, scale = (table.column(n).to_numpy() for n in ("rows", "first", "last", "scale"))
    oldest, newest, holds = (np.array(c) for c in zip(*packed["groups"], strict=True))
    end = np.cumsum(rows)
    tag = np.cumsum(table.column("tag").to_numpy(), dtype=np.int32)
    return Index(tag, end - rows, end, first, last, scale, packed["group"], oldest, newest, holds.astype(np.uint8))


def column(table: pa.Table, name: str, rows: Rows | None) -> NDArray[Any]:
    """A column without nulls as an array, times in ns; some of its rows."""
    data = table.column(name)
    array: NDArray[Any] = (data.cast(pa.int64()) if name == "time" else data).to_numpy()
    return array if rows is None else array[rows]
