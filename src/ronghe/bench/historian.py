"""`ronghe bench historian`: our store against others, on the same samples and the same questions, in the same run."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from typing import Any, Final

from ronghe.bench.historian_data import RUNS, Size
from ronghe.bench.historian_peers import postgres_programs

_BUDGET: Final = 46.0  # s for everything without `full`; a peer that does not end in time is left out, and that is said
_COMPARED: Final = ("ingest_per_s", "bytes_per_point", "last_all_ms", "raw_ms", "aggregate_ms", "asof_ms", "worst_append_ms")
_PEERS: Final = ("duckdb", "postgres", "sqlite", "chdb", "influxdb")


def run(full: bool = False, *, tags: int = 10_000, samples: int = 1000, peer_samples: int = 100) -> dict[str, Any]:
    """The whole comparison. `full`: the peers too are given all `samples`, which takes minutes."""
    began = time.monotonic()
    size = Size(tags, samples)
    small = size if full else Size(tags, min(peer_samples, samples))
    ours = _measured("ronghe", size)
    same = ours if small == size else _measured("ronghe", small)
    peers: dict[str, Any] = {}
    for name in _PEERS:
        missing = _missing(name)
        left = None if full else began + _BUDGET - time.monotonic()
        peers[name] = {"left_out": missing} if missing else _compared(_measured(name, small, left), same)
    return {
        **{k: v for k, v in ours.items() if k != "answers"},
        "at_peer_size": same if same is ours else {k: same[k] for k in (*_COMPARED, "before_compaction", "cold")},
        "peers": peers,
        "protocol": _protocol(size, small),
        "seconds": round(time.monotonic() - began, 1),
    }


def _missing(name: str) -> str:
    """Why a peer cannot be measured here; empty when it can."""
    if name == "postgres":
        if importlib.util.find_spec("psycopg") is None:
            return "psycopg is not installed: pip install 'ronghe[bench]'"
        return "" if postgres_programs() else "initdb and postgres are not installed"
    if name == "influxdb":
        return "" if shutil.which("influxd") else "influxd is not installed"
    if name == "sqlite":
        return ""
    return "" if importlib.util.find_spec(name) else f"{name} is not installed: pip install 'ronghe[bench]'"


def _measured(name: str, size: Size, seconds: float | None = None) -> dict[str, Any]:
    """One store, in a process and a folder of its own, within a time."""
    with tempfile.TemporaryDirectory(prefix=f"ronghe-bench-{name}-") as folder:
        os.chmod(folder, 0o755)  # PostgreSQL runs as another user  # noqa: S103
        command = [sys.executable, "-m", "ronghe.bench.historian_peers", name, folder, str(size.tags), str(size.samples)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            output, errors = process.communicate(timeout=None if seconds is None else max(seconds, 0.0))
        except subprocess.TimeoutExpired:
            process.terminate()  # it closes its store, and stops a server that it started
            process.communicate()
            return {"left_out": "it did not end within the 50 s of this run; see --full"}
        if process.returncode:
            return {"failed": errors.strip()[-500:]}
        found: dict[str, Any] = json.loads(output.strip().splitlines()[-1])
        return found


def _compared(peer: dict[str, Any], ours: dict[str, Any]) -> dict[str, Any]:
    """A peer's numbers with how many times better ours are at the same size (below 1: the peer is ahead), and whether the answers agree."""
    if "failed" in peer or "left_out" in peer:
        return peer
    better = {}
    for key in _COMPARED:
        high, low = (ours[key], peer[key]) if key == "ingest_per_s" else (peer[key], ours[key])
        better[key] = round(high / max(low, 1e-9), 2)
    agree = all(abs(peer["answers"][k] - v) <= 1e-6 * max(abs(v), 1.0) for k, v in ours["answers"].items())
    return {**{k: v for k, v in peer.items() if k != "answers"}, "ours_times_better": better, "answers_agree": agree}


def _protocol(size: Size, small: Size) -> dict[str, Any]:
    return {
        "samples": f"{size.tags} tags x {size.samples} samples 1 s apart, in batches of one sample of every tag",
        "peer_samples": f"{small.tags} tags x {small.samples} samples; `at_peer_size` is ours at that size, which peers are compared with",
        "values": "level 10..1000 per tag + random walk + Gaussian noise, resolved to 0.01; 1 in 1000 samples Bad",
        "ingest_per_s": "from the first append to everything sealed; each batch durable (fsync) before the next, see `durability`",
        "worst_append_ms": "the longest that one append took, sealing going on behind it",
        "bytes_per_point": "all files (PostgreSQL: the table and its index) after compaction",
        "last_all": "newest value of every tag",
        "raw": "all samples of one tag in the middle of the range",
        "aggregate": "1-minute mean of the Good values of 100 tags, spread over the range, whole span",
        "asof": "50 tags, spread over the range, on a 1 s grid, whole span",
        "timing": f"median of {RUNS} runs on warm caches, the answer whole in the client's memory; `cold`: the first run after opening",
        "order": "queries once before and once after compaction (OPTIMIZE, VACUUM, ours: merging segments); the headline is after",
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, load {os.getloadavg()[0]:.2f}",
    }
