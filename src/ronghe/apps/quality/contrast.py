"""In which directions drawn defects differ from good places: a quadratic discriminant of two Gaussians, in closed form (Fisher 1936).

    q(e) = log N(e; defects) - log N(e; good), up to a constant, of whitened descriptors e

The distance to good places alone counts every direction the same. Defects do not move a descriptor in every direction; those in which
even drawn ones do not are noise. The discriminant weighs the directions, the distance sees what no drawn defect resembles; the raw score
is their sum, each in units of its own spread over good places, the discriminant at half weight.
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from ronghe.models import graph

WEIGHT: Final = 0.5
_GOOD_RIDGE: Final = 0.3  # of the whitened variance
_DEFECT_SHRINK: Final = 0.05  # towards the mean variance

Floats = NDArray[np.float32]


class Contrast(msgspec.Struct, frozen=True, eq=False):
    """q(e) = e Q e + l e + c: `square` float32[d, d] symmetric, `linear` float32[d], `constant`; added to the distance times `weight`."""

    square: Floats
    linear: Floats
    constant: float
    weight: float = 1.0

    def value(self, e: NDArray[np.floating]) -> NDArray[np.float64]:
        """sqrt(max(q, 0)), float64[n], of e [n, d]."""
        e = e.astype(np.float64)
        q = np.einsum("ij,ij->i", e @ self.square.astype(np.float64) + self.linear, e) + self.constant
        return np.sqrt(np.maximum(q, 0))


def against(good: Floats, defects: list[Floats]) -> Contrast:
    """From whitened descriptors of good places [n, d] and of each kind of defect [n_k, d]; every kind counts the same."""
    d = good.shape[1]
    mean_good = good.mean(0).astype(np.float64)
    inverse_good = np.linalg.inv(np.cov(good.T).astype(np.float64) + _GOOD_RIDGE * np.eye(d))
    mean = np.mean([k.mean(0, dtype=np.float64) for k in defects], axis=0)
    spread = np.mean([(k - mean).T @ (k - mean) / len(k) for k in defects], axis=0)
    spread = (1 - _DEFECT_SHRINK) * spread + _DEFECT_SHRINK * np.trace(spread) / d * np.eye(d)
    inverse = np.linalg.inv(spread)
    # 2 d is about what keeps the root of good places positive: their quadratic form is d on average
    constant = mean_good @ inverse_good @ mean_good - mean @ inverse @ mean + 2 * d
    linear = 2 * (inverse @ mean - inverse_good @ mean_good)
    return Contrast((inverse_good - inverse).astype(np.float32), linear.astype(np.float32), float(constant))


def nodes(contrast: Contrast, white: str, output: str) -> tuple[list[bytes], list[bytes]]:
    """(nodes, constants) that give weight * sqrt(max(q, 0)) as float32[1, h, w] from whitened descriptors [1, d, h, w]."""
    d = len(contrast.linear)
    constants = [
        graph.tensor("contrast_square", contrast.square.reshape(d, d, 1, 1)),
        graph.tensor("contrast_linear", contrast.linear),
        graph.tensor("contrast_constant", np.array(contrast.constant, np.float32)),
        graph.tensor("contrast_weight", np.array(contrast.weight, np.float32)),
        graph.tensor("contrast_axis", np.array([1], np.int64)),
    ]
    return [
        graph.node("Conv", [white, "contrast_square", "contrast_linear"], ["contrast_half"], kernel_shape=[1, 1]),
        graph.node("Mul", ["contrast_half", white], ["contrast_product"]),
        graph.node("ReduceSum", ["contrast_product", "contrast_axis"], ["contrast_sum"], keepdims=0),
        graph.node("Add", ["contrast_sum", "contrast_constant"], ["contrast_q"]),
        graph.node("Relu", ["contrast_q"], ["contrast_positive"]),
        graph.node("Sqrt", ["contrast_positive"], ["contrast_root"]),
        graph.node("Mul", ["contrast_root", "contrast_weight"], [output]),
    ], constants
