"""Slow change of the pictures themselves: light, contrast, focus, colour and position of the part, against the good pictures learned from.

Each measure of a picture is compared with its mean and spread while good pictures were taken, by an EWMA (weight 0.1) whose limit gives one
false alarm in 1 / `false_alarm` pictures for independent pictures (`arl`). The spread is its upper 95 % bound, and the mean is given its
own uncertainty as room, since few good pictures know neither (Jensen et al., "Effects of parameter estimation on control chart properties",
Journal of Quality Technology 38 (2006)); and there is a least spread, below which no inspector is disturbed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from ronghe.apps.quality.charts.arl import ewma_limit
from ronghe.apps.quality.charts.chances import chi2_quantile
from ronghe.picture.libraries import opencv
from ronghe.text import Text

Kind = Literal["light", "contrast", "focus", "colour", "position"]
KINDS: Final[tuple[Kind, ...]] = ("light", "contrast", "focus", "colour", "position")
NAMES: Final[dict[str, Text]] = {
    "light": Text("light", "光照"),
    "contrast": Text("contrast", "对比度"),
    "focus": Text("focus", "对焦"),
    "colour": Text("colour balance", "色彩平衡"),
    "position": Text("position of the part", "工件位置"),
}
UNITS: Final[dict[str, str]] = {"light": "gray levels", "contrast": "gray levels", "focus": "ln", "colour": "ln", "position": "% of width"}
_FLOOR: Final = (1.5, 1.0, 0.05, 0.01, 0.4, 0.4)  # least spread of each measure
_SIDE: Final = 64
_THIN: Final = 144  # pixels of the shorter side that light, contrast, colour and position are taken from
_WINDOW: Final = np.outer(np.hanning(_SIDE), np.hanning(_SIDE))
_DAMPING: Final = 0.1  # of the mean: frequencies that are noise alone say nothing of a shift
_WEIGHT: Final = 0.1
_BACK: Final = 0.7  # of the limit: below it a drift is over

Floats = NDArray[np.float64]


class Usual(msgspec.Struct, frozen=True, kw_only=True):
    """What the good pictures looked like. `mean` and `spread` of light, contrast, focus, colour, x, y; from `pictures`
    whose sizes lie between `smallest` and `largest` (w, h).

    `reference` is the first of them, small: float32 (64, 64), from which the position of a part is measured.
    """

    mean: tuple[float, ...]
    spread: tuple[float, ...]
    pictures: int
    smallest: tuple[int, int]
    largest: tuple[int, int]
    reference: bytes


def measure(pixels: NDArray[np.uint8], reference: NDArray[np.float32] | None = None) -> Floats:
    """float64[6]: light and contrast in gray levels, focus as ln of the gradient's energy relative to the contrast, colour as ln(red/blue),
    and by how much the part lies right of and below that of `reference` (see `small`), in % of the picture's width and height, by phase
    correlation (Kuglin and Hines 1975)."""
    cv2 = opencv()
    h, w = pixels.shape[:2]
    thin, gray = _thin(pixels)
    mean, deviation = (float(v[0, 0]) for v in cv2.meanStdDev(gray))
    middle = pixels[h // 2 - min(h, 256) // 2 :, w // 2 - min(w, 256) // 2 :][:256, :256]
    fine = middle[..., 1] if middle.ndim == 3 else middle
    sharp = float(cv2.meanStdDev(cv2.Laplacian(np.ascontiguousarray(fine), cv2.CV_16S))[1][0, 0])
    focus = math.log((sharp + 0.5) / (deviation + 0.5))
    colour = 0.0
    if pixels.ndim == 3:
        red, _, blue, _ = cv2.mean(thin)
        colour = math.log((red + 1) / (blue + 1))
    x = y = 0.0
    if reference is not None:
        x, y = _shift(reference, _small(gray))
    return np.nan_to_num(np.array([mean, deviation, focus, colour, 100 * x / _SIDE, 100 * y / _SIDE]))


def small(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """float32 (64, 64): what a position is measured from."""
    return _small(_thin(pixels)[1])


def _small(gray: NDArray[np.uint8]) -> NDArray[np.float32]:
    cv2 = opencv()
    return np.asarray(cv2.resize(gray, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)).astype(np.float32)


def _shift(reference: NDArray[np.float32], present: NDArray[np.float32]) -> tuple[float, float]:
    """By how many pixels `present` lies right of and below `reference`: the peak of their phase correlation, refined by a parabola."""
    a, b = (np.fft.rfft2((p - p.mean()) * _WINDOW) for p in (reference, present))
    cross = np.conj(a) * b
    size = np.abs(cross)
    found = np.fft.irfft2(cross / (size + _DAMPING * size.mean() + 1e-9), s=present.shape)
    y, x = (int(v) for v in np.unravel_index(int(found.argmax()), found.shape))
    return _peak(found[y], x), _peak(found[:, x], y)


def _peak(line: NDArray[np.float64], at: int) -> float:
    """Where a circular line peaks near `at`, from −n/2 to n/2."""
    n = len(line)
    low, top, high = line[at - 1], line[at], line[(at + 1) % n]
    bend = low - 2 * top + high
    at_ = at + (float(0.5 * (low - high) / bend) if bend < 0 else 0.0)
    return at_ - n if at_ > n / 2 else at_


def _thin(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Every so-manieth pixel, in colour and in gray."""
    cv2 = opencv()
    h, w = pixels.shape[:2]
    step = max(1, min(h, w) // _THIN)
    thin = cv2.resize(pixels, (max(w // step, 1), max(h // step, 1)), interpolation=cv2.INTER_NEAREST)
    return thin, cv2.cvtColor(thin, cv2.COLOR_RGB2GRAY) if thin.ndim == 3 else thin


def look_of(pictures: Sequence[NDArray[np.uint8]]) -> Usual:
    """Of good pictures."""
    reference = small(pictures[0])
    return usual([measure(p, reference) for p in pictures], [(p.shape[1], p.shape[0]) for p in pictures], reference)


def usual(measured: Sequence[Floats], sizes: Sequence[tuple[int, int]], reference: NDArray[np.float32]) -> Usual:
    """Of the measures of good pictures, and their sizes (width, height)."""
    values = np.asarray(measured)
    n = len(values)
    spread = values.std(axis=0, ddof=1) if n > 1 else np.zeros(values.shape[1])
    wider = math.sqrt((n - 1) / chi2_quantile(0.05, n - 1)) if n > 2 else 4.0
    return Usual(
        mean=tuple(values.mean(axis=0).tolist()),
        spread=tuple(np.maximum(spread * wider, _FLOOR).tolist()),
        pictures=n,
        smallest=(min(w for w, _ in sizes), min(h for _, h in sizes)),
        largest=(max(w for w, _ in sizes), max(h for _, h in sizes)),
        reference=reference.tobytes(),
    )


def restored(reference: bytes) -> NDArray[np.float32]:
    """A reference as it was kept."""
    return np.frombuffer(reference, np.float32).reshape(_SIDE, _SIDE)


class DriftWatch:
    """Follows pictures one by one."""

    def __init__(self, usual: Usual, false_alarm: float = 1e-5) -> None:
        self.usual, self.reference = usual, restored(usual.reference)
        self._mean, self._spread = np.array(usual.mean), np.array(usual.spread)
        self._room = 1.645 / math.sqrt(max(usual.pictures, 1))  # standard deviations that the learned mean itself may be off
        self._limit = ewma_limit(_WEIGHT, round(1 / false_alarm, 6)) * math.sqrt(_WEIGHT / (2 - _WEIGHT)) + self._room
        self.level = np.zeros(len(self._mean))  # EWMA, in standard deviations
        self.drifting: set[Kind] = set()

    def step(self, measured: Floats) -> list[tuple[Kind, bool]]:
        """The measures of one picture; gives the kinds that began to drift (True) or have come back (False)."""
        z = (measured - self._mean) / self._spread
        self.level += _WEIGHT * (np.clip(z, -12, 12) - self.level)  # one picture of something else is no drift
        sizes = self.sizes()
        changed: list[tuple[Kind, bool]] = []
        for kind, size in sizes.items():
            if kind not in self.drifting and size > 1:
                self.drifting.add(kind)
                changed.append((kind, True))
            elif kind in self.drifting and size < _BACK:
                self.drifting.discard(kind)
                changed.append((kind, False))
        return changed

    def sizes(self) -> dict[Kind, float]:
        """How far each kind is from what is usual: 1 is the limit."""
        size = np.abs(self.level) / self._limit
        return dict(zip(KINDS, [*map(float, size[:4]), float(size[4:].max())], strict=True))

    def told(self, kind: Kind) -> tuple[float, float]:
        """(present, usual) of a kind, in its unit; of the position the coordinate that is further off."""
        i = KINDS.index(kind)
        if kind == "position":
            i += int(abs(self.level[5]) > abs(self.level[4]))
        return float(self._mean[i] + self.level[i] * self._spread[i]), float(self._mean[i])
