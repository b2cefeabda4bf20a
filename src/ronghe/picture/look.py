"""What can be measured on one picture at a glance: light, contrast, structure, sharpness. Cheap, since it looks at a reduced picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ronghe.picture.libraries import opencv

_LARGE: Final = 480  # pixels of the shorter side; of a larger picture so many rows and columns are looked at


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """One picture at a glance.

    light      mean, 0 (black) to 1
    brightest  the level (0..255) that 99 % of the picture stay below
    darkest    the level that 95 % of the picture exceed
    structure  mean difference between neighbours after averaging over about 8 × 8 pixels, in levels: what sensor noise hardly touches
    spread     standard deviation over the same averages, in levels
    focus      strength of the sharpest 0.5 % of edges: 99.5 % point of the absolute Laplacian at half size, in levels
    sample     uint8, unaltered pixels on a coarse grid: what shows whether two pictures differ in noise alone
    view       float32 (h, w), the picture at an eighth to a quarter of its size: what shows where the camera looks
    """

    light: float
    brightest: float
    darkest: float
    structure: float
    spread: float
    focus: float
    sample: NDArray[np.uint8]
    view: NDArray[np.float32]


def look(pixels: NDArray[np.uint8]) -> Look:
    """Measures uint8 (h, w, 3) RGB or (h, w) gray pixels. Raises MissingExtra."""
    cv2 = opencv()
    height, width = pixels.shape[:2]
    if min(height, width) > _LARGE:
        scale = _LARGE / min(height, width)
        height, width = round(height * scale), round(width * scale)
        pixels = cv2.resize(pixels, (width // 8 * 8, height // 8 * 8), interpolation=cv2.INTER_NEAREST)
    elif min(height, width) >= 8:  # averages over whole pixels are ten times faster than over parts
        pixels = pixels[: height // 8 * 8, : width // 8 * 8]
    height, width = pixels.shape[:2]
    half = cv2.resize(pixels, (max(2, width // 2), max(2, height // 2)), interpolation=cv2.INTER_AREA)
    if half.ndim == 3:
        half = cv2.cvtColor(half, cv2.COLOR_RGB2GRAY)
    edges = cv2.convertScaleAbs(cv2.Laplacian(half, cv2.CV_16S))
    quarter = cv2.resize(half, (max(2, half.shape[1] // 2), max(2, half.shape[0] // 2)), interpolation=cv2.INTER_AREA)
    small = cv2.resize(quarter, (max(2, quarter.shape[1] // 2), max(2, quarter.shape[0] // 2)), interpolation=cv2.INTER_AREA)
    levels = _levels(small, (0.05, 0.99))
    wide = small.astype(np.float32)
    return Look(
        light=float(wide.mean()) / 255,
        brightest=levels[1],
        darkest=levels[0],
        structure=float(np.abs(np.diff(wide, axis=0)).mean() + np.abs(np.diff(wide, axis=1)).mean()) / 2,
        spread=float(wide.std()),
        focus=_levels(edges, (0.995,))[0],
        sample=np.ascontiguousarray(pixels[::4, ::4, 1] if pixels.ndim == 3 else pixels[::4, ::4]),
        view=quarter.astype(np.float32),
    )


def _levels(gray: NDArray[np.uint8], shares: tuple[float, ...]) -> list[float]:
    """The levels below which these shares of the pixels lie, by their histogram, with parts of a level."""
    counts = opencv().calcHist([gray], [0], None, [256], [0, 256]).ravel()
    below = np.concatenate([[0.0], np.cumsum(counts)]) / gray.size
    return [float(np.interp(s, below, np.arange(257.0) - 0.5)) for s in shares]
