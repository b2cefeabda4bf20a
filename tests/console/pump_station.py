"""A small pump station at work: a real node with its console, over a recording and a real OPC UA server, in a thread of its own."""

from __future__ import annotations

import csv
import logging
import math
import time
from pathlib import Path

from asyncua import ua
from asyncua.server.server import Server
from served import Served, free_port

from ronghe.apps.contract import Finding
from ronghe.guard import Advice, Case, Evidence
from ronghe.text import Text

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


class Station(Served):
    """The pump station, its node and its console."""

    def __init__(self, folder: Path, machines: int = 0) -> None:
        super().__init__(write_plant(folder, free_port(), machines))

    async def begin(self) -> None:
        """The OPC UA server."""
        logging.getLogger("asyncua").setLevel(logging.ERROR)
        server = Server()
        await server.init()
        server.set_endpoint(self.node.plant.connections["plc"].options.url)
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        space = await server.register_namespace("urn:test:pump")
        name = ua.NodeId.from_string(f"ns={space};s=Speed")
        self.speed = await server.nodes.objects.add_variable(name, "Speed", 900.0, ua.VariantType.Double)
        await self.speed.set_writable()
        self.server = server
        await server.start()

    async def end(self) -> None:
        """Ends it."""
        await self.server.stop()

    def lose_device(self) -> None:
        """The OPC UA server goes."""
        self.call(self.server.stop())

    def find_device(self) -> None:
        """The OPC UA server comes back."""
        self.call(self.server.start())

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
