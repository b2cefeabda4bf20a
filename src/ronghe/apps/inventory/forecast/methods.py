"""The forecasting methods, behind one shape: settings are learnt on a first part, forecasts made from every period on.

No gradient boosting: see docs/inventory.md for what was measured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from ronghe.apps.inventory.distributions import Floats
from ronghe.apps.inventory.forecast import loops

Settings = tuple[float, ...]


class Method:
    """One method. `learn(y, season)` gives its settings; `ahead(y, season, settings, horizon)` float64[n + 1, horizon] as in `loops`."""

    def __init__(self, name: str, learn: Callable[[Floats, int], Settings], ahead: Callable[[Floats, int, Settings, int], Floats]) -> None:
        self.name, self.learn, self._ahead = name, learn, ahead

    def ahead(self, y: Floats, season: int, settings: Settings, horizon: int) -> Floats:
        """Forecasts from every period; no demand is below zero."""
        return np.maximum(self._ahead(y, season, settings, horizon), 0.0)

    def forecast(self, y: Floats, season: int, horizon: int) -> Floats:
        """float64[horizon], settings learnt on all of `y`."""
        out: Floats = self.ahead(y, season, self.learn(y, season), horizon)[len(y)]
        return out


def _search(loss: Callable[[Settings], float], start: Sequence[float], step: float = 0.2, least: float = 0.02) -> Settings:
    """Pattern search in [0.01, 0.99] (Hooke & Jeeves 1961): deterministic, and good enough for at most four settings."""
    best = tuple(start)
    value = loss(best)
    while step >= least:
        better = False
        for i in range(len(best)):
            for change in (step, -step):
                tried = (*best[:i], min(0.99, max(0.01, best[i] + change)), *best[i + 1 :])
                new = loss(tried)
                if new < value * (1 - 1e-9):
                    best, value, better = tried, new, True
                    break
        if not better:
            step /= 2
    return best


def _skip(y: Floats, season: int) -> int:
    return min(len(y) // 2, max(season, 3))


def _naive(y: Floats, season: int, _: Settings, horizon: int) -> Floats:
    n, m = len(y), max(season, 1)
    out = np.zeros((n + 1, horizon))
    out[1:] = y[:, None]  # the last value, until the first season is over
    for k in range(horizon):
        back = m * (k // m + 1) - k  # how long ago the same place in the season was last seen
        if back <= n:
            out[back:, k] = y[: n + 1 - back]
    return out


def _ses(y: Floats, season: int, s: Settings, horizon: int) -> Floats:
    return loops.smooth(y, 0, s[0], 0.0, 0.0, 1.0, horizon)


def _learn_ses(y: Floats, season: int) -> Settings:
    return _search(lambda s: loops.squared(y, _ses(y, 0, s, 1), _skip(y, 1)), (0.2,))


def _holt_winters(y: Floats, season: int, s: Settings, horizon: int) -> Floats:
    return loops.smooth(y, season, s[0], s[1], s[2] if len(s) > 3 else 0.0, 0.8 + 0.198 * s[-1], horizon)


def _learn_holt_winters(y: Floats, season: int) -> Settings:
    start = (0.2, 0.05, 0.1, 0.5) if season > 1 and len(y) >= 2 * season else (0.2, 0.05, 0.5)
    used = season if len(start) > 3 else 0
    return _search(lambda s: loops.squared(y, _holt_winters(y, used, s, 1), _skip(y, season)), start)


def _holt_winters_ahead(y: Floats, season: int, s: Settings, horizon: int) -> Floats:
    return _holt_winters(y, season if len(s) > 3 else 0, s, horizon)


def _season(y: Floats, season: int) -> Floats:
    """Additive indices (sum 0) where the autocorrelation at the season is significant at 90 %, else zeros: Fiorucci et al. (2016)."""
    m = max(season, 1)
    n = len(y)
    if m < 2 or n < 2 * m + 2 or np.ptp(y) == 0:
        return np.zeros(m)
    centred = y - y.mean()
    r = np.array([centred[k:] @ centred[: n - k] for k in range(m + 1)]) / (centred @ centred)
    if r[m] <= 1.645 * np.sqrt((1 + 2 * float(np.sum(r[1:m] ** 2))) / n):
        return np.zeros(m)
    kernel = np.full(m, 1 / m) if m % 2 else np.concatenate([[0.5], np.ones(m - 1), [0.5]]) / m
    trend = np.convolve(y, kernel, "valid")
    half = (len(kernel) - 1) // 2
    rest = y[half : half + len(trend)] - trend
    place = (half + np.arange(len(rest))) % m
    index = np.bincount(place, rest, m) / np.maximum(np.bincount(place, minlength=m), 1)
    return np.asarray(index - index.mean(), np.float64)


def _learn_theta(y: Floats, season: int) -> Settings:
    index = _season(y, season)
    plain = y - np.resize(index, len(y))
    alpha = _search(lambda s: loops.squared(plain, loops.theta(plain, s[0], 1), _skip(y, 1)), (0.3,))
    return (*alpha, *index)


def _theta(y: Floats, season: int, s: Settings, horizon: int) -> Floats:
    index = np.array(s[1:])
    m = len(index)
    plain = loops.theta(y - np.resize(index, len(y)), s[0], horizon)
    place = (np.arange(len(y) + 1)[:, None] + np.arange(horizon)[None, :]) % m
    return np.asarray(plain + index[place], np.float64)


def _intermittent(name: str, kind: int) -> Method:
    def ahead(y: Floats, season: int, s: Settings, horizon: int) -> Floats:
        return loops.intermittent(y, s[0], s[1], kind, horizon)

    def learn(y: Floats, season: int) -> Settings:
        # the squared error of a rate has many shallow valleys: a few usual settings, as Petropoulos & Kourentzes (2015) advise
        choices = [(a, b) for a in (0.05, 0.1, 0.2, 0.3) for b in ((0.02, 0.05, 0.1, 0.2) if kind == 2 else (0.05, 0.1, 0.2, 0.3))]
        return min(choices, key=lambda s: loops.squared(y, ahead(y, season, s, 1), _skip(y, 1)))

    return Method(name, learn, ahead)


NAIVE: Final = Method("seasonal_naive", lambda y, season: (), _naive)
METHODS: Final = (
    NAIVE,
    Method("ses", _learn_ses, _ses),
    Method("holt_winters", _learn_holt_winters, _holt_winters_ahead),
    Method("theta", _learn_theta, _theta),
    _intermittent("croston", 0),
    _intermittent("sba", 1),
    _intermittent("tsb", 2),
)
BY_NAME: Final = {m.name: m for m in METHODS}
