"""What a defect looks like, as numbers: a frozen network's features over the defect's own box and over its surroundings.

Each is cut out, brought to one size, one mean and one contrast (so that light and gain of the camera matter less) and run through
EfficientNet-Lite0 up to stride 16; of every channel of three stages the mean and the standard deviation over the cut are kept. Two cuts
matter: a box says what the defect is made of, its surroundings what it lies in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ronghe.errors import AppError
from ronghe.models import graph, weights
from ronghe.models.runtime import session
from ronghe.picture.libraries import opencv
from ronghe.text import Text

Box = tuple[int, int, int, int]
Pixels = NDArray[np.uint8]

STAGES: Final = {"stride8": 40, "stride16a": 80, "stride16": 112}
"""Stages of the network and their channels."""
SIDE: Final = 112
"""Pixels: what a cut is brought to. 160 costs twice as much and is no better."""
VIEWS: Final = ((0.0, 32), (0.25, 96))
"""(margin on each side as a share of the box's longer side, least side in pixels) of each cut. Chosen on training parts alone."""
NUMBERS: Final = len(VIEWS) * 2 * sum(STAGES.values())
"""Length of a description."""
SEEN: Final = "seen"
_MEAN: Final = 118.0  # gray levels: of natural pictures, which the network was trained on
_CONTRAST: Final = 45.0  # gray levels, standard deviation
_FLAT: Final = 8.0  # gray levels that are added to a cut's own: noise of a flat one is not blown up


def network() -> bytes:
    """The ONNX graph `pixels` uint8[n, h, w, 3] → `seen` float32[n, 464]: mean and standard deviation of every channel of every stage."""
    nodes, names = [], []
    for stage in STAGES:
        mean, square = f"{stage}_mean", f"{stage}_square"
        nodes += [
            graph.node("ReduceMean", [stage], [mean], axes=[2, 3], keepdims=1),
            graph.node("Sub", [stage, mean], [f"{stage}_off"]),
            graph.node("Mul", [f"{stage}_off", f"{stage}_off"], [square]),
            graph.node("ReduceMean", [square], [f"{stage}_variance"], axes=[2, 3], keepdims=1),
            graph.node("Sqrt", [f"{stage}_variance"], [f"{stage}_deviation"]),
        ]
        names += [mean, f"{stage}_deviation"]
    nodes += [graph.node("Concat", names, ["joined"], axis=1), graph.node("Flatten", ["joined"], [SEEN], axis=1)]
    return graph.extend(weights.load("lite0"), nodes, [], [graph.value(SEEN, "float32", ["n", 2 * sum(STAGES.values())])])


class Look:
    """Describes boxes of pictures. Safe to call from several threads."""

    def __init__(self, onnx: bytes) -> None:
        self._session = session(onnx)

    def describe(self, pixels: Pixels, boxes: Sequence[Box | None]) -> NDArray[np.float32]:
        """float32 (boxes, NUMBERS) of a picture uint8 (h, w) or (h, w, 3) RGB; None is the whole picture. Raises AppError for a box that
        is empty or lies outside."""
        rows = []
        for box in boxes:
            cuts = np.stack([cut(pixels, box, margin, least) for margin, least in VIEWS])
            rows.append(self._session.run(cuts)[0].ravel())
        return np.stack(rows) if rows else np.zeros((0, NUMBERS), np.float32)


def cut(pixels: Pixels, box: Box | None, margin: float, least: int) -> Pixels:
    """uint8 (SIDE, SIDE, 3): the box with its margin, moved inside the picture where it would reach out of it, at one mean and contrast."""
    cv2 = opencv()
    height, width = pixels.shape[:2]
    x0, y0, x1, y1 = (0, 0, width, height) if box is None else box
    if not (0 <= x0 < x1 and 0 <= y0 < y1) or x0 >= width or y0 >= height:
        raise AppError(
            Text(
                f"the box {x0}, {y0}, {x1}, {y1} does not lie in the picture of {width} × {height} pixels",
                f"框 {x0}, {y0}, {x1}, {y1} 不在 {width} × {height} 像素的图像内",
            )
        )
    x1, y1 = min(x1, width), min(y1, height)
    more = 2 * margin * max(x1 - x0, y1 - y0)
    left, right = _span(x0, x1, more, least, width)
    top, bottom = _span(y0, y1, more, least, height)
    part = pixels[top:bottom, left:right]
    smaller = max(part.shape[:2]) > SIDE
    out: Pixels = cv2.resize(part, (SIDE, SIDE), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
    gain = _CONTRAST / (float(out.std()) + _FLAT)
    level = np.arange(256)
    even = np.clip(gain * (level - float(out.mean())) + _MEAN, 0, 255).round().astype(np.uint8)
    out = cv2.LUT(out, even)
    return out if out.ndim == 3 else cv2.cvtColor(out, cv2.COLOR_GRAY2RGB)


def _span(low: int, high: int, more: float, least: int, end: int) -> tuple[int, int]:
    """The cut's ends on one axis."""
    length = min(round(max(high - low + more, least)), end)
    start = min(max(round((low + high - length) / 2), 0), end - length)
    return start, start + length
