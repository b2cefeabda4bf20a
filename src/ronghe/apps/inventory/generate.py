"""Demand that is made up, of every kind that stores know; the same seed gives the same demand. No real data comes with Ronghe.

| kind    | a period's demand                                                                          |
|---------|--------------------------------------------------------------------------------------------|
| smooth  | normal, mean 100, sd 20, none below zero                                                   |
| weekly  | smooth, 30 % more and less over seven periods, and a trend of 10 % a year                  |
| erratic | gamma, mean 40, squared coefficient of variation 1                                         |
| poisson | Poisson, mean 3                                                                            |
| slow    | Poisson, mean 0.3                                                                          |
| lumpy   | with chance 0.2 a log-normal number of units (median 12, sigma 0.9), rounded up; else none |
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from ronghe.apps.inventory.distributions import Floats


def _smooth(n: int, rng: np.random.Generator) -> Floats:
    return np.maximum(rng.normal(100, 20, n), 0.0)


def _weekly(n: int, rng: np.random.Generator) -> Floats:
    t = np.arange(n)
    mean = (100 + 10 * t / 365) * (1 + 0.3 * np.sin(2 * np.pi * t / 7))
    return np.maximum(rng.normal(mean, 12), 0.0)


def _lumpy(n: int, rng: np.random.Generator) -> Floats:
    return np.where(rng.random(n) < 0.2, np.ceil(rng.lognormal(np.log(12), 0.9, n)), 0.0)


KINDS: Final[dict[str, Callable[[int, np.random.Generator], Floats]]] = {
    "smooth": _smooth,
    "weekly": _weekly,
    "erratic": lambda n, rng: rng.gamma(1.0, 40.0, n),
    "poisson": lambda n, rng: rng.poisson(3.0, n).astype(np.float64),
    "slow": lambda n, rng: rng.poisson(0.3, n).astype(np.float64),
    "lumpy": _lumpy,
}
WHOLE: Final = frozenset({"poisson", "slow", "lumpy"})
STATIONARY: Final = ("smooth", "erratic", "poisson", "slow", "lumpy")
