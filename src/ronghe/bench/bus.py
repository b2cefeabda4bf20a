"""`ronghe bench bus`: one-second batches of 5,000 process values from an edge node's disk to a consumer at the centre, beside a bare
JetStream client and beside MQTT.

All send the same bytes (`bus.wire`, encoded before the clock starts and decoded after it stops; what that takes is told apart), and stop
the clock when the consumer has acknowledged the last. Ronghe's path has two disks in it: the outbox, synced at every batch, and the stream.
Rounds alternate, so that what else the machine does falls on all alike; the middle one of the ratios is told.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from ronghe.bus import subjects
from ronghe.bus.carry import Carrier
from ronghe.bus.contract import Message
from ronghe.bus.hub import Hub
from ronghe.bus.jetstream import JetStream
from ronghe.bus.outbox import Outbox
from ronghe.bus.wire import Decoder, Encoder
from ronghe.cloud.spec import HubSpec
from ronghe.errors import MissingExtra, RongheError
from ronghe.signals import Batch, TagIndex
from ronghe.text import Text

TAGS: Final = 5_000
PLANT: Final = "bench/site/area"
_START: Final = 1_767_225_600_000_000_000
_GATHERED: Final = 16  # batches that a recorder which is behind puts at once
_FLIGHT: Final = 256  # messages of the bare client in flight, as of ours


def run(full: bool = False) -> dict[str, Any]:
    """Samples a second; see `docs/bus.md`. `full`: ten times as many."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_measure(Path(folder), rounds=5, seconds=2_000 if full else 400))


async def _measure(folder: Path, *, rounds: int, seconds: int) -> dict[str, Any]:
    batches = _batches(seconds)
    encoder = Encoder(PLANT, "edge", lambda: _START)
    begun = time.perf_counter()
    messages = [m for i, b in enumerate(batches) for m in encoder.messages(b, str(i))]
    encoding = time.perf_counter() - begun
    decoder = Decoder(TagIndex())
    begun = time.perf_counter()
    rows = sum(len(decoder.decode(m.data)) for m in messages)
    decoding = time.perf_counter() - begun
    samples = [m for m in messages if m.subject.endswith(subjects.SAMPLES)]
    seen: dict[str, list[float]] = {}
    async with _hub(folder) as hub:
        for i in range(rounds + 1):
            found = {
                "acknowledged": await _acknowledged(folder / f"a{i}.sqlite", _named(messages, f"a{i}")),
                "end_to_end": await _end_to_end(folder / f"e{i}.sqlite", _named(messages, f"e{i}"), hub.url),
                "jetstream": await _bare(_named(messages, f"b{i}"), hub.url),
                "mqtt_qos1": await asyncio.to_thread(_mqtt, folder, _named(messages, f"m{i}")),
            }
            if i:  # the first round is for caches and connections
                for key, took in found.items():
                    seen.setdefault(key, []).append(rows / took)
    middle = {key: statistics.median(some) for key, some in seen.items()}

    def ratio(a: str, b: str) -> float:
        return round(statistics.median(x / y for x, y in zip(seen[a], seen[b], strict=True)), 3)

    return {
        **{f"{key}_per_s": round(value) for key, value in middle.items()},
        "end_to_end_of_jetstream": ratio("end_to_end", "jetstream"),
        "acknowledged_of_jetstream": ratio("acknowledged", "jetstream"),
        "end_to_end_of_mqtt_qos1": ratio("end_to_end", "mqtt_qos1"),
        "bytes_per_sample": round(sum(len(m.data) for m in samples) / rows, 2),
        "encode_per_s": round(rows / encoding),
        "decode_per_s": round(rows / decoding),
        "samples": rows,
        "batch": TAGS,
        "durability": {
            "acknowledged": "SQLite WAL, synchronous=FULL: one fsync a batch, one batch after the other",
            "end_to_end": f"SQLite the same, one fsync for {_GATHERED} batches; JetStream R1 on files, sync_interval: always",
            "jetstream": f"nats-py, the same stream, {_FLIGHT} in flight; what the sender holds is not on disk",
            "mqtt_qos1": f"paho-mqtt, mosquitto, {_FLIGHT} in flight; persistence on, written every 1,800 s: a power cut loses it",
        },
    }


def _batches(seconds: int) -> list[Batch]:
    """Process values that wander, of 1 to 3 decimals, by tags whose names follow no pattern."""
    draw = np.random.default_rng(1)
    numbers = draw.choice(10**7, TAGS, replace=False)
    index = TagIndex(f"{'TPFL'[i % 4]}IC{n}/pv" for i, n in enumerate(numbers.tolist()))
    ids = np.arange(TAGS, dtype=np.int32)
    scale = 10.0 ** draw.choice([1, 2, 3], TAGS, p=[0.4, 0.4, 0.2])
    base = draw.lognormal(4, 1.2, TAGS)
    walk = np.cumsum(draw.normal(0, 0.003, (seconds, TAGS)), axis=0)
    return [Batch.of(index, ids, _START + s * 1_000_000_000, np.round(base * (1 + walk[s]) * scale) / scale) for s in range(seconds)]


def _named(messages: Sequence[Message], name: str) -> list[Message]:
    """The same under ids and a plant of their own: no run finds what another left."""
    return [
        Message(subjects.subject(f"{PLANT}-{name}", "edge", m.subject.rpartition(".")[2]), f"{name}-{i}", m.data, m.at)
        for i, m in enumerate(messages)
    ]


def _pattern(messages: Sequence[Message]) -> str:
    return messages[0].subject.rpartition(".")[0] + ".>"


