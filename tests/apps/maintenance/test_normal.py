"""What is learned, against the plain formulas."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ronghe.apps.maintenance.normal import COMPONENTS, FALSE_ALARM, SHRINK, WIDEST, _t_quantile, learn
from ronghe.apps.maintenance.precision import Precision
from ronghe.apps.maintenance.scorer import Scorer
from ronghe.errors import AppError


def process(n: int, k: int = 6, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return 10 + rng.normal(size=(n, 2)) @ rng.normal(size=(2, k)) + rng.normal(size=(n, k))


def dense(normal: Precision) -> np.ndarray:
    """Φ as a matrix."""
    return np.diag(normal.unique) - normal.shared @ normal.shared.T


def test_the_factor_form_is_the_inverse_covariance() -> None:
    rows = process(400)
    normal = learn(rows, window=20).precision()
    z = (rows - rows.mean(0)) / rows.std(0)
    means = np.array([z[i : i + 20].mean(0) for i in range(1, len(z) - 19)])
    covariance = np.cov(means.T, bias=True)
    shrunk = (1 - SHRINK) * covariance + SHRINK * np.diag(np.diag(covariance))
    phi = dense(normal)
    np.testing.assert_allclose(phi @ shrunk, np.eye(6), atol=0.02)
    np.testing.assert_allclose(normal.diagonal(), np.diag(phi))
    np.testing.assert_allclose(normal.rows(np.array([1, 4])), phi[[1, 4]], atol=1e-12)
    d = np.arange(6.0)
    np.testing.assert_allclose(normal.times(d), phi @ d)


@pytest.mark.parametrize(("p", "freedom", "exact"), [(1e-4, 19, 4.5899), (1e-3, 5, 5.8934), (1e-5, 30, 5.0482), (0.025, 12, 2.1788)])
def test_the_quantile_is_students(p: float, freedom: float, exact: float) -> None:
    assert _t_quantile(p, freedom) == pytest.approx(exact, rel=0.02)


def test_normal_operation_stays_inside() -> None:
    """Over many small worlds, new rows of the same process are over the limit about as rarely as was asked for."""
    over = windows = 0
    for seed in range(40):
        rows = process(1400, seed=seed)
        scorer = Scorer(learn(rows[:400]))
        scores = np.array([scorer.step(r) for r in rows[400:]])[20::20]
        over, windows = over + int((scores > 1).sum()), windows + len(scores)
    assert over / windows < 10 * FALSE_ALARM


def test_a_property_that_was_seen_too_short_is_given_room() -> None:
    """A slow drift while learning must not make what comes after it abnormal; the same distance of a settled property is."""
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(400, 3))
    rows[:, 2] = np.cumsum(rng.normal(size=400)) * 0.1
    normal = learn(rows)
    scorer = Scorer(normal)
    away = rows.mean(0) + 3 * rows.std(0) * np.array([0, 0, 1])
    for _ in range(20):
        drifting = scorer.step(away + rng.normal(size=3) * [1, 1, 0.01])
    scorer = Scorer(normal)
    away = rows.mean(0) + 3 * rows.std(0) * np.array([1, 0, 0])
    for _ in range(20):
        settled = scorer.step(away + rng.normal(size=3) * [1, 1, 0.01])
    assert drifting < 1 < settled
    assert normal.alone[2] < WIDEST**2, "room, but not without end"


def test_accuracy_is_a_floor() -> None:
    """What an instrument cannot tell apart is no deviation."""
    rows = process(400)
    rows[:, 0] = 50 + 0.001 * np.random.default_rng(3).normal(size=400)
    away = rows.mean(0) + np.array([0.1, 0, 0, 0, 0, 0])
    for accuracy, abnormal in ((0.0, True), (0.5, False)):
        scorer = Scorer(learn(rows).to_accuracy(np.array([accuracy, 0, 0, 0, 0, 0])))
        score = [scorer.step(away) for _ in range(20)][-1]
        assert (score > 1) == abnormal


def test_what_never_moves_is_not_judged() -> None:
    rows = process(400)
    rows[:, 3] = 7.0
    normal = learn(rows)
    assert normal.judged.tolist() == [True, True, True, False, True, True]
    scorer = Scorer(normal)
    rows[:, 3] = 1e6
    assert all(not s > 1 for s in map(scorer.step, rows[:100]))


def test_what_never_moved_is_judged_where_its_accuracy_is_known() -> None:
    rows = process(400)
    rows[:, 3] = 7.0
    scorer = Scorer(learn(rows).to_accuracy(np.full(6, 0.5)))
    assert max(s for s in map(scorer.step, rows) if s == s) < 1
    rows[:, 3] = 17.0
    assert [scorer.step(r) for r in rows[:30]][-1] > 1
    assert int(np.abs(scorer.level).argmax()) == 3


def test_columns_that_are_mostly_empty_are_not_judged() -> None:
    rows = process(400)
    rows[:, 1] = np.nan
    rows[::3, 2] = np.nan
    normal = learn(rows)
    assert normal.judged.tolist() == [True, False, True, True, True, True]
    assert np.isfinite(normal.precision().shared).all()


def test_too_little_is_said() -> None:
    with pytest.raises(AppError, match="too few") as e:
        learn(process(99))
    assert "不足以学习" in e.value.in_("zh")
    assert "100" in e.value.in_("zh")
    with pytest.raises(AppError, match="nothing moves"):
        learn(np.ones((400, 3)))


def test_many_properties_stay_small() -> None:
    normal = learn(process(300, k=800))
    assert normal.loadings.shape == (800, COMPONENTS)
    scorer = Scorer(normal)
    assert max(s for s in map(scorer.step, process(300, k=800)) if s == s) < 1.2


def test_learning_is_deterministic() -> None:
    a, b = learn(process(500)), learn(process(500))
    assert a.alone.tobytes() == b.alone.tobytes()
    assert a.loadings.tobytes() == b.loadings.tobytes()


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 8), st.integers(100, 300), st.integers(0, 10_000), st.floats(1e-3, 1e6), st.floats(-1e6, 1e6))
def test_units_do_not_matter(k: int, n: int, seed: int, factor: float, offset: float) -> None:
    """The score is the same whatever unit a property is given in."""
    rows = np.random.default_rng(seed).normal(size=(n, k))
    a, b = Scorer(learn(rows, window=10)), Scorer(learn(rows * factor + offset, window=10))
    for row in rows[:40]:
        x, y = a.step(row), b.step(row * factor + offset)
        assert (x != x and y != y) or x == pytest.approx(y, rel=1e-2, abs=1e-2)


@settings(deadline=None, max_examples=60)
@example([[0, 0, 0, 1.797693134862316e307], [0, 0, 1, 0]], 1)
@given(
    st.integers(1, 4).flatmap(lambda k: st.lists(st.lists(st.floats(), min_size=k, max_size=k), min_size=1, max_size=60)),
    st.integers(1, 12),
)
def test_any_rows_are_learned_or_refused(few: list[list[float]], window: int) -> None:
    rows = np.array(few * 3)
    try:
        normal = learn(rows, window=window)
    except AppError:
        return
    scorer = Scorer(normal.to_accuracy(np.full(rows.shape[1], 0.1)))
    for row in rows:
        score = scorer.step(row)
        assert score != score or 0 <= score < np.inf
