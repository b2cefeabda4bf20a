"""The hub: nats-server processes at the centre that hold the stream, one, or three of which one may die.

Each is given a configuration file, TLS with client certificates (`verify_and_map`: the subject of a certificate is the user), a store that
is synced before anything is acknowledged (`sync_interval: always`), and for every node the right to publish its own subjects and to hear
the answers, nothing else. Who may come changes by a reload that drops nobody else.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import logging
import os
import shutil
import signal
import socket
import ssl
import sys
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from ronghe.bus import subjects
from ronghe.bus.jetstream import JetStream, Stream
from ronghe.errors import BusError, ConnectError, MissingExtra
from ronghe.plant.quantity import parse_size
from ronghe.signals.when import parse_duration
from ronghe.text import Text

log = logging.getLogger(__name__)

OWN: Final = "CN=centre"
"""The user that may do everything: the centre's own parts."""
_SELF: Final = "localhost"  # the name in the servers' own certificate, by which the hub comes to make the stream
_PAYLOAD: Final = 8_000_000  # bytes; the most that one message may have
_AGAIN: Final = (0.2, 1.0, 5.0)  # s before a server that died is started again, more each time
_READY: Final = 20.0  # s until servers must answer and, if three, have elected a leader


class Spec(Protocol):
    """What is asked of a hub: the `[hub]` table of cloud.toml."""

    @property
    def servers(self) -> int: ...
    @property
    def port(self) -> int: ...
    @property
    def url(self) -> str: ...
    @property
    def keep(self) -> str: ...
    @property
    def most(self) -> str: ...


class _Server(msgspec.Struct):
    """One process, and where it listens."""

    name: str
    port: int
    route: int
    process: asyncio.subprocess.Process | None = None
    watch: asyncio.Task[None] | None = None


