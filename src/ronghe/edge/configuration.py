"""The plant folder of a joined node as versions: which one runs, what was changed by hand since, and the way to another and back.

A version is put into the plant folder file by file. What is overwritten or removed is kept first, and a note of it is on the disk before
the first file changes, so that after a power cut at any point the folder is put back to what it was. A version is on trial until the node
has shown that what worked before still does. Only files of an earlier version from the centre are ever removed, and nothing that begins
with a dot: the node's own state, recordings and notes stay where they are.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from ronghe.edge.joining import write
from ronghe.edge.runner import reason_of
from ronghe.errors import CloudError, PlantError, RongheError
from ronghe.guard.limits import check_guard
from ronghe.historian.disk import sync_folder
from ronghe.plant.folder import load
from ronghe.plant.version import Version, digest, survey, unpack
from ronghe.text import Text

log = logging.getLogger(__name__)

_FILE: Final = "configuration.json"
_TRIES: Final = 2  # times that a version may be cut off on trial before it is given up
_CUT: Final = Text("the node ended twice while it was on trial", "试运行期间节点两次中断")


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """A version that is put into the folder, or is being put. `kept` are the files in `before/`; `new` those that were not there."""

    version: Version
    kept: tuple[str, ...]
    new: tuple[str, ...]
    worked: tuple[str, ...]  # what worked before: connections and apps
    at: int  # ns


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What is on the disk. `running` is None while no version came from the centre."""

    running: Version | None = None
    trial: Trial | None = None
    refused: str = ""  # hash of a version that did not do; while it is wanted, it is not tried again
    why: Text | None = None
    tries: dict[str, int] = {}


