"""Process capability Cp and Cpk (ISO 22514-2), with their confidence.

Where the values are normal (Anderson-Darling) the reference interval is ±3 s. Else it is that of a shifted power transform to normality
(Box and Cox 1964, by maximum likelihood), i.e. the percentiles 0.135 %, 50 % and 99.865 % of the fitted distribution: ISO 22514-2, general
method. Intervals are from a bootstrap (Efron) with a generator that is passed in; one limit alone gives Cpk alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from ronghe.apps.quality.charts.arl import normal_cdf
from ronghe.errors import AppError
from ronghe.text import Text

Floats = NDArray[np.float64]
LEAST: Final = 20
"""Values below which a capability means nothing."""
_POWERS: Final = np.linspace(-2, 2, 41)
_ROUNDS: Final = 400
_ZERO: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Capability:
    """`low` and `high` bound Cpk with the confidence asked for; `cp` is None where only one limit is given."""

    cp: float | None
    cpk: float
    low: float
    high: float
    method: Literal["normal", "percentile"]
    n: int
    centre: float
    spread: float  # width of the reference interval, 6 s where normal


def capability(
    values: Floats, lower: float | None, upper: float | None, rng: np.random.Generator, *, confidence: float = 0.95
) -> Capability:
    """Capability of float64 values against one or two limits. Raises AppError for too few or equal values, or no limit."""
    values = values[np.isfinite(values)]
    if len(values) < LEAST or not np.ptp(values) > 0:
        raise AppError(Text(f"a capability needs {LEAST} values that differ", f"计算能力指数至少需要 {LEAST} 个不全相同的值"))
    if lower is None and upper is None:
        raise AppError(Text("give a lower or an upper limit", "请给出规格下限或上限"))
    normal = anderson_darling(values) > 0.05
    reference = _Reference(values, np.array([1.0]) if normal else _POWERS)
    n = len(values)
    low, middle, high = reference.interval(np.ones(n))
    again = [_cpk(reference.interval(w), lower, upper) for w in rng.multinomial(n, np.full(n, 1 / n), size=_ROUNDS).astype(np.float64)]
    ends = np.quantile(again, [(1 - confidence) / 2, (1 + confidence) / 2])
    cp = (upper - lower) / (high - low) if lower is not None and upper is not None else None
    return Capability(
        cp,
        _cpk((low, middle, high), lower, upper),
        float(ends[0]),
        float(ends[1]),
        "normal" if normal else "percentile",
        n,
        middle,
        high - low,
    )


def _cpk(interval: tuple[float, float, float], lower: float | None, upper: float | None) -> float:
    low, middle, high = interval
    above = (upper - middle) / max(high - middle, 1e-300) if upper is not None else math.inf
    below = (middle - lower) / max(middle - low, 1e-300) if lower is not None else math.inf
    return min(above, below)


class _Reference:
    """Percentiles of the distribution fitted to weighted values: y = ((x − a)^p − 1) / p normal, p the likeliest of the powers given, a a
    twentieth of the range below all values. With the power 1 alone it is the normal distribution of the values themselves."""

    def __init__(self, values: Floats, powers: Floats) -> None:
        self._powers = powers
        self._start = float(values.min()) - 0.05 * float(np.ptp(values))
        self._logs = np.log(values - self._start)
        p = powers[:, None]
        y = np.where(np.abs(p) < _ZERO, self._logs, np.expm1(p * self._logs) / np.where(np.abs(p) < _ZERO, 1, p))
        self._shift = y.mean(axis=1)
        self._y = (y - self._shift[:, None]).T
        self._squares = self._y**2

    def interval(self, weights: Floats) -> tuple[float, float, float]:
        """The 0.135 %, 50 % and 99.865 % percentiles; `weights` float64[n] add up to n."""
        n = weights.sum()
        mean = weights @ self._y / n
        variance = np.maximum(weights @ self._squares / n - mean**2, 1e-300)
        likely = -0.5 * n * np.log(variance) + (self._powers - 1) * float(weights @ self._logs)
        best = int(likely.argmax())
        centre, s = float(mean[best] + self._shift[best]), math.sqrt(float(variance[best]) * n / (n - 1))
        low, middle, high = (self._back(centre + k * s, float(self._powers[best])) for k in (-3, 0, 3))
        return low, middle, high

    def _back(self, y: float, power: float) -> float:
        if power == 1.0:
            return self._start + 1 + y
        if abs(power) < _ZERO:
            return self._start + math.exp(y)
        return self._start + max(power * y + 1, 1e-12) ** (1 / power)


def anderson_darling(values: Floats) -> float:
    """p of normality with mean and variance estimated (D'Agostino and Stephens 1986, table 4.9)."""
    n = len(values)
    z = np.sort((values - values.mean()) / values.std(ddof=1))
    below = np.clip(normal_cdf(z), 1e-300, 1 - 1e-16)
    i = np.arange(1, n + 1)
    a = -n - float(((2 * i - 1) * (np.log(below) + np.log1p(-below[::-1]))).sum()) / n
    a *= 1 + 0.75 / n + 2.25 / n**2
    if a >= 0.6:
        return math.exp(min(1.2937 - 5.709 * a + 0.0186 * a * a, 0)) if a < 13 else 0.0
    if a >= 0.34:
        return math.exp(0.9177 - 4.279 * a - 1.38 * a * a)
    if a >= 0.2:
        return 1 - math.exp(-8.318 + 42.796 * a - 59.938 * a * a)
    return 1 - math.exp(-13.436 + 101.14 * a - 223.73 * a * a)
