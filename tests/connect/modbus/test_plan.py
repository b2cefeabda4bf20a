"""Plans: everything is read once, within limits, and no block crosses a cut."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from ronghe.connect.modbus.address import Point
from ronghe.connect.modbus.plan import Block, blocks, split

points = st.lists(
    st.builds(
        lambda table, start, words: Point(1, table, start, "text", words),
        st.just("holding"),
        st.integers(0, 400),
        st.integers(1, 9),
    ),
    min_size=1,
    max_size=60,
)
bits = st.lists(st.builds(lambda at: Point(1, "coil", at, "bool", 1), st.integers(0, 5000)), min_size=1, max_size=60)


def alone(p: Point, block: Block) -> bool:
    """Whether a block holds nothing beyond this point's registers."""
    return block.start == p.start and block.count == p.words


@settings(deadline=None, max_examples=120)
@given(points | bits, st.integers(0, 40), st.integers(4, 125), st.sets(st.integers(0, 400), max_size=12))
def test_every_point_once_within_limits(some: list[Point], gap: int, limit: int, cuts: set[int]) -> None:
    made = blocks(some, range(len(some)), gap=gap, limit=limit, order="abcd", cuts=cuts)
    times = 16 if some[0].table == "coil" else 1
    assert sorted(r for b in made for r in b.rows) == list(range(len(some)))
    for b in made:
        assert b.count <= limit * times or any(alone(p, b) for p in b.points)
        covered: set[int] = set()
        for p, row in zip(b.points, b.rows, strict=True):
            assert some[row] is p
            assert b.start <= p.start
            assert p.end <= b.start + b.count
            covered |= set(range(p.start, p.end))
        assert b.start in covered
        assert b.start + b.count - 1 in covered
        unwanted = run = 0
        for at in range(b.start, b.start + b.count):
            run = 0 if at in covered else run + 1
            unwanted = max(unwanted, run)
        assert unwanted <= gap * times
        assert not [c for c in cuts if b.start < c < b.start + b.count and not any(p.start < c < p.end for p in b.points)]
        assert sorted(r for d in b.decoders for r in d.rows.tolist()) == sorted(b.rows)


@settings(deadline=None)
@given(points, st.integers(0, 40), st.integers(4, 125))
def test_neighbours_are_not_left_apart(some: list[Point], gap: int, limit: int) -> None:
    made = blocks(some, range(len(some)), gap=gap, limit=limit, order="abcd", cuts=set())
    for left, right in pairwise(made):
        end = left.start + left.count
        first = right.points[0]
        assert first.start - end > gap or max(end, first.end) - left.start > limit


@settings(deadline=None)
@given(points)
def test_halves_make_the_whole(some: list[Point]) -> None:
    (whole,) = blocks(some, range(len(some)), gap=1000, limit=1000, order="abcd", cuts=set())
    if len(some) == 1:
        return
    left, right = split(whole, "abcd")
    assert left.rows
    assert right.rows
    assert left.rows + right.rows == whole.rows
    assert left.start == whole.start
    assert max(left.start + left.count, right.start + right.count) == whole.start + whole.count


def test_a_block_is_parted_at_its_widest_gap() -> None:
    some = [Point(1, "input", at, "uint16", 1) for at in (0, 1, 5, 30, 33)]
    (whole,) = blocks(some, range(5), gap=100, limit=125, order="abcd", cuts=set())
    left, right = split(whole, "abcd")
    assert (left.start, left.count, right.start, right.count) == (0, 6, 30, 4)


def test_an_example() -> None:
    some = [Point(1, "holding", at, "float32", 2) for at in (0, 2, 10, 40, 42)]
    made = blocks(some, range(5), gap=16, limit=125, order="abcd", cuts=set())
    assert [(b.start, b.count) for b in made] == [(0, 12), (40, 4)]
    made = blocks(some, range(5), gap=16, limit=125, order="abcd", cuts={42})
    assert [(b.start, b.count) for b in made] == [(0, 12), (40, 2), (42, 2)]
