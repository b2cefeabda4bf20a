"""Models as a service: REST and gRPC beside each other, in a thread and an event loop of their own."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from ronghe.cloud.serving.answering import Answering
from ronghe.cloud.serving.lanes import Lanes
from ronghe.cloud.serving.rest import Rest
from ronghe.cloud.serving.shelf import Folder, Released, Shelf, Source
from ronghe.cloud.serving.tenants import Tenants
from ronghe.cloud.spec import ServingSpec
from ronghe.errors import CloudError, MissingExtra, RongheError
from ronghe.models.registry import Registry
from ronghe.text import Text


class _Server(uvicorn.Server):
    """Says when it is up, and leaves the signals to whoever started it."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As it was, and then says so."""
        await super().startup(sockets)
        self.up.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@dataclass(slots=True)
class _Running:
    loop: asyncio.AbstractEventLoop
    ended: asyncio.Event
    port: int
    grpc_port: int


class Serving:
    """Serves what a registry holds, or a folder of packages, to tenants; or to its own machine without keys, where `tenants` is None.

    It has a thread and an event loop of its own: however much is asked of it, the rest of a centre is not in its queue.
    """

    def __init__(
        self,
        registry: Registry | Source | Path,
        tenants: Tenants | None,
        spec: ServingSpec | None = None,
        *,
        host: str = "",
        home: Path | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        """`registry`: or a folder of packages, or another `Source`. `host`: by default 127.0.0.1, with a certificate all addresses.

        `home` is the folder that the certificate's path is relative to. Raises CloudError for a host that others reach, where no key is
        needed.
        """
        self._spec = spec or ServingSpec()
        self._host = host or ("0.0.0.0" if self._spec.certificate else "127.0.0.1")  # noqa: S104  (a service, by TLS)
        if tenants is None and not own_machine(self._host):
            raise CloudError(
                Text(
                    f"without keys models are served to this machine only, not on {self._host}",
                    f"无密钥时仅可供本机使用，不能监听 {self._host}",
                ),
                todo=Text(
                    "give 127.0.0.1, or make a tenant with `ronghe tenant add`", "请使用 127.0.0.1，或用 `ronghe tenant add` 新建租户"
                ),
            )
        self._home, self._tenants = home or Path(), tenants
        self.shelf = Shelf(_source(registry, clock), self._spec.models)
        self._running: _Running | None = None
        self._thread: threading.Thread | None = None
        self._failed: BaseException | None = None

    @property
    def url(self) -> str:
        """Of REST, once it has started."""
        assert self._running is not None
        scheme = "https" if self._spec.certificate else "http"
        return f"{scheme}://{'127.0.0.1' if self._host == '0.0.0.0' else self._host}:{self._running.port}"  # noqa: S104

    @property
    def grpc_url(self) -> str:
        """Of gRPC, host:port, once it has started."""
        assert self._running is not None
        return f"{'127.0.0.1' if self._host == '0.0.0.0' else self._host}:{self._running.grpc_port}"  # noqa: S104

    async def start(self) -> None:
        """Loads the models and listens. Raises MissingExtra without gRPC, and CloudError when an address cannot be had."""
        await asyncio.to_thread(self._start)

    async def stop(self) -> None:
        """Answers what is under way, writes down what was counted, and ends. Safe to call twice."""
        await asyncio.to_thread(self._stop)

    def _start(self) -> None:
        try:
            import grpc  # noqa: F401
        except ImportError as e:
            raise MissingExtra("cloud", Text("serving models", "模型服务")) from e
        self.shelf.start()
        if self._tenants is not None:
            self._tenants.meter.start()
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), name="serving", daemon=True)
        self._thread.start()
        started.wait()
        if self._failed is not None:
            failed = self._failed
            self._stop()
            raise failed

    def _stop(self) -> None:
        if self._running is not None:
            self._running.loop.call_soon_threadsafe(self._running.ended.set)
        if self._thread is not None:
            self._thread.join()
            self._thread = self._running = None
        self.shelf.stop()
        if self._tenants is not None:
            self._tenants.meter.stop()

    def view(self) -> dict[str, Any]:
        """What is served and how it goes; numbers since the start."""
        return {
            "models": [
                {
                    "name": m.name,
                    "version": m.version,
                    "hash": m.package_hash,
                    "kind": m.kind,
                    "batched": m.lane.model.rows and m.lane.spec.batch > 1,
                    "calls": m.lane.calls,
                    "runs": m.lane.runs,
                    "compute_s": round(m.lane.compute / 1e9, 6),
                    "waiting": len(m.lane.waiting),
                    "refused": m.lane.refused,
                }
                for m in self.shelf.models
            ],
            "failed": [{"where": where, "text": {"en": e.in_("en"), "zh": e.in_("zh")}} for where, e in self.shelf.failed.items()],
        }

    def _run(self, started: threading.Event) -> None:
        try:
            asyncio.run(self._serve(started))
        except BaseException as e:
            self._failed = e
        finally:
            started.set()

    async def _serve(self, started: threading.Event) -> None:
        from ronghe.cloud.serving import rpc

        lanes = Lanes(self._spec.threads or os.cpu_count() or 1)
        service = Answering(self.shelf, lanes, self._tenants)
        grpc = rpc.server(service, self._spec.largest)
        sock = _listen(self._host, self._spec.port)
        try:
            port = self._bind(grpc)
            config = uvicorn.Config(
                Rest(service, self._spec.largest),
                log_config=None,
                access_log=False,
                lifespan="off",
                ws="none",
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=3,
                ssl_certfile=self._home / self._spec.certificate if self._spec.certificate else None,
                ssl_keyfile=self._home / self._spec.key if self._spec.certificate else None,
            )
            server = _Server(config)
            await grpc.start()
            serving = asyncio.create_task(server.serve(sockets=[sock]))
            await server.up.wait()
            self._running = _Running(asyncio.get_running_loop(), asyncio.Event(), sock.getsockname()[1], port)
            started.set()
            await self._running.ended.wait()
            server.should_exit = True
            await asyncio.gather(serving, grpc.stop(3))
        finally:
            sock.close()
            lanes.close()

    def _bind(self, server: Any) -> int:
        import grpc

        where = f"{self._host}:{self._spec.grpc}"
        if self._spec.certificate:  # REST and gRPC would both blame the port for it
            certificate = self._home / self._spec.certificate
            try:
                ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, self._home / self._spec.key)
            except OSError as e:  # SSLError is one
                raise CloudError(
                    Text(f"the certificate or its key cannot be used: {e}", f"证书或其私钥无法使用：{e}"),
                    where=str(certificate),
                    todo=Text("give a PEM certificate and the key that belongs to it", "请提供 PEM 证书及与之匹配的私钥"),
                ) from e
        try:
            if not self._spec.certificate:
                return int(server.add_insecure_port(where))
            pair = (self._home / self._spec.key).read_bytes(), (self._home / self._spec.certificate).read_bytes()
            return int(server.add_secure_port(where, grpc.ssl_server_credentials([pair])))
        except (RuntimeError, OSError) as e:
            raise _taken(where, str(e)) from e


def _source(registry: Registry | Source | Path, clock: Callable[[], int]) -> Source:
    if isinstance(registry, Path):
        return Folder(registry)
    return Released(registry, clock) if isinstance(registry, Registry) else registry


def own_machine(host: str) -> bool:
    """Whether only programs on this machine reach an address."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _listen(host: str, port: int) -> socket.socket:
    try:
        sock = socket.create_server((host, port), backlog=1024)
    except OSError as e:
        raise _taken(f"{host}:{port}", e.strerror or str(e)) from e
    sock.setblocking(False)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # connections inherit it; asyncio sets it on sockets of its own only
    return sock


def _taken(where: str, why: str) -> RongheError:
    return CloudError(
        Text(f"models cannot be served there: {why}", f"无法在该地址提供模型服务：{why}"),
        where=where,
        todo=Text("choose other ports; 0: a free one", "请另选端口，0 为自动选择"),
    )
