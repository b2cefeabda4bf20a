"""The ledger: what was acknowledged is there, and whatever was changed is found."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ronghe.errors import LedgerError
from ronghe.guard import Ledger
from ronghe.guard.ledger import FILE, HEAD, START


def count() -> Callable[[], int]:
    times = iter(range(1_790_000_000_000_000_000, 2**62, 1_000_000_000))
    return lambda: next(times)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Five entries."""
    one = Ledger(tmp_path / "ledger", clock=count())
    for n in range(5):
        one.append("guard.write" if n % 2 else "alarm.raise", {"n": n, "text": "泵 hot"})
    yield one
    one.close()


@pytest.fixture
def folder(ledger: Ledger, tmp_path: Path) -> Path:
    ledger.close()
    return tmp_path / "ledger"


def test_entries_come_back_in_order(ledger: Ledger, tmp_path: Path) -> None:
    assert [e.body["n"] for e in ledger.entries()] == [0, 1, 2, 3, 4]
    assert [e.seq for e in ledger.entries(after=2)] == [3, 4, 5]
    assert [e.seq for e in ledger.entries(after=1, limit=2)] == [2, 3]
    assert [e.seq for e in ledger.entries(kind="guard")] == [2, 4]
    assert [e.seq for e in ledger.entries(kind="guard.write", limit=1)] == [2]
    assert ledger.entries(kind="gua") == []
    assert ledger.entries(after=99) == []
    assert ledger.version == 5
    assert ledger.head == ledger.entries()[-1].hash
    assert list(Ledger.read(tmp_path / "ledger")) == ledger.entries()


def test_it_goes_on_after_a_restart(folder: Path) -> None:
    with_more = Ledger(folder, clock=count())
    entry = with_more.append("x", {})
    with_more.close()
    assert (entry.seq, Ledger.verify(folder).entries) == (6, 6)


def test_the_chain_can_be_checked_with_nothing_but_sha256(folder: Path) -> None:
    prev = START
    for n, line in enumerate((folder / FILE).read_bytes().splitlines(), 1):
        content, _, digest = line[:-2].rpartition(b',"hash":"')
        assert hashlib.sha256(content + b"}").hexdigest() == digest.decode()
        entry = json.loads(line)
        assert (entry["prev"], entry["seq"], entry["hash"]) == (prev, n, digest.decode())
        assert content.decode() + "}" == json.dumps(
            {k: entry[k] for k in sorted(entry) if k != "hash"}, sort_keys=True, separators=(",", ":"), ensure_ascii=False
        )
        prev = entry["hash"]


def test_sound_is_said_to_be_sound(folder: Path) -> None:
    found = Ledger.verify(folder)
    assert (found.ok, found.entries, found.problems, found.torn) == (True, 5, (), 0)


def test_every_flipped_byte_is_found(folder: Path) -> None:
    for name in (FILE, HEAD):
        sound = (folder / name).read_bytes()
        for at in range(len(sound)):
            for flip in (0x01, 0x20, 0x80):
                (folder / name).write_bytes(sound[:at] + bytes([sound[at] ^ flip]) + sound[at + 1 :])
                assert not Ledger.verify(folder).ok, (name, at, flip)
        (folder / name).write_bytes(sound)
    assert Ledger.verify(folder).ok


def test_removed_inserted_and_moved_lines_are_found(folder: Path) -> None:
    lines = (folder / FILE).read_bytes().splitlines(keepends=True)
    for i in range(5):
        for changed in (
            lines[:i] + lines[i + 1 :],
            lines[: i + 1] + lines[i:],
            lines[:i] + lines[i + 1 : i + 2] + lines[i : i + 1] + lines[i + 2 :] if i < 4 else [*lines, lines[0]],
            lines[:i],
        ):
            (folder / FILE).write_bytes(b"".join(changed))
            assert not Ledger.verify(folder).ok


