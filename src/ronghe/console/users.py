"""People, their passwords, sessions and one-time links, in one SQLite file inside the plant folder.

Nothing in the file opens a door: passwords are kept as argon2id hashes (RFC 9106), session and link tokens (256 random bits) as SHA-256
hashes. There is no default password: the first administrator comes in through a one-time link. The file is shared with the command line,
so that a person can be added while the node runs.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from ronghe.console.roles import Role
from ronghe.errors import RongheError
from ronghe.text import Text

HOUR: Final = 3_600_000_000_000  # ns
LINK_LIFE: Final = 24 * HOUR
SESSION_IDLE: Final = 12 * HOUR  # one shift
SESSION_LIFE: Final = 7 * 24 * HOUR
SHORTEST_PASSWORD: Final = 10  # characters; NIST SP 800-63B asks for 8 and no composition rules

_NAME: Final = re.compile(r"[\w.@-]{1,64}", re.UNICODE)
_PATIENCE: Final = 0.1  # s, for what every request asks, in the event loop
_WAIT: Final = 2.0  # s, for another process that writes; a command takes milliseconds
_FULL: Final = Text("make room on the disk, then try again", "请清理磁盘空间后重试")
_HELD: Final = Text("another program holds the file: end it or try again", "文件被其他程序占用：请结束该程序或稍后重试")
_DAMAGED: Final = Text(
    "move it aside and run `ronghe up`: it makes a new file and prints a link for a new administrator",
    "请将该文件移走后运行 `ronghe up`：系统会新建文件，并给出新管理员的一次性链接",
)
_RIGHTS: Final = Text("see that the file and its folder may be read and written", "请检查该文件及其文件夹的读写权限")
_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS user (name TEXT PRIMARY KEY, role INTEGER NOT NULL, hash TEXT NOT NULL, made INTEGER NOT NULL,"
    " seen INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS session (hash TEXT PRIMARY KEY, user TEXT NOT NULL REFERENCES user ON DELETE CASCADE,"
    " made INTEGER NOT NULL, used INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS link (hash TEXT PRIMARY KEY, user TEXT NOT NULL, until INTEGER NOT NULL)",
)


class UsersError(RongheError):
    """A name, password or link that cannot be used."""


class UsersUnavailable(UsersError):
    """The file cannot be read or written now: a full disk, another program that holds it, or damage."""

    def __init__(self, path: Path, why: str, kind: str) -> None:
        """`kind` is SQLite's name of the error, e.g. SQLITE_FULL or SQLITE_IOERR_WRITE."""
        what, todo = Text(f"the file of the console's users cannot be used: {why}", f"控制台用户文件无法读写：{why}"), _RIGHTS
        if kind.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            what, todo = Text(f"the file of the console's users is damaged: {why}", f"控制台用户文件已损坏：{why}"), _DAMAGED
        elif kind.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
            todo = _FULL
        elif kind.startswith("SQLITE_BUSY"):
            todo = _HELD
        super().__init__(what, where=str(path), todo=todo)


class User(msgspec.Struct, frozen=True, kw_only=True):
    """One person. `seen` is the last sign-in or use, ns since 1970 UTC, 0 for never; `ready` once a password is set."""

    name: str
    role: Role
    made: int
    seen: int
    ready: bool


