"""The fleet's file, `.ronghe/fleet.sqlite`: shared by the centre and the command line, so that either sees at once what the other did.

Of a token only the SHA-256 of its secret is kept; of a certificate its serial number. What is asked of a node, by whom and when, stays.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from ronghe.errors import CloudError
from ronghe.text import Text

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS node (
  name TEXT PRIMARY KEY, plant TEXT NOT NULL, title TEXT NOT NULL DEFAULT '{"en":""}', invited INTEGER NOT NULL,
  token TEXT NOT NULL DEFAULT '', until INTEGER NOT NULL DEFAULT 0, joined INTEGER NOT NULL DEFAULT 0, removed INTEGER NOT NULL DEFAULT 0,
  configuration TEXT NOT NULL DEFAULT '', revision INTEGER NOT NULL DEFAULT 0, said TEXT NOT NULL DEFAULT '',
  seen INTEGER NOT NULL DEFAULT 0, place TEXT NOT NULL DEFAULT '', report BLOB);
CREATE TABLE IF NOT EXISTS certificate (
  serial TEXT PRIMARY KEY, node TEXT NOT NULL REFERENCES node, until INTEGER NOT NULL, revoked INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS folder (
  hash TEXT PRIMARY KEY, plant TEXT NOT NULL, at INTEGER NOT NULL, who TEXT NOT NULL, files INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS question (
  id TEXT PRIMARY KEY, node TEXT NOT NULL REFERENCES node, what TEXT NOT NULL, options TEXT NOT NULL, who TEXT NOT NULL,
  at INTEGER NOT NULL, answered INTEGER NOT NULL DEFAULT 0, answer TEXT);
CREATE TABLE IF NOT EXISTS event (id INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL,
  copied INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS open_questions ON question (node) WHERE answered = 0;
"""
_WAIT: Final = 5.0  # s, for another process that writes; a command takes milliseconds


class RegisterError(CloudError):
    """The file cannot be used: this says nothing of who asks."""


class Register:
    """The tables. Safe between threads and processes; raises RegisterError when the file cannot be used."""

    def __init__(self, path: Path, clock: Callable[[], int]) -> None:
        self._path, self.clock = path, clock
        self._lock = threading.RLock()
        self._own = 0
        with self._told():
            self._base = sqlite3.connect(path, timeout=_WAIT, isolation_level=None, check_same_thread=False)
            self._base.row_factory = sqlite3.Row
            self._base.execute("PRAGMA journal_mode = WAL")
            self._base.execute("PRAGMA synchronous = NORMAL")  # reports come every few seconds; what must last is made so by `change`
            self._base.executescript(_SCHEMA)

    def close(self) -> None:
        """Safe to call twice."""
        with self._lock:
            self._base.close()

    def rows(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        """What a query finds."""
        with self._lock, self._told():
            return self._base.execute(sql, values).fetchall()

    def row(self, sql: str, *values: Any) -> sqlite3.Row | None:
        """The first that a query finds."""
        found = self.rows(sql, *values)
        return found[0] if found else None

    def write(self, sql: str, *values: Any) -> int:
        """One statement; the number of rows that it changed. A power cut may take it back."""
        with self._lock, self._told():
            return self._base.execute(sql, values).rowcount

    @contextmanager
    def change(self, kind: str, **body: Any) -> Iterator[None]:
        """All writes within are done together, on the disk when it ends, with an event that says who did what."""
        with self._lock, self._told():
            self._base.execute("PRAGMA synchronous = FULL")
            try:
                with self._base:  # commits, or rolls back
                    self._base.execute("BEGIN IMMEDIATE")
                    yield
                    event = (self.clock(), kind, msgspec.json.encode(body).decode())
                    self._base.execute("INSERT INTO event (at, kind, body) VALUES (?, ?, ?)", event)
            finally:
                self._base.execute("PRAGMA synchronous = NORMAL")
            self._own += 1

    def state(self) -> tuple[int, int]:
        """Another pair after every change, ours or another process's."""
        with self._lock, self._told():
            return self._own, self._base.execute("PRAGMA data_version").fetchone()[0]

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as e:
            raise RegisterError(
                Text(f"the fleet's file cannot be used: {e}", f"无法读写节点登记文件：{e}"),
                where=str(self._path),
                todo=Text("see that there is room on the disk and that the file may be written", "请检查磁盘空间与文件写权限"),
            ) from e
