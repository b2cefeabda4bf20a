"""Average run length: after how many points a control chart gives a false alarm, by a Markov chain.

Brook and Evans, "An approach to the probability distribution of CUSUM run length", Biometrika 59 (1972), for the CUSUM; Lucas and Saccucci,
"Exponentially weighted moving average control schemes", Technometrics 32 (1990), for the EWMA. Observations are independent standard
normal, shifted by `shift` standard deviations.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

_STATES = 121
_AT = np.linspace(-9, 9, 18_001)
_PHI = np.array([0.5 * math.erfc(-v / math.sqrt(2)) for v in _AT])


def normal_cdf(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Φ, element by element, within 1e-7; in the tails within a part in 10⁵."""
    return np.asarray(np.interp(x, _AT, _PHI))


def ewma_arl(weight: float, limit: float, shift: float = 0.0) -> float:
    """ARL of a two-sided EWMA with this weight λ and limits ±`limit` of its own standard deviations, started at the centre."""
    end = limit * math.sqrt(weight / (2 - weight))
    edges = np.linspace(-end, end, _STATES + 1)
    middle = (edges[:-1] + edges[1:]) / 2
    reach = normal_cdf((edges[None, :] - (1 - weight) * middle[:, None]) / weight - shift)
    return float(_lengths(np.diff(reach, axis=1))[_STATES // 2])


def cusum_arl(slack: float, limit: float, shift: float = 0.0) -> float:
    """ARL of a two-sided CUSUM with slack k and limit h, in standard deviations: 1/ARL = 1/ARL⁺ + 1/ARL⁻ (van Dobben de Bruyn)."""
    up, down = (_one_sided(slack, limit, s) for s in (shift, -shift))
    return 1 / (1 / up + 1 / down)


def _one_sided(slack: float, limit: float, shift: float) -> float:
    n = _STATES
    width = 2 * limit / (2 * n - 1)
    at = width * np.arange(n)
    reach = normal_cdf(at[None, :] + width / 2 - at[:, None] + slack - shift)
    chance = np.diff(reach, axis=1, prepend=0.0)  # to the state 0 all that would be below it
    return float(_lengths(chance)[0])


def _lengths(chance: NDArray[np.float64]) -> NDArray[np.float64]:
    """Steps until the chain leaves, from each state, given the chances float64 (n, n) of staying."""
    n = len(chance)
    return np.asarray(np.linalg.solve(np.eye(n) - chance, np.ones(n)))


@functools.cache
def ewma_limit(weight: float, arl: float) -> float:
    """The limit L of an EWMA whose false alarms come once in `arl` points."""
    return _solve(lambda limit: ewma_arl(weight, limit), arl, 6.0)


@functools.cache
def cusum_limit(slack: float, arl: float) -> float:
    """The limit h of a two-sided CUSUM whose false alarms come once in `arl` points."""
    return _solve(lambda limit: cusum_arl(slack, limit), arl, 12.0)


def _solve(length: Callable[[float], float], arl: float, high: float) -> float:
    """By false position on the logarithm of the length, which grows with the limit (Illinois variant, Dowell and Jarratt 1971)."""
    low, wanted = 0.1, math.log(arl)
    below, above = math.log(length(low)) - wanted, math.log(length(high)) - wanted
    for _ in range(60):
        at = high - above * (high - low) / (above - below)
        off = math.log(length(at)) - wanted
        if abs(off) < 1e-4:
            return at
        if off * above < 0:
            low, below = high, above
        else:
            below /= 2
        high, above = at, off
    return high
