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

import numpy as np

from ronghe.apps.contract import Result
from ronghe.demo.prepare import TAGS, write_folder
from ronghe.demo.rig import Rig
from ronghe.signals import Batch

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
        [sys.executable, "-m", "ronghe.bench.loop", part, str(amount)], capture_output=True, text=True, timeout=600, check=False
    )
    if done.returncode:
        raise RuntimeError(f"the {part} part failed:\n{done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


async def latency(rows: int, folder: Path) -> dict[str, Any]:
    """One equipment with eight sensors, the demonstration's app and model; rows come 3 ms apart, as one batch each."""
    from ronghe.edge.node import Node
    from ronghe.plant import load

    write_folder(folder, 1, 1)
    plant = load(folder)
    node = Node(msgspec_without_connections(plant))
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
    rig = Rig()
    every = round(runner.app.wants().every * 1e9)
    start = time.time_ns() // every * every
    for i in range(rows):
        sample = rig.step()
        batch = Batch.of(node.index, list(TAGS.values()), start + (i + 1) * every, [sample[s] for s in TAGS])
        done.clear()
        began[0] = time.perf_counter_ns()
        cpu = time.thread_time()
        node.take(batch)
        compute[i] += (time.thread_time() - cpu) * 1e6
        await done.wait()
        await asyncio.sleep(0.003)
    await node.stop()
    warm = slice(rows // 10, None)
    return {
        "compute_p50_us": float(np.percentile(compute[warm], 50)),
        "compute_p99_us": float(np.percentile(compute[warm], 99)),
        "end_to_end_p50_us": float(np.percentile(whole[warm], 50)),
        "end_to_end_p99_us": float(np.percentile(whole[warm], 99)),
        "rows": rows,
        "protocol": "a batch of 8 sensor values enters the node (scaling, range check, latest values, recorder) and is put on the grid, scored "
        "and explained by maintenance.detect in its own thread; compute = CPU time of both threads on that path, end to end = wall time from "
        "the batch's entry to the app's result; historian recording meanwhile; first tenth left out",
    }


def msgspec_without_connections(plant: Any) -> Any:
    """The same plant with nothing to connect to: the benchmark itself is the device."""
    import msgspec

    return msgspec.structs.replace(plant, connections={})


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        part, amount = sys.argv[1], int(sys.argv[2])
        print(json.dumps(asyncio.run({"latency": latency}[part](amount, Path(name)))))
