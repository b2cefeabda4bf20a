"""Faces made unrecognisable before a picture is stored or shown.

The finder is BlazeFace (Bazarevsky et al. 2019; MediaPipe, Apache-2.0) at 256 pixels, run on the whole picture and on the head of each
person, made larger. Where it does not find a face in a person's box, or is unsure, the upper part of the box is blurred: better too much.
A mosaic of small cells can be undone by a network that knows the people (McPherson et al. 2016, "Defeating image obfuscation with deep
learning"); hence at most 3 x 3 cells a face, each of one colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ronghe.apps.safety.letterbox import Pixels, colour, fit, suppress
from ronghe.apps.safety.people import Person
from ronghe.models import weights
from ronghe.models.runtime import Session
from ronghe.picture.libraries import opencv

SIDE: Final = 256
CELLS: Final = 3
SURE: Final = 0.75
"""From this score on, a face found in a person's box is trusted to be the face."""
_LEAST: Final = 0.4  # below SURE a face is blurred too, but is not trusted to be all there is
_HEAD: Final = 0.30  # the upper part of a person's box that holds the head, also of one who bends
_WIDER: Final = 0.45  # the finder's box spans brow to chin: this much more on each side

Box = tuple[int, int, int, int]


class Faces:
    """Finds and blurs."""

    def __init__(self, *, threads: int = 1) -> None:
        """Raises MissingExtra without onnxruntime, ModelError for damaged weights."""
        self._session = Session(weights.load("blazeface"), threads=threads)
        self._anchors = anchors()

    def blur(self, pixels: Pixels, people: Sequence[Person]) -> Pixels:
        """A copy, uint8 (h, w, 3), with no face in it. `people` are those found, the doubtful ones too."""
        out = colour(pixels).copy()
        for box in self.to_blur(pixels, people):
            mosaic(out, box)
        return out

    def to_blur(self, pixels: Pixels, people: Sequence[Person]) -> list[Box]:
        """What is to be blurred, in pixels: left, top, right, bottom."""
        h, w = pixels.shape[:2]
        found = [box for box, _ in self.find(pixels)]
        for person in people:
            left, top, right, bottom = (round(c * s) for c, s in zip(person.box, (w, h, w, h), strict=True))
            head = _within((left, top, right, top + max(1, round(_HEAD * (bottom - top)))), w, h)
            sure = False
            if head[2] > head[0] and head[3] > head[1]:
                around = _within(_grown(head, 0.15), w, h)
                for (a, b, c, d), score in self.find(pixels[around[1] : around[3], around[0] : around[2]]):
                    found.append(_within((a + around[0], b + around[1], c + around[0], d + around[1]), w, h))
                    sure = sure or score >= SURE
            if not sure:
                found.append(head)
        return found

    def find(self, pixels: Pixels) -> list[tuple[Box, float]]:
        """Faces of a picture with their scores, each box wide enough for the whole head."""
        fitted = fit(pixels, SIDE, SIDE)
        score, raw = self._session.run(fitted.pixels[None])
        at = np.flatnonzero(score >= _LEAST)
        if not len(at):
            return []
        centre, size = self._anchors[at] * SIDE + raw[at, :2], raw[at, 2:4]
        boxes = np.column_stack([centre - size / 2, centre + size / 2]).astype(np.float64) / fitted.scale
        h, w = pixels.shape[:2]
        scores = score[at].astype(np.float64)
        return [(_within(_grown(_box(boxes[i]), _WIDER), w, h), float(scores[i])) for i in suppress(boxes, scores, 0.3)]


def anchors() -> NDArray[np.float64]:
    """[896, 2]: centres as parts of the side; two at each of 16 x 16 places, six at each of 8 x 8."""
    out = []
    for cells, each in ((16, 2), (8, 6)):
        y, x = np.mgrid[:cells, :cells]
        out.append(np.repeat((np.stack([x.ravel(), y.ravel()], 1) + 0.5) / cells, each, axis=0))
    return np.concatenate(out)


def mosaic(pixels: Pixels, box: Box) -> None:
    """Leaves CELLS x CELLS colours, the means of what was there, in a box of uint8 (h, w, 3), in place."""
    left, top, right, bottom = box
    if right <= left or bottom <= top:
        return
    cv2 = opencv()
    part = pixels[top:bottom, left:right]
    few = cv2.resize(part, (CELLS, CELLS), interpolation=cv2.INTER_AREA)
    pixels[top:bottom, left:right] = cv2.resize(few, (right - left, bottom - top), interpolation=cv2.INTER_NEAREST)


def _box(corners: NDArray[np.float64]) -> Box:
    left, top, right, bottom = (round(float(c)) for c in corners)
    return left, top, right, bottom


def _grown(box: Box, by: float) -> Box:
    left, top, right, bottom = box
    x, y = round(by * (right - left)), round(by * (bottom - top))
    return left - x, top - y, right + x, bottom + y


def _within(box: Box, w: int, h: int) -> Box:
    left, top, right, bottom = box
    return max(0, left), max(0, top), min(w, right), min(h, bottom)