def test_a_cut_end_is_found_by_the_head_file_and_by_a_known_head(folder: Path) -> None:
    entries = list(Ledger.read(folder))
    lines = (folder / FILE).read_bytes().splitlines(keepends=True)
    (folder / FILE).write_bytes(b"".join(lines[:3]))
    assert "2 entries are missing" in Ledger.verify(folder).problems[0].en
    (folder / HEAD).write_text(f"{3:020d} {entries[2].hash}\n")  # whoever cut it knew about the file
    assert Ledger.verify(folder).ok
    assert not Ledger.verify(folder, entries[4].hash).ok
    found = Ledger.verify(folder, entries[1].hash[:8])
    assert (found.ok, found.after_known) == (True, 1)


def test_a_chain_written_anew_is_found_by_a_known_head(folder: Path, tmp_path: Path) -> None:
    known = list(Ledger.read(folder))[-1].hash
    other = Ledger(tmp_path / "other", clock=count())
    for n in range(9):
        other.append("guard.write", {"n": n})
    other.close()
    assert Ledger.verify(tmp_path / "other").ok
    assert not Ledger.verify(tmp_path / "other", known).ok


def test_a_head_that_is_no_hash_is_an_error(folder: Path) -> None:
    for wrong in ("", "abc", "Z" * 64):
        with pytest.raises(LedgerError, match="hash"):
            Ledger.verify(folder, wrong)


def test_no_ledger_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="no ledger"):
        Ledger.verify(tmp_path)
    with pytest.raises(LedgerError, match="no ledger"):
        list(Ledger.read(tmp_path))


def test_a_broken_chain_is_not_opened_and_not_touched(folder: Path) -> None:
    data = bytearray((folder / FILE).read_bytes())
    data[100] ^= 1
    (folder / FILE).write_bytes(data)
    with pytest.raises(LedgerError, match="move the folder aside"):
        Ledger(folder, clock=count())
    assert (folder / FILE).read_bytes() == data


def test_a_flipped_last_newline_is_no_torn_line(folder: Path) -> None:
    data = (folder / FILE).read_bytes()
    (folder / FILE).write_bytes(data[:-1] + b" ")
    with pytest.raises(LedgerError):
        Ledger(folder, clock=count())


@pytest.mark.parametrize("torn", [b"{", b'{"body":{},"kind":"x"', b"\x00" * 700, b"\x00" * 10 + b"\n"])
def test_a_torn_end_is_cut_and_the_cut_is_recorded(folder: Path, torn: bytes) -> None:
    with open(folder / FILE, "ab") as file:
        file.write(torn)
    found = Ledger.verify(folder)
    assert (found.ok, found.entries, found.torn) == (True, 5, len(torn))
    ledger = Ledger(folder, clock=count())
    assert [(e.kind, e.body) for e in ledger.entries(after=5)] == [("ledger.cut", {"bytes": len(torn)})]
    ledger.close()
    assert Ledger.verify(folder).ok


def test_a_missing_head_is_a_problem_and_is_recorded(folder: Path) -> None:
    (folder / HEAD).unlink()
    assert not Ledger.verify(folder).ok
    ledger = Ledger(folder, clock=count())
    assert ledger.entries(after=5)[0].kind == "ledger.head_missing"
    ledger.close()
    assert Ledger.verify(folder).ok


def test_a_head_that_is_one_behind_is_what_a_crash_leaves(folder: Path) -> None:
    entries = list(Ledger.read(folder))
    (folder / HEAD).write_text(f"{4:020d} {entries[3].hash}\n")
    assert Ledger.verify(folder).ok


def test_one_writer_only(ledger: Ledger, tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="another process"):
        Ledger(tmp_path / "ledger", clock=count())
    ledger.append("x", {})


