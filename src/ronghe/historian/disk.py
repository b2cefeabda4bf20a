"""Files that survive a power cut, and the two locks of a store folder."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from ronghe.errors import HistorianError, StoreFull, StoreLocked
from ronghe.text import Text


def sync_folder(folder: Path) -> None:
    """Makes creations, renames and removals in a folder durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_file(path: Path) -> None:
    """Makes a file's content durable."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def replace(path: Path, data: bytes) -> None:
    """The whole file or the old one, whatever happens: written aside, synced, renamed over."""
    aside = path.with_name(path.name + ".tmp")
    with open(aside, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path)
    sync_folder(path.parent)


def size(folder: Path) -> int:
    """Bytes of the files in a folder; one that is removed meanwhile does not count."""
    total = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                total += entry.stat().st_size if entry.is_file() else 0
    return total


@contextlib.contextmanager
def full_is_reported(folder: Path) -> Iterator[None]:
    """Turns "no space left", quota and file-size errors into StoreFull, any other OSError into HistorianError."""
    try:
        yield
    except OSError as e:
        raise error_of(e, folder) from e


def error_of(e: OSError, folder: Path) -> HistorianError:
    """The error to raise for an OSError."""
    if e.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return StoreFull(
            Text("the disk is full; nothing acknowledged is lost, new samples wait", "磁盘已满；已确认的数据未丢失，新数据等待写入"),
            where=str(folder),
            todo=Text("make room, or shorten how long raw samples are kept", "请清理磁盘，或缩短原始数据保存期"),
        )
    return HistorianError(Text(f"the disk does not answer as it should: {e}", f"磁盘读写异常：{e}"), where=str(folder))


def give_back_memory() -> None:
    """Returns what was freed to the operating system: after a large piece of work the allocators would keep some hundred MB."""
    pa.default_memory_pool().release_unused()
    with contextlib.suppress(AttributeError, OSError):  # only glibc has it
        ctypes.CDLL(None).malloc_trim(0)


class WriterLock:
    """One writer a folder: an exclusive flock, which the kernel lets go when the process ends, however it ends."""

    def __init__(self, folder: Path) -> None:
        path = folder / "lock"
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.read(self._fd, 32).decode("ascii", "replace").strip() or "?"
            os.close(self._fd)
            raise StoreLocked(
                Text(f"process {pid} is writing to this store", f"进程 {pid} 正在写入该数据库"),
                where=str(folder),
                todo=Text("stop it first, or open the store read-only", "请先停止该进程，或以只读方式打开"),
            ) from None
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, b"%d\n" % os.getpid(), 0)

    def release(self) -> None:
        os.close(self._fd)


class ReaderLock:
    """Held (shared) by every read-only opener: while one lives, the writer puts off removing files that a snapshot may need."""

    def __init__(self, folder: Path) -> None:
        self._fd: int | None = None
        # A folder that cannot be written to (a backup, a read-only mount) has no writer to be told.
        with contextlib.suppress(OSError):
            self._fd = os.open(folder / "readers", os.O_RDONLY | os.O_CREAT, 0o644)
            fcntl.flock(self._fd, fcntl.LOCK_SH)

    def release(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    @staticmethod
    @contextlib.contextmanager
    def none(folder: Path) -> Iterator[bool]:
        """Whether there is no reader; none can come while the block runs."""
        fd = os.open(folder / "readers", os.O_RDONLY | os.O_CREAT, 0o644)
        try:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(fd)
