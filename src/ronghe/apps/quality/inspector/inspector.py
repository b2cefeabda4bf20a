"""An inspector: taught from good pictures, it says of a new one how unlike them it is, where, and whether it may pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from ronghe.apps.quality.inspector import fusion
from ronghe.apps.quality.inspector import level as levels
from ronghe.apps.quality.inspector.bank import RAW, Bank
from ronghe.apps.quality.inspector.descriptors import Pixels, Sight, network
from ronghe.apps.quality.inspector.limits import Limits
from ronghe.apps.quality.inspector.promise import Promise
from ronghe.models import graph
from ronghe.models.runtime import Session, session
from ronghe.picture.libraries import opencv
from ronghe.text import Text

Verdict = Literal["pass", "review", "reject"]
_MOST: Final = 20  # regions told of one picture


class Thresholds(msgspec.Struct, frozen=True, kw_only=True):
    """Raw scores: over `reject` a part is rejected, up to `pass_below` passed, between them a person looks."""

    reject: float
    pass_below: float


class Region(msgspec.Struct, frozen=True, kw_only=True):
    """Where: a box in pixels of the picture, `x1` and `y1` not in it, and the highest score inside (1 is the reject limit)."""

    x0: int
    y0: int
    x1: int
    y1: int
    score: float


@dataclass(frozen=True, slots=True)
class Judgement:
    """What an inspector says of one picture. `score` and `heat` float32[h, w] are in units of the reject limit, `raw` in the model's own.

    `unlike` says which limits of validity the picture is outside of; such a picture is not passed, whatever its score.
    """

    score: float
    raw: float
    heat: NDArray[np.float32]
    verdict: Verdict
    where: tuple[Region, ...]
    unlike: tuple[Text, ...] = ()


@dataclass(frozen=True, slots=True)
class Inspector:
    """What was learned. Safe to use from several threads; `with_thresholds` gives one that decides otherwise."""

    sight: Sight
    banks: tuple[Bank, ...]
    level: NDArray[np.float32]
    thresholds: Thresholds
    promise: Promise
    limits: Limits
    onnx: bytes
    training: dict[str, Any]
    metrics: dict[str, float]
    session: Session = field(repr=False)

    def with_thresholds(self, *, reject: float | None = None, pass_below: float | None = None) -> Inspector:
        """Another limit, in raw units. The promise of the learned one does not hold for it."""
        new = Thresholds(
            reject=self.thresholds.reject if reject is None else reject,
            pass_below=self.thresholds.pass_below if pass_below is None else pass_below,
        )
        return replace(self, thresholds=new)

    def judge(self, pixels: Pixels) -> Judgement:
        """Judges one picture, uint8[h, w] gray or [h, w, 3] RGB."""
        small = self.sight.working(pixels)
        grid = self.session.run(small)[0]
        raw = score(grid)
        unit = 1 / self.thresholds.reject
        h, w = pixels.shape[:2]
        heat = opencv().resize(grid * np.float32(unit), (w, h), interpolation=1)  # bilinear
        unlike = self.limits.left(pixels, small)
        verdict = self.verdict(raw)
        if unlike and verdict == "pass":
            verdict = "review"
        return Judgement(raw * unit, raw, heat, verdict, regions(heat) if verdict != "pass" else (), unlike)

    def raw(self, pixels: Pixels) -> float:
        """The raw score alone."""
        return score(self.session.run(self.sight.working(pixels))[0])

    def verdict(self, raw: float) -> Verdict:
        """Of a raw score."""
        return "reject" if raw > self.thresholds.reject else "review" if raw > self.thresholds.pass_below else "pass"


def score(grid: NDArray[np.float32]) -> float:
    """Of a picture, from the distances [h, w] of its places: the mean of the highest one in thirty-two."""
    n = max(1, grid.size // 32)
    return float(np.partition(grid.ravel(), grid.size - n)[-n:].mean())


def whole(sight: Sight, banks: Sequence[Bank], level: NDArray[np.float32]) -> bytes:
    """The one graph from the working picture to the raw scores of its places, `raw` float32[h, w]."""
    near, numbers = fusion.nodes(banks, sight.looks, "distance")
    unit, more = levels.nodes(level, "distance", RAW)
    return graph.extend(network(sight), near + unit, numbers + more, [graph.value(RAW, "float32", ["rows", "columns"])])


def build(**parts: Any) -> Inspector:
    """An inspector with its session."""
    return Inspector(**parts, session=session(parts["onnx"], outputs=(RAW,)))


def regions(heat: NDArray[np.float32], level: float = 1.0) -> tuple[Region, ...]:
    """Boxes around what is hotter than `level`, the hottest first; around the hottest place where nothing is."""
    top = float(heat.max())
    cv2 = opencv()
    hot = (heat > min(level, 0.8 * top)).astype(np.uint8)
    left, above, width, height = cv2.boundingRect(hot)  # what is hot is mostly small, and labelling takes most of the time
    heat = heat[above : above + height, left : left + width]
    n, labels, stats, _ = cv2.connectedComponentsWithStats(hot[above : above + height, left : left + width], ltype=cv2.CV_16U)
    found = []
    for i in range(1, n):
        x, y, w, h = (int(v) for v in stats[i][:4])
        inside = heat[y : y + h, x : x + w][labels[y : y + h, x : x + w] == i]
        x, y = x + left, y + above
        found.append(Region(x0=x, y0=y, x1=x + w, y1=y + h, score=float(inside.max())))
    return tuple(sorted(found, key=lambda r: -r.score)[:_MOST])
