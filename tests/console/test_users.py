"""People, passwords, sessions and one-time links."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from ronghe.console.roles import ROLES, Role
from ronghe.console.users import HOUR, LINK_LIFE, SESSION_IDLE, SESSION_LIFE, Users, UsersError, UsersUnavailable

GOOD = "correct horse battery"


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1_790_000_000_000_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A clock that stands."""
    return Clock()


@pytest.fixture
def users(tmp_path: Path, clock: Clock) -> Iterator[Users]:
    """Nobody yet."""
    users = Users(tmp_path / ".ronghe" / "users.sqlite", clock, PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    yield users
    users.close()


def administrator(users: Users) -> str:
    return users.redeem(users.link(), "wang", GOOD).name


def test_first_link_makes_the_administrator_once(users: Users) -> None:
    token = users.link()
    assert not users.has_administrator()
    assert users.link_for(token) == ""
    user = users.redeem(token, "wang", GOOD)
    assert user.role is Role.ADMINISTRATOR
    assert users.has_administrator()
    with pytest.raises(UsersError, match="used already"):
        users.redeem(token, "mallory", GOOD)
    with pytest.raises(UsersError, match="administrator already"):
        users.link()


def test_a_second_first_link_is_void_once_there_is_an_administrator(tmp_path: Path, users: Users, clock: Clock) -> None:
    token = users.link()
    users.add("wang", Role.ADMINISTRATOR)
    users.set_password("wang", GOOD)
    with pytest.raises(UsersError, match="used already"):
        users.redeem(token, "mallory", GOOD)


def test_a_link_used_by_many_at_once_is_used_once(tmp_path: Path, clock: Clock) -> None:
    """Each through a connection of its own, as from several processes, and all past the first look before any has used the link up."""
    start, made, refused = threading.Barrier(6), [], []

    class Together(PasswordHasher):
        def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
            start.wait(30)
            return super().hash(password, salt=salt)

    path = tmp_path / "users.sqlite"
    everyone = [Users(path, clock, Together(time_cost=1, memory_cost=64, parallelism=1)) for _ in range(6)]
    token = everyone[0].link()

    def use(users: Users, name: str) -> None:
        try:
            made.append(users.redeem(token, name, GOOD).name)
        except UsersError as e:
            refused.append(str(e))

    threads = [threading.Thread(target=use, args=(u, f"admin{i}")) for i, u in enumerate(everyone)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert len(refused) == 5
    assert [(u.name, u.ready) for u in everyone[0].everyone()] == [(made[0], True)]
    for users in everyone:
        users.close()


def test_a_new_link_makes_the_earlier_void(users: Users) -> None:
    first, second = users.link(), users.link()
    with pytest.raises(UsersError):
        users.link_for(first)
    assert users.link_for(second) == ""


def test_link_runs_out(users: Users, clock: Clock) -> None:
    token = users.link()
    clock.now += LINK_LIFE + 1
    with pytest.raises(UsersError, match="too old"):
        users.redeem(token, "wang", GOOD)


def test_a_link_survives_a_password_that_is_refused(users: Users) -> None:
    token = users.link()
    with pytest.raises(UsersError, match="10 to 256"):
        users.redeem(token, "wang", "short")
    with pytest.raises(UsersError, match="user name"):
        users.redeem(token, "wang/li", GOOD)
    assert users.redeem(token, "王丽", GOOD).name == "王丽"


def test_sign_in(users: Users) -> None:
    administrator(users)
    token = users.sign_in("wang", GOOD)
    assert token is not None
    who = users.who(token)
    assert who is not None
    assert (who.name, who.role) == ("wang", Role.ADMINISTRATOR)
    assert users.sign_in("wang", GOOD + "r") is None
    assert users.sign_in("nobody", GOOD) is None
    assert users.who("x" * 43) is None
    users.sign_out(token)
    assert users.who(token) is None


def test_nobody_signs_in_without_a_password(users: Users) -> None:
    administrator(users)
    users.add("li", Role.OPERATOR)
    assert users.sign_in("li", "") is None


@pytest.mark.parametrize(("wait", "alive"), [(SESSION_IDLE - HOUR, True), (SESSION_IDLE + HOUR, False)])
def test_session_ends_when_idle(users: Users, clock: Clock, wait: int, alive: bool) -> None:
    administrator(users)
    token = users.sign_in("wang", GOOD)
    assert token is not None
    clock.now += wait
    assert (users.who(token) is not None) is alive


def test_session_ends_after_a_week_even_in_use(users: Users, clock: Clock) -> None:
    administrator(users)
    token = users.sign_in("wang", GOOD)
    assert token is not None
    for _ in range(SESSION_LIFE // (6 * HOUR)):
        assert users.who(token) is not None
        clock.now += 6 * HOUR
    clock.now += 1
    assert users.who(token) is None


def test_role_and_password_changes_end_sessions(users: Users) -> None:
    administrator(users)
    users.add("li", Role.OPERATOR)
    for change in (lambda: users.set_role("li", Role.VIEWER), lambda: users.set_password("li", GOOD + "2")):
        users.set_password("li", GOOD)
        token = users.open_session("li")
        assert users.who(token) is not None
        change()
        assert users.who(token) is None


def test_the_last_administrator_stays(users: Users) -> None:
    administrator(users)
    for change in (lambda: users.set_role("wang", Role.VIEWER), lambda: users.remove("wang")):
        with pytest.raises(UsersError, match="last administrator"):
            change()
    users.add("li", Role.ADMINISTRATOR)
    with pytest.raises(UsersError, match="last administrator"):  # li cannot sign in yet
        users.remove("wang")
    users.set_password("li", GOOD)
    users.remove("wang")
    assert [u.name for u in users.everyone()] == ["li"]


def test_removing_takes_sessions_and_links_along(users: Users) -> None:
    administrator(users)
    users.add("li", Role.OPERATOR)
    link = users.link("li")
    users.set_password("li", GOOD)
    session = users.open_session("li")
    users.remove("li")
    assert users.who(session) is None
    with pytest.raises(UsersError):
        users.link_for(link)


@pytest.mark.parametrize("password", ["short", "x" * 257, "aaaaaaaaaaaa", "wang.li.admin"])
def test_weak_passwords_are_refused(users: Users, password: str) -> None:
    users.add("wang.li.admin", Role.ADMINISTRATOR)
    with pytest.raises(UsersError):
        users.set_password("wang.li.admin", password)


def test_names(users: Users) -> None:
    for bad in ("", "a b", "a/b", "x" * 65, "a\n"):
        with pytest.raises(UsersError, match="cannot be a user name"):
            users.add(bad, Role.VIEWER)
    users.add("li", Role.VIEWER)
    with pytest.raises(UsersError, match="taken"):
        users.add("li", Role.VIEWER)
    with pytest.raises(UsersError, match="nobody is called"):
        users.get("zhao")


def test_nothing_in_the_file_opens_a_door(users: Users, tmp_path: Path) -> None:
    administrator(users)
    users.add("li", Role.OPERATOR)
    link = users.link("li")
    session = users.open_session("wang")
    path = tmp_path / ".ronghe" / "users.sqlite"
    assert path.stat().st_mode & 0o077 == 0
    held = b"".join(p.read_bytes() for p in path.parent.iterdir())
    for secret in (link, session, GOOD):
        assert secret.encode() not in held
    assert b"$argon2id$" in held


def test_two_processes_share_the_file(users: Users, tmp_path: Path, clock: Clock) -> None:
    administrator(users)
    other = Users(tmp_path / ".ronghe" / "users.sqlite", clock)
    other.add("li", Role.OPERATOR)
    assert [u.name for u in users.everyone()] == ["li", "wang"]
    other.close()


def test_the_schema_keeps_no_session_of_nobody(users: Users, tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / ".ronghe" / "users.sqlite")
    db.execute("PRAGMA foreign_keys=ON")
    with pytest.raises(sqlite3.IntegrityError):
        db.execute("INSERT INTO session VALUES ('x', 'nobody', 0, 0)")
    db.close()


_FULL = """
import resource, sys, time
from ronghe.console.users import HOUR, SESSION_IDLE, Role, Users, UsersUnavailable
now = [time.time_ns()]
users = Users(sys.argv[1], lambda: now[0])
users.add("li", Role.OPERATOR)
session = users.open_session("li")
resource.setrlimit(resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
for _ in range(2 * SESSION_IDLE // HOUR):  # two shifts at work
    now[0] += HOUR
    assert users.who(session).name == "li"
try:
    users.open_session("li")
except UsersUnavailable as e:
    print(e.where, e.in_("zh"))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
assert users.who(users.open_session("li")).name == "li"
now[0] += SESSION_IDLE + 1
assert users.who(session) is None
"""


def test_who_is_at_work_stays_at_work_on_a_full_disk(tmp_path: Path) -> None:
    """A process of its own that may write no byte more: its disk is full."""
    done = subprocess.run(
        [sys.executable, "-c", _FULL, tmp_path / "users.sqlite"],
        capture_output=True,
        encoding="utf-8",
        check=False,
        env={"PYTHONUTF8": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert str(tmp_path / "users.sqlite") in done.stdout
    assert "请清理磁盘空间后重试" in done.stdout


def test_who_waits_for_nobody(users: Users, tmp_path: Path, clock: Clock) -> None:
    administrator(users)
    session = users.open_session("wang")
    other = sqlite3.connect(tmp_path / ".ronghe" / "users.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    clock.now += HOUR
    who = users.who(session)
    assert who is not None
    with pytest.raises(UsersUnavailable, match="another program holds the file"):
        users.open_session("wang")
    other.execute("ROLLBACK")
    other.close()
    assert users.who(users.open_session("wang")) is not None


_CLOSING = """
import sys, threading, time
from ronghe.console.users import Role, Users
users = Users(sys.argv[1], time.time_ns)
for i in range(20):
    users.add(f"name{i}", Role.VIEWER)
for _ in range(30):
    users = Users(sys.argv[1], time.time_ns)
    asked = threading.Semaphore(0)
    def ask():
        try:
            while True:
                users.everyone()
                asked.release()
        except Exception as e:
            assert "closed" in str(e), e
    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(30):
        asked.acquire()
    users.close()
    for thread in threads:
        thread.join()
"""


def test_closing_under_a_question_does_not_end_the_process(tmp_path: Path) -> None:
    """A process of its own, because SQLite takes it along (SIGSEGV) when a connection is closed under a statement."""
    done = subprocess.run([sys.executable, "-c", _CLOSING, tmp_path / "users.sqlite"], capture_output=True, encoding="utf-8", check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_roles_are_ordered() -> None:
    assert ROLES == ("viewer", "operator", "engineer", "administrator")
    assert list(Role) == sorted(Role)
    assert all(r.text.en and r.text.zh for r in Role)