class Hub:
    """`folder` keeps configuration, ports and the stream. Without `ca` and `server`, it is plain and open to 127.0.0.1 only: for tests."""

    def __init__(
        self, folder: Path, spec: Spec, *, address: str = "127.0.0.1", ca: Path | None = None, server: tuple[Path, Path] | None = None
    ) -> None:
        """`address`: the host by which nodes come; `ca`: PEM of the authority whose certificates are let in; `server`: (certificate, key)
        of the servers, with `address`, `localhost` and 127.0.0.1 among its names."""
        self._folder, self._spec, self._address, self._ca, self._cert = folder, spec, address, ca, server
        self._servers: list[_Server] = []
        self._nodes: dict[str, str] = {}
        self._stopping = False

    @property
    def url(self) -> str:
        """Where nodes come to; several, comma between, when there are three."""
        if self._spec.url:
            return self._spec.url
        return self._urls(self._address)

    @property
    def stream(self) -> Stream:
        """How the stream is made, for `JetStream`."""
        return Stream(replicas=self._spec.servers, keep=parse_duration(self._spec.keep) / 1e9, most=parse_size(self._spec.most))

    async def start(self) -> None:
        """Starts the servers and makes the stream; comes back when it can be used. Raises BusError, MissingExtra."""
        if self._spec.url:
            return
        if self._spec.servers == 2:
            raise BusError(
                Text("two servers are no better than one: neither may die", "两台服务器并不比一台可靠：任一台都不能停"),
                where="[hub] servers",
                todo=Text("choose 1 or 3", "请选择 1 或 3"),
            )
        self._folder.mkdir(parents=True, exist_ok=True)
        self._nodes = json.loads(_read(self._folder / "nodes.json") or "{}")
        self._servers = self._place()
        self._stopping = False
        for s in self._servers:
            self._end_orphan(s)
            self._write(s)
            await self._begin(s)
            s.watch = asyncio.create_task(self._keep(s), name=f"hub {s.name}")
        try:
            await self._make_stream()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stops the servers. Safe to call twice."""
        self._stopping = True
        for s in self._servers:
            if s.watch is not None:
                s.watch.cancel()
            if s.process is not None and s.process.returncode is None:
                s.process.terminate()
        for s in self._servers:
            if s.process is not None:
                try:
                    await asyncio.wait_for(s.process.wait(), 10)
                except TimeoutError:
                    s.process.kill()
                    await s.process.wait()
            if s.watch is not None:
                await asyncio.gather(s.watch, return_exceptions=True)
            s.process = s.watch = None

    async def add_node(self, name: str, plant: str) -> None:
        """Lets in the certificate `CN=name`, to send what is of that node of the plant. Others stay connected."""
        await self._change({**self._nodes, name: plant})

    async def remove_node(self, name: str) -> None:
        """Lets it in no longer, and ends its connection."""
        await self._change({n: p for n, p in self._nodes.items() if n != name})

    def view(self) -> list[dict[str, Any]]:
        """Each server: name, port, pid, whether it is up."""
        return [
            {
                "name": s.name,
                "port": s.port,
                "pid": s.process.pid if s.process else None,
                "up": s.process is not None and s.process.returncode is None,
            }
            for s in self._servers
        ]

    # Configuration

    def _urls(self, host: str) -> str:
        return ",".join(f"{'tls' if self._cert else 'nats'}://{host}:{s.port}" for s in self._servers)

    def _place(self) -> list[_Server]:
        """Ports stay what they were: nodes know them."""
        path = self._folder / "ports.json"
        known: list[list[int]] = json.loads(_read(path) or "[]")
        servers = []
        for i in range(self._spec.servers):
            port, route = known[i] if i < len(known) else (0, 0)
            if self._spec.port:
                port = self._spec.port + i
            servers.append(_Server(f"hub-{i + 1}", port or _free_port(), route or _free_port()))
        _replace(path, json.dumps([[s.port, s.route] for s in servers]))
        return servers

    def _file(self, s: _Server) -> Path:
        return self._folder / f"{s.name}.conf"

    def _write(self, s: _Server) -> None:
        """JSON is what nats-server's format contains."""
        config: dict[str, Any] = {
            "server_name": s.name,
            "listen": f"{'0.0.0.0' if self._cert else '127.0.0.1'}:{s.port}",  # noqa: S104 - nodes come from elsewhere, with certificates
            "pid_file": str(self._folder / f"{s.name}.pid"),
            "log_file": str(self._folder / f"{s.name}.log"),
            "logfile_size_limit": 10_000_000,
            "logfile_max_num": 3,
            "max_payload": _PAYLOAD,
            "ping_interval": "10s",
            "ping_max": 2,
            "jetstream": {
                "store_dir": str(self._folder / s.name),
                "max_file_store": parse_size(self._spec.most) + 1_000_000_000,
                "max_memory_store": 64_000_000,
                "sync_interval": "always",
            },
        }
        if len(self._servers) > 1:
            routes = [f"nats://127.0.0.1:{o.route}" for o in self._servers if o is not s]
            config["cluster"] = {"name": "ronghe", "listen": f"127.0.0.1:{s.route}", "routes": routes}
        if self._cert and self._ca:
            cert, key = map(str, self._cert)
            config["tls"] = {"cert_file": cert, "key_file": key, "ca_file": str(self._ca), "verify_and_map": True, "timeout": 5}
            everybody = [{"user": OWN}, {"user": _SELF}, *(_user(n, p) for n, p in sorted(self._nodes.items()))]
            config["authorization"] = {"users": everybody, "timeout": 5}
        _replace(self._file(s), json.dumps(config, indent=1))

    async def _change(self, nodes: dict[str, str]) -> None:
        if nodes == self._nodes or self._spec.url:
            return
        self._nodes = nodes
        _replace(self._folder / "nodes.json", json.dumps(nodes))
        for s in self._servers:
            self._write(s)
            if s.process is not None and s.process.returncode is None:
                s.process.send_signal(signal.SIGHUP)

    # Processes

    def _end_orphan(self, s: _Server) -> None:
        """A server that outlived the centre that started it (it is still ending, or this is no Linux) holds the port and the store."""
        import psutil

        with contextlib.suppress(psutil.Error, ValueError):
            process = psutil.Process(int(_read(self._folder / f"{s.name}.pid") or ""))
            if str(self._file(s)) in process.cmdline():
                log.warning("%s of an earlier run still runs (pid %s) and is ended", s.name, process.pid)
                process.terminate()
                try:
                    process.wait(10)
                except psutil.TimeoutExpired:
                    process.kill()
                    process.wait(10)

    async def _begin(self, s: _Server) -> None:
        away = asyncio.subprocess.DEVNULL
        command = [server_command(), "-c", str(self._file(s))]
        # In a session of its own: Ctrl-C is for us, and we stop it last.
        s.process = await asyncio.create_subprocess_exec(
            *command, stdin=away, stdout=away, stderr=away, start_new_session=True, preexec_fn=_end_with_us
        )

    async def _keep(self, s: _Server) -> None:
        """Starts it again when it died."""
        died = 0
        while s.process is not None:
            begun = asyncio.get_running_loop().time()
            code = await s.process.wait()
            if self._stopping:
                return
            died = 1 if asyncio.get_running_loop().time() - begun > 60 else died + 1
            log.error("%s ended by itself (%s) and is started again; see %s", s.name, code, self._folder / f"{s.name}.log")
            await asyncio.sleep(_AGAIN[min(died, len(_AGAIN)) - 1])
            with contextlib.suppress(OSError):
                await self._begin(s)

    async def _make_stream(self) -> None:
        tls = None
        if self._cert and self._ca:
            tls = ssl.create_default_context(cafile=str(self._ca))
            tls.load_cert_chain(*self._cert)
        bus = JetStream(self._urls("127.0.0.1"), name="hub", tls=tls, stream=self.stream)
        deadline = asyncio.get_running_loop().time() + _READY
        try:
            while True:
                try:
                    return await bus.connect()
                except ConnectError as e:
                    if asyncio.get_running_loop().time() > deadline:
                        last = _last_line(self._folder / f"{self._servers[0].name}.log")
                        raise BusError(
                            Text(
                                f"the hub does not start: {e.what.en}; it said: {last}",
                                f"消息中心无法启动：{e.what.in_('zh')}；日志：{last}",
                            ),
                            where=str(self._folder),
                            todo=Text("see the log there", "请查看该处日志"),
                        ) from e
                await asyncio.sleep(0.1)
        finally:
            await bus.close()


