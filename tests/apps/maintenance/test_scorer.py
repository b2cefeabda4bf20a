"""The streaming scorer: equal to the formulas, honest about what is missing, and right about causes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ronghe.apps.maintenance.normal import learn
from ronghe.apps.maintenance.scorer import SPIKE, Scorer


def process(n: int, k: int = 6, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mix = np.random.default_rng(99).normal(size=(2, k))
    return 10 + rng.normal(size=(n, 2)) @ mix + rng.normal(size=(n, k))


def dense(scorer: Scorer) -> np.ndarray:
    return np.diag(scorer.phi.unique) - scorer.phi.shared @ scorer.phi.shared.T


def test_level_is_rbc_of_the_window_mean() -> None:
    rows = process(700)
    scorer = Scorer(learn(rows[:400], window=20))
    normal, phi = scorer.normal, dense(scorer)
    for i, row in enumerate(rows):
        score = scorer.step(row)
        if i < 19:
            assert np.isnan(score)
            assert not scorer.ready
            continue
        window = rows[i - 19 : i + 1]
        d = (window.mean(0) - normal.center) / normal.scale
        y = phi @ d
        np.testing.assert_allclose(scorer.level, y / np.sqrt(np.diag(phi)) / normal.limit, atol=1e-9)
        np.testing.assert_allclose(scorer.mean, window.mean(0))
        np.testing.assert_allclose(scorer.spread, window.std(0), rtol=1e-6)


def test_a_missing_property_is_the_one_that_makes_the_index_least() -> None:
    rows = process(500)
    full = Scorer(learn(rows[:400], window=20))
    rows[440:, [1, 4]] = np.nan
    for row in rows[400:]:
        score = full.step(row)
    phi, normal = dense(full), full.normal
    seen, lost = [0, 2, 3, 5], [1, 4]
    d = (rows[480:].mean(0) - normal.center) / normal.scale
    marginal = phi[np.ix_(seen, seen)] - phi[np.ix_(seen, lost)] @ np.linalg.solve(phi[np.ix_(lost, lost)], phi[np.ix_(lost, seen)])
    expected = marginal @ d[seen] / np.sqrt(np.diag(marginal)) / normal.limit
    np.testing.assert_allclose(full.level[seen], expected, atol=1e-9)
    np.testing.assert_allclose(full.level[lost], 0, atol=1e-9)
    assert score == pytest.approx(np.abs(expected).max())


def test_it_comes_back_when_the_values_do() -> None:
    rows = process(600)
    a, b = Scorer(learn(rows[:400])), Scorer(learn(rows[:400]))
    holed = rows.copy()
    holed[440:470, 2] = np.nan
    for x, y in zip(rows[400:], holed[400:], strict=True):
        a.step(x)
        b.step(y)
    np.testing.assert_allclose(a.level, b.level, atol=1e-9)


def test_too_many_missing_is_no_score() -> None:
    rows = process(500)
    scorer = Scorer(learn(rows[:400]))
    rows[430:, :4] = np.nan
    scores = [scorer.step(r) for r in rows[400:]]
    assert np.isfinite(scores[25])
    assert np.isnan(scores[-1])


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 5), st.sampled_from([-1.0, 1.0]), st.floats(2.0, 20.0), st.integers(0, 1000))
def test_the_faulty_property_has_the_largest_contribution(which: int, sign: float, size: float, seed: int) -> None:
    """Alcala & Qin 2009: with reconstruction-based contributions a single large sensor fault is never diagnosed as another's."""
    rows = process(440, seed=seed)
    scorer = Scorer(learn(rows[:400]))
    rows[400:, which] += sign * size * rows[:400].std(0)[which]
    for row in rows[400:]:
        scorer.step(row)
    assert int(np.abs(scorer.level).argmax()) == which
    assert np.sign(scorer.level[which]) == sign


