"""A node with a twin: what the twin forbids is not written, a broken twin is an alarm, and its process ends with the node."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.edge.test_cases import PLANT, TAGS, Plc, advise, until

import ronghe.plant
from ronghe import plugins
from ronghe.edge.node import Node

TWIN = """\
twin = "drive"
keeps = "line/speed < 1100"

[twins.drive]
uses = "python"
model = "drive.py:Drive"
inputs = { "line/speed" = "asked" }
outputs = { "line/speed" = "speed" }
"""
MODEL = """\
class Drive:
    def start(self, values):
        pass

    def step(self, inputs, seconds):
        return {"speed": inputs["asked"]}
"""


@pytest.fixture
def make(tmp_path: Path) -> Callable[[str], Node]:
    def find(name: str) -> object:
        return Plc if name == "plc" else plugins.load("ronghe.drivers", name)

    def node(model: str) -> Node:
        for name, text in (("plant.toml", PLANT + TWIN), ("tags.csv", TAGS), ("dictionary.csv", "property\nspeed\n"), ("drive.py", model)):
            (tmp_path / name).write_text(text, encoding="utf-8")
        Plc.clock.ahead = 0
        return Node(ronghe.plant.load(tmp_path, drivers=find), clock=Plc.clock, drivers=find)

    return node


async def test_what_the_twin_forbids_is_not_written(make: Callable[[str], Node]) -> None:
    node = make(MODEL)
    await node.start()
    try:
        await node.guard.warm()
        process = node.guard._trials._twins["drive"]._process
        assert process is not None
        assert await advise(node, 1150.0) == "refused"
        assert "does not hold: now 1150" in node.guard.cases()[0].history[-1].text.en
        assert await advise(node, 1050.0) == "done"
    finally:
        await node.stop()
    assert process.returncode is not None, "it has ended, and was waited for"
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)


async def test_a_twin_that_cannot_be_read_is_an_alarm(make: Callable[[str], Node]) -> None:
    node = make("import nothing_of_the_kind\n")
    await node.start()
    try:
        await until(lambda: node.alarms.is_active("system/twin/drive"), "the alarm")
        assert "nothing_of_the_kind" in node.alarms.get("system/twin/drive").text.en
        assert await advise(node, 1050.0) == "refused"
        (Path(node.plant.folder) / "drive.py").write_text(MODEL, encoding="utf-8")
        await node.guard.warm()
        assert await advise(node, 1050.0) == "done", "mended, it is read again"
        await until(lambda: not node.alarms.is_active("system/twin/drive"), "the end of the alarm")
    finally:
        await node.stop()
