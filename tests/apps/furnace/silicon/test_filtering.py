"""The filter gives what conditioning all of a Gaussian process at once gives."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace

from ronghe.apps.furnace.silicon.filtering import Dynamics, Filter

DYNAMICS = replace(Dynamics(), drift=0.0)
VARIANCE = 0.05


def rows(n: int = 30, d: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    return np.cumsum(rng.uniform(0.05, 3, n)), rng.normal(size=(n, d)), 0.2 * rng.normal(size=n)


def covariance(t: np.ndarray, x: np.ndarray) -> np.ndarray:
    at = np.arange(len(t))
    out = DYNAMICS.coefficient * (x @ x.T)
    for part, hours, heats in zip(DYNAMICS.levels, DYNAMICS.hours, DYNAMICS.heats, strict=True):
        out += part * np.exp(-np.abs(t[:, None] - t) / hours - np.abs(at[:, None] - at) / heats)
    return VARIANCE * out


def test_it_is_the_conditional_mean_and_variance() -> None:
    t, x, y = rows()
    f = Filter.new(DYNAMICS, VARIANCE, x.shape[1])
    for i in range(len(t) - 1):
        f.learn(t[i] - t[i - 1] if i else 0.0, 1.0, x[i], y[i])
    mean, variance = f.forecast(t[-1] - t[-2], 1.0, x[-1])
    k = covariance(t, x)
    known = k[:-1, :-1] + DYNAMICS.noise * VARIANCE * np.eye(len(t) - 1)
    assert mean == pytest.approx(k[-1, :-1] @ np.linalg.solve(known, y[:-1]), abs=1e-9)
    wanted = k[-1, -1] + DYNAMICS.noise * VARIANCE - k[-1, :-1] @ np.linalg.solve(known, k[-1, :-1])
    assert variance == pytest.approx(wanted, rel=1e-9)


def test_frozen_coefficients_stay() -> None:
    _, x, y = rows()
    f = Filter.new(Dynamics(), VARIANCE, x.shape[1])
    for i in range(10):
        f.learn(0.5, 1.0, x[i], y[i])
    f.freeze()
    before = f.mean.copy()
    for i in range(10, 30):
        f.learn(0.5, 1.0, x[i], y[i])
    assert f.mean[2:] == pytest.approx(before[2:], abs=0)
    assert f.mean[:2] != pytest.approx(before[:2], abs=1e-3)


def test_a_long_stop_widens_no_farther_than_before_training() -> None:
    _, x, y = rows()
    f = Filter.new(Dynamics(drift=1e-3), VARIANCE, x.shape[1])
    _, at_first = f.forecast(0.0, 1.0, x[-1])
    for i in range(20):
        f.learn(0.5, 1.0, x[i], y[i])
    _, soon = f.forecast(0.5, 1.0, x[-1])
    _, late = f.forecast(2000.0, 1.0, x[-1])
    assert soon < late < 1.01 * at_first
    f.learn(10_000.0, 1.0, x[21], y[21])
    assert (np.diag(f.cov)[2:] <= VARIANCE * f.dynamics.coefficient * (1 + 1e-12)).all()
    assert np.linalg.eigvalsh(f.cov).min() > -1e-12
