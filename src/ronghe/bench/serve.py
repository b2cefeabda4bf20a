"""`ronghe bench serve`: models as a service beside a bare endpoint and MLflow's scoring server, in the same run.

A small graph (64 numbers in, 8 out, two hidden layers) shows what a service adds to the graph itself; a large one (20 MB of weights, which
one row or thirty-two read alike) shows what running requests together gives. Every server is a process; all are asked in turn, round by
round, over connections that are kept, by one client that does nothing else. NVIDIA's
Triton, for which the bare endpoint stands, is not on PyPI, and is not measured.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from ronghe.bench import serve_mlflow, serve_servers
from ronghe.models import Manifest, Package, Training, graph, save
from ronghe.models.runtime import Session

SMALL: Final = (64, 128, 128, 8)
LARGE: Final = (512, 2048, 2048, 512)
MANY: Final = 8
_ROUND: Final = 1.0  # s


def run(*, full: bool = False) -> dict[str, Any]:
    """Latency in µs over onnxruntime in process, and requests a second, at one connection and at `MANY`."""
    rounds = 10 if full else 3
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small, large = _written(folder, "small", SMALL), _written(folder, "large", LARGE)
        with _servers(folder, small) as servers:
            result: dict[str, Any] = {"cores": len(os.sched_getaffinity(0)), "connections": MANY}
            result["onnxruntime_us"] = _bare_runs(small)
            result |= _compared(servers, rounds, result["onnxruntime_us"])
        result["batching"] = _batching(folder, large, rounds)
    return result


@dataclass(slots=True)
class Server:
    """A server under test: what is sent, as bytes of HTTP, and what it took, in s."""

    name: str
    port: int
    request: bytes
    took: dict[int, list[float]] = field(default_factory=dict)
    rates: dict[int, list[float]] = field(default_factory=dict)

    def measure(self, connections: int) -> None:
        """One round."""
        begun = time.perf_counter()
        took = asyncio.run(_ask(self.port, self.request, connections, _ROUND))
        self.rates.setdefault(connections, []).append(len(took) / (time.perf_counter() - begun))
        self.took.setdefault(connections, []).extend(took)

    def result(self, connections: int) -> dict[str, float]:
        """p50 and p99 in µs, and requests a second (median of the rounds)."""
        p50, p99 = np.percentile(self.took[connections], [50, 99]) * 1e6
        return {"p50_us": float(p50), "p99_us": float(p99), "per_s": float(np.median(self.rates[connections]))}


def _compared(servers: Sequence[Server], rounds: int, alone: dict[str, float]) -> dict[str, Any]:
    for _ in range(rounds):
        for server in servers:
            server.measure(1)
            server.measure(MANY)
    said: dict[str, Any] = {}
    for s in servers:
        one, many = s.result(1), s.result(MANY)
        added = {"p50_added_us": one["p50_us"] - alone["p50_us"], "p99_added_us": one["p99_us"] - alone["p99_us"]}
        said[s.name] = {**added, "per_s_1": one["per_s"], f"p50_us_{MANY}": many["p50_us"], f"p99_us_{MANY}": many["p99_us"]}
        said[s.name][f"per_s_{MANY}"] = many["per_s"]
    ours = said["ronghe"]
    for other in ("bare", "mlflow"):
        if other not in said:
            said[other] = "absent: it could not be installed"
            continue
        said[f"times_{other}"] = {k: ours[k] / said[other][k] for k in ("per_s_1", f"per_s_{MANY}", "p50_added_us", "p99_added_us")}
    return said


def _batching(folder: Path, large: Path, rounds: int) -> dict[str, Any]:
    on = _ours("ronghe", folder, "large", LARGE[0])
    off = _ours("unbatched", folder, "large", LARGE[0])
    with on as together, off as alone:
        for _ in range(rounds):
            for server in (together, alone):
                server.measure(MANY)
        a, b = together.result(MANY), alone.result(MANY)
    return {"onnxruntime_us": _bare_runs(large, 100)["p50_us"], "on": a, "off": b, "times": a["per_s"] / b["per_s"]}


# --- what is served -----------------------------------------------------------------------------------------------------------------


def _written(folder: Path, name: str, sizes: Sequence[int]) -> Path:
    """A network of these sizes as NAME.onnx, and as a package in NAME/."""
    rng = np.random.default_rng(0)
    nodes, weights, at = [], [], "x"
    for i, (k, m) in enumerate(itertools.pairwise(sizes)):
        weights.append(graph.tensor(f"w{i}", (rng.normal(size=(k, m)) / np.sqrt(k)).astype(np.float32)))
        to = "y" if i == len(sizes) - 2 else f"h{i}"
        nodes.append(graph.node("MatMul", [at, f"w{i}"], [f"p{i}"]))
        nodes.append(graph.node("Relu", [f"p{i}"], [to]))
        at = to
    ends = [graph.value("x", "float32", ["n", sizes[0]])], [graph.value("y", "float32", ["n", sizes[-1]])]
    onnx = graph.model(nodes, weights, *ends)
    manifest = Manifest(
        name=name, version="1", kind="onnx", created=1, ronghe="0", inputs=(), outputs=(), training=Training(sha256="", rows=0)
    )
    (folder / name).mkdir()
    save(folder / name / f"{name}.model", Package(manifest, {}, onnx))
    path = folder / f"{name}.onnx"
    path.write_bytes(onnx)
    return path


def _bare_runs(path: Path, n: int = 3000) -> dict[str, float]:
    """In process: one row, µs."""
    session = Session(path.read_bytes())
    x = np.ones((1, session.takes[0][2][1]), np.float32)
    took = []
    for _ in range(n):
        begun = time.perf_counter()
        session.run(x)
        took.append(time.perf_counter() - begun)
    p50, p99 = np.percentile(took[n // 10 :], [50, 99]) * 1e6
    return {"p50_us": float(p50), "p99_us": float(p99)}


# --- servers ------------------------------------------------------------------------------------------------------------------------


@contextmanager
def _servers(folder: Path, small: Path) -> Iterator[list[Server]]:
    mlflow = serve_mlflow.python()
    with _ours("ronghe", folder, "small", SMALL[0]) as ours, _process("bare", str(small)) as (port, _):
        servers = [ours, Server("bare", port, _binary("small", SMALL[0], ""))]
        if mlflow is None:
            yield servers
            return
        port = serve_servers.free_port()
        process = serve_mlflow.start(mlflow, small, folder / "mlflow", port, serve_servers.environment())
        try:
            if serve_servers.reachable(port, 60):
                servers.append(Server("mlflow", port, _json(SMALL[0])))
            yield servers
        finally:
            process.kill()
            process.wait()


@contextmanager
def _ours(how: str, folder: Path, name: str, size: int) -> Iterator[Server]:
    with _process(how, str(folder / name), str(folder / f"{how}-{name}.sqlite")) as (port, key):
        yield Server(how, port, _binary(name, size, key))


@contextmanager
def _process(*what: str) -> Iterator[tuple[int, str]]:
    command = [sys.executable, "-m", "ronghe.bench.serve_servers", *what]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=serve_servers.environment()) as process:
        try:
            assert process.stdout is not None
            port, _, key = process.stdout.readline().strip().partition(" ")
            serve_servers.reachable(int(port), 30)
            yield int(port), key
        finally:
            process.kill()


# --- the client ---------------------------------------------------------------------------------------------------------------------


def _binary(model: str, size: int, key: str) -> bytes:
    raw = np.ones((1, size), np.float32).tobytes()
    given = {"name": "x", "shape": [1, size], "datatype": "FP32", "parameters": {"binary_data_size": len(raw)}}
    head = msgspec.json.encode({"inputs": [given], "parameters": {"binary_data_output": True}})
    more = f"Inference-Header-Content-Length: {len(head)}\r\n" + (f"Authorization: Bearer {key}\r\n" if key else "")
    return _post(f"/v2/models/{model}/infer", head + raw, more)


def _json(size: int) -> bytes:
    return _post("/invocations", msgspec.json.encode({"inputs": {"x": [[1.0] * size]}}), "Content-Type: application/json\r\n")


def _post(path: str, body: bytes, headers: str) -> bytes:
    return f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


class _Client(asyncio.Protocol):
    """Asks again as soon as it has its answer, until `end`."""

    def __init__(self, request: bytes, end: float) -> None:
        self._request, self._end = request, end
        self.took: list[float] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._got = b""
        self._asked = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asks first."""
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        """A whole answer, or a part of one."""
        self._got += data
        head, blank, body = self._got.partition(b"\r\n\r\n")
        if not blank:
            return
        size = int(next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))[15:])
        if len(body) < size:
            return
        if not head.startswith(b"HTTP/1.1 200"):
            self.done.set_exception(RuntimeError(self._got.decode("latin-1")))
            return
        self._got = b""
        now = time.perf_counter()
        self.took.append(now - self._asked)
        if now < self._end:
            self._ask()
        else:
            self.done.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        """Too early."""
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("closed"))

    def _ask(self) -> None:
        self._asked = time.perf_counter()
        self._transport.write(self._request)


async def _ask(port: int, request: bytes, connections: int, seconds: float) -> list[float]:
    loop, end = asyncio.get_running_loop(), time.perf_counter() + seconds
    made = [await loop.create_connection(lambda: _Client(request, end), "127.0.0.1", port) for _ in range(connections)]
    try:
        await asyncio.gather(*(client.done for _, client in made))
    finally:
        for transport, _ in made:
            transport.close()
    return [t for _, client in made for t in client.took]
