"""The printed boards that the demonstration plays: recorded templates and recorded defects, taken again by a camera over the line.

What is recorded and what is made:
- templates, tested boards and the boxes around their defects are DeepPCB's (MIT), unchanged; its authors drew many of the defects
  themselves, after the patterns that real boards show;
- made: a board of the line is its template with the recorded pixels of some of its own defects, each at its recorded place, so that how
  often a class of defect comes can follow the process; and the picture that a camera takes of it, which lies a few pixels off, turned by a
  fraction of a degree, unevenly lit, with the noise of a sensor, for recorded pictures are black and white and lie exactly.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ronghe.apps.quality.boards.pairs import Marked, find, pictures
from ronghe.picture.libraries import opencv

Pixels = NDArray[np.uint8]

OPEN, SHORT, MOUSEBITE, SPUR, COPPER, PINHOLE = range(1, 7)

_AROUND: Final = 6  # pixels that are taken along around a marked box: it is drawn closely
_BASE, _CLAD = 208.0, 52.0  # gray levels of base and copper under the lamp
_SHIFT, _TURN, _LIGHT, _NOISE = 3.0, 0.4, 0.06, 4.0  # largest: pixels, degrees, share; levels (standard deviation)


@dataclass(frozen=True, slots=True)
class Board:
    """One design. `template` and `tested` uint8 (h, w), copper black; `marked` are the defects of `tested`."""

    name: str
    template: Pixels
    tested: Pixels
    marked: tuple[Marked, ...]

    def etched(self, defects: Sequence[Marked]) -> Pixels:
        """The board with these of its defects, uint8 (h, w)."""
        made = self.template.copy()
        height, width = made.shape
        for x0, y0, x1, y1 in (d.box for d in defects):
            there = slice(max(y0 - _AROUND, 0), min(y1 + _AROUND, height)), slice(max(x0 - _AROUND, 0), min(x1 + _AROUND, width))
            made[there] = self.tested[there]
        return made


@functools.cache
def boards() -> tuple[Board, ...]:
    """The designs that ship with the demonstration."""
    with as_file(files("ronghe.demo").joinpath("data", "boards")) as folder:
        made = []
        for pair in find(folder):
            template, tested = (_gray(p) for p in pictures(pair))
            made.append(Board(pair.name, template, _registered(template, tested), pair.marked or ()))
        return tuple(made)


def photographed(board: Pixels, rng: np.random.Generator) -> Pixels:
    """What the camera over the line sees of a board, uint8 (h, w)."""
    cv2 = opencv()
    height, width = board.shape
    levels = cv2.GaussianBlur(np.where(board > 127, np.float32(_BASE), np.float32(_CLAD)), (0, 0), 0.7)
    turned = cv2.getRotationMatrix2D((width / 2, height / 2), float(rng.uniform(-_TURN, _TURN)), 1.0)
    turned[:, 2] += rng.uniform(-_SHIFT, _SHIFT, 2)
    levels = cv2.warpAffine(levels, turned, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    lamp, across, down = 1 + rng.uniform(-_LIGHT, _LIGHT, 3) / np.array([1.0, 2.0, 2.0])
    light = np.outer(np.linspace(1, down, height), np.linspace(lamp, lamp * across, width)).astype(np.float32)
    noise = rng.standard_normal(levels.shape, np.float32) * np.float32(_NOISE)
    seen: Pixels = np.clip(levels * light + noise, 0, 255).astype(np.uint8)
    return seen


def _gray(pixels: Pixels) -> Pixels:
    return pixels if pixels.ndim == 2 else pixels.mean(axis=2).round().astype(np.uint8)


def _registered(template: Pixels, tested: Pixels) -> Pixels:
    """The tested board where its template lies: recorded pairs are a pixel or two apart, which would show around a transplanted defect."""
    cv2 = opencv()
    (dx, dy), _ = cv2.phaseCorrelate(template.astype(np.float32), tested.astype(np.float32))
    back = np.array([[1, 0, -round(dx)], [0, 1, -round(dy)]], np.float32)
    moved: Pixels = cv2.warpAffine(tested, back, tested.shape[::-1], flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_REPLICATE)
    return moved
