"""A dynamic linear model of log silicon, filtered: two levels that return to the mean, a regression whose coefficients drift, and noise.

    log(silicon / centre) = level_1 + level_2 + features · coefficients + noise

The levels are Ornstein-Uhlenbeck processes whose clock runs with time and with the count of heats: assays come in batches, so that
neighbours in order are more alike than their times say. The filter is Kalman's (M. West, J. Harrison, Bayesian Forecasting and Dynamic
Models, 2nd ed., Springer, 1997); times need no grid, a gap only widens the forecast.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Dynamics(msgspec.Struct, frozen=True, kw_only=True):
    """Variances are parts of the variance of log silicon in the training rows; `hours` and `heats` are the clocks of the two levels."""

    hours: tuple[float, float] = (1.5, 12.0)
    heats: tuple[float, float] = (4.0, 200.0)
    levels: tuple[float, float] = (0.34, 0.34)
    noise: float = 0.19
    coefficient: float = 0.0026  # before training, each
    drift: float = 9e-7  # of a coefficient, an hour


@dataclass(slots=True)
class Filter:
    """The state after the last assay learned. `mean` float64[2 + d], `cov` float64[2 + d, 2 + d]; variances are in log units."""

    dynamics: Dynamics
    variance: float  # of log silicon
    mean: Floats
    cov: Floats
    _clock: Floats = field(init=False)
    _levels: Floats = field(init=False)

    def __post_init__(self) -> None:
        self._clock = np.array([self.dynamics.hours, self.dynamics.heats])
        self._levels = self.variance * np.array(self.dynamics.levels)

    @classmethod
    def new(cls, dynamics: Dynamics, variance: float, d: int) -> Filter:
        """Before anything was learned."""
        prior = variance * np.array([*dynamics.levels, *([dynamics.coefficient] * d)])
        return cls(dynamics, variance, np.zeros(2 + d), np.diag(prior))

    def copy(self) -> Filter:
        """One of its own."""
        return Filter(self.dynamics, self.variance, self.mean.copy(), self.cov.copy())

    def freeze(self) -> None:
        """The coefficients are taken as known: only the levels still follow the assays."""
        self.cov[2:, :] = 0.0
        self.cov[:, 2:] = 0.0
        self.dynamics = msgspec.structs.replace(self.dynamics, drift=0.0)

    def forecast(self, hours: float, heats: float, x: Floats) -> tuple[float, float]:
        """Mean and variance of log(silicon / centre) so many hours and heats after the last assay learned; `x` float64[d]."""
        keep = self._keep(hours, heats)
        b = self.mean[2:]
        level = (keep[:, None] * self.cov[:2, :2] * keep).sum() + (self._levels * (1 - keep**2)).sum()
        cross = keep @ self.cov[:2, 2:] @ x
        spread = x @ self.cov[2:, 2:] @ x
        return float(keep @ self.mean[:2] + b @ x), float(level + 2 * cross + spread + self.dynamics.noise * self.variance)

    def learn(self, hours: float, heats: float, x: Floats, value: float) -> None:
        """Takes an assay, log(silicon / centre), so many hours and heats after the one before."""
        keep = self._keep(hours, heats)
        self.mean[:2] *= keep
        self.cov[:2] *= keep[:, None]
        self.cov[:, :2] *= keep
        self.cov[(0, 1), (0, 1)] += self._levels * (1 - keep**2)
        if self.dynamics.drift:
            at = np.arange(2, len(self.mean))
            most = self.variance * self.dynamics.coefficient  # a long stop must not make the coefficients less known than before training
            grown = self.cov[at, at] + self.variance * self.dynamics.drift * hours
            self.cov[at, at] = np.maximum(np.minimum(grown, most), self.cov[at, at])
        h = np.concatenate([(1.0, 1.0), x])
        toward = self.cov @ h
        total = float(h @ toward) + self.dynamics.noise * self.variance
        self.mean += toward * ((value - float(h @ self.mean)) / total)
        self.cov -= np.outer(toward, toward / total)

    def _keep(self, hours: float, heats: float) -> Floats:
        kept: Floats = np.exp(-hours / self._clock[0] - heats / self._clock[1])
        return kept
