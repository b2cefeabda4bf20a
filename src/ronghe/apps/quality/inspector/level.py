"""How far from the bank good places usually are, by where in the frame they lie.

The rim of a part, a highlight, an edge that is never twice the same are farther from the bank than its smooth middle, on good parts too.
Where parts lie still, dividing by what is usual there lets a small defect in the middle stand out; where they do not, every place is alike
and nothing changes. The level is the mean over held-out maps of good pictures, on a coarse grid laid over the whole frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ronghe.models import graph
from ronghe.picture.libraries import opencv

SIDE: Final = 16
_LINEAR: Final = 1  # of OpenCV: bilinear, half-pixel centres, as Resize in ONNX

Floats = NDArray[np.float32]


def usual(maps: Sequence[Floats]) -> Floats:
    """The level float32[16, 16], mean 1, of held-out distance maps [h, w] of good pictures."""
    cv2 = opencv()
    mean = np.mean([cv2.resize(m, (SIDE, SIDE), interpolation=_LINEAR) for m in maps], axis=0, dtype=np.float64)
    smooth = cv2.GaussianBlur(mean, (0, 0), 1.0, borderType=cv2.BORDER_REPLICATE)
    middle = smooth.mean()
    return (np.maximum(smooth, 0.1 * middle) / middle).astype(np.float32) if middle > 0 else np.ones((SIDE, SIDE), np.float32)


def relative(distance: Floats, level: Floats) -> Floats:
    """Distances [h, w] in units of what is usual at each place."""
    h, w = distance.shape
    return distance / opencv().resize(level, (w, h), interpolation=_LINEAR)


def nodes(level: Floats, distance: str, output: str) -> tuple[list[bytes], list[bytes]]:
    """(nodes, constants) of `relative` over `distance` float32[h, w]."""
    constants = [
        graph.tensor("level", level.reshape(1, 1, SIDE, SIDE)),
        graph.tensor("level_one", np.array([1, 1], np.int64)),
        graph.tensor("level_axes", np.array([0, 1], np.int64)),
    ]
    return [
        graph.node("Shape", [distance], ["level_shape"]),
        graph.node("Concat", ["level_one", "level_shape"], ["level_size"], axis=0),
        graph.node("Resize", ["level", "", "", "level_size"], ["level_here"], mode="linear"),
        graph.node("Squeeze", ["level_here", "level_axes"], ["level_map"]),
        graph.node("Div", [distance, "level_map"], [output]),
    ], constants
