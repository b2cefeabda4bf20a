"""Gaussian processes for few and noisy measurements of several quantities at the same points: a paraboloid, and what bends away from it.

Rasmussen & Williams, "Gaussian Processes for Machine Learning" (2006): chapter 2.7 (a linear model beneath the process), 4.2 (Matérn 5/2),
5.4 (marginal likelihood). With a handful of points a plane is most that can be learned of a process; the bends come with more of them. Few
points have no peak of the likelihood worth climbing to: it is compared on a small grid, the scale of all being known in closed form there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_SHAPES: Final = tuple((*bend, curve) for bend in ((1.5, 0.01), (1.5, 0.3), (0.5, 0.3)) for curve in (0.1, 1.0, 10.0))
"""Length of the bends, in parts of the ranges and per root of their number; their variance, and that of a curvature, a slope's being 1."""
_NOISES: Final = (1e-3, 1e-2, 0.1, 1.0)
"""Variance of the noise of a young point, likewise."""
_LEVEL: Final = 10.0  # and of the level


@dataclass(frozen=True, slots=True)
class _Fitted:
    """One kernel: the quantities whose likelihood is greatest under it."""

    shape: tuple[float, float, float]
    columns: NDArray[np.int64]
    inverse: Floats  # [n, n] of the Cholesky factor
    weights: Floats  # [n, columns]


@dataclass(frozen=True, slots=True)
class Surrogate:
    """What is known of k quantities over the unit cube. `noise` float64[k]: standard deviation of one young measurement of each."""

    x: Floats
    middle: Floats
    scale: Floats
    noise: Floats
    fitted: tuple[_Fitted, ...]

    def predict(self, at: Floats) -> tuple[Floats, Floats]:
        """Means and standard deviations [m, k] of the quantities themselves, without noise, at `at` float64[m, d]."""
        mean, sd = np.zeros((len(at), len(self.middle))), np.zeros((len(at), len(self.middle)))
        for f in self.fitted:
            cross = _kernel(at, self.x, *f.shape)
            far = ((at - 0.5) ** 2).sum(axis=1)
            own = _LEVEL + far + f.shape[1] + f.shape[2] * far**2
            left = np.maximum(own - ((cross @ f.inverse.T) ** 2).sum(axis=1), 0.0)
            mean[:, f.columns] = self.middle[f.columns] + cross @ f.weights
            sd[:, f.columns] = np.sqrt(left[:, None] * self.scale[f.columns])
        return mean, sd


def fit(x: Floats, y: Floats, age: Floats, least_noise: Floats) -> Surrogate:
    """From measurements y float64[n, k] at x float64[n, d] of the unit cube. The noise variance of a point is multiplied by `age`
    float64[n], 1 for a young one: of a process that has moved less is known. `least_noise` float64[k], above 0: standard deviation that a
    measurement of each quantity has at least."""
    n, k = y.shape
    middle = np.average(y, axis=0, weights=1 / age)
    best, scale, noise = np.full(k, -np.inf), np.zeros(k), np.zeros(k)
    chosen: list[tuple[tuple[float, float, float], Floats, Floats] | None] = [None] * k
    for shape in _SHAPES:
        kernel = _kernel(x, x, *shape)
        for variance in _NOISES:
            inverse = np.linalg.inv(np.linalg.cholesky(kernel + np.diag(variance * age)))
            white = inverse @ (y - middle)
            # one more measurement, of the size of the least noise, keeps the scale from points that happen to agree
            scales = ((white**2).sum(axis=0) + least_noise**2 / variance) / (n + 1)
            likelihood = -0.5 * n * np.log(scales) + float(np.log(np.diag(inverse)).sum())
            better = likelihood > best
            best, scale = np.where(better, likelihood, best), np.where(better, scales, scale)
            noise = np.where(better, np.sqrt(scales * variance), noise)
            for c in np.flatnonzero(better).tolist():
                chosen[c] = shape, inverse, inverse.T @ white
    groups: dict[int, list[int]] = {}
    for c, choice in enumerate(chosen):
        assert choice is not None
        groups.setdefault(id(choice[1]), []).append(c)
    fitted = []
    for columns in groups.values():
        shape, inverse, _ = chosen[columns[0]]  # type: ignore[misc]
        weights = np.column_stack([chosen[c][2][:, c] for c in columns])  # type: ignore[index]
        fitted.append(_Fitted(shape, np.array(columns), inverse, weights))
    return Surrogate(x, middle, scale, noise, tuple(fitted))


def _kernel(a: Floats, b: Floats, length: float, bend: float, curve: float) -> Floats:
    a, b = a - 0.5, b - 0.5
    product = a @ b.T
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * product
    apart = np.sqrt(5 * np.maximum(squares, 0.0) / a.shape[1]) / length
    whole: Floats = _LEVEL + product + curve * product**2 + bend * (1 + apart + apart**2 / 3) * np.exp(-apart)
    return whole
