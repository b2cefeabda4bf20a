"""A press with a camera, three gas sensors and a permit, and the labelled sequence that ships."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from ronghe.apps.safety.labels import Labels, read_labels
from ronghe.picture import Picture
from ronghe.plant import Equipment, Plant, Property, Tag
from ronghe.text import Text

S = 1_000_000_000
START = 1_700_000_000 * S
SEQUENCE = Path(str(files("ronghe.demo") / "data" / "safety"))
CAMERA, PERMIT, GAS = "line1/press/camera", "line1/press/permit", tuple(f"line1/press/h2s_{c}" for c in "abc")


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    dictionary = {
        "view": Property(property="view", name_en="camera", name_zh="摄像机", type="image"),
        "permit": Property(property="permit", name_en="permit", name_zh="运行许可", type="bool"),
        "running": Property(property="running", name_en="running", name_zh="运行", type="bool"),
        "h2s": Property(property="h2s", name_en="hydrogen sulphide", name_zh="硫化氢", unit="[ppm]"),
    }
    tags = {
        CAMERA: Tag(tag=CAMERA, property="view", connection="cam", every=0.1),
        PERMIT: Tag(tag=PERMIT, property="permit", connection="plc", every=0.1, writable=True),
        "line1/press/running": Tag(tag="line1/press/running", property="running", connection="plc", every=0.1),
        **{t: Tag(tag=t, property="h2s", connection="plc", every=0.2) for t in GAS},
    }
    folder = tmp_path / "plant"
    folder.mkdir()
    equipment = {"line1/press": Equipment(name=Text("Press 1", "1 号压力机"))}
    return Plant(path="acme/shanghai/shop", name=Text("shop"), folder=str(folder), dictionary=dictionary, tags=tags, equipment=equipment)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    folder.mkdir()
    return folder


@pytest.fixture(scope="session")
def tune() -> Labels:
    return read_labels(SEQUENCE / "tune.json.gz")


def pictures(name: str, first: int, count: int) -> Iterator[Picture]:
    """Pictures of a shipped sequence, at its ten a second."""
    video = cv2.VideoCapture(str(SEQUENCE / f"{name}.mp4"))
    for i in range(first + count):
        there, pixels = video.read()
        assert there, f"{name} has no picture {i}"
        if i >= first:
            yield shot(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), i)
    video.release()


def shot(pixels: NDArray[np.uint8], i: int) -> Picture:
    return Picture(CAMERA, START + i * S // 10, i + 1, pixels)
