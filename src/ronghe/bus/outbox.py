"""The outbox of an edge node: what is to reach the centre waits here, on disk, until the centre has it.

One SQLite file (WAL). `put` commits with synchronous=FULL: what it acknowledged survives kill -9 and a power cut. Acknowledgements are
committed without a sync of their own and become durable with the next `put`: after a power cut some messages are sent once more, with
the same id, and are taken once. Each message carries a CRC-32; one that does not fit is counted and never sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import logging
import os
import sqlite3
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from ronghe.bus import subjects
from ronghe.bus.contract import Message
from ronghe.errors import BusError, BusFull
from ronghe.text import Text

log = logging.getLogger(__name__)

REMEMBERED: Final = 100_000
"""Ids of so many messages that were taken are known: the outbox of a day of one message a second."""
_SLICE: Final = 2_000  # pages given back to the disk at once: 8 MB, some 20 ms
_SPARE: Final = 1_000  # pages that are kept for what comes next
_SAID: Final = 3_600_000_000_000  # ns
_FULL: Final = Text(
    "the outbox is full: the oldest samples go first, they will be missing at the centre",
    "发件箱已满：优先丢弃最旧的样本，中心将缺少这部分数据",
)
_VERSION: Final = 1
_SCHEMA: Final = """
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA journal_mode = WAL;
BEGIN;
CREATE TABLE subject(number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE message(seq INTEGER PRIMARY KEY, subject INTEGER NOT NULL, id TEXT NOT NULL, at INTEGER NOT NULL, crc INTEGER NOT NULL,
                     data BLOB NOT NULL);
CREATE INDEX by_subject ON message(subject, seq, at);
CREATE TABLE taken(id TEXT PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE consumer(name TEXT PRIMARY KEY);
CREATE TABLE done(consumer TEXT, seq INTEGER, PRIMARY KEY (consumer, seq)) WITHOUT ROWID;
CREATE TABLE total(next INTEGER NOT NULL, messages INTEGER NOT NULL, bytes INTEGER NOT NULL, dropped INTEGER NOT NULL);
INSERT INTO total VALUES (1, 0, 0, 0);
PRAGMA user_version = 1;
COMMIT;
"""


class Waiting(msgspec.Struct, frozen=True):
    """What an outbox holds: messages, bytes of them, and when the oldest was made (ns; 0: nothing waits)."""

    messages: int = 0
    bytes: int = 0
    oldest: int = 0


class Outbox:
    """A `Bus` on disk for one process; safe between threads. `dropped` messages of samples made room for newer ones.

    `trouble` says what a person should know: a damaged file that was set aside (for an hour), samples dropped for want of room.
    A message goes when every consumer that ever pulled has acknowledged it.
    """

    def __init__(self, path: Path, *, most: int, clock: Callable[[], int]) -> None:
        """Opens or begins the file; `most` is the greatest sum of messages in bytes. Raises BusError when the disk does not let it."""
        self.path, self._most, self._clock = path, most, clock
        self._full = False
        self._damage: tuple[int, Text] | None = None  # (said until, what)
        self.damaged = 0  # messages found damaged and not sent
        self._lock = threading.RLock()  # of what writes; taken before the other
        self._read_lock = threading.RLock()  # of what reads, and of `_hands`: who reads does not wait for a sync
        self._hands: dict[str, set[int]] = {}
        self._turns = asyncio.Lock()
        self._waiters: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()
        self._closed = False
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._open()
        except sqlite3.DatabaseError as e:
            if isinstance(e, sqlite3.OperationalError) and not _damaged(e):
                raise self._error(e) from e
            self._set_aside(e)
        except OSError as e:
            raise BusError(Text(f"the outbox cannot be opened: {e}", f"无法打开发件箱：{e}"), where=str(path)) from e

    # For the recorder's thread

    def put(self, messages: Sequence[Message]) -> None:
        """Takes messages, in one transaction with one sync; all are durable when it returns. Raises BusFull or BusError: none is taken."""
        with self._guarded():
            self._begin(durable=True)
            numbers = {m.subject: self._number(m.subject) for m in messages}
            fresh = [m for m in {m.id: m for m in messages}.values() if not self._knows(m.id)]
            self._make_room(sum(len(m.data) for m in fresh))
            rows = [(self._next + i, numbers[m.subject], m.id, m.at, _crc(m), m.data) for i, m in enumerate(fresh)]
            self._db.executemany("INSERT INTO taken VALUES (?, ?)", [(r[2], r[0]) for r in rows])
            self._db.executemany("INSERT INTO message VALUES (?, ?, ?, ?, ?, ?)", rows)
            self._count(len(rows), sum(len(m.data) for m in fresh), len(rows))
            if self._next % (REMEMBERED // 10) < len(rows):
                self._forget()
            self._commit()
        for loop, event in list(self._waiters):
            with contextlib.suppress(RuntimeError):  # a loop that has ended waits for nothing
                loop.call_soon_threadsafe(event.set)

    @property
    def trouble(self) -> Text | None:
        """See above."""
        if self._damage is not None and self._clock() < self._damage[0]:
            return self._damage[1]
        return _FULL if self._full else None

    def waiting(self) -> Waiting:
        """What waits now. Cheap."""
        with self._reading() as db:
            messages, size = db.execute("SELECT messages, bytes FROM total").fetchone()
            first = db.execute("SELECT at FROM message ORDER BY seq LIMIT 1").fetchone()
        return Waiting(messages, size, first[0] if first else 0)

    @property
    def dropped(self) -> int:
        """Messages of samples that made room for newer ones, since the file was begun."""
        with self._reading() as db:
            return int(db.execute("SELECT dropped FROM total").fetchone()[0])

    def shut(self) -> None:
        """Closes the file. Safe to call twice."""
        with self._lock, self._read_lock:
            if not self._closed:
                self._closed = True
                self._reader.close()
                self._db.close()

    # The bus

    async def append(self, messages: Sequence[Message]) -> None:
        """See `put`. What is called first is first in it."""
        async with self._turns:
            await asyncio.to_thread(self.put, messages)

    async def pull(
        self, consumer: str, subjects: str = ">", *, most: int = 256, wait: float = 1.0, newest: bool = False, since: int = 0
    ) -> list[Message]:
        """See `Bus`. The `newest` with `since` (ns): of samples those made since then, of other kinds all. A restart empties every hand."""
        event = asyncio.Event()
        waiter = (asyncio.get_running_loop(), event)
        deadline = waiter[0].time() + wait
        self._waiters.add(waiter)
        try:
            while True:
                event.clear()
                found = await asyncio.to_thread(self._pull, consumer, subjects, most, newest, since)
                left = deadline - waiter[0].time()
                if found or left <= 0:
                    return found
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(event.wait(), left)
        finally:
            self._waiters.discard(waiter)

    async def ack(self, consumer: str, messages: Sequence[Message]) -> None:
        """See `Bus`."""
        await asyncio.to_thread(self._ack, consumer, [m.seq for m in messages])

    async def give_back(self, consumer: str, messages: Sequence[Message]) -> None:
        """See `Bus`."""
        with self._read_lock:
            self._hands.get(consumer, set()).difference_update(m.seq for m in messages)

    async def close(self) -> None:
        """See `Bus`."""
        self.shut()

    # Inside

    def _open(self) -> None:
        new = not self.path.exists()
        self._db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=10.0)
        if new or not self.path.stat().st_size:
            self._db.executescript(_SCHEMA)
            fd = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(fd)  # the file's name, too, survives a power cut
            finally:
                os.close(fd)
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version != _VERSION:
            raise BusError(
                Text(f"the outbox is of version {version}, not of {_VERSION}", f"发件箱文件版本为 {version}，本程序支持 {_VERSION}"),
                where=str(self.path),
            )
        self._db.execute("PRAGMA journal_size_limit = 16777216")
        self._consumers = {name for (name,) in self._db.execute("SELECT name FROM consumer")}
        self._numbers: dict[str, int] = dict(self._db.execute("SELECT name, number FROM subject"))
        self._next = self._db.execute("SELECT next FROM total").fetchone()[0]
        self._reader = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=10.0)
        self._reader.execute("SELECT at FROM message ORDER BY seq LIMIT 1").fetchone()

    def _set_aside(self, why: Exception, found: sqlite3.Connection | None = None) -> None:
        """`found`: where who reads found the damage; what writes may have found it, too, and have begun anew meanwhile."""
        with self._lock, self._read_lock:
            if found is None or found is self._reader:
                self._begin_anew(why)

    def _begin_anew(self, why: Exception) -> None:
        for name in ("_reader", "_db"):
            with contextlib.suppress(AttributeError, sqlite3.Error):
                getattr(self, name).close()
        aside = self.path.with_name(f"damaged-{self._clock()}-{self.path.name}")
        log.error("%s is damaged (%s) and set aside as %s", self.path, why, aside.name)
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                self.path.with_name(self.path.name + suffix).rename(aside.with_name(aside.name + suffix))
        self._hands.clear()
        self._open()
        what = f"the outbox was damaged and is set aside as {aside.name}; what waited in it does not reach the centre from here"
        self._say(Text(what, f"发件箱文件损坏，已另存为 {aside.name}；其中尚未发送的数据不会再由此发出"))

    def _say(self, what: Text) -> None:
        self._damage = self._clock() + _SAID, what

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        """The lock; a transaction left open is undone, a damaged file set aside, and SQLite's errors are ours."""
        with self._lock:
            if self._closed:
                raise BusError(Text("the outbox is closed", "发件箱已关闭"), where=str(self.path))
            try:
                yield
            except sqlite3.DatabaseError as e:
                self._undo()
                if _damaged(e):
                    self._set_aside(e)
                raise self._error(e) from e
            except BaseException:
                self._undo()
                raise

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """The lock of what reads, and the connection for it."""
        db: sqlite3.Connection | None = None
        try:
            with self._read_lock:
                if self._closed:
                    raise BusError(Text("the outbox is closed", "发件箱已关闭"), where=str(self.path))
                db = self._reader
                yield db
        except sqlite3.DatabaseError as e:
            if _damaged(e):
                self._set_aside(e, db)
            raise self._error(e) from e

    def _undo(self) -> None:
        if self._db.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
        with contextlib.suppress(sqlite3.Error, TypeError):
            self._next = self._db.execute("SELECT next FROM total").fetchone()[0]
            self._numbers = dict(self._db.execute("SELECT name, number FROM subject"))

    def _error(self, e: sqlite3.Error) -> BusError:
        if _code(e) == sqlite3.SQLITE_FULL:
            return BusFull(
                Text("the disk is full; nothing acknowledged is lost, new messages wait", "磁盘已满；已确认的数据未丢失，新数据等待写入"),
                where=str(self.path),
                todo=Text("make room, or lessen `most` of [centre]", "请清理磁盘，或减小 [centre] 的 `most`"),
            )
        return BusError(Text(f"the outbox does not answer as it should: {e}", f"发件箱读写异常：{e}"), where=str(self.path))

    def _begin(self, *, durable: bool) -> None:
        self._db.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        self._db.execute("BEGIN IMMEDIATE")

    def _commit(self) -> None:
        self._db.execute("COMMIT")

    def _knows(self, id: str) -> bool:
        return self._db.execute("SELECT 1 FROM taken WHERE id = ?", (id,)).fetchone() is not None

    def _number(self, name: str) -> int:
        if name not in self._numbers:
            self._numbers[name] = len(self._numbers) + 1
            self._db.execute("INSERT INTO subject VALUES (?, ?)", (self._numbers[name], name))
        return self._numbers[name]

    def _count(self, messages: int, size: int, taken: int = 0, dropped: int = 0) -> None:
        self._next += taken
        self._db.execute(
            "UPDATE total SET next = ?, messages = messages + ?, bytes = bytes + ?, dropped = dropped + ?",
            (self._next, messages, size, dropped),
        )

    def _make_room(self, size: int) -> None:
        """Drops the oldest samples until `size` bytes more fit. Raises BusFull when that is not enough."""
        over = self._db.execute("SELECT bytes FROM total").fetchone()[0] + size - self._most
        if over <= 0:
            if over < -self._most // 10:
                self._full = False
            return
        with self._read_lock:
            hands = set().union(*self._hands.values())
        gone, freed = [], 0
        for seq, length in self._oldest_samples():
            if freed >= over:
                break
            if seq not in hands:
                gone.append(seq)
                freed += length
        if freed < over:
            raise BusFull(
                Text(f"the outbox is full ({self._most:,} bytes)", f"发件箱已满（{self._most:,} 字节）"),
                where=str(self.path),
                todo=Text(
                    "let it reach the centre, or give it more room: `most` of [centre]", "请恢复与中心的连接，或增大 [centre] 的 `most`"
                ),
            )
        self._remove(gone)
        self._count(-len(gone), -freed, dropped=len(gone))
        if not self._full:
            log.warning("%s: %s", self.path, _FULL.en)
        self._full = True

    def _oldest_samples(self) -> Iterator[tuple[int, int]]:
        kinds = [n for name, n in self._numbers.items() if name.endswith("." + subjects.SAMPLES)]
        query = "SELECT seq, length(data) FROM message WHERE subject = ? ORDER BY seq"
        return heapq.merge(*(self._db.execute(query, (n,)) for n in kinds))

    def _remove(self, seqs: Sequence[int]) -> None:
        self._db.executemany("DELETE FROM message WHERE seq = ?", [(s,) for s in seqs])
        if len(self._consumers) > 1:
            self._db.executemany("DELETE FROM done WHERE seq = ?", [(s,) for s in seqs])

    def _forget(self) -> None:
        oldest = self._db.execute("SELECT min(seq) FROM message").fetchone()[0] or self._next
        self._db.execute("DELETE FROM taken WHERE seq < ?", (min(self._next - REMEMBERED, oldest),))

    def _pull(self, consumer: str, pattern: str, most: int, newest: bool, since: int) -> list[Message]:
        if consumer not in self._consumers:
            with self._guarded():
                self._db.execute("INSERT OR IGNORE INTO consumer VALUES (?)", (consumer,))
                self._consumers.add(consumer)
        found: list[Message] = []
        damaged: list[Message] = []
        with self._reading() as db:
            hand = self._hands.setdefault(consumer, set())
            names = {n: name for name, n in self._numbers.copy().items() if subjects.matches(pattern, name)}
            for seq in sorted(self._next_of(db, consumer, names, most, newest, since)):
                row = db.execute("SELECT subject, id, at, crc, data FROM message WHERE seq = ?", (seq,)).fetchone()
                if row is not None:  # dropped a moment ago
                    number, id, at, crc, data = row
                    message = Message(names[number], id, data, at, seq)
                    (found if _crc(message) == crc else damaged).append(message)
            hand.update(m.seq for m in found)
        for message in damaged:
            self._discard(message)
        return found

    def _next_of(self, db: sqlite3.Connection, consumer: str, names: dict[int, str], most: int, newest: bool, since: int) -> list[int]:
        hand, alone = self._hands[consumer], len(self._consumers) == 1
        query = f"SELECT seq, at FROM message WHERE subject = ? ORDER BY seq {'DESC' if newest else 'ASC'}"  # noqa: S608 - one of two words

        def rows(number: int) -> Iterator[tuple[int, int]]:
            begin = since if names[number].endswith("." + subjects.SAMPLES) else 0
            # The first that is too old ends the newest: there may be a million behind it.
            return itertools.takewhile(lambda row: not newest or row[1] >= begin, db.execute(query, (number,)))

        seqs: list[int] = []
        for seq, _ in heapq.merge(*map(rows, names), reverse=newest):
            done = "SELECT 1 FROM done WHERE consumer = ? AND seq = ?"
            if seq not in hand and (alone or db.execute(done, (consumer, seq)).fetchone() is None):
                seqs.append(seq)
                if len(seqs) == most:
                    break
        return seqs

    def _discard(self, message: Message) -> None:
        log.error("%s: message %s is damaged and is not sent", self.path, message.id)
        with self._guarded():
            self._begin(durable=False)
            self._remove([message.seq])
            self._count(-1, -len(message.data))
            self._commit()
        self.damaged += 1
        self._say(Text("a message in the outbox was damaged and is not sent", "发件箱中有消息损坏，不再发送"))

    def _ack(self, consumer: str, seqs: Sequence[int]) -> None:
        with self._guarded():
            self._begin(durable=False)
            gone_from_hand = list(seqs)
            if len(self._consumers) > 1:
                self._db.executemany("INSERT OR IGNORE INTO done VALUES (?, ?)", [(consumer, s) for s in seqs])
                query = "SELECT count(*) FROM done WHERE seq = ?"
                seqs = [s for s in seqs if self._db.execute(query, (s,)).fetchone()[0] >= len(self._consumers)]
            sizes = [self._db.execute("SELECT length(data) FROM message WHERE seq = ?", (s,)).fetchone() for s in seqs]
            gone = [(s, size[0]) for s, size in zip(seqs, sizes, strict=True) if size is not None]
            self._remove([s for s, _ in gone])
            self._count(-len(gone), -sum(size for _, size in gone))
            self._commit()
            with self._read_lock:
                self._hands.get(consumer, set()).difference_update(gone_from_hand)
            self._give_back_disk()

    def _give_back_disk(self) -> None:
        """Once little waits, the file shrinks by a slice at each acknowledgement."""
        free = self._db.execute("PRAGMA freelist_count").fetchone()[0]
        pages = self._db.execute("PRAGMA page_count").fetchone()[0]
        if free > _SPARE and free > pages // 2:
            # A script: `execute` would take one step, one page, of a statement without columns.
            self._db.executescript(f"PRAGMA incremental_vacuum({min(_SLICE, free - _SPARE)})")


def _damaged(e: sqlite3.Error) -> bool:
    return _code(e) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _code(e: sqlite3.Error) -> int:
    return getattr(e, "sqlite_errorcode", 0) & 0xFF  # without the extended part; misuse of the module has none


def _crc(message: Message) -> int:
    return zlib.crc32(message.data, zlib.crc32(f"{message.subject}\0{message.id}\0{message.at}".encode()))
