"""Live cameras that are not ours: pictures and their times, loss and return, refusals."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from itertools import pairwise

import msgspec
import numpy as np
import pytest
from contract import running, until
from devices import Device, GigE, MjpegHttp, Rtsp

from ronghe.connect.camera import Camera
from ronghe.connect.camera.genicam import unpack
from ronghe.errors import Rejected, Unreachable
from ronghe.picture import Picture
from ronghe.signals import quality as q


@pytest.fixture(scope="module")
def rtsp() -> Iterator[Rtsp]:
    device = Rtsp()
    device.start()
    yield device
    device.stop()


def seeing(device: Device) -> tuple[Camera, list[Picture]]:
    driver = device.make()
    assert isinstance(driver, Camera)
    shown: list[Picture] = []
    driver.show = shown.append
    return driver, shown


async def test_pictures_carry_the_time_at_which_the_camera_took_them(rtsp: Rtsp) -> None:
    driver, shown = seeing(rtsp)

    def in_rhythm() -> bool:
        """Ten pictures in the server's own rhythm of 40 ms to 10 µs, which no arrivals on a busy machine have; it is known from the
        server's first report on."""
        last = [p for p in shown if p.pixels is not None][-11:]
        apart = [(b.time - a.time) / (b.number - a.number) for a, b in pairwise(last)]
        return len(apart) == 10 and float(np.abs(np.array(apart) - 40e6).max()) < 1e4

    async with running(driver, rtsp.items(driver, ["picture"])):
        await until(in_rhythm, "times of the camera")
    assert {p.pixels.shape for p in shown if p.pixels is not None} == {(240, 320, 3)}
    assert abs(shown[-1].time - time.time_ns()) < 10_000_000_000


async def test_h264(rtsp: Rtsp) -> None:
    device = Rtsp("h264")
    device.start()
    try:
        driver, shown = seeing(device)
        async with running(driver, device.items(driver, ["picture"])):
            await until(lambda: len(shown) >= 30, "pictures")
    finally:
        device.stop()
    bars = shown[-1].pixels[60, [20, 300]].astype(int)  # SMPTE: gray on the left, blue on the right
    assert np.ptp(bars[0]) < 30
    assert bars[1, 2] > bars[1, :2].max() + 60


async def test_fewer_pictures_are_shown_where_fewer_are_wanted_and_the_gaps_are_seen(rtsp: Rtsp) -> None:
    slow = Rtsp()
    slow.options = rtsp.options | {"rate": 5}
    driver, shown = seeing(slow)
    async with running(driver, slow.items(driver, ["picture", "rate"])) as sink:
        await until(lambda: len([p for p in shown if p.quality == q.GOOD]) >= 12, "pictures")
    numbers = [p.number for p in shown]
    assert np.median(np.diff(numbers)) >= 4
    assert driver.health.dropped < numbers[-1] / 2  # passed over by wish is not dropped
    assert max(r[1] for r in sink.rows("rate")) > 10  # the camera gives 25


async def test_the_newest_picture_wins_and_the_others_are_counted(rtsp: Rtsp) -> None:
    driver, shown = seeing(rtsp)
    async with running(driver, rtsp.items(driver, ["picture"])):
        await until(lambda: len(shown) >= 3, "pictures")
        before = shown[-1].number
        time.sleep(0.6)
        await until(lambda: shown[-1].number > before, "pictures again")
        await asyncio.sleep(0.3)
        assert driver.health.dropped > 5
        numbers = [p.number for p in shown]
        assert numbers == sorted(set(numbers))
        assert np.diff(numbers).max() > 5


async def test_a_camera_that_stops_sending_is_silent_long_before_its_connection_ends(rtsp: Rtsp) -> None:
    device = Rtsp()
    device.options |= {"timeout": 20.0}
    device.start()
    driver, shown = seeing(device)
    pid = device.process.pid
    try:
        async with running(driver, device.items(driver, ["picture"])) as sink:
            await until(lambda: len(shown) > 25, "pictures")
            os.kill(pid, signal.SIGSTOP)
            try:
                await until(lambda: driver.health.state == "down", "silent")
                assert (shown[-1].pixels, shown[-1].quality) == (None, q.BAD_NO_COMMUNICATION)
                assert sink.rows("picture")[-1][2] == q.BAD_NO_COMMUNICATION
            finally:
                os.kill(pid, signal.SIGCONT)
            await until(lambda: shown[-1].quality == q.GOOD, "pictures again")
            assert driver.health.state == "up"
    finally:
        device.stop()


