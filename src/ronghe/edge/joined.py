"""What a node that has joined a centre runs beside itself. Nothing of it is imported where no centre was joined."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ronghe.edge.node import Node
from ronghe.errors import RongheError

if TYPE_CHECKING:
    from ronghe.edge.agent import Agent
    from ronghe.edge.configuration import Configuration
    from ronghe.edge.deploying import Deploying

log = logging.getLogger(__name__)


def configuration_of(folder: Path) -> Configuration | None:
    """The versions of a joined plant folder, one on trial taken back; None where no centre was joined. Raises CloudError, OSError."""
    home = folder / ".ronghe" / "centre"
    if not (home / "centre.json").exists():
        return None
    from ronghe.edge.configuration import Configuration

    found = Configuration(folder, home, time.time_ns)
    found.start()
    return found


def take_back(configuration: Configuration, why: BaseException) -> bool:
    """A version that does not even start is taken back; False when none is on trial."""
    from ronghe.edge.configuration import take_back

    return take_back(configuration, why)


class Joined:
    """The agent and the deploying of one node. Without a centre there is no agent, and models come in bundles alone."""

    def __init__(self, node: Node, configuration: Configuration | None) -> None:
        self._node, self._configuration = node, configuration
        self.again = asyncio.Event()
        self.agent: Agent | None = None
        self._deploying: Deploying | None = None

    def start(self) -> None:
        """What cannot start becomes an alarm: the node does not need its centre."""
        from ronghe.edge.deploying import Deploying

        self._deploying = Deploying(self._node)
        self._deploying.start()
        if self._configuration is None:
            return
        from ronghe.edge.agent import Agent

        try:
            self.agent = Agent(self._node, self._node.folder / "centre", self._deploying, self._configuration, self.again)
        except RongheError as e:
            log.warning("without the centre: %s", e)
            self._node.say("fleet", "medium", e.what)
            return
        self._node.say("fleet", "medium", None)
        self.agent.start()

    async def stop(self) -> None:
        """Safe to call when `start` was not."""
        if self.agent is not None:
            await self.agent.stop()
        if self._deploying is not None:
            await self._deploying.stop()

    async def until(self, ended: asyncio.Event, over: asyncio.Event) -> None:
        """Sets `over` at the end, or when the node is to be started anew."""
        waits = [asyncio.create_task(e.wait()) for e in (ended, self.again)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            over.set()
        finally:
            for wait in waits:
                wait.cancel()
