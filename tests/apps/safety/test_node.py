"""A whole node: a camera, the zone app, the guard, and a Modbus PLC that is not ours whose permit goes away."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import msgspec
from tests.connect.modbus.modbus_servers import libmodbus

import ronghe.plant
from ronghe.apps.contract import Question
from ronghe.apps.safety.labels import Labels
from ronghe.edge.node import Node

from .conftest import SEQUENCE

PLANT = """\
[plant]
path = "test/works/hall"

[connections.cam]
driver = "camera"
source = "hall.mp4"

[connections.plc]
driver = "modbus"
host = "127.0.0.1"
port = {port}

[apps.press-zone]
uses = "safety.zone"
equipment = "line1/press"
fps = 4
late = "30s"
health = {{ silent = "60s" }}
zones = {zones}

[[apps.press-zone.request]]
set = "permit"
to = 0

[guards."line1/press/permit"]
mode = "auto"
envelope = "0..1"
"""
TAGS = """\
tag,property,connection,address,every,writable
line1/press/camera,view,cam,picture,100ms,
line1/press/permit,permit,plc,coil:3,100ms,yes
"""
DICTIONARY = "property,name_en,name_zh,unit,type\nview,camera,摄像机,,image\npermit,permit,运行许可,,bool\n"


async def test_a_person_in_the_zone_takes_the_permit_from_the_machine(tmp_path: Path, tune: Labels) -> None:
    shutil.copy(SEQUENCE / "tune.mp4", tmp_path / "hall.mp4")
    server = libmodbus()
    server.start()
    server.set("coil", 3, 1)
    corners = [[list(c) for c in z.polygon] for z in tune.zones]
    zones = "[" + ", ".join(f'{{ name = "{z.name}", polygon = {c} }}' for z, c in zip(tune.zones, corners, strict=True)) + "]"
    (tmp_path / "plant.toml").write_text(PLANT.format(port=server.port, zones=zones))
    (tmp_path / "tags.csv").write_text(TAGS)
    (tmp_path / "dictionary.csv").write_text(DICTIONARY)
    node = Node(ronghe.plant.load(tmp_path))
    await node.start()
    try:
        async with asyncio.timeout(120):
            while server.get("coil", 3) == [1]:
                await asyncio.sleep(0.05)
            while not (done := [c for c in node.guard.cases() if c.advice.app == "press-zone" and c.state == "done"]):
                await asyncio.sleep(0.05)
        assert done[0].advice.finding == "line1/press/press-zone/press", done[0].advice.reason.en
        state = await node.ask("press-zone", Question(verb="state", who="wang"))
        assert msgspec.json.encode(state)
        (event, *_) = await node.ask("press-zone", Question(verb="events", who="wang"))  # type: ignore[misc]
        picture = await node.ask("press-zone", Question(verb="snapshot", body={"event": event["id"]}, who="wang"))
        assert isinstance(picture, bytes)
    finally:
        await node.stop()
        server.stop()
