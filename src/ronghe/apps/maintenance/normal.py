"""Normal operation as learned: the level of every property, how properties move together, and how far each may stray.

Window means of all properties are modelled as one Gaussian whose covariance is principal components plus what each property does alone
(window PCA in factor form). The model is Φ, the inverse covariance: with it the combined index of T² and Q is φ = dᵀΦd (Yue & Qin, Ind.
Eng. Chem. Res. 40, 2001), the part of φ that one property explains is RBC_i = (Φd)_i² / Φ_ii (reconstruction-based contribution, Alcala
& Qin, Automatica 45, 2009), and a missing property is the one that makes φ least. RBC does not smear: for a fault of one property that
property has the largest contribution, whatever its size.

The score is the largest √RBC over its limit: a generalised likelihood ratio for "one property left normal", sharper than φ itself, in
which one property's departure drowns among the noise of all others. Beside the level the unrest of each property is judged, half the
logarithm of its variance within the window: a hunting valve keeps its mean.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ronghe.apps.maintenance.cycle import load_cycle
from ronghe.apps.maintenance.precision import Precision
from ronghe.errors import AppError
from ronghe.text import Text

Floats = NDArray[np.float64]

WINDOW: Final = 20  # rows in a window where there is no load cycle
FALSE_ALARM: Final = 3e-4  # chance that an independent window of normal operation is over the limit
SHRINK: Final = 0.6  # correlations are shrunk this far to none: few independent windows estimate k²/2 of them badly
WIDEST: Final = 10.0  # most that the tolerance of a property is widened for having been seen too short
COMPONENTS: Final = 64  # most principal components kept: 10,000 properties stay cheap
_FEWEST: Final = 5  # windows to learn from
_HUGE: Final = 1e150  # no measurement; its square would not be a number
_ENOUGH: Final = 4000  # window means that go into the covariance


@dataclass(frozen=True, slots=True, eq=False)
class Normal:
    """What was learned. Arrays are over k properties; deviations are d = (window mean − center) / scale.

    center, scale  float64[k]     level, and spread of single rows; scale 0: never moved, not judged
    loadings       float64[k, r]  how properties move together: covariance of d = loadings·loadingsᵀ + diag(alone)
    alone          float64[k]     variance of d that a property has for itself
    unrest         float64[k]     normal half log variance of d within a window
    unrest_scale   float64[k]     its spread, widened; inf: not judged
    quiet          float64[k]     variance that is added to it: less unrest than that means nothing
    run            int64[k]       longest run of rows with one same value that was seen
    low, high      float64[k]     range of single rows
    window         int            rows in a window
    limit          float          limit of √RBC and of the unrest, in standard deviations
    """

    center: Floats
    scale: Floats
    loadings: Floats
    alone: Floats
    unrest: Floats
    unrest_scale: Floats
    quiet: Floats
    run: NDArray[np.int64]
    low: Floats
    high: Floats
    window: int
    limit: float

    @property
    def judged(self) -> NDArray[np.bool_]:
        """Mask of the properties that have a normal level."""
        return self.scale > 0

    def precision(self) -> Precision:
        """Φ."""
        return Precision.of(self.loadings, self.alone, self.judged)

    def to_accuracy(self, accuracy: Floats) -> Normal:
        """The same, judged with instruments of an `accuracy` float64[k] (one standard deviation, in the property's unit).

        What an instrument cannot tell apart is no deviation. A property that never moved is judged when its accuracy is known.
        """
        scale = np.where(self.scale > 0, self.scale, accuracy)
        floor = np.divide(accuracy, scale, out=np.zeros_like(scale), where=scale > 0) ** 2
        usual = np.maximum(np.exp(2 * self.unrest) - self.quiet, 0.0)
        quiet = self.quiet + floor
        return replace(self, scale=scale, alone=self.alone + floor, quiet=quiet, unrest=0.5 * np.log(usual + quiet))


def learn(rows: Floats, *, window: int = 0, false_alarm: float = FALSE_ALARM) -> Normal:
    """Learns from rows float64[n, k] of normal operation, NaN where there is no value.

    `window` 0: the load cycle if there is one, else `WINDOW` rows. Raises AppError for too few rows or nothing that moves.
    """
    n = len(rows)
    window = window or load_cycle(rows, shortest=WINDOW) or WINDOW
    if n < _FEWEST * window:
        raise AppError(
            Text(f"{n} rows are too few to learn from", f"只有 {n} 行，不足以学习"),
            todo=Text(f"give at least {_FEWEST * window} rows of normal operation", f"请提供至少 {_FEWEST * window} 行正常运行数据"),
        )
    filled, center, scale = _standard(rows)
    moving = scale > 0
    if not moving.any():
        raise AppError(
            Text("nothing moves in these rows: there is nothing to learn", "这些数据没有任何变化，无从学习"),
            todo=Text("give rows recorded while the equipment was running", "请提供设备运行时的数据"),
        )
    z = np.divide(filled - center, scale, out=np.zeros_like(filled), where=moving)
    means = _moving_mean(z, window)
    p = false_alarm / (3 * int(moving.sum()))  # too low, too high, too restless: three questions a property
    limit = _t_quantile(p, n / window - 1)
    loadings, alone = _factors((means - means.mean(0)) * _widening(z, window, p, limit))
    unrest, unrest_scale, quiet = _unrest(z, means, p, limit)
    return Normal(
        center=center + scale * means.mean(0),
        scale=scale,
        loadings=loadings,
        alone=alone,
        unrest=unrest,
        unrest_scale=np.where(moving, unrest_scale, np.inf),
        quiet=quiet,
        run=_longest_runs(filled),
        low=filled.min(0),
        high=filled.max(0),
        window=window,
        limit=limit,
    )


def _standard(rows: Floats) -> tuple[Floats, Floats, Floats]:
    """(rows without holes, their center, their spread: 0 for a column that never moves or is mostly empty)."""
    finite = np.abs(rows) < _HUGE  # false for NaN
    seen = finite.mean(0) >= 0.5
    filled = np.where(finite, rows, np.nan)
    filled[:, ~seen] = 0.0
    center = np.nanmean(filled, 0)
    filled = np.where(np.isnan(filled), center, filled)
    scale = filled.std(0)
    return filled, center, np.where(seen & (scale > 1e-9 * np.abs(center)), scale, 0.0)


def _moving_mean(z: Floats, window: int) -> Floats:
    """Means of every full window."""
    total = np.cumsum(np.vstack([np.zeros((1, z.shape[1])), z]), 0)
    means: Floats = (total[window:] - total[:-window]) / window
    return means


def _widening(z: Floats, window: int, p: float, limit: float) -> Floats:
    """How much wider the tolerance of each property must be for having been seen too short, 1..`WIDEST`.

    A property with inertia (a temperature) gives few independent samples in the time of learning: N = (n/l)·(1−ρ)/(1+ρ) with ρ its
    autocorrelation at lag l (Bayley & Hammersley 1946), here the least over lags of one row and half a window. A spread estimated from N
    samples has Student's t with N − 1 degrees of freedom, whose tail is the wider the fewer they are.
    """
    n = len(z)
    independent = np.full(z.shape[1], n / window)
    for lag in {1, max(window // 2, 1)}:
        half_step = ((z[lag:] - z[:-lag]) ** 2).mean(0) / 2  # von Neumann's ratio = 1 − ρ, as z has variance 1
        ratio = np.minimum(half_step, 1.0)
        independent = np.minimum(independent, n / lag * half_step / (2 - ratio))
    wide = np.array([_t_quantile(p, max(float(d), 0.3)) for d in independent - 1])
    return np.clip(wide / limit, 1.0, WIDEST)


def _unrest(z: Floats, means: Floats, p: float, limit: float) -> tuple[Floats, Floats, Floats]:
    """(normal half log variance within a window, its widened spread, variance below which it means nothing)."""
    window = len(z) - len(means) + 1
    variance = np.maximum(_moving_mean(z * z, window) - means**2, 0.0)
    quiet = 1e-3 * variance.mean(0) + 1e-12
    half_log = 0.5 * np.log(variance + quiet)
    middle, spread = half_log.mean(0), half_log.std(0)
    usable = spread > 1e-9
    standard = np.divide(half_log - middle, spread, out=np.zeros_like(half_log), where=usable)
    widened = spread * _widening(standard, window, p, limit)
    return middle, np.where(usable, np.maximum(widened, 1 / math.sqrt(2 * window)), np.inf), quiet


def _factors(means: Floats) -> tuple[Floats, Floats]:
    """(loadings, alone) of the covariance (1−`SHRINK`)·C + `SHRINK`·diag(C) of centred window means."""
    if len(means) > _ENOUGH:
        means = means[:: -(-len(means) // _ENOUGH)]
    variance = means.var(0)
    scaled = means * math.sqrt((1 - SHRINK) / len(means))
    singular, right = np.linalg.svd(scaled, full_matrices=False)[1:] if min(means.shape) <= 512 else _few_components(scaled)
    keep = singular > 1e-6 * singular[0]
    keep[COMPONENTS:] = False
    loadings = right[keep].T * singular[keep]
    left = (1 - SHRINK) * variance - np.einsum("ij,ij->i", loadings, loadings)
    return loadings, np.maximum(SHRINK * variance + np.maximum(left, 0.0), 1e-12)


def _few_components(scaled: Floats) -> tuple[Floats, Floats]:
    """Singular values and right vectors of the leading components of a large matrix, from the smaller of its two Gram matrices."""
    n, k = scaled.shape
    values, vectors = np.linalg.eigh(scaled @ scaled.T if n < k else scaled.T @ scaled)
    values, vectors = values[::-1][:COMPONENTS], vectors[:, ::-1][:, :COMPONENTS]
    singular = np.sqrt(np.maximum(values, 1e-300))
    right = (scaled.T @ vectors / singular).T if n < k else vectors.T
    return singular, right


def _longest_runs(rows: Floats) -> NDArray[np.int64]:
    """Per column, the longest run of one same value."""
    longest = np.ones(rows.shape[1], np.int64)
    for j in range(rows.shape[1]):
        changes = np.flatnonzero(np.diff(rows[:, j]) != 0)
        edges = np.concatenate([[-1], changes, [len(rows) - 1]])
        longest[j] = int(np.diff(edges).max())
    return longest


def _t_quantile(p: float, freedom: float) -> float:
    """Upper p-quantile of Student's t, by Wallace's approximation (Biometrika 46, 1959): within 2 % for 3 degrees of freedom or more."""
    z = -NormalDist().inv_cdf(p) * (8 * freedom + 3) / (8 * freedom + 1)
    return math.sqrt(freedom * math.expm1(min(z * z / freedom, 700.0)))
