"""Plants of which everything is known: energy from production, temperature and autocorrelated noise."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from ronghe.apps.energy.account.periods import DAY, Calendar, Table

FIRST = 1_577_836_800 * 10**9 // DAY * DAY  # 2020-01-01


def noise(rng: np.random.Generator, n: int, phi: float, sd: float) -> NDArray[np.float64]:
    """An AR(1) series of stated standard deviation."""
    e = rng.normal(size=n + 200) * sd * math.sqrt(1 - phi**2)
    x = np.zeros(n + 200)
    for i in range(1, n + 200):
        x[i] = phi * x[i - 1] + e[i]
    return x[200:]


def days(energy: NDArray[np.float64], **drivers: NDArray[np.float64]) -> Table:
    """A table of days."""
    n = len(energy)
    return Table(Calendar("1d"), FIRST + DAY * np.arange(n), energy, np.where(np.isfinite(energy), 1.0, 0.0), drivers, {})


@pytest.fixture
def works() -> Callable[..., Table]:
    """1000 kWh a day and 5 a piece, the pieces seasonal, with a saving from day `since` on."""

    def made(seed: int, n: int, phi: float = 0.5, saved: float = 0.0, since: int = 0) -> Table:
        rng = np.random.default_rng(seed)
        pieces = 100 + 40 * np.sin(np.arange(n) * 2 * np.pi / 365) + noise(rng, n, 0.8, 10)
        return days(1000 + 5 * pieces + noise(rng, n, phi, 60) - saved * (np.arange(n) >= since), pieces=pieces)

    return made
