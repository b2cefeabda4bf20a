"""Zones as polygons over the picture, in parts of its width and height."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ronghe.errors import AppError
from ronghe.text import Text

Point = tuple[float, float]
MOST: Final = 40  # corners

_FOOT: Final = np.stack([np.tile([0.3, 0.4, 0.5, 0.6, 0.7], 2), np.repeat([0.97, 1.0], 5)], 1)
"""Where the feet are in a person's box: the middle of its lower edge, and a little above."""
_GRID: Final = np.stack([np.tile((np.arange(8) + 0.5) / 8, 8), np.repeat((np.arange(8) + 0.5) / 8, 8)], 1)


def check(polygon: Sequence[Point], where: str) -> None:
    """Raises AppError for one that has no inside: too few corners, corners outside the picture, sides that cross, no area."""
    if not 3 <= len(polygon) <= MOST:
        raise AppError(
            Text(f"a zone has 3 to {MOST} corners, not {len(polygon)}", f"区域须有 3 至 {MOST} 个顶点，当前 {len(polygon)} 个"), where=where
        )
    corners = np.array(polygon, np.float64)
    if not ((corners >= 0) & (corners <= 1)).all():
        what = Text("corners are parts of the picture's width and height, 0 to 1", "顶点坐标为图像宽高的比例，须在 0 至 1 之间")
        raise AppError(what, where=where)
    n = len(polygon)
    for i in range(n):
        for j in range(i + 2, n):
            if (i, j) != (0, n - 1) and _cross(corners[i], corners[(i + 1) % n], corners[j], corners[(j + 1) % n]):
                raise AppError(Text("the sides of the zone cross", "区域边界自相交"), where=where)
    if abs(area(corners)) < 1e-4:
        raise AppError(Text("the zone has no area", "区域没有面积"), where=where)


def area(corners: NDArray[np.float64]) -> float:
    """Of a polygon [n, 2], signed."""
    x, y = corners.T
    return float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2


def contains(polygon: Sequence[Point], points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of the points [n, 2] are inside (even-odd rule)."""
    px, py = points[:, 0], points[:, 1]
    odd = np.zeros(len(points), np.bool_)
    for (x0, y0), (x1, y1) in zip(polygon, [*polygon[1:], polygon[0]], strict=True):
        if y0 == y1:
            continue
        spans = (y0 > py) != (y1 > py)
        odd ^= spans & (px < x0 + (py - y0) * (x1 - x0) / (y1 - y0))
    return odd


def stands_in(polygon: Sequence[Point], box: tuple[float, float, float, float]) -> bool:
    """Whether any of the places where a person's feet may be is inside."""
    return bool(contains(polygon, _points(box, _FOOT)).any())


def share_in(polygon: Sequence[Point], box: tuple[float, float, float, float]) -> float:
    """The part of a box that is inside, to 1/64."""
    return float(contains(polygon, _points(box, _GRID)).mean())


def _points(box: tuple[float, float, float, float], parts: NDArray[np.float64]) -> NDArray[np.float64]:
    left, top, right, bottom = box
    return np.array([left, top]) + parts * np.array([right - left, bottom - top])


def _cross(a: NDArray[np.float64], b: NDArray[np.float64], c: NDArray[np.float64], d: NDArray[np.float64]) -> bool:
    def side(p: NDArray[np.float64], q: NDArray[np.float64], r: NDArray[np.float64]) -> float:
        return float((q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0]))

    return side(a, b, c) * side(a, b, d) < 0 and side(c, d, a) * side(c, d, b) < 0