class Users:
    """The people of one plant. Safe between threads and between processes.

    `who` answers within milliseconds, whatever others do with the file, and raises UsersUnavailable only when it cannot be read. All else
    is for a thread, because it takes a password (argon2id, tens of milliseconds) or may wait for another process that writes (up to two
    seconds); it raises UsersUnavailable when the file cannot be used. `passwords` is the one thread for what takes a password: 64 MiB and a
    processor are given to one guess at a time, and the rest of the node does not queue behind them.
    """

    def __init__(self, path: Path | str, clock: Callable[[], int], hasher: PasswordHasher | None = None) -> None:
        self._path, self._clock = Path(path), clock
        self.passwords = ThreadPoolExecutor(1, thread_name_prefix="passwords")
        self._lock, self._look_lock = threading.RLock(), threading.Lock()
        self._hasher = hasher or PasswordHasher()  # argon2id, RFC 9106 low-memory profile
        self._nobody = ""  # the hash that an unknown name's password is held against, made when first needed
        self._used: dict[str, int] = {}  # when a session was used last, where the file could not take it
        self._path.parent.mkdir(parents=True, exist_ok=True)
        new = not self._path.exists()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=_WAIT)
        # A connection of its own for what every request asks, so that none waits behind a writer.
        self._look = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=_PATIENCE)
        try:
            if new:
                self._path.chmod(0o600)
            self._run("PRAGMA journal_mode=WAL")
            self._run("PRAGMA foreign_keys=ON")
            for table in _SCHEMA:
                self._run(table)
            found = str(self._run("PRAGMA quick_check(1)")[0][0])
            if found != "ok":
                raise UsersUnavailable(self._path, found.splitlines()[-1], "SQLITE_CORRUPT")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Closes the file; a password that waits for its turn is given up. Safe to call twice."""
        self.passwords.shutdown(cancel_futures=True)
        with self._lock, self._look_lock:  # SQLite does not survive that a connection is closed under a statement
            self._look.close()
            self._db.close()

    # people

    def everyone(self) -> list[User]:
        """Everybody, by name."""
        rows = self._run("SELECT name, role, made, seen, hash <> '' FROM user ORDER BY name")
        return [User(name=n, role=Role(r), made=m, seen=s, ready=bool(y)) for n, r, m, s, y in rows]

    def get(self, name: str) -> User:
        """One person. Raises UsersError for an unknown name."""
        for user in self.everyone():
            if user.name == name:
                return user
        raise UsersError(
            Text(f"nobody is called {name!r}", f"没有名为 {name!r} 的用户"),
            todo=Text("see `ronghe user list PLANT`", "请查看 `ronghe user list PLANT`"),
        )

    def add(self, name: str, role: Role) -> User:
        """A new person, without a password: give them a `link`. Raises UsersError for a name that is taken or not a name."""
        if not _NAME.fullmatch(name):
            raise UsersError(
                Text(f"{name!r} cannot be a user name", f"{name!r} 不能用作用户名"),
                todo=Text("use 1 to 64 letters, digits, and . _ - @", "请使用 1 至 64 个字母、汉字、数字或 . _ - @"),
            )
        with self._whole():
            if any(u.name == name for u in self.everyone()):
                raise UsersError(Text(f"{name!r} is taken", f"用户名 {name!r} 已存在"), todo=Text("choose another name", "请换一个用户名"))
            self._run("INSERT INTO user VALUES (?, ?, '', ?, 0)", name, int(role), self._clock())
            return self.get(name)

    def set_role(self, name: str, role: Role) -> User:
        """Changes a role and ends the person's sessions. Raises UsersError for an unknown name and for the last administrator."""
        with self._whole():
            self._keep_an_administrator(self.get(name), role)
            self._run("UPDATE user SET role = ? WHERE name = ?", int(role), name)
            self._run("DELETE FROM session WHERE user = ?", name)
            return self.get(name)

    def remove(self, name: str) -> None:
        """Removes a person with their sessions and links. Raises UsersError for an unknown name and for the last administrator."""
        with self._whole():
            self._keep_an_administrator(self.get(name), None)
            self._run("DELETE FROM link WHERE user = ?", name)
            self._run("DELETE FROM user WHERE name = ?", name)

    def set_password(self, name: str, password: str) -> User:
        """Sets a password and ends the person's sessions. Raises UsersError for an unknown name or a password that is too weak."""
        self.get(name)
        self._judge(name, password)
        hashed = self._hasher.hash(password)
        with self._whole():
            return self._set_hash(name, hashed)

    def _set_hash(self, name: str, hashed: str) -> User:
        self._run("UPDATE user SET hash = ? WHERE name = ?", hashed, name)
        self._run("DELETE FROM session WHERE user = ?", name)
        return self.get(name)

    def _keep_an_administrator(self, user: User, role: Role | None) -> None:
        others = any(u.role is Role.ADMINISTRATOR and u.ready and u.name != user.name for u in self.everyone())
        if user.role is Role.ADMINISTRATOR and role is not Role.ADMINISTRATOR and not others:
            raise UsersError(
                Text(f"{user.name} is the last administrator", f"{user.name} 是最后一名管理员"),
                todo=Text("make somebody else administrator first", "请先将其他人设为管理员"),
            )

    @staticmethod
    def _judge(name: str, password: str) -> None:
        if len(password) < SHORTEST_PASSWORD or len(password) > 256:
            raise UsersError(
                Text(f"a password has {SHORTEST_PASSWORD} to 256 characters", f"密码长度应为 {SHORTEST_PASSWORD} 至 256 个字符"),
                todo=Text("a few words in a row are easy to keep in mind", "可用几个词连在一起，便于记忆"),
            )
        if len(set(password)) < 5 or password.lower() == name.lower():
            raise UsersError(
                Text("this password is too easy to guess", "密码过于简单"), todo=Text("choose a less regular one", "请换一个不易猜到的密码")
            )

    # one-time links

    def link(self, name: str = "", life: int = LINK_LIFE) -> str:
        """A token with which `name` sets a password, once, within `life` ns; an empty name: for the first administrator, who picks a name.

        A new link makes the person's earlier ones void. Raises UsersError for an unknown name, or when there is an administrator already.
        """
        token = secrets.token_urlsafe(32)
        with self._whole():
            if name:
                self.get(name)
            elif self.has_administrator():
                raise UsersError(Text("there is an administrator already", "已有管理员"), todo=Text("name the person", "请指定用户名"))
            self._run("DELETE FROM link WHERE user = ? OR until < ?", name, self._clock())
            self._run("INSERT INTO link VALUES (?, ?, ?)", _digest(token), name, self._clock() + life)
        return token

    def has_administrator(self) -> bool:
        """Whether somebody can administer: until then the first start prints a link."""
        return any(u.role is Role.ADMINISTRATOR and u.ready for u in self.everyone())

    def link_for(self, token: str) -> str:
        """Whose link it is ("" = the first administrator's). Raises UsersError when it is unknown, used or too old."""
        rows = self._run("SELECT user FROM link WHERE hash = ? AND until >= ?", _digest(token), self._clock())
        if not rows or (not rows[0][0] and self.has_administrator()):
            raise UsersError(
                Text("this link was used already or is too old", "此链接已使用或已过期"),
                todo=Text(
                    "ask an administrator for a new one, or run `ronghe user link PLANT`",
                    "请向管理员索取新链接，或运行 `ronghe user link PLANT`",
                ),
            )
        return str(rows[0][0])

    def redeem(self, token: str, name: str, password: str) -> User:
        """Uses a link up: sets the password, and for the first administrator makes the person. Raises UsersError; then the link stays."""
        self._judge(self.link_for(token) or name, password)
        hashed = self._hasher.hash(password)  # takes long, and so comes before the transaction, which looks at everything again
        with self._whole():
            owner = self.link_for(token)
            self._run("DELETE FROM link WHERE hash = ?", _digest(token))
            if not owner:
                owner = self.add(name, Role.ADMINISTRATOR).name
            return self._set_hash(owner, hashed)

    # signing in

    def sign_in(self, name: str, password: str) -> str | None:
        """A session token, or None when name and password do not fit. Takes as long for an unknown name as for a wrong password."""
        rows = self._run("SELECT hash FROM user WHERE name = ? AND hash <> ''", name)
        if not self._nobody:
            self._nobody = self._hasher.hash(secrets.token_hex(16))
        try:
            self._hasher.verify(rows[0][0] if rows else self._nobody, password)
        except (VerificationError, InvalidHashError):
            return None
        if not rows:
            return None
        if self._hasher.check_needs_rehash(rows[0][0]):
            self._run("UPDATE user SET hash = ? WHERE name = ?", self._hasher.hash(password), name)
        return self.open_session(name)

    def open_session(self, name: str) -> str:
        """A session token for a person already known to be who they say. Raises UsersError for an unknown name."""
        now, token = self._clock(), secrets.token_urlsafe(32)
        with self._whole():
            self.get(name)
            self._run("DELETE FROM session WHERE used < ? OR made < ?", now - SESSION_IDLE, now - SESSION_LIFE)
            self._run("INSERT INTO session VALUES (?, ?, ?, ?)", _digest(token), name, now, now)
            self._run("UPDATE user SET seen = ? WHERE name = ?", now, name)
        return token

    def who(self, token: str) -> User | None:
        """The person behind a session token, or None when there is no such session or it has run out."""
        now, digest = self._clock(), _digest(token)
        rows = self._ask(
            "SELECT u.name, u.role, u.made, u.seen, s.used FROM session s JOIN user u ON u.name = s.user WHERE s.hash = ? AND s.made >= ?",
            digest,
            now - SESSION_LIFE,
        )
        if not rows:
            self._used.pop(digest, None)
            return None
        name, role, made, seen, used = rows[0]
        used = max(used, self._used.get(digest, 0))
        if used < now - SESSION_IDLE:
            return None
        if now - used > HOUR // 60:  # once a minute is enough, and spares a write on every request
            self._note_use(digest, name, now)
        return User(name=name, role=Role(role), made=made, seen=seen, ready=True)

    def _note_use(self, digest: str, name: str, now: int) -> None:
        """Who was here when is good to know, but nobody is turned away, from the kill switch least of all, because a disk is full."""
        try:
            self._ask("UPDATE session SET used = ? WHERE hash = ?", now, digest)
            self._ask("UPDATE user SET seen = ? WHERE name = ?", now, name)
            self._used.pop(digest, None)
        except UsersUnavailable:
            self._used[digest] = now

    def sign_out(self, token: str) -> None:
        """Ends one session; no error when there is none."""
        self._run("DELETE FROM session WHERE hash = ?", _digest(token))

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """All or nothing: one transaction, alone between threads and between processes; within another one, a part of that."""
        with self._lock:
            if self._db.in_transaction:
                yield
                return
            self._run("BEGIN IMMEDIATE")
            try:
                yield
                self._run("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # SQLite itself rolls back on a full disk
                    self._run("ROLLBACK")
                raise

    def _run(self, sql: str, *values: str | int) -> list[tuple[Any, ...]]:
        with self._lock, self._telling():
            return self._db.execute(sql, values).fetchall()

    def _ask(self, sql: str, *values: str | int) -> list[tuple[Any, ...]]:
        with self._look_lock, self._telling():
            return self._look.execute(sql, values).fetchall()

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """SQLite's errors in our own words."""
        try:
            yield
        except sqlite3.DatabaseError as e:
            if type(e) not in (sqlite3.DatabaseError, sqlite3.OperationalError):  # a broken constraint is a bug, not a broken file
                raise
            raise UsersUnavailable(self._path, str(e), getattr(e, "sqlite_errorname", "")) from e


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
