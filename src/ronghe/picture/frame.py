"""One picture as a camera gives it, and its JPEG for people."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ronghe.errors import PictureError
from ronghe.picture.libraries import opencv
from ronghe.signals import quality as q
from ronghe.text import Text


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """One frame of one camera. Whoever is shown it must not write to `pixels`: others are shown the same array.

    tag      of the image item; "" where there is no plant
    time     source time, ns since 1970-01-01 UTC
    number   of the frame, counted by the source from 1; a gap is frames that were not seen
    pixels   uint8 (h, w, 3) RGB or (h, w) gray; None where there is nothing to see, and then `quality` is Bad
    quality  OPC UA StatusCode
    reason   why the quality is not Good
    name     of the file it came from, or ""
    """

    tag: str
    time: int
    number: int
    pixels: NDArray[np.uint8] | None
    quality: int = q.GOOD
    reason: Text | None = None
    name: str = ""


def encode(pixels: NDArray[np.uint8], quality: int = 90, longest: int = 0) -> bytes:
    """A JPEG of uint8 (h, w, 3) RGB or (h, w) gray, for people to look at: it is lossy and never fed to a model.

    `quality` is 1..100; with `longest` > 0 the picture is made smaller, by areas, until its longer side has that many pixels. Raises
    PictureError for anything that is not such an array.
    """
    cv2 = opencv()
    if pixels.dtype != np.uint8 or not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3)) or 0 in pixels.shape:
        raise PictureError(
            Text(
                f"an array of {pixels.dtype}, shape {pixels.shape}, is no picture",
                f"类型 {pixels.dtype}、形状 {pixels.shape} 的数组不是图像",
            ),
            todo=Text("give uint8 of shape (height, width) or (height, width, 3)", "请给出形状为（高, 宽）或（高, 宽, 3）的 uint8 数组"),
        )
    height, width = pixels.shape[:2]
    if 0 < longest < max(height, width):
        scale = longest / max(height, width)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    if pixels.ndim == 3:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    done, data = cv2.imencode(".jpg", np.ascontiguousarray(pixels), [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:  # a side above 65500 pixels
        raise PictureError(Text(f"{width} × {height} pixels do not fit a JPEG", f"{width} × {height} 像素超出 JPEG 上限"))
    return bytes(data)
