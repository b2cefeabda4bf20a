"""An even grid: no drift, no piling up."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ronghe.connect.modbus.schedule import Schedule


def test_no_drift() -> None:
    schedule = Schedule([0.1], 1000.0)
    due = []
    for _ in range(1000):
        at, _ = schedule.due()
        due.append(at)
        assert schedule.done(0, at + 0.03) == 0
    assert due == [1000.0 + i * 0.1 for i in range(1000)]


def test_a_poll_that_takes_too_long_skips_and_counts() -> None:
    schedule = Schedule([1.0], 0.0)
    assert schedule.due() == (0.0, 0)
    assert schedule.done(0, 2.5) == 1  # tick 1 is gone, tick 2 is served late
    assert schedule.due() == (2.0, 0)
    assert schedule.done(0, 2.6) == 0
    assert schedule.due() == (3.0, 0)
    assert schedule.done(0, 100.0) == 96
    assert schedule.due() == (100.0, 0)


def test_the_slow_group_does_not_starve_the_other() -> None:
    schedule = Schedule([0.1, 1.0], 0.0)
    now, served = 0.0, [0, 0]
    while now < 20:
        at, i = schedule.due()
        now = max(now, at) + 0.25
        served[i] += 1
        schedule.done(i, now)
    assert served[1] >= 19


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from([0.1, 0.25, 1.0, 3.0]), st.floats(0, 5)), min_size=1, max_size=5), st.data())
def test_every_tick_is_served_or_skipped(groups: list[tuple[float, float]], data: st.DataObject) -> None:
    schedule = Schedule([e for e, _ in groups], 50.0)
    now, served, skipped = 50.0, [0] * len(groups), [0] * len(groups)
    for _ in range(60):
        at, i = schedule.due()
        now = max(now, at) + data.draw(st.floats(0, groups[i][1]))
        served[i] += 1
        skipped[i] += schedule.done(i, now)
    for i, (every, _) in enumerate(groups):
        upcoming = schedule._due[i]
        assert round((upcoming - 50.0) / every) == served[i] + skipped[i]


def test_what_is_under_way_is_not_due_and_the_faster_goes_before() -> None:
    schedule = Schedule([10.0, 0.1, 1.0], 0.0)
    assert schedule.due() == (0.0, 0)
    schedule.begin(0)
    assert schedule.due() == (0.0, 1)
    assert schedule.urgent(0.0, 0) == 1
    schedule.done(1, 0.05)
    assert schedule.urgent(0.06, 0) == 2
    schedule.begin(2)
    assert schedule.urgent(0.06, 0) is None
    assert schedule.urgent(0.1, 2) == 1
    assert schedule.urgent(0.1, 1) is None
    schedule.done(2, 0.1)
    schedule.done(0, 0.2)
    assert schedule.due() == (0.1, 1)
