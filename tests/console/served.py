"""A node at work with its console, in a thread of its own, and people who are signed in to it."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Coroutine
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import httpx

from ronghe.console import Console, Role, Users
from ronghe.console.desk import Desk
from ronghe.console.throttle import Throttle
from ronghe.edge.node import Node
from ronghe.plant import load

PASSWORD = "a long enough password"


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port: int = s.getsockname()[1]
        return port


class Served:
    """The node of a plant folder, and its console."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.base = ""
        self.lines: list[str] = []
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="station")
        self._failure: BaseException | None = None
        self._clients: list[httpx.Client] = []
        self._stopping = False

    def start(self) -> None:
        """Starts everything; returns when the console answers and values have come in."""
        self._thread.start()
        assert self._ready.wait(60)
        if self._failure is not None:
            raise self._failure
        self.users = Users(self.node.folder / "users.sqlite", time.time_ns)
        self.link = next(line for line in self.lines if "#/link/" in line).split()[-1]
        self.base = self.link.partition("#")[0]
        self.cookie = Desk(self.node, self.users, Throttle(time.time_ns)).cookie
        self.until_values()

    def until_values(self) -> None:
        """Returns when every tag has had a value."""
        deadline = time.monotonic() + 30
        while any(self.node.latest.time == 0):
            assert time.monotonic() < deadline, "no values came in"
            time.sleep(0.05)

    def stop(self) -> None:
        """Stops everything."""
        for client in self._clients:
            client.close()
        self._stopping = True
        self.console_off()
        self.console_on()
        self._thread.join(30)
        self.users.close()

    def console_off(self) -> None:
        """The console goes; the node goes on."""
        self._loop.call_soon_threadsafe(self._ended.set)

    def console_on(self) -> None:
        """The console comes back at the same address."""
        self._loop.call_soon_threadsafe(self._again.set)

    def call(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Runs a coroutine in the node's loop and waits for it."""
        future: Future[Any] = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        return future.result(30)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._live())
        except BaseException as e:
            self._failure = e
        finally:
            self._ready.set()
            self._end_tasks()
            self._loop.close()

    def _end_tasks(self) -> None:
        """Ends what asyncua's server leaves behind when it stops."""
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))

    async def begin(self) -> None:
        """Starts what stands around the node, before it."""

    async def end(self) -> None:
        """Stops it, after the node."""

    async def _live(self) -> None:
        self.node = Node(load(self.folder))
        self._ended, self._again = asyncio.Event(), asyncio.Event()
        port = free_port()
        await self.begin()
        try:
            await self.node.start()
            try:
                while not self._stopping:
                    self._ended.clear()
                    console = Console(self.node, "127.0.0.1", port)
                    serving = asyncio.create_task(console.serve(self._ended, self.lines.append))
                    while not self.lines and not serving.done():
                        await asyncio.sleep(0.02)
                    if not serving.done():
                        self._ready.set()
                    await serving
                    console.close()
                    await self._again.wait()
                    self._again.clear()
            finally:
                await self.node.stop()
        finally:
            await self.end()

    async def pause(self, seconds: float) -> None:
        """Lets the node's loop run."""
        await asyncio.sleep(seconds)

    def person(self, role: Role, name: str = "") -> str:
        """A person of that role with `PASSWORD`; gives the name."""
        name = name or f"{role.word}1"
        if all(u.name != name for u in self.users.everyone()):
            self.users.add(name, role)
            self.users.set_password(name, PASSWORD)
        return name

    def client(self, role: Role = Role.ANYONE) -> httpx.Client:
        """An HTTP client that is signed in with that role (ANYONE: not at all), and says that it is the console's own page."""
        client = httpx.Client(base_url=self.base, headers={"X-Ronghe": "1"}, timeout=30)
        if role is not Role.ANYONE:
            client.cookies.set(self.cookie, self.users.open_session(self.person(role)))
        self._clients.append(client)
        return client
