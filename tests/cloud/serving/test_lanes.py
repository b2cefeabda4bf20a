"""Requests run together, queues that end, and models that do not wait for one another."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import numpy as np
import pytest

from ronghe.cloud.serving.graph import TOLERANCE, Graph
from ronghe.cloud.serving.lanes import QUICK, Lane, Lanes
from ronghe.cloud.serving.refusal import Refusal
from ronghe.cloud.serving.tensors import Array, Tensor
from ronghe.cloud.spec import ModelSpec
from ronghe.errors import AppError
from ronghe.models import graph

from .conftest import WEIGHT, centred, package, product

LONG = 20.0  # s; nothing here takes so long


class Gate:
    """A model that answers when it is let; it knows how many rows each of its runs had."""

    platform = "gate"
    inputs = outputs = (Tensor("x", "FP32", (-1,)),)
    optional: frozenset[str] = frozenset()

    def __init__(self, rows: bool = True) -> None:
        self.rows, self.runs, self.open = rows, list[int](), threading.Event()
        self.running = threading.Semaphore(0)

    def run(self, feed: dict[str, Array]) -> dict[str, Array]:
        self.runs.append(len(feed["x"]))
        self.running.release()
        assert self.open.wait(LONG)
        if (feed["x"] < 0).any():
            raise AppError("below nothing")
        return {"x": feed["x"] + 1}


def x(*values: float) -> dict[str, Array]:
    return {"x": np.array(values, np.float32)}


async def _begun(gate: Gate) -> None:
    await asyncio.to_thread(gate.running.acquire, True, LONG)


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(LONG):
        while not holds():
            await asyncio.sleep(0.001)


async def test_what_waits_runs_together_and_each_gets_its_own() -> None:
    gate, lanes = Gate(), Lanes(2)
    lane = Lane(gate, ModelSpec(batch=8))
    try:
        asked = [asyncio.create_task(lanes.run(lane, x(*range(10 * i, 10 * i + 1 + i % 3)), LONG)) for i in range(9)]
        await _begun(gate)
        await _until(lambda: len(lane.waiting) == 8)
        gate.open.set()
        for i, (out, ns) in enumerate(await asyncio.gather(*asked)):
            assert out["x"].tolist() == list(range(10 * i + 1, 10 * i + 2 + i % 3))
            assert ns > 0
        assert gate.runs == [1, 8, 6, 3]  # at most 8 rows: 1, 2+3+1+2, 3+1+2, 3
    finally:
        lanes.close()


async def test_one_bad_request_does_not_spoil_its_neighbours() -> None:
    gate, lanes = Gate(), Lanes(2)
    lane = Lane(gate, ModelSpec())
    try:
        asked = [asyncio.create_task(lanes.run(lane, x(v), LONG)) for v in (1, 2, -1, 3)]
        await _begun(gate)
        await _until(lambda: len(lane.waiting) == 3)
        gate.open.set()
        said = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(s) for s in said] == [tuple, tuple, AppError, tuple]
        assert gate.runs == [1, 3, 1, 1, 1]
    finally:
        lanes.close()


async def test_a_request_may_be_held_for_others() -> None:
    gate, lanes = Gate(), Lanes(2)
    gate.open.set()
    lane = Lane(gate, ModelSpec(batch=2, wait_us=1_000_000))
    try:
        one = asyncio.create_task(lanes.run(lane, x(1), LONG))
        await asyncio.sleep(0)
        assert gate.runs == []
        await asyncio.gather(one, lanes.run(lane, x(2), LONG))
        assert gate.runs == [2]
        await lanes.run(Lane(gate, ModelSpec(wait_us=1000)), x(3), LONG)  # alone, it goes when its time is over
        assert gate.runs == [2, 1]
    finally:
        lanes.close()


async def test_a_heavy_model_leaves_a_thread_to_others_and_its_queue_ends() -> None:
    heavy, light, lanes = Gate(rows=False), Gate(), Lanes(2)
    light.open.set()
    lane = Lane(heavy, ModelSpec(queue=3))
    try:
        asked = [asyncio.create_task(lanes.run(lane, x(i), LONG)) for i in range(4)]
        await _begun(heavy)
        await _until(lambda: len(lane.waiting) == 3)
        with pytest.raises(Refusal, match="too many") as e:
            await lanes.run(lane, x(9), LONG)
        assert (e.value.status, e.value.after) == (429, 1)
        assert (await lanes.run(Lane(light, ModelSpec()), x(1), LONG))[0]["x"].tolist() == [2]
        assert heavy.runs == [1]
        heavy.open.set()
        await asyncio.gather(*asked)
        assert heavy.runs == [1, 1, 1, 1]
    finally:
        heavy.open.set()
        lanes.close()


async def test_what_is_given_up_is_not_run() -> None:
    gate, lanes = Gate(rows=False), Lanes(2)
    lane = Lane(gate, ModelSpec())
    try:
        first = asyncio.create_task(lanes.run(lane, x(1), LONG))
        await _begun(gate)
        with pytest.raises(Refusal, match="too long") as e:
            await lanes.run(lane, x(2), 0.01)
        assert e.value.status == 504
        gate.open.set()
        await first
        assert (await lanes.run(lane, x(3), LONG))[0]["x"].tolist() == [4]
        assert gate.runs == [1, 1]
    finally:
        gate.open.set()
        lanes.close()


async def test_what_is_quick_is_run_at_once_until_it_no_longer_is() -> None:
    lanes = Lanes(2)
    gate = Gate()
    gate.open.set()
    lane = Lane(gate, ModelSpec(), usual=QUICK / 2, runs=9)
    try:
        task = lanes.run(lane, x(1), LONG)
        with pytest.raises(StopIteration):  # no thread, no waiting: done when it is first asked
            task.send(None)
        lane = Lane(gate, ModelSpec(), usual=QUICK / 2, runs=9)
        lane.time(50 * QUICK, 1)  # interrupted once
        assert lane.usual < QUICK
        for _ in range(8):
            lane.time(5 * QUICK, 1)
        assert lane.usual > QUICK
        for ns, rest in ((QUICK // 2, 60), (200 * QUICK, 1)):
            for _ in range(rest):
                lane.time(ns, 1)
            assert (lane.usual < QUICK) == (rest > 1)
    finally:
        lanes.close()


def test_only_graphs_that_answer_row_by_row_are_batched() -> None:
    assert Graph(package("p", product())).rows
    assert not Graph(package("c", centred())).rows
    fixed = graph.model(
        [graph.node("Identity", ["x"], ["y"])], [], [graph.value("x", "float32", [2, 4])], [graph.value("y", "float32", [2, 4])]
    )
    assert not Graph(package("f", fixed)).rows


def test_a_row_in_a_batch_is_the_row_alone() -> None:
    model = Graph(package("p", product()))
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(32, 4)).astype(np.float32)
    together = model.run({"x": rows})["y"]
    alone = np.concatenate([model.run({"x": r[None]})["y"] for r in rows])
    assert np.abs(together - alone).max() <= TOLERANCE * np.abs(rows @ WEIGHT).max()
