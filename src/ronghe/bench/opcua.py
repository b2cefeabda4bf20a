"""`ronghe bench opcua`: how many samples a second a client takes from one OPC UA server that is not ours, and how late.

Server: node-opcua in its own process, 5,000 Double variables that all change every 100 ms, each with its source time: 50,000 samples a
second offered, which is more than that server can give. Clients, each alone in its own process and in turn: this project's driver; plain
asyncua as its documentation shows it (`create_subscription`, `subscribe_data_change`, one session); node-opcua's own client. Each keeps
every sample it is handed, so that only distinct (tag, source time) within the measured span count.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from typing import Any, Final

import numpy as np
from asyncua import Client, ua

from ronghe.bench import peers
from ronghe.connect import Item
from ronghe.connect.opcua import OpcUa, Options
from ronghe.errors import RongheError
from ronghe.signals import Batch, TagIndex
from ronghe.text import Text

_TAGS: Final = 5000
_EVERY: Final = 100  # ms
_ROUNDS: Final = 2
_NAMESPACE: Final = "http://example.org/load"
_PROTOCOL: Final = (
    "one node-opcua server, {tags} Double variables set by setValueFromSource every {every} ms; each client alone in its own process, "
    "{warm:g} s warm-up after its last item is set up, {measure:g} s measured; in turn, {rounds} rounds, the better round of each counts "
    "(noise only slows); distinct (tag, source time) per second; cpu_s: CPU seconds of the client's process per second; us_a_sample: CPU "
    "time for one sample; lag: arrival minus source time, same clock"
)


def run(full: bool) -> dict[str, Any]:
    """Measures all three; ends within 50 s unless `full`. Raises RongheError when Node.js is missing or a part fails."""
    return compare(_TAGS, *((5.0, 20.0) if full else (1.0, 2.5)))


def compare(tags: int, warm: float, measure: float) -> dict[str, Any]:
    """As `run`, for another number of tags and other spans (s)."""
    load = os.getloadavg()[0]
    folder = peers.folder()
    with tempfile.TemporaryDirectory() as pki:
        config = json.dumps({"pki": pki, "tags": tags, "every": _EVERY})
        server = subprocess.Popen(
            [peers.node(), "opcua_server.js", config], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        try:
            url = f"opc.tcp://127.0.0.1:{_port(server)}"
            ask = json.dumps({"url": url, "tags": tags, "every": _EVERY, "warm": warm, "measure": measure})
            commands = (
                [sys.executable, "-m", "ronghe.bench.opcua", "driver", ask],
                [sys.executable, "-m", "ronghe.bench.opcua", "plain", ask],
                [peers.node(), str(folder / "opcua_client.js"), ask],
            )
            rounds = [[_client(c) for c in commands] for _ in range(_ROUNDS)]
        finally:
            server.kill()
            server.communicate()
    ours, plain, other = (
        {**max(of_one, key=lambda r: r["per_s"]), "rounds_per_s": [r["per_s"] for r in of_one]} for of_one in zip(*rounds, strict=True)
    )
    return {
        "delivered_per_s": ours["per_s"],
        "lag_p99_ms": ours["lag_p99_ms"],
        "asyncua_plain_per_s": plain["per_s"],
        "node_client_per_s": other["per_s"],
        "cpu_s": ours["cpu_s"],
        "times_asyncua_plain": round(ours["per_s"] / plain["per_s"], 2),
        "times_node_client": round(ours["per_s"] / other["per_s"], 3),
        "offered_per_s": tags * 1000 / _EVERY,
        "clients": {"driver": ours, "asyncua_plain": plain, "node_client": other},
        "protocol": _PROTOCOL.format(tags=tags, every=_EVERY, warm=warm, measure=measure, rounds=_ROUNDS),
        "load_average": load,
    }


def _port(server: subprocess.Popen[str]) -> int:
    assert server.stdout is not None
    for line in server.stdout:
        if line.startswith('{"port"'):
            return int(json.loads(line)["port"])
    raise RongheError(
        Text("the node-opcua server did not start", "node-opcua 服务器未能启动"),
        todo=Text("see what it wrote above", "请查看上方输出"),
    )


def _client(command: list[str]) -> dict[str, float]:
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    try:
        result: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        raise RongheError(
            Text(f"a client failed: {done.stderr[-600:]}", f"客户端运行失败：{done.stderr[-600:]}"), where=" ".join(command[:3])
        ) from None
    return result


async def _driver(ask: dict[str, Any]) -> dict[str, float]:
    index, kept, arrived = TagIndex(), list[Batch](), list[int]()
    driver = OpcUa(Options(url=ask["url"]), index)
    items = [Item(id=index.id(f"T{i}"), address=f"nsu={_NAMESPACE};i={1000 + i}", every=ask["every"] / 1e3) for i in range(ask["tags"])]

    def sink(batch: Batch) -> None:
        kept.append(batch)
        arrived.append(time.time_ns())

    running = asyncio.create_task(driver.run(items, sink))
    while driver.health.state != "up":  # health is plain data
        await asyncio.sleep(0.05)
    cpu, start, end = await _measure(ask)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    at = np.repeat(np.array(arrived), [len(b) for b in kept])
    return _result(np.concatenate([b.tag for b in kept]), np.concatenate([b.time for b in kept]), at, cpu, start, end)


async def _plain(ask: dict[str, Any]) -> dict[str, float]:
    tags, times, arrived = list[int](), list[int](), list[int]()

    class Handler:
        def datachange_notification(self, node: Any, value: Any, data: Any) -> None:
            tags.append(node.nodeid.Identifier)
            times.append(round(data.monitored_item.Value.SourceTimestamp.timestamp() * 1e9))
            arrived.append(time.time_ns())

    async with Client(ask["url"]) as client:
        space = await client.get_namespace_index(_NAMESPACE)
        subscription = await client.create_subscription(ask["every"], Handler())
        nodes = [client.get_node(ua.NodeId(1000 + i, space)) for i in range(ask["tags"])]
        await subscription.subscribe_data_change(nodes)
        cpu, start, end = await _measure(ask)
    return _result(np.array(tags), np.array(times), np.array(arrived), cpu, start, end)


async def _measure(ask: dict[str, Any]) -> tuple[float, int, int]:
    """CPU seconds a second, and the span measured (ns)."""
    await asyncio.sleep(ask["warm"])
    cpu, start = time.process_time(), time.time_ns()
    await asyncio.sleep(ask["measure"])
    end = time.time_ns()
    return (time.process_time() - cpu) / ((end - start) / 1e9), start, end


def _result(tag: Any, source: Any, arrived: Any, cpu: float, start: int, end: int) -> dict[str, float]:
    """Counts what arrived within the span, each (tag, source time) once."""
    inside = (arrived >= start) & (arrived < end)
    seconds = (end - start) / 1e9
    distinct = len(np.unique(np.stack([tag[inside].astype(np.int64), source[inside]]), axis=1).T) if inside.any() else 0
    lag = (arrived[inside] - source[inside]) / 1e6
    p50, p99 = np.percentile(lag, [50, 99]) if len(lag) else (float("nan"), float("nan"))
    return {
        "per_s": round(distinct / seconds, 1),
        "doubled": int(inside.sum()) - distinct,
        "lag_p50_ms": round(float(p50), 1),
        "lag_p99_ms": round(float(p99), 1),
        "cpu_s": round(cpu, 4),
        "us_a_sample": round(cpu / max(distinct / seconds, 1e-9) * 1e6, 2),
    }


if __name__ == "__main__":
    client = {"driver": _driver, "plain": _plain}[sys.argv[1]]
    print(json.dumps(asyncio.run(client(json.loads(sys.argv[2])))))
