"""Points in polygons."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ronghe.apps.safety.polygon import check, contains, share_in, stands_in
from ronghe.errors import AppError

SQUARE = ((0.2, 0.2), (0.6, 0.2), (0.6, 0.6), (0.2, 0.6))
unit = st.floats(0, 1).map(lambda v: round(v, 3))


@given(st.lists(st.tuples(unit, unit), min_size=3, max_size=3, unique=True), st.tuples(unit, unit))
@settings(max_examples=300, deadline=None)
def test_a_triangle_holds_what_is_on_the_inner_side_of_all_its_sides(
    corners: list[tuple[float, float]], point: tuple[float, float]
) -> None:
    sides = [
        (b[0] - a[0]) * (point[1] - a[1]) - (b[1] - a[1]) * (point[0] - a[0])
        for a, b in zip(corners, [*corners[1:], corners[0]], strict=True)
    ]
    inside = contains(corners, np.array([point]))[0]
    if all(s > 1e-9 for s in sides) or all(s < -1e-9 for s in sides):
        assert inside
    elif any(s > 1e-9 for s in sides) and any(s < -1e-9 for s in sides):
        assert not inside


def test_a_hollow_is_outside() -> None:
    u = ((0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.6, 0.9), (0.6, 0.4), (0.4, 0.4), (0.4, 0.9), (0.1, 0.9))
    assert contains(u, np.array([[0.2, 0.8], [0.5, 0.8], [0.8, 0.8], [0.5, 0.2]])).tolist() == [True, False, True, True]


def test_feet_count_and_the_head_does_not() -> None:
    assert stands_in(SQUARE, (0.3, 0.0, 0.4, 0.5))
    assert not stands_in(SQUARE, (0.3, 0.3, 0.4, 0.8)), "the head is inside, the feet are before it"
    assert share_in(SQUARE, (0.2, 0.2, 0.6, 1.0)) == pytest.approx(0.5)


@pytest.mark.parametrize(
    "polygon",
    [
        ((0.1, 0.1), (0.5, 0.5)),
        ((0.1, 0.1), (0.5, 0.1), (1.2, 0.5)),
        ((0.1, 0.1), (0.5, 0.5), (0.5, 0.1), (0.1, 0.5)),
        ((0.1, 0.1), (0.5, 0.1), (0.9, 0.1)),
        ((0.1, 0.1), (0.5, 0.1), (float("nan"), 0.5)),
        tuple((0.5 + 0.4 * np.cos(t), 0.5 + 0.4 * np.sin(t)) for t in np.linspace(0, 6, 41)),
    ],
)
def test_what_has_no_inside_is_refused(polygon: tuple[tuple[float, float], ...]) -> None:
    with pytest.raises(AppError):
        check(polygon, "zone")
    check(SQUARE, "zone")
