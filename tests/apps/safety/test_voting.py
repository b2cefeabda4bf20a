"""M-out-of-N: the whole truth table of 2oo3, and what holds for every vote."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ronghe.apps.safety.settings import Group
from ronghe.apps.safety.voting import Voting

OK, OVER, BAD = 5.0, 12.0, math.nan


def trips(values: tuple[float, ...], bad: str, vote: str = "2oo3") -> bool:
    group = Group(name="g", tags=("a", "b", "c")[: len(values)], vote=vote, high=10.0, bad=bad)  # type: ignore[arg-type]
    return Voting(group).step(np.array(values)).trip


# how many are over and how many bad → with bad = "vote", with bad = "degrade"
TABLE = {
    (0, 0): (False, False),
    (1, 0): (False, False),
    (2, 0): (True, True),
    (3, 0): (True, True),
    (0, 1): (False, False),
    (1, 1): (True, True),
    (2, 1): (True, True),
    (0, 2): (True, False),
    (1, 2): (True, True),
    (0, 3): (True, True),
}


@pytest.mark.parametrize("values", list(itertools.product((OK, OVER, BAD), repeat=3)))
def test_two_out_of_three(values: tuple[float, ...]) -> None:
    over, bad = sum(v == OVER for v in values), sum(math.isnan(v) for v in values)
    assert (trips(values, "vote"), trips(values, "degrade")) == TABLE[over, bad]


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_losing_a_sensor_or_crossing_the_limit_never_undoes_a_trip(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 5))
    m = data.draw(st.integers(1, n))
    bad = data.draw(st.sampled_from(["vote", "degrade"]))
    values = data.draw(st.lists(st.sampled_from([OK, OVER, BAD]), min_size=n, max_size=n))
    group = Group(name="g", tags=tuple("abcde"[:n]), vote=f"{m}oo{n}", high=10.0, bad=bad)
    before = Voting(group).step(np.array(values)).trip
    i = data.draw(st.integers(0, n - 1))
    worse = [*values[:i], OVER, *values[i + 1 :]]
    if values[i] == OK:
        lost = Voting(group).step(np.array([*values[:i], BAD, *values[i + 1 :]])).trip
        assert lost or not before
        assert Voting(group).step(np.array(worse)).trip or not before
    assert not Voting(group).step(np.full(n, OK)).trip
    assert Voting(group).step(np.full(n, OVER)).trip
    assert Voting(group).step(np.full(n, BAD)).trip


def test_a_vote_ends_only_beyond_the_deadband() -> None:
    voting = Voting(Group(name="g", tags=("a",), vote="1oo1", high=10.0, low=2.0, deadband=0.5))
    said = [voting.step(np.array([v])).trip for v in (9.9, 10.0, 9.6, 9.4, 2.0, 2.4, 2.6)]
    assert said == [False, True, True, False, True, True, False]
