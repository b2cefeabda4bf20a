"""Process capability Cp and Cpk (ISO 22514-2), with their confidence.

Where the values are normal (Anderson-Darling) the reference interval is ±3 s. Else it is that of a shifted power transform to normality
(Box and Cox 1964, by maximum likelihood), i.e. the percentiles 0.135 %, 50 % and 99.865 % of the fitted distribution: ISO 22514-2, general
method. Intervals are from a bootstrap (Efron) with a generator that is passed in; one limit alone gives Cpk alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from ronghe.apps.quality.arl import normal_cdf
from ronghe.errors import AppError
from ronghe.text import Text

Floats = NDArray[np.float64]
LEAST: Final = 20
"""Values below which a capability means nothing."""
_POWERS: Final = np.linspace(-2, 2, 41)
_ROUNDS: Final = 400


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
    interval: Callable[[Floats], tuple[float, float, float]] = _three_sigma if normal else _power
    low, middle, high = interval(values)
    again = [_cpk(interval(rng.choice(values, len(values))), lower, upper) for _ in range(_ROUNDS)]
    ends = np.quantile(again, [(1 - confidence) / 2, (1 + confidence) / 2])
    cp = (upper - lower) / (high - low) if lower is not None and upper is not None else None
    return Capability(
        cp,
        _cpk((low, middle, high), lower, upper),
        float(ends[0]),
        float(ends[1]),
        "normal" if normal else "percentile",
        len(values),
        middle,
        high - low,
    )


def _cpk(interval: tuple[float, float, float], lower: float | None, upper: float | None) -> float:
    low, middle, high = interval
    above = (upper - middle) / max(high - middle, 1e-300) if upper is not None else math.inf
    below = (middle - lower) / max(middle - low, 1e-300) if lower is not None else math.inf
    return min(above, below)


def _three_sigma(values: Floats) -> tuple[float, float, float]:
    mean, s = float(values.mean()), float(values.std(ddof=1))
    return mean - 3 * s, mean, mean + 3 * s


def _power(values: Floats) -> tuple[float, float, float]:
    """Percentiles of the fitted distribution: y = ((x − a)^p − 1) / p normal, a below all values by a twentieth of their range."""
    start = float(values.min()) - 0.05 * max(float(np.ptp(values)), 1e-12)
    x = values - start
    logs = np.log(x)
    y = np.where(np.abs(_POWERS[:, None]) < 1e-9, logs, np.expm1(_POWERS[:, None] * logs) / np.where(_POWERS == 0, 1, _POWERS)[:, None])
    likely = -0.5 * len(x) * np.log(y.var(axis=1)) + (_POWERS - 1) * logs.sum()
    best = int(likely.argmax())
    p, mean, s = float(_POWERS[best]), float(y[best].mean()), float(y[best].std(ddof=1))

    def back(at: float) -> float:
        if abs(p) < 1e-9:
            return start + math.exp(at)
        return start + max(p * at + 1, 1e-12) ** (1 / p)

    return back(mean - 3 * s), back(mean), back(mean + 3 * s)


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
