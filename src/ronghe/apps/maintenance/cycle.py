"""The load cycle of a machine that repeats itself: found by autocorrelation. A window of whole cycles cancels their shape."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_STRONG = 0.6  # autocorrelation at the cycle's length, and of what it must fall below on the way there
_DIP = 0.2
_CYCLES = 5


def load_cycle(rows: NDArray[np.float64], *, shortest: int = 4) -> int:
    """Rows in the smallest whole number of cycles that is not under `shortest`; 0 where nothing repeats. rows: float64[n, k], NaN allowed.

    Windows of that length must fit in `_CYCLES` times at least. The property that repeats best decides.
    """
    n = len(rows)
    at = np.arange(n)
    best, cycle = _STRONG, 0
    for j in range(rows.shape[1]):
        column = rows[:, j]
        good = np.isfinite(column)
        if good.sum() < n / 2:
            continue
        column = np.interp(at, at[good], column[good])
        found, strength = _period(column)
        if strength > best:
            best, cycle = strength, found
    rows_in = cycle * -(-shortest // cycle) if cycle else 0
    return rows_in if rows_in * _CYCLES <= n else 0


def _period(column: NDArray[np.float64]) -> tuple[int, float]:
    """(rows of a period, autocorrelation there); (0, 0.0) where there is none."""
    n = len(column)
    line = np.linspace(-1.0, 1.0, n)
    x = column - column.mean()
    x = x - line * (x @ line) / (line @ line)
    energy = float(x @ x)
    if energy <= 1e-12 * max(float(column @ column), 1e-300):
        return 0, 0.0
    spectrum = np.fft.rfft(x, 2 * n)
    longest = n // _CYCLES
    lags = np.arange(2 * longest + 2)
    correlation = np.fft.irfft(spectrum * spectrum.conj())[: len(lags)] / energy * n / (n - lags)
    dips = np.flatnonzero(correlation < _DIP)
    if not len(dips) or dips[0] > longest:
        return 0, 0.0
    inside = correlation[dips[0] : longest + 2]
    top = float(inside.max())
    if top <= 0:
        return 0, 0.0
    high = np.flatnonzero(inside >= 0.8 * top)  # the first hump: of a cycle and its multiples, the cycle
    first_gap = np.flatnonzero(np.diff(high) > 1)
    hump = high[: first_gap[0] + 1] if len(first_gap) else high
    peak = int(hump[inside[hump].argmax()])
    if peak + 1 >= len(inside):
        return 0, 0.0
    period = int(dips[0]) + peak
    return period, float(min(correlation[period], correlation[2 * period]))  # what wanders may come back once, not twice
