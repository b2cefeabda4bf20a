"""`ronghe bench place`: one model between edge and workshop, on a link that is 5G with stalls, then far, then cut, then 5G again.

Edge and workshop are network namespaces of the kernel with a real TCP between them (`ronghe.bench.net`, needs root); the workshop is
`ronghe serve` in a process of its own, the edge another. In the same minutes the same model is called at the workshop always.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np

from ronghe.apps.quality.classes.look import network
from ronghe.bench.net import CUT, FAR, FIVE_G, Net, Way
from ronghe.cloud.serving import Tenants
from ronghe.errors import RongheError
from ronghe.models import Manifest, Package, Training, save
from ronghe.text import Text

DEADLINE_MS: Final = 100.0
RATE: Final = 10.0  # calls a second
PHASES: Final[tuple[tuple[str, Way, float], ...]] = (("5g", FIVE_G, 15.0), ("far", FAR, 7.0), ("cut", CUT, 6.0), ("5g_again", FIVE_G, 15.0))


def run(full: bool = False) -> dict[str, Any]:
    """Numbers by phase, and the moves with their reasons. `full`: four times as long. Raises RongheError without root."""
    times = 4.0 if full else 1.0
    with tempfile.TemporaryDirectory() as folder, Net(("edge", "workshop")) as net:
        model = Path(folder) / "look.model"
        nothing = Training(sha256="", rows=0)
        manifest = Manifest(name="look", version="1", kind="onnx", created=1, ronghe="", inputs=(), outputs=(), training=nothing)
        save(model, Package(manifest, onnx=network()))
        tenants = Tenants(Path(folder) / ".ronghe" / "tenants.sqlite")
        tenants.add("line")
        key = tenants.key("line", models=["look"])
        tenants.close()
        at = net.address("workshop")
        serve = [sys.executable, "-c", "from ronghe.cli.main import main; main()", "serve", folder, "--host", at, "--port", "8200"]
        server = net.popen("workshop", [*serve, "--grpc-port", "0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            assert server.stdout is not None
            if "http" not in server.stdout.readline():
                raise RongheError(Text("the workshop's server does not start", "车间服务器未能启动"))
            seen, begun = _edge(net, f"http://{at}:8200", model, key, times)
        finally:
            server.terminate()
            server.wait()
    return _told(seen, begun)


def _edge(net: Net, url: str, model: Path, key: str, times: float) -> tuple[dict[str, Any], list[float]]:
    """What the edge tells, and when each phase began and the last ended."""
    net.set("edge", "workshop", PHASES[0][1])
    seconds = times * sum(p[2] for p in PHASES)
    command = [sys.executable, "-m", "ronghe.bench.place_edge", url, str(model), f"{DEADLINE_MS}ms", str(seconds), str(RATE)]
    edge = net.popen("edge", command, stdout=subprocess.PIPE, text=True, env={**os.environ, "SITE_KEY": key})
    assert edge.stdout is not None
    if edge.stdout.readline().strip() != "up":
        edge.wait()
        raise RongheError(Text("the edge does not start", "边缘节点未能启动"))
    begun = [time.monotonic()]
    for _, way, long in PHASES:
        if way is not PHASES[0][1] or len(begun) > 1:
            net.set("edge", "workshop", way)
        time.sleep(max(0.0, begun[-1] + times * long - time.monotonic()))
        begun.append(time.monotonic())
    told: dict[str, Any] = json.loads(edge.communicate()[0])
    return told, begun


def _told(seen: dict[str, Any], begun: list[float]) -> dict[str, Any]:
    phases: dict[str, Any] = {}
    for (name, _, _), (start, end) in zip(PHASES, pairwise(begun), strict=True):
        mine = [(ms, place) for (at, ms), place in zip(seen["calls"], seen["places"], strict=True) if start <= at < end]
        theirs = [ms for at, ms in seen["always"] if start <= at < end]
        phases[name] = {
            "calls": len(mine),
            "missed": sum(ms > DEADLINE_MS for ms, _ in mine),
            "p50_ms": float(np.median([ms for ms, _ in mine])),
            "worst_ms": max(ms for ms, _ in mine),
            "at_workshop": sum(place == "workshop" for _, place in mine) / len(mine),
            "always_workshop_missed": sum(ms > DEADLINE_MS for ms in theirs) / max(len(theirs), 1),
        }
    runs = seen["view"]["models"][0]["runs"]
    return {
        "deadline_ms": DEADLINE_MS,
        "calls": len(seen["calls"]),
        "missed": sum(p["missed"] for p in phases.values()),
        "always_workshop_missed": sum(ms > DEADLINE_MS for _, ms in seen["always"]) / len(seen["always"]),
        "moves": len(seen["moves"]),
        "overtaken": runs["overtaken"],
        "held": runs["held"],
        "failed": runs["failed"],
        **phases,
        "moved": {f"{m['time'] - begun[0]:.1f} s": f"{m['from']} → {m['to']}: {m['why']['en']}" for m in seen["moves"]},
        "at_the_end": {o["site"]: o["why"]["en"] for o in seen["view"]["models"][0]["options"]},
    }
