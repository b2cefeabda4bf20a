"""One node in this process, on a recording: what goes wrong in one part is said aloud and stops no other."""

from __future__ import annotations

import asyncio
import errno
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

import ronghe.plant
from ronghe import plugins
from ronghe.apps.contract import App, Finding, Result, Wants
from ronghe.edge import node as node_module
from ronghe.edge.clockhealth import ClockHealth
from ronghe.edge.node import Node
from ronghe.edge.storehealth import StoreHealth
from ronghe.errors import StoreFull
from ronghe.guard.advice import Advice
from ronghe.historian import Historian
from ronghe.historian.segment import SegmentWriter
from ronghe.historian.store import Stats
from ronghe.signals import Batch, TagIndex, Window
from ronghe.text import Text

PLANT = """\
[plant]
path = "test/works/hall"

[connections.recording]
driver = "file"
path = "recording.csv"
times = "now"
speed = 5
loop = true
"""
TAGS = "tag,property,connection,address,every\nline/a,level,recording,a,20ms\nline/b,level,recording,b,20ms\n"
DICTIONARY = "property\nlevel\n"
RECORDING = "time,a,b\n" + "".join(f"2026-01-05T08:00:{s // 10:02d}.{s % 10}Z,{s},{-s}\n" for s in range(100))
MINUTE = 60_000_000_000

