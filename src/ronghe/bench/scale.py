"""`ronghe bench scale`: one long query and one training fan-out, on one process and on a Ray cluster of two nodes on this machine.

What it shows is that the answers are the same and that a worker killed midway is made good. On the few cores of one machine a cluster
cannot be faster than a pool of processes: its times say what it costs, not what it gains.
"""

from __future__ import annotations

import importlib
import os
import platform
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil
import pyarrow as pa

from ronghe.cloud.lake import Lake
from ronghe.cloud.lake.fanout import fanout
from ronghe.cloud.lake.train import Job, Learned, jobs, learn_one

_QUERY: Final = """
    SELECT plant, tag, date_trunc('day', time) AS day, count(*) AS n, avg(value) AS mean, min(value) AS low, max(value) AS high,
           stddev_pop(value) AS spread, sum(CASE WHEN quality = 0 THEN 1 ELSE 0 END) AS good
    FROM samples WHERE time >= '2026-01-01T00:00:00Z' GROUP BY plant, tag, date_trunc('day', time) ORDER BY spread DESC LIMIT 1000"""
_START: Final = 1_767_225_600_000_000_000  # 2026-01-01T00:00:00Z
_TOLERANCE: Final = 1e-9  # of a float's size: sums are added up in another order
_STORE: Final = 200_000_000  # bytes of shared memory of a node


def run(full: bool = False) -> dict[str, Any]:
    """The whole comparison. `full`: ten times as many samples, which takes minutes."""
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="ronghe-bench-scale-"))
    try:
        lake = Lake(folder / "lake")
        size = _fill(lake, plants=4, equipment=2, rows=100_000 if full else 10_000)
        work = jobs(lake, folder / "models", start=_START, end=_START + size["span"], every=size["every"], clock=lambda: 0)
        (folder / "models").mkdir()
        answer, here = _timed(lambda: lake.query(_QUERY))
        learned, alone = _timed(lambda: [learn_one(j) for j in work])
        first = _packages(learned)
        with _killing(lambda: _children("multiprocessing.spawn")) as killed:
            after, recovered = _timed(lambda: fanout(learn_one, work))
        survived = {"killed": len(killed), "same": _packages(after) == first, "s": recovered}
        found: dict[str, Any] = {
            "samples": size["samples"],
            "query": {"one_process_s": here},
            "training": {
                "equipment": len(work),
                "one_process_s": alone,
            },
            "worker_killed": {"processes": survived},
        }
        _on_cluster(found, lake, answer, work, first)
        return {**found, "protocol": _protocol(size, len(answer)), "seconds": round(time.monotonic() - began, 1)}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _on_cluster(found: dict[str, Any], lake: Lake, answer: pa.Table, work: list[Job], first: dict[str, str]) -> None:
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # before Ray is imported: it tells its makers nothing
    ray: Any = importlib.import_module("ray")
    clusters: Any = importlib.import_module("ray.cluster_utils")

    began = time.monotonic()
    head = {"num_cpus": 1, "object_store_memory": _STORE, "include_dashboard": False}
    cluster = clusters.Cluster(initialize_head=True, head_node_args=head)
    try:
        cluster.add_node(num_cpus=1, object_store_memory=_STORE)
        found["cluster"] = {"nodes": 2, "cores_each": 1, "start_s": round(time.monotonic() - began, 2)}
        cold, cold_s = _timed(lambda: lake.query(_QUERY, "ray", cluster.address))
        warm, warm_s = _timed(lambda: lake.query(_QUERY, "ray", cluster.address))
        apart = max(_apart(answer, cold), _apart(answer, warm))
        found["query"] |= {
            "cluster_first_s": cold_s,
            "cluster_s": warm_s,
            "time_ratio": round(warm_s / found["query"]["one_process_s"], 2),
            "same": answer.schema == warm.schema and apart <= _TOLERANCE,
            "apart": apart,
        }
        learned, taken = _timed(lambda: fanout(learn_one, work, on="ray"))
        found["training"] |= {
            "cluster_s": taken,
            "time_ratio": round(taken / found["training"]["one_process_s"], 2),
            "cluster_same": _packages(learned) == first,
        }
        with _killing(lambda: _children("ray::_call")) as killed:
            after, recovered = _timed(lambda: fanout(learn_one, work, on="ray"))
        found["worker_killed"]["ray"] = {"killed": len(killed), "same": _packages(after) == first, "s": recovered}
    finally:
        ray.shutdown()
        cluster.shutdown()


