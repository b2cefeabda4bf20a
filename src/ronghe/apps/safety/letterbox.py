"""Fitting a picture into the input of a network, and boxes back into the picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ronghe.picture.libraries import opencv

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Fitted:
    """`pixels` uint8 (h, w, 3) holds the picture in its upper left corner, scaled by `scale`; the rest is black."""

    pixels: Pixels
    scale: float


def colour(pixels: Pixels) -> Pixels:
    """RGB of an RGB or gray picture."""
    return np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else pixels


def fit(pixels: Pixels, side: int, multiple: int) -> Fitted:
    """The whole picture, its proportions kept: its longer side is `side`, both sides are filled up to multiples of `multiple`."""
    cv2 = opencv()
    h, w = pixels.shape[:2]
    scale = side / max(h, w)
    size = max(1, round(w * scale)), max(1, round(h * scale))
    full = np.zeros((-(-size[1] // multiple) * multiple, -(-size[0] // multiple) * multiple, 3), np.uint8)
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    full[: size[1], : size[0]] = cv2.resize(colour(pixels), size, interpolation=method)
    return Fitted(full, scale)


def suppress(boxes: NDArray[np.float64], scores: NDArray[np.float64], most: float) -> list[int]:
    """Greedy non-maximum suppression: indices of the boxes [n, 4] (left, top, right, bottom) kept, best first; none of them overlaps a
    better one by more than `most` (intersection over union)."""
    order = np.argsort(-scores, kind="stable")
    keep: list[int] = []
    while len(order):
        best = int(order[0])
        keep.append(best)
        order = order[1:][overlaps(boxes[best], boxes[order[1:]]) <= most]
    return keep


def overlaps(box: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of a box [4] with others [n, 4]; 0 where there is no area."""
    low, high = np.maximum(box[:2], others[:, :2]), np.minimum(box[2:], others[:, 2:])
    both = np.prod(np.clip(high - low, 0, None), axis=1)
    union = np.prod(box[2:] - box[:2]) + np.prod(others[:, 2:] - others[:, :2], axis=1) - both
    out: NDArray[np.float64] = np.divide(both, union, out=np.zeros(len(others)), where=union > 0)
    return out