Make = Callable[..., Node]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Makes a node on a folder with more in its plant.toml, and with apps of its own by name."""
    known = plugins.load
    monkeypatch.setattr(node_module, "_LOOK_AT_STORE", 0.05)

    def make(more: str = "", **apps: type) -> Node:
        (tmp_path / "plant.toml").write_text(PLANT + more, encoding="utf-8")
        for name, text in (("tags.csv", TAGS), ("dictionary.csv", DICTIONARY), ("recording.csv", RECORDING)):
            (tmp_path / name).write_text(text, encoding="utf-8")

        def load(group: str, name: str) -> Any:
            return apps[name] if group == "ronghe.apps" else known(group, name)

        monkeypatch.setattr(plugins, "load", load)
        return Node(ronghe.plant.load(tmp_path))

    return make


async def until(true: Callable[[], Any], what: str) -> None:
    """Waits; the bound is for a broken node, not a measure of a good one."""
    for _ in range(600):
        if true():
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"waited in vain for {what}")


async def test_samples_are_kept_as_long_as_the_plant_says(make: Make) -> None:
    node = make('[historian]\nkeep = "30d"\n')
    assert node.historian.keep == 30 * 86_400
    await node.stop()
    node = make()
    assert node.historian.keep is None
    await node.stop()


async def test_a_store_that_does_not_go_on_is_said_until_it_does(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    node = make()
    await node.start()
    await until(lambda: node.recorder.recorded, "samples")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(SegmentWriter, "write", full)
        with pytest.raises(ronghe.errors.StoreFull):
            await asyncio.to_thread(node.historian.flush)
        await until(lambda: node.alarms.is_active("system/historian"), "the alarm")
    assert node.alarms.get("system/historian").text.zh.startswith("历史数据库维护受阻：")
    await asyncio.to_thread(node.historian.flush)
    await until(lambda: not node.alarms.is_active("system/historian"), "its end")
    await node.stop()


class Row(App):
    """Wants every value; says how many windows it was given, and that line 1 is busy."""

    uses = "row"
    Options = msgspec.Struct

    def wants(self) -> Wants:
        return Wants(tags=("line/a", "line/b"), every=0.02)

    def step(self, window: Window) -> Result:
        return Result(signals={"newest": float(window.value[-1, 0])})


class NoStart(Row):
    def __init__(self, *args: Any) -> None:
        raise AttributeError("no_such_thing")


class Exits(Row):
    def __init__(self, *args: Any) -> None:
        sys.exit(1)


class NoStep(Row):
    def step(self, window: Window) -> Result:
        raise AttributeError("no_such_thing")


APPS = "".join(f'[apps.{name}]\nuses = "{name}"\n' for name in ("good", "bad"))


@pytest.mark.parametrize("bad", [NoStart, NoStep])
async def test_an_app_that_fails_is_said_in_plain_words_and_the_log_says_more(
    make: Make, bad: type[App], caplog: pytest.LogCaptureFixture
) -> None:
    node = make(APPS, good=Row, bad=bad)
    await node.start()
    await until(lambda: node.alarms.is_active("system/app/bad"), "the alarm")
    assert node.alarms.get("system/app/bad").text == Text(
        "app bad: internal error; see the log of the node", "应用 bad：内部错误，详见节点日志"
    )
    assert "app bad" in caplog.text
    assert "AttributeError: no_such_thing" in caplog.text
    await until(lambda: node.apps["good"].rows > 5, "the other app to go on")
    await node.stop()


async def test_an_app_that_exits_as_it_is_made_does_not_end_the_node(make: Make) -> None:
    node = make(APPS, good=Row, bad=Exits)
    await node.start()
    await until(lambda: node.alarms.is_active("system/app/bad"), "the alarm")
    assert node.apps["bad"].reason == Text("it tried to end the whole process", "应用试图结束整个进程")
    await until(lambda: node.apps["good"].rows > 5, "the other app to go on")
    await node.stop()


async def test_the_alarms_of_what_is_no_longer_there_are_cleared_at_the_start(make: Make) -> None:
    gone = '[connections.old]\ndriver = "file"\npath = "no such file.csv"\n'
    node = make(APPS + gone, good=Row, bad=NoStep)
    await node.start()
    await until(lambda: node.alarms.is_active("system/app/bad") and node.alarms.is_active("system/connection/old"), "the alarms")
    for key, app in (("line/high", "bad"), ("line/low", "good")):
        node.alarms.take(Finding(key=key, app=app, equipment="line", time=1, active=True, priority="high", text=Text("so")), 1)
    node.alarms.out_of_service("line/high", "li", "being repaired", 2)
    await node.stop()
    node = make('[apps.good]\nuses = "good"\n', good=Row)
    await node.start()
    assert [a.key for a in node.alarms.list()] == ["line/low"]
    assert node.alarms.get("line/low").standing
    await node.stop()  # then all is in the ledger
    cleared = [e.body for e in node.ledger.entries(kind="alarm.cleared")]
    assert {c["key"] for c in cleared} == {"system/app/bad", "system/connection/old", "line/high"}
    assert all("plant.toml" in c["why"] for c in cleared)
    node = make('[apps.good]\nuses = "good"\n', good=Row)
    await node.start()
    await node.stop()
    assert len(node.ledger.entries(kind="alarm.cleared")) == 3  # once


async def test_a_full_disk_is_said_stops_no_other_part_and_loses_nothing(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    node = make('[apps.good]\nuses = "good"\n', good=Row)
    taken: list[Batch] = []
    put = node.recorder.put
    monkeypatch.setattr(node.recorder, "put", lambda batch: (taken.append(batch), put(batch)))
    append, full = node.historian.append, threading.Event()

    def append_if_room(batch: Batch) -> None:
        if full.is_set():
            raise StoreFull(Text("the disk is full", "磁盘已满"))
        append(batch)

    monkeypatch.setattr(node.recorder, "_append", append_if_room)
    await node.start()
    await until(lambda: node.recorder.recorded, "samples")
    full.set()
    await until(lambda: node.alarms.is_active("system/recorder"), "the alarm")
    alarm = node.alarms.get("system/recorder")
    assert (alarm.priority, alarm.text) == (
        "critical",
        Text("nothing is being recorded: the disk is full", "数据未能入库：磁盘已满"),
    )
    recorded, rows, seen = node.recorder.recorded, node.apps["good"].rows, len(taken)
    await until(lambda: node.apps["good"].rows > rows + 20 and len(taken) > seen + 20, "acquisition and app to go on")
    assert node.recorder.recorded == recorded
    assert node.alarms.is_active("system/recorder")
    full.clear()
    await until(lambda: not node.alarms.is_active("system/recorder"), "the alarm's end")
    await node.stop()
    assert node.recorder.dropped == 0
    expected = {(node.index.names[i], t, v) for b in taken for i, t, v in zip(b.tag, b.time.tolist(), b.value.tolist(), strict=True)}
    with Historian(node.folder / "historian", TagIndex(), readonly=True) as store:
        found = store.raw(None, 0, 2**62)
        assert {
            (store.index.names[i], t, v) for i, t, v in zip(found.tag, found.time.tolist(), found.value.tolist(), strict=True)
        } == expected


class Slow(Row):
    """Waits in its first step until it is let go."""

    gate = threading.Event()

    def step(self, window: Window) -> Result:
        self.gate.wait(60)
        return super().step(window)


async def test_a_slow_app_delays_neither_another_nor_acquisition(make: Make) -> None:
    node = make(APPS, good=Row, bad=Slow)
    await node.start()
    await until(lambda: node.apps["good"].rows > 50 and node.recorder.recorded > 100, "the other app and the recorder to go on")
    assert node.apps["bad"].rows == 0
    Slow.gate.set()
    await until(lambda: node.apps["bad"].rows > 50, "the slow app to catch up")
    assert node.apps["bad"].skipped == 0
    await node.stop()


async def test_many_alarms_at_once_do_not_make_the_loop_wait_for_the_disk(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    node = make()
    await node.start()
    sync, loop, synced = os.fsync, threading.get_ident(), set[int]()

    def noted(fd: int) -> None:
        synced.add(threading.get_ident())
        sync(fd)

    monkeypatch.setattr(os, "fsync", noted)
    for i in range(200):
        node.alarms.take(
            Finding(key=f"line/{i}", app="x", equipment="line", time=1, active=True, priority="low", text=Text("so")), node.clock()
        )
    await until(lambda: len(node.ledger.entries(kind="alarm.raised")) == 200, "the journal")
    assert [e.body["key"] for e in node.ledger.entries(kind="alarm.raised")] == [f"line/{i}" for i in range(200)]
    await node.stop()
    assert synced
    assert loop not in synced


async def test_impossible_times_are_said_and_then_no_longer(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_module, "ClockHealth", lambda: ClockHealth(looks=1))
    node = make()
    await node.start()
    node.take(Batch.of(node.index, ["line/a", "line/b"], node.clock() + 60 * MINUTE, [1.0, 2.0]))
    await until(lambda: node.alarms.is_active("system/clock"), "the alarm")
    alarm = node.alarms.get("system/clock")
    assert alarm.priority == "low"
    assert alarm.text.en.startswith("2 samples of the last 1 s had impossible times")
    assert alarm.text.zh.startswith("最近 1 秒有 2 个采样的时间戳异常")
    await until(lambda: not node.alarms.is_active("system/clock"), "its end")
    await node.stop()


class Asks(Row):
    """Asks once for what the guard refuses, and notes what it is told and in which thread."""

    told: ClassVar[list[tuple[str, str, str]]] = []
    number = 0

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        type(self).number += 1
        self.id = f"x{self.number}"

    def step(self, window: Window) -> Result:
        at = int(window.time[-1])
        asked = Advice(id=self.id, app=self.name, tag="line/a", value=1.0, time=at, expires=at + MINUTE, reason=Text("why not"))
        return Result(advice=(asked,))

    def feedback(self, advice: str, outcome: str) -> None:
        self.told.append((advice, outcome, threading.current_thread().name))


async def test_an_app_is_told_once_and_in_its_own_thread_what_became_of_its_advice(make: Make) -> None:
    for number in (1, 2):
        node = make('[apps.asks]\nuses = "asks"\n', asks=Asks)
        await node.start()
        await until(lambda number=number: len(Asks.told) >= number, "the outcome")
        await node.stop()
    assert len(node.guard.cases()) == 2
    assert Asks.told == [("x1", "refused", "app asks"), ("x2", "refused", "app asks")]  # of the first nothing more after the restart


class Alarmed(Asks):
    """Asks because of what it has found."""

    told: ClassVar[list[tuple[str, str, str]]] = []

    def step(self, window: Window) -> Result:
        found = Finding(
            key="line/high", app=self.name, equipment="line", time=1, active=True, priority="high", text=Text("high"), score=1.0
        )
        return Result(findings=(found,), advice=super().step(window).advice)


async def test_in_the_ledger_the_alarm_comes_before_the_advice_that_answers_it(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    node = make('[apps.alarmed]\nuses = "alarmed"\n', alarmed=Alarmed)
    append = node.ledger.append

    def slowly(kind: str, body: Any) -> Any:
        if kind.startswith("alarm."):
            time.sleep(0.3)
        return append(kind, body)

    monkeypatch.setattr(node.ledger, "append", slowly)
    await node.start()
    await until(lambda: node.guard.cases(), "the advice")
    await node.stop()
    kinds = [e.kind for e in node.ledger.entries()]
    assert kinds.index("alarm.raised") < kinds.index("guard.advice")


class Recovers(Alarmed):
    """Finds, asks, and in its next step finds that it is over."""

    def step(self, window: Window) -> Result:
        result = super().step(window)
        over = msgspec.structs.replace(result.findings[0], active=False)
        asked = msgspec.structs.replace(result.advice[0], finding=over.key)
        self.steps = getattr(self, "steps", 0) + 1
        return Result(findings=result.findings, advice=(asked,)) if self.steps == 1 else Result(findings=(over,))


async def test_advice_that_waits_for_a_person_is_withdrawn_when_its_finding_ends(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    node = make('[apps.recovers]\nuses = "recovers"\n', recovers=Recovers)
    asked, order = node.guard.submit, []

    async def submit(advice: Advice) -> Any:
        await asyncio.sleep(0.3)  # many steps of the app
        order.append(("submit", advice.finding))
        return await asked(advice)

    async def withdraw(app: str, finding: str) -> None:
        order.append(("withdraw", finding))

    monkeypatch.setattr(node.guard, "submit", submit)
    monkeypatch.setattr(node.guard, "withdraw", withdraw)
    await node.start()
    await until(lambda: len(order) > 1, "the withdrawal")
    await node.stop()
    assert order[:2] == [("submit", "line/high"), ("withdraw", "line/high")]


def stats(**told: Any) -> Stats:
    none: dict[str, Any] = dict.fromkeys(("tags", "segments", "sealed_rows", "head_rows", "bytes", "first", "refused"), 0)
    return Stats(**{**none, "damage": (), "trouble": None, **told})


def test_refused_samples_are_told_for_a_while_and_damage_for_as_long_as_it_is_there() -> None:
    health = StoreHealth()
    assert health.look(stats(), 0) is None
    due = health.look(stats(refused=3), MINUTE)
    assert due is not None
    assert due[0] == "medium"
    assert due[1].en.startswith("3 samples were not stored")
    assert health.look(stats(refused=3), 10 * MINUTE) is not None
    assert health.look(stats(refused=3), 11 * MINUTE) is None
    due = health.look(stats(refused=4, damage=(Text("the log ends early", "日志不完整"),)), 12 * MINUTE)
    assert due is not None
    assert due[0] == "high"
    assert due[1].en.startswith("stored data is damaged: the log ends early; 4 samples were not stored")
    assert due[1].zh == "已存数据有损坏：日志不完整；有 4 个采样因时间戳异常未入库；请检查设备时钟"
