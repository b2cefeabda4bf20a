"""What nodes ask of the centre: HTTPS with a certificate of the centre's own authority on both sides, and nothing for anybody else.

Only `GET /fleet/ca` (the authority's certificate, public by nature) and `POST /fleet/join` are served without a certificate. Every other
request is answered for the node that its certificate belongs to in the fleet's list, looked up each time: who is removed is out at once.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import uvicorn
from litestar import Litestar, MediaType, Request, Response, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, FromQuery
from litestar.response import Stream
from uvicorn.protocols.http.h11_impl import H11Protocol

from ronghe.bus.fleet import Joined, Joining, Report
from ronghe.cloud.fleet.fleet import Fleet
from ronghe.cloud.fleet.register import RegisterError
from ronghe.errors import CloudError, ModelError, RongheError
from ronghe.text import Text

log = logging.getLogger(__name__)

LONGEST: Final = 25.0  # s that a question for news is held
_LOOK: Final = 1.0  # s between two looks at what is wanted, for changes that nobody rings for
_PIECE: Final = 1 << 18
_BODY: Final = 2_000_000  # bytes of a report
_HASH: Final = re.compile(r"[0-9a-f]{64}")
Call = Request[Any, Any, Any]


class Bell:
    """Wakes everybody who waits. Lives in one event loop."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.closing = False

    def ring(self) -> None:
        """Now."""
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self, most: float) -> None:
        """Until it rings, at most `most` s."""
        try:
            await asyncio.wait_for(self._event.wait(), most)
        except TimeoutError:
            return


class Pace:
    """So many at once, and so many a second after, for each key by itself."""

    def __init__(self, burst: float, rate: float, clock: Callable[[], int]) -> None:
        self._burst, self._rate, self._clock = burst, rate, clock
        self._left: dict[str, tuple[float, int]] = {}

    def takes(self, key: str) -> bool:
        """Whether one more is let through."""
        now = self._clock()
        left, at = self._left.get(key, (self._burst, now))
        left = min(self._burst, left + self._rate * (now - at) / 1e9)
        if len(self._left) > 10_000:
            self._left = {k: v for k, v in self._left.items() if now - v[1] < 60_000_000_000}
        self._left[key] = (left - 1 if left >= 1 else left, now)
        return left >= 1


class Desk(msgspec.Struct, frozen=True, kw_only=True):
    """What the handlers work with. `package` gives the file of a package that is wanted of a node, or None."""

    fleet: Fleet
    bell: Bell
    package: Callable[[str, str], Path | None]
    joins: Pace  # by address
    calls: Pace  # by node
    on_joined: Callable[[Joined], None] = lambda joined: None
    on_report: Callable[[str, Report], None] = lambda node, report: None


class _Refused(CloudError):
    """`status` is of HTTP."""

    def __init__(self, status: int, what: Text, todo: Text | str = "") -> None:
        super().__init__(what, todo=todo)
        self.status = status


@get("/fleet/ca", media_type=MediaType.TEXT, sync_to_thread=False)
def authority(request: Call) -> str:
    """The certificate of the authority, to be held against the fingerprint in a token."""
    desk = _desk(request)
    _pace(desk.joins, _place(request))
    return desk.fleet.authority.certificate.read_text()


@post("/fleet/join", request_max_body_size=20_000)
async def join(request: Call) -> Joined:
    """A token for a certificate, once."""
    desk = _desk(request)
    _pace(desk.joins, _place(request))
    joined = await asyncio.to_thread(desk.fleet.join, await _body(request, Joining))
    desk.on_joined(joined)
    return joined


@get("/fleet/ping", status_code=204)
async def ping(request: Call) -> None:
    """Nothing, at once: the node measures how long it takes."""
    await _node(request)


@get("/fleet/wanted")
async def wanted(request: Call, since: FromQuery[int] = 0, wait: FromQuery[float] = LONGEST) -> Response[Any]:
    """What is wanted of the node, when it is newer than `since`; 204 when nothing is, after `wait` s."""
    desk = _desk(request)
    node = await _node(request)
    until = asyncio.get_running_loop().time() + (wait if 0 <= wait < LONGEST else LONGEST)  # also of nan
    while True:
        now = await asyncio.to_thread(desk.fleet.wanted, node)
        if now.revision != since:
            return Response(now)
        left = until - asyncio.get_running_loop().time()
        if left <= 0 or desk.bell.closing:
            return Response(None, status_code=204)
        await desk.bell.wait(min(left, _LOOK))


@post("/fleet/report", status_code=204, request_max_body_size=_BODY)
async def report(request: Call) -> None:
    """How the node is."""
    desk = _desk(request)
    node = await _node(request)
    told = msgspec.structs.replace(await _body(request, Report), node=node)
    await asyncio.to_thread(desk.fleet.heard, node, told, _place(request))
    desk.on_report(node, told)


@post("/fleet/renew", request_max_body_size=20_000)
async def renew(request: Call) -> Joined:
    """Another certificate, for the key of a request (PEM)."""
    node = await _node(request)
    text = (await request.body()).decode("ascii", "replace")
    return await asyncio.to_thread(_desk(request).fleet.renew, node, text)


@get("/fleet/packages/{hash:str}")
async def package(request: Call, hash: FromPath[str]) -> Stream:
    """The zip of a model package that is wanted of this node."""
    node = await _node(request)
    path = await asyncio.to_thread(_desk(request).package, node, hash) if _HASH.fullmatch(hash) else None
    return await _file(request, path)


@get("/fleet/folders/{hash:str}")
async def folder(request: Call, hash: FromPath[str]) -> Stream:
    """The zip of the plant folder that is wanted of this node."""
    node = await _node(request)
    return await _file(request, await asyncio.to_thread(_desk(request).fleet.folder_of, node, hash))


