"""The tag dictionary of a store: names as small integers that stay true for the life of the folder.

`tags` is a text file, one tag a line: CRC-32 of the rest in hexadecimal, a space, the name as a JSON string. The line number is the id.
It grows only, and a name is durable before the first sample that uses it.
"""

from __future__ import annotations

import os
import threading
import zlib
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from ronghe.errors import HistorianError
from ronghe.signals import TagIndex
from ronghe.text import Text


class Names:
    """The dictionary, with the two-way map between store ids and the ids of one process's `TagIndex`."""

    def __init__(self, folder: Path, index: TagIndex, *, readonly: bool) -> None:
        self._path = folder / "tags"
        self._index = index
        self._lock = threading.Lock()
        self.names: list[str] = []
        self._ids: dict[str, int] = {}
        self._to_store = np.full(0, -1, np.int32)  # TagIndex id → store id
        self._to_index = np.full(0, -1, np.int32)  # store id → TagIndex id, -1 until asked for
        end = self._load()
        self._fd = -1
        if not readonly:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
            os.ftruncate(self._fd, end)
            self._end = end

    def _load(self) -> int:
        data = self._path.read_bytes() if self._path.exists() else b""
        end = data.rfind(b"\n") + 1  # a line without its end was never acknowledged
        for number, line in enumerate(data[:end].splitlines(), 1):
            crc, _, body = line.partition(b" ")
            if b"%08x" % zlib.crc32(body) != crc:
                raise HistorianError(
                    Text("the tag dictionary is damaged", "标签字典已损坏"),
                    where=f"{self._path}:{number}",
                    todo=Text("restore the file `tags` from a backup", "请从备份恢复文件 `tags`"),
                )
            name = msgspec.json.decode(body, type=str)
            self._ids[name] = len(self.names)
            self.names.append(name)
        return end

    def __len__(self) -> int:
        return len(self.names)

    def find(self, name: str) -> int | None:
        """The store id of a name, or None."""
        return self._ids.get(name)

    def to_store(self, tag: NDArray[np.int32]) -> NDArray[np.int32]:
        """Store ids of TagIndex ids; new names are written down (durably) first. Raises OSError when they cannot be."""
        if len(self._to_store) < len(self._index):
            more = len(self._index) - len(self._to_store)
            self._to_store = np.concatenate([self._to_store, np.full(more, -1, np.int32)])
        ids = self._to_store[tag]
        if len(ids) and int(ids.min()) < 0:
            self._learn(sorted(set(tag[ids < 0].tolist())))
            ids = self._to_store[tag]
        return ids

    def _learn(self, tags: list[int]) -> None:
        names = [self._index.names[t] for t in tags]
        new = [n for n in names if n not in self._ids]
        if new:
            bodies = [msgspec.json.encode(n) for n in new]
            data = b"".join(b"%08x %s\n" % (zlib.crc32(b), b) for b in bodies)
            try:
                write_all(self._fd, [data], self._end)
                os.fdatasync(self._fd)
            except OSError:
                os.ftruncate(self._fd, self._end)
                raise
            self._end += len(data)
            for name in new:
                self._ids[name] = len(self.names)
                self.names.append(name)
        self._to_store[tags] = [self._ids[n] for n in names]

    def to_index(self, ids: NDArray[np.int32]) -> NDArray[np.int32]:
        """TagIndex ids of store ids; names the index does not know are added to it."""
        with self._lock:
            if len(self._to_index) < len(self.names):
                more = len(self.names) - len(self._to_index)
                self._to_index = np.concatenate([self._to_index, np.full(more, -1, np.int32)])
            out = self._to_index[ids]
            if len(out) and int(out.min()) < 0:
                unknown = np.unique(ids[out < 0])
                self._to_index[unknown] = self._index.ids([self.names[i] for i in unknown.tolist()])
                out = self._to_index[ids]
            return out

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def write_all(fd: int, buffers: list[bytes], at: int) -> int:
    """Writes all buffers at a place in a file; gives the number of bytes. Raises OSError when not all of it could be written."""
    size = sum(len(memoryview(b).cast("B")) for b in buffers)
    done = os.pwritev(fd, buffers, at)
    if done < size:  # a full disk takes a part first and refuses the rest at the next call
        rest = memoryview(b"".join(buffers))[done:]
        while len(rest):
            step = os.pwrite(fd, rest, at + done)
            done, rest = done + step, rest[step:]
    return size
