"""Four tanks behind a Modbus server that is not ours, under a whole node with its guard in auto, six times as fast as the paper's."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tests.connect.modbus.modbus_servers import Server, libmodbus
from tests.edge.conftest import Up

from ronghe.guard import Ledger
from ronghe.twin.plants import steady, trajectory
from ronghe.twin.plants.tanks import tanks

SPEED = 6.0
MODEL = """\
from dataclasses import replace
from ronghe.twin.plants.tanks import tanks


def build():
    slow = tanks()
    return replace(slow, rates=lambda x, u, p: [6 * r for r in slow.rates(x, u, p)], stiff=0.8)
"""
DICTIONARY = """\
property,irdi,name_en,name_zh,unit,type,low,high
level,,Level,液位,cm,float,0,25
pump,,Pump,泵电压,V,float,0,10
"""
TAGS = "tag,property,connection,address,every,unit,scale,writable\n" + "".join(
    [f"water/tanks/h{i},level,plc,input:{9 + i}:uint16,200ms,,0.001,\n" for i in range(1, 5)]
    + [f"water/tanks/v{i},pump,plc,holding:{19 + i}:uint16,200ms,,0.001,yes\n" for i in (1, 2)]
)
PLANT = """\
[plant]
path = "test/works/water"
name = {{ en = "Tanks", zh = "水箱" }}

[connections.plc]
driver = "modbus"
host = "127.0.0.1"
port = {port}

[apps.control]
uses = "furnace.control"
equipment = "water/tanks"
model = "fast.py:build"
every = "1500ms"
horizon = 10
look = 3
least = 0.005
moves = {{ v1 = 3.0, v2 = 3.0 }}
tags = {{ h1 = "h1", h2 = "h2", h3 = "h3", h4 = "h4", v1 = "v1", v2 = "v2" }}
target = {{ h1 = 14.5, h2 = 13.5 }}

[guards."water/tanks/v1"]
mode = "auto"
envelope = "0.5..9 V"
interlock = "water/tanks/h1 < 19.5 cm"

[guards."water/tanks/v2"]
mode = "auto"
envelope = "0.5..9 V"
interlock = "water/tanks/h2 < 19.5 cm"
"""


class Water:
    """The tanks, whose holes and pumps are not as in the model; they run as the clock does."""

    def __init__(self, server: Server) -> None:
        self._server, self._rng = server, np.random.default_rng(1)
        self._p = tanks().parameter_values({"k1": 0.9, "a2": 1.15, "g1": 1.1})
        self.x = steady(tanks(), np.array([3.0, 3.0]), self._p)
        self.highest = self.x.copy()
        server.set("holding", 20, 3000, 3000)
        self._show()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _show(self) -> None:
        shown = self.x + self._rng.normal(0, 0.02, 4)
        self._server.set("input", 10, *(round(1000 * max(0.0, v)) for v in shown))

    def _run(self) -> None:
        before = time.monotonic()
        while not self._ended.wait(0.05):
            now = time.monotonic()
            u = np.array(self._server.get("holding", 20, 2)) / 1000
            self.x = trajectory(tanks(), self.x, u, self._p, SPEED * (now - before))[-1]
            self.highest = np.maximum(self.highest, self.x)
            before = now
            self._show()

    def stop(self) -> None:
        self._ended.set()
        self._thread.join()


@pytest.fixture
def plc() -> Iterator[Server]:
    server = libmodbus()
    server.start()
    yield server
    server.stop()


@pytest.fixture
def water(plc: Server) -> Iterator[Water]:
    water = Water(plc)
    yield water
    water.stop()


@pytest.fixture
def up(tmp_path: Path, plc: Server, water: Water) -> Iterator[Up]:
    for name, text in (("plant.toml", PLANT.format(port=plc.port)), ("tags.csv", TAGS), ("dictionary.csv", DICTIONARY), ("fast.py", MODEL)):
        (tmp_path / name).write_text(text, encoding="utf-8")
    node = Up(tmp_path)
    yield node
    node.stop()


def test_the_node_takes_the_tanks_to_their_targets_and_holds_them(up: Up, water: Water) -> None:
    assert np.abs(water.x[:2] - [14.5, 13.5]).max() > 1
    up.until(lambda: up.ledger("guard.write"), "the first set-point to be written")
    held: list[bool] = []

    def holds() -> bool:
        held.append(bool(np.abs(water.x[:2] - [14.5, 13.5]).max() < 0.25))
        return len(held) >= 20 and all(held[-20:])

    up.until(holds, "both levels to stay at their targets")
    assert (water.highest < 19.5).all()
    up.stop()
    assert Ledger.verify(up.folder / ".ronghe" / "ledger").ok
    written = [e["body"]["written"] for e in up.ledger("guard.write")]
    assert all(0.5 <= v <= 9 for v in written)
    assert len(written) > 4
