from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ronghe.apps.quality.inspector.measures import PixelCounts, auroc

Few = st.lists(st.integers(0, 5).map(float), min_size=1, max_size=12)


@settings(deadline=None)
@given(Few, Few)
def test_auroc_is_the_chance_to_rank_right_with_ties_counting_half(good: list[float], bad: list[float]) -> None:
    pairs = [1.0 if b > g else 0.5 if b == g else 0.0 for g in good for b in bad]
    assert auroc(np.array(good), np.array(bad)) == pytest.approx(np.mean(pairs))


def test_auroc_of_nothing_is_not_a_number() -> None:
    assert np.isnan(auroc(np.array([]), np.array([1.0])))


def _mask(*boxes: tuple[int, int, int, int]) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    mask = np.zeros((40, 50), bool)
    for y0, x0, y1, x1 in boxes:
        mask[y0:y1, x0:x1] = True
    return mask


def test_a_perfect_map_scores_one_and_chance_a_half() -> None:
    mask = _mask((2, 2, 8, 8), (20, 20, 36, 36))
    perfect, chance = PixelCounts(), PixelCounts()
    perfect.add(mask.astype(np.float32), mask)
    chance.add(np.random.default_rng(0).random((40, 50), np.float32), mask)
    assert (perfect.auroc(), perfect.pro()) == (1.0, pytest.approx(1.0))
    assert chance.auroc() == pytest.approx(0.5, abs=0.05)
    assert chance.pro() == pytest.approx(0.15, abs=0.05)  # overlap = false positive rate, of which 0.3 is the most


def test_pro_counts_every_defect_the_same_whatever_its_size() -> None:
    small, large = (2, 2, 5, 5), (10, 10, 38, 48)
    counts = PixelCounts()
    counts.add(_mask(large).astype(np.float32), _mask(small, large))  # the small one is not seen at all
    assert counts.auroc() > 0.99
    assert counts.pro() == pytest.approx(0.5, abs=0.08)


def test_pixel_auroc_is_that_of_the_pixels() -> None:
    rng = np.random.default_rng(1)
    mask = rng.random((40, 50)) < 0.3
    heat = (rng.normal(1.0, 0.3, (40, 50)) + 0.4 * mask).clip(0).astype(np.float32)
    counts = PixelCounts()
    counts.add(heat, mask)
    assert counts.auroc() == pytest.approx(auroc(heat[~mask].astype(float), heat[mask].astype(float)), abs=1e-3)