def test_no_space_loses_nothing_and_it_goes_on_afterwards(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.pwrite

    def full(fd: int, data: bytes, at: int) -> int:
        write(fd, data[:10], at)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(LedgerError, match="make room"):
        ledger.append("x", {})
    monkeypatch.undo()
    assert Ledger.verify(tmp_path / "ledger").entries == 5
    assert ledger.append("x", {}).seq == 6
    assert Ledger.verify(tmp_path / "ledger") == Ledger.verify(tmp_path / "ledger", ledger.head[:0] or None)


def test_after_a_failed_sync_nothing_more_is_taken(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(fd: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(LedgerError):
        ledger.append("x", {})
    monkeypatch.undo()
    with pytest.raises(LedgerError, match="restart"):
        ledger.append("x", {})


def test_closed_it_takes_nothing(ledger: Ledger) -> None:
    ledger.close()
    ledger.close()
    with pytest.raises(LedgerError, match="closed"):
        ledger.append("x", {})


@pytest.mark.parametrize("body", [[1], "x", {"a": object()}, {"a": "\ud800"}])
def test_what_is_no_json_object_is_refused(ledger: Ledger, body: Any) -> None:
    with pytest.raises(LedgerError):
        ledger.append("x", body)
    assert ledger.version == 5


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.dictionaries(st.text(), _json, max_size=4), kind=st.text(max_size=20))
def test_any_json_is_kept_and_verified(ledger: Ledger, tmp_path: Path, body: dict[str, Any], kind: str) -> None:
    entry = ledger.append(kind, body)
    (back,) = ledger.entries(after=entry.seq - 1)
    assert back == entry
    assert Ledger.verify(tmp_path / "ledger").ok


def test_threads_append_one_chain(ledger: Ledger, tmp_path: Path) -> None:
    threads = [threading.Thread(target=lambda n=n: [ledger.append("t", {"n": n}) for _ in range(20)]) for n in range(5)]  # type: ignore[misc]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    found = Ledger.verify(tmp_path / "ledger")
    assert (found.ok, found.entries) == (True, 105)


WRITER = """
import os, sys, time
from pathlib import Path
from ronghe.guard import Ledger
for line in sys.stdin:  # a child for each line, so that Python starts only once
    folder, size = line.split()
    pid = os.fork()
    if not pid:
        ledger = Ledger(Path(folder), clock=time.time_ns)
        print("open", os.getpid(), flush=True)
        while True:
            os.write(1, b"%d\\n" % ledger.append("test", {"text": "x" * int(size)}).seq)
    os.waitpid(pid, 0)
    os.write(1, b"dead\\n")
"""


@pytest.fixture(scope="module")
def writer() -> Iterator[subprocess.Popen[str]]:
    """Starts, for each line "FOLDER SIZE", a process that appends as fast as it can and tells what it appended, until it is killed."""
    with subprocess.Popen([sys.executable, "-c", WRITER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        yield child
        assert child.stdin is not None
        child.stdin.close()


def start(writer: subprocess.Popen[str], folder: Path, size: int) -> int:
    assert writer.stdin is not None
    assert writer.stdout is not None
    writer.stdin.write(f"{folder} {size}\n")
    writer.stdin.flush()
    word, pid = writer.stdout.readline().split()
    assert word == "open"
    return int(pid)


def end(writer: subprocess.Popen[str], pid: int) -> int:
    """kill -9; gives the last entry that was acknowledged."""
    os.kill(pid, signal.SIGKILL)
    assert writer.stdout is not None
    last = 0
    for line in writer.stdout:
        if line == "dead\n":
            break
        last = int(line)
    return last


def test_kill_9_loses_nothing_that_was_acknowledged(writer: subprocess.Popen[str], tmp_path: Path) -> None:
    chance = random.Random(7)
    folder, acknowledged = tmp_path / "ledger", 0
    for _ in range(60):
        pid = start(writer, folder, chance.choice([10, 2000, 60_000]))
        time.sleep(chance.uniform(0, 0.03))
        acknowledged = max(acknowledged, end(writer, pid))
        found = Ledger.verify(folder)
        assert found.ok, found.problems
        assert found.entries >= acknowledged
    assert acknowledged > 60
    Ledger(folder, clock=time.time_ns).close()
    assert [e.seq for e in Ledger.read(folder)] == list(range(1, Ledger.verify(folder).entries + 1))


def test_it_is_read_while_it_is_written(writer: subprocess.Popen[str], tmp_path: Path) -> None:
    folder = tmp_path / "ledger"
    pid = start(writer, folder, 300)
    sizes: list[int] = []
    try:
        while len(sizes) < 30 or sizes[-1] < 20:
            found = Ledger.verify(folder)
            assert found.ok, found.problems
            sizes.append(len(list(Ledger.read(folder))))
    finally:
        end(writer, pid)
    assert sizes == sorted(sizes)
