"""Decimal values as integers: exactly, or not at all."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ronghe.historian import digits


def there_and_back(values: list[float], sizes: list[int]) -> tuple[np.ndarray, np.ndarray]:
    value = np.array(values)
    first = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
    numbers, scale, plain = digits.encode(value, first)
    back = digits.decode(numbers, scale, np.array(sizes))
    back[plain] = value[plain]
    np.testing.assert_array_equal(back.view(np.int64), value.view(np.int64))
    return scale, plain


@given(
    st.lists(st.lists(st.floats() | st.integers(-(10**9), 10**9).map(lambda i: i / 1000), min_size=1, max_size=20), min_size=1, max_size=5)
)
@settings(deadline=None)
def test_every_double_comes_back_bit_for_bit(tags: list[list[float]]) -> None:
    there_and_back([v for tag in tags for v in tag], [len(tag) for tag in tags])


@pytest.mark.parametrize(("values", "scale"), [([1.0, 2.0, 3.0], 0), ([0.5, 2.0], 1), ([37.42, 37.4, 37.0], 2), ([1e-6, 2e-6], 6)])
def test_the_least_scale_that_fits_is_taken(values: list[float], scale: int) -> None:
    scales, plain = there_and_back(values, [len(values)])
    assert scales.tolist() == [scale]
    assert not plain.any()


def test_what_is_not_decimal_stays_a_double() -> None:
    scales, plain = there_and_back([np.pi, np.e, float("nan"), -0.0], [4])
    assert scales.tolist() == [digits.PLAIN]
    assert plain.all()


def test_one_glitch_does_not_make_a_tag_plain() -> None:
    scales, plain = there_and_back([0.25] * 30 + [np.pi], [31])
    assert scales.tolist() == [2]
    assert plain.tolist() == [False] * 30 + [True]