def _fill(lake: Lake, *, plants: int, equipment: int, rows: int) -> dict[str, int]:
    """Samples of 90 days: for each equipment five tags that move together, sampled every so often that there are `rows` each."""
    rng = np.random.default_rng(6)
    span = 90 * 86_400_000_000_000
    every = span // rows // 1_000_000_000 * 1_000_000_000
    at = pa.array(_START + np.arange(rows) * every).cast(pa.timestamp("ns", tz="UTC"))
    names = ("current", "flow", "pressure", "temperature", "vibration")
    for plant in range(plants):
        tables = []
        for machine in range(equipment):
            load = np.sin(np.arange(rows) * every / 86_400e9 * 2 * np.pi) + rng.normal(0, 0.3, rows)
            for k, name in enumerate(names):
                value = np.round(50 + 10 * k + 4 * load + rng.normal(0, 1, rows), 2)
                columns = {"tag": pa.array([f"line1/machine{machine}/{name}"]).take(pa.array(np.zeros(rows, np.int32))), "time": at}
                quality = np.where(rng.random(rows) < 0.001, 0x80000000, 0).astype(np.uint32)
                tables.append(pa.table({**columns, "value": value, "quality": quality}))
        lake.add(f"acme/plant{plant}/area", pa.concat_tables(tables))
    return {"samples": plants * equipment * len(names) * rows, "span": span, "every": every}


def _timed(work: Callable[[], Any]) -> tuple[Any, float]:
    began = time.perf_counter()
    found = work()
    return found, round(time.perf_counter() - began, 3)


def _packages(learned: list[Learned]) -> dict[str, str]:
    """Equipment → hash of its package, or why there is none."""
    return {f"{x.plant}/{x.equipment}": x.hash or str(x.why) for x in learned}


def _apart(one: pa.Table, other: pa.Table) -> float:
    """The largest relative difference of two answers; infinite when anything but a float differs."""
    if one.schema != other.schema or len(one) != len(other):
        return float("inf")
    worst = 0.0
    for name in one.column_names:
        a, b = one.column(name), other.column(name)
        if not pa.types.is_floating(a.type):
            worst = max(worst, 0.0 if a.equals(b) else float("inf"))
            continue
        x, y = a.to_numpy(zero_copy_only=False), b.to_numpy(zero_copy_only=False)
        if not np.array_equal(np.isnan(x), np.isnan(y)):
            return float("inf")
        worst = max(worst, float(np.nanmax(np.abs(x - y) / np.maximum(np.abs(x), 1e-300))))
    return worst


def _children(named: str) -> list[psutil.Process]:
    """Processes below this one whose command holds a text."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if named in " ".join(process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


@contextmanager
def _killing(workers: Callable[[], list[psutil.Process]]) -> Iterator[list[int]]:
    """Kills (-9) one worker once it has worked for a little; gives the ids of those that it killed."""
    killed: list[int] = []
    stop = threading.Event()

    def hunt() -> None:
        while not stop.wait(0.02):
            busy = [p for p in workers() if _busy(p)]
            if busy:
                busy[0].kill()
                killed.append(busy[0].pid)
                return

    hunter = threading.Thread(target=hunt, name="kills a worker")
    hunter.start()
    try:
        yield killed
    finally:
        stop.set()
        hunter.join()


def _busy(process: psutil.Process) -> bool:
    try:
        return bool(sum(process.cpu_times()[:2]) > 0.3)
    except psutil.Error:
        return False


def _protocol(size: dict[str, int], groups: int) -> dict[str, Any]:
    return {
        "samples": "4 plants x 2 machines x 5 tags, 90 days, 1 in 1000 Bad, in a Delta table on the local disk",
        "query": f"per plant, tag and day: count, mean, min, max, deviation, share of Good; the {groups} least steady, in order",
        "training": f"maintenance.detect learned for each machine, a row every {size['every'] // 1_000_000_000} s; a package each",
        "one_process": "DuckDB here with all cores; training in a loop",
        "cluster": "two Ray nodes of one core each on this machine; Daft for the query; `cluster_first_s` starts its workers",
        "same": f"same columns, types, rows and order; floats within {_TOLERANCE:g}; same hashes of all packages",
        "time_ratio": "cluster / one process. On one machine a cluster gains nothing but the core that the loop leaves idle",
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, load {os.getloadavg()[0]:.2f}",
    }
