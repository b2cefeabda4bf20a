"""A real server of models, in a process of its own, and a link to it that can be made slow, stall, and be cut: TCP, in user space."""

from __future__ import annotations

import asyncio
import contextlib
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from ronghe.models import Manifest, Package, Training, graph, save


def network(width: int = 24, *, bias: float = 0.0) -> bytes:
    """`x` float32[n, width] → `y` = relu(x·w) + bias, and `z` = x·w."""
    w = np.random.default_rng(0).normal(size=(width, width)).astype(np.float32)
    nodes = [graph.node("MatMul", ["x", "w"], ["z"]), graph.node("Relu", ["z"], ["r"]), graph.node("Add", ["r", "b"], ["y"])]
    ends = [graph.value("y", "float32", ["n", width]), graph.value("z", "float32", ["n", width])]
    numbers = [graph.tensor("w", w), graph.tensor("b", np.full(width, bias, np.float32))]
    return graph.model(nodes, numbers, [graph.value("x", "float32", ["n", width])], ends)


def packed(onnx: bytes, name: str) -> Package:
    """A package that is nothing but this graph."""
    manifest = Manifest(
        name=name, version="1", kind="onnx", created=1, ronghe="0", inputs=(), outputs=(), training=Training(sha256="", rows=0)
    )
    return Package(manifest, onnx=onnx)


def wait(until: Callable[[], object], seconds: float = 30.0) -> None:
    """Returns when it is so; fails when it never is."""
    end = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < end, "it does not come to be so"
        time.sleep(0.02)


class Line:
    """A TCP relay: what comes is passed on `delay` s later, and nothing while it is `stalled`."""

    def __init__(self, to: int) -> None:
        self._to, self.delay, self.stalled = to, 0.0, False
        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(asyncio.start_server(self._take, "127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._to)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(self._carry(reader, there_writer), self._carry(there_reader, writer))
        writer.close()
        there_writer.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await asyncio.sleep(self.delay)
                while self.stalled:
                    await asyncio.sleep(0.005)
                writer.write(data)
        writer.close()

    def close(self) -> None:
        """Cuts it: from now on it is refused."""

        async def end() -> None:
            self._server.close()
            tasks = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a process that serves `plain` and `biased`, two models of the same inputs, to this machine."""
    folder = tmp_path_factory.mktemp("served")
    save(folder / "plain.model", packed(network(), "plain"))
    save(folder / "biased.model", packed(network(bias=1.0), "biased"))
    run = "from ronghe.cli.main import main; main()"
    with subprocess.Popen(
        [sys.executable, "-c", run, "serve", str(folder), "--open", "--port", "0", "--grpc-port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        found = re.search(r"http://[\d.:]+", said)
        assert found is not None, said
        yield found[0]
        process.terminate()


@pytest.fixture
def line(server: str) -> Iterator[Line]:
    """The link to it."""
    line = Line(int(server.rpartition(":")[2]))
    yield line
    line.close()
