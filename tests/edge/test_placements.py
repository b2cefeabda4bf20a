"""A node whose app says where its model may run: its session is placed, troubles are alarms, moves are in the ledger."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import numpy as np
import pytest

from ronghe.apps.contract import App, Result, Wants
from ronghe.edge.node import Node
from ronghe.errors import PlantError
from ronghe.models import graph, runtime
from ronghe.models.placement import PlacedSession
from ronghe.models.placement.decide import Move
from ronghe.plant import load
from ronghe.signals import Window
from ronghe.text import Text

PLANT = """
[plant]
path = "acme/site/hall"

[sites.box]
kind = "edge"
cost = 65

[sites.shop]
kind = "workshop"
url = "http://127.0.0.1:9"
api_key = { env = "SHOP_KEY" }
cost = 15

[apps.see]
uses = "test.see"
place = { deadline = "50ms" }

[apps.watch]
uses = "test.watch"
place = { deadline = "50ms" }

[apps.plain]
uses = "test.see"
"""


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """None."""


class See(App):
    """Runs a model at every row."""

    uses: ClassVar[str] = "test.see"
    Options: ClassVar[type[msgspec.Struct]] = Options

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        numbers = [graph.value(n, "float32", [2]) for n in ("x", "y")]
        self.onnx = graph.model([graph.node("Relu", ["x"], ["y"])], [], numbers[:1], numbers[1:])
        self.session = runtime.session(self.onnx)
        self.later: runtime.Session | None = None

    def wants(self) -> Wants:
        return Wants(tags=(), every=0.05)

    def step(self, window: Window) -> Result:
        self.session.run(np.zeros(2, np.float32))
        self.later = self.later or runtime.session(self.onnx)  # as when it loads another model at work
        return Result()


class Watch(See):
    """The same, for safety."""

    uses: ClassVar[str] = "test.watch"
    safety: ClassVar[bool] = True


def find(uses: str) -> type[App]:
    return {"test.see": See, "test.watch": Watch}[uses]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SHOP_KEY", "k")
    (tmp_path / "plant.toml").write_text(PLANT)
    (tmp_path / "tags.csv").write_text("tag,property\n")
    (tmp_path / "dictionary.csv").write_text("property,type\n")
    return tmp_path


async def test_an_app_is_placed(folder: Path) -> None:
    node = Node(load(folder, apps=find), apps=find)
    await node.start()
    apps = {name: runner.app for name, runner in node.runners.items()}
    while any(app.later is None for app in apps.values()):  # type: ignore[attr-defined]
        await asyncio.sleep(0.02)
    see, watch, plain = (apps[n] for n in ("see", "watch", "plain"))
    assert isinstance(see, See)
    assert isinstance(watch, See)
    assert isinstance(plain, See)
    assert type(plain.session) is type(plain.later) is runtime.Session
    assert isinstance(see.session, PlacedSession)
    assert isinstance(see.later, PlacedSession)
    assert isinstance(watch.session, PlacedSession)
    assert (list(see.session.remotes), list(watch.session.remotes)) == (["shop"], [])
    view = node.placements.view()
    assert view is not None
    assert [(s["site"], s["kind"], s["up"]) for s in view["sites"]] == [("box", "edge", True), ("shop", "workshop", False)]
    assert {m["app"] for m in view["models"]} == {"see", "watch"}

    placer = node.placements.placer
    assert placer is not None
    placer._untold.append(Move(time=1, model="m", from_="box", to="shop", why=Text("cheaper", "更省")))
    see.session._times.add(node.clock(), 0.0)
    for _ in range(8):
        see.session._times.add(node.clock(), 90.0)
    placer.step()
    await node.second()
    assert node.alarms.is_active("system/placement/see")
    assert not node.alarms.is_active("system/placement/watch")
    await asyncio.to_thread(node.journal.flush, 5.0)
    (entry,) = node.ledger.entries(kind="placement.move")
    assert (entry.body["from"], entry.body["to"], entry.body["zh"]) == ("box", "shop", "更省")
    await node.stop()
    see.session.run(np.zeros(2, np.float32))


def test_nothing_is_loaded_for_who_places_nothing() -> None:
    check = "import sys, ronghe.edge.node; sys.exit(any('placement.' in m or m.endswith('models.remote') for m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


def test_wrong_tables_are_told(folder: Path) -> None:
    wrong = PLANT.replace('deadline = "50ms"', 'deadline = "50 m", sites = ["shopp"]', 1).replace('url = "http://127.0.0.1:9"\n', "")
    (folder / "plant.toml").write_text(wrong.replace('{ env = "SHOP_KEY" }', '"secret"'))
    with pytest.raises(PlantError) as caught:
        load(folder, apps=find)
    told = " ".join(p.in_("en") for p in caught.value.problems)
    for part in ("only one can be this node", "'50 m' is not a duration", "api_key must not stand in the folder"):
        assert part in told
