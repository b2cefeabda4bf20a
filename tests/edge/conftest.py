"""Plants of devices that are not ours, for whole nodes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.connect.modbus.modbus_servers import Server, libmodbus
from tests.connect.opcua.servers import NodeServer

DICTIONARY = """\
property,irdi,name_en,name_zh,unit,type,low,high
temperature,,Temperature,温度,Cel,float,0,200
flow,,Flow,流量,m3/h,float,0,100
power,,Power,功率,kW,float,0,100
fan,,Fan set-point,风机设定值,%,float,0,100
press_temperature,,Press temperature,压机温度,Cel,float,-400,400
setpoint,,Set-point,设定值,,float,-1000,1000
"""
TAGS = """\
tag,property,connection,address,every,unit,scale,writable
line/cooler/temperature,temperature,plc,input:10:uint16,100ms,,0.01,
line/cooler/flow,flow,plc,input:11:uint16,100ms,,0.01,
line/cooler/power,power,plc,input:12:uint16,100ms,,0.01,
line/cooler/fan,fan,plc,holding:20:uint16,100ms,,,yes
line/press/temperature,press_temperature,press,nsu=http://example.org/press;s=Press.Temperature,100ms,,,
line/press/level,setpoint,press,nsu=http://example.org/press;s=Types.Int16,100ms,,,
line/press/setpoint,setpoint,press,nsu=http://example.org/press;s=Types.WriteDouble,100ms,,,yes
"""
PLANT = """\
[plant]
path = "test/works/hall"
name = {{ en = "Foreign devices", zh = "外部设备" }}

[connections.plc]
driver = "modbus"
host = "127.0.0.1"
port = {modbus}

[connections.press]
driver = "opcua"
url = "opc.tcp://127.0.0.1:{opcua}"

[apps.cooler-state]
uses = "maintenance.detect"
equipment = "line/cooler"
every = "100ms"
learn = "8s"
window = 10
hold = "6s"
release = "1s"

[[apps.cooler-state.advise]]
when = "temperature high"
set = "line/cooler/fan"
step = 20
within = "20s"
expires = "1min"
expect = {{ tag = "line/cooler/temperature", low = -100, high = -2 }}

[guards."line/cooler/fan"]
mode = "auto"
envelope = "40..95 %"
rate = "25 % per 1 min"
interlock = "line/press/level < 0"          # a condition on the other device
fresh = "5s"

[guards."line/cooler/fan".worth]
tag = "line/cooler/temperature"
before = "4s"
settle = "2s"
after = "5s"

[guards."line/press/setpoint"]
mode = "approve"
envelope = "0..50"
"""


class Process:
    """What the PLC's sensors see: a cooler whose temperature follows its fault and, with a lag, its fan."""

    def __init__(self, server: Server) -> None:
        self._server, self._rng = server, np.random.default_rng(3)
        self.fault = 0.0  # kelvin
        self._over = self._fan = 0.0
        self._ended = threading.Event()
        server.set("holding", 20, 60)
        self._step()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def fan(self) -> int:
        return self._server.get("holding", 20)[0]

    def _step(self) -> None:
        self._fan = self.fan()
        self._over += 0.2 * (self.fault - 0.5 * (self._fan - 60) - self._over)
        flow = 20 + self._rng.normal(0, 0.3)
        power = 2 * flow + self._rng.normal(0, 0.3)
        temperature = 50 + self._over + 0.5 * (power - 40) + self._rng.normal(0, 0.2)
        self._server.set("input", 10, *(round(100 * v) for v in (temperature, flow, power)))

    def _run(self) -> None:
        while not self._ended.wait(0.05):
            self._step()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()


class Up:
    """`ronghe up` on a folder, as a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "up.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ronghe", "up", str(folder), "--no-console"],
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, "RONGHE_LANG": "en", "XDG_DATA_HOME": str(folder / "data")},
            )

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(30)

    def ledger(self, kind: str) -> list[dict[str, Any]]:
        """Entries of a kind, read from the file as it is now."""
        path = self.folder / ".ronghe" / "ledger" / "ledger.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [e for e in map(json.loads, lines) if e["kind"].startswith(kind)]

    def until(self, true: Callable[[], Any], what: str, seconds: float = 60.0) -> Any:
        """Waits for something to become true; the bound is for a broken node, not a measure of a good one."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert self.process.poll() is None, self.log.read_text()
            found = true()
            if found:
                return found
            time.sleep(0.1)
        raise AssertionError(f"waited in vain for {what}:\n{self.log.read_text()}\n{self.ledger('')}")


@pytest.fixture(scope="module")
def press(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeServer]:
    """A node-opcua server."""
    server = NodeServer(tmp_path_factory.mktemp("pki"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def plc() -> Iterator[Server]:
    """A libmodbus server."""
    server = libmodbus()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def cooler(plc: Server) -> Iterator[Process]:
    """The process behind the PLC."""
    process = Process(plc)
    yield process
    process.stop()


@pytest.fixture
def plant(tmp_path: Path, plc: Server, press: NodeServer) -> Path:
    """A plant folder of both devices."""
    (tmp_path / "plant.toml").write_text(PLANT.format(modbus=plc.port, opcua=press.port), encoding="utf-8")
    (tmp_path / "tags.csv").write_text(TAGS, encoding="utf-8")
    (tmp_path / "dictionary.csv").write_text(DICTIONARY, encoding="utf-8")
    return tmp_path


@pytest.fixture
def up(plant: Path, cooler: Process) -> Iterator[Up]:
    """A running node."""
    node = Up(plant)
    yield node
    node.stop()
