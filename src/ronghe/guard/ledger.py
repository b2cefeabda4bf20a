"""The ledger: an append-only record in which every line is chained to the one before by its hash.

One file of JSON lines, `ledger.jsonl`, and beside it `head`, which names the newest line. A line is

    {"body":{…},"kind":"write","prev":"<hash of the line before>","seq":7,"time":1790000000000000000,"hash":"<sha256>"}

and its hash is the SHA-256 of the same line without `,"hash":"…"`: byte for byte as it stands in the file, so that any tool can check it.
The bytes are JSON with sorted keys and no spaces (`hash` stands last). Each append is on the disk (fsync) before it returns. What a crash
left half-written at the end was never acknowledged; it is cut on the next start, and the cut is itself recorded.

A hash chain shows a change to anyone who knows a later hash (Haber and Stornetta, 1991: "How to time-stamp a digital document"). It does
not hinder someone who may write the file from making a whole new chain: keep a hash outside (`ronghe ledger verify --head HASH`).
"""

from __future__ import annotations

import fcntl
import hashlib
import itertools
import os
import re
import threading
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from ronghe.errors import LedgerError
from ronghe.text import Text

FILE: Final = "ledger.jsonl"
HEAD: Final = "head"
START: Final = "0" * 64
"""The hash before the first line."""

