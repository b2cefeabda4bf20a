"""When a score is an excursion."""

from __future__ import annotations

import itertools
import math

from hypothesis import given, settings
from hypothesis import strategies as st

from ronghe.apps.maintenance.excursion import Excursion


def run(scores: list[float], hold: int = 0, release: int = 0) -> list[bool]:
    e = Excursion(hold, release)
    return [e.step(s) for s in scores]


def test_hold_and_release() -> None:
    assert run([0, 2, 2, 2, 0, 2, 0, 0, 0], hold=2, release=2) == [False, False, False, True, True, True, True, True, False]


def test_the_deadband() -> None:
    assert run([1.01, 0.95, 1.01, 0.95, 0.89]) == [True, True, True, True, False]


def test_the_settling_band() -> None:
    """After an excursion to 100 the process settles at 3: that is over, and not the next one."""
    assert run([100.0, 100.0, 3.0, 3.0]) == [True, True, False, False]
    assert run([10.0, 10.0, 3.0, 3.0]) == [True, True, True, True], "3 is no rest after 10"


def test_the_wider_tolerance_is_forgotten() -> None:
    e = Excursion()
    for _ in range(50):
        e.step(100.0)
    said = [e.step(2.0) for _ in range(200)]
    assert not any(said[:40])
    assert said[-1], "a state that stays abnormal is said again once the disturbance is long past"


def test_not_judged_changes_nothing() -> None:
    assert run([2, math.nan, math.nan, 2, 0]) == [True, True, True, True, False]
    assert run([0, math.nan, 0]) == [False, False, False]


@settings(deadline=None)
@given(st.lists(st.floats(0, 1e6) | st.just(math.nan), max_size=200), st.integers(0, 5), st.integers(0, 5))
def test_never_chatters(scores: list[float], hold: int, release: int) -> None:
    said = run(scores, hold, release)
    changes = [i for i, (a, b) in enumerate(zip([False, *said], said, strict=False)) if a != b]
    for a, b in itertools.pairwise(changes):
        assert b - a > (release if said[a] else hold)
    for i, active in enumerate(said):
        if active and not (i and said[i - 1]):
            judged = [s for s in scores[: i + 1] if not math.isnan(s)]
            assert min(judged[-hold - 1 :]) > 1