async def test_mjpeg_over_http_and_a_picture_that_never_changes_is_frozen() -> None:
    device = MjpegHttp()
    device.start()
    driver, shown = seeing(device)
    try:
        async with running(driver, device.items(driver, ["picture"])):
            await until(lambda: shown and shown[-1].reason, "a condition")
            assert shown[0].pixels.shape == (480, 640, 3)
            assert shown[-1].reason.en.startswith("frozen: ")
            assert shown[-1].quality == q.BAD_SENSOR_FAILURE
            device.stop()
            await until(lambda: driver.health.state == "down", "lost")
            device.start()
            await until(lambda: driver.health.state == "up", "back")
    finally:
        device.stop()


async def test_a_wrong_password_is_refused_and_never_printed() -> None:
    device = Rtsp(login="line p@ss:w/rd")
    device.start()
    try:
        device.options |= {"user": "line", "password": "p@ss:w/rd"}
        driver, _ = seeing(device)
        assert (await driver.read(device.items(driver, ["picture"]))).quality.tolist() == [q.GOOD]
        device.options |= {"password": "Secret1"}
        driver, _ = seeing(device)
        with pytest.raises(Rejected) as caught:
            await driver.run(device.items(driver, ["picture"]), lambda batch: None)
        assert "Secret1" not in repr(caught.value) + str(caught.value) + repr(caught.value.__cause__)
    finally:
        device.stop()


async def test_a_gige_vision_camera_is_lost_and_comes_back() -> None:
    device = GigE()
    device.start()
    driver, shown = seeing(device)
    try:
        async with running(driver, device.items(driver, ["picture"])):
            await until(lambda: len(shown) > 5, "pictures")
            assert shown[-1].pixels.shape == (512, 512)
            device.stop()
            await until(lambda: driver.health.state == "down", "lost")
            device.start()
            seen = len(shown)
            await until(lambda: len(shown) > seen + 2, "pictures again")
            assert driver.health.reconnects == 1
    finally:
        device.stop()


@pytest.mark.parametrize("source", ["usb:97", "usb:/dev/no-such-camera"])
async def test_a_usb_camera_that_is_not_there(source: str) -> None:
    driver = Camera(msgspec.convert({"source": source}, Camera.Options), Rtsp().make().index)
    with pytest.raises(Unreachable, match="no such camera") as caught:
        await driver.browse()
    assert caught.value.todo.zh.startswith("本机相机")
    assert "devices" not in [f.path for f in await driver.browse("devices")]


def test_pixel_formats_of_genicam() -> None:
    gray = np.arange(16, dtype=np.uint8).reshape(4, 4)
    assert np.array_equal(unpack(gray.ravel(), (4, 4), 0x01080001), gray)
    twelve = (gray.astype("<u2") << 8) + 0xFF
    assert np.array_equal(unpack(twelve.view(np.uint8).ravel(), (4, 4), 0x01100005), twelve >> 4)
    colour = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    assert np.array_equal(unpack(colour.ravel(), (4, 4), 0x02180014), colour)
    assert np.array_equal(unpack(colour.ravel(), (4, 4), 0x02180015), colour[:, :, ::-1])
    red = np.zeros((8, 8), np.uint8)
    red[::2, ::2] = 200  # the red cells of an RGGB mosaic
    assert unpack(red.ravel(), (8, 8), 0x01080009)[2:6, 2:6].reshape(-1, 3).max(axis=0).tolist() == [200, 0, 0]
    assert unpack(gray.ravel(), (4, 4), 0x010C0006) is None  # Mono12Packed
    assert unpack(gray.ravel(), (5, 4), 0x01080001) is None  # too few bytes
