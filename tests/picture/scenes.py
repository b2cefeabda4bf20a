"""Pictures made for the tests, and their encoded forms."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def scene(height: int = 48, width: int = 64, *, gray: bool = False, seed: int = 7) -> NDArray[np.uint8]:
    """A picture with edges, a gradient and something different in each corner, so that no turn or mirror image of it looks the same."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    base = np.stack([x * 255 // width, y * 255 // height, (x + y) * 255 // (width + height)], axis=-1).astype(np.uint8)
    base[: height // 4, : width // 3] = rng.integers(0, 255, (height // 4, width // 3, 3))
    base[-height // 3 :, -width // 5 :] = (250, 20, 60)
    return base[:, :, 1].copy() if gray else base


def encoded(pixels: Any, form: str, **how: Any) -> bytes:
    """Pixels (or a Pillow image) as a file of this format, by Pillow."""
    out = io.BytesIO()
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    image.save(out, form, **how)
    return out.getvalue()
