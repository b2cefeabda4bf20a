"""The loops over time that forecasts are made of. Each gives `ahead[t, k]`: what was expected, after periods 0 … t − 1, of period t + k.

Row t uses nothing later than period t − 1, so that one pass is a whole rolling-origin back-test.
"""

from __future__ import annotations

import numpy as np

from ronghe.apps.inventory.compiled import kernel
from ronghe.apps.inventory.distributions import Floats


@kernel
def smooth(y: Floats, season: int, alpha: float, beta: float, gamma: float, phi: float, horizon: int) -> Floats:
    """Exponential smoothing with an additive damped trend and additive season; beta = 0: no trend; season < 2: no season.

    Holt (1957), Winters (1960), Gardner & McKenzie (1985), in error-correction form. Starts on the first two seasons.
    """
    n = len(y)
    m = season if season > 1 else 1
    s = np.zeros(m)
    ahead = np.full((n + 1, horizon), np.nan)
    first = min(m, n)
    level = y[:first].mean() if m > 1 else y[0]
    trend = 0.0
    if beta > 0 and n >= 2 * m and m > 1:
        trend = (y[m : 2 * m].mean() - y[:m].mean()) / m
    elif beta > 0 and n > 3 and m == 1:
        trend = (y[3] - y[0]) / 3
    if m > 1:
        for i in range(first):
            s[i] = y[i] - level
        level -= trend * (m - 1) / 2
    for t in range(n + 1):
        damp, part = 0.0, 1.0
        for k in range(horizon):
            part *= phi
            damp += part
            ahead[t, k] = level + damp * trend + (s[(t + k) % m] if m > 1 else 0.0)
        if t == n:
            break
        error = y[t] - (level + phi * trend + (s[t % m] if m > 1 else 0.0))
        level += phi * trend + alpha * error
        trend = phi * trend + alpha * beta * error
        if m > 1:
            s[t % m] += gamma * (1 - alpha) * error
    return ahead


@kernel
def theta(y: Floats, alpha: float, horizon: int) -> Floats:
    """Theta with lines 0 and 2: simple smoothing with half the slope of the linear trend as drift.

    Assimakopoulos & Nikolopoulos (2000), in the form of Hyndman & Billah (2003).
    """
    n = len(y)
    ahead = np.full((n + 1, horizon), np.nan)
    level = y[0]
    sy, sty = 0.0, 0.0  # sums of y and t·y
    for t in range(n + 1):
        slope = 0.0
        if t > 2:
            mean = (t - 1) / 2
            slope = (sty - mean * sy) / (t * (t * t - 1.0) / 12)
        base = (1 - (1 - alpha) ** t) / alpha
        for k in range(horizon):
            ahead[t, k] = level + slope / 2 * (k + base)
        if t == n:
            break
        sy += y[t]
        sty += t * y[t]
        level += alpha * (y[t] - level)
    return ahead


@kernel
def intermittent(y: Floats, alpha: float, beta: float, kind: int, horizon: int) -> Floats:
    """Rates of demand that is often zero. kind 0: Croston (1972); 1: SBA, Syntetos & Boylan (2005); 2: TSB, Teunter et al. (2011).

    alpha smooths the size; beta smooths the interval (0, 1) or the chance of a demand (2).
    """
    n = len(y)
    ahead = np.zeros((n + 1, horizon))
    size, interval, chance = 0.0, 1.0, 0.0
    since, begun = 1.0, False
    for t in range(n + 1):
        if begun and kind == 2:
            rate = chance * size
        elif begun:
            rate = size / interval * ((1 - beta / 2) if kind == 1 else 1.0)
        else:
            rate = 0.0
        for k in range(horizon):
            ahead[t, k] = rate
        if t == n:
            break
        if y[t] > 0:
            if begun:
                size += alpha * (y[t] - size)
                interval += beta * (since - interval)
                chance += beta * (1 - chance)
            else:
                size, interval, chance, begun = y[t], since, 1 / since, True
            since = 1.0
        else:
            since += 1.0
            chance -= beta * chance
    return ahead


@kernel
def squared(y: Floats, ahead: Floats, skip: int) -> float:
    """Mean squared one-step error after the first `skip` periods."""
    total = 0.0
    for t in range(skip, len(y)):
        e = y[t] - ahead[t, 0]
        total += e * e
    return total / max(1, len(y) - skip)
