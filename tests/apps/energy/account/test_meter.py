"""From readings to amounts: roll-over, exchange, gaps; and the books through a restart. Every number by hand."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from ronghe.apps.energy.account.books import Books
from ronghe.apps.energy.account.meter import Channel
from ronghe.apps.energy.account.periods import Calendar

MIN = 60 * 10**9
HOUR = 60 * MIN
DAWN = 1_704_067_200 * 10**9  # 2024-01-01, an hour's begin
HOURS = Calendar("1h")


def channel(kind: str, **more: float) -> Channel:
    return Channel(kind=kind, calendar=HOURS, bridge=3 * MIN, **more)  # type: ignore[arg-type]


def test_power_is_integrated_and_a_gap_is_none() -> None:
    c = channel("power")
    assert c.take(DAWN, 60.0) is None
    used = c.take(DAWN + MIN, 120.0)
    assert used is not None
    assert used.amount == pytest.approx(1.5), "90 kW for a minute"
    assert c.take(DAWN + 2 * MIN, math.nan) is None
    bridged = c.take(DAWN + 3 * MIN, 120.0)
    assert bridged is not None
    assert bridged.amount == pytest.approx(4.0)
    assert c.take(DAWN + 7 * MIN, 120.0) is None, "four minutes of silence are a gap"


def test_a_counter_begins_anew_is_exchanged_and_is_read_after_a_gap() -> None:
    c = channel("counter", rollover=1000.0, highest=600.0)
    c.take(DAWN, 995.0)
    over = c.take(DAWN + MIN, 3.0)
    assert over is not None
    assert over.amount == pytest.approx(8.0)
    late = c.take(DAWN + 31 * MIN, 103.0)
    assert late is not None
    assert (late.amount, late.measured) == (pytest.approx(100.0), True), "silent within an hour: the hour is known all the same"
    across = c.take(DAWN + 91 * MIN, 203.0)
    assert across is not None
    assert not across.measured, "over the end of an hour nobody knows how much of it fell into which"
    assert c.take(DAWN + 92 * MIN, 50.0) is None, "it fell, and was not nearly full: exchanged"
    assert c.exchanged == DAWN + 92 * MIN
    assert c.take(DAWN + 93 * MIN, 51.0) is not None
    assert c.take(DAWN + 94 * MIN, 500.0) is None, "449 in a minute, of a meter of 600 an hour"


def books(folder: Path) -> Books:
    return Books(folder, HOURS, {"kwh": channel("counter"), "t": channel("mean")}, 0.95)


def feed(b: Books, minutes: range, lost: range = range(0)) -> list[int]:
    """2 kWh a minute at 20 degrees; the starts of the hours that were closed."""
    closed = []
    for m in minutes:
        gone = m in lost
        rows = b.add(DAWN + m * MIN, [("kwh", math.nan if gone else 2.0 * m), ("t", math.nan if gone else 20.0)])
        closed += [(r.start - DAWN) // HOUR for r in rows]
    return closed


def test_hours_are_closed_and_what_was_not_measured_does_not_count(tmp_path: Path) -> None:
    b = books(tmp_path)
    assert feed(b, range(0, 241), range(130, 170)) == [0, 1, 2, 3]
    one, _, three, four = b.rows
    assert one.amount == {"kwh": pytest.approx(120), "t": pytest.approx(20)}
    assert three.amount == {"kwh": pytest.approx(120), "t": None}, "a counter tells later what it counted meanwhile"
    assert three.good["t"] == pytest.approx(19 / 60, abs=0.001)
    assert four.amount["kwh"] == pytest.approx(120)


def test_a_restart_costs_only_the_time_it_takes(tmp_path: Path) -> None:
    b = books(tmp_path)
    feed(b, range(0, 91))
    b.save()
    again = books(tmp_path)
    assert feed(again, range(93, 181)) == [1, 2]
    assert again.rows[1].amount["kwh"] == pytest.approx(120)
    assert [r.start for r in again.rows] == [DAWN, DAWN + HOUR, DAWN + 2 * HOUR]
    killed = books(tmp_path)  # the open hour was not kept since minute 90: what is closed is not counted twice
    assert feed(killed, range(182, 241)) == [3]
    assert sum(r.amount["kwh"] or 0 for r in killed.rows) <= 480
    with (tmp_path / "books.jsonl").open("ab") as f:
        f.write(b'{"start":17')
    torn = books(tmp_path)
    assert len(torn.rows) == 4
    assert feed(torn, range(241, 301)) == [4]
    assert len(books(tmp_path).rows) == 5


def test_a_local_day_of_23_hours_is_whole(tmp_path: Path) -> None:
    days = Calendar("1d", "Europe/Berlin")
    b = Books(tmp_path, days, {"kw": Channel(kind="power", calendar=days, bridge=3 * HOUR)}, 0.95)
    begin = days.start(1_711_800_000 * 10**9)  # 2024-03-30, the day before the clocks go forward
    closed = [r for h in range(48) for r in b.add(begin + h * HOUR, [("kw", 10.0)])]
    assert [r.amount["kw"] for r in closed] == [pytest.approx(240), pytest.approx(230)]


def test_a_clock_that_was_wrong_is_struck_out(tmp_path: Path) -> None:
    b = books(tmp_path)
    feed(b, range(0, 301))
    assert feed(b, range(290, 302)) == [], "a minute set back: nothing is counted twice"
    assert feed(b, range(60, 181)) == [1, 2]
    assert [(r.start - DAWN) // HOUR for r in b.rows] == [0, 1, 2]
    assert [(r.start - DAWN) // HOUR for r in books(tmp_path).rows] == [0, 1, 2]
