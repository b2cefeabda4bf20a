"""A small pump station at work: a real node with its console, over a recording and a real OPC UA server, in a thread of its own."""

from __future__ import annotations

import asyncio
import csv
import logging
import math
import socket
import threading
import time
from collections.abc import Coroutine
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import httpx
from asyncua import ua
from asyncua.server.server import Server

from ronghe.apps.contract import Finding
from ronghe.console import Console, Role, Users
from ronghe.console.desk import Desk
from ronghe.console.throttle import Throttle
from ronghe.edge.node import Node
from ronghe.guard import Advice, Case, Evidence
from ronghe.plant import load
from ronghe.text import Text

PASSWORD = "a long enough password"
SPEED = "line1/pump1/speed_setpoint"
PRESSURE = "line1/pump1/pressure"
TEMPERATURE = "line1/pump1/bearing_temperature"

PLANT = """
[plant]
path = "acme/shanghai/water"
name = {{ en = "Pump station", zh = "泵站" }}

[equipment."line1/pump1"]
name = {{ en = "Feed pump", zh = "给水泵" }}

[connections.plc]
driver = "opcua"
url = "opc.tcp://127.0.0.1:{port}/pump"

[connections.recording]
driver = "file"
path = "recording.csv"
times = "now"
loop = true

[guards."line1/pump1/speed_setpoint"]
mode = "approve"
envelope = "600..1450 1/min"
rate = "200 1/min per 1 min"
interlock = "line1/pump1/pressure < 20 bar"
fresh = "60s"
"""
TAGS = """tag,property,connection,address,every,writable
line1/pump1/speed_setpoint,speed,plc,nsu=urn:test:pump;s=Speed,200ms,yes
line1/pump1/pressure,pressure,recording,pressure,200ms,
line1/pump1/bearing_temperature,temperature,recording,bearing_temperature,200ms,
line1/tank/level,level,recording,level,200ms,
"""
DICTIONARY = """property,irdi,name_en,name_zh,unit,type,low,high
speed,,Speed set-point,转速设定值,1/min,float,0,3000
pressure,,Pressure,压力,bar,float,0,25
temperature,,Bearing temperature,轴承温度,Cel,float,-20,150
level,,Level,液位,%,float,0,100
"""


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port: int = s.getsockname()[1]
        return port


def write_plant(folder: Path, port: int, machines: int = 0) -> Path:
    """The pump station's folder; the OPC UA server is expected at `port`. `machines` more stand in a second line."""
    (folder / "plant.toml").write_text(PLANT.format(port=port), encoding="utf-8")
    more = "".join(f"line2/machine{i}/level,level,recording,level,1s,\n" for i in range(machines))
    (folder / "tags.csv").write_text(TAGS + more, encoding="utf-8")
    (folder / "dictionary.csv").write_text(DICTIONARY, encoding="utf-8")
    with (folder / "recording.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["time", "pressure", "bearing_temperature", "level"])
        for i in range(600):
            at = 1_700_000_000 + i * 0.2
            rows.writerow([f"{at:.1f}", 8 + math.sin(i / 9), 60 + 3 * math.sin(i / 50), 50 + 20 * math.sin(i / 80)])
    return folder


class Station:
    """The pump station, its node and its console."""

    def __init__(self, folder: Path, machines: int = 0) -> None:
        self.folder = write_plant(folder, free_port(), machines)
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

    async def _live(self) -> None:
        logging.getLogger("asyncua").setLevel(logging.ERROR)
        plant = load(self.folder)
        server = Server()
        await server.init()
        server.set_endpoint(plant.connections["plc"].options.url)
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        space = await server.register_namespace("urn:test:pump")
        name = ua.NodeId.from_string(f"ns={space};s=Speed")
        self.speed = await server.nodes.objects.add_variable(name, "Speed", 900.0, ua.VariantType.Double)
        await self.speed.set_writable()
        self.node = Node(plant)
        self._ended, self._again = asyncio.Event(), asyncio.Event()
        port = free_port()
        self.server = server
        await server.start()
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
            await server.stop()

    def lose_device(self) -> None:
        """The OPC UA server goes."""
        self.call(self.server.stop())

    def find_device(self) -> None:
        """The OPC UA server comes back."""
        self.call(self.server.start())

    async def pause(self, seconds: float) -> None:
        """Lets the node's loop run."""
        await asyncio.sleep(seconds)

    # --- what tests need of it --------------------------------------------------------------------------------------------------

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

    def raise_alarm(self, key: str = "line1/pump1/wear", priority: str = "high") -> None:
        """A finding as an app would give it."""
        finding = Finding(
            key=key,
            app="test",
            equipment="line1/pump1",
            time=time.time_ns(),
            active=True,
            priority=priority,  # type: ignore[arg-type]
            text=Text("bearing is warmer than in normal operation", "轴承温度高于正常运行"),
            action=Text("check the lubrication", "检查润滑"),
            score=1.6,
            evidence=EVIDENCE,
        )

        async def take() -> None:
            self.node.alarms.take(finding, time.time_ns())

        self.call(take())

    def advise(self, id: str, value: float = 850.0) -> Case:
        """An advice as an app would give it."""
        now = time.time_ns()
        advice = Advice(
            id=id,
            app="test",
            tag=SPEED,
            value=value,
            time=now,
            expires=now + 900_000_000_000,
            reason=Text("less speed, less heat in the bearing", "降低转速以减少轴承发热"),
            evidence=EVIDENCE,
        )
        case: Case = self.call(self.node.guard.submit(advice))
        return case


EVIDENCE = (
    Evidence(tag=TEMPERATURE, value=71.0, expected=60.0, unit="Cel", share=0.8),
    Evidence(tag=PRESSURE, value=8.4, expected=8.0, unit="bar", share=0.2),
)
