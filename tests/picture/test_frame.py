"""Pictures for people."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image
from scenes import scene

from ronghe.errors import PictureError
from ronghe.picture import encode


@pytest.mark.parametrize("gray", [False, True])
def test_a_jpeg_shows_the_same_picture(gray: bool) -> None:
    pixels = scene(200, 300, gray=gray)
    pixels[:50, :100] = 128
    back = np.asarray(Image.open(io.BytesIO(encode(pixels, quality=100))))
    assert back.shape == pixels.shape
    assert np.abs(back.astype(int) - pixels).mean() < 3


def test_the_longer_side_is_limited_and_never_stretched() -> None:
    assert Image.open(io.BytesIO(encode(scene(200, 300), longest=60))).size == (60, 40)
    assert Image.open(io.BytesIO(encode(scene(2, 300), longest=60))).size == (60, 1)
    assert Image.open(io.BytesIO(encode(scene(20, 30), longest=60))).size == (30, 20)


@pytest.mark.parametrize("pixels", [np.zeros((4, 4), np.uint16), np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4), np.uint8)])
def test_what_is_no_picture_is_not_encoded(pixels: np.ndarray) -> None:
    with pytest.raises(PictureError, match="no picture"):
        encode(pixels)
