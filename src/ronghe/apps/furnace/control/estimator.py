"""What is known of the process now: an extended Kalman filter over states, parameters and unknown rates (Jazwinski, 1970, ch. 8).

Parameters that the data say nothing about keep the covariance they began with, and never more (against windup); a rate of every measured
state, a random walk, takes up what no parameter explains, so that predictions have no lasting error (Pannocchia and Rawlings, 2003).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from ronghe.apps.furnace.control.symbolic import Floats, Sampled

_SURPRISED: Final = 3.5  # deviations of a measurement from its prediction: then something has happened to the process

_NEW: Final = 0.01  # what its rate may then have become, spans an interval
_FAR: Final = 3.0  # spreads


@dataclass(frozen=True, slots=True)
class Walk:
    """Standard deviations of what changes by itself in one interval, in spans or as a part: states, parameters, unknown rates."""

    state: float = 0.002
    parameter: float = 0.0005
    rate: float = 0.0003


class Estimator:
    """One process watched. `x`, `theta`, `d` and `cov` (of all three) are what is known after the newest `update`."""

    def __init__(self, sampled: Sampled, p: Floats, walk: Walk, *, learn: bool = True) -> None:
        self._sampled, self._p = sampled, p
        process = sampled.process
        nx, nt, nd = len(process.states), len(sampled.learned), len(sampled.measured)
        self._nx, self._nt = nx, nt
        spread = np.array([process.parameters[i].spread for i in sampled.learned]) * float(learn)
        spans, self._spreads = sampled.span, spread
        # The spread is taken as a deviation: three of them then hold every corner of the box of up to nine parameters.
        self._prior = np.concatenate([(0.2 * spans) ** 2, spread**2, np.full(nd, 0.02**2)])
        self._walk = np.concatenate([(walk.state * spans) ** 2, np.full(nt, float(learn) * walk.parameter**2), np.full(nd, walk.rate**2)])
        noise = np.array([process.states[i].noise or 0.0 for i in sampled.measured])
        self._noise = np.maximum(noise, 1e-4 * spans[list(sampled.measured)]) ** 2
        self.x, self.theta, self.d = process.state_values(), np.zeros(nt), np.zeros(nd)
        self.cov = np.diag(self._prior)

    def start(self, y: Floats) -> None:
        """Takes the first measurement [measured] as it is."""
        for j, i in enumerate(self._sampled.measured):
            self.x[i] = y[j]
            self.cov[i, i] = self._noise[j]

    def predict(self, u: Floats) -> None:
        """One interval on, with the inputs that were in force."""
        after, by, _ = self._sampled.linear(self.x, u, self._p, self.theta, self.d)
        self.cov = self._spread(self.cov, by)
        self.x = after

    def update(self, y: Floats) -> None:
        """A measurement [measured]; NaN where there is none."""
        known = [(j, i) for j, i in enumerate(self._sampled.measured) if not np.isnan(y[j])]
        for j, i in known:
            if abs(y[j] - self.x[i]) > _SURPRISED * np.sqrt(self.cov[i, i] + self._noise[j]):
                self.cov[self._nx + self._nt + j, self._nx + self._nt + j] += _NEW**2
        for j, i in known:  # one by one: their noises are independent
            gain = self.cov[:, i] / (self.cov[i, i] + self._noise[j])
            z = np.concatenate([self.x, self.theta, self.d]) + gain * (y[j] - self.x[i])
            keep = np.eye(len(z))
            keep[:, i] -= gain
            self.cov = keep @ self.cov @ keep.T + np.outer(gain, gain) * self._noise[j]  # Joseph: stays positive
            self.x, self.d = z[: self._nx], z[self._nx + self._nt :]
            # Nothing far beyond its spread is believed of a parameter; what then is left to explain goes to the rates.
            self.theta = np.clip(z[self._nx : self._nx + self._nt], -_FAR * self._spreads, _FAR * self._spreads)

    def deviations(self, inputs: Floats) -> Floats:
        """Standard deviations [n, nx] of the states after each of the next intervals, with these inputs [n, nu] and no measurement."""
        cov, x, out = self.cov, self.x, []
        for u in inputs:
            x, by, _ = self._sampled.linear(x, u, self._p, self.theta, self.d)
            cov = self._spread(cov, by)
            out.append(np.sqrt(np.diag(cov)[: self._nx]))
        return np.array(out)

    def _spread(self, cov: Floats, by: Floats) -> Floats:
        a = np.eye(len(cov))
        a[: self._nx] = by
        cov = a @ cov @ a.T + np.diag(self._walk)
        with np.errstate(divide="ignore", invalid="ignore"):
            shrink = np.sqrt(np.minimum(1.0, self._prior / np.diag(cov)))
        shrink[: self._nx] = 1.0
        shrink[np.isnan(shrink)] = 1.0
        return shrink[:, None] * cov * shrink
