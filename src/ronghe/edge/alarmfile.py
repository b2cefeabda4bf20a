"""The alarms' file: one JSON line a change, the last line of a key is its state. Appended to, and rewritten whole when too long."""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from ronghe.errors import RongheError
from ronghe.text import Text

log = logging.getLogger(__name__)


class Keyed(Protocol):
    """Anything with a key."""

    @property
    def key(self) -> str: ...


T = TypeVar("T", bound=Keyed)


class AlarmFile(Generic[T]):
    """The states of things with a key. A line torn by kill -9 is passed over: the state before it stands.

    The file is opened for each change: changes are rare, and nothing is left open.
    """

    def __init__(self, path: Path, type: type[T]) -> None:
        """Raises RongheError when the folder cannot be made."""
        self._path, self._type = path, type
        self._lines = 0
        self._dirty = False
        self._torn = False  # the last line on disk has no end
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise self._unusable(e) from e

    def read(self) -> dict[str, T]:
        """All states. Raises RongheError when the file cannot be read."""
        found: dict[str, T] = {}
        try:
            raw = self._path.read_bytes() if self._path.exists() else b""
        except OSError as e:
            raise self._unusable(e) from e
        decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(self._type)
        for number, line in enumerate(raw.splitlines(), 1):
            self._lines += 1
            try:
                state = decoder.decode(line)
            except msgspec.DecodeError as e:
                log.warning("%s:%d is passed over: %s", self._path, number, e)
                continue
            found[state.key] = state
        self._torn = bool(raw) and not raw.endswith(b"\n")
        return found

    def append(self, state: T) -> None:
        """One change: with the operating system when this returns. Raises OSError when the disk refuses."""
        line = (b"\n" if self._torn else b"") + msgspec.json.encode(state) + b"\n"
        with self._path.open("ab", buffering=0) as file:
            written = file.write(line)
        if written != len(line):  # a full disk may take a part
            self._torn = self._torn or bool(written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path))
        self._torn = False
        self._lines += 1
        self._dirty = True

    def sync(self) -> None:
        """Down to the disk, if anything changed. Waits for it; may be called from another thread. Raises OSError when the disk refuses."""
        if not self._dirty:
            return
        self._dirty = False  # before, so that a change made meanwhile is not taken for safe
        try:
            with self._path.open("ab") as file:
                os.fsync(file.fileno())
        except OSError:
            self._dirty = True
            raise

    def shorten(self, states: Mapping[str, T]) -> None:
        """Rewritten, and down on the disk, when most lines are history: once in a thousand changes. Raises OSError when it refuses."""
        if self._lines > 1000 + 4 * len(states):
            self._rewrite(states)

    def _rewrite(self, states: Mapping[str, T]) -> None:
        part = self._path.with_suffix(".part")
        with part.open("wb") as file:
            file.writelines(msgspec.json.encode(s) + b"\n" for s in states.values())
            file.flush()
            os.fsync(file.fileno())
        part.replace(self._path)
        self._lines, self._torn = len(states), False

    def _unusable(self, e: OSError) -> RongheError:
        return RongheError(Text(f"the alarms cannot be kept: {e.strerror}", f"无法保存报警：{e.strerror}"), where=str(self._path))
