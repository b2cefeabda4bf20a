"""Guessing is slowed down, and nobody can lock another person out."""

from __future__ import annotations

from ronghe.console.throttle import PLACE_TRIES, TRIES, WINDOW, Throttle


class Clock:
    """A clock that stands until it is moved."""

    now = 1_790_000_000_000_000_000

    def __call__(self) -> int:
        return self.now


def test_a_name_from_one_place() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    for _ in range(TRIES):
        assert throttle.wait("10.0.0.1", "wang") == 0
        throttle.trying("10.0.0.1", "wang")
    assert 0 < throttle.wait("10.0.0.1", "wang") <= 1 + WINDOW // 1_000_000_000
    assert throttle.wait("10.0.0.2", "wang") == 0  # the person at another desk is not locked out
    assert throttle.wait("10.0.0.1", "li") == 0
    assert throttle.wait("10.0.0.1") == 0  # one-time links are for those who forgot theirs
    clock.now += WINDOW
    assert throttle.wait("10.0.0.1", "wang") == 0


def test_one_place_with_many_names() -> None:
    throttle = Throttle(Clock())
    for i in range(PLACE_TRIES):
        assert throttle.wait("10.0.0.1", f"name{i}") == 0
        throttle.trying("10.0.0.1", f"name{i}")
    assert throttle.wait("10.0.0.1", "another") > 0


def test_success_forgets() -> None:
    throttle = Throttle(Clock())
    for _ in range(TRIES - 1):
        throttle.trying("10.0.0.1", "wang")
    throttle.trying("10.0.0.1", "wang")
    throttle.succeeded("10.0.0.1", "wang")
    throttle.trying("10.0.0.1", "wang")
    assert throttle.wait("10.0.0.1", "wang") == 0


def test_a_shift_that_signs_in_is_no_attack() -> None:
    throttle = Throttle(Clock())
    for i in range(3 * PLACE_TRIES):
        assert throttle.wait("10.0.0.1", f"name{i}") == 0
        throttle.trying("10.0.0.1", f"name{i}")
        throttle.succeeded("10.0.0.1", f"name{i}")
    assert throttle._failures == {}


def test_a_try_taken_back_does_not_count() -> None:
    throttle = Throttle(Clock())
    for _ in range(TRIES - 1):
        throttle.trying("10.0.0.1", "wang")
    for _ in range(PLACE_TRIES):
        throttle.trying("10.0.0.1", "wang")
        throttle.take_back("10.0.0.1", "wang")
        assert throttle.wait("10.0.0.1", "wang") == 0
    throttle.trying("10.0.0.1", "wang")
    assert throttle.wait("10.0.0.1", "wang") > 0


def test_spraying_does_not_fill_the_memory() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    for i in range(11_000):
        clock.now += WINDOW // 100
        throttle.trying(f"10.0.{i // 250}.{i % 250}", f"name{i}")
    assert len(throttle._failures) <= 10_001
