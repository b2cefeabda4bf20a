"""Runs models on a bounded set of threads: a queue a model, requests run together where the model takes rows, no model in another's way.

Every model has a lane. Lanes with work take turns, one run each, and no lane has all threads: however heavy one model is, another waits
for one run of a third at most. A run takes what waits in its lane, up to `batch` rows: nothing is held back to fill it up, unless
`wait_us` says how long the first may be held. What takes less time than handing it to a thread and back is run at once, in the event loop.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import numpy as np

from ronghe.cloud.serving.kinds import Served
from ronghe.cloud.serving.refusal import Refusal
from ronghe.cloud.serving.tensors import Array
from ronghe.cloud.spec import ModelSpec
from ronghe.text import Text

QUICK: Final = 200_000  # ns
_STALL: Final = 20_000_000  # ns; one such run, and a model is not quick for the next dozens
_SMALL: Final = 65_536  # bytes of inputs of a request that may be quick

Feed = dict[str, Array]
Answer = tuple[Feed, int]
"""Outputs, and the computing time in ns: of a run for several requests, the part by rows."""


@dataclass(slots=True, eq=False)
class _Waiting:
    feed: Feed
    rows: int
    shape: tuple[tuple[str, tuple[int, ...]], ...]
    since: float  # s of the event loop
    answer: asyncio.Future[Answer]


@dataclass(slots=True, eq=False)
class Lane:
    """Of one model. `usual` is how long a run mostly takes, ns: a mean over ten runs or so. A run that a busy machine interrupted counts
    as a slow one, not more; one that nobody would wait for in an event loop counts as it is."""

    model: Served
    spec: ModelSpec
    waiting: deque[_Waiting] = field(default_factory=deque)
    running: int = 0
    usual: float = float("inf")
    runs: int = 0
    calls: int = 0
    compute: int = 0
    refused: int = 0

    def time(self, ns: int, calls: int) -> None:
        """Notes a run."""
        first = self.runs < 3 or ns > _STALL
        self.usual = ns if first else self.usual + 0.1 * (min(ns, 4 * QUICK) - self.usual)
        self.runs += 1
        self.calls += calls
        self.compute += ns


class Lanes:
    """Belongs to one event loop: all but the models themselves runs there."""

    def __init__(self, threads: int) -> None:
        """`threads`: at least two, so that one model never has them all."""
        self._threads = max(threads, 2)
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="model")
        self._free = self._threads
        self._turn: deque[Lane] = deque()  # lanes with work, in order of their turns
        self._loop = asyncio.get_running_loop()

    def close(self) -> None:
        """Ends the threads, what runs in them first."""
        self._pool.shutdown(cancel_futures=True)

    async def run(self, lane: Lane, feed: Feed, within: float) -> Answer:
        """Raises Refusal when too many wait already, or `within` s it is not done, and what the model raises."""
        if lane.usual < QUICK and not lane.waiting and sum(a.nbytes for a in feed.values()) <= _SMALL:
            return _one(lane, feed)
        if len(lane.waiting) >= lane.spec.queue:
            lane.refused += 1
            raise Refusal(429, Text("too many requests wait for this model", "等待该模型的请求过多"), after=1)
        by_rows = lane.model.rows and lane.spec.batch > 1
        shape = tuple((k, a.shape[1:]) for k, a in feed.items()) if by_rows else ()
        rows = len(next(iter(feed.values()))) if by_rows else 1
        waiting = _Waiting(feed, rows, shape, self._loop.time(), self._loop.create_future())
        lane.waiting.append(waiting)
        if len(lane.waiting) == 1:
            self._turn.append(lane)
        self._go_on()
        try:
            async with asyncio.timeout(within):
                return await waiting.answer
        except TimeoutError as e:
            lane.refused += 1
            raise Refusal(504, Text("it took too long", "处理超时"), after=1) from e

    def _go_on(self) -> None:
        """Starts what there is a thread for."""
        for _ in range(len(self._turn)):
            if not self._free:
                return
            lane = self._turn.popleft()
            taken = self._take(lane) if lane.running < self._threads - 1 else []
            if lane.waiting:
                self._turn.append(lane)
            if taken:
                self._free -= 1
                lane.running += 1
                job = self._loop.run_in_executor(self._pool, _several, lane.model, [w.feed for w in taken], [w.rows for w in taken])
                job.add_done_callback(partial(self._ended, lane, taken))

    def _take(self, lane: Lane) -> list[_Waiting]:
        """What the next run of a lane answers; nothing while it is worth waiting for more."""
        while lane.waiting and lane.waiting[0].answer.done():  # nobody waits for it any more
            lane.waiting.popleft()
        if not lane.waiting:
            return []
        first = lane.waiting[0]
        if not first.shape:
            return [lane.waiting.popleft()]
        n = rows = 0
        for w in lane.waiting:
            if w.shape != first.shape or (n and rows + w.rows > lane.spec.batch):
                break
            n, rows = n + 1, rows + w.rows
        held = first.since + lane.spec.wait_us / 1e6 - self._loop.time()
        if held > 0 and n == len(lane.waiting) and rows < lane.spec.batch:
            self._loop.call_later(held, self._go_on)
            return []
        return [w for w in (lane.waiting.popleft() for _ in range(n)) if not w.answer.done()]

    def _ended(self, lane: Lane, taken: Sequence[_Waiting], job: asyncio.Future[tuple[list[Feed], int]]) -> None:
        self._free += 1
        lane.running -= 1
        failed = job.exception()
        if failed is None:
            answers, ns = job.result()
            lane.time(ns, len(taken))
            total = sum(w.rows for w in taken)
            for w, answer in zip(taken, answers, strict=True):
                if not w.answer.done():
                    w.answer.set_result((answer, ns * w.rows // total if total else ns // len(taken)))
        elif len(taken) == 1:
            if not taken[0].answer.done():
                taken[0].answer.set_exception(failed)
        else:  # one of them spoils it for all: each by itself
            lane.waiting.extendleft(reversed([_alone(w) for w in taken]))
            if lane not in self._turn:
                self._turn.append(lane)
        self._go_on()


def _alone(waiting: _Waiting) -> _Waiting:
    return _Waiting(waiting.feed, waiting.rows, (), waiting.since, waiting.answer)


def _one(lane: Lane, feed: Feed) -> Answer:
    begun = time.perf_counter_ns()
    out = lane.model.run(feed)
    ns = time.perf_counter_ns() - begun
    lane.time(ns, 1)
    return out, ns


def _several(model: Served, feeds: Sequence[Feed], rows: Sequence[int]) -> tuple[list[Feed], int]:
    """Runs in a thread."""
    begun = time.perf_counter_ns()
    if len(feeds) == 1:
        return [model.run(feeds[0])], time.perf_counter_ns() - begun
    whole = model.run({k: np.concatenate([f[k] for f in feeds]) for k in feeds[0]})
    ends = np.cumsum(rows)
    parts = [{k: a[e - n : e] for k, a in whole.items()} for e, n in zip(ends, rows, strict=True)]
    return parts, time.perf_counter_ns() - begun
