"""Defects drawn on pictures of good parts: what an inspector that has seen no defect can still know of them.

Eight kinds, from what surfaces and parts do suffer, each at a random place, size, angle and strength, mostly faint:

    patch, strip    a piece of another picture in the wrong place (CutPaste, Li et al. 2021)
    stain, spot     darker or lighter: a ragged blot (Perlin 1985), a point
    shade           a wide soft change of light
    scratch         a thin bent line
    bent            the part's own pixels, shifted
    smooth          its texture, gone
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ronghe.picture.libraries import opencv

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]
_CHANGED: Final = 8  # gray levels: less is no defect
_TRIES: Final = 4


class Place:
    """Where on a picture of `shape` a defect is drawn. `unit` is a 256th of the side of a square of the same area."""

    def __init__(self, shape: tuple[int, ...], rng: np.random.Generator) -> None:
        self.h, self.w = shape[:2]
        self.rng = rng
        self.unit = float(np.sqrt(self.h * self.w)) / 256
        self.y, self.x = float(rng.integers(self.h)), float(rng.integers(self.w))
        rows, columns = np.ogrid[: self.h, : self.w]
        self.square = ((rows - self.y) ** 2 + (columns - self.x) ** 2).astype(np.float32)

    def size(self, low: float, high: float) -> float:
        """In pixels, from 256ths."""
        return self.unit * float(self.rng.uniform(low, high))

    def step(self, low: float, high: float) -> float:
        """A change of light, up or down."""
        return float(self.rng.uniform(low, high) * self.rng.choice((-1, 1)))

    def bell(self, radius: float) -> Floats:
        """A soft disc, 1 at its centre."""
        return np.exp(-self.square / (2 * radius * radius)).astype(np.float32)


def draw(good: Pixels, other: Pixels, kind: str, rng: np.random.Generator) -> tuple[Pixels, NDArray[np.bool_]]:
    """A defect on `good`, uint8[h, w, 3], with pieces of `other`, and the pixels that it changed, bool[h, w].

    Where a draw changes nothing (white on white) it is tried again elsewhere, a few times.
    """
    for _ in range(_TRIES):
        place = Place(good.shape, rng)
        layer, cover = KINDS[kind](good, other, place)
        blend = good + (layer - good) * cover[:, :, None]
        out = np.clip(blend, 0, 255).astype(np.uint8)
        changed = np.abs(out.astype(np.int16) - good).max(axis=2) > _CHANGED
        if changed.any():
            break
    return out, changed


def _piece(other: Pixels, place: Place, height: float, width: float) -> tuple[Floats, Floats]:
    cv2 = opencv()
    h, w = (min(max(2, int(v)), limit) for v, limit in zip((height, width), other.shape[:2], strict=True))
    y, x = place.rng.integers(other.shape[0] - h + 1), place.rng.integers(other.shape[1] - w + 1)
    turn = cv2.getRotationMatrix2D((w / 2, h / 2), float(place.rng.uniform(-90, 90)), 1)
    turn[:, 2] += place.x - w / 2, place.y - h / 2
    piece = other[y : y + h, x : x + w].astype(np.float32) + np.float32(place.rng.uniform(-15, 15))
    size = (place.w, place.h)
    return cv2.warpAffine(piece, turn, size), cv2.warpAffine(np.ones((h, w), np.float32), turn, size)


def _patch(good: Pixels, other: Pixels, place: Place) -> tuple[Any, Floats]:
    return _piece(other, place, place.size(10, 32), place.size(10, 32))


def _strip(good: Pixels, other: Pixels, place: Place) -> tuple[Any, Floats]:
    return _piece(other, place, place.size(16, 50), place.size(3, 7))


def _stain(good: Pixels, other: Pixels, place: Place) -> tuple[Any, Floats]:
    cv2 = opencv()
    coarse = place.rng.standard_normal((int(place.h / (24 * place.unit)) + 2, int(place.w / (24 * place.unit)) + 2)).astype(np.float32)
    noise = cv2.resize(coarse, (place.w, place.h), interpolation=cv2.INTER_CUBIC)
    inside = (noise + 0.6 > place.square / place.size(14, 30) ** 2).astype(np.float32)
    return good + np.float32(place.step(20, 50)), cv2.GaussianBlur(inside, (0, 0), max(place.unit, 0.5))


def _spot(good: Pixels, other: Pixels, place: Place) -> tuple[Any, Floats]:
    return good + np.float32(place.step(25, 60)), place.bell(place.size(1.5, 4))


def _shade(good: Pixels, other: Pixels, place: Place) -> tuple[Any, Floats]:
    return good + np.float32(place.step(15, 35)), place.bell(place.size(20, 45))


def _scratch(good: Pixels, other: Pixels, place: Place) -> tuple[Any, Floats]:
    cv2 = opencv()
    angle, length = place.rng.uniform(0, np.pi), place.size(25, 80)
    along = np.linspace(-0.5, 0.5, 6)[:, None] * length * np.array([np.cos(angle), np.sin(angle)])
    points = np.array([place.x, place.y]) + along + place.rng.normal(0, 2 * place.unit, (6, 2))
    fine = np.zeros((4 * place.h, 4 * place.w), np.uint8)  # four times as large: a line may be thinner than a pixel
    cv2.polylines(fine, [np.round(4 * points).astype(np.int32)], False, 255, max(1, round(4 * place.size(0.8, 1.6))), cv2.LINE_AA)
    cover = cv2.resize(fine, (place.w, place.h), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    return good + np.float32(place.step(25, 60)), cover


def _bent(good: Pixels, other: Pixels, place: Place) -> tuple[Any, Floats]:
    cv2 = opencv()
    bell = place.bell(place.size(14, 26))
    shift, angle = place.size(5, 10), place.rng.uniform(0, 2 * np.pi)
    x = np.arange(place.w, dtype=np.float32) + bell * np.float32(shift * np.cos(angle))
    y = np.arange(place.h, dtype=np.float32)[:, None] + bell * np.float32(shift * np.sin(angle))
    return cv2.remap(good, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT).astype(np.float32), (bell > 0.1).astype(np.float32)


def _smooth(good: Pixels, other: Pixels, place: Place) -> tuple[Any, Floats]:
    soft = opencv().GaussianBlur(good, (0, 0), 3 * place.unit).astype(np.float32)
    return soft, np.minimum(2 * place.bell(place.size(12, 26)), np.float32(1))


KINDS: Final[dict[str, Callable[[Pixels, Pixels, Place], tuple[Any, Floats]]]] = {
    "patch": _patch,
    "strip": _strip,
    "stain": _stain,
    "spot": _spot,
    "shade": _shade,
    "scratch": _scratch,
    "bent": _bent,
    "smooth": _smooth,
}
