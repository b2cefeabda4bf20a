"""Many who sign in at the same time."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import httpx
import pytest
from argon2 import PasswordHasher
from pump_station import write_plant
from served import PASSWORD, free_port

from ronghe.console import Role, Users, create_app
from ronghe.console.throttle import TRIES
from ronghe.edge.node import Node
from ronghe.plant import load


class Gate(PasswordHasher):
    """Holds no password against a hash before it is opened."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=64, parallelism=1)
        self.open = threading.Event()
        self.asked = 0

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:
        self.asked += 1
        assert self.open.wait(60)
        return super().verify(hash, password)


class Desk:
    """The console's application without a server, and its people."""

    def __init__(self, folder: Path) -> None:
        self.gate = Gate()
        self.node = Node(load(write_plant(folder, free_port())))
        self.users = Users(self.node.folder / "users.sqlite", self.node.clock, self.gate)
        self.users.add("li", Role.OPERATOR)
        self.users.set_password("li", PASSWORD)
        self.app = create_app(self.node, self.users)

    async def sign_in(self, password: str, place: str) -> int:
        way = httpx.ASGITransport(self.app, client=(place, 50_000))  # type: ignore[arg-type]
        async with httpx.AsyncClient(transport=way, base_url="http://console", headers={"X-Ronghe": "1"}) as client:
            return (await client.post("/api/session", json={"name": "li", "password": password})).status_code


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """Nobody signed in yet."""
    desk = Desk(tmp_path)
    yield desk
    desk.gate.open.set()
    desk.users.close()
    await desk.node.stop()


async def test_guesses_at_the_same_time_are_no_more_guesses(desk: Desk) -> None:
    guesses = [asyncio.create_task(desk.sign_in(f"guess {i}", "10.0.0.1")) for i in range(40)]
    await asyncio.wait(guesses, return_when=asyncio.FIRST_COMPLETED, timeout=5)
    desk.gate.open.set()
    assert Counter(await asyncio.gather(*guesses)) == {401: TRIES, 429: 40 - TRIES}
    assert desk.gate.asked == TRIES


async def test_passwords_wait_in_a_queue_of_their_own(desk: Desk) -> None:
    """Forty people from forty places wait; whatever else the node does in threads goes on."""
    waiting = [asyncio.create_task(desk.sign_in(PASSWORD, f"10.0.0.{i}")) for i in range(40)]
    while not desk.gate.asked:
        await asyncio.sleep(0.01)
    assert await asyncio.wait_for(asyncio.to_thread(lambda: "done"), 30) == "done"
    assert desk.gate.asked == 1
    desk.gate.open.set()
    assert Counter(await asyncio.gather(*waiting)) == {200: 40}