@contextlib.asynccontextmanager
async def _hub(folder: Path) -> AsyncIterator[Hub]:
    hub = Hub(folder / "hub", HubSpec(port=0, most="20 GB"))
    await hub.start()
    try:
        yield hub
    finally:
        await hub.stop()


async def _acknowledged(path: Path, messages: Sequence[Message]) -> float:
    outbox = Outbox(path, most=10**11, clock=time.time_ns)
    begun = time.perf_counter()
    await asyncio.to_thread(_put_all, outbox, messages, 1)
    took = time.perf_counter() - begun
    outbox.shut()
    return took


def _put_all(outbox: Outbox, messages: Sequence[Message], at_once: int) -> None:
    for i in range(0, len(messages), at_once):
        outbox.put([msgspec.structs.replace(m, at=time.time_ns()) for m in messages[i : i + at_once]])


async def _end_to_end(path: Path, messages: Sequence[Message], url: str) -> float:
    outbox = Outbox(path, most=10**11, clock=time.time_ns)
    edge, centre = JetStream(url, name="edge"), JetStream(url, name="centre")
    await edge.connect()
    await centre.pull(path.stem, _pattern(messages), wait=0.0)
    begun = time.perf_counter()
    carrying = asyncio.create_task(Carrier(outbox, edge).run())
    putting = asyncio.create_task(asyncio.to_thread(_put_all, outbox, messages, _GATHERED))
    left = {m.id for m in messages}
    while left:
        found = await centre.pull(path.stem, _pattern(messages), wait=5.0)
        await centre.ack(path.stem, found)
        left -= {m.id for m in found}
    took = time.perf_counter() - begun
    await putting
    carrying.cancel()
    await asyncio.gather(carrying, return_exceptions=True)
    for bus in (edge, centre, outbox):
        await bus.close()
    return took


async def _bare(messages: Sequence[Message], url: str) -> float:
    """nats-py as its own documentation uses it."""
    import nats
    from nats.js.api import ConsumerConfig

    sender, receiver = await nats.connect(url), await nats.connect(url)
    stream = sender.jetstream(publish_async_max_pending=_FLIGHT)
    config = ConsumerConfig(max_ack_pending=20_000)
    left, done = {m.data for m in messages}, asyncio.Event()

    async def take(msg: Any) -> None:
        await msg.ack()
        left.discard(msg.data)
        if not left:
            done.set()

    durable = messages[0].subject.replace(".", "_")
    pattern = _pattern(messages)
    await receiver.jetstream().subscribe(pattern, durable=durable, stream=subjects.STREAM, config=config, cb=take, manual_ack=True)
    begun = time.perf_counter()
    for m in messages:
        await stream.publish_async(m.subject, m.data, headers={"Nats-Msg-Id": m.id})
    await stream.publish_async_completed()
    await asyncio.wait_for(done.wait(), 60)
    await receiver.flush()
    took = time.perf_counter() - begun
    await sender.close()
    await receiver.close()
    return took


def _mqtt(folder: Path, messages: Sequence[Message]) -> float:
    try:
        import paho.mqtt.client as paho
        from paho.mqtt.enums import CallbackAPIVersion
    except ImportError as e:
        raise MissingExtra("bench", Text("the comparison with MQTT", "与 MQTT 的对比")) from e
    with _mosquitto(folder) as port:
        got, done, ready = [0], threading.Event(), threading.Event()

        def on_message(client: Any, data: Any, msg: Any) -> None:
            got[0] += 1
            if got[0] == len(messages):
                done.set()

        sender, receiver = (paho.Client(CallbackAPIVersion.VERSION2, client_id=name) for name in ("sender", "receiver"))
        receiver.on_message = on_message
        receiver.on_subscribe = lambda *_: ready.set()
        sender.max_inflight_messages_set(_FLIGHT)
        for client in (receiver, sender):
            client.connect("127.0.0.1", port)
            client.loop_start()
        receiver.subscribe("bench/#", 1)
        ready.wait(10)
        begun = time.perf_counter()
        infos = [sender.publish(f"bench/{m.id}", m.data, 1) for m in messages]
        for info in infos:
            info.wait_for_publish(60)
        arrived = done.wait(60)
        took = time.perf_counter() - begun
        for client in (receiver, sender):
            client.disconnect()
            client.loop_stop()
        if not arrived:
            raise RongheError(Text(f"MQTT lost {len(messages) - got[0]} messages", f"MQTT 丢失 {len(messages) - got[0]} 条消息"))
    return took


@contextlib.contextmanager
def _mosquitto(folder: Path) -> Any:
    command = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if command is None:
        raise RongheError(
            Text("this compares with the MQTT broker mosquitto, which is missing", "需要与 MQTT 代理 mosquitto 对比，但未安装"),
            todo=Text("install it (Debian: apt-get install mosquitto)", "请安装（Debian：apt-get install mosquitto）"),
        )
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    store = folder / "mosquitto"
    store.mkdir(exist_ok=True)
    store.chmod(0o777)
    config = folder / "mosquitto.conf"
    # Without set_tcp_nodelay each acknowledgement may wait 40 ms for the next; queues as long as JetStream's.
    lines = [f"listener {port} 127.0.0.1", "allow_anonymous true", "persistence true", f"persistence_location {store}/"]
    config.write_text("\n".join([*lines, "set_tcp_nodelay true", "max_inflight_messages 256", "max_queued_messages 0", "user root"]) + "\n")
    broker = subprocess.Popen([command, "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.02)
        yield port
    finally:
        broker.terminate()
        broker.wait()
