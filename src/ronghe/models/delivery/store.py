"""The models of one node, in a folder: fetched, proved, and switched so that at any moment, power cut or not, an app has a valid one.

    packages/HASH.model   whole packages
    fetching/FILE.part    what came of a transfer so far
    apps/APP              the pointer: what the app runs, and what it ran before; replaced whole, by a rename
    accepted              per name the highest serial that ever ran here, and the lowest that may still
    trusted.json          the keys that are trusted here
    journal               what happened

The pointer alone says what runs. What is written before it (the package, the journal's intent) is harmless without it, and what comes after
is only the journal's word that it was done.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

import msgspec

from ronghe.bus.fleet import WantedModel
from ronghe.errors import ModelError
from ronghe.historian import disk
from ronghe.models.delivery.journal import Event, Journal
from ronghe.models.delivery.pointer import OWN, Accepted, Placed, Pointer, cut_off, note, opened, sealed
from ronghe.models.delivery.source import Cut, Source
from ronghe.models.keys import SLACK, Ring
from ronghe.models.package import Package, load
from ronghe.models.statement import Proof, Released, read
from ronghe.text import Text

_RESERVE: Final = 64 << 20  # bytes that a transfer leaves to the historian
_STARTS: Final = 3  # of the node while a model is on trial; after that it is the model that ends the node
_NOTHING: Final = Text("")
_PARTS: Final = 7 * 86_400  # s that the rest of a transfer is kept


class NoRoom(ModelError):
    """The disk is full. Nothing of the package stays on it."""


class Store:
    """Of one node. Nothing is created before the first package comes."""

    def __init__(self, folder: Path, *, clock: Callable[[], int] = time.time_ns, reserve: int = _RESERVE) -> None:
        """`reserve`: bytes of the disk that a transfer may not take."""
        self.folder, self._clock, self._reserve = folder, clock, reserve
        self.journal = Journal(folder / "journal")
        self._unwritten: dict[str, Pointer] = {}  # what a full disk has not taken
        self._whole: dict[str, tuple[int, int]] = {}  # files whose content was proved, by hash: size and time of change

    # --- what runs ----------------------------------------------------------------------------------------------------------------

    def current(self, app: str) -> Path | None:
        """The package that the app is to run, whole; None: what plant.toml names. What is damaged is passed over, and that is told."""
        pointer = self.pointer(app)
        while pointer.now is not None and not self._is_whole(pointer.now):
            now, before = pointer.now, pointer.before
            text = Text(
                f"the package of {now} on the disk is damaged; {before or OWN.en} runs",
                f"磁盘上的模型包 {now} 已损坏，改为运行{f' {before}' if before else OWN.zh}",
            )
            pointer = Pointer(now=before, since=self._clock())
            self._point(app, pointer, "damaged", now.hash, text)
        return self.path(pointer.now.hash) if pointer.now is not None else None

    def choices(self, app: str) -> list[Path | None]:
        """What the app can run, best first: `current`, what it ran before, and None, what plant.toml names."""
        now = self.current(app)
        before = self.pointer(app).before if now is not None else None
        found: list[Path | None] = [now] if now is not None else []
        if before is not None and self._is_whole(before):
            found.append(self.path(before.hash))
        return [*found, None]

    def pointer(self, app: str) -> Pointer:
        """What the app runs. One that is damaged is made again from the journal."""
        if app in self._unwritten:
            return self._unwritten[app]
        path = self._pointer_path(app)
        try:
            found = opened(path.read_bytes(), Pointer)
        except FileNotFoundError:
            return Pointer()
        except OSError as e:
            raise ModelError(Text(f"cannot be read: {e.strerror}", f"无法读取：{e.strerror}"), where=str(path)) from e
        if found is not None:
            return found
        last = next((e.pointer for e in reversed(self.journal.read()) if e.app == app and e.pointer is not None), None)
        found = Pointer() if last is None else msgspec.convert(last, Pointer)
        text = Text(
            f"the pointer on the disk was damaged; by the journal it is {found.now or OWN.en}",
            f"磁盘上的指针已损坏；依日志恢复为{f' {found.now}' if found.now else OWN.zh}",
        )
        self._point(app, found, "damaged", found.now.hash if found.now else "", text)
        return found

    def path(self, hash: str) -> Path:
        """Where a package lies."""
        return self.folder / "packages" / f"{hash}.model"

    def apps(self) -> list[str]:
        """Those that were ever given a package here."""
        return sorted(unquote(p.name) for p in (self.folder / "apps").glob("*") if p.suffix != ".tmp")

    def recover(self) -> list[Event]:
        """At the start of the node: ends what was cut off, says it, and takes back a model on trial with which the node keeps ending."""
        if not self.folder.exists():
            return []
        came = len(self.journal.read())
        self.journal.shorten()
        last = {e.app: e for e in self.journal.read()}
        for app in self.apps():
            pointer = self.pointer(app)
            cut = last.get(app)
            if cut is not None and cut.event == "switching":
                self._point(app, pointer, "recovered", cut.hash, cut_off(pointer, cut.hash))
            if not pointer.proved:
                starts = pointer.starts + 1
                if starts > _STARTS:
                    why = Text(f"the node ended {starts - 1} times while it was on trial", f"试运行期间节点已异常结束 {starts - 1} 次")
                    self.back(app, why)
                else:
                    self._note(app, msgspec.structs.replace(pointer, starts=starts))
        return self.journal.read()[came:]

    # --- what comes ---------------------------------------------------------------------------------------------------------------

    @property
    def ring(self) -> Ring:
        """The keys that are trusted here."""
        return Ring(self.folder / "trusted.json")

    def vet(self, wanted: WantedModel, trusted: Collection[str] = ()) -> Released:
        """What was signed about a wanted package, if it is believed here: before a byte of it is fetched. Raises ModelError.

        `trusted`, where given, are the keys that the centre still trusts. It can take keys away by it and never bring one in; but a node
        that trusts none yet takes these, at its first contact.
        """
        now, ring = self._clock(), self.ring
        if ring.empty:
            for key in trusted:
                ring.pin(key)
                self.say(
                    "trusted", text=Text(f"key {key[:16]}… from the centre, at first contact", f"首次连接时信任中心的密钥 {key[:16]}…")
                )
        try:
            proof = msgspec.json.decode(wanted.proof, type=Proof)
        except msgspec.DecodeError as e:
            raise _no(wanted, Text("it is not signed", "未签名")) from e
        for key in ring.admit(proof.keys, now):
            self.say("trusted", text=Text(f"key {key[:16]}…, introduced by one that was trusted", f"由受信任密钥引入密钥 {key[:16]}…"))
        said = read(proof.release, Released)
        if proof.release.key not in ring.trusted(now) or (trusted and proof.release.key not in trusted):
            todo = Text("`ronghe keys trust KEY --plant FOLDER`, if it is to be", "如应信任：`ronghe keys trust KEY --plant FOLDER`")
            raise _no(wanted, Text("signed by a key that is not trusted here", "签名密钥在此不受信任"), todo)
        if any(getattr(said, f) != getattr(wanted, f) for f in ("name", "version", "hash", "file", "size", "serial")):
            raise _no(wanted, Text("what was signed is something else", "签名内容与所给不符"))
        if now < said.since - SLACK or (said.until and now > said.until):
            raise _no(wanted, Text("it is outside the dates for which it was released", "不在发布的有效期内"))
        self._not_replayed(wanted, said)
        return said

    def _not_replayed(self, wanted: WantedModel, said: Released) -> None:
        known = self._accepted().get(said.name)
        if known is None or said.serial > known.highest or (said.serial == known.highest and said.hash == known.hash):
            return
        before = self.pointer(wanted.app).before
        at_hand = self.pointer(wanted.app).now
        mine = {p.hash for p in (before, at_hand) if p is not None}
        if not wanted.back or said.hash not in mine or said.serial < known.floor:
            raise _no(
                wanted,
                Text(
                    f"serial {said.serial} is older than {known.highest}, which ran here: an old version is not brought back",
                    f"序号 {said.serial} 旧于本机运行过的 {known.highest}：不得恢复旧版本",
                ),
                Text("release it again under a new serial: `ronghe models sign`", "如需使用，请以新序号重新发布：`ronghe models sign`"),
            )

    def fetch(self, wanted: WantedModel, source: Source) -> Path:
        """Brings the file here, going on from where an earlier try ended. Raises Unreachable when it is cut, NoRoom, and ModelError when
        what came is not what was signed."""
        path, part = self.path(wanted.hash), self.folder / "fetching" / f"{wanted.file}.part"
        if path.exists() and _sha256(path) == wanted.file:
            return path
        try:
            for below in (path.parent, part.parent):
                below.mkdir(parents=True, exist_ok=True)
            have = part.stat().st_size if part.exists() else 0
            if shutil.disk_usage(self.folder).free < wanted.size - have + self._reserve:
                raise OSError(errno.ENOSPC, "")
            self._receive(wanted, part, source.read(wanted.file, min(have, wanted.size)), have)
        except OSError as e:
            part.unlink(missing_ok=True)
            if e.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                need = -(-wanted.size // 1024)
                what = Text(f"the disk is full: {need} KiB are needed, and a reserve", f"磁盘已满：需要 {need} KiB 及预留空间")
                raise NoRoom(what, where=str(self.folder), todo=Text("make room; it is tried again", "请清理磁盘，系统会重试")) from e
            raise ModelError(Text(f"the disk does not take it: {e}", f"磁盘写入失败：{e}"), where=str(self.folder)) from e
        if _sha256(part) != wanted.file:
            part.unlink()
            raise _no(
                wanted, Text("what came is not what was signed: damaged or changed on the way", "收到的内容与签名不符：传输中损坏或被改动")
            )
        os.replace(part, path)
        disk.sync_folder(path.parent)
        self.say(
            "fetched",
            wanted.app,
            wanted.hash,
            Text(f"{wanted.name} {wanted.version}, {wanted.size} bytes", f"{wanted.name} {wanted.version}，{wanted.size} 字节"),
        )
        return path

    def _receive(self, wanted: WantedModel, part: Path, pieces: Iterator[bytes], have: int) -> None:
        with part.open("ab", buffering=0) as out:
            try:
                for piece in pieces:
                    have += len(piece)
                    if have > wanted.size:
                        break
                    if out.write(piece) < len(piece):
                        raise OSError(errno.ENOSPC, "")
            finally:
                os.fsync(out.fileno())
        if have < wanted.size:
            what = Text(f"the transfer ended at {have} of {wanted.size} bytes", f"传输止于 {have}/{wanted.size} 字节")
            raise Cut(what, where=wanted.file[:16], todo=Text("it goes on from there", "将从断点继续"))

    def check(self, wanted: WantedModel) -> Package:
        """The package as it lies here, proved to be the one that was signed. Raises ModelError."""
        path = self.path(wanted.hash)
        if not path.exists() or _sha256(path) != wanted.file:
            raise _no(wanted, Text("the package on the disk is damaged", "磁盘上的模型包已损坏"))
        package = load(path)
        if package.hash != wanted.hash or (package.manifest.name, package.manifest.version) != (wanted.name, wanted.version):
            raise _no(wanted, Text("the package is another than was signed", "模型包与签名的不是同一个"))
        return package

    # --- the switch ---------------------------------------------------------------------------------------------------------------

    def switch(self, wanted: WantedModel, trusted: Collection[str] = ()) -> None:
        """From now on the app runs this package, on trial until `prove`. Whatever happens meanwhile, it is the new or the old.

        Raises ModelError, and then it is the old.
        """
        said, old = self.vet(wanted, trusted), self.pointer(wanted.app)
        new = Placed(
            name=said.name,
            version=said.version,
            hash=said.hash,
            file=said.file,
            serial=said.serial,
            floor=said.floor,
            until=said.until,
            signed_by=msgspec.json.decode(wanted.proof, type=Proof).release.key,
            slowest_ms=wanted.slowest_ms,
        )
        if not self._is_whole(new):
            raise _no(wanted, Text("the package on the disk is damaged", "磁盘上的模型包已损坏"))
        pointer = Pointer(now=new, before=None if wanted.back else old.now, since=self._clock(), proved=wanted.back, returned=wanted.back)
        was = str(old.now) if old.now else ""
        try:
            self.say(
                "switching", wanted.app, new.hash, Text(f"{was or OWN.en} → {new}", f"{was or OWN.zh} → {new}"), pointer=old, must=True
            )
            self._accept(new)
            self._point(wanted.app, pointer, "switched", new.hash, Text(f"{new} runs", f"{new} 投入运行"), must=True)
        except OSError as e:
            raise NoRoom(Text(f"the switch cannot be written: {e.strerror}", f"切换无法写入：{e.strerror}"), where=str(self.folder)) from e

    def back(self, app: str, why: Text) -> Path | None:
        """The app goes back to what it ran before; the package that it leaves is not taken again until another was wanted."""
        old = self.pointer(app)
        spoilt = old.now.hash if old.now is not None else ""
        text = Text(
            f"{old.now or OWN.en} → {old.before or OWN.en}: {why.en}",
            f"{old.now or OWN.zh} → {old.before or OWN.zh}：{why.in_('zh')}",
        )
        self._point(app, Pointer(now=old.before, since=self._clock(), spoilt=spoilt, why=why), "rolled_back", spoilt, text)
        return self.current(app)

    def drop(self, app: str) -> None:
        """The app goes back to what plant.toml names, where it came from there. Raises ModelError where it did not, or may not."""
        pointer = self.pointer(app)
        now = pointer.now
        if now is not None and (pointer.before is not None or pointer.returned or now.floor >= now.serial):
            what = Text(f"from {now} there is no way back to {OWN.en}", f"不能从 {now} 回到{OWN.zh}")
            raise ModelError(what, where=app, todo=Text("release what is to run", "请发布要运行的模型"))
        self._point(app, Pointer(since=self._clock()), "dropped", "", Text(f"{OWN.en} runs", f"运行{OWN.zh}"))

    def prove(self, app: str) -> None:
        """The trial is over: it is good."""
        pointer = msgspec.structs.replace(self.pointer(app), proved=True, starts=0)
        text = Text(f"{pointer.now} has passed its trial", f"{pointer.now} 通过试运行")
        self._point(app, pointer, "proved", pointer.now.hash if pointer.now else "", text)

    def forgive(self, app: str) -> None:
        """Forgets what was taken back: another was wanted since."""
        self._note(app, msgspec.structs.replace(self.pointer(app), spoilt="", why=None))

    def collect(self, keep: Collection[str] = ()) -> list[str]:
        """Removes packages that no app runs or can go back to, but those to `keep`, and the rest of old transfers. Gives their hashes."""
        pointers = [self.pointer(app) for app in self.apps()]
        used = {*keep, *(p.hash for pointer in pointers for p in (pointer.now, pointer.before) if p is not None)}
        gone = [p for p in (self.folder / "packages").glob("*.model") if p.stem not in used]
        for path in gone:
            path.unlink()
            self.say("removed", hash=path.stem, text=Text("no app needs it", "已无应用使用"))
        for part in (self.folder / "fetching").glob("*.part"):
            if part.stat().st_mtime < self._clock() / 1e9 - _PARTS:
                part.unlink()
        return [p.stem for p in gone]

    # --- files --------------------------------------------------------------------------------------------------------------------

    def say(
        self, event: str, app: str = "", hash: str = "", text: Text = _NOTHING, *, pointer: Pointer | None = None, must: bool = False
    ) -> None:
        """A line in the journal. With a full disk it is lost, unless it `must` be there: then OSError is raised."""
        entry = Event(time=self._clock(), event=event, app=app, hash=hash, text=text, pointer=pointer)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.journal.append(entry)
        except OSError:
            if must:
                raise

    def _note(self, app: str, pointer: Pointer) -> None:
        with contextlib.suppress(OSError):  # a count, or what is forgotten: nothing that runs depends on it
            self._write(self._pointer_path(app), sealed(pointer))

    def _point(self, app: str, pointer: Pointer, event: str, hash: str, text: Text, *, must: bool = False) -> None:
        """With a disk that takes nothing the change holds until the node ends, unless it `must` be written."""
        try:
            self._write(self._pointer_path(app), sealed(pointer))
        except OSError:
            if must:
                raise
            self._unwritten[app] = pointer
        else:
            self._unwritten.pop(app, None)
        self.say(event, app, hash, text, pointer=pointer)

    def _pointer_path(self, app: str) -> Path:
        return self.folder / "apps" / quote(app, safe="")

    def _accepted(self) -> dict[str, Accepted]:
        """By name. A damaged file is made again of what the journal and the pointers know."""
        path = self.folder / "accepted"
        found = opened(path.read_bytes(), dict[str, Accepted]) if path.exists() else {}
        if found is None:
            found = {}
            told = [msgspec.convert(e.pointer, Pointer) for e in self.journal.read() if e.pointer is not None]
            for placed in (p for pointer in [*told, *map(self.pointer, self.apps())] for p in (pointer.before, pointer.now)):
                if placed is not None:
                    note(found, placed)
        return found

    def _accept(self, new: Placed) -> None:
        accepted = self._accepted()
        if note(accepted, new):
            self._write(self.folder / "accepted", sealed(accepted))

    def _write(self, path: Path, data: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        disk.replace(path, data)

    def _is_whole(self, placed: Placed) -> bool:
        path = self.path(placed.hash)
        try:
            at = path.stat()
            if self._whole.get(placed.hash) != (at.st_size, at.st_mtime_ns):
                if _sha256(path) != placed.file:
                    return False
                self._whole[placed.hash] = (at.st_size, at.st_mtime_ns)
        except OSError:
            return False
        return True


def _no(wanted: WantedModel, why: Text, todo: Text | str = "") -> ModelError:
    return ModelError(why, where=f"{wanted.name} {wanted.version}", todo=todo)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
