"""Distributions behind the charts: beta, binomial, F, χ² and normal.

The incomplete beta function by its continued fraction (Lentz; Press et al., Numerical Recipes, 6.4).
"""

from __future__ import annotations

import math
from collections.abc import Callable


def beta_cdf(x: float, a: float, b: float) -> float:
    """Regularised incomplete beta function I_x(a, b)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(x, a, b) / a
    return 1 - front * _fraction(1 - x, b, a) / b


def _fraction(x: float, a: float, b: float) -> float:
    tiny = 1e-300
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1) or tiny)
    out = d
    for m in range(1, 1000):
        for part in (m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)), -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))):
            d = 1 / (1 + part * d or tiny)
            c = 1 + part / c or tiny
            out *= c * d
        if abs(c * d - 1) < 1e-14:
            break
    return out


def binomial_above(count: int, of: int, share: float) -> float:
    """P(X > count) of a binomial (of, share)."""
    if count < 0 or count >= of:
        return float(count < 0)
    return beta_cdf(share, count + 1, of - count)


def f_above(value: float, top: float, bottom: float) -> float:
    """P(F > value) of an F distribution with these degrees of freedom."""
    return 1 - beta_cdf(top * value / (top * value + bottom), top / 2, bottom / 2) if value > 0 else 1.0


def chi2_quantile(p: float, freedom: float) -> float:
    """Quantile of a χ² distribution (Wilson and Hilferty 1931: within 1 % for ten degrees of freedom or more)."""
    return freedom * (1 - 2 / (9 * freedom) + normal_quantile(p) * math.sqrt(2 / (9 * freedom))) ** 3


def normal_quantile(p: float) -> float:
    """Φ⁻¹."""
    return _invert(lambda x: 0.5 * math.erfc(-x / math.sqrt(2)), p, -9.0, 9.0)


def _invert(rises: Callable[[float], float], value: float, low: float = 0.0, high: float = 1.0) -> float:
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if rises(middle) < value else (low, middle)
    return (low + high) / 2
