"""A line on a real node: a camera that plays files, the app in its thread, questions by the node's door, signals in the store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

import ronghe.plant
from ronghe.apps.contract import Question
from ronghe.apps.quality.line.archive import png
from ronghe.edge.node import Node

from .line import part, plant

PLANT = """\
[plant]
path = "test/works/hall"

[connections.camera]
driver = "camera"
source = "parts"
rate = 10
ignore = ["frozen"]

[apps.eye]
uses = "quality.inspect"
equipment = "line1/eye"
model = "part.model"
every = "200ms"
"""


async def until(true: Callable[[], Any], what: str) -> None:
    for _ in range(600):
        if true():
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"waited in vain for {what}")


async def test_a_line_of_files_is_inspected_and_asked(tmp_path: Path) -> None:
    plant(tmp_path)
    (tmp_path / "plant.toml").write_text(PLANT)
    (tmp_path / "tags.csv").write_text("tag,property,connection,address,every\nline1/eye/photo,photo,camera,picture,100ms\n")
    (tmp_path / "dictionary.csv").write_text("property,type\nphoto,image\n")
    (tmp_path / "parts").mkdir()
    for i in range(24):
        data = b"no picture" if i == 10 else png(part(800 + i, defect=i % 6 == 5))
        (tmp_path / "parts" / f"{i:03}.png").write_bytes(data)
    node = Node(ronghe.plant.load(tmp_path))
    await node.start()
    try:
        state = node.runners["eye"].state
        await until(lambda: state.pictures >= 24 or state.state == "failed", "all parts")
        assert state.state == "up", state.reason

        async def ask(verb: str, **body: object) -> Any:
            return msgspec.json.decode(msgspec.json.encode(await node.ask("eye", Question(verb=verb, body=body, who="ann"))))

        recent = await ask("recent", count=24)
        said = {int(p["name"].removesuffix(".png")): p["verdict"] for p in recent}
        assert [said[i] for i in range(5, 24, 6)] == ["reject"] * 4
        assert said[10] == "unreadable"
        assert sum(v == "pass" for v in said.values()) >= 15
        assert (await ask("status"))["counts"]["missed"] == 0
        queue = await ask("queue")
        assert queue[0]["verdict"] == "unreadable"
        assert (await ask("label", id=queue[0]["id"], label="defective"))["by"] == "ann"
        await until(lambda: "apps/eye/score" in node.index.names, "signals")
        assert {"score", "verdict", "yield", "reject_rate"} <= set(state.signals)
        await until(lambda: node.ledger.entries(kind="app.asked"), "the label in the ledger")
    finally:
        await node.stop()
