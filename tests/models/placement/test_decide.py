"""Where a model goes, on links as they were and on links drawn at random."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ronghe.models.placement.decide import Chooser, Measured, Option, weigh
from ronghe.text import Text

SECOND = 1_000_000_000
DEADLINE = 50.0
SETTLE = 5.0


def here(ms: float | None) -> Option:
    return weigh("here", "edge", DEADLINE, Measured(compute_ms=ms, trip_ms=0.0, transfer_ms=0.0, cost=2.0), ms)


def shop(trip: float | None, *, late: float = 0.0, cost: float = 1.0, here_ms: float | None = 12.0) -> Option:
    m = Measured(compute_ms=8.0, trip_ms=trip, transfer_ms=4.0, cost=cost, late=late)
    return weigh("shop", "workshop", DEADLINE, m, here_ms)


def test_a_sum_is_explained() -> None:
    o = shop(20.0)
    assert (o.p99_ms, o.link_ms, o.meets, o.roomy) == (32.0, 24.0, True, True)
    assert o.why == Text(
        "p99 compute 8.0 ms + round trip 20.0 ms + payload 4.0 ms = 32.0 ms, within 45.0 ms (deadline 50 ms less 10%)",
        "p99：计算 8.0 ms + 往返 20.0 ms + 传输 4.0 ms = 32.0 ms，未超出 45.0 ms（时限 50 ms 扣除 10% 余量）",
    )
    assert shop(30.0).meets
    assert not shop(30.0, here_ms=None).roomy
    assert not shop(40.0, here_ms=None).meets


def test_few_late_calls_are_covered_by_a_run_here_and_many_are_not() -> None:
    assert shop(300.0, late=0.06).meets
    assert "6% of the calls are late" in shop(300.0, late=0.06).why.en
    assert not shop(300.0, late=0.06, here_ms=47.0).meets
    assert not shop(300.0, late=0.4).meets
    assert shop(300.0, late=0.2).meets
    assert not shop(300.0, late=0.2).roomy


def test_what_is_not_measured_is_not_good() -> None:
    assert not shop(None).meets
    assert "not assumed" in shop(None).why.en
    chooser = Chooser("m", "here", 0, SETTLE)
    for t in range(100):
        assert chooser.step({"here": here(None), "shop": shop(None)}, t * SECOND) is None
    assert chooser.trouble is None


def test_moves_for_its_price_and_flees_at_once() -> None:
    chooser = Chooser("m", "here", 0, SETTLE)
    moves = []
    for t in range(60):
        options = {"here": here(12.0), "shop": shop(20.0 if t < 30 else 200.0, late=0.0 if t < 30 else 1.0)}
        if (move := chooser.step(options, t * SECOND)) is not None:
            moves.append((t, move.from_, move.to))
    assert moves == [(5, "here", "shop"), (30, "shop", "here")]


def test_none_meets_it() -> None:
    chooser = Chooser("m", "here", 0, SETTLE)
    assert chooser.step({"here": here(80.0), "shop": shop(90.0, here_ms=80.0)}, 0) is None
    assert chooser.trouble is not None
    assert "no site meets the deadline; the nearest, here: p99 compute 80.0 ms" in chooser.trouble.en
    move = chooser.step({"here": here(80.0), "shop": shop(10.0, here_ms=80.0)}, SECOND)
    assert move is not None
    assert move.to == "shop"
    assert chooser.trouble is None


def test_a_link_that_comes_and_goes_is_left_alone_for_longer_and_longer() -> None:
    """Good for 20 s, bad for 3 s, for an hour: without patience it would have moved 314 times."""
    chooser = Chooser("m", "here", 0, SETTLE)
    moves = 0
    for t in range(3600):
        bad = t % 23 >= 20
        options = {"here": here(12.0), "shop": shop(200.0 if bad else 15.0, late=1.0 if bad else 0.0)}
        moves += chooser.step(options, t * SECOND) is not None
    assert 2 < moves < 40


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.floats(1, 90), st.one_of(st.none(), st.floats(1, 400)), st.floats(0.1, 4)), min_size=1, max_size=120))
def test_whatever_the_link_does(series: list[tuple[float, float | None, float]]) -> None:
    """Never where the deadline is missed while this node would meet it; never back to a site sooner than it may; troubles are told."""
    chooser = Chooser("m", "here", 0, SETTLE)
    left = -10 * SECOND
    for t, (mine, trip, cost) in enumerate(series):
        now = t * SECOND
        options = {"here": here(mine), "shop": shop(trip, cost=cost, here_ms=mine)}
        before = chooser.at
        move = chooser.step(options, now)
        at = options[chooser.at]
        assert (move is None) == (before == chooser.at)
        if options["here"].meets:
            assert at.meets
        assert (chooser.trouble is not None) == (not at.meets)
        if move is not None and move.to == "shop":
            assert now - left >= SETTLE * SECOND
        if move is not None and move.from_ == "shop":
            left = now
