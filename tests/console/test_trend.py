"""Trends are honest: what was not there is not drawn, what stood still is, and no spike gets lost."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pump_station import PRESSURE, SPEED, write_plant
from served import free_port

from ronghe.console.desk import Desk
from ronghe.console.throttle import Throttle
from ronghe.console.trace import merge
from ronghe.console.trend import MS, Series, _read, _step
from ronghe.console.users import Users
from ronghe.edge.node import Node
from ronghe.plant import load
from ronghe.plugins import load as plugin
from ronghe.signals import Batch
from ronghe.signals import quality as q

S = 1_000_000_000
NOW = 1_790_000_000 * S


class Still:
    """A node that does not run, and what is in its historian."""

    def __init__(self, folder: Path) -> None:
        self.node = Node(load(write_plant(folder, free_port())), clock=lambda: NOW)
        for name, spec in self.node.plant.connections.items():
            self.node.drivers[name] = plugin("ronghe.drivers", spec.driver)(spec.options, self.node.index)
        self.users = Users(folder / "users.sqlite", lambda: NOW)
        self.desk = Desk(self.node, self.users, Throttle(lambda: NOW))

    def record(self, tag: str, seconds: Any, values: Any, quality: Any = q.GOOD) -> None:
        """Samples `seconds` after NOW (negative: before)."""
        time = NOW + (np.asarray(seconds) * S).astype(np.int64)
        self.node.historian.append(Batch.of(self.node.index, [tag] * len(time), time, values, quality))

    def read(self, tag: str, start: float, end: float = 0, points: int = 400) -> Series:
        """A trend from `start` to `end`, in s after NOW."""
        return _read(self.desk, [tag], NOW + round(start * S), NOW + round(end * S), points)[0]


@pytest.fixture
def still(tmp_path: Path) -> Iterator[Still]:
    """A node that does not run."""
    still = Still(tmp_path)
    yield still
    asyncio.run(still.node.stop())
    still.users.close()


def seconds(spans: list[tuple[float, float]]) -> list[tuple[float, float]]:
    return [(a / 1000 - NOW / S, b / 1000 - NOW / S) for a, b in spans]


def test_raw(still: Still) -> None:
    still.record(PRESSURE, [-3, -2, -1], [7.0, 8.0, 9.0])
    series = still.read(PRESSURE, -5)
    assert (series.mode, series.every) == ("raw", 0)
    assert series.t == [(NOW - n * S) // MS for n in (3, 2, 1)]
    assert series.v == [7, 8, 9]
    assert series.bad == []


def test_a_long_span_is_mean_min_and_max_and_keeps_the_spike(still: Still) -> None:
    at = np.arange(-3600, 0, 0.2)
    values = np.full(len(at), 8.0)
    values[9000] = 23.0
    still.record(PRESSURE, at, values)
    series = still.read(PRESSURE, -3600, points=100)
    assert series.mode == "aggregate"
    assert len(series.t) <= 130
    assert max(v for v in series.max if v is not None) == 23
    assert min(v for v in series.min if v is not None) == 8
    assert series.t[np.argmax(series.max)] == pytest.approx((NOW - 1800 * S) / MS, abs=series.every)


@pytest.mark.parametrize("points", [2000, 50])
def test_bad_values_are_gaps(still: Still, points: int) -> None:
    at = np.arange(-120, 0, 0.2)
    lost = (at >= -80) & (at < -40)
    still.record(PRESSURE, at, np.where(lost, np.nan, 8.0), np.where(lost, q.BAD_SENSOR_FAILURE, q.GOOD))
    series = still.read(PRESSURE, -120, points=points)
    ((begin, end),) = seconds(series.bad)
    slack = series.every / 1000
    assert begin == pytest.approx(-80, abs=slack + 0.3)
    assert end == pytest.approx(-40, abs=slack + 0.3)
    inside = [v for t, v in zip(series.t, series.v, strict=True) if -79 + slack < t / 1000 - NOW / S < -41 - slack]
    assert set(inside) <= {None}


@pytest.mark.parametrize("points", [2000, 50])
def test_a_polled_value_that_is_not_renewed_was_not_there(still: Still, points: int) -> None:
    still.record(PRESSURE, np.concatenate([np.arange(-120, -80, 0.2), np.arange(-30, 0, 0.2)]), 8.0)
    series = still.read(PRESSURE, -120, points=points)
    ((begin, end),) = seconds(series.bad)
    assert begin == pytest.approx(-80, abs=series.every / 1000 + 1)
    assert end == pytest.approx(-30, abs=series.every / 1000 + 1)
    assert None in series.v


@pytest.mark.parametrize("points", [2000, 50])
def test_a_set_point_holds_from_edge_to_edge(still: Still, points: int) -> None:
    still.record(PRESSURE, np.arange(-600, 0, 0.2), 8.0)  # the node was running all the time
    still.record(SPEED, [-500, -200], [900.0, 850.0])
    series = still.read(SPEED, -300, points=points)
    assert series.bad == []
    assert seconds([(series.t[0], series.t[-1])])[0] == (-300, 0)
    assert (series.v[0], series.v[-1]) == (900, 850)
    assert None not in series.v
    change = next(i for i, v in enumerate(series.v) if v == 850)
    assert series.t[change] - series.t[change - 1] <= max(200, series.every)  # upright, not a slope of 100 s
    assert series.v[change - 1] == 900


def test_nothing_holds_while_the_node_was_away(still: Still) -> None:
    still.record(PRESSURE, np.concatenate([np.arange(-900, -600, 0.2), np.arange(-300, 0, 0.2)]), 8.0)
    still.record(SPEED, [-900, -299], [900.0, 900.0])  # it reports on connecting
    series = still.read(SPEED, -900, points=5000)
    ((begin, end),) = seconds(series.bad)
    assert begin == pytest.approx(-600, abs=15)
    assert end == pytest.approx(-300, abs=15)
    assert None in series.v


def test_a_lost_device_ends_the_hold(still: Still) -> None:
    still.record(PRESSURE, np.arange(-600, 0, 0.2), 8.0)
    still.record(SPEED, [-500, -200, -100], [900.0, np.nan, 900.0], [q.GOOD, q.BAD_NO_COMMUNICATION, q.GOOD])
    series = still.read(SPEED, -600, points=5000)
    assert seconds(series.bad) == [(-200, -100)]
    assert [v for v, after in zip(series.v, [*series.v[1:], 0], strict=True) if v != after] == [900, None, 900]


def test_nothing_is_said_of_the_future_or_of_what_was_never_recorded(still: Still) -> None:
    still.record(SPEED, [-5], [900.0])
    assert still.read(SPEED, -10, 60).t[-1] == NOW // MS
    assert still.read(SPEED, 10, 60).t == []
    assert still.read(PRESSURE, -10).t == []


@given(st.floats(1, 1e18))
@settings(deadline=None)
def test_intervals_are_round_and_never_too_short(least: float) -> None:
    step = _step(least)
    assert step >= least * (1 - 1e-12)
    assert step <= max(2.6 * least, MS) or step % (604_800 * S) == 0


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(1, 10)).map(lambda p: (float(p[0]), float(p[0] + p[1])))))
@settings(deadline=None)
def test_merged_spans_cover_the_same_and_do_not_touch(spans: list[tuple[float, float]]) -> None:
    merged = merge(spans)

    def covers(list_: list[tuple[float, float]]) -> Callable[[float], bool]:
        return lambda x: any(a <= x < b for a, b in list_)

    assert all(covers(spans)(x) == covers(merged)(x) for x in np.arange(0, 62, 0.5))
    assert all(a[1] < b[0] for a, b in itertools.pairwise(merged))


def test_a_set_point_is_never_shown_at_a_value_it_did_not_have(still: Still) -> None:
    still.record(PRESSURE, np.arange(-7200, 0, 0.5), 8.0)
    still.record(SPEED, [-7000, -3000, -2999], [900.0, 700.0, 850.0])
    series = still.read(SPEED, -7200, points=50)
    assert series.mode == "aggregate"
    assert set(series.v) == {900, 850}
    assert min(v for v in series.min if v is not None) == 700