_MARK: Final = b',"hash":"'
_END: Final = len(_MARK) + 64 + 2  # the hash and `"}` at the end of a line


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One line. `seq` counts from 1; `time` in ns since 1970 UTC."""

    seq: int
    time: int
    kind: str
    body: dict[str, Any]
    prev: str
    hash: str


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """What looking through a whole ledger found. `ok` only when nothing is wrong."""

    ok: bool
    entries: int  # sound entries, from the first
    head: str  # hash of the last sound one
    problems: tuple[Text, ...] = ()
    torn: int = 0  # bytes at the end that a write in progress or a crash left; no problem
    after_known: int | None = None  # entries that are newer than the known head, when one was given


class Ledger:
    """The ledger of one plant, open for appending by this process alone. Safe between threads."""

    def __init__(self, path: Path, *, clock: Callable[[], int]) -> None:
        """Opens, or begins, the ledger in the folder `path`, looks through the whole chain, and cuts what a crash left half-written.

        Raises LedgerError when another process has it open, or when the chain is broken: then nothing is touched.
        """
        self._path, self._clock = path, clock
        self._lock = threading.Lock()
        self._broken: Text | None = None
        path.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path / FILE, os.O_RDWR | os.O_CREAT, 0o644)
        self._head_file = -1
        try:
            _lock(self._file, path)
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        lost_head = not (self._path / HEAD).exists() and os.fstat(self._file).st_size > 0
        found = _survey(self._path)
        problems = [p for p in found.problems if not (lost_head and p is _NO_HEAD)]
        if problems:
            raise LedgerError(
                problems[0],
                where=str(self._path),
                todo=Text(
                    "look with `ronghe ledger verify`; to go on, move the folder aside, whole, and keep it: a new ledger is begun",
                    "用 `ronghe ledger verify` 查看；如需继续运行，请将该文件夹整体移走并妥善保存，系统将新建账本",
                ),
            )
        self._offsets, self._head = found.offsets, found.head
        if found.torn:
            os.ftruncate(self._file, self._offsets[-1])
            os.fsync(self._file)
        self._head_file = os.open(self._path / HEAD, os.O_RDWR | os.O_CREAT, 0o644)
        self._write_head()
        os.fsync(self._head_file)
        _sync_folder(self._path)
        if found.torn:
            self.append("ledger.cut", {"bytes": found.torn})
        if lost_head:
            self.append("ledger.head_missing", {})

    @property
    def head(self) -> str:
        """The hash of the newest entry."""
        return self._head

    @property
    def version(self) -> int:
        """The number of entries."""
        return len(self._offsets) - 1

    def append(self, kind: str, body: Any) -> Entry:
        """Adds one entry; it is on the disk when this returns. `body` is what msgspec can encode and becomes a JSON object.

        NaN and infinities, which JSON lacks, are kept as the strings "NaN", "Infinity", "-Infinity".

        Raises LedgerError when it could not be kept (disk full or failing): then the entry is not in the ledger.
        """
        with self._lock:
            if self._broken is not None:
                raise LedgerError(self._broken, where=str(self._path), todo=_RESTART)
            entry, line = _encode(self.version + 1, self._clock(), kind, body, self._head)
            end = self._offsets[-1]
            try:
                _write_all(self._file, line, end)
            except OSError as e:
                self._undo(end)
                raise LedgerError(_cannot(e), where=str(self._path), todo=Text("make room on the disk", "请清理磁盘空间")) from e
            try:
                os.fsync(self._file)
            except OSError as e:  # what is on the disk is unknown now, and a second fsync would not say (Rebello et al., ATC 2020)
                self._broken = _cannot(e)
                raise LedgerError(self._broken, where=str(self._path), todo=_RESTART) from e
            self._offsets.append(end + len(line))
            self._head = entry.hash
            try:
                self._write_head()
            except OSError as e:  # the entry is kept; but with a failing disk no further one is taken
                self._broken = _cannot(e)
            return entry

    def entries(self, after: int = 0, limit: int | None = None, kind: str = "") -> list[Entry]:
        """Entries with seq > `after`, oldest first, at most `limit`; `kind` "guard" means every kind that begins with "guard." as well."""
        found: list[Entry] = []
        for line in self._lines(after):
            if limit is not None and len(found) >= limit:
                break
            entry = _DECODER.decode(line)
            if not kind or entry.kind == kind or entry.kind.startswith(kind + "."):
                found.append(entry)
        return found

    def lines(self, after: int, limit: int) -> list[bytes]:
        """Entries with seq > `after`, oldest first, at most `limit`; each as it stands in the file, with the end of its line."""
        return list(itertools.islice(self._lines(after), limit))

    def _lines(self, after: int) -> Iterator[bytes]:
        with self._lock:
            start, end = self._offsets[min(max(after, 0), self.version)], self._offsets[-1]
        with open(self._path / FILE, "rb") as file:
            file.seek(start)
            while file.tell() < end:
                yield file.readline()

    def close(self) -> None:
        """Lets go of the files. Safe to call twice."""
        with self._lock:
            for fd in (self._file, self._head_file):
                if fd >= 0:
                    os.close(fd)
            self._file = self._head_file = -1
            self._broken = Text("the ledger is closed", "账本已关闭")

    def _undo(self, end: int) -> None:
        try:
            os.ftruncate(self._file, end)
        except OSError as e:
            self._broken = _cannot(e)

    def _write_head(self) -> None:
        # In place and short, so that a crash leaves the old head or the new one; not synced, for an older head does no harm.
        os.pwrite(self._head_file, f"{self.version:020d} {self._head}\n".encode(), 0)

    @staticmethod
    def verify(path: Path, head: str | None = None) -> Verification:
        """Looks through the ledger in the folder `path`, also while a node writes to it. Changes nothing.

        `head` is a hash that was noted earlier (or at least its first 8 characters): it must be in the chain. Raises LedgerError when
        there is no ledger.
        """
        if not (path / FILE).exists():
            raise _no_ledger(path)
        if head is not None and not re.fullmatch("[0-9a-f]{8,64}", head):
            what = Text(f"{head!r} is not the beginning of a hash", f"{head!r} 不是哈希值")
            raise LedgerError(what, todo=Text("give 8 to 64 hexadecimal digits", "请给出 8 至 64 位十六进制数"))
        found = _survey(path, head)
        problems = list(found.problems)
        if head is not None and found.known is None:
            problems.append(
                Text(
                    f"the known head {head[:16]}… is not in the chain: its end was cut off, or it was written anew",
                    f"链中没有已知的哈希 {head[:16]}…：末尾被截断，或整条链被重写",
                )
            )
        n = len(found.offsets) - 1
        return Verification(
            ok=not problems,
            entries=n,
            head=found.head,
            problems=tuple(problems),
            torn=found.torn,
            after_known=None if found.known is None else n - found.known,
        )

    @staticmethod
    def read(path: Path) -> Iterator[Entry]:
        """The sound entries of the ledger in `path`, oldest first, also while a node writes to it. Raises LedgerError for a broken line."""
        if not (path / FILE).exists():
            raise _no_ledger(path)
        with open(path / FILE, "rb") as file:
            prev = START
            for n, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    return  # a write in progress
                entry = _parse(line, n)
                entry = entry if isinstance(entry, Text) else _follows(entry, n, prev)
                if isinstance(entry, Text):
                    raise LedgerError(
                        entry, where=f"{path / FILE}:{n}", todo=Text("run `ronghe ledger verify`", "运行 `ronghe ledger verify`")
                    )
                prev = entry.hash
                yield entry


class _Survey(msgspec.Struct):
    offsets: array[int]  # where each sound entry begins, and where the last ends
    head: str = START
    problems: list[Text] = []
    torn: int = 0
    known: int | None = None  # seq of the known head


_DECODER: Final = msgspec.json.Decoder(Entry)
_RESTART: Final = Text("see to the disk, then restart the node", "检查磁盘后重启节点")
_NO_HEAD: Final = Text("the file `head` is missing", "缺少 `head` 文件")


def _survey(path: Path, known: str | None = None) -> _Survey:
    """Goes through the chain up to the first line that is not sound."""
    head_seq, head_hash, problem = _read_head(path)  # before the file: a writer at work is then ahead of it, never behind
    found = _Survey(offsets=array("q", [0]), problems=[problem] if problem else [])
    with open(path / FILE, "rb") as file:
        for n, line in enumerate(file, 1):
            entry = _parse(line, n)
            if isinstance(entry, Text) and n > head_seq and not file.read(1):
                found.torn = len(line)  # the last line, and never acknowledged
                break
            entry = entry if isinstance(entry, Text) else _follows(entry, n, found.head)
            if isinstance(entry, Text):
                found.problems.append(entry)
                break
            found.offsets.append(found.offsets[-1] + len(line))
            found.head = entry.hash
            if n == head_seq and entry.hash != head_hash:
                found.problems.append(Text(f"entry {n} is not the one that `head` names", f"第 {n} 条与 `head` 文件所记不符"))
            if known is not None and entry.hash.startswith(known):
                found.known = n
    missing = head_seq - (len(found.offsets) - 1)
    if missing > 0 and not found.problems:
        found.problems.append(Text(f"{missing} entries are missing at the end", f"末尾缺少 {missing} 条"))
    return found


def _parse(line: bytes, seq: int) -> Entry | Text:
    """The entry in a line whose hash fits, or what is wrong with it."""
    if line[-_END - 1 : -66 - 1] != _MARK or line[-3:] != b'"}\n':
        return Text(f"line {seq} is not an entry: it was changed or cut", f"第 {seq} 行不是有效条目：被改动或截断")
    stated = line[-67:-3]
    if hashlib.sha256(line[: -_END - 1] + b"}").hexdigest().encode() != stated:
        return Text(f"line {seq} was changed: its hash does not fit", f"第 {seq} 行被改动：哈希不符")
    try:
        return _DECODER.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return Text(f"line {seq} is not an entry", f"第 {seq} 行不是有效条目")


def _follows(entry: Entry, seq: int, prev: str) -> Entry | Text:
    """The entry, or what is wrong with its place in the chain."""
    if entry.prev != prev or entry.seq != seq:
        return Text(
            f"line {seq} does not follow the one before (it says it is entry {entry.seq}): lines were removed, inserted or moved",
            f"第 {seq} 行与前一行不衔接（自称第 {entry.seq} 条）：有行被删除、插入或移动",
        )
    return entry


def _encode(seq: int, time: int, kind: str, body: Any, prev: str) -> tuple[Entry, bytes]:
    try:
        plain = _plain(msgspec.to_builtins(body, str_keys=True))
        content = msgspec.json.encode({"body": plain, "kind": kind, "prev": prev, "seq": seq, "time": time}, order="sorted")
    except (TypeError, ValueError, RecursionError) as e:
        raise LedgerError(Text(f"an entry that JSON cannot hold: {e}", f"条目无法用 JSON 表示：{e}")) from e
    if not isinstance(plain, dict):
        raise LedgerError(Text(f"the body of an entry is {type(plain).__name__}, not an object", "条目内容必须是对象"))
    digest = hashlib.sha256(content).hexdigest()
    line = content[:-1] + _MARK + digest.encode() + b'"}\n'
    return Entry(seq=seq, time=time, kind=kind, body=plain, prev=prev, hash=digest), line


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not -float("inf") < value < float("inf"):
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
    return value


def _read_head(path: Path) -> tuple[int, str, Text | None]:
    """(seq, hash) that the file `head` names; (0, START) and what is wrong with it."""
    try:
        text = (path / HEAD).read_bytes()
    except FileNotFoundError:
        return 0, START, _NO_HEAD if (path / FILE).stat().st_size else None
    seq, _, digest = text.rstrip(b"\n").partition(b" ")
    if len(text) != 86 or len(seq) != 20 or not seq.isdigit() or len(digest) != 64:
        if not text and not (path / FILE).stat().st_size:
            return 0, START, None  # a crash while the ledger was begun
        return 0, START, Text("the file `head` was changed or is damaged", "`head` 文件被改动或损坏")
    return int(seq), digest.decode("ascii", "replace"), None


def _cannot(e: OSError) -> Text:
    return Text(f"the ledger cannot be written: {e.strerror}", f"账本无法写入：{e.strerror}")


def _no_ledger(path: Path) -> LedgerError:
    todo = Text("it is begun by `ronghe up`", "由 `ronghe up` 首次运行时建立")
    return LedgerError(Text("there is no ledger", "没有账本"), where=str(path), todo=todo)


def _write_all(fd: int, data: bytes, at: int) -> None:
    while data:
        n = os.pwrite(fd, data, at)
        data, at = data[n:], at + n


def _lock(fd: int, path: Path) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as e:
        raise LedgerError(
            Text("another process writes to the ledger", "账本正被另一进程写入"),
            where=str(path),
            todo=Text("stop the other node first", "请先停止另一个节点"),
        ) from e


def _sync_folder(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
