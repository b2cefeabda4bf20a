"""The driver contract, with a folder of pictures and with an RTSP camera."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from contract import Bench, DriverContract
from devices import Device, Rtsp
from PIL import Image


class Folder(Device):
    stoppable = False

    def __init__(self, folder: Path) -> None:
        rng = np.random.default_rng(3)
        for i in range(30):
            Image.fromarray(rng.integers(i * 4, 255, (48, 64, 3), np.uint8)).save(folder / f"part {i}.png")
        self.options = {"source": str(folder), "repeat": True, "rate": 20}

    def start(self) -> None: ...

    def stop(self) -> None: ...


class TestFolder(DriverContract):
    @pytest.fixture(scope="class")
    @classmethod
    def bench(cls, tmp_path_factory: pytest.TempPathFactory) -> Bench:
        return Folder(tmp_path_factory.mktemp("parts"))


class TestRtsp(DriverContract):
    @pytest.fixture(scope="class")
    @classmethod
    def bench(cls) -> Iterator[Bench]:
        device = Rtsp()
        device.start()
        yield device
        device.stop()
