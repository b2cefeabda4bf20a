"""Speed, the present, loops: with a clock that only the replay moves."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ronghe.connect import Item, Write
from ronghe.connect.file import File, Options
from ronghe.connect.file.merge import Merged, part
from ronghe.signals import Batch, TagIndex
from ronghe.signals import quality as q

SECOND = 10**9
T0 = int(np.datetime64("2024-01-01T00:00:00", "ns").astype(np.int64))
NOW = int(np.datetime64("2030-06-01T00:00:00", "ns").astype(np.int64))


class Clock:
    """Time that stands still but for sleeping; sleepers wait for leave to go on."""

    def __init__(self) -> None:
        self.now = 0.0
        self.leave = float("inf")

    def ns(self) -> int:
        return NOW + round(self.now * SECOND)

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)
        while self.now > self.leave:
            await asyncio.sleep(0.001)


class Playing:
    """A replay under way: what came, and at what time of the clock."""

    def __init__(self, path: Path, names: list[str], **options: Any) -> None:
        self.clock = Clock()
        self.file = File(
            Options(path=str(path), **options), TagIndex(), clock=self.clock.ns, monotonic=lambda: self.clock.now, sleep=self.clock.sleep
        )
        self.got: list[tuple[float, Batch]] = []
        self.items = [Item(id=self.file.index.id(n), address=n) for n in names]

    def sink(self, batch: Batch) -> None:
        self.got.append((self.clock.now, batch))

    def rows(self) -> list[tuple[float, float, float]]:
        """(when it came in s, source time in s after T0, value)."""
        return [(at, (t - T0) / SECOND, v) for at, b in self.got for t, v in zip(b.time.tolist(), b.value.tolist(), strict=True)]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.file.run(self.items, self.sink))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})
            if not task.cancelled():
                task.result()

    async def to_the_end(self) -> None:
        async with self.running():
            while self.file.health.state != "stopped":
                await asyncio.sleep(0.001)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Values 0 to 9 of `a`, one a second; `b` at the even ones."""
    path = tmp_path / "a.csv"
    path.write_text("time,a,b\n" + "".join(f"2024-01-01 00:00:0{i},{i},{i if i % 2 == 0 else ''}\n" for i in range(10)))
    return path


@pytest.mark.parametrize("speed", [0.5, 1, 10])
async def test_as_fast_as_asked(recording: Path, speed: float) -> None:
    playing = Playing(recording, ["a"], speed=speed)
    await playing.to_the_end()
    assert [v for _, _, v in playing.rows()] == list(range(10))
    for at, source, value in playing.rows():
        assert source == value
        assert value / speed <= at <= value / speed + 0.011
    assert 0 <= playing.file.health.lag <= 0.011


async def test_as_fast_as_possible_takes_no_time(recording: Path) -> None:
    playing = Playing(recording, ["a", "b"], speed=0)
    await playing.to_the_end()
    assert playing.clock.now == 0
    assert len(playing.rows()) == 15


@pytest.mark.parametrize("speed", [1, 10])
async def test_moved_to_the_present(recording: Path, speed: float) -> None:
    playing = Playing(recording, ["a"], speed=speed, times="now")
    await playing.to_the_end()
    for _, source, value in playing.rows():
        assert source == pytest.approx((NOW - T0) / SECOND + value / speed)


@pytest.mark.parametrize("times", ["recorded", "now"])
async def test_a_loop_goes_on_in_even_steps(recording: Path, times: str) -> None:
    playing = Playing(recording, ["a"], speed=1000, times=times, loop=True)
    async with playing.running():
        while len(playing.rows()) < 35:
            await asyncio.sleep(0.001)
    source = np.array([s for _, s, _ in playing.rows()][:35])
    step = 1.0 if times == "recorded" else 0.001
    assert np.allclose(np.diff(source), step, rtol=1e-3)
    assert [v for _, _, v in playing.rows()][:35] == [i % 10 for i in range(35)]


