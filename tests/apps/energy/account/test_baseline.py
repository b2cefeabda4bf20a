"""Baselines: what was put in comes out, with intervals that hold, and what the data do not carry is said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from ronghe.apps.energy.account.baseline import Spec, fit
from ronghe.apps.energy.account.enpi import Indicator, departure, indicator
from ronghe.apps.energy.account.periods import Table
from ronghe.apps.energy.account.verify import About, before_after, switchback
from ronghe.errors import AppError
from ronghe.text import Text

from .conftest import days, noise

ABOUT = About(key="site/test", name=Text("test"))


@pytest.mark.parametrize(("phi", "n"), [(0.0, 90), (0.8, 180)])
def test_the_interval_of_a_saving_covers_it(works: Callable[..., Table], phi: float, n: int) -> None:
    """Of 150 plants in which 50 kWh a day are saved, some 95 in 100 intervals hold that (binomial: 88 would be chance 1 in 1,000)."""
    hits = narrow = 0
    for seed in range(150):
        table = works(seed, n + 30, phi, 50.0, n)
        before = np.arange(n + 30) < n
        v = before_after(table, Spec(("pieces",)), before, ~before, ABOUT)
        assert v.saving.energy is not None
        hits += v.saving.energy.low <= 1500 <= v.saving.energy.high
        half = 1.96 * 60 * 30**0.5  # as if every day stood for itself
        narrow += abs(v.saving.energy.value - 1500) <= half
    assert hits >= 132
    if phi:
        assert narrow < 100, "without autocorrelation the interval would be far too sure of itself"


def test_change_points_are_found_where_they_are() -> None:
    rng = np.random.default_rng(1)
    t = 12 + 14 * np.sin(np.arange(365) * 2 * np.pi / 365) + rng.normal(0, 3, 365)
    y = 500 + 20 * np.maximum(10 - t, 0) + 35 * np.maximum(t - 20, 0) + rng.normal(0, 15, 365)
    b = fit(days(y, outside=t), Spec(temperature="outside"))
    assert b.form.heating == pytest.approx(10, abs=1)
    assert b.form.cooling == pytest.approx(20, abs=1)
    assert b.coefficients[1:].tolist() == pytest.approx([20, 35], rel=0.1)
    assert b.valid
    flat = fit(days(500 + rng.normal(0, 15, 365), outside=t), Spec(temperature="outside"))
    assert flat.form.names() == ["constant"], "BIC adds no change point that is not there"


def test_what_the_data_do_not_carry_is_said() -> None:
    rng = np.random.default_rng(2)
    pieces = rng.uniform(50, 150, 120)
    noisy = fit(days(np.abs(500 + rng.normal(0, 400, 120)), pieces=pieces), Spec(("pieces",)))
    assert [w.en.split()[0] for w in noisy.why] == ["CV(RMSE)", "no"]
    assert all(w.zh for w in noisy.why)
    slow = fit(days(900 + noise(rng, 60, 0.97, 40), pieces=pieces[:60]), Spec(("pieces",)))
    assert any("independent" in w.en for w in slow.why)
    few = fit(days(500 + 2 * pieces[:10] + rng.normal(0, 5, 10), pieces=pieces[:10]), Spec(("pieces",)))
    assert "only 10 periods" in few.why[0].en
    with pytest.raises(AppError, match="did you mean 'pieces'"):
        fit(days(pieces, pieces=pieces), Spec(("pieses",)))
    with pytest.raises(AppError, match="2 periods"):
        fit(days(pieces[:2], pieces=pieces[:2]), Spec(("pieces",)))


def test_a_plant_outside_what_was_seen_is_not_judged(works: Callable[..., Table]) -> None:
    table = works(3, 200)
    table.drivers["pieces"][150:] += 300
    found = indicator(table, Spec(("pieces",)), np.arange(200) < 120)
    assert not found.valid
    assert "outside" in found.why[0].en
    assert departure(found, 7, 365) is None


def until(found: Indicator, day: int) -> Indicator:
    """What was known on a day."""
    head = np.arange(len(found.table)) < day
    table = found.table.rows(head)
    return replace(
        found, table=table, expected=found.expected[head], low=found.low[head], high=found.high[head], outside=found.outside[head]
    )


def test_leaving_the_band_is_seen_and_false_alarms_are_rare() -> None:
    alarms = tests = seen = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        pieces = rng.uniform(50, 150, 300)
        y = 1000 + 5 * pieces + noise(rng, 300, 0.6, 60) + 250 * (np.arange(300) >= 270)
        found = indicator(days(y, pieces=pieces), Spec(("pieces",)), np.arange(300) < 180)
        for day in range(187, 300):
            d = departure(until(found, day), 7, 365)
            assert d is not None
            if day <= 270:
                tests += 1
                alarms += d.away
            elif day >= 280:
                seen += d.away and d.score > 0
    assert alarms <= 2 * tests / 365, "one in 365 is stated"
    assert seen >= 0.9 * 20 * 20


def test_the_cumulative_sum_and_gaps(works: Callable[..., Table]) -> None:
    table = works(4, 100)
    table.energy[60] = np.nan
    found = indicator(table, Spec(("pieces",)), np.arange(100) < 50)
    assert found.cusum[60] == found.cusum[59]
    assert found.cusum[-1] == pytest.approx(np.nansum(table.energy - found.expected))
    assert departure(found, 50, 365) is None, "a day of the fifty was not measured"


def test_ashrae_by_hand(works: Callable[..., Table]) -> None:
    table = works(5, 210, 0.5, 300.0, 180)
    before = np.arange(210) < 180
    v = before_after(table, Spec(("pieces",)), before, ~before, ABOUT, price=np.full(210, 0.5), carbon=np.full(210, 0.6))
    assert v.baseline is not None
    assert v.saving.energy is not None
    assert v.saving.money is not None
    assert v.saving.carbon is not None
    b = v.baseline
    effective = 180 * (1 - b.rho) / (1 + b.rho)
    fraction = v.saving.energy.value / v.adjusted
    assert v.fsu == pytest.approx(1.98 * 1.26 * b.cv_rmse / fraction * (180 / effective * (1 + 2 / effective) / 30) ** 0.5, rel=0.02)
    assert v.saving.money.low == pytest.approx(v.saving.energy.low / 2)
    assert v.saving.carbon.value == pytest.approx(v.saving.energy.value * 0.6)
    assert v.valid


def test_a_switchback_covers_its_saving_under_drift() -> None:
    """A saving of 40 an hour, in blocks of a day, while the plant drifts by more than that."""
    hits = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        n = 24 * 24
        on = (np.arange(n) // 24) % 2 == 1
        load = 50 + noise(rng, n, 0.9, 5)
        y = 300 + 4 * load + noise(rng, n, 0.9, 20) - 40 * on + np.cumsum(rng.normal(0, 1, n))
        v = switchback(days(y, load=load), on, ABOUT, variables=("load",), settle=2)
        assert v.saving.energy is not None
        assert v.pairs == 12
        assert v.valid
        per = 40 * int(on.sum())
        hits += v.saving.energy.low <= per <= v.saving.energy.high
    assert hits >= 178
    with pytest.raises(AppError, match="too few"):
        switchback(days(y, load=load), np.arange(n) > 300, ABOUT, variables=("load",))
