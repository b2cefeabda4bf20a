"""The registry: releases of model packages in a folder, no server behind it.

packages/HASH.model     the package as it was given
releases/HASH.json      its release: name, version, serial, dates, and the signed statement of them
ring.json               the keys that are trusted here
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from ronghe.bus.fleet import WantedModel
from ronghe.errors import ModelError
from ronghe.historian import disk
from ronghe.models.keys import RING, Ring
from ronghe.models.package import Package, load
from ronghe.models.statement import Proof, Released, Signed, read, state
from ronghe.text import Text


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """One package in the registry. Unsigned, it has serial 0, and no node takes it. Times in ns since 1970 UTC; `until` 0: no end."""

    name: str
    version: str
    hash: str
    serial: int
    size: int
    file: str  # SHA-256 of the zip
    kind: str
    signed_by: str = ""
    created: int
    added: int
    since: int = 0
    until: int = 0
    metrics: dict[str, float] = {}
    statement: Signed | None = None
    withdrawn: Text | None = None
    withdrawn_by: str = ""


class Registry:
    """Every method may be called by several processes at once; what it gives was on the disk when it was asked."""

    def __init__(self, folder: Path, *, clock: Callable[[], int] = time.time_ns) -> None:
        self.folder, self._clock = folder, clock
        self._packages, self._releases = folder / "packages", folder / "releases"
        for below in (self._packages, self._releases):
            below.mkdir(parents=True, exist_ok=True)

    @property
    def ring(self) -> Ring:
        """The keys that are trusted here."""
        return Ring(self.folder / RING)

    def trusted(self) -> tuple[str, ...]:
        """Hex of the keys whose releases nodes may run: `Wanted.trusted`."""
        return self.ring.trusted(self._clock())

    # --- releases ---------------------------------------------------------------------------------------------------------------

    def add(self, path: Path, *, statement: Signed | None = None, keys: Iterable[Signed] = ()) -> Release:
        """Takes a package, and where it was signed elsewhere its statement and that of its key. Raises ModelError for a damaged one, and
        for a statement that speaks of something else."""
        given = _release(path, self._clock())
        with self._lock():
            found = self._find(given.hash)
            release = found or given
            if found is None:
                _written(self.path(given.hash), path.read_bytes())
            if statement is not None:
                self.ring.admit(keys, self._clock())
                release = self._stated(release, statement)
            if release is not found:
                self._keep(release)
        return release

    def sign(
        self, hash: str, private: bytes, *, since: int = 0, until: int = 0, final: bool = False, keys: Iterable[Signed] = ()
    ) -> Release:
        """Releases a package under the next serial of its name, signed with a 32-byte Ed25519 key that is trusted here.

        After a `final` release no node goes back to an older one. Raises ModelError.
        """
        with self._lock():
            release, now = self.get(hash), self._clock()
            self.ring.admit(keys, now)
            others = [r for r in self.list(release.name) if r.serial and r.hash != release.hash]
            serial = max((r.serial for r in (release, *others)), default=0) + 1
            floor = serial if final else max((r.serial for r in others if r.withdrawn is None), default=0)
            said = _released(release, serial, floor, since or now, until)
            release = self._stated(release, state(said, private))
            self._keep(release)
        return release

    def _stated(self, release: Release, statement: Signed) -> Release:
        said = read(statement, Released)
        if (said.name, said.version, said.hash, said.file) != (release.name, release.version, release.hash, release.file):
            raise ModelError(Text("the statement speaks of another package", "声明针对的是另一个模型包"), where=release.hash[:16])
        if statement.key not in self.trusted():
            raise ModelError(
                Text("signed by a key that is not trusted here", "签名密钥在此不受信任"),
                where=statement.key,
                todo=Text("`ronghe keys trust KEY --centre FOLDER`, if it is to be", "如应信任：`ronghe keys trust KEY --centre FOLDER`"),
            )
        taken = {r.serial for r in self.list(release.name) if r.hash != release.hash}
        if said.serial in taken:
            what = Text(f"serial {said.serial} of {said.name} is taken", f"{said.name} 的序号 {said.serial} 已被占用")
            raise ModelError(what, where=release.hash[:16])
        changes: dict[str, Any] = {"serial": said.serial, "since": said.since, "until": said.until}
        return msgspec.structs.replace(release, statement=statement, signed_by=statement.key, **changes)

    def withdraw(self, hash: str, who: str, why: str) -> Release:
        """No node is given it any more, and roll-outs of it go back. Its file stays, for whoever looks into it."""
        with self._lock():
            reason = Text(f"{why} ({who})", f"{why}（{who}）")
            release = msgspec.structs.replace(self.get(hash), withdrawn=reason, withdrawn_by=who)
            self._keep(release)
        return release

    def list(self, name: str = "") -> list[Release]:
        """Of a name, or all; newest serial first within a name."""
        found = [self._read(p) for p in self._releases.glob("*.json")]
        return sorted((r for r in found if not name or r.name == name), key=lambda r: (r.name, -r.serial, -r.added))

    def get(self, hash: str) -> Release:
        """By hash, or its first digits (8 at least). Raises ModelError for one that is not here, or not the only one."""
        found = (
            [self._releases / f"{hash}.json"] if len(hash) == 64 else list(self._releases.glob(f"{hash}*.json")) if len(hash) >= 8 else []
        )
        if len(found) != 1 or not hash.isalnum() or not found[0].exists():
            raise ModelError(
                Text("no such release", "没有这个发布"), where=hash[:64], todo=Text("see `ronghe models list`", "查看 `ronghe models list`")
            )
        return self._read(found[0])

    def path(self, hash: str) -> Path:
        """Its file."""
        return self._packages / f"{hash}.model"

    def file(self, file: str) -> Path:
        """The file with this SHA-256, as nodes ask for it. Raises ModelError for one that is not here."""
        for release in self.list():
            if release.file == file:
                return self.path(release.hash)
        raise ModelError(Text("no such file", "没有这个文件"), where=file[:64])

    def open(self, hash: str) -> Package:
        """The package, proved. Raises ModelError."""
        return load(self.path(self.get(hash).hash))

    # --- for nodes and people -----------------------------------------------------------------------------------------------------

    def wanted(self, hash: str, app: str, *, slowest_ms: float | None = None, back: bool = False) -> WantedModel:
        """What a node is told, to run it. Raises ModelError for an unsigned release."""
        release = self.get(hash)
        return WantedModel(
            app=app,
            name=release.name,
            version=release.version,
            hash=release.hash,
            file=release.file,
            size=release.size,
            serial=release.serial,
            slowest_ms=slowest_ms,
            proof=msgspec.json.encode(self.proof(release.hash)).decode(),
            back=back,
        )

    def proof(self, hash: str) -> Proof:
        """What a node believes it by. Raises ModelError for an unsigned release."""
        release = self.get(hash)
        if release.statement is None:
            raise ModelError(
                Text("this release is not signed", "该发布未签名"),
                where=release.hash[:16],
                todo=Text("`ronghe models sign`", "`ronghe models sign`"),
            )
        return Proof(release=release.statement, keys=self.ring.statements)

    def view(self) -> dict[str, Any]:
        """JSON for the console: {releases, keys}; times in ms."""
        now, ring = self._clock(), self.ring
        active = ring.trusted(now)
        releases = [
            {
                "name": r.name,
                "version": r.version,
                "hash": r.hash,
                "serial": r.serial,
                "created": r.created // 10**6,
                "size": r.size,
                "kind": r.kind,
                "signed_by": r.signed_by,
                "trusted": r.signed_by in active,
                "since": r.since // 10**6 or None,
                "until": r.until // 10**6 or None,
                "metrics": r.metrics,
                "withdrawn": r.withdrawn,
            }
            for r in self.list()
        ]
        keys = [
            {"key": k.key, "name": k.name, "since": k.since // 10**6 or None, "until": k.until // 10**6 or None, "state": k.state(now)}
            for k in ring.keys
        ]
        return {"releases": releases, "keys": keys}

    # --- files --------------------------------------------------------------------------------------------------------------------

    def _find(self, hash: str) -> Release | None:
        path = self._releases / f"{hash}.json"
        return self._read(path) if path.exists() else None

    def _read(self, path: Path) -> Release:
        try:
            return msgspec.json.decode(path.read_bytes(), type=Release)
        except (OSError, msgspec.DecodeError) as e:
            raise ModelError(Text(f"the release cannot be read: {e}", f"发布记录无法读取：{e}"), where=str(path)) from e

    def _keep(self, release: Release) -> None:
        _written(self._releases / f"{release.hash}.json", msgspec.json.format(msgspec.json.encode(release), indent=1))

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        """One writer at a time: two releases never get one serial."""
        fd = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)


def prove(path: Path, private: bytes, *, serial: int, floor: int, since: int, until: int, keys: Iterable[Signed] = ()) -> Proof:
    """Releases a package on a machine where there is no registry, so that the private key never has to be at the centre. See `Released`."""
    return Proof(release=state(_released(_release(path, 0), serial, floor, since, until), private), keys=tuple(keys))


def _release(path: Path, now: int) -> Release:
    if not path.is_file():
        raise ModelError(Text("not one file, as a package must be here", "模型包须为单个文件"), where=str(path))
    package, data = load(path), path.read_bytes()
    manifest = package.manifest
    return Release(
        name=manifest.name,
        version=manifest.version,
        hash=package.hash,
        serial=0,
        size=len(data),
        file=hashlib.sha256(data).hexdigest(),
        kind=manifest.kind,
        created=manifest.created,
        added=now,
        metrics=manifest.metrics,
    )


def _released(r: Release, serial: int, floor: int, since: int, until: int) -> Released:
    return Released(
        name=r.name,
        version=r.version,
        hash=r.hash,
        file=r.file,
        size=r.size,
        serial=serial,
        floor=floor,
        since=since,
        until=until,
        created=r.created,
    )


def _written(path: Path, data: bytes) -> None:
    try:
        if shutil.disk_usage(path.parent).free < len(data):
            raise OSError(28, "no space left on device")
        disk.replace(path, data)
    except OSError as e:
        raise ModelError(Text(f"cannot be written: {e.strerror}", f"无法写入：{e.strerror}"), where=str(path)) from e
