"""The centre of the outage benchmark, in a process of its own: three hub servers, the intake, and the historian of the plant.

Lines of JSON on standard input, each answered by one: `{"kill": "leader"}` kills the server that leads the stream; `{"view": true}`;
`{"left": true}`, messages that are not taken in yet; `{"judge": [[first, last], …]}`, the spans (ns) of which every second was acknowledged
at the edge. The end of input ends it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import ssl
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from ronghe.bench.outage_edge import NODE, PLANT, TAGS, S, names, say, values
from ronghe.bus.contract import Message
from ronghe.bus.hub import Hub
from ronghe.bus.jetstream import JetStream
from ronghe.bus.subjects import STREAM
from ronghe.cloud.fleet.authority import Authority
from ronghe.cloud.lake.intake import Intake
from ronghe.cloud.spec import HubSpec
from ronghe.historian import Historian
from ronghe.signals import Batch

_HOUR: Final = 3600 * S
_LIVE: Final = 60 * S  # a sample that is younger is live
_LOOKED_AT: Final = 20  # seconds of which every value is compared


class Counting(Intake):
    """The intake, and a stranger who counts what it stores."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.points = self.twice = 0
        self.live: list[tuple[float, float]] = []  # s: time of a live sample (since 1970), and from then until it is durable here
        self._seen: dict[str, int] = {}  # id → place in the stream

    def _store(self, plant: str, some: Sequence[tuple[Message, Batch]], now: int) -> list[Message]:
        done = super()._store(plant, some, now)
        stored, whose = time.time_ns(), {m.seq for m in done}
        for message, batch in some:
            if message.seq not in whose or not len(batch):  # without rows: a table of names
                continue
            if self._seen.setdefault(message.id, message.seq) != message.seq:
                self.twice += len(batch)  # the hub took it twice
            self.points += len(batch)
            if stored - int(batch.time[-1]) < _LIVE:
                self.live.append((int(batch.time[-1]) / S, (stored - int(batch.time[-1])) / S))
        return done


def judge(store: Historian, spans: list[list[int]]) -> dict[str, int]:
    """What of the acknowledged is missing, what is there too often, and which values are others (of some seconds, every one)."""
    tags = names()
    there = store.raw([tags[0]], 0, 2**62).time
    told = np.concatenate([np.arange(first, last + S, S) for first, last in spans])
    lost = np.setdiff1d(told, there)
    rows = store.aggregate(None, int(there[0]), int(there[-1]) + 1, _HOUR, ["count"])
    hours, expected = np.unique(there // _HOUR, return_counts=True)
    hour = rows.column("time").cast("int64").to_numpy() // _HOUR
    missing = expected[hours.searchsorted(hour)] - rows.column("count").to_numpy()
    wrong, place = 0, {tag: i for i, tag in enumerate(tags)}
    for second in np.random.default_rng(1).choice(there, min(_LOOKED_AT, len(there)), replace=False).tolist():
        batch = store.raw(tags, second, second + 1)
        order = [place[batch.index.names[i]] for i in batch.tag]
        wrong += int((batch.value != values(second)[order]).sum())
    absent = TAGS * len(hours) - len(rows)  # a tag without any sample in an hour
    return {
        "acknowledged": TAGS * len(told),
        "stored": int(rows.column("count").to_numpy().sum()),
        "lost": TAGS * len(lost) + int(missing.clip(0).sum()) + absent,
        "rows_twice": int((-missing).clip(0).sum()),
        "wrong": wrong,
    }


async def ask(hub: Hub, tls: ssl.SSLContext, what: str) -> dict[str, Any]:
    """What the hub answers to a question about the stream."""
    import nats

    client = await nats.connect(hub.url.split(","), tls=tls, inbox_prefix="_INBOX.judge")
    try:
        told: dict[str, Any] = json.loads((await client.request(f"$JS.API.{what}.{STREAM}", b"{}", timeout=10)).data)
        return told
    finally:
        await client.close()


async def left(hub: Hub, tls: ssl.SSLContext) -> int:
    """Messages that the intake has not acknowledged; those that it had in hand when a server died are given to it again."""
    consumers = (await ask(hub, tls, "CONSUMER.LIST"))["consumers"]
    return sum(c["num_pending"] + c["num_ack_pending"] for c in consumers)


async def kill_leader(hub: Hub, tls: ssl.SSLContext) -> str:
    """The server that leads the stream is dead when this returns; gives its name."""
    leader: str = (await ask(hub, tls, "STREAM.INFO"))["cluster"]["leader"]
    os.kill(next(s["pid"] for s in hub.view() if s["name"] == leader), signal.SIGKILL)
    return leader


async def main(folder: Path, address: str) -> None:
    """Runs until standard input ends."""
    authority = Authority(folder / "ca", time.time_ns)
    hub = Hub(
        folder / "hub", HubSpec(servers=3, port=0), address=address, ca=authority.certificate, server=authority.server(address)
    )  # fmt: skip
    await hub.start()
    await hub.add_node(NODE, PLANT)
    tls = ssl.create_default_context(cafile=str(authority.certificate))
    tls.load_cert_chain(*authority.own())
    bus = JetStream(hub.url, name="centre", tls=tls, in_hand=10.0)
    intake = Counting(bus, folder)
    await intake.start()
    say({"hub": hub.url})
    reader = asyncio.StreamReader(limit=2**24)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        order = json.loads(line)
        if "kill" in order:
            say({"killed": await kill_leader(hub, tls)})
        elif "left" in order:
            say({"left": await left(hub, tls)})
        elif "judge" in order:
            say(await asyncio.to_thread(judge, intake.historian(PLANT), order["judge"]))
        else:
            say({"points": intake.points, "twice": intake.twice, "live": intake.live})
    await intake.stop()
    await bus.close()
    await hub.stop()


if __name__ == "__main__":
    logging.basicConfig(level=logging.ERROR)
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
