"""Pictures from files: a folder in order, a folder that is watched, a video."""

from __future__ import annotations

import asyncio
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from contract import running, until
from PIL import Image

from ronghe.connect import Item
from ronghe.connect.camera import Camera, Options
from ronghe.errors import Unreachable
from ronghe.picture import Picture, encode, read
from ronghe.signals import TagIndex
from ronghe.signals import quality as q

RNG = np.random.default_rng(5)


def part(level: int = 200) -> np.ndarray:
    return RNG.integers(0, level, (60, 80, 3), np.uint8)


def camera(source: Path, **options: object) -> tuple[Camera, list[Picture], list[Item]]:
    made = Camera(Options(source=str(source), **options), TagIndex(["line1/camera/picture", "line1/camera/light"]))
    shown: list[Picture] = []
    made.show = shown.append
    return made, shown, [Item(id=0, address="picture", type="image"), Item(id=1, address="light", every=1e-6)]


async def test_a_folder_is_played_in_order_and_what_cannot_be_read_is_shown_as_such(tmp_path: Path) -> None:
    for i in range(1, 12):
        Image.fromarray(part()).save(tmp_path / f"{i}.png")
    (tmp_path / "3.png").write_bytes((tmp_path / "3.png").read_bytes()[:900])
    Image.fromarray(np.zeros((60, 80, 3), np.uint8)).save(tmp_path / "5.png")
    driver, shown, items = camera(tmp_path, rate=200)
    async with running(driver, items) as sink:
        await until(lambda: driver.health.state == "stopped", "the end")
        assert driver.health.reason is not None
    assert [p.name for p in shown] == [f"{i}.png" for i in range(1, 12)]
    assert [p.number for p in shown] == list(range(1, 12))
    assert {p.tag for p in shown} == {"line1/camera/picture"}
    broken, dark = shown[2], shown[4]
    assert (broken.pixels, broken.quality) == (None, q.BAD_DECODING)
    assert broken.reason is not None
    assert "truncated" in broken.reason.en
    assert "不完整" in broken.reason.zh
    assert (dark.quality, dark.reason and dark.reason.en.partition(":")[0]) == (q.BAD_SENSOR_FAILURE, "dark")
    assert {p.quality for p in shown if p not in (broken, dark)} == {q.GOOD}
    assert np.array_equal(shown[0].pixels, read(tmp_path / "1.png"))
    rows = sink.rows("line1/camera/picture")
    assert [(r[0], r[1], r[2]) for r in rows] == [(p.time, p.number, p.quality) for p in shown]
    lights = sink.rows("line1/camera/light")
    assert [r[2] for r in lights][2] == q.BAD_DECODING
    assert lights[0][1] == pytest.approx(shown[0].pixels.mean() / 255, abs=0.01)


async def test_a_watched_folder_gives_new_files_whole(tmp_path: Path) -> None:
    Image.fromarray(part()).save(tmp_path / "old.png")
    driver, shown, items = camera(tmp_path, mode="watch")
    async with running(driver, items):
        await until(lambda: driver.health.state == "up", "watching")
        whole = encode(part(), 95)
        (tmp_path / "今天").mkdir()
        with (tmp_path / "今天" / "slow.jpg").open("wb") as file:
            for at in range(0, len(whole), len(whole) // 4):
                file.write(whole[at : at + len(whole) // 4])
                file.flush()
                await asyncio.sleep(0.3)  # long enough for the folder to be looked at
        await until(lambda: shown, "the file that was written slowly")
        (tmp_path / "note.txt").write_text("no picture")
        (tmp_path / "broken.jpg").write_bytes(whole[: len(whole) // 2])
        (tmp_path / "part.tmp").write_bytes(whole)
        (tmp_path / "part.tmp").rename(tmp_path / "renamed.jpg")
        await until(lambda: len(shown) == 3, "the others")
        (tmp_path / "broken.jpg").write_bytes(whole)
        await until(lambda: len(shown) == 4, "the file that was mended")
    assert [p.name for p in shown] == ["今天/slow.jpg", "renamed.jpg", "broken.jpg", "broken.jpg"]
    assert [p.pixels is None for p in shown] == [False, False, True, False]
    assert [p.number for p in shown] == [1, 2, 3, 4]


def _film(path: Path, pictures: list[np.ndarray]) -> None:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=50)
        stream.width, stream.height, stream.pix_fmt = pictures[0].shape[1], pictures[0].shape[0], "yuv420p"
        for i, pixels in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, 50)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())


async def test_a_video_is_played_and_begins_again(tmp_path: Path) -> None:
    levels = [60, 90, 120, 150, 180]
    _film(tmp_path / "line.mp4", [np.full((64, 96, 3), v, np.uint8) for v in levels])
    driver, shown, items = camera(tmp_path / "line.mp4", repeat=True, ignore=("covered",))
    async with running(driver, items):
        await until(lambda: len(shown) >= 8, "more than one round")
    assert [round(p.pixels.mean(), -1) for p in shown[:8]] == [60, 90, 120, 150, 180, 60, 90, 120]
    assert [p.number for p in shown[:8]] == list(range(1, 9))
    assert {p.name for p in shown} == {"line.mp4"}
    times = np.diff([p.time for p in shown])
    assert times.min() > 0


async def test_a_folder_that_comes_later_is_waited_for(tmp_path: Path) -> None:
    driver, shown, items = camera(tmp_path / "later", rate=50)
    with pytest.raises(Unreachable, match="later"):
        await driver.read(items)
    async with running(driver, items) as sink:
        await until(lambda: driver.health.state == "down", "not there")
        assert [p.quality for p in shown] == [q.BAD_NO_COMMUNICATION]
        (tmp_path / "later").mkdir()
        Image.fromarray(part()).save(tmp_path / "later" / "1.png")
        await until(lambda: sink.good("line1/camera/picture"), "the picture")
    assert [p.pixels is None for p in shown] == [True, False]


async def test_a_file_that_is_no_video_says_so(tmp_path: Path) -> None:
    (tmp_path / "line.mp4").write_bytes(b"not a video" * 100)
    driver, _, items = camera(tmp_path / "line.mp4")
    with pytest.raises(Unreachable, match=r"line\.mp4"):
        await driver.read(items)
