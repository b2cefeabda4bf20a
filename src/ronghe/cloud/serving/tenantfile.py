"""The SQLite file of tenants: who they are, their keys, what they used, what it costs.

Nothing in it opens a door: of a key it holds a keyed BLAKE2b hash (RFC 7693), whose key lies in a file beside it. A key has 256 random
bits, so that a fast hash is enough. The file is shared with the command line, also while models are served.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from ronghe.errors import CloudError
from ronghe.text import Text

_WAIT: Final = 5.0  # s for another process that writes
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS tenant (name TEXT PRIMARY KEY, title TEXT NOT NULL, created INTEGER NOT NULL, currency TEXT NOT NULL,
  timezone TEXT NOT NULL, calls_per_day INTEGER, compute_s_per_day REAL, rate_per_s REAL);
CREATE TABLE IF NOT EXISTS key (id TEXT PRIMARY KEY, tenant TEXT NOT NULL REFERENCES tenant, hash BLOB NOT NULL, scopes TEXT NOT NULL,
  models TEXT NOT NULL, created INTEGER NOT NULL, revoked INTEGER);
CREATE TABLE IF NOT EXISTS use (tenant TEXT, key TEXT, model TEXT, day TEXT, calls INTEGER NOT NULL, compute_ns INTEGER NOT NULL,
  refused INTEGER NOT NULL, last INTEGER NOT NULL, PRIMARY KEY (tenant, day, key, model)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS meter (name TEXT PRIMARY KEY, number INTEGER NOT NULL, at INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS price (model TEXT, currency TEXT, since TEXT, per_call TEXT NOT NULL, per_compute_s TEXT NOT NULL,
  PRIMARY KEY (model, currency, since)) WITHOUT ROWID;
"""


class TenantFile:
    """The file. Safe between threads and processes; every method raises CloudError when it cannot be used."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._telling():
            new = not path.exists()
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=_WAIT)
            if new:
                path.chmod(0o600)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")  # what is written is on the disk, also when the power goes
            self._db.execute("PRAGMA foreign_keys=ON")
            self._db.executescript(_SCHEMA)
            self._pepper = _secret(path.with_name(path.name + ".key"))

    def close(self) -> None:
        """Closes the file. Safe to call twice."""
        with self._lock:
            self._db.close()

    def hash(self, secret: str) -> bytes:
        """What is kept of a key."""
        return hashlib.blake2b(secret.encode(), key=self._pepper, digest_size=32).digest()

    def same(self, secret: str, kept: bytes) -> bool:
        """Whether a key is the one of which this was kept; takes the same time for both answers."""
        return hmac.compare_digest(self.hash(secret), kept)

    def version(self) -> int:
        """Changes when another connection has written."""
        return int(self.rows("PRAGMA data_version")[0][0])

    def rows(self, sql: str, *values: str | int | float | bytes | None) -> list[tuple[Any, ...]]:
        """Runs one statement."""
        with self._lock, self._telling():
            return self._db.execute(sql, values).fetchall()

    @contextmanager
    def whole(self) -> Iterator[None]:
        """All or nothing: one transaction."""
        with self._lock:
            self.rows("BEGIN IMMEDIATE")
            try:
                yield
                self.rows("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def add_use(self, meter: str, number: int, counts: Mapping[tuple[str, str, str, str], tuple[int, int, int, int]]) -> None:
        """Adds (calls, ns, refused, last) by (tenant, key, model, day), once for each `number` of a `meter`."""
        with self.whole():
            if self.rows("SELECT 1 FROM meter WHERE name = ? AND number >= ?", meter, number):
                return
            for (tenant, key, model, day), (calls, ns, refused, last) in counts.items():
                self.rows(
                    "INSERT INTO use VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET calls = calls + excluded.calls,"
                    " compute_ns = compute_ns + excluded.compute_ns, refused = refused + excluded.refused, last = max(last, excluded.last)",
                    *(tenant, key, model, day, calls, ns, refused, last),
                )
            at = max(c[3] for c in counts.values())
            self.rows(
                "INSERT INTO meter VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET number = excluded.number, at = excluded.at", meter, number, at
            )

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """SQLite's and the disk's errors in our own words."""
        try:
            yield
        except (sqlite3.OperationalError, sqlite3.DatabaseError, OSError) as e:
            raise CloudError(
                Text(f"the file of tenants cannot be used: {e}", f"租户文件无法读写：{e}"),
                where=str(self.path),
                todo=Text("see that there is room on the disk and that it may be written", "请检查磁盘空间与读写权限"),
            ) from e


def _secret(path: Path) -> bytes:
    """The key of the hashes, made when there is none; two processes that begin at once take the same."""
    if not path.exists():
        own = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        own.touch(0o600)
        own.write_bytes(secrets.token_bytes(32))
        with contextlib.suppress(FileExistsError):
            os.link(own, path)
        own.unlink()
    return path.read_bytes()
