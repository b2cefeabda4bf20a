"""From a real JetStream to the historians of the centre: nothing lost and nothing twice when it is killed (-9) again and again."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import numpy as np

from ronghe.bus import subjects, wire
from ronghe.bus.contract import Message
from ronghe.bus.hub import Hub
from ronghe.bus.jetstream import JetStream
from ronghe.cloud.lake.intake import CONSUMER, Intake
from ronghe.cloud.spec import HubSpec
from ronghe.historian import Historian
from ronghe.signals import Batch, TagIndex

from .conftest import START, rows_of

PLANT, NODE = "acme/上海/wa.ter", "edge 1"


def _samples(n: int) -> tuple[list[Message], list[tuple[object, ...]]]:
    index = TagIndex()
    sent, rows = [], []
    for k in range(n):
        batch = Batch.of(index, [f"line/p{i}" for i in range(20)], np.full(20, START + k * 1_000_000_000), np.arange(20) + k / 10)
        sent.append(Message(subjects.subject(PLANT, NODE, subjects.SAMPLES), f"{NODE}-{k}", wire.encode(batch), START + k))
        rows += rows_of(batch)
    return sent, sorted(rows, key=lambda r: r[:2])


def _ledger(n: int) -> list[Message]:
    subject = subjects.subject(PLANT, NODE, subjects.LEDGER)
    return [Message(subject, f"{NODE}-ledger-{k}", b'{"seq":%d}\n{"seq":%d}\n' % (2 * k, 2 * k + 1), START + k) for k in range(n)]


async def test_killed_again_and_again_it_has_all_of_it_once(tmp_path: Path) -> None:
    hub = Hub(tmp_path / "hub", HubSpec(port=0, most="100 MB"))
    await hub.start()
    bus = JetStream(hub.url, name="node", in_hand=0.5)
    try:
        sent, rows = _samples(400)
        lines = _ledger(40)
        broken = Message(subjects.subject(PLANT, NODE, subjects.SAMPLES), "broken", b"no batch", START)
        foreign = Message(subjects.subject("acme/../..", NODE, subjects.SAMPLES), "foreign", sent[0].data, START)
        waited = [msgspec.structs.replace(m, subject=subjects.late(m.subject)) for m in sent[200:]]
        await bus.append([*sent[:200], broken, foreign, *lines, *waited])
        for _ in range(2):
            taker = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("taker.py")), hub.url, str(tmp_path)], stdout=subprocess.PIPE, text=True
            )
            assert taker.stdout is not None
            while int((await asyncio.to_thread(taker.stdout.readline)) or -1) == 0:
                pass  # killed soon after its first messages, at whatever step it is
            taker.kill()
            taker.wait()
            taker.stdout.close()
        intake = Intake(bus, tmp_path)
        await intake.start()
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and not await _empty(hub.url):
            await asyncio.sleep(0.1)
        await intake.stop()
    finally:
        await bus.close()
        await hub.stop()
    with Historian(tmp_path / "plants" / PLANT / "historian", TagIndex(), readonly=True) as store:
        assert rows_of(store.raw(None, 0, 2**62)) == rows
        assert store.stats().damage == ()
    kept = (tmp_path / "plants" / PLANT / "ledger" / f"{NODE}.jsonl").read_bytes().splitlines()
    assert sorted(kept) == sorted(line for m in lines for line in m.data.splitlines())
    aside = [msgspec.msgpack.decode(p.read_bytes()) for p in (tmp_path / "aside").iterdir()]
    assert {(a["id"], a["data"]) for a in aside} == {("broken", b"no batch"), ("foreign", sent[0].data)}
    assert not (tmp_path / "historian").exists()


async def _empty(url: str) -> bool:
    """Whether the stream says that the intake has acknowledged all."""
    import nats

    client = await nats.connect(url)
    try:
        lanes = [c for c in await client.jetstream().consumers_info(subjects.STREAM) if c.name.startswith(CONSUMER)]
        return len(lanes) == 2 and all(c.num_pending == 0 and c.num_ack_pending == 0 for c in lanes)
    finally:
        await client.close()


def test_a_plant_in_trouble_keeps_only_its_own_waiting(tmp_path: Path) -> None:
    sent, rows = _samples(3)
    other = Message(subjects.subject("acme/other", "n", subjects.SAMPLES), "o", sent[0].data, START)
    home = tmp_path / "plants" / PLANT
    home.mkdir(parents=True)
    held = Historian(home / "historian", TagIndex())  # somebody else writes there
    intake = Intake(None, tmp_path, lambda: START + 5_000_000_000)  # type: ignore[arg-type]
    assert intake.take([*sent, other]) == [other]
    (view,) = intake.view()
    assert (view["plant"], view["points"], view["behind_s"], view["trouble"]) == ("acme/other", 20, 5.0, None)
    held.close()
    assert intake.take(sent) == sent
    assert rows_of(intake.historian(PLANT).raw(None, 0, 2**62)) == rows
    asyncio.run(intake.stop())
