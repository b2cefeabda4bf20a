"""Constants against the tables, charts against worked examples, run lengths against the literature and against simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ronghe.apps.quality.charts import spc
from ronghe.apps.quality.charts.arl import cusum_arl, cusum_limit, ewma_arl, ewma_limit
from ronghe.apps.quality.charts.capability import anderson_darling, capability
from ronghe.errors import AppError

TABLE = {  # n: d2, d3, D3, D4, c4 (ASTM STP 15D; Montgomery, appendix VI)
    2: (1.128, 0.853, 0.0, 3.267, 0.7979),
    3: (1.693, 0.888, 0.0, 2.574, 0.8862),
    5: (2.326, 0.864, 0.0, 2.114, 0.9400),
    7: (2.704, 0.833, 0.076, 1.924, 0.9594),
    10: (3.078, 0.797, 0.223, 1.777, 0.9727),
    25: (3.931, 0.708, 0.459, 1.541, 0.9896),
}


@pytest.mark.parametrize("n", TABLE)
def test_constants_are_those_of_the_tables(n: int) -> None:
    found = spc.d2(n), spc.d3(n), *spc.d_limits(n), spc.c4(n)
    assert found == pytest.approx(TABLE[n], abs=0.0008)


def test_run_lengths_are_those_of_the_literature() -> None:
    """Montgomery, tables 9.3 (CUSUM, k = 1/2, h = 5: 465, 10.4 at one σ) and 9.11 (EWMA λ = 0.1, L = 2.814: 500, 10.3 at one σ)."""
    assert cusum_arl(0.5, 5.0) == pytest.approx(465, rel=0.005)
    assert cusum_arl(0.5, 5.0, 1.0) == pytest.approx(10.4, rel=0.005)
    assert ewma_arl(0.1, 2.814) == pytest.approx(500, rel=0.005)
    assert ewma_arl(0.1, 2.814, 1.0) == pytest.approx(10.3, rel=0.01)
    assert cusum_limit(0.5, 370) == pytest.approx(4.774, abs=0.01)
    assert ewma_arl(0.2, ewma_limit(0.2, 1e4)) == pytest.approx(1e4, rel=0.01)


def test_a_run_length_is_what_a_simulation_finds() -> None:
    rng = np.random.default_rng(0)
    limit = ewma_limit(0.2, 100.0)
    end = limit * np.sqrt(0.2 / 1.8)
    lengths = np.zeros(4000)
    z, alive = np.zeros(4000), np.ones(4000, bool)
    while alive.any():
        z = 0.8 * z + 0.2 * rng.normal(size=4000)
        lengths += alive
        alive &= np.abs(z) <= end
    assert lengths.mean() == pytest.approx(100, rel=0.06)


def test_xbar_r_of_a_worked_example() -> None:
    """Five groups of three, by hand: mean of means 10.2, mean range 0.8, A2 = 1.023."""
    groups = np.array([[10.0, 10.4, 10.2], [9.8, 10.6, 10.2], [10.1, 10.9, 10.5], [9.6, 10.4, 10.0], [10.0, 11.0, 9.3]])
    mean, spread = spc.xbar_r(groups)
    usual = np.ptp(groups, axis=1).mean()
    assert mean.centre == pytest.approx(groups.mean())
    assert mean.upper[0] - mean.centre == pytest.approx(1.023 * usual, rel=0.001)
    assert spread.upper[0] == pytest.approx(2.574 * usual, rel=0.001)
    assert spread.value.tolist() == pytest.approx([0.4, 0.8, 0.8, 0.8, 1.7])


def test_individuals_have_the_limits_of_their_moving_range() -> None:
    values = np.array([5.0, 5.2, 4.9, 5.1, 5.0, 5.3, 4.8, 5.0, 9.0])
    chart, moving = spc.individuals(values, base=8)
    usual = np.abs(np.diff(values[:8])).mean()
    assert chart.upper[0] - chart.centre == pytest.approx(2.66 * usual, rel=0.001)
    assert moving.upper[0] == pytest.approx(3.267 * usual, rel=0.001)
    assert chart.out.tolist() == [False] * 8 + [True]
    assert moving.out.tolist() == [False] * 7 + [True]


RULES = {
    "1": ([0.0, 3.1], 1),
    "2": ([-0.5] + [0.5] * 9, 9),
    "2w": ([-0.5] + [0.5] * 8, 8),
    "3": ([0.0, 0.1, 0.2, 0.3, 0.4, 0.5], 5),
    "4": ([0.5, -0.5] * 7, 13),
    "5": ([2.1, 0.0, 2.1], 2),
    "6": ([1.1, 1.1, 0.0, 1.1, 1.1], 4),
    "7": ([0.5, -0.5, 0.3] * 5, 14),
    "8": ([1.5, -1.5, -1.2, 1.2, 1.5, -1.5, 1.5, -1.5], 7),
}


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_marks_the_point_that_completes_it_and_none_before(rule: str) -> None:
    z, at = RULES[rule]
    marked = [rule in r for r in spc.broken(np.array(z), 0.0, 1.0, (rule,))]
    assert marked == [i == at for i in range(len(z))]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(-5, 5), min_size=1, max_size=40))
def test_rules_are_the_same_upside_down(values: list[float]) -> None:
    up, down = (spc.broken(s * np.array(values), 0.0, 1.0) for s in (1, -1))
    assert up == down


def test_p_chart_and_its_exact_limits() -> None:
    events, of = np.array([2, 1, 3, 2, 9]), np.full(5, 50)
    chart = spc.p_chart(events, of, base=4)
    assert chart.centre == pytest.approx(0.04)
    assert chart.upper[0] == pytest.approx(0.04 + 3 * np.sqrt(0.04 * 0.96 / 50))
    assert chart.out.tolist() == [False] * 4 + [True]
    exact = spc.p_chart(events, of, base=4, exact=True)
    rng = np.random.default_rng(1)
    above = rng.binomial(50, 0.04, 200_000) / 50 > exact.upper[0]
    assert above.mean() <= 0.00135
    assert (rng.binomial(50, 0.04, 200_000) / 50 > exact.upper[0] - 0.02).mean() > 0.00135  # and no tighter
    assert spc.p_chart(np.array([0, 0, 0, 1]), np.full(4, 10), base=3, exact=True).out.tolist() == [False] * 3 + [True]
    often = spc.p_chart(np.full(4, 20), np.full(4, 50), exact=True)
    shares = rng.binomial(50, 0.4, 200_000) / 50
    assert 0 < (shares < often.lower[0]).mean() <= 0.00135
    assert (shares < often.lower[0] + 0.02).mean() > 0.00135


def test_ewma_and_cusum_see_a_small_shift_that_a_shewhart_chart_does_not() -> None:
    values = np.random.default_rng(3).normal(size=120)
    values[60:] += 1.0
    assert not spc.broken(values, 0.0, 1.0, ("1",))[60:].count(("1",)) > 3
    for chart in (spc.ewma(values, 0.0, 1.0), spc.cusum(values, 0.0, 1.0)[0]):
        assert not chart.out[:60].any()
        assert 0 < np.flatnonzero(chart.out)[0] - 60 < 25
    assert not spc.cusum(values, 0.0, 1.0)[1].out.any()


def test_capability_of_normal_values() -> None:
    values = np.random.default_rng(0).normal(10, 1, 400)
    found = capability(values, 6.0, 13.0, np.random.default_rng(1))
    assert found.method == "normal"
    s = values.std(ddof=1)
    assert found.cp == pytest.approx(7 / (6 * s))
    assert found.cpk == pytest.approx((13 - values.mean()) / (3 * s))
    bissell = found.cpk * 1.96 * np.sqrt(1 / (9 * 400 * found.cpk**2) + 1 / 798)  # Bissell 1990
    assert found.high - found.low == pytest.approx(2 * bissell, rel=0.2)
    assert capability(values, None, 13.0, np.random.default_rng(1)).cp is None


def test_capability_of_skewed_values_takes_their_percentiles() -> None:
    """Lognormal: the reference interval is known, and three standard deviations would be far off."""
    values = np.exp(np.random.default_rng(2).normal(0, 0.5, 3000))
    found = capability(values, None, 8.0, np.random.default_rng(1))
    true = (8.0 - 1.0) / (np.exp(1.5) - 1.0)
    assert found.method == "percentile"
    assert found.low < true < found.high
    assert found.cpk == pytest.approx(true, rel=0.1)
    naive = (8.0 - values.mean()) / (3 * values.std(ddof=1))
    assert abs(naive - true) > 2 * abs(found.cpk - true)


def test_normality_is_rejected_as_often_as_is_said() -> None:
    rng = np.random.default_rng(4)
    rejected = [anderson_darling(rng.normal(size=60)) < 0.05 for _ in range(600)]
    assert 0.025 < np.mean(rejected) < 0.08
    assert anderson_darling(rng.exponential(size=60)) < 0.001


def test_too_little_is_refused() -> None:
    with pytest.raises(AppError):
        spc.individuals(np.array([1.0]))
    with pytest.raises(AppError):
        spc.xbar_r(np.ones((1, 5)))
    with pytest.raises(AppError):
        capability(np.ones(100), 0.0, 2.0, np.random.default_rng(0))
    with pytest.raises(AppError):
        spc.p_chart(np.zeros(2, np.int64), np.zeros(2, np.int64))
