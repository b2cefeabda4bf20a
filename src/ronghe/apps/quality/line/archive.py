"""Every part that was looked at: its record, its picture, its heat map, and what a person said of it.

One SQLite file in write-ahead mode: what was committed survives a killed process. A thread of its own encodes and writes, so that the line
waits for no disk. Bounded by records and by bytes of pictures; what goes first are pictures of passed parts that nobody labelled, oldest
first, then rejected ones, labelled ones last. Labels are appended, never changed: the newest one counts.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from ronghe.apps.quality.line.records import Label, Part, Records, no_such
from ronghe.errors import AppError
from ronghe.picture import encode
from ronghe.picture.libraries import opencv
from ronghe.text import Text

log = logging.getLogger(__name__)

LONGEST: Final = 1280
"""Pixels of the longer side of a stored JPEG, at most."""

T = TypeVar("T")

_WAITING: Final = 64  # pictures that wait for the disk; of more, those of passed parts are not kept
_MOST_RECORDS: Final = 20_000  # records that wait for a disk that takes nothing
_RETRY: Final = 5.0  # s
_ANSWER: Final = 2.0  # s that a person, and the line, wait for a label to be written
_BUSY: Final = 1.0  # s that another process may hold the file
_QUALITY: Final = 90  # of a stored JPEG
_LOSSLESS: Final = 1_000_000_000  # ns of the line between passed parts kept without loss: a PNG takes ten times a JPEG's time
_HEAT: Final = 128  # pixels of a stored heat map
_AT_ONCE: Final = 32

_TABLES: Final = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
CREATE TABLE IF NOT EXISTS parts (
    id INTEGER PRIMARY KEY, time INTEGER NOT NULL, number INTEGER NOT NULL, name TEXT NOT NULL, verdict TEXT NOT NULL, score REAL,
    marks TEXT NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL, model TEXT NOT NULL, reason TEXT NOT NULL, audit INTEGER NOT NULL,
    label TEXT NOT NULL DEFAULT '', class TEXT NOT NULL DEFAULT '', by TEXT NOT NULL DEFAULT '', bytes INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS pictures (id INTEGER PRIMARY KEY, jpeg BLOB, original BLOB, heat BLOB);
CREATE TABLE IF NOT EXISTS labels (id INTEGER NOT NULL, label TEXT NOT NULL, class TEXT NOT NULL, by TEXT NOT NULL, time INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS counts (verdict TEXT PRIMARY KEY, n INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS parts_by_verdict ON parts (label, verdict, id);
CREATE INDEX IF NOT EXISTS parts_with_picture ON parts (label, verdict, id) WHERE bytes > 0;
CREATE INDEX IF NOT EXISTS parts_to_audit ON parts (id) WHERE audit = 1 AND label = '';
"""


@dataclass(slots=True)
class _Job:
    part: Part | None = None
    pixels: NDArray[np.uint8] | None = None
    heat: NDArray[np.float32] | None = None
    lossless: bool = False
    do: Callable[[sqlite3.Connection], Any] | None = None
    answer: Future[Any] = field(default_factory=Future)