class Configuration:
    """Of one plant folder. For one thread at a time; everything but `changed` reads or writes files as large as the folder."""

    def __init__(self, folder: Path, home: Path, clock: Callable[[], int]) -> None:
        """`home` is the folder `centre` of a joined plant."""
        self.folder, self._home, self._clock = folder, home, clock
        self._seen: dict[str, tuple[tuple[int, int], str]] = {}  # by file: (mtime, size) and hash
        try:
            self._kept = msgspec.json.decode((home / _FILE).read_bytes(), type=Kept)
        except FileNotFoundError:
            self._kept = Kept()
        except (OSError, msgspec.DecodeError) as e:
            raise CloudError(Text(f"cannot be read: {e}", f"无法读取：{e}"), where=str(home / _FILE)) from e
        self._started: Version | None = None

    def start(self) -> None:
        """At the start of the process: a version that was on trial when it was cut off is taken back. Raises OSError."""
        trial = self._kept.trial
        if trial is not None:
            tries = self._kept.tries.get(trial.version.hash, 0) + 1
            self.back(_CUT if tries >= _TRIES else None)
            self._keep(tries={trial.version.hash: tries})

    @property
    def running(self) -> Version:
        """The version that the node runs; without one from the centre, the folder when this was first asked. Raises CloudError."""
        if self._kept.trial is not None:
            return self._kept.trial.version
        if self._kept.running is not None:
            return self._kept.running
        if self._started is None:
            self._started = survey(self.folder)
        return self._started

    @property
    def trial(self) -> Trial | None:
        """What is on trial."""
        return self._kept.trial

    @property
    def refused(self) -> tuple[str, Text | None]:
        """(hash, why) of the version that was wanted last and does not do; ("", None) when there is none."""
        return self._kept.refused, self._kept.why

    def changed(self) -> tuple[str, ...]:
        """Files of the running version that are other than in it, or gone; a file is read again only when its time or size has changed."""
        found = []
        for name, wanted in self.running.files.items():
            try:
                stat = (self.folder / name).stat()
                key = (stat.st_mtime_ns, stat.st_size)
                if name not in self._seen or self._seen[name][0] != key:
                    self._seen[name] = key, digest(self.folder / name)
                if self._seen[name][1] != wanted:
                    found.append(name)
            except OSError:
                found.append(name)
        return tuple(found)

    def take(self, hash: str, archive: Path) -> Path:
        """Takes the zip of a version apart; gives the folder that holds it now. Raises CloudError when it is not this version."""
        to = self._home / "folders" / hash
        shutil.rmtree(to, ignore_errors=True)
        to.mkdir(parents=True)
        found = unpack(archive, to)
        if found.hash != hash:
            shutil.rmtree(to)
            raise CloudError(Text("what came is another version", "收到的版本不符"), where=hash[:16])
        return to

    def check(self, hash: str, plant: str) -> None:
        """Reads a version with the node's own drivers, apps and secrets. Raises PlantError, and CloudError for another plant."""
        found = load(self._home / "folders" / hash, check_guard=check_guard)
        if found.path != plant:
            raise CloudError(Text(f"it is of the plant {found.path}, this is {plant}", f"该版本属于工厂 {found.path}，此处为 {plant}"))

    def place(self, hash: str, worked: tuple[str, ...]) -> None:
        """Puts a version into the plant folder, on trial. Raises CloudError or OSError; then the folder is as it was."""
        source, before = self._home / "folders" / hash, self._home / "before"
        new = survey(source)
        if new.hash != hash:
            raise CloudError(Text("it was changed on the disk", "磁盘上的版本已被改动"), where=hash[:16])
        managed = self._kept.running.files if self._kept.running else {}
        touched = {n for n in {*new.files, *managed} if (self.folder / n).is_file()}
        shutil.rmtree(before, ignore_errors=True)
        for name in touched:
            _copy(self.folder / name, before / name)
        trial = Trial(version=new, kept=tuple(touched), new=tuple({*new.files} - touched), worked=worked, at=self._clock())
        self._keep(trial=trial, refused="", why=None)
        try:
            for name in new.files:
                _copy(source / name, self.folder / name)
            for name in managed.keys() - new.files.keys():
                (self.folder / name).unlink(missing_ok=True)
        except OSError:
            self.back(None)
            raise

    def confirm(self) -> None:
        """What is on trial stays."""
        if self._kept.trial is not None:
            self._keep(running=self._kept.trial.version, trial=None, tries={})
            for old in (self._home / "folders").iterdir():
                if old.name != self.running.hash:
                    shutil.rmtree(old, ignore_errors=True)

    def back(self, why: Text | None) -> None:
        """The folder as it was before what is on trial; with a reason, that is not tried again while it is wanted. Raises OSError."""
        trial = self._kept.trial
        if trial is None:
            return
        for name in trial.kept:
            _copy(self._home / "before" / name, self.folder / name)
        for name in trial.new:
            (self.folder / name).unlink(missing_ok=True)
        self._keep(trial=None, refused=trial.version.hash if why else "", why=why)

    def refuse(self, hash: str, why: RongheError) -> None:
        """This version is not tried again while it is wanted."""
        said = Text(why.in_("en"), why.in_("zh")) if isinstance(why, PlantError) else why.what
        self._keep(refused=hash, why=said)

    def forgive(self) -> None:
        """Another version is wanted now."""
        if self._kept.refused:
            self._keep(refused="", why=None)

    def _keep(self, **changes: object) -> None:
        self._kept = msgspec.structs.replace(self._kept, **changes)
        write(self._home / _FILE, msgspec.json.encode(self._kept))


def take_back(configuration: Configuration, why: Text | BaseException) -> bool:
    """Puts the folder back to what it was before the trial, and says so; False when nothing is on trial. Raises OSError."""
    trial = configuration.trial
    if trial is None:
        return False
    text = why if isinstance(why, Text) else reason_of(why)
    log.warning("the configuration %s is taken back: %s", trial.version.hash[:12], text.en)
    configuration.back(text)
    return True


def _copy(source: Path, to: Path) -> None:
    """Whole or not at all, on the disk when it returns."""
    to.parent.mkdir(parents=True, exist_ok=True)
    part = to.with_name(f".{to.name}.part")
    with source.open("rb") as read, part.open("wb") as written:
        shutil.copyfileobj(read, written)
        written.flush()
        os.fsync(written.fileno())
    shutil.copymode(source, part)
    os.replace(part, to)
    sync_folder(to.parent)
