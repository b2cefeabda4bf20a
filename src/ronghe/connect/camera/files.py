"""Pictures from files: a picture, a folder in order, a folder that is watched."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Final

from ronghe.connect.camera.source import Ended, Frame, Source
from ronghe.errors import PictureError, Unreachable
from ronghe.picture import decode, find
from ronghe.picture.folder import hidden, in_order, is_picture
from ronghe.picture.reader import read
from ronghe.text import Text

_LOOK: Final = 0.1  # s, between two looks into a watched folder; more in one that takes long to list
_SETTLED: Final = 0.25  # s, without a change after which a file counts as written
_GIVEN_UP: Final = 3.0  # s, without a change after which a file that cannot be read is told
_Stamp = tuple[int, int]  # size and time of change: what shows whether a file was written to


class Played(Source):
    """The pictures of a file or folder, in the order of their names."""

    live: ClassVar[bool] = False
    continuous: ClassVar[bool] = False

    def __init__(self, path: Path, *, repeat: bool) -> None:
        self._path, self._repeat = path, repeat
        self.interval = 1.0
        self._files: list[Path] = []
        self._at = self._number = 0

    def open(self) -> None:
        try:
            self._files = find(self._path)
        except PictureError as e:
            raise Unreachable(e.what, where=e.where, todo=e.todo) from e
        self._at = 0

    def next(self) -> Frame | None:
        if self._at == len(self._files):
            if not self._repeat:
                raise Ended
            self._at = 0
        path = self._files[self._at]
        self._at += 1
        self._number += 1
        return _frame(path, self._path, self._number)

    def close(self) -> None:
        return None


class Watched(Source):
    """The pictures that are put into a folder from now on, each when it is wholly written.

    A file counts as written when neither its size nor its time has changed for a quarter of a second and it can be read; one that cannot be
    read is told when it has not changed for 3 s. A file that is written to again is a new picture.
    """

    live: ClassVar[bool] = False
    continuous: ClassVar[bool] = False

    def __init__(self, folder: Path, *, timeout: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._folder, self._timeout, self._monotonic = folder, timeout, monotonic
        self._done: dict[Path, _Stamp] = {}
        self._growing: dict[Path, tuple[_Stamp, float]] = {}
        self._ready: deque[Frame] = deque()
        self._number = 0
        self._opened = False

    def open(self) -> None:
        found = self._list()
        if not self._opened:  # what came while the folder was out of reach is new
            self._done = found
            self._opened = True

    def next(self) -> Frame | None:
        end = self._monotonic() + min(self._timeout, 0.5)
        while not self._ready:
            began = self._monotonic()
            self._look()
            took = self._monotonic() - began
            if self._ready or began > end:
                break
            time.sleep(max(_LOOK, 5 * took))
        return self._ready.popleft() if self._ready else None

    def close(self) -> None:
        self._growing.clear()

    def _look(self) -> None:
        now, found = self._monotonic(), self._list()
        self._done = {p: s for p, s in self._done.items() if p in found}
        growing: dict[Path, tuple[_Stamp, float]] = {}
        for path in sorted((p for p, s in found.items() if self._done.get(p) != s), key=lambda p: (found[p][1], in_order(p.name))):
            stamp, since = self._growing.get(path, ((-1, -1), now))
            if stamp != found[path]:
                since = now
            if now - since >= _SETTLED:
                frame = _frame(path, self._folder, self._number + 1)
                if frame.reason is None or now - since >= _GIVEN_UP:
                    self._number += 1
                    self._ready.append(frame)
                    self._done[path] = found[path]
                    continue
            growing[path] = (found[path], since)
        self._growing = growing

    def _list(self) -> dict[Path, _Stamp]:
        out: dict[Path, _Stamp] = {}
        folders, seen = [self._folder], set()
        try:
            while folders:
                here = folders.pop()
                known = os.stat(here)
                if (known.st_dev, known.st_ino) in seen:
                    continue
                seen.add((known.st_dev, known.st_ino))
                for entry in os.scandir(here):
                    if entry.is_dir() and not hidden(entry.name):
                        folders.append(Path(entry.path))
                    elif is_picture(entry.name) and entry.is_file():
                        try:
                            stat = entry.stat()
                        except FileNotFoundError:  # renamed or taken away between listing and asking
                            continue
                        out[Path(entry.path)] = (stat.st_size, stat.st_mtime_ns)
        except OSError as e:
            raise Unreachable(
                Text(f"the folder cannot be read: {e.strerror}", f"文件夹无法读取：{e.strerror}"),
                where=str(self._folder),
                todo=Text("check the path", "请检查路径"),
            ) from e
        return out


def _frame(path: Path, top: Path, number: int) -> Frame:
    name = path.relative_to(top).as_posix() if path != top else path.name
    try:
        return Frame(number, read(path), name=name)
    except PictureError as e:
        return Frame(number, None, name=name, reason=Text(f"{name}: {e.what.en}", f"{name}：{e.what.zh}"))


def unpack(data: bytes, number: int, taken: int) -> Frame:
    """A frame from an encoded picture out of a stream."""
    try:
        return Frame(number, decode(data), taken)
    except PictureError as e:
        return Frame(number, None, taken, reason=e.what)
