"""Lays a golden template over a tested picture: the template as the camera would have seen it this time.

Three steps, coarse to fine: a translation by phase correlation (Kuglin & Hines 1975), an affine map by enhanced correlation (ECC,
Evangelidis & Psarakis 2008) on a small picture, then a smooth field of small shifts by least squares over windows (Lucas & Kanade 1981) for
what a board's own stretch and a line-scan camera's uneven feed leave over. The field is robust: a difference that no shift of this size
explains, a defect, has little weight, and the shift is bounded, so that a defect is not aligned away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ronghe.picture.libraries import opencv

Gray = NDArray[np.uint8]
Floats = NDArray[np.float32]

WINDOW: Final = 56
"""Pixels: side of the window over which a small shift is taken for constant. Chosen on the training part of DeepPCB."""
LARGEST_SHIFT: Final = 4.0
"""Pixels: bound of the field of small shifts."""
LARGEST_SPREAD: Final = 1.5
"""Pixels: bound of how far edges may move, copper growing or shrinking, without being a defect."""
_RIM: Final = 3  # pixels at the border of what both show that are not compared: there is nothing beyond to align them by
_COARSE: Final = 160  # pixels, longest side of the picture on which the affine map is found
_FINE: Final = 640  # pixels, the same for pictures larger than this, started from the coarse one
_ENOUGH: Final = 0.8  # correlation below which other rotations are tried as a start
_TURNS: Final = (-6.0, -4.0, -2.0, 2.0, 4.0, 6.0)  # degrees
_STEPS: Final = 40  # iterations of ECC at most
_SETTLED: Final = 1e-4  # change of correlation at which ECC ends
_BLUR: Final = 1.5  # half pixels: the field sees edges this soft, and so catches shifts of about twice as much
_CELL: Final = 4  # half pixels: the field is smooth, and found once a cell
_CELLS: Final = WINDOW // (2 * _CELL)  # cells, side of the window
_PASSES: Final = 2
_TRUST: Final = 1.5  # × gradient: differences above have their weight reduced (Huber)
_FLOOR: Final = 2e-4  # of squared gradient, per window: where there are no edges there is no shift


@dataclass(frozen=True, slots=True, eq=False)
class Aligned:
    """template     uint8 (h, w): the template in the tested picture's frame
    covered      uint8 (h, w): 1 where it has a pixel; the rest of the tested picture was compared with nothing
    spread       pixels, float32, one for each cell of a coarse grid: how far edges moved towards the dark phase, which is etching and
                 exposure and nobody's defect
    correlation  of the two pictures after the affine map, at most 1; 0 where none was found
    shift        pixels: the largest displacement of a corner of the picture
    """

    template: Gray
    covered: Gray
    spread: Floats
    correlation: float
    shift: float


def align(template: Gray, tested: Gray) -> Aligned:
    """Aligns two gray pictures of the same size, uint8 (h, w). Finds shifts up to about a tenth of the picture and turns up to about 6°."""
    cv2 = opencv()
    matrix, correlation = _affine(template, tested)
    height, width = tested.shape
    first = _look(template, matrix, (width, height))
    u, v, spread = _field(first, tested)
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    x, y = x + u, y + v
    seen: Gray = cv2.remap(first, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    nearest = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    whole = cv2.warpAffine(np.ones_like(template), matrix, (width, height), flags=nearest, borderMode=cv2.BORDER_CONSTANT)
    there = cv2.remap(whole, x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT)
    side = 2 * _RIM + 1
    covered: Gray = cv2.erode(there, np.ones((side, side), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0)
    corners = np.array([[0, 0], [width - 1, 0], [0, height - 1], [width - 1, height - 1]], float)
    moved = corners @ matrix[:, :2].T + matrix[:, 2] - corners
    return Aligned(seen, covered, spread, correlation, float(np.hypot(*moved.T).max()))


def _affine(template: Gray, tested: Gray) -> tuple[NDArray[np.float64], float]:
    """(2x3 map from tested to template pixels, correlation)."""
    longest = max(tested.shape)
    scale = min(1.0, _COARSE / longest)
    a, b = _small(template, scale), _small(tested, scale)
    matrix, correlation = _ecc(a, b, _start(a, b, 0.0))
    if correlation < _ENOUGH:
        for degrees in _TURNS:
            again, better = _ecc(a, b, _start(a, b, degrees))
            if better > correlation:
                matrix, correlation = again, better
    whole = _scaled(matrix, 1 / scale)
    if longest > 2 * _FINE and correlation > 0:
        fine = _FINE / longest
        again, better = _ecc(_small(template, fine), _small(tested, fine), _scaled(whole, fine))
        if better > 0:
            whole, correlation = _scaled(again, 1 / fine), better
    return whole, correlation


def _small(picture: Gray, scale: float) -> Gray:
    cv2 = opencv()
    out: Gray = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else picture
    return out


def _start(a: Gray, b: Gray, degrees: float) -> NDArray[np.float64]:
    """The map of a turn about the centre and of the shift that phase correlation then finds, or no shift where that fits better."""
    cv2 = opencv()
    height, width = b.shape
    turn: NDArray[np.float64] = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
    turned = _look(a, turn, (width, height))
    (dx, dy), _ = cv2.phaseCorrelate(turned.astype(np.float32), b.astype(np.float32), cv2.createHanningWindow((width, height), cv2.CV_32F))
    shifted = turn.copy()
    shifted[:, 2] -= turn[:, :2] @ (dx, dy)
    seen = _look(a, shifted, (width, height))
    return shifted if _likeness(seen, b) > _likeness(turned, b) else turn


def _look(picture: Gray, matrix: NDArray[np.float64], size: tuple[int, int]) -> Gray:
    cv2 = opencv()
    out: Gray = cv2.warpAffine(picture, matrix, size, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE)
    return out


def _likeness(a: Gray, b: Gray) -> float:
    x, y = a - a.mean(), b - b.mean()
    return float((x * y).sum() / max(float(np.sqrt((x * x).sum() * (y * y).sum())), 1e-9))


def _ecc(a: Gray, b: Gray, start: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    cv2 = opencv()
    criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, _STEPS, _SETTLED)
    try:
        correlation, found = cv2.findTransformECC(b, a, start.astype(np.float32), cv2.MOTION_AFFINE, criteria, None, 5)
    except cv2.error:  # it does not converge: the two have nothing in common, or one of them is blank
        return start, 0.0
    return found.astype(np.float64), float(correlation)


def _scaled(matrix: NDArray[np.float64], factor: float) -> NDArray[np.float64]:
    """The same map between pictures `factor` times as large; pixel centres are at half pixels of the larger one."""
    out = matrix.copy()
    half = np.array([0.5, 0.5])
    out[:, 2] = factor * (matrix[:, 2] + half - matrix[:, :2] @ half) - half + matrix[:, :2] @ half
    return out


def _field(first: Gray, tested: Gray) -> tuple[Floats, Floats, Floats]:
    """Shift x, shift y: where in `first` the pixel of `tested` is, float32 (h, w) each; and how far edges moved towards the dark phase, one
    for each cell. Pixels. Found on pictures of half the size."""
    cv2 = opencv()
    a, b = (cv2.GaussianBlur(_small(p, 0.5).astype(np.float32) / 255, (0, 0), _BLUR) for p in (first, tested))
    height, width = b.shape
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    u, v = np.zeros_like(b), np.zeros_like(b)
    for step in range(_PASSES):
        seen = cv2.remap(a, x + u, y + v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) if step else a
        du, dv, d = _step(seen, b)
        u, v = (np.clip(s, -LARGEST_SHIFT / 2, LARGEST_SHIFT / 2) for s in (u + du, v + dv))
    u, v = (2 * cv2.resize(s, tested.shape[::-1], interpolation=cv2.INTER_LINEAR) for s in (u, v))
    return u, v, np.clip(2 * d, -LARGEST_SPREAD, LARGEST_SPREAD)


def _step(seen: Any, b: Any) -> tuple[Any, Any, Any]:
    """One weighted least-squares step: b - seen = u ∂x + v ∂y + d |∇| over windows; u, v float32 (h, w), d for each cell."""
    cv2 = opencv()
    height, width = b.shape
    cells = (max(width // _CELL, 1), max(height // _CELL, 1))
    gx, gy, gt = cv2.Sobel(seen, -1, 1, 0, scale=1 / 8), cv2.Sobel(seen, -1, 0, 1, scale=1 / 8), b - seen
    gn = cv2.magnitude(gx, gy)
    trust = _TRUST * np.maximum(gn, 0.03)
    weight = np.minimum(1, trust / np.maximum(np.abs(gt), 1e-6)) ** 2
    wx, wy, wn = weight * gx, weight * gy, weight * gn
    pairs = (wx * gx, wy * gy, wn * gn, wx * gy, wx * gn, wy * gn, wx * gt, wy * gt, wn * gt)
    sums = (cv2.boxFilter(cv2.resize(p, cells, interpolation=cv2.INTER_AREA), -1, (_CELLS, _CELLS)) for p in pairs)
    xx, yy, nn, xy, xn, yn, xt, yt, nt = sums
    xx, yy, nn = xx + _FLOOR, yy + _FLOOR, nn + _FLOOR
    # Cramer's rule on the symmetric 3 × 3 system of every cell
    a, c, e = yy * nn - yn * yn, xn * yn - xy * nn, xy * yn - xn * yy
    det = xx * a + xy * c + xn * e
    f, g, h = xx * nn - xn * xn, xn * xy - xx * yn, xx * yy - xy * xy
    shifts = (a * xt + c * yt + e * nt) / det, (c * xt + f * yt + g * nt) / det
    u, v = (cv2.resize(s, (width, height), interpolation=cv2.INTER_LINEAR) for s in shifts)
    return u, v, (e * xt + g * yt + h * nt) / det
