"""Serves a console in the caller's own event loop, on a socket that was had before anything started."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from litestar import Litestar

from ronghe.console.desk import Front
from ronghe.console.people import fragment
from ronghe.console.users import Users
from ronghe.errors import RongheError
from ronghe.text import Text, language


class _Server(uvicorn.Server):
    """Leaves the signals to whoever started the process."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(app: Litestar, sock: socket.socket, ended: asyncio.Event, say: Callable[[str], object]) -> None:
    """Serves `app` until `ended`; tells where it is and, while there is no administrator, the one-time link.

    Raises RongheError when the server ends by itself.
    """
    front: Front = app.state["desk"]
    config = uvicorn.Config(
        app, log_config=None, access_log=False, lifespan="on", ws="none", timeout_graceful_shutdown=3, server_header=False
    )
    server = _Server(config)
    serving = asyncio.create_task(_run(server, sock), name="console")
    ending = asyncio.create_task(ended.wait(), name="console end")
    try:
        for line in await asyncio.to_thread(_greeting, front.users, sock):
            say(line)
        await asyncio.wait([serving, ending], return_when=asyncio.FIRST_COMPLETED)
    finally:
        ending.cancel()
        front.closing.set()
        server.should_exit = True
        await serving
    if not ended.is_set():
        raise RongheError(Text("the server ended by itself", "服务自行结束"))


async def _run(server: uvicorn.Server, sock: socket.socket) -> None:
    try:
        await server.serve(sockets=[sock])
    except SystemExit as e:  # how uvicorn says that the application did not start
        raise RongheError(Text("the application did not start", "应用未能启动")) from e


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens: with SO_REUSEADDR two may be bound to one address, and only listening tells."""
    sock: socket.socket | None = None
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        sock = socket.socket(family, kind)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(address)
        sock.listen()
    except OSError as e:
        if sock is not None:
            sock.close()
        raise RongheError(
            Text(f"the console cannot listen there: {e.strerror}", f"控制台无法监听该地址：{e.strerror}"),
            where=f"{host}:{port}",
            todo=Text("choose another with --port (0: a free one) or --host", "请用 --port（0 为自动选择）或 --host 另选"),
        ) from e
    return sock


def _greeting(users: Users, sock: socket.socket) -> list[str]:
    host, port = sock.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104  (shown, not bound)
        host = socket.gethostname()
    address = f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"
    lines = [Text(f"console: {address}", f"控制台：{address}")]
    if not users.has_administrator():
        link = address + fragment(users.link())
        lines.append(
            Text(
                f"first administrator, open once within 24 h: {link}",
                f"首位管理员请在 24 小时内打开此一次性链接：{link}",
            )
        )
    return [line.in_(language()) for line in lines]
