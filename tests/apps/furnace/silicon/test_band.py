"""The interval keeps its promise while the errors change."""

from __future__ import annotations

import numpy as np

from ronghe.apps.furnace.silicon.band import Band


def test_coverage_holds_when_errors_grow_and_have_heavy_tails() -> None:
    rng = np.random.default_rng(1)
    band = Band()
    inside = []
    for i in range(4000):
        error = abs(rng.standard_t(3)) * (1.0 if i < 2000 else 2.5)
        width = band.width()
        inside.append(error <= width)
        band.learn(error, width)
    assert abs(np.mean(inside[500:2000]) - 0.9) < 0.02
    assert abs(np.mean(inside[2000:]) - 0.9) < 0.03  # the normal width would hold 0.55 of them here


def test_frozen_it_learns_nothing() -> None:
    band = Band(frozen=True)
    for _ in range(100):
        band.learn(9.0, 1.0)
    assert not band.scores
    assert band.miss == Band().miss
