"""The newest sample of every tag of a store, kept as samples are written, so that `last` reads nothing from disk."""

from __future__ import annotations

import threading
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa

from ronghe.historian import disk
from ronghe.historian.block import Block


class Newest:
    """Columns by store id; `time` 0 means nothing yet. Safe between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._time = np.zeros(0, np.int64)
        self._value = np.zeros(0)
        self._quality = np.zeros(0, np.uint32)
        self._text: dict[int, str | None] = {}

    def update(self, block: Block) -> None:
        """Takes rows in the order written. Of two samples of one time the later written wins."""
        tag, time, rows = block.tag, block.time, None
        with self._lock:
            self._grow(int(tag.max()) + 1)
            if not (time[1:] >= time[:-1]).all():
                rows = np.argsort(time, kind="stable")
                tag, time = tag[rows], time[rows]
            newer = time >= self._time[tag]
            if not newer.all():
                keep = np.flatnonzero(newer)
                rows = keep if rows is None else rows[keep]
                tag, time = tag[keep], time[keep]
            value, quality = (block.value, block.quality) if rows is None else (block.value[rows], block.quality[rows])
            # In time order NumPy's last assignment wins.
            self._time[tag] = time
            self._value[tag] = value
            self._quality[tag] = quality
            if block.text is not None:
                texts = block.text if rows is None else block.text.take(pa.array(rows))
                self._text.update(zip(tag.tolist(), texts.to_pylist(), strict=True))
            elif self._text:
                for gone in self._text.keys() & set(tag.tolist()):
                    del self._text[gone]

    def _grow(self, n: int) -> None:
        more = n - len(self._time)
        if more > 0:
            more = max(more, len(self._time))  # doubling: one copy a tag on average
            self._time = np.concatenate([self._time, np.zeros(more, np.int64)])
            self._value = np.concatenate([self._value, np.full(more, np.nan)])
            self._quality = np.concatenate([self._quality, np.zeros(more, np.uint32)])

    def time(self) -> int:
        """The time (ns) of the newest sample of all; 0 when there is none."""
        with self._lock:
            return int(self._time.max(initial=0))

    def get(self, tags: np.ndarray[tuple[int], np.dtype[np.int32]] | None) -> Block:
        """One row for each of `tags` (sorted ids; None: all) that has a sample."""
        with self._lock:
            have = len(self._time)
            tags = np.arange(have, dtype=np.int32) if tags is None else tags[tags < have]
            tags = tags[self._time[tags] > 0]
            text = None
            if self._text:
                texts = [self._text.get(t) for t in tags.tolist()]
                text = pa.array(texts, pa.utf8()) if any(t is not None for t in texts) else None
            return Block(tags.astype(np.int32), self._time[tags], self._value[tags], self._quality[tags], text)

    def save(self, path: Path) -> None:
        """To a file, durably. Whatever is saved too early is the same after the log has been read again. Raises OSError."""
        rows = self.get(None)
        columns = {"tag": rows.tag, "time": rows.time, "value": rows.value, "quality": rows.quality, "text": rows.text}
        table = pa.table({k: pa.nulls(len(rows), pa.utf8()) if v is None else pa.array(v) for k, v in columns.items()})
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
            writer.write_table(table)
        data = sink.getvalue().to_pybytes()
        disk.replace(path, b"%08x" % zlib.crc32(data) + data)

    def load(self, path: Path) -> bool:
        """From a file; False when it is missing or damaged (it can be made again from the segments)."""
        try:
            data = path.read_bytes()
            if b"%08x" % zlib.crc32(data[8:]) != data[:8]:
                return False
            table = pa.ipc.open_file(pa.py_buffer(data[8:])).read_all()
            tag, time, value, quality = (table.column(n).to_numpy() for n in ("tag", "time", "value", "quality"))
            text = table.column("text").combine_chunks()
        except FileNotFoundError:
            return False
        if len(tag):
            self.update(Block(tag, time, value, quality, None if text.null_count == len(text) else text))
        return True
