"""The person detector: NanoDet-g (RangiLyu, 2020; Apache-2.0), of whose 80 classes of COCO the person is used.

It was trained at 416 pixels; here the longer side of a picture has 416, the other what the picture needs.

Its head gives a score and, for each side of the box, a distribution over 0..10 strides whose mean is the distance (Li et al. 2020,
"Generalized Focal Loss"). Priors stand at the centres of the cells of three maps of stride 8, 16 and 32.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ronghe.apps.safety.letterbox import fit, suppress
from ronghe.models import weights
from ronghe.models.runtime import session

SIDE: Final = 416
STRIDES: Final = (8, 16, 32)
BINS: Final = 11
_SAME: Final = 0.55  # boxes that overlap more are one person


@dataclass(frozen=True, slots=True)
class Person:
    """One detection: `box` is left, top, right, bottom as parts of the picture's width and height; `score` 0..1."""

    box: tuple[float, float, float, float]
    score: float


class People:
    """Finds people in a picture."""

    def __init__(self, *, threads: int = 1) -> None:
        """Raises MissingExtra without onnxruntime, ModelError for damaged weights."""
        self.origin = weights.origin("nanodet")
        self._session = session(weights.load("nanodet"), threads=threads)

    def find(self, pixels: NDArray[np.uint8], least: float) -> list[Person]:
        """People with a score of at least `least`, best first. `pixels`: uint8 (h, w, 3) RGB or (h, w) gray."""
        fitted = fit(pixels, SIDE, STRIDES[-1])
        score, distances = self._session.run(fitted.pixels[None])
        at = np.flatnonzero(score >= least)
        if not len(at):
            return []
        h, w = pixels.shape[:2]
        boxes = decode(distances[at], priors(*fitted.pixels.shape[:2])[at]) / fitted.scale
        boxes = np.clip(boxes / (w, h, w, h), 0.0, 1.0)
        scores = score[at].astype(np.float64)
        keep = [i for i in suppress(boxes, scores, _SAME) if (boxes[i, 2:] > boxes[i, :2]).all()]
        return [Person((*boxes[i].tolist(),), float(scores[i])) for i in keep]


@functools.lru_cache(4)
def priors(height: int, width: int) -> NDArray[np.float64]:
    """[n, 3]: x and y of each cell's centre in pixels of the input, and its stride; maps in order, rows first."""
    out = []
    for stride in STRIDES:
        y, x = np.mgrid[: height // stride, : width // stride]
        centre = (np.stack([x.ravel(), y.ravel()], 1) + 0.5) * stride
        out.append(np.column_stack([centre, np.full(len(centre), float(stride))]))
    return np.concatenate(out)


def decode(distances: NDArray[np.float32], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Boxes [n, 4] in pixels of the input from logits [n, 44] at priors [n, 3]."""
    logits = distances.reshape(-1, 4, BINS).astype(np.float64)
    share = np.exp(logits - logits.max(-1, keepdims=True))
    away = (share / share.sum(-1, keepdims=True)) @ np.arange(BINS) * at[:, 2:]
    return np.column_stack([at[:, :2] - away[:, :2], at[:, :2] + away[:, 2:]])
