"""Serves the console in the node's own event loop, and says where it is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from ronghe.apps.contract import Finding
from ronghe.console.app import create_app
from ronghe.console.serving import listen, serve
from ronghe.console.users import Users
from ronghe.edge.node import Node
from ronghe.edge.runner import reason_of
from ronghe.errors import RongheError
from ronghe.text import Text

log = logging.getLogger(__name__)
ALARM = "system/console"


class Console:
    """The console of a node. Made before the node starts, so that what it cannot have is told before a plant is at work.

    Raises RongheError when the address cannot be had, UsersUnavailable when the file of users cannot be used.
    """

    def __init__(self, node: Node, host: str, port: int) -> None:
        self._node = node
        self._sock = listen(host, port)
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
            await serve(create_app(self._node, self._users), self._sock, ended, say)
        except Exception as e:
            log.exception("the console failed; the node goes on without it")
            self._alarm(reason_of(e))
            await ended.wait()

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
