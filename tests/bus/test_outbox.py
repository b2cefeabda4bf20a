from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.bus.contract import AT, BusContract, Reopen, drain, ids

from ronghe.bus.contract import Bus, Message
from ronghe.bus.outbox import Outbox
from ronghe.errors import BusFull

SAMPLES, LEDGER = "ronghe.a.b.c.n.samples", "ronghe.a.b.c.n.ledger"


def make(n: int, subject: str = SAMPLES, size: int = 1000) -> Message:
    return Message(subject, f"{subject}-{n}", bytes([n % 256]) * size, AT + n)


class TestOutboxContract(BusContract):
    @pytest.fixture
    def reopen(self, path: Path) -> Reopen:
        async def reopen() -> Bus:
            return Outbox(path, most=10**9, clock=lambda: AT)

        return reopen


@pytest.fixture
def box(path: Path) -> Iterator[Outbox]:
    box = Outbox(path, most=100_000, clock=lambda: AT)
    yield box
    box.shut()


async def test_what_waits_is_counted(box: Outbox) -> None:
    assert box.waiting().messages == 0
    box.put([make(n) for n in range(5)])
    assert (box.waiting().messages, box.waiting().bytes, box.waiting().oldest) == (5, 5000, AT)
    await box.ack("carry", await box.pull("carry", most=2))
    assert (box.waiting().messages, box.waiting().bytes, box.waiting().oldest) == (3, 3000, AT + 2)


async def test_when_it_is_full_the_oldest_samples_go_and_no_entry_of_the_ledger(box: Outbox) -> None:
    box.put([make(0, LEDGER), *(make(n) for n in range(90))])
    box.put([make(n) for n in range(90, 120)])
    assert box.dropped == 21
    assert box.trouble is not None
    assert box.trouble.zh
    assert ids(await drain(box, "carry", ">")) == ids([make(0, LEDGER), *(make(n) for n in range(21, 120))])
    box.put([make(120)])
    assert box.trouble is None, "there is room again"


async def test_what_does_not_fit_is_refused_and_nothing_else_is_lost(box: Outbox) -> None:
    box.put([make(n, LEDGER) for n in range(90)])
    box.put([make(0)])
    with pytest.raises(BusFull) as e:
        box.put([make(90, LEDGER, 20_000)])
    assert "[centre]" in e.value.in_("zh")
    assert len(await drain(box, "carry", ">")) == 91
    box.put([make(90, LEDGER, 20_000)])
    assert len(await drain(box, "carry", ">")) == 1


async def test_what_is_in_hand_is_not_dropped(box: Outbox) -> None:
    box.put([make(n) for n in range(100)])
    hand = await box.pull("carry", most=10)
    box.put([make(n) for n in range(100, 110)])
    await box.ack("carry", hand)
    assert ids(await drain(box, "carry", ">")) == ids([make(n) for n in range(20, 110)])


async def test_a_full_disk_is_said_and_nothing_acknowledged_is_lost(path: Path) -> None:
    box = Outbox(path, most=10**9, clock=lambda: AT)
    box.put([make(1)])
    pages = box._db.execute("PRAGMA page_count").fetchone()[0]
    box._db.execute(f"PRAGMA max_page_count = {pages + 5}")
    with pytest.raises(BusFull):
        box.put([make(2), make(3, size=100_000)])
    assert ids(await drain(box, "carry", ">")) == ids([make(1)])
    box._db.execute("PRAGMA max_page_count = 100000")
    box.put([make(2), make(3, size=100_000)])
    assert ids(await drain(box, "carry", ">")) == ids([make(2), make(3)])
    await box.close()


@pytest.mark.parametrize("damage", ["header", "text", "inside"])
async def test_a_damaged_file_is_set_aside_and_said(path: Path, damage: str) -> None:
    box = Outbox(path, most=10**9, clock=lambda: AT)
    box.put([make(n) for n in range(50)])
    await box.close()
    data = bytearray(path.read_bytes())
    if damage == "header":
        data[:100] = bytes(100)
    elif damage == "text":
        data[:] = b"this is no database at all" * 100
    else:
        data[4096:] = bytes(len(data) - 4096)
    path.write_bytes(data)
    box = Outbox(path, most=10**9, clock=lambda: AT)
    try:
        box.put([make(100)])
    except Exception:
        box.put([make(100)])
    assert box.trouble is not None
    assert "damaged" in box.trouble.en
    assert ids(await drain(box, "carry", ">")) == ids([make(100)])
    assert len(list(path.parent.glob("damaged-*.sqlite"))) == 1
    await box.close()


async def test_a_message_that_was_changed_on_disk_is_not_sent(path: Path) -> None:
    box = Outbox(path, most=10**9, clock=lambda: AT)
    box.put([make(n) for n in range(5)])
    await box.close()
    with sqlite3.connect(path) as db:
        db.execute("UPDATE message SET data = CAST(x'00' || substr(data, 2) AS BLOB) WHERE seq = 3")
    db.close()
    box = Outbox(path, most=10**9, clock=lambda: AT)
    assert ids(await drain(box, "carry", ">")) == ids([make(n) for n in (0, 1, 3, 4)])
    assert box.damaged == 1
    assert box.trouble is not None
    assert box.waiting().messages == 0
    await box.close()


async def test_the_disk_is_given_back_once_it_is_drained(path: Path) -> None:
    box = Outbox(path, most=10**9, clock=lambda: AT)
    for i in range(30):
        box.put([make(n, size=50_000) for n in range(i * 20, i * 20 + 20)])
    full = path.stat().st_size
    await drain(box, "carry", ">", wait=0.0)
    for n in range(1000, 1010):
        box.put([make(n)])
        await drain(box, "carry", ">", wait=0.0)
    await box.close()
    assert full > 25_000_000
    assert path.stat().st_size < 10_000_000
    assert not path.with_name(path.name + "-wal").exists()


async def test_killed_at_any_moment_it_has_all_that_was_acknowledged_once(path: Path) -> None:
    chance = random.Random(5)
    told: list[str] = []
    for _ in range(5):
        child = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("putter.py")), str(path), str(len(told))], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        assert child.stdout.readline() == "open\n"
        time.sleep(chance.uniform(0.0, 0.25))
        child.send_signal(signal.SIGKILL)
        told += child.stdout.read().split()
        child.stdout.close()
        child.wait()
    assert len(told) > 20, "it was killed at work"
    box = Outbox(path, most=10**9, clock=lambda: AT)
    found = ids(await drain(box, "carry", ">", wait=0.0))
    assert len(set(found)) == len(found)
    assert set(told) <= set(found)
    assert len(found) - len(told) <= 5 * 3, "beyond these, only what was at work when it was killed"
    assert box.waiting().messages == box.waiting().bytes == 0
    await box.close()
