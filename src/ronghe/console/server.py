"""Serves the console in the node's own event loop, and says where it is."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn

from ronghe.apps.contract import Finding
from ronghe.console.app import create_app
from ronghe.console.desk import Desk
from ronghe.console.people import fragment
from ronghe.console.users import Users
from ronghe.edge.node import Node
from ronghe.edge.runner import reason_of
from ronghe.errors import RongheError
from ronghe.text import Text, language

log = logging.getLogger(__name__)
ALARM = "system/console"


class _Server(uvicorn.Server):
    """Leaves the signals to whoever started the node."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Console:
    """The console of a node. Made before the node starts, so that what it cannot have is told before a plant is at work.

    Raises RongheError when the address cannot be had, UsersUnavailable when the file of users cannot be used.
    """

    def __init__(self, node: Node, host: str, port: int) -> None:
        self._node = node
        self._sock = _listen(host, port)
        try:
            self._users = Users(node.folder / "users.sqlite", node.clock)
        except BaseException:
            self._sock.close()
            raise

    def close(self) -> None:
        """Gives the address and the file back. Safe to call twice."""
        self._sock.close()
        self._users.close()

    async def serve(self, ended: asyncio.Event, say: Callable[[str], object]) -> None:
        """Serves until `ended`; tells where it is and, while there is no administrator, the one-time link.

        A console that fails is logged and becomes an alarm. The plant is worth more than its console: this waits for `ended` all the same.
        """
        try:
            self._alarm(None)
            await self._serve(ended, say)
        except Exception as e:
            log.exception("the console failed; the node goes on without it")
            self._alarm(reason_of(e))
            await ended.wait()

    async def _serve(self, ended: asyncio.Event, say: Callable[[str], object]) -> None:
        app = create_app(self._node, self._users)
        desk: Desk = app.state["desk"]
        config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="on", timeout_graceful_shutdown=3, server_header=False)
        server = _Server(config)
        serving = asyncio.create_task(_run(server, self._sock), name="console")
        ending = asyncio.create_task(ended.wait(), name="console end")
        try:
            for line in await asyncio.to_thread(_greeting, self._users, self._sock):
                say(line)
            await asyncio.wait([serving, ending], return_when=asyncio.FIRST_COMPLETED)
        finally:
            ending.cancel()
            desk.closing.set()
            server.should_exit = True
            await serving
        if not ended.is_set():
            raise RongheError(Text("the server ended by itself", "服务自行结束"))

    def _alarm(self, why: Text | None) -> None:
        text = Text(f"the console failed: {why.en}", f"控制台故障：{why.in_('zh')}") if why is not None else Text("")
        action = Text("see the log of the node, then restart it", "请查看节点日志，然后重启节点")
        now = self._node.clock()
        finding = Finding(
            key=ALARM, app="system", equipment="", time=now, active=why is not None, priority="high", text=text, action=action
        )
        if why is None and not self._node.alarms.is_active(ALARM):
            return
        try:
            self._node.alarms.take(finding, now)
        except (RongheError, OSError):  # a full disk cannot take the journal's line either
            log.exception("alarm %s", ALARM)


async def _run(server: uvicorn.Server, sock: socket.socket) -> None:
    try:
        await server.serve(sockets=[sock])
    except SystemExit as e:  # how uvicorn says that the application did not start
        raise RongheError(Text("the application did not start", "应用未能启动")) from e


def _listen(host: str, port: int) -> socket.socket:
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
