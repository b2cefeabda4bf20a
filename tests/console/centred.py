"""A centre at work with its console: one node that really runs a plant, one that tells what it is made to tell, and a signed package."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
from served import PASSWORD, free_port
from tests.cloud.fleet.centres import Running, running, until

from ronghe.bus.fleet import Link, Report, RunningModel
from ronghe.cli.edge import run_until
from ronghe.console import Role, Users
from ronghe.console.centre import CentreConsole
from ronghe.console.desk import cookie_name
from ronghe.edge.centrelink import CentreLink
from ronghe.models import Manifest, Output, Package, Training, save
from ronghe.models.keys import KeyFolder
from ronghe.text import Text

REAL, TOLD, PLANT = "press-1", "press-2", "acme/north/press"


class Centred:
    """`base`, `users` and `cookie` as of a node's console; `release` is the hash of a signed package of the name "pump"."""

    def __init__(self, at: Running, home: Path) -> None:
        self.at, self.home, self.centre = at, home, at.centre
        self.lines: list[str] = []
        self.base = f"http://127.0.0.1:{free_port()}/"
        self.users = Users(self.centre.home / "users.sqlite", time.time_ns)
        self.cookie = cookie_name(self.centre.home)
        self.models: tuple[RunningModel, ...] = (RunningModel(app="watch"),)
        self.alarms: dict[str, int] = {}
        self.placement: Any = None
        self.link: CentreLink = at.link(at.joined(home / "told", TOLD))
        self.release = self._released("7")

    def serve(self) -> None:
        """Starts the console, in the centre's loop."""

        async def begin() -> None:
            self.ended = asyncio.Event()
            self.console = CentreConsole(self.centre, "127.0.0.1", int(self.base.rsplit(":", 1)[1].strip("/")))
            self.serving = asyncio.create_task(self.console.serve(self.ended, self.lines.append))

        self.at.call(begin())
        until(lambda: self.lines, "the console")

    def close(self) -> None:
        """The console ends, the centre stays."""

        async def end() -> None:
            self.ended.set()
            await self.serving
            self.console.close()

        self.link.close()
        self.at.call(end())
        self.users.close()

    def tell(self) -> None:
        """The second node reports, over its own certificate."""
        now = time.time_ns()
        report = Report(
            node=TOLD,
            plant=PLANT,
            at=now,
            version="1",
            started=now,
            changed=("tags.csv",),
            models=self.models,
            alarms=self.alarms,
            link=Link(rtt_ms=12.4, p99_ms=31.0, jitter_ms=2.0, loss=0.001, bps=94e6, at=now),
            placement=self.placement,
        )
        self.link.ask("POST", "/fleet/report", msgspec.json.encode(report))

    def runs(self, state: str = "running", text: Text | None = None) -> None:
        """What became of the package at the second node, as it tells it."""
        wanted = {"wanted": self.release, "state": state, "text": text}
        mine = {"name": "pump", "version": "7", "hash": self.release} if state == "running" else {}
        self.models = (msgspec.convert({"app": "watch", **mine, **wanted}, RunningModel),)
        self.tell()

    def person(self, role: Role, name: str = "") -> str:
        """A person of that role."""
        name = name or f"{role.word}1"
        if all(u.name != name for u in self.users.everyone()):
            self.users.add(name, role)
            self.users.set_password(name, PASSWORD)
        return name

    @contextmanager
    def client(self, role: Role) -> Iterator[httpx.Client]:
        """An HTTP client that is signed in with that role (ANYONE: not at all)."""
        with httpx.Client(base_url=self.base, headers={"X-Ronghe": "1"}, timeout=30) as client:
            if role is not Role.ANYONE:
                client.cookies.set(self.cookie, self.users.open_session(self.person(role)))
            yield client

    def noted(self, kind: str) -> list[dict[str, Any]]:
        """What the centre's ledger holds of a kind; what the fleet's file held is there within moments."""
        return [e.body for e in self.centre.ledger.entries(kind=kind)]

    def _released(self, version: str) -> str:
        keys = KeyFolder(self.home / "keys")
        keys.new("works", time.time_ns())
        self.centre.registry.ring.pin(keys.named("works").key)
        manifest = Manifest(
            name="pump",
            version=version,
            kind="test/1",
            created=time.time_ns(),
            ronghe="0",
            inputs=(),
            outputs=(Output(name="score"),),
            training=Training(sha256="ab" * 32, rows=1),
        )
        save(self.home / "pump.model", Package(manifest, {}))
        added = self.centre.registry.add(self.home / "pump.model")
        return self.centre.registry.sign(added.hash, keys.private("works")).hash


class _Node:
    """A plant at work as `ronghe up` runs it, in a thread."""

    def __init__(self, plant: Path) -> None:
        self._loop, self._ended = asyncio.new_event_loop(), asyncio.Event()
        self._thread = threading.Thread(target=self._run, args=(plant,), name="node")
        self._thread.start()

    def _run(self, plant: Path) -> None:
        self._loop.run_until_complete(run_until(self._ended, plant, "127.0.0.1", None))
        self._loop.close()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(30)


@contextmanager
def centred(home: Path) -> Iterator[Centred]:
    """All of it."""
    with running(home / "centre") as at:
        plant = at.joined(home / "real", REAL)
        found = Centred(at, home)
        found.serve()
        node = _Node(plant)
        try:
            found.tell()
            until(lambda: any(n["name"] == REAL and n["state"] == "up" for n in found.centre.fleet.view()["nodes"]), "the node")
            yield found
        finally:
            node.stop()
            found.close()