class Archive:
    """The archive in `folder`. `put` never blocks. `records` reads it."""

    def __init__(self, folder: Path, *, keep_parts: int = 200_000, keep_bytes: int = 2 << 30) -> None:
        """Raises AppError when the file cannot be opened, or is no archive."""
        self._keep_parts, self._keep_bytes = keep_parts, keep_bytes
        self.path = folder / "parts.sqlite"
        try:
            with sqlite3.connect(self.path, isolation_level=None) as db:
                db.executescript(_TABLES)
            db.close()
            self.records = Records(self.path)
            self._next, self._count, self._bytes = self.records.extent()
        except sqlite3.Error as e:
            raise AppError(
                Text(f"the archive of parts cannot be opened: {e}", f"工件档案无法打开：{e}"),
                where=str(self.path),
                todo=Text("move the file away to begin a new one", "请移走该文件以建立新档案"),
            ) from e
        self.trouble: Text | None = None
        self.lost = 0  # records that could not be kept
        self._jobs: deque[_Job] = deque()
        self._pictures = 0
        self._ready = threading.Condition()
        self._added = self._done = 0
        self._passed_at = -_LOSSLESS  # time of the last passed part that was kept without loss
        self._stopping = False
        self._thread: threading.Thread | None = None

    # --- writing ----------------------------------------------------------------------------------------------------------------

    def new_id(self) -> int:
        """The id of the next part."""
        self._next += 1
        return self._next - 1

    def put(self, part: Part, pixels: NDArray[np.uint8] | None = None, heat: NDArray[np.float32] | None = None) -> None:
        """Takes a part. `heat` float32 (h, w) in units of the score. Nobody may write to the arrays afterwards."""
        with self._ready:
            if self._pictures >= _WAITING * (1 if part.verdict == "pass" else 4):
                pixels = heat = None
            self._pictures += pixels is not None
            lossless = part.verdict != "pass" or part.audit or not 0 <= part.time - self._passed_at < _LOSSLESS
            if lossless and part.verdict == "pass":
                self._passed_at = part.time
            self._add(_Job(part, pixels, heat, lossless))
            if len(self._jobs) > _MOST_RECORDS:
                self._drop_oldest()

    def label(self, part: int, label: Label, kind: str, by: str, at: int) -> None:
        """What a person says of a part. Raises AppError for a part that is not there, or when the disk takes nothing."""

        def write(db: sqlite3.Connection) -> bool:
            changed = db.execute("UPDATE parts SET label = ?, class = ?, by = ? WHERE id = ?", (label, kind, by, part)).rowcount
            if changed:
                db.execute("INSERT INTO labels VALUES (?, ?, ?, ?, ?)", (part, label, kind, by, at))
            return bool(changed)

        if not self._do(write):
            raise no_such(part)

    def _do(self, write: Callable[[sqlite3.Connection], T]) -> T:
        job = _Job(do=write)
        with self._ready:
            self._add(job)
        try:
            answer: T = job.answer.result(timeout=_ANSWER)
        except (TimeoutError, sqlite3.Error) as e:
            why = self.trouble or Text(str(e), str(e))
            raise AppError(Text(f"not written: {why.en}", f"未能写入：{why.in_('zh')}"), where=str(self.path)) from e
        return answer

    def _add(self, job: _Job) -> None:
        self._jobs.append(job)
        self._added += 1
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="archive", daemon=True)
            self._thread.start()
        self._ready.notify_all()

    def _drop_oldest(self) -> None:
        for i, job in enumerate(self._jobs):
            if job.part is not None:
                del self._jobs[i]
                self._pictures -= job.pixels is not None
                self.lost += 1
                self._done += 1
                return

    def flush(self, timeout: float = 2.0) -> bool:
        """Waits until what was put before has been written; says whether it was."""
        with self._ready:
            until = self._added
            return self._ready.wait_for(lambda: self._done >= until, timeout)

    def close(self) -> None:
        """Writes what waits, and ends the thread."""
        with self._ready:
            self._stopping = True
            self._ready.notify_all()
        if self._thread is not None:
            self._thread.join(10.0)
        self.records.close()

    def _work(self) -> None:
        db = sqlite3.connect(self.path, timeout=_BUSY, isolation_level=None)
        db.execute("PRAGMA synchronous = NORMAL")
        while jobs := self._take():
            rows = [(job, *_encoded(job)) for job in jobs]
            while True:
                try:
                    self._commit(db, rows)
                    self.trouble = None
                    break
                except sqlite3.Error as e:  # a full or slow disk: what waits is kept in memory, up to a bound
                    log.warning("%s: %s", self.path, e)
                    self.trouble = Text(f"parts are not being kept: {e}", f"工件记录未能保存：{e}")
                    with self._ready:
                        if self._stopping:
                            self.lost += len(rows)
                            break
                        self._ready.wait_for(lambda: self._stopping, _RETRY)
            with self._ready:
                self._done += len(jobs)
                self._ready.notify_all()
        db.close()

    def _take(self) -> list[_Job]:
        with self._ready:
            self._ready.wait_for(lambda: self._jobs or self._stopping)
            jobs = [self._jobs.popleft() for _ in range(min(len(self._jobs), _AT_ONCE))]
            self._pictures -= sum(j.pixels is not None for j in jobs)
            return jobs

    def _commit(self, db: sqlite3.Connection, rows: Sequence[tuple[_Job, bytes | None, bytes | None, bytes | None]]) -> None:
        answers: list[tuple[Future[Any], Any]] = []
        records, size = self._count, self._bytes
        db.execute("BEGIN IMMEDIATE")
        try:
            for job, jpeg, original, heat in rows:
                if job.do is not None:
                    answers.append((job.answer, job.do(db)))
                elif job.part is not None:
                    weight = sum(len(b) for b in (jpeg, original, heat) if b is not None)
                    _insert(db, job.part, weight)
                    if weight:
                        db.execute("INSERT INTO pictures VALUES (?, ?, ?, ?)", (job.part.id, jpeg, original, heat))
                    records, size = records + 1, size + weight
            size -= self._forget_pictures(db, size)
            records, size = self._forget_parts(db, records, size)
            db.execute("COMMIT")
        except BaseException:
            db.execute("ROLLBACK")
            raise
        self._count, self._bytes = records, size
        for answer, value in answers:
            answer.set_result(value)

    def _forget_pictures(self, db: sqlite3.Connection, size: int) -> int:
        """Bytes of pictures that were dropped to keep within bounds."""
        dropped = 0
        while size - dropped > self._keep_bytes:
            found = _oldest(db, "AND bytes > 0")
            if not found:
                break
            for part, weight in found:
                db.execute("DELETE FROM pictures WHERE id = ?", (part,))
                db.execute("UPDATE parts SET bytes = 0 WHERE id = ?", (part,))
                dropped += weight
                if size - dropped <= self._keep_bytes:
                    break
        return dropped

    def _forget_parts(self, db: sqlite3.Connection, records: int, size: int) -> tuple[int, int]:
        """(records, bytes) that are left within bounds."""
        while records > self._keep_parts:
            for part, weight in _oldest(db, "")[: records - self._keep_parts]:
                db.execute("DELETE FROM pictures WHERE id = ?", (part,))
                db.execute("DELETE FROM parts WHERE id = ?", (part,))
                records, size = records - 1, size - weight
        return records, size


