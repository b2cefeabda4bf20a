"""Real servers for the tests: node-opcua in its own process; asyncua's where that lacks something; and a cable between."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import json
import socket
import subprocess
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from asyncua import Server, ua

from ronghe.bench import peers


class NodeServer:
    """bench/peers/opcua_server.js; keeps its port over stop and start."""

    def __init__(self, pki: Path, **config: Any) -> None:
        self.config = {"pki": str(pki), **config}
        self.port = 0
        self.process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"opc.tcp://127.0.0.1:{self.port}"

    def start(self) -> None:
        folder = peers.folder()
        command = [peers.node(), str(folder / "opcua_server.js"), json.dumps({**self.config, "port": self.port})]
        self.process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        said: list[str] = []
        threading.Thread(target=_drain, args=(self.process.stderr, said), daemon=True).start()
        assert self.process.stdout is not None
        while line := self.process.stdout.readline():
            if line.startswith('{"port"'):
                self.port = json.loads(line)["port"]
                threading.Thread(target=_drain, args=(self.process.stdout, said), daemon=True).start()
                return
            said.append(line)
        self.stop()
        raise AssertionError("the server did not start: " + "".join(said)[-2000:])

    def stop(self) -> None:
        """As a power cut would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()


def _drain(pipe: Any, said: list[str]) -> None:
    try:
        said.extend(pipe)
    except ValueError:
        return  # closed


class Proxy:
    """A cable between a client and a server, which can be cut, left dead without a sign, spoil what it carries, or be mended."""

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []
        self._joined: set[asyncio.Task[None]] = set()
        self._dead = False
        self.port = 0
        self.spoil: Callable[[bytes], bytes] | None = None
        """Is given the next bytes from the server, once."""

    @property
    def url(self) -> str:
        return f"opc.tcp://127.0.0.1:{self.port}"

    async def mend(self) -> None:
        self._dead = False
        if self._server is None:
            self._server = await asyncio.start_server(self._join, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Every connection ends, none can be made."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*self._joined, return_exceptions=True)
        self._writers.clear()

    def silence(self) -> None:
        """Connections stay, and carry nothing any more."""
        self._dead = True

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._joined.add(task)
        self._writers.append(writer)
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target)
            self._writers.append(far_writer)
            await asyncio.gather(self._carry(reader, far_writer, back=False), self._carry(far_reader, writer, back=True))
        finally:
            self._joined.discard(task)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, back: bool) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                if back and self.spoil is not None:
                    self.spoil, spoil = None, self.spoil
                    data = spoil(data)
                if not self._dead:
                    writer.write(data)
                    await writer.drain()
        writer.transport.abort()


class Keeper:
    """An asyncua server that keeps history: what node-opcua's open part lacks. It lives in a thread and loop of its own."""

    def __init__(self) -> None:
        self.port = 0
        self.made: dict[str, list[tuple[int, float]]] = {}
        """Every value given to a node: (source time in ns, value)."""
        self._nodes: dict[str, Any] = {}
        self._turn = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def start(self) -> None:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _start(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.server = Server()
        await self.server.init()
        self.server.set_endpoint(f"opc.tcp://127.0.0.1:{self.port}")
        self._space = await self.server.register_namespace("http://example.org/keeper")
        self.server.iserver.history_manager.storage.max_history_data_response_size = 7  # pages, so that every read has several
        await self.server.start()

    async def _stop(self) -> None:
        await self.server.stop()
        left = asyncio.all_tasks() - {asyncio.current_task()}  # of sessions whose cable was cut
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def add(self, name: str, *, history: bool) -> None:
        """A new variable."""
        await self._there(self._add(name, history))

    async def put(self, *names: str, late: float = 0.0) -> None:
        """Gives each node a new value, now, with a source time `late` s ago."""
        await self._there(self._put(names, datetime.timedelta(seconds=late)))

    async def _there(self, work: Coroutine[Any, Any, None]) -> None:
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))

    async def _add(self, name: str, history: bool) -> None:
        self._nodes[name] = await self.server.nodes.objects.add_variable(ua.NodeId(name, self._space), name, 0.0)
        self.made[name] = []
        if history:
            await self.server.historize_node_data_change(self._nodes[name], period=None)

    async def _put(self, names: tuple[str, ...], late: datetime.timedelta) -> None:
        self._turn += 1
        for name in names:
            now = datetime.datetime.now(datetime.UTC)
            value = ua.DataValue(ua.Variant(float(self._turn), ua.VariantType.Double), SourceTimestamp=now - late, ServerTimestamp=now)
            await self.server.write_attribute_value(self._nodes[name].nodeid, value)
            self.made[name].append((round((now - late).timestamp() * 1e6) * 1000, float(self._turn)))
