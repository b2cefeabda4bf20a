from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.bus.contract import drain, ids

from ronghe.bus import subjects
from ronghe.bus.carry import Bucket, Carrier
from ronghe.bus.contract import Bus, Message
from ronghe.bus.hub import Hub
from ronghe.bus.jetstream import JetStream
from ronghe.bus.outbox import Outbox
from ronghe.cloud.spec import HubSpec

S = 1_000_000_000
SAMPLES, LEDGER, TAGS = (f"ronghe.a.b.c.n.{kind}" for kind in ("samples", "ledger", "tags"))


def make(n: int, at: int, subject: str = SAMPLES, size: int = 20_000) -> Message:
    return Message(subject, f"{subject}-{n}", bytes([n % 256]) * size, at)


@contextlib.asynccontextmanager
async def carrying(outbox: Outbox, bus: Bus, bandwidth: float | None = None) -> AsyncIterator[Carrier]:
    carrier = Carrier(outbox, bus, bandwidth=bandwidth)
    task = asyncio.create_task(carrier.run())
    yield carrier
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


@pytest.fixture
def outbox(path: Path) -> Iterator[Outbox]:
    outbox = Outbox(path, most=10**9, clock=time.time_ns)
    yield outbox
    outbox.shut()


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Outbox]:
    """The other end: an outbox is a bus, too."""
    there = Outbox(tmp_path / "there.sqlite", most=10**9, clock=time.time_ns)
    yield there
    there.shut()


async def test_live_data_goes_before_what_waits_and_after_what_it_refers_to(outbox: Outbox, there: Outbox) -> None:
    old = time.time_ns() - 3600 * S
    outbox.put([make(n, old + n * S) for n in range(200)])
    outbox.put([make(0, old, TAGS, 100), make(1, old, LEDGER, 100)])
    async with carrying(outbox, there, bandwidth=1_000_000) as carrier:
        for n in range(1000, 1003):
            outbox.put([make(n, time.time_ns())])
            while not (found := await there.pull("reader", wait=10.0)) or f"{SAMPLES}-{n}" not in ids(found):
                assert found
            assert carrier.state.waiting > 0, "what waited is still on its way"
        first = ids(await there.pull("from the beginning", most=400))
        assert first.index(f"{SAMPLES}-1000") > first.index(f"{TAGS}-0")
        outbox.put([make(n, old + n * S, size=10) for n in range(1003, 1005)])
        drained = []
        while (state := carrier.state).waiting:
            drained.append(state.drain_x)
            await asyncio.sleep(0.05)
    assert state.sent == 207
    assert any(x is not None and x > 1 for x in drained)
    assert state.down is None
    everything = ids(await there.pull("all", most=1000))
    assert len(everything) == len(set(everything)) == 207
    history = [i for i in everything if int(i.rpartition("-")[2]) < 200 and "samples" in i]
    assert history == [f"{SAMPLES}-{n}" for n in range(200)], "oldest first"


async def test_a_hub_that_is_away_is_said_until_it_is_there(outbox: Outbox, tmp_path: Path) -> None:
    hub = Hub(tmp_path / "hub", HubSpec(port=0, most="100 MB"))
    await hub.start()
    bus = JetStream(hub.url, name="n", patience=0.3)
    async with carrying(outbox, bus) as carrier:
        await hub.stop()
        outbox.put([make(1, time.time_ns())])
        while (down := carrier.state.down) is None:
            await asyncio.sleep(0.02)
        assert "消息中心" in down.in_("zh")
        assert carrier.state.since > 0
        outbox.put([make(2, time.time_ns())])
        await hub.start()
        while carrier.state.waiting:
            await asyncio.sleep(0.02)
        assert carrier.state.down is None
        assert carrier.state.since == 0
        found = await drain(bus, "reader", "ronghe.>") + await drain(bus, "late", "ronghe_late.>")
    assert sorted(ids(found)) == [f"{SAMPLES}-1", f"{SAMPLES}-2"]
    await bus.close()
    await hub.stop()


async def test_killed_at_any_moment_nothing_is_lost_or_doubled(hub: Hub, stream: JetStream, plant: str, path: Path) -> None:
    chance = random.Random(3)
    told: list[str] = []
    for _ in range(4):
        command = [sys.executable, str(Path(__file__).with_name("carrier.py")), str(path), hub.url, plant]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        assert child.stdout.readline() == "open\n"
        await asyncio.sleep(chance.uniform(0.1, 0.5))
        child.send_signal(signal.SIGKILL)
        told += child.stdout.read().split()
        child.stdout.close()
        child.wait()
    pattern = f"ronghe.{plant.replace('/', '.')}.>"
    before = await drain(stream, "reader", pattern)
    assert before, "it was killed while carrying"
    box = Outbox(path, most=10**9, clock=time.time_ns)
    bus = JetStream(hub.url, name="n1")
    async with carrying(box, bus) as carrier:
        while carrier.state.waiting:
            await asyncio.sleep(0.05)
    await bus.close()
    box.shut()
    late = await drain(stream, "late", subjects.late(pattern))  # on a busy machine it is no longer young when it is carried
    found = ids(before + await drain(stream, "reader", pattern) + late)
    assert len(found) == len(set(found))
    assert set(told) <= set(found)


def test_the_bucket_lets_a_rate_pass_and_a_burst_of_a_second() -> None:
    now = 0
    bucket = Bucket(1000.0, lambda: now)
    bucket.take(1500)
    assert bucket.left() == -500
    assert bucket.wait() == 1.0
    now = 1 * S
    assert (bucket.left(), bucket.wait()) == (500, 0.0)
    now = 100 * S
    assert bucket.left() == 1000
    assert Bucket(None, lambda: now).left() == float("inf")