def _encoded(job: _Job) -> tuple[bytes | None, bytes | None, bytes | None]:
    """(JPEG for people, PNG without loss where a person may be asked, heat map)."""
    if job.part is None or job.pixels is None:
        return None, None, None
    try:
        return _encode(job)
    except Exception:  # a picture that cannot be encoded must not take the records after it along
        log.exception("part %s is kept without its picture", job.part.id)
        return None, None, None


def _encode(job: _Job) -> tuple[bytes, bytes | None, bytes | None]:
    assert job.pixels is not None
    jpeg = encode(job.pixels, _QUALITY, LONGEST)
    return jpeg, png(job.pixels) if job.lossless else None, None if job.heat is None else _png(_gray(job.heat))


def _gray(heat: NDArray[np.float32]) -> NDArray[np.uint8]:
    longest = max(heat.shape)
    if longest > _HEAT:
        cv2, scale = opencv(), _HEAT / longest
        heat = cv2.resize(heat, (max(1, round(heat.shape[1] * scale)), max(1, round(heat.shape[0] * scale))), interpolation=cv2.INTER_AREA)
    return np.asarray(np.clip(128 * heat, 0, 255)).astype(np.uint8)


def png(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG, without loss, of uint8 (h, w, 3) RGB or (h, w) gray."""
    cv2 = opencv()
    return _png(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if pixels.ndim == 3 else pixels)


def _png(array: NDArray[np.uint8]) -> bytes:
    cv2 = opencv()
    return bytes(cv2.imencode(".png", np.ascontiguousarray(array), [cv2.IMWRITE_PNG_COMPRESSION, 1])[1])


def _insert(db: sqlite3.Connection, part: Part, weight: int) -> None:
    marks, reason = msgspec.json.encode(part.where).decode(), msgspec.json.encode(part.reason).decode()
    db.execute(
        "INSERT INTO parts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(part.id, part.time, part.number, part.name, part.verdict, part.score, marks, *part.size),
            *(part.model, reason, part.audit, part.label, part.kind, part.by, weight),
        ),
    )
    db.execute("INSERT INTO counts VALUES (?, 1) ON CONFLICT (verdict) DO UPDATE SET n = n + 1", (part.verdict,))


def _oldest(db: sqlite3.Connection, also: str) -> list[tuple[int, int]]:
    """(id, bytes) of the parts to forget next: passed ones that nobody labelled, then those not labelled, then the oldest."""
    for which in ("label = '' AND verdict = 'pass' AND audit = 0", "label = '' AND verdict = 'reject'", "label = ''", "label > ''"):
        sql = f"SELECT id, bytes FROM parts WHERE {which} {also} ORDER BY id LIMIT {_AT_ONCE}"  # noqa: S608 (both are ours)
        if found := db.execute(sql).fetchall():
            return found
    return []
