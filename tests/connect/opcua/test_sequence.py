from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ronghe.connect.opcua.sequence import Sequence


def test_in_order_nothing_is_missing() -> None:
    numbers = Sequence()
    assert all(numbers.take(n) for n in range(1, 50))
    numbers.alive(50)
    assert not numbers.missing


def test_a_gap_shows_by_the_next_notification_or_keep_alive() -> None:
    numbers = Sequence()
    assert numbers.take(1)
    assert numbers.take(4)
    assert list(numbers.missing) == [2, 3]
    numbers.alive(6)
    assert list(numbers.missing) == [2, 3, 5]
    assert numbers.take(3)  # late, or asked for again
    assert not numbers.take(3)
    assert list(numbers.missing) == [2, 5]


def test_after_the_last_number_comes_one() -> None:
    numbers = Sequence()
    numbers.expected = 2**32 - 2
    assert numbers.take(2**32 - 2)
    assert numbers.take(1)
    assert list(numbers.missing) == [2**32 - 1]
    assert numbers.expected == 2


def test_the_same_number_twice_is_taken_once() -> None:
    numbers = Sequence()
    assert numbers.take(1)
    assert not numbers.take(1)
    assert numbers.take(2)
    assert not numbers.take(1)


@given(st.lists(st.integers(1, 60), max_size=120))
def test_in_any_order_each_is_taken_once_and_the_rest_is_missing(order: list[int]) -> None:
    numbers = Sequence()
    taken = [n for n in order if numbers.take(n)]
    assert len(taken) == len(set(taken))
    assert set(taken) == set(order)
    assert set(numbers.missing) == set(range(1, max(order, default=0) + 1)) - set(order)