def server_command() -> str:
    """nats-server, of this Python's environment or on the PATH. Raises MissingExtra."""
    beside = Path(sys.executable).parent / "nats-server"
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise MissingExtra("cloud", Text("the hub", "消息中心"))
    return found


_LIBC: Final = ctypes.CDLL(None) if sys.platform == "linux" else None


def _end_with_us() -> None:
    """In the new process: SIGTERM when the thread that started it is gone, also by kill -9 (PR_SET_PDEATHSIG, prctl(2))."""
    if _LIBC is not None:
        _LIBC.prctl(1, signal.SIGTERM)


def _user(node: str, plant: str) -> dict[str, Any]:
    live = subjects.of_node(plant, node)
    rights = {"publish": {"allow": [live, subjects.late(live)]}, "subscribe": {"allow": [f"{subjects.inbox(node)}.>"]}}
    return {"user": f"CN={node}", "permissions": rights}


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def _read(path: Path) -> str:
    with contextlib.suppress(FileNotFoundError):
        return path.read_text()
    return ""


def _replace(path: Path, text: str) -> None:
    aside = path.with_suffix(".new")
    aside.write_text(text)
    os.replace(aside, path)


def _last_line(path: Path) -> str:
    return (_read(path).strip().splitlines() or [""])[-1]
