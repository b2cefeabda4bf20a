"""Forecasts from formulae by hand, back-tests that see nothing of what they are measured on, intervals that hold what they promise."""

from __future__ import annotations

import numpy as np
import pytest

from ronghe.apps.inventory.forecast import loops
from ronghe.apps.inventory.forecast.backtest import LEAST, backtest, predict
from ronghe.apps.inventory.forecast.classify import classify
from ronghe.apps.inventory.forecast.methods import BY_NAME, METHODS
from ronghe.apps.inventory.forecast.panel import CHOSEN, across
from ronghe.apps.inventory.generate import KINDS

rng = np.random.default_rng


def test_intermittent_methods_by_hand() -> None:
    """Demand 6 after 3 periods, then 9 after 2: Croston z = 6 + .1·3, p = 3 − .2·1; SBA · (1 − .2/2); TSB by its own recursion."""
    y = np.array([0.0, 0, 6, 0, 9, 0])
    croston = loops.intermittent(y, 0.1, 0.2, 0, 2)
    assert croston[:, 0] == pytest.approx([0, 0, 0, 6 / 3, 6 / 3, 6.3 / 2.8, 6.3 / 2.8])
    assert croston[6, 1] == croston[6, 0]
    assert loops.intermittent(y, 0.1, 0.2, 1, 1)[6, 0] == pytest.approx(6.3 / 2.8 * 0.9)
    chance = (1 / 3) * 0.8
    chance += 0.2 * (1 - chance)
    assert loops.intermittent(y, 0.1, 0.2, 2, 1)[[5, 6], 0] == pytest.approx([6.3 * chance, 6.3 * chance * 0.8])


def test_theta_is_half_the_slope_over_simple_smoothing() -> None:
    """On a straight line the level lags by (1 − α)/α of the slope and the drift makes up half of it."""
    y = 10 + 2.0 * np.arange(400)
    ahead = loops.theta(y, 0.5, 3)[400]
    assert ahead == pytest.approx(y[-1] - 2 * (1 - 0.5) / 0.5 + 2 / 2 * (np.arange(3) + 1 / 0.5))


def test_holt_winters_repeats_a_season_it_knows() -> None:
    y = np.tile([5.0, 9, 1, 7, 3, 8, 2], 12)
    assert BY_NAME["holt_winters"].forecast(y, 7, 14) == pytest.approx(np.tile(y[:7], 2), abs=0.05)
    assert BY_NAME["seasonal_naive"].forecast(y, 7, 16) == pytest.approx(np.tile(y[:7], 3)[:16])


@pytest.mark.parametrize("method", METHODS, ids=lambda m: m.name)
def test_no_forecast_sees_what_it_forecasts(method) -> None:  # type: ignore[no-untyped-def]
    y = KINDS["weekly"](140, rng(1))
    other = y.copy()
    other[100:] = rng(2).uniform(0, 500, 40)
    settings = method.learn(y[:70], 7)
    assert method.ahead(other, 7, settings, 5)[:101] == pytest.approx(method.ahead(y, 7, settings, 5)[:101])


def test_scores_by_hand() -> None:
    """A method whose errors are known: seasonal naive with season 1 on 1, 2, 3 … is one short each step ahead."""
    y = np.arange(1.0, 65)
    naive = backtest(y, horizon=2, season=1).scores[0]
    origins = np.arange(48, 63)
    total = sum(y[t] + y[t + 1] for t in origins)
    assert naive.wape == pytest.approx((1 + 2) * len(origins) / total)
    assert naive.bias == pytest.approx(-(1 + 2) * len(origins) / total)
    assert naive.mase == pytest.approx(1.5)
    assert naive.rmsse == pytest.approx(np.sqrt(2.5))


@pytest.mark.parametrize(("kind", "says"), [("smooth", "smooth"), ("erratic", "erratic"), ("slow", "intermittent"), ("lumpy", "lumpy")])
def test_kinds_of_demand(kind: str, says: str) -> None:
    assert classify(KINDS[kind](600, rng(3))).kind == says
    assert classify(np.zeros(10)).kind == "none"


def test_methods_beat_seasonal_naive_where_they_should_and_intervals_hold() -> None:
    """Over 20 series of each kind: smaller squared errors than seasonal naive; 90 % intervals that hold 86 … 99 %."""
    for kind in ("weekly", "smooth", "lumpy"):
        panel = across({str(i): KINDS[kind](400, rng([4, i])) for i in range(20)}, horizon=7, season=7)
        lines = {line.method: line for line in panel.kinds["all"]}
        chosen, naive = lines[CHOSEN], lines["seasonal_naive"]
        assert chosen.rmsse < 0.85 * naive.rmsse  # type: ignore[operator]
        assert abs(chosen.bias) < 0.06  # type: ignore[arg-type]
        assert 0.86 < chosen.coverage < 0.99  # type: ignore[operator]
        assert panel.series == 20
        assert not panel.skipped


def test_the_least_that_can_be_tested() -> None:
    y = rng(5).poisson(4, LEAST).astype(float)
    tested = backtest(y, horizon=30, season=7)
    mean, low, high = predict(y, tested, horizon=30, season=7)
    assert len(mean) == 30
    assert (low <= mean).all()
    assert (mean <= high).all()
    with pytest.raises(ValueError, match="16 periods"):
        backtest(y[1:], horizon=1, season=1)
    assert backtest(y, horizon=2, season=52).scores[0].rmsse is not None, "a season longer than the series is none"
    constant = backtest(np.full(40, 3.0), horizon=2, season=1)
    assert constant.scores[0].mase is None, "nothing to scale by"
    assert across({"short": y[:5]}, horizon=1, season=1).skipped == ("short",)
