"""A release from the registry of a real centre to an app of a real node, over mutual TLS, and back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.cloud.fleet.centres import running

from ronghe.apps.maintenance.cause import Measured
from ronghe.apps.maintenance.normal import learn
from ronghe.apps.maintenance.packing import pack
from ronghe.cli.edge import run_until
from ronghe.edge import agent
from ronghe.models import save
from ronghe.models.delivery import Store
from ronghe.models.keys import KeyFolder
from ronghe.text import Text

APP = '\n[apps.state]\nuses = "maintenance.detect"\nequipment = "line"\nevery = "200ms"\n'


async def until(true: Callable[[], Any], what: Callable[[], Any]) -> None:
    """Waits; the bound is for what is broken, not a measure of what is good."""
    for _ in range(600):
        if true():
            return
        await asyncio.sleep(0.05)
    raise AssertionError(what())


async def test_a_release_comes_to_a_node_that_joined_and_goes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent, "EVERY", 0.2)
    monkeypatch.setattr(agent, "_FIRST", 0.05)
    keys = KeyFolder(tmp_path / "keys")
    keys.new("li", time.time_ns())
    rows = np.random.default_rng(1).normal(size=(400, 1)).cumsum(0)
    package = pack(learn(rows, window=5), [Measured("line/pressure", "pressure", Text(""), "bar")], rows, name="normal", created=1)
    save(tmp_path / "1.model", package)
    with running(tmp_path / "centre", whole=False) as at:
        registry = at.centre.registry
        registry.ring.pin(keys.named("li").key)
        release = registry.sign(registry.add(tmp_path / "1.model").hash, keys.private("li"), keys=keys.ring.statements)

        async def call(work: Callable[[], Any]) -> Any:
            async def run() -> Any:
                return work()

            return await asyncio.to_thread(at.call, run())

        await call(at.centre._start_rollouts)
        plant = await asyncio.to_thread(at.joined, tmp_path / "plant", "press-1")
        with (plant / "plant.toml").open("a") as toml:
            toml.write(APP)
        ended, store = asyncio.Event(), Store(plant / ".ronghe" / "models")
        node = asyncio.create_task(run_until(ended, plant, "", None))
        try:
            rollouts = at.centre.rollouts
            await until(lambda: ("press-1", "state") in rollouts._running, lambda: "no report")
            started = await call(lambda: rollouts.start(release.hash, "state", gate={"minutes": 0}, who="li"))
            await until(lambda: rollouts._all[started["id"]].state == "done", lambda: rollouts._all[started["id"]])
            assert store.current("state") is not None
            row = next(n for n in (await call(at.centre.fleet.view))["nodes"] if n["name"] == "press-1")
            assert (row["models"][0]["hash"], row["models"][0]["state"]) == (release.hash, "running")
            await call(lambda: rollouts.roll_back(started["id"], "li", "not needed"))
            await until(lambda: store.current("state") is None, lambda: [e.text.en for e in store.journal.read()])
            assert store.journal.read()[-1].event == "dropped"
        finally:
            ended.set()
            await node
