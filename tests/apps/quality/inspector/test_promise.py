from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ronghe.apps.quality.inspector.promise import conformal, lower_bound, upper_bound


def test_the_limit_is_the_order_statistic_that_keeps_the_promise() -> None:
    scores = np.arange(1.0, 200.0)  # 199 items: 1 % is two in two hundred
    p = conformal(scores, 0.01)
    assert (p.limit, p.rate, p.items, p.attained) == (198.0, 0.01, 199, True)
    assert conformal(scores, 0.005).limit == 199.0


def test_less_than_one_in_n_plus_one_is_not_promised() -> None:
    p = conformal(np.arange(1.0, 18.0), 0.01)
    assert p.limit == 17.0
    assert p.rate == pytest.approx(1 / 18)
    assert not p.attained
    assert p.bound == pytest.approx(1 - 0.05 ** (1 / 17))


def test_the_promise_holds_over_many_good_parts() -> None:
    """1,000 learnings of 60 items each, judged on as many new ones: the mean rate is within the promise, and so is nearly every bound."""
    rng = np.random.default_rng(3)
    rates, within = [], 0
    for _ in range(1000):
        p = conformal(rng.gamma(4.0, 1.0, 60), 0.05)
        true = 1 - _gamma4(p.limit)
        rates.append(true)
        within += true <= p.bound
    assert 0.04 < np.mean(rates) <= 0.0505
    assert within >= 935  # 950 expected


def test_a_margin_only_raises_the_limit() -> None:
    rng = np.random.default_rng(4)
    for n in (5, 20, 300):
        scores = rng.lognormal(0.0, 0.3, n)
        plain, roomy = conformal(scores, 0.05), conformal(scores, 0.05, margin=4.0)
        assert roomy.limit >= plain.limit
        assert roomy.rate == plain.rate


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 400), st.data())
def test_clopper_pearson_are_the_rates_of_which_the_count_is_just_believable(n: int, data: st.DataObject) -> None:
    x = data.draw(st.integers(0, n))
    high, low = upper_bound(x, n), lower_bound(x, n)
    assert low <= x / n <= high
    if x < n:
        assert _at_most(x, n, high) == pytest.approx(0.05, abs=1e-6)
    if x > 0:
        assert 1 - _at_most(x - 1, n, low) == pytest.approx(0.05, abs=1e-6)


def test_nothing_seen_bounds_nothing() -> None:
    assert (lower_bound(0, 0), upper_bound(0, 0)) == (0.0, 1.0)


def _at_most(x: int, n: int, p: float) -> float:
    return sum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(x + 1))


def _gamma4(x: float) -> float:
    """Distribution function of a gamma distribution of shape 4."""
    return 1 - math.exp(-x) * (1 + x + x * x / 2 + x**3 / 6)