async def test_read_gives_what_is_being_replayed(recording: Path) -> None:
    playing = Playing(recording, ["a", "b"])
    playing.clock.leave = 5.5
    assert (await playing.file.read(playing.items)).value.tolist() == [0, 0]
    async with playing.running():
        while playing.clock.now < 5.5:
            await asyncio.sleep(0.001)
        batch = await playing.file.read(playing.items)
    assert batch.value.tolist() == [5, 4]
    assert ((batch.time - T0) // SECOND).tolist() == [5, 4]
    assert (await playing.file.read(playing.items)).value.tolist() == [0, 0]


async def test_a_file_that_comes_later_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "later.csv"
    playing = Playing(path, ["a"], speed=0)
    playing.clock.leave = 20.0
    async with playing.running():
        while playing.clock.now < 3:
            await asyncio.sleep(0.001)
        assert playing.file.health.state == "down"
        assert playing.file.health.reason.zh
        path.write_text("time,a\n2024-01-01 00:00:00,7\n")
        playing.clock.leave = float("inf")
        while playing.file.health.state != "stopped":
            await asyncio.sleep(0.001)
    batch = Batch.concat([b for _, b in playing.got])
    assert batch.quality.tolist() == [q.BAD_NO_COMMUNICATION, q.GOOD]
    assert batch.value[1] == 7


async def test_times_that_go_back_do_not_halt_the_replay(tmp_path: Path) -> None:
    path = tmp_path / "back.csv"
    rows = [f"{1704067200 + i},{i}" for i in range(20_000)]  # two blocks: sorted within, not across
    rows[15_000] = "1704067100,-1"
    path.write_text("\n".join(["time,a", *rows]))
    playing = Playing(path, ["a"], speed=1e6)
    await playing.to_the_end()
    assert sorted(v for _, _, v in playing.rows()) == sorted([-1, *(i for i in range(20_000) if i != 15_000)])


async def test_a_recording_is_not_written_to(recording: Path) -> None:
    file = Playing(recording, ["a"]).file
    assert await file.write([Write(address="a", value=1.0)] * 2) == [q.BAD_NOT_WRITABLE] * 2


streams = st.lists(st.lists(st.lists(st.integers(0, 50), min_size=1, max_size=6).map(sorted), min_size=1, max_size=4), max_size=5)


@settings(deadline=None, max_examples=100)
@given(streams)
def test_merging_keeps_every_sample_and_the_order(chunks: list[list[list[int]]]) -> None:
    index = TagIndex()
    flat = [sorted(t for c in s for t in c) for s in chunks]
    sizes = [[len(c) for c in s] for s in chunks]
    made = []
    for number, (times, cuts) in enumerate(zip(flat, sizes, strict=True)):
        whole = Batch.of(index, np.full(len(times), number, np.int32), times, np.arange(len(times)))
        ends = np.cumsum([0, *cuts])
        made.append([part(whole, a, b) for a, b in pairwise(ends)])
    got = list(Merged([lambda m=m: iter(m) for m in made], [f[0] for f in flat], pytest.fail))
    assert sum(map(len, got)) == sum(map(len, flat))
    if got:
        batch = Batch.concat(got)
        assert (np.diff(batch.time) >= 0).all()
        for number, times in enumerate(flat):
            assert batch.value[batch.tag == number].tolist() == list(range(len(times)))


async def test_a_bad_row_is_counted_once_however_often_it_comes(tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text("time,a\n2024-01-01 00:00:00,0\nnever,1\n2024-01-01 00:00:01,2\n")
    playing = Playing(path, ["a"], speed=100, loop=True)
    await playing.file.browse()
    await playing.file.read(playing.items)
    async with playing.running():
        while len(playing.rows()) < 10:
            await asyncio.sleep(0.001)
        assert playing.file.health.state == "up"
        assert f"{path}:3" in playing.file.health.reason.en
    assert playing.file.skipped == 1
