"""Cases that failed when something was, or may have been, written are said aloud by the node."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

import ronghe.plant
from ronghe import plugins
from ronghe.apps.contract import Result
from ronghe.connect import Driver, Found, Item, Sink, Still, Write, always
from ronghe.edge.node import Node
from ronghe.guard import Advice, Change, Setting, Told
from ronghe.signals import Batch
from ronghe.signals import quality as q
from ronghe.text import Text

PLANT = """\
[plant]
path = "test/works/hall"

[connections.plc]
driver = "plc"

[guards."line/speed"]
mode = "auto"
envelope = "600..1450"
"""
TAGS = "tag,property,connection,address,writable\nline/speed,speed,plc,1,yes\n"
KEY = "system/guard/line/speed"
S = 1_000_000_000


class Clock:
    """Ours, which can be put forward."""

    def __init__(self) -> None:
        self.ahead = 0

    def __call__(self) -> int:
        return time.time_ns() + self.ahead


class Plc(Driver):
    """A device with one register, which takes what it is told only when it `obeys`."""

    name = "plc"
    Options = msgspec.defstruct("Options", [])
    clock = Clock()
    obeys = True
    answer = q.GOOD

    def __init__(self, options: Any, index: Any) -> None:
        super().__init__(options, index)
        self.speed = 1000.0

    async def run(self, items: Sequence[Item], sink: Sink) -> None:
        self.health.state = "up"
        while True:
            sink(Batch.of(self.index, np.array([i.id for i in items], np.int32), self.clock(), self.speed))
            await asyncio.sleep(0.05)

    async def read(self, items: Sequence[Item]) -> Batch:
        return Batch.of(self.index, np.array([i.id for i in items], np.int32), self.clock(), self.speed)

    async def write(self, writes: Sequence[Write], *, still: Still = always) -> list[int]:
        if self.obeys and self.answer == q.GOOD:
            self.speed = float(writes[0].value)
        return [self.answer]

    async def browse(self, under: str = "") -> list[Found]:
        return []


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Node]:
    known = plugins.load
    monkeypatch.setattr(plugins, "load", lambda group, name: Plc if name == "plc" else known(group, name))
    for name, text in (("plant.toml", PLANT), ("tags.csv", TAGS), ("dictionary.csv", "property\nspeed\n")):
        (tmp_path / name).write_text(text, encoding="utf-8")
    Plc.clock.ahead = 0
    return lambda: Node(ronghe.plant.load(tmp_path), clock=Plc.clock)


async def until(true: Callable[[], Any], what: str) -> None:
    for _ in range(600):
        if true():
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"waited in vain for {what}")


async def advise(node: Node, value: float, *, obeys: bool = True, answer: int = q.GOOD) -> str:
    """Submits one advice and waits for the end of its case; gives its state."""
    driver = node.drivers["plc"]
    assert isinstance(driver, Plc)
    driver.obeys, driver.answer = obeys, answer
    now = node.clock()
    advice = Advice(id=f"a{now}", app="x", tag="line/speed", value=value, time=now, expires=now + 600 * S, reason=Text("so", "如此"))
    await until(lambda: node.latest.get("line/speed", node.clock())[1] == q.GOOD, "a sample")
    case = await node.guard.submit(advice)
    if case.open and not obeys:
        Plc.clock.ahead += 11 * S
    await until(lambda: not node.guard.case(case.id).open, "the end of the case")
    return node.guard.case(case.id).state


async def test_a_case_that_failed_after_a_write_is_an_alarm_until_one_ends_well_or_somebody_has_seen_it(make: Callable[[], Node]) -> None:
    node = make()
    await node.start()
    try:
        assert await advise(node, 1040.0, answer=q.BAD_NOT_WRITABLE) == "failed"
        await asyncio.sleep(1.2)
        assert not node.alarms.is_active(KEY), "the device said a clear no: nothing was written"

        assert await advise(node, 1040.0, obeys=False) == "failed"
        await until(lambda: node.alarms.is_active(KEY), "the alarm")
        alarm = node.alarms.get(KEY)
        assert (alarm.priority, alarm.state) == ("critical", "unacknowledged")
        assert "not written, or changed since" in alarm.text.en
        assert node.guard.cases()[0].id in alarm.text.in_("zh")
    finally:
        await node.stop()

    node = make()
    await node.start()
    try:
        await asyncio.sleep(1.2)
        assert node.alarms.is_active(KEY), "a restart is no end"
        assert node.alarms.get(KEY).count == 1
        assert await advise(node, 1040.0) == "done"
        await until(lambda: not node.alarms.is_active(KEY), "the end of the alarm")

        assert await advise(node, 1080.0, obeys=False) == "failed"
        await until(lambda: node.alarms.is_active(KEY), "the alarm again")
        node.alarms.acknowledge(KEY, "li", node.clock())
        await until(lambda: not node.alarms.is_active(KEY), "the end of the alarm")
        await asyncio.sleep(1.2)
        assert node.alarms.get(KEY).state == "normal", "and it stays so"

        assert await advise(node, 1080.0, obeys=False) == "failed"
        await until(lambda: node.alarms.get(KEY).count == 3, "an alarm for the next one")
    finally:
        await node.stop()


async def test_what_a_change_could_not_put_back_is_an_alarm(make: Callable[[], Node]) -> None:
    node = make()
    await node.start()
    try:
        driver = node.drivers["plc"]
        assert isinstance(driver, Plc)
        driver.obeys, driver.answer = True, q.GOOD
        await until(lambda: node.latest.get("line/speed", node.clock())[1] == q.GOOD, "a sample")
        now = node.clock()
        settings = (Setting(tag="line/speed", value=1100.0),)
        change = Change(
            id="c",
            app="x",
            name=Text("to B", "换 B"),
            settings=settings,
            time=now,
            expires=now + 600 * S,
            reason=Text("so", "如此"),
            proof=("line/speed > 2000",),
        )
        case = await node.guard.submit_change(change)
        await until(lambda: node.guard.change(case.id).state == "proving", "the write")
        driver.speed = 777.0  # a hand
        await until(lambda: not node.guard.change(case.id).open, "the end")
        assert node.guard.change(case.id).state == "failed"
        await until(lambda: node.alarms.is_active(KEY), "the alarm")
        alarm = node.alarms.get(KEY)
        assert alarm.priority == "critical"
        assert "somebody changed it" in alarm.text.en
        assert case.id in alarm.text.in_("zh")
        assert await advise(node, 1040.0) == "done"
        await until(lambda: not node.alarms.is_active(KEY), "the end of the alarm")
    finally:
        await node.stop()


async def test_an_app_invents_nobody_who_decides(make: Callable[[], Node]) -> None:
    node = make()
    await node.start()
    try:
        await until(lambda: node.latest.get("line/speed", node.clock())[1] == q.GOOD, "a sample")
        settings, now = (Setting(tag="line/speed", value=1100.0),), node.clock()
        change = Change(
            id="c",
            app="x",
            name=Text("to B", "换 B"),
            settings=settings,
            time=now,
            expires=now + 600 * S,
            reason=Text("so", "如此"),
            ready=("line/speed > 2000",),
        )
        case = await node.guard.submit_change(change)
        told = Result(told=(Told(change="c", who="mallory", says="call off"),))
        node._result("x", told, now)
        await asyncio.sleep(0.3)
        assert node.guard.change(case.id).state == "waiting"
        node._spoke["x"].add("mallory")  # as `ask` does
        node._result("x", told, now)
        await until(lambda: node.guard.change(case.id).state == "rejected", "the end")
    finally:
        await node.stop()
