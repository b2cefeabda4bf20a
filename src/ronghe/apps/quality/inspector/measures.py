"""Figures of merit of scores and heat maps: area under the ROC curve, and per-region overlap.

AUROC is the chance that a defective one scores higher than a good one, ties counting half (Mann & Whitney 1947). PRO is the mean share of
each connected defect that is covered, averaged over limits whose false positive rate on good pixels is at most 0.3 (Bergmann et al. 2020).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ronghe.picture.libraries import opencv

_FINE: Final = 500  # steps of heat to the reject limit
_BINS: Final = 20 * _FINE
_MOST_FALSE: Final = 0.3


def auroc(good: NDArray[np.float64], defective: NDArray[np.float64]) -> float:
    """0..1; NaN where either is empty."""
    if not len(good) or not len(defective):
        return float("nan")
    both = np.concatenate([good, defective])
    value, inverse, count = np.unique(both, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[inverse]
    n, m = len(good), len(defective)
    return float((rank[n:].sum() - m * (m + 1) / 2) / (n * m)) if len(value) else float("nan")


class PixelCounts:
    """Heat of good and defective pixels in steps of 1/500 of the reject limit, and of each defect apart."""

    def __init__(self) -> None:
        self.good = np.zeros(_BINS + 1, np.int64)
        self.defective = np.zeros(_BINS + 1, np.int64)
        self.regions: list[NDArray[np.float32]] = []
        self.masks = 0

    def add(self, heat: NDArray[np.float32], mask: NDArray[np.bool_]) -> None:
        """One picture: heat in units of the reject limit and where its defect is, both [h, w]."""
        step = np.minimum(heat * _FINE, _BINS).astype(np.int32)
        self.good += np.bincount(step[~mask], minlength=_BINS + 1)
        if not mask.any():
            return
        self.masks += 1
        self.defective += np.bincount(step[mask], minlength=_BINS + 1)
        n, labels = opencv().connectedComponents(mask.astype(np.uint8))
        for i in range(1, n):
            inside = np.bincount(step[labels == i], minlength=_BINS + 1)
            self.regions.append((np.cumsum(inside[::-1]) / inside.sum()).astype(np.float32))

    def auroc(self) -> float:
        """Over all pixels."""
        good, bad = self.good.astype(np.float64), self.defective.astype(np.float64)
        below = np.cumsum(good) - good / 2
        return float((bad * below).sum() / (good.sum() * bad.sum()))

    def pro(self) -> float:
        """Per-region overlap up to a false positive rate of 0.3."""
        false = np.concatenate([[0], np.cumsum(self.good[::-1]) / self.good.sum()])
        overlap = np.concatenate([[0], np.mean(self.regions, axis=0, dtype=np.float64)])
        inside = false <= _MOST_FALSE
        x = np.append(false[inside], _MOST_FALSE)
        y = np.append(overlap[inside], np.interp(_MOST_FALSE, false, overlap))
        return float(np.trapezoid(y, x) / _MOST_FALSE)
