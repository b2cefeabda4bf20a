"""What is more and what is less in a tested picture than in its template, as regions, each with how it touches what it grew from.

A pixel counts where the two binary pictures differ. Edges never lie exactly on each other, so slivers one pixel wide are everywhere; a
region is where the differing pixels are dense: their Gaussian mean over a few pixels. Each region then has a topology. The phase that grew
is copper where copper is too much and base where it is missing; the number of separate arcs of the region's surrounding ring on which that
phase goes on (its contacts) tells the classical defects apart:

                     0 contacts      1 contact       2 or more
    too much copper  island          spur            short
    missing copper   pin-hole        mouse bite      open
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ronghe.apps.quality.boards.align import Aligned, Gray
from ronghe.picture.libraries import opencv

Box = tuple[int, int, int, int]
Mask = NDArray[np.uint8]

DENSE: Final = 0.35
"""Gaussian mean of differing pixels at which a region may begin. A straight sliver one pixel wide reaches 0.2, two pixels 0.38."""
_SOFT: Final = 1.0  # pixels: edges are softened by this much, which also takes the finest roughness off
_SIGMA: Final = 2.0  # pixels
_JOIN: Final = 9  # pixels: dense spots nearer than about this are one region
_REACH: Final = 5  # pixels: side of the square around dense spots in which differing pixels belong to the region
_AROUND: Final = 8  # pixels around a region in which its contacts are looked for
_RING: Final = 7  # pixels: 2 r + 1 of the ring's radius, wide enough to bridge the edge's own roughness
_ARC: Final = 0.03  # of the ring: shorter arcs are roughness


@dataclass(frozen=True, slots=True)
class Region:
    """One difference.

    box       x0, y0, x1, y1 in pixels of the tested picture; x1 and y1 are outside
    added     copper that is too much; otherwise missing
    peak      0..1, the densest Gaussian mean of differing pixels
    area      differing pixels
    contacts  arcs on which the grown phase goes on: 0, 1, 2 ...
    """

    box: Box
    added: bool
    peak: float
    area: int
    contacts: int


def midpoint(picture: Gray) -> tuple[float, float]:
    """(gray level halfway between the two phases, levels between them), by Otsu's split (1979) of every fourth pixel."""
    cv2 = opencv()
    some = np.ascontiguousarray(picture[::2, ::2])
    count = cv2.calcHist([some], [0], None, [256], [0, 256]).ravel().astype(float)
    number, total = np.cumsum(count), np.cumsum(count * np.arange(256))
    with np.errstate(divide="ignore", invalid="ignore"):  # splits with nothing on one side
        low, high = total / number, (total[-1] - total) / (number[-1] - number)
        between = np.nan_to_num(number * (number[-1] - number) * (high - low) ** 2)
    at = int(np.argmax(between))
    if between[at] == 0:
        return float(low[-1]), 0.0
    return float(low[at] + high[at]) / 2, float(high[at] - low[at])


def differences(aligned: Aligned, tested: Gray, *, dark: bool) -> list[Region]:
    """Regions in which `tested` differs from its template, from the top. `dark`: copper is the darker phase. O(pixels)."""
    cv2 = opencv()
    before, after = _copper(aligned.template, dark, aligned.spread), _copper(tested, dark)
    found = []
    for added in (True, False):
        extra = cv2.bitwise_and(after, ~before) if added else cv2.bitwise_and(before, ~after)
        extra &= aligned.covered
        phase = after if added else 1 - after
        found += _regions(extra, phase, added)
    return sorted(found, key=lambda r: (r.box[1], r.box[0]))


def _copper(picture: Gray, dark: bool, spread: NDArray[np.float32] | None = None) -> Mask:
    """1 where copper is, its edges moved by `spread` (pixels, a coarse grid): over a softened edge a move is another level."""
    cv2 = opencv()
    middle, contrast = midpoint(picture)
    soft = cv2.GaussianBlur(picture, (0, 0), _SOFT)
    level: Any = round(middle)
    if spread is not None:  # an edge's profile is that of the normal distribution, here by its logistic approximation
        rise = 1 / (1 + np.exp(spread * (-1.702 / _SOFT)))
        coarse = np.clip(middle - contrast * (rise - 0.5), 0, 255).round().astype(np.uint8)
        level = cv2.resize(coarse, picture.shape[::-1], interpolation=cv2.INTER_LINEAR)
    mask: Mask = cv2.compare(soft, level, cv2.CMP_LT if dark else cv2.CMP_GT) & 1
    return mask


def _regions(extra: Mask, phase: Mask, added: bool) -> list[Region]:
    cv2 = opencv()
    density = cv2.GaussianBlur(extra.astype(np.float32), (0, 0), _SIGMA, borderType=cv2.BORDER_CONSTANT)
    dense = (density > DENSE).astype(np.uint8)
    joined = cv2.dilate(dense, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (_JOIN, _JOIN)))
    own = extra & cv2.dilate(dense, np.ones((_REACH, _REACH), np.uint8))
    outlines, _ = cv2.findContours(joined, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    out = []
    for outline in outlines:  # several times faster than labelling the whole picture, of which little differs
        x, y, w, h = cv2.boundingRect(outline)
        part: Mask = cv2.drawContours(np.zeros((h, w), np.uint8), [outline], 0, 1, cv2.FILLED, offset=(-x, -y))
        mine = own[y : y + h, x : x + w] & part
        rows, columns = np.flatnonzero(mine.any(1)), np.flatnonzero(mine.any(0))
        if not len(rows):
            continue
        box = (x + int(columns[0]), y + int(rows[0]), x + int(columns[-1]) + 1, y + int(rows[-1]) + 1)
        peak = float(density[y : y + h, x : x + w][part > 0].max())
        out.append(Region(box, added, peak, int(mine.sum()), _contacts(mine, phase, x, y)))
    return out


def _contacts(mine: Mask, phase: Mask, x: int, y: int) -> int:
    """Arcs of the ring around the region `mine`, whose corner is at (x, y) of `phase`, that are of the phase that grew."""
    cv2 = opencv()
    height, width = phase.shape
    top, left = min(y, _AROUND), min(x, _AROUND)
    bottom, right = min(height - y - mine.shape[0], _AROUND), min(width - x - mine.shape[1], _AROUND)
    grown: Any = phase[y - top : y + mine.shape[0] + bottom, x - left : x + mine.shape[1] + right]
    solid = cv2.copyMakeBorder(mine, top, bottom, left, right, cv2.BORDER_CONSTANT, value=0)
    solid = cv2.morphologyEx(solid, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    ring = cv2.dilate(solid, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (_RING, _RING))) & (1 - solid)
    number, _, stats, _ = cv2.connectedComponentsWithStats(ring & grown, connectivity=8)
    least = _ARC * int(ring.sum())
    return sum(int(stats[k, cv2.CC_STAT_AREA]) > least for k in range(1, number))