async def _file(request: Call, path: Path | None) -> Stream:
    """A file from the byte that `Range: bytes=N-` names (RFC 9110), so that a broken transfer goes on where it was."""
    try:
        size = (await asyncio.to_thread(path.stat)).st_size if path is not None else -1
    except FileNotFoundError:
        size = -1
    if path is None or size < 0:
        raise _Refused(404, Text("this is not wanted of this node", "该文件并非下发给此节点"))
    asked = re.fullmatch(r"bytes=(\d{1,15})-", request.headers.get("range", ""))
    start = int(asked[1]) if asked else 0
    if start > size:
        raise _Refused(416, Text(f"the file has {size} bytes", f"文件只有 {size} 字节"))

    async def pieces() -> AsyncIterator[bytes]:
        with path.open("rb") as file:
            file.seek(start)
            while piece := await asyncio.to_thread(file.read, _PIECE):
                yield piece

    headers = {"content-length": str(size - start), "accept-ranges": "bytes"}
    if asked:
        headers["content-range"] = f"bytes {start}-{max(start, size - 1)}/{size}"
    return Stream(pieces(), status_code=206 if asked else 200, headers=headers, media_type="application/zip")


def _desk(request: Call) -> Desk:
    desk: Desk = request.app.state["desk"]
    return desk


async def _node(request: Call) -> str:
    """The node that asks. Raises _Refused for a certificate that is not, or no longer, of the fleet, and for one that asks too often."""
    desk = _desk(request)
    serial = request.scope.get("certificate")
    node = await asyncio.to_thread(desk.fleet.owner, serial) if isinstance(serial, str) else None
    if node is None:
        raise _Refused(403, Text("this certificate is not in the fleet", "该证书不在节点名册中"), Text("join again", "请重新加入"))
    _pace(desk.calls, node)
    return node


def _pace(pace: Pace, key: str) -> None:
    if not pace.takes(key):
        raise _Refused(429, Text("too many requests", "请求过于频繁"), Text("wait a minute", "请稍候一分钟"))


def _place(request: Call) -> str:
    return request.client.host if request.client else ""


async def _body(request: Call, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(await request.body(), type=kind)
    except msgspec.DecodeError as e:
        raise _Refused(400, Text(f"not what is expected here: {e}", f"请求内容不符：{e}")) from e


def _told(request: Call, e: Exception) -> Response[Any]:
    if isinstance(e, NotFoundException):
        e = _Refused(404, Text("nothing is here", "此处无内容"))
    if not isinstance(e, RongheError):
        status = getattr(e, "status_code", 500)
        if status >= 500:
            log.error("%s", request.url.path, exc_info=e)
        e = _Refused(status, Text("this cannot be served", "无法处理该请求"))
    # What is the centre's own trouble must not read as "you are not one of us": a node would stay away for minutes.
    status = e.status if isinstance(e, _Refused) else 503 if isinstance(e, RegisterError | ModelError) else 403
    return Response({"what": e.what, "where": e.where, "todo": e.todo}, status_code=status)


class _KnowsItsPeer(H11Protocol):
    """Puts the serial number of the client's certificate, which TLS has verified, into the scope of each request."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        tls = transport.get_extra_info("ssl_object")
        cert = tls.getpeercert() if tls is not None else None
        serial = f"{int(cert['serialNumber'], 16):x}" if cert else None
        inner = self.app

        async def app(scope: Any, receive: Any, send: Any) -> None:
            scope["certificate"] = serial
            await inner(scope, receive, send)

        self.app = app


class _Server(uvicorn.Server):
    """Leaves the signals to whoever started the centre."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Api:
    """The server. `start` returns when it listens."""

    def __init__(self, desk: Desk, address: str, host: str, port: int) -> None:
        self._desk, self._address, self._host, self._port = desk, address, host, port
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> str:
        """Listens; gives the URL for nodes. Raises CloudError when the address cannot be had."""
        handlers = [authority, join, ping, wanted, report, renew, package, folder]
        app = Litestar(
            handlers, openapi_config=None, logging_config=None, exception_handlers={Exception: _told}, request_max_body_size=_BODY
        )
        app.state["desk"] = self._desk
        context = self._desk.fleet.authority.context(self._address)
        config = uvicorn.Config(
            app,
            host=self._host,
            port=self._port,
            http=_KnowsItsPeer,
            ssl_context_factory=lambda config, default: context,
            log_config=None,
            access_log=False,
            server_header=False,
            lifespan="off",
            timeout_graceful_shutdown=3,
            h11_max_incomplete_event_size=16_384,
        )
        self._server = _Server(config)
        self._serving = asyncio.create_task(self._serve(self._server), name="fleet api")
        while not self._server.started:
            if self._serving.done():
                what = Text(f"nodes cannot be served at port {self._port}", f"无法在端口 {self._port} 为节点提供服务")
                raise CloudError(
                    what,
                    where="[fleet] port",
                    todo=Text("is another program there? The log says why", "该端口是否被其他程序占用？原因见日志"),
                )
            await asyncio.sleep(0.01)
        port = self._server.servers[0].sockets[0].getsockname()[1]
        return f"https://{f'[{self._address}]' if ':' in self._address else self._address}:{port}"

    async def stop(self) -> None:
        """Answers what waits, then closes. Safe to call twice."""
        self._desk.bell.closing = True
        self._desk.bell.ring()
        if self._server is not None and self._serving is not None:
            self._server.should_exit = True
            await self._serving

    @staticmethod
    async def _serve(server: _Server) -> None:
        try:
            await server.serve()
        except SystemExit:  # how uvicorn says that the port cannot be had
            log.error("the fleet's port cannot be had")
