"""The drawn parts: the same for a seed, defective where they say, and neither told apart by a look at their brightness."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ronghe.bench import parts
from ronghe.picture import find, read


def test_a_seed_gives_the_same_part_and_another_seed_another() -> None:
    kind = parts.product(3, 128)
    first, _ = kind.draw(np.random.default_rng(5), "scratch")
    again, _ = parts.product(3, 128).draw(np.random.default_rng(5), "scratch")
    other, _ = kind.draw(np.random.default_rng(6), "scratch")
    assert (first == again).all()
    assert (first != other).any()
    assert (parts.product(4, 128).ink != kind.ink).any()


@pytest.mark.parametrize("defect", parts.DEFECTS)
def test_a_defect_is_where_its_mask_says_and_nowhere_else(defect: str) -> None:
    kind = parts.product(1)
    seen = 0
    for i in range(4):
        pixels, mask = kind.draw(np.random.default_rng(i), defect)
        assert pixels.shape == (256, 256, 3)
        assert pixels.dtype == np.uint8
        assert 4 <= mask.sum() < mask.size / 8
        seen += mask.any()
    assert seen == 4


def test_a_good_part_has_no_mask() -> None:
    assert not parts.product(0).draw(np.random.default_rng(0))[1].any()


def test_a_spot_differs_from_what_is_around_it() -> None:
    kind = parts.product(2)
    stronger = 0
    for i in range(12):
        pixels, mask = kind.draw(np.random.default_rng(i), "spot")
        ys, xs = np.nonzero(mask)
        near = np.zeros_like(mask)
        near[max(0, ys.min() - 6) : ys.max() + 7, max(0, xs.min() - 6) : xs.max() + 7] = True
        grey = pixels.mean(2)
        stronger += abs(grey[mask].mean() - grey[near & ~mask].mean()) > 5
    assert stronger >= 9


def test_brightness_alone_tells_good_from_defective_hardly_better_than_chance(tmp_path: Path) -> None:
    parts.write(tmp_path, 0, train=3, good=30, defective=30, size=128)
    good = [read(p).mean() for p in find(tmp_path / "good")]
    bad = [read(p).mean() for p in find(tmp_path / "defective")]
    assert len(find(tmp_path / "train")) == 3
    assert {p.parent.name for p in find(tmp_path / "defective")} == set(parts.DEFECTS)
    assert 0.25 < np.mean([[b > g for g in good] for b in bad]) < 0.75


def test_what_is_no_defect_is_refused() -> None:
    with pytest.raises(ValueError, match="rust"):
        parts.product(0, 64).draw(np.random.default_rng(0), "rust")
