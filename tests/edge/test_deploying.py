"""Models that come to a node at work: tried beside the app, switched between two windows, and taken back when they do not do well."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar

import msgspec
import numpy as np
import pytest
from tests.models.conftest import Works, changed

import ronghe.plant
from ronghe import plugins
from ronghe.apps.contract import App, Finding, Result, Wants
from ronghe.bus.fleet import RunningModel
from ronghe.edge import deploying as deploying_module
from ronghe.edge.deploying import Deploying, Gate
from ronghe.edge.node import Node
from ronghe.errors import ModelError, Unreachable
from ronghe.guard import Ledger
from ronghe.models import load
from ronghe.signals import Window
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

[apps.watch]
uses = "test.watch"

[apps.state]
uses = "maintenance.detect"
equipment = "line"
every = "20ms"
"""
TAGS = "tag,property,connection,address,every\nline/a,level,recording,a,20ms\nline/b,level,recording,b,20ms\n"
DICTIONARY = "property\nlevel\n"
RECORDING = "time,a,b\n" + "".join(f"2026-01-05T08:00:{s // 10:02d}.{s % 10}Z,{s},{-s}\n" for s in range(100))


class Options(msgspec.Struct, frozen=True, kw_only=True):
    model: Annotated[str, "a package"] = ""


class Watch(App):
    """Judges rows by a package whose settings say how it behaves at work and in a trial, and keeps what it was given by which."""

    uses = "test.watch"
    Options = Options
    given: ClassVar[list[tuple[int, str]]] = []

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.package = load(Path(self.options.model)) if self.options is not None and self.options.model else None
        self.does = self.package.manifest.settings if self.package is not None else {}
        self.at_work = self.state.name != "trial"
        if self.does.get("no start") and self.at_work:
            raise ModelError(Text("it does not take this plant", "不适用于本工厂"))

    def wants(self) -> Wants:
        return Wants(tags=("line/a", *self.does.get("also", ())), every=0.02)

    def step(self, window: Window) -> Result:
        time.sleep(self.does.get("slow", 0.0))
        if self.does.get("fails") == ("work" if self.at_work else "trial"):
            raise ValueError("it does not work")
        if self.at_work:
            version = self.package.manifest.version if self.package is not None else "own"
            Watch.given.extend((int(t), version) for t in window.time)
        findings = [
            Finding(
                key=f"line/{i}", app=self.name, equipment="line", time=int(window.time[-1]), active=True, priority="low", text=Text("?")
            )
            for i in range(self.does.get("alarms", 0))
        ]
        return Result(findings=tuple(findings))


async def until(true: Callable[[], Any], what: str) -> None:
    """Waits; the bound is for a broken node, not a measure of a good one."""
    for _ in range(1200):
        if true():
            return
        await asyncio.sleep(0.025)
    raise AssertionError(f"waited in vain for {what}")


