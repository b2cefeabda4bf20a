"""The journal of alarms: nobody waits for it, and nothing is lost or out of order."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from ronghe.edge.journal import Journal
from ronghe.errors import LedgerError
from ronghe.text import Text


class Disk:
    """Takes entries while its gate is open; raises `error` while it is set."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, dict[str, Any]]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.error: Exception | None = None

    def append(self, event: str, body: dict[str, Any]) -> None:
        self.gate.wait(30)
        if self.error is not None:
            raise self.error
        self.entries.append((event, body))

    @property
    def numbers(self) -> list[int]:
        return [body["n"] for _, body in self.entries]


def until(true: Callable[[], Any], what: str) -> None:
    """Waits; the bound is for a broken journal, not a measure of a good one."""
    for _ in range(3000):
        if true():
            return
        time.sleep(0.01)
    raise AssertionError(f"waited in vain for {what}")


def test_nobody_waits_for_a_slow_disk_and_closing_loses_nothing() -> None:
    disk = Disk()
    disk.gate.clear()
    journal = Journal(disk.append)
    journal.start()
    for n in range(50):
        journal.put("raised", {"n": n})
    assert disk.entries == []
    disk.gate.set()
    journal.close()
    assert disk.entries == [("raised", {"n": n}) for n in range(50)]


def test_flushed_is_written() -> None:
    disk = Disk()
    disk.gate.clear()
    journal = Journal(disk.append)
    journal.start()
    journal.put("raised", {"n": 0})
    journal.flush(0.01)
    assert journal.behind
    disk.gate.set()
    for n in range(1, 20):
        journal.put("raised", {"n": n})
        journal.flush(30)
        assert disk.numbers == list(range(n + 1))
    assert not journal.behind
    journal.close()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (LedgerError(Text("no space", "空间不足")), Text("no space", "空间不足")),
        (MemoryError(), Text("out of memory", "内存不足")),
    ],
)
def test_what_the_disk_refuses_is_said_and_written_as_soon_as_it_can_be(error: Exception, said: Text) -> None:
    disk = Disk()
    disk.error = error
    journal = Journal(disk.append, retry=0.01)
    journal.start()
    for n in range(3):
        journal.put("raised", {"n": n})
    until(lambda: journal.trouble == said, "what is wrong")
    disk.error = None
    until(lambda: len(disk.entries) == 3, "the entries")
    journal.close()
    assert disk.numbers == [0, 1, 2]
    assert journal.trouble is None


def test_closing_in_trouble_says_how_much_is_lost(caplog: pytest.LogCaptureFixture) -> None:
    disk = Disk()
    disk.error = OSError(28, "No space left on device")
    journal = Journal(disk.append, retry=0.01)
    journal.start()
    journal.put("raised", {"n": 1})
    journal.put("raised", {"n": 2})
    journal.close()
    assert "2 entries of the journal of alarms are lost" in caplog.text
