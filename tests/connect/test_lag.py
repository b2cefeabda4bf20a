"""How old samples are when they are handed over."""

from __future__ import annotations

from ronghe.connect.driver import Health
from ronghe.connect.lag import LagMeter

S = 1_000_000_000


def test_the_latest_part_counts_until_it_has_nothing_more() -> None:
    health = Health()
    meter = LagMeter(health)
    meter.seen(6.0, 1 * S, part=0)
    meter.seen(0.5, 2 * S, part=1)
    assert health.lag == 6.0
    meter.seen(0.0, 3 * S, part=0)
    assert health.lag == 0.5
    meter.seen(0.0, 4 * S, part=1)
    assert (health.lag, health.lag_max) == (0.0, 6.0)


def test_the_largest_lag_is_forgotten_after_a_minute() -> None:
    health = Health()
    meter = LagMeter(health)
    meter.seen(6.0, 29 * S)
    meter.seen(0.0, 31 * S)
    assert health.lag_max == 6.0
    meter.seen(0.0, 61 * S)
    assert health.lag_max == 0.0
