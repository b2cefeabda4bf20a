"""Rolling-origin back-tests of every method against seasonal naive, and intervals whose coverage is measured.

The series is cut in three. Settings are learnt on the first half; on the third quarter the method is chosen and its errors are collected;
on the last quarter everything that is reported is measured: nothing in it was used before.
Measures: WAPE; MASE (Hyndman & Koehler 2006); RMSSE (M5, Makridakis et al. 2022); bias as a part of demand. Intervals: split conformal
on signed errors of each step ahead (Vovk et al. 2005), so they need no distribution.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np

from ronghe.apps.inventory.distributions import Floats
from ronghe.apps.inventory.forecast.classify import Pattern, classify
from ronghe.apps.inventory.forecast.methods import BY_NAME, METHODS, NAIVE

LEAST = 16  # periods, fewer cannot be cut in three


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """Of one method on the last quarter. None where there is nothing to divide by (no demand, a constant series)."""

    method: str
    wape: float | None
    mase: float | None
    rmsse: float | None
    bias: float | None  # (forecast − demand)/demand: above 0 it promised too much
    coverage: float | None  # part of the demands inside the interval
    width: float  # of the interval, on average


class Tested(msgspec.Struct, frozen=True, kw_only=True):
    """One series. `errors` (demand − forecast, one step) and `low`/`high` (per step ahead) are of the chosen method."""

    pattern: Pattern
    chosen: str  # least squared error on the third quarter
    scores: tuple[Score, ...]
    forecasts: int  # that each score was measured on
    level: float  # of the interval
    errors: tuple[float, ...]
    recent: tuple[float, ...]  # the same on the last quarter
    low: tuple[float, ...]
    high: tuple[float, ...]


def backtest(y: Floats, *, horizon: int, season: int, level: float = 0.9) -> Tested:
    """Every method over `horizon` periods ahead. `y` at least LEAST periods, none below zero. Raises ValueError for fewer."""
    n = len(y)
    if n < LEAST:
        raise ValueError(f"a back-test needs {LEAST} periods, there are {n}")
    horizon = min(horizon, n // 8)
    half, cut = n // 2, n - n // 4
    scale_abs, scale_sq = _scales(y[:half], season)
    scores, squares = [], {}
    bands: dict[str, tuple[Floats, Floats, Floats, Floats]] = {}
    for method in METHODS:
        ahead = method.ahead(y, season, method.learn(y[:half], season), horizon)
        before, seen = _errors(y, ahead, half, cut)
        after, actual = _errors(y, ahead, cut, n)
        low, high = _band(before, seen, level)
        squares[method.name] = float(np.nanmean(before**2))
        bands[method.name] = low, high, y[half:cut] - ahead[half:cut, 0], y[cut:] - ahead[cut:n, 0]
        shown = np.maximum(actual - after, 0.0)
        lower, upper = np.maximum(shown + low, 0.0), np.maximum(shown + high, 0.0)
        total = float(actual.sum())
        scores.append(
            Score(
                method=method.name,
                wape=float(np.abs(after).sum()) / total if total else None,
                mase=float(np.abs(after).mean()) / scale_abs if scale_abs else None,
                rmsse=math.sqrt(float((after**2).mean()) / scale_sq) if scale_sq else None,
                bias=-float(after.sum()) / total if total else None,
                coverage=float(((actual >= lower - 1e-9) & (actual <= upper + 1e-9)).mean()),
                width=float((upper - lower).mean()),
            )
        )
    chosen = min(squares, key=lambda m: (squares[m], m != NAIVE.name))
    low, high, errors, recent = bands[chosen]
    return Tested(
        pattern=classify(y),
        chosen=chosen,
        scores=tuple(scores),
        forecasts=(n - cut - horizon + 1) * horizon,
        level=level,
        errors=tuple(errors.tolist()),
        recent=tuple(recent.tolist()),
        low=tuple(low.tolist()),
        high=tuple(high.tolist()),
    )


def predict(y: Floats, tested: Tested, *, horizon: int, season: int) -> tuple[Floats, Floats, Floats]:
    """(mean, low, high), each float64[horizon], by the chosen method with settings learnt on all; the interval of the last step tested
    serves for those beyond."""
    mean = BY_NAME[tested.chosen].forecast(y, season, horizon)
    step = np.minimum(np.arange(horizon), len(tested.low) - 1)
    low = np.maximum(mean + np.array(tested.low)[step], 0.0)
    return mean, low, np.maximum(mean + np.array(tested.high)[step], 0.0)


def _scales(y: Floats, season: int) -> tuple[float, float]:
    """What errors are measured in: mean |difference| to a season before, mean squared difference to the period before."""
    m = season if 1 <= season < len(y) else 1
    return float(np.abs(y[m:] - y[:-m]).mean()), float((np.diff(y) ** 2).mean())


def _errors(y: Floats, ahead: Floats, start: int, end: int) -> tuple[Floats, Floats]:
    """(demand − forecast, demand) for every origin whose whole horizon lies in start … end: float64[origins, horizon] each."""
    horizon = ahead.shape[1]
    origins = np.arange(start, end - horizon + 1)
    actual = y[origins[:, None] + np.arange(horizon)[None, :]]
    return actual - ahead[origins], actual


def _band(errors: Floats, demand: Floats, level: float) -> tuple[Floats, Floats]:
    """For each step the errors that enclose `level` of what is to come, with the correction for their small number.

    Where so many demands are zero that zero belongs into the interval, its lower end is zero, wherever the forecast stands.
    """
    n = len(errors)
    ordered = np.sort(errors, axis=0)
    k = math.ceil((n + 1) * (1 + level) / 2)  # rank of the upper end; beyond n, the largest seen is the best there is
    never = -2 * (float(demand.max(initial=0.0)) + float(np.abs(errors).max(initial=0.0)))
    low = np.where((demand == 0).mean(axis=0) >= (1 - level) / 2, never, ordered[max(0, n - k)])
    return np.asarray(low, np.float64), ordered[min(n, k) - 1]