class Site:
    """A plant folder and the works that release models for it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "plant"
        (folder / "works").mkdir()
        self.folder.mkdir()
        for name, text in (("plant.toml", PLANT), ("tags.csv", TAGS), ("dictionary.csv", DICTIONARY), ("recording.csv", RECORDING)):
            (self.folder / name).write_text(text, encoding="utf-8")
        self.works = Works(folder / "works", time.time_ns)
        self.trusted = [self.works.keys.named("first").key]

    async def start(self, **gate: Any) -> Node:
        self.node = Node(ronghe.plant.load(self.folder))
        await self.node.start()
        self.deploying = Deploying(self.node, gate=Gate(**{"minutes": 0.002, "alarms": 5, **gate}))
        self.deploying.start()
        return self.node

    async def stop(self) -> None:
        await self.deploying.stop()
        await self.node.stop()

    async def apply(self, wanted: Any, source: Any = None) -> RunningModel:
        await self.deploying.apply([wanted], self.trusted, source or self.works)
        return self.running(wanted.app)

    def running(self, app: str = "watch") -> RunningModel:
        return next(r for r in self.deploying.running if r.app == app)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    known = plugins.load
    monkeypatch.setattr(plugins, "load", lambda group, name: Watch if name == "test.watch" else known(group, name))
    monkeypatch.setattr(deploying_module, "_LOOK", 0.02)
    monkeypatch.setattr(deploying_module, "_AGAIN", 0.1)
    Watch.given.clear()
    return Site(tmp_path)


async def test_a_model_comes_without_a_row_lost_or_doubled_and_runs_again_after_a_start(site: Site) -> None:
    node = await site.start()
    await until(lambda: node.recorder.recorded > 60, "rows")
    for version in ("1", "2"):
        said = await site.apply(site.works.wanted(version, settings={"also": ["line/b"]} if version == "2" else {}))
        assert (said.state, said.version) == ("running", version), said
        assert said.switch_ms is not None
        assert said.run_ms is not None
        seen = len(Watch.given)
        await until(lambda seen=seen: len(Watch.given) > seen + 20, "rows of the new")
    await until(lambda: node.models.pointer("watch").proved, "the end of its trial")
    await site.stop()
    times = np.array([t for t, _ in Watch.given])
    assert np.all(np.diff(times) == 20_000_000)  # every row of the grid, once
    versions = [v for _, v in Watch.given]
    assert versions == sorted(versions, key=["own", "1", "2"].index)
    told = [e.body for e in Ledger.read(site.folder / ".ronghe" / "ledger") if e.kind == "model.switched"]
    assert [(b["version"], b["serial"], b["signed_by"]) for b in told] == [("1", 1, *site.trusted), ("2", 2, *site.trusted)]

    await site.start()
    assert (site.running().version, site.running().state) == ("2", "running")
    Watch.given.clear()
    await until(lambda: Watch.given, "rows")
    assert Watch.given[0][1] == "2"
    await site.stop()


async def test_what_does_not_run_well_beside_the_app_never_comes_to_work(site: Site) -> None:
    await site.start()
    await until(lambda: site.node.recorder.recorded > 60, "samples")
    for version, why, does in (("1", "fails with it", {"fails": "trial"}), ("2", "too slow on this node", {"slow": 0.002})):
        said = await site.apply(changed(site.works.wanted(version, settings=does), slowest_ms=1.0))
        assert said.state == "refused"
        assert why in str(said.text)
        assert site.node.alarms.is_active("system/model/watch")
        assert site.node.models.journal.read()[-1].event == "refused"
    assert {v for _, v in Watch.given} == {"own"}
    said = await site.apply(site.works.wanted("3"))
    assert (said.state, said.version) == ("running", "3")
    await until(lambda: not site.node.alarms.is_active("system/model/watch"), "the end of the alarm")
    await site.stop()


async def test_what_does_not_do_well_at_work_is_taken_back_and_not_tried_again(site: Site) -> None:
    await site.start(minutes=1)
    await site.apply(site.works.wanted("1"))
    for version, why, does in (("2", "the app fails", {"fails": "work"}), ("3", "more alarms", {"alarms": 6})):
        bad = site.works.wanted(version, settings=does)
        assert (await site.apply(bad)).version == version
        await until(lambda: site.running().state == "rolled_back", "the way back")
        said = site.running()
        assert (said.version, said.wanted) == ("1", bad.hash)
        assert why in str(said.text)
        Watch.given.clear()
        await until(lambda: Watch.given, "rows")
        assert Watch.given[0][1] == "1"
        assert (await site.apply(bad)).state == "rolled_back"
    await site.stop()
    await site.start()
    assert (await site.apply(bad)).state == "rolled_back"  # not after a start either
    assert (await site.apply(site.works.wanted("4"))).version == "4"
    await site.stop()


async def test_unsigned_no_such_app_and_what_the_app_does_not_take_leave_the_old_at_work(site: Site) -> None:
    await site.start()
    one, strange = site.works.wanted("1"), site.works.wanted("2", settings={"no start": True})
    for wanted in (changed(one, proof=""), changed(one, app="nobody"), changed(one, app="state")):
        await site.deploying.apply([wanted], site.trusted, site.works)
    assert site.running("watch").state == "refused"
    assert "not signed" in str(site.running("watch").text)
    assert "test/1" in str(site.running("state").text)
    assert site.node.apps["state"].state != "failed"
    said = await site.apply(strange)  # made beside it, and not in its place
    assert (said.state, said.version) == ("rolled_back", "")
    seen = len(Watch.given)
    await until(lambda: len(Watch.given) > seen, "rows")
    assert Watch.given[-1][1] == "own"
    await site.stop()

    store = site.node.models  # and where the plant has changed since it came: at the start, the newest that the app takes
    three = site.works.wanted("3")
    site.works.registry.sign(strange.hash, site.works.keys.private("first"))
    for wanted in (three, site.works.registry.wanted(strange.hash, "watch")):
        store.fetch(wanted, site.works)
        store.switch(wanted)
    await site.start()
    assert (site.running().version, site.node.apps["watch"].state != "failed") == ("3", True)
    assert "does not take this plant" in store.journal.read()[-1].text.en
    await site.stop()


async def test_what_is_cut_is_tried_again_by_itself_and_the_centre_can_take_back(site: Site) -> None:
    await site.start()
    tries = []

    class Line:
        def read(self, file: str, start: int) -> Iterator[bytes]:
            tries.append(start)
            yield next(iter(site.works.read(file, start)))
            if len(tries) < 3:
                raise Unreachable(Text("cut"))
            yield from list(site.works.read(file, start))[1:]

    one = site.works.wanted("1")
    assert (await site.apply(one, Line())).state == "fetching"
    await until(lambda: site.running().version == "1", "the third try")
    assert tries == [0, 1000, 2000]
    own = changed(one, name="", version="", hash="", proof="", back=True)
    assert (await site.apply(own)).hash == ""
    assert site.running().state == "running"
    await site.apply(one)
    await site.apply(site.works.wanted("2"))
    assert (await site.apply(one)).state == "refused"  # a replay
    assert (await site.apply(changed(one, back=True))).version == "1"
    assert (await site.apply(own)).state == "refused"
    assert site.running().version == "1"
    await site.stop()
