"""The estimate of a link, from what a probe would have seen."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ronghe.models.placement.link import LinkMeter

EVERY = 0.1
STEP = 100_000_000  # ns


def probe(meter: LinkMeter, at: int, ms: float) -> int:
    """A probe that takes `ms`; gives when the next is due."""
    meter.sent(at)
    back = at + round(ms * 1e6)
    meter.back(back, ms)
    return max(back, at + STEP)


def after(trips: list[float]) -> tuple[LinkMeter, int]:
    meter, now = LinkMeter(EVERY), STEP
    for ms in trips:
        now = probe(meter, now, ms)
    return meter, now


def test_nothing_measured_is_not_a_good_link() -> None:
    meter, now = after([5.0] * 19)
    assert LinkMeter(EVERY).state(STEP) is None
    assert LinkMeter(EVERY).late(STEP, 1e9) == 1.0
    assert meter.state(now) is None
    now = probe(meter, now, 5.0)
    assert meter.state(now) is not None
    assert meter.up(now)
    later = now + 30_000_000_000
    assert meter.state(later) is None
    assert not meter.up(later)


def test_round_trips() -> None:
    meter, now = after([10.0, 12.0] * 60)
    link = meter.state(now)
    assert link is not None
    assert (link.rtt_ms, link.p99_ms, link.loss, link.bps) == (12.0, 12.0, 0.0, None)
    jitter = 0.0
    for _ in range(119):
        jitter += (2.0 - jitter) / 16  # RFC 3550, 6.4.1
    assert link.jitter_ms == pytest.approx(jitter)


def test_one_short_stall_in_a_window_is_not_the_99th_percentile_and_two_are() -> None:
    meter, now = after([10.0] * 60 + [90.0] + [10.0] * 59)
    assert (link := meter.state(now)) is not None
    assert link.p99_ms == 10.0
    meter, now = after([10.0] * 40 + [90.0] + [10.0] * 40 + [90.0] + [10.0] * 38)
    assert (link := meter.state(now)) is not None
    assert link.p99_ms == 90.0


@settings(deadline=None, max_examples=15)
@given(st.floats(0.5, 3.0))
def test_a_stall_weighs_as_long_as_it_lasts(seconds: float) -> None:
    """One probe saw it; those that it kept from being sent are counted all the same."""
    meter, now = after([10.0] * 80)
    now = probe(meter, now, seconds * 1e3)
    assert meter.late(now, seconds * 1e3 + 1) == 0.0
    for _ in range(20):
        now = probe(meter, now, 10.0)
    assert meter.late(now, 100.0) == pytest.approx((seconds - 0.1) / EVERY / 60, abs=1.5 / 60)


def test_a_probe_that_is_out_counts_with_its_age() -> None:
    meter, now = after([10.0] * 100)
    meter.sent(now)
    assert (link := meter.state(now + 50_000_000)) is not None
    assert link.p99_ms == 10.0
    assert (link := meter.state(now + 900_000_000)) is not None
    assert link.p99_ms > 700
    assert meter.late(now + 900_000_000, 100.0) > 0.1


def test_lost_probes() -> None:
    meter, now = after([10.0] * 90)
    for _ in range(10):
        meter.sent(now)
        meter.lost(now)
        now += STEP
    assert (link := meter.state(now)) is not None
    assert link.loss == pytest.approx(0.1)
    assert link.p99_ms == 2000.0
    meter.resent(1000, 300)
    assert (link := meter.state(now)) is not None
    assert link.loss == pytest.approx(0.3)


def test_bandwidth_is_that_of_payloads() -> None:
    meter, now = after([10.0] * 30)
    assert meter.transfer(now, 1000) == 0.0
    assert meter.transfer(now, 100_000) is None  # not measured is not fast
    meter.carried(now, 2_000, 0.001)
    assert meter.bps(now) is None
    for ms in (8.0, 8.0, 300.0):  # one of them met a stall
        meter.carried(now, 100_000, ms)
    assert meter.bps(now) == pytest.approx(100e6)
    assert meter.transfer(now, 50_000) == pytest.approx(4.0)
