"""Comparison of a printed board with its golden template: boxes, classes, and what to do with the board.

    comparer = Comparer()                       # or Comparer(unpack(load(path))), learned from labelled boards
    found = comparer.compare(template, tested)  # uint8 (h, w) or (h, w, 3)
    found.verdict, found.defects                # "good" | "defective" | "review"

A picture that cannot be compared (blank, another board, shifted out of sight) goes to review with the reason; it never passes.
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from ronghe.apps.quality.boards.align import Gray, align
from ronghe.apps.quality.boards.difference import Region, differences, midpoint
from ronghe.errors import AppError
from ronghe.picture.libraries import opencv
from ronghe.text import Text

NAMES: Final = {
    1: Text("open", "开路"),
    2: Text("short", "短路"),
    3: Text("mousebite", "缺口"),
    4: Text("spur", "毛刺"),
    5: Text("copper", "残铜"),
    6: Text("pin-hole", "针孔"),
}
"""The classes of DeepPCB by number (Tang et al. 2019, "Online PCB defect detector on a new PCB defect dataset")."""
_BY_RULE: Final = ((6, 3, 1), (5, 4, 2))  # class by [copper added][contacts]
CELLS: Final = 6  # added or missing × 0, 1, 2 or more contacts

LEAST_CORRELATION: Final = 0.6
"""Correlation of a tested picture with its template below which it is taken for another board."""
LEAST_CONTRAST: Final = 40.0
"""Gray levels between copper and base."""
LEAST_COVERED: Final = 0.9
"""Of the picture, that its template must cover."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What is learned from labelled boards. The defaults were learned from the training part of DeepPCB.

    dark      copper is the darker phase
    padding   pixels that people's boxes are wider than the difference itself, on each side: x, y
    least     peak (0..1, see Region) from which a region is a defect
    classes   class numbers; their names
    table     chance of each class by cell: (3 × added + min(contacts, 2)) × classes
    """

    dark: bool = True
    padding: tuple[int, int] = (10, 10)
    least: float = 0.46
    classes: tuple[int, ...] = tuple(NAMES)
    names: tuple[Text, ...] = tuple(NAMES.values())
    table: tuple[tuple[float, ...], ...] = tuple(
        tuple(float(c == _BY_RULE[added][contacts]) for c in NAMES) for added in (0, 1) for contacts in (0, 1, 2)
    )


class Defect(msgspec.Struct, frozen=True, kw_only=True):
    """One defect. `box` x0, y0, x1, y1 in pixels of the tested picture; `score` 0..1, its peak; `probability` of its class."""

    box: tuple[int, int, int, int]
    score: float
    label: int
    name: Text
    probability: float
    added: bool
    contacts: int
    area: int


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What was found on one board. `reason` says why it goes to review; `doubtful` are differences below the limit."""

    verdict: str  # "good" | "defective" | "review"
    defects: tuple[Defect, ...]
    doubtful: tuple[Defect, ...]
    correlation: float
    shift: float  # pixels
    covered: float  # of the picture, 0..1
    reason: Text | None = None


class Comparer:
    """Compares pictures with their templates. Holds nothing between calls."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()

    def compare(self, template: NDArray[np.uint8], tested: NDArray[np.uint8]) -> Comparison:
        """Both uint8 (h, w) or (h, w, 3) RGB of the same size. Raises AppError when the sizes differ or a template shows no board."""
        a, b = gray(template), gray(tested)
        check(a, b)
        if midpoint(b)[1] < LEAST_CONTRAST:
            return _review(Text("the tested picture shows no copper: contrast is too low", "被测图像对比度过低，看不到铜箔"))
        regions, correlation, shift, covered = examine(a, b, dark=self.settings.dark)
        if correlation < LEAST_CORRELATION:
            reason = Text(
                f"the tested picture does not fit its template (correlation {correlation:.2f})",
                f"被测图像与模板不符（相关系数 {correlation:.2f}）",
            )
            return _review(reason, correlation, shift, covered)
        found = [self.judge(r, tested.shape[:2]) for r in regions]
        defects = tuple(d for d in found if d.score >= self.settings.least)
        doubtful = tuple(d for d in found if d.score < self.settings.least)
        reason_ = None
        if covered < LEAST_COVERED:
            reason_ = Text(
                f"{100 * (1 - covered):.0f} % of the picture lies outside the template", f"图像有 {100 * (1 - covered):.0f}% 超出模板范围"
            )
        verdict = "defective" if defects else "review" if reason_ else "good"
        return Comparison(
            verdict=verdict,
            defects=defects,
            doubtful=doubtful,
            correlation=correlation,
            shift=shift,
            covered=covered,
            reason=reason_,
        )

    def judge(self, region: Region, shape: tuple[int, ...]) -> Defect:
        """A region as a defect: its padded box, its score, its class."""
        s = self.settings
        chance = s.table[cell(region)]
        best = int(np.argmax(chance))
        return Defect(
            box=padded(region, s.padding, shape),
            score=region.peak,
            label=s.classes[best],
            name=s.names[best],
            probability=chance[best],
            added=region.added,
            contacts=region.contacts,
            area=region.area,
        )


def examine(template: Gray, tested: Gray, *, dark: bool) -> tuple[list[Region], float, float, float]:
    """(regions, correlation, shift in pixels, share of the picture that was compared) of two gray pictures of the same size."""
    aligned = align(template, tested)
    return differences(aligned, tested, dark=dark), aligned.correlation, aligned.shift, float(aligned.covered.mean())


def gray(pixels: NDArray[np.uint8]) -> Gray:
    """uint8 (h, w) of uint8 (h, w) or (h, w, 3) RGB."""
    if pixels.ndim == 2:
        return pixels
    cv2 = opencv()
    out: Gray = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    return out


def check(template: Gray, tested: Gray) -> None:
    """Raises AppError unless the two can be compared at all."""
    if template.shape != tested.shape:
        (h, w), (k, m) = template.shape, tested.shape
        raise AppError(
            Text(f"the template is {w} × {h} pixels, the tested picture {m} × {k}", f"模板为 {w} × {h} 像素，被测图像为 {m} × {k} 像素"),
            todo=Text("take both with the same camera and the same lens", "请用同一相机、同一镜头拍摄两幅图像"),
        )
    if min(template.shape) < 32:
        raise AppError(Text("a picture of less than 32 pixels a side is too small to compare", "图像边长不足 32 像素，无法比对"))
    if midpoint(template)[1] < LEAST_CONTRAST:
        raise AppError(
            Text("the template shows no copper: contrast is too low", "模板对比度过低，看不到铜箔"),
            todo=Text("take it again with more light, or choose another", "请补光后重新拍摄，或更换模板"),
        )


def padded(region: Region, padding: tuple[int, int], shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """The box of a region with its margin, inside a picture of `shape` (h, w)."""
    x0, y0, x1, y1 = region.box
    px, py = padding
    return max(x0 - px, 0), max(y0 - py, 0), min(x1 + px, shape[1]), min(y1 + py, shape[0])


def cell(region: Region) -> int:
    """Row of `Settings.table`."""
    return 3 * region.added + min(region.contacts, 2)


def _review(reason: Text, correlation: float = 0.0, shift: float = 0.0, covered: float = 0.0) -> Comparison:
    return Comparison(verdict="review", defects=(), doubtful=(), correlation=correlation, shift=shift, covered=covered, reason=reason)
