"""The journal of a store: what was done with models on this node, a line each, on the disk before it counts.

A line is the CRC-32 of its JSON and the JSON. A line that was being written when the power went is passed over; one that was changed too.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import msgspec

from ronghe.historian import disk
from ronghe.models.delivery.pointer import opened, sealed
from ronghe.text import Text

_MOST: Final = 1 << 20  # bytes; beyond, the older half goes


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """What happened. `time` in ns since 1970 UTC; `pointer` is that of the app after it, where it changed."""

    time: int
    event: str  # fetched | refused | switching | switched | rolled_back | dropped | proved | recovered | damaged | trusted | removed
    app: str = ""
    hash: str = ""
    text: Text = Text("")
    pointer: Any = None


class Journal:
    """Appended to by one process at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[Event]:
        """All that is whole, oldest first."""
        try:
            lines = self.path.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        return [e for line in lines if (e := opened(line, Event)) is not None]

    def append(self, event: Event) -> None:
        """Returns when it is on the disk. Raises OSError."""
        line = sealed(event) + b"\n"
        new = not self.path.exists()
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            size = os.fstat(fd).st_size
            if size and os.pread(fd, 1, size - 1) != b"\n":
                line = b"\n" + line  # after one that was cut off
            try:
                if os.write(fd, line) < len(line):
                    raise OSError(28, "no space left on device")
                os.fsync(fd)
            except OSError:
                os.ftruncate(fd, size)
                raise
        finally:
            os.close(fd)
        if new:
            disk.sync_folder(self.path.parent)

    def shorten(self) -> None:
        """Keeps its newer half when it has grown long."""
        if self.path.exists() and self.path.stat().st_size > _MOST:
            lines = self.path.read_bytes().splitlines(keepends=True)
            disk.replace(self.path, b"".join(lines[len(lines) // 2 :]))
