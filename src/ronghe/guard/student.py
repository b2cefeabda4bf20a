"""Quantiles of Student's t distribution, without SciPy."""

from __future__ import annotations

import math


def t_quantile(p: float, freedom: float) -> float:
    """The p-quantile (0.5 <= p < 1) of Student's t with `freedom` > 0 degrees: bisection of the distribution function, to 1e-10."""
    low, high = 0.0, 1.0
    while t_cdf(high, freedom) < p:
        low, high = high, high * 2
    while high - low > 1e-10 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if t_cdf(middle, freedom) < p else (low, middle)
    return (low + high) / 2


def t_cdf(t: float, freedom: float) -> float:
    """Pr(T <= t) for t >= 0: 1 − ½ I_x(ν/2, ½) with x = ν/(ν + t²) (Abramowitz and Stegun, 26.7.1)."""
    return 1 - 0.5 * _beta(freedom / (freedom + t * t), freedom / 2, 0.5)


def _beta(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b), by its continued fraction (DLMF 8.17.22), evaluated after Lentz."""
    if x >= 1.0:
        return 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta(1 - x, b, a)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)) / a
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1))
    f = d
    for m in range(1, 300):
        for term in (m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)), -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))):
            d, c = 1 / (1 + term * d), 1 + term / c
            f *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return front * f
