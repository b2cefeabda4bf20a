"""`ronghe bench loop`: how long from a sample to a decision, and what one node costs with 10,000 tags at 1 Hz.

Each part runs in a process of its own, so that what is measured is a node and nothing else.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ronghe.apps.contract import Result
from ronghe.apps.maintenance.cause import Measured
from ronghe.apps.maintenance.normal import learn
from ronghe.apps.maintenance.packing import pack
from ronghe.bench import peers
from ronghe.demo.prepare import TAGS, Ports, write_folder
from ronghe.demo.rig import Rig
from ronghe.models import save
from ronghe.signals import Batch
from ronghe.text import Text

TAGS_IN_ALL, EQUIPMENT = 10_000, 100


def run(*, full: bool = False) -> dict[str, Any]:
    """Both parts. Keys: see the `protocol` of each."""
    latency = _child("latency", 20_000 if full else 3_000)
    load = _child("load", 60 if full else 15)
    return {
        "bench": "loop",
        **latency,
        **load,
        "load_average": os.getloadavg()[0],
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }


def _child(part: str, amount: int) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "ronghe.bench.loop", part, str(amount)],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # as `ronghe up` does
    )
    if done.returncode:
        raise RuntimeError(f"the {part} part failed:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


async def latency(rows: int, folder: Path) -> dict[str, Any]:
    """One equipment with eight sensors, the demonstration's app and model; rows come 3 ms apart, as one batch each."""
    from ronghe.edge.node import Node
    from ronghe.plant import load

    write_folder(folder, Ports(rig=1, meter=1, hall=1, camera=1))
    plant = load(folder)
    app = plant.apps["rig-state"]
    guards = {tag: guard for tag, guard in plant.guards.items() if tag.startswith(app.equipment)}
    node = Node(msgspec.structs.replace(plant, connections={}, apps={app.name: app}, guards=guards))  # the benchmark itself is the device
    await node.start()
    runner = next(iter(node.runners.values()))
    began, compute, whole, spent = [0], np.zeros(rows), np.zeros(rows), [0.0]
    push, took = runner.grid.push, runner._took
    done = asyncio.Event()
    loop = asyncio.get_running_loop()

    def timed_push(batch: Batch) -> Any:
        spent[0] = time.thread_time()
        return push(batch)

    def timed_took(result: Result, at: int) -> None:
        whole[i] = (time.perf_counter_ns() - began[0]) / 1e3
        compute[i] += (time.thread_time() - spent[0]) * 1e6
        took(result, at)
        loop.call_soon_threadsafe(done.set)

    runner.grid.push = timed_push  # type: ignore[method-assign]
    runner._took = timed_took
    rig, setpoints = Rig(), [t for t in runner.grid.tags if t not in TAGS.values()]
    every = runner.grid.every
    # Played from the past, as a recording is, so that rows may come faster than their times and no clock completes them.
    start = (time.time_ns() - (rows + 36_000) * every) // every * every
    for i in range(rows):
        sample = rig.step()
        values = [sample[s] for s in TAGS] + [60.0] * len(setpoints)
        batch = Batch.of(node.index, [*TAGS.values(), *setpoints], start + (i + 1) * every, values)
        done.clear()
        began[0] = time.perf_counter_ns()
        cpu = time.thread_time()
        node.take(batch)
        compute[i] += (time.thread_time() - cpu) * 1e6
        await asyncio.wait_for(done.wait(), 10)
        await asyncio.sleep(0.003)
    await node.stop()
    warm = slice(rows // 10, None)
    return {
        "compute_p50_us": float(np.percentile(compute[warm], 50)),
        "compute_p99_us": float(np.percentile(compute[warm], 99)),
        "end_to_end_p50_us": float(np.percentile(whole[warm], 50)),
        "end_to_end_p99_us": float(np.percentile(whole[warm], 99)),
        "rows": rows,
        "protocol": "a batch of 8 sensor values and 2 set-points enters the node (scaling, range, latest values, recorder) and is put on "
        "the grid, scored and explained by maintenance.detect in its own thread; compute = CPU time of both threads on that path, end to "
        "end = wall time from the batch's entry to the app's result; historian recording meanwhile; first tenth left out",
    }


async def load(seconds: int, folder: Path) -> dict[str, Any]:
    """10,000 tags of a node-opcua server at 1 Hz through driver, apps (one for each of 100 equipments) and historian."""
    from ronghe.edge.node import Node
    from ronghe.plant import load

    place = peers.folder()
    server = subprocess.Popen(
        [peers.node(), str(place / "opcua_server.js"), json.dumps({"pki": str(folder / "pki"), "tags": TAGS_IN_ALL, "every": 1000})],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=place,
        text=True,
    )
    assert server.stdout is not None
    try:
        port = next(json.loads(line)["port"] for line in server.stdout if line.startswith('{"port"'))
        write_large_folder(folder, port)
        node = Node(load(folder))
        await node.start()
        async with asyncio.timeout(60):
            while node.recorder.recorded < 5 * TAGS_IN_ALL:
                await asyncio.sleep(0.5)
        before, recorded, began = time.process_time(), node.recorder.recorded, time.perf_counter()
        rows = sum(r.state.rows for r in node.runners.values())
        await asyncio.sleep(seconds)
        wall = time.perf_counter() - began
        cpu, recorded = time.process_time() - before, node.recorder.recorded - recorded
        rows = sum(r.state.rows for r in node.runners.values()) - rows
        status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
        await node.stop()
    finally:
        server.kill()
    return {
        "cpu_fraction": cpu / wall,
        "rss_mb": int(status["VmRSS"].split()[0]) / 1024,
        "rss_peak_mb": int(status["VmHWM"].split()[0]) / 1024,
        "samples_per_s": recorded / wall,
        "app_rows_per_s": rows / wall,
        "load_protocol": f"one node (no console): {TAGS_IN_ALL} doubles of one node-opcua server, all changing once a second, subscribed; "
        f"{EQUIPMENT} maintenance.detect apps of {TAGS_IN_ALL // EQUIPMENT} tags, models fitted before; every sample recorded durably; "
        f"over {wall:.0f} s after a warm-up of five samples a tag; CPU of the whole process, user and system",
    }


def write_large_folder(folder: Path, port: int) -> None:
    """A plant of 100 equipments with 100 tags each, and a model for each that finds nothing in what the server sends."""
    rng = np.random.default_rng(1)
    each = TAGS_IN_ALL // EQUIPMENT
    names = [f"hall/machine{m:03}/t{t:03}" for m in range(EQUIPMENT) for t in range(each)]
    lines = ["[plant]", 'path = "bench/large"', 'name = "large"', "[connections.server]", 'driver = "opcua"']
    lines.append(f'url = "opc.tcp://127.0.0.1:{port}"')
    for m in range(EQUIPMENT):
        lines += [f"[apps.m{m:03}]", 'uses = "maintenance.detect"', f'equipment = "hall/machine{m:03}"', f'model = "m{m:03}.model"']
        rows = rng.uniform(-1e6, 1e6, (3 * each, each))
        columns = [Measured(n, n, Text(n), "") for n in names[m * each : (m + 1) * each]]
        save(folder / f"m{m:03}.model", pack(learn(rows, window=20), columns, rows, name=f"m{m:03}", created=0))
    (folder / "plant.toml").write_text("\n".join(lines), encoding="utf-8")
    (folder / "dictionary.csv").write_text("property,name_en,unit,type\nlevel,Level,,float\n", encoding="utf-8")
    tags = [f"{n},level,server,nsu=http://example.org/load;i={1000 + i},1s" for i, n in enumerate(names)]
    (folder / "tags.csv").write_text("\n".join(["tag,property,connection,address,every", *tags]), encoding="utf-8")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        part, amount = sys.argv[1], int(sys.argv[2])
        print(json.dumps(asyncio.run({"latency": latency, "load": load}[part](amount, Path(name)))))
