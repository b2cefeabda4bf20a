"""A forecast looks at nothing later than it could have, and is as good as the furnace permits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from ronghe.apps.furnace.silicon.features import HOUR
from ronghe.apps.furnace.silicon.filtering import Dynamics
from ronghe.apps.furnace.silicon.forecaster import Forecaster, Replayed, Scaling, replay
from ronghe.apps.furnace.silicon.heats import Heats

from .conftest import furnace


@pytest.fixture
def scaling() -> Scaling:
    return Scaling.of(furnace(300, 7))


def run(scaling: Scaling, heats: Heats, delay: int = 0) -> Replayed:
    return replay(Forecaster.new(scaling, Dynamics()), heats, delay=delay)


@pytest.mark.parametrize("delay", [0, 2 * HOUR])
def test_what_comes_later_changes_nothing_before(scaling: Scaling, delay: int) -> None:
    heats = furnace(150, 2)
    at = 100
    before = run(scaling, heats, delay)
    process, silicon = heats.process.copy(), heats.silicon.copy()
    process[at + 1 :] += 7.0
    unknown = heats.time > heats.time[at] - delay  # of these no assay is known when row `at` is forecast
    unknown[at:] = True
    silicon[unknown] = 0.9
    after = run(scaling, replace(heats, process=process, silicon=silicon, former=silicon), delay)
    for one, other in zip((before.mean, before.low, before.high), (after.mean, after.low, after.high), strict=True):
        assert (one[: at + 1] == other[: at + 1]).all()
        assert (one[at + 2 :] != other[at + 2 :]).all()
    assert int(unknown.sum()) == len(heats) - before.known[at]


def test_an_assay_that_is_known_counts(scaling: Scaling) -> None:
    heats = furnace(60, 2)
    silicon = heats.silicon.copy()
    silicon[40] *= 1.5
    changed = run(scaling, replace(heats, silicon=silicon))
    assert changed.mean[41] > run(scaling, heats).mean[41]


def test_a_late_assay_makes_it_wider_and_worse(scaling: Scaling) -> None:
    heats = furnace(700, 4)
    soon, late = run(scaling, heats), run(scaling, heats, 6 * HOUR)
    errors = [float(((r.mean - heats.silicon)[200:] ** 2).mean()) for r in (soon, late)]
    assert errors[0] < errors[1]
    assert (soon.high - soon.low)[200:].mean() < (late.high - late.low)[200:].mean()


def test_after_a_restart_it_stands_at_the_mean(scaling: Scaling) -> None:
    heats = furnace(100, 5)
    f = Forecaster.new(scaling, Dynamics())
    replay(f, heats)
    learned = f.filter.mean[2:].copy()
    f.restart()
    assert (f.filter.mean[2:] == learned).all()
    x = f.see(int(heats.time[0]), heats.process[0])
    assert np.isfinite(f.forecast(int(heats.time[0]), x).mean)
    assert f.filter.mean[:2].tolist() == [0, 0]