def test_trace_finds_the_faulty_ones_and_only_them() -> None:
    """With the rest normal, what is expected of the faulty ones is near what they would have been."""
    rows = process(2040)
    scorer = Scorer(learn(rows[:2000]))
    true = rows[2020:].mean(0)
    rows[2000:, [0, 3]] += [50, 30]
    for row in rows[2000:]:
        scorer.step(row)
    assert (np.abs(scorer.level) > 1).sum() > 2, "contributions alone smear over the others"
    found, expected, share = scorer.trace(0, 6)
    assert found == [0, 3]
    assert np.abs(expected - true[[0, 3]]).max() < 1.5
    assert share.sum() == pytest.approx(1, abs=0.01)
    assert scorer.trace(0, 1)[0] == [0]


def test_unrest_is_seen_though_the_mean_stays() -> None:
    rows = process(600)
    scorer = Scorer(learn(rows[:400]))
    swing = 6 * rows[:400].std(0)[2] * np.sin(np.arange(200) * 2 * np.pi / 5)
    rows[400:, 2] += swing
    scores = [scorer.step(r) for r in rows[400:]]
    assert scores[-1] > 1
    assert int(scorer.unrest.argmax()) == 2
    assert np.abs(scorer.level).max() < 1
    assert scorer.spread[2] > 3 * scorer.usual_spread[2]


def test_a_step_is_never_unrest() -> None:
    rows = process(600)
    for size in (3, 10, 100):
        scorer = Scorer(learn(rows[:400]))
        moved = rows.copy()
        moved[450:, 2] += size * rows[:400].std(0)[2]
        for row in moved[400:]:
            scorer.step(row)
            assert scorer.unrest.max() <= 0
        assert int(np.abs(scorer.level).argmax()) == 2


def test_one_spike_is_not_the_process() -> None:
    rows = process(600)
    scorer = Scorer(learn(rows[:400]))
    rows[450, 1] = 1e9
    rows[500, 0] = -1e9
    assert max(s for s in map(scorer.step, rows[400:]) if s == s) < 1
    scorer = Scorer(learn(process(400)))
    rows[550:, 1] = rows[:400].mean(0)[1] + 2 * SPIKE * rows[:400].std(0)[1]
    assert [scorer.step(r) for r in rows[530:]][-1] > 1, "two in a row are"


@settings(deadline=None, max_examples=50)
@given(st.lists(st.lists(st.floats(), min_size=4, max_size=4), min_size=1, max_size=60))
def test_nothing_a_device_says_breaks_it(values: list[list[float]]) -> None:
    rows = process(400, k=4)
    rows[:, 3] = 1.0
    scorer = Scorer(learn(rows))
    for row in [*rows[:20], *values, *rows[:30]]:
        score = scorer.step(np.array(row))
    assert score < 1


def test_reset_forgets() -> None:
    rows = process(500)
    scorer, fresh = Scorer(learn(rows[:400])), Scorer(learn(rows[:400]))
    for row in rows[400:450] + 100:
        scorer.step(row)
    scorer.reset()
    for row in rows[450:]:
        a, b = scorer.step(row), fresh.step(row)
        assert (a != a and b != b) or a == pytest.approx(b)


def test_rounding_does_not_grow() -> None:
    """After a visit to huge values the running sums are as good as new within a window."""
    rows = process(500)
    scorer, fresh = Scorer(learn(rows[:400])), Scorer(learn(rows[:400]))
    for _ in range(50):
        scorer.step(rows[0] * 1e12)
    for row in rows[400:480]:
        scorer.step(row)
        fresh.step(row)
    np.testing.assert_allclose(scorer.level, fresh.level, atol=1e-9)


@pytest.mark.parametrize("offset", [0.0, -5.0])
@pytest.mark.parametrize("far", [1.797e308, -1.797e308])
def test_the_largest_number_there_is_overflows_nothing(offset: float, far: float) -> None:
    rows = np.random.default_rng(0).normal(size=(400, 3)) * 1e-3 + offset
    scorer = Scorer(learn(rows, window=5))
    for row in rows[:10]:
        scorer.step(row)
    assert scorer.step(np.array([far, offset, offset])) < 3  # a spike
    scores = [scorer.step(np.array([far, offset, offset])) for _ in range(5)]
    assert np.isfinite(scores).all()
    assert scores[-1] > 10
