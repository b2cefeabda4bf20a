"""Times as people write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ronghe.connect.file.times import Clock, from_column, guess_first

AT = datetime(2018, 1, 31, 13, 5, 9, tzinfo=UTC)
NS = int(AT.timestamp()) * 10**9


def read(clock: Clock, *texts: str) -> list[int | None]:
    time, ok = clock.read(pa.array(texts, pa.string()))
    return [int(t) if o else None for t, o in zip(time, ok, strict=True)]


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("2018-01-31 13:05:09", NS),
        ("2018-01-31T13:05:09Z", NS),
        ("2018-01-31T13:05:09.250", NS + 250_000_000),
        ("2018-01-31 13:05:09,123456789", NS + 123_456_789),
        ("2018-01-31T21:05:09+08:00", NS),
        ("2018-01-31T21:05:09+0800", NS),
        ("2018-01-31 08:35:09 -04:30", NS),
        ("2018/1/31 13:05:09", NS),
        ("2018.01.31 13:05:09", NS),
        ("2018年1月31日 13时05分09秒", NS),
        ("2018年1月31日 13:05:09", NS),
        ("31/1/2018 13:05:09", NS),
        ("31.01.2018 13:05:09", NS),
        ("31-01-18 13:05:09", NS),
        ("31/01/2018 1:05:09 PM", NS),
        ("31/01/2018 1:05:09 pm", NS),
        (" 2018-01-31  13:05 ", NS - 9 * 10**9),
        ("2018-01-31", NS - (13 * 3600 + 5 * 60 + 9) * 10**9),
        ("31/01/2018 12:00 AM", NS - (13 * 3600 + 5 * 60 + 9) * 10**9),
        (str(NS // 10**9), NS),
        (f"{NS // 10**9}.25", NS + 250_000_000),
        (str(NS // 10**6), NS),
        (str(NS // 10**3 + 1), NS + 1000),
        (str(NS + 1), NS + 1),
        ("1.517e9", 1_517_000_000 * 10**9),
        ("0", 0),
        ("-1.5", -1_500_000_000),
    ],
)
def test_written(text: str, ns: int) -> None:
    assert read(Clock(), text) == [ns]


@pytest.mark.parametrize(
    "text", ["", "now", "2018-13-01", "2018-02-30", "31/02/2018", "2018-01-31 25:00", "2018-01-31 13:61", "13:05", "2018-01",
             "1e300", "inf", "nan", "00/00/0000", "2018-01-31 13 PM", "9999-01-01", "1-1-1-1", "2018-01-31 13:00 PM"],
)  # fmt: skip
def test_no_time(text: str) -> None:
    assert read(Clock(), text, "2018-01-31 13:05:09") == [None, NS]


def test_mixed_writing_in_one_column() -> None:
    assert read(Clock(), "2018-01-31 13:05:09", str(NS // 10**9), "x", "31/01/2018 13:05:09") == [NS, NS, None, NS]


def test_month_first() -> None:
    assert read(Clock(first="month"), "1/31/2018 13:05:09", "2018-01-31 13:05:09") == [NS, NS]


@pytest.mark.parametrize(
    ("texts", "first"),
    [
        (["13/1/2018 0:00", "14/1/2018 0:00"], "day"),
        (["1/13/2018 0:00", "1/14/2018 0:00"], "month"),
        (["1/1/2018 23:45", "2/1/2018 0:00", "2/1/2018 0:15"], "day"),
        (["1/1/2018 23:45", "1/2/2018 0:00", "1/2/2018 0:15"], "month"),
        (["1/1/2018 0:15", "1/1/2018 0:30"], "day"),
        (["2018-01-02", "2018-01-13"], "day"),
        (["nonsense"], "day"),
    ],
)
def test_day_or_month_first_is_seen_from_the_whole(texts: list[str], first: str) -> None:
    assert guess_first(pa.array(texts, pa.string())) == first


def test_zones() -> None:
    shanghai = Clock(zone="Asia/Shanghai")
    assert read(shanghai, "2018-01-31 21:05:09", "2018-01-31T13:05:09Z", str(NS // 10**9)) == [NS] * 3
    berlin = Clock(zone="Europe/Berlin")
    spring = int(datetime(2024, 3, 31, 1, 0, tzinfo=UTC).timestamp()) * 10**9
    assert read(berlin, "2024-03-31 01:59:59", "2024-03-31 03:00:00") == [spring - 10**9, spring]
    autumn = int(datetime(2024, 10, 27, 0, 30, tzinfo=UTC).timestamp()) * 10**9
    assert read(berlin, "2024-10-27 02:30:00") == [autumn]  # occurs twice: the earlier


def test_a_pattern_of_ones_own() -> None:
    clock = Clock(pattern="%d%b%Y:%H:%M:%S.%f", zone="Asia/Shanghai")
    assert read(clock, "31Jan2018:21:05:09.250000", "31/01/2018") == [NS + 250_000_000, None]
    assert read(Clock(pattern="%Y-%m-%d %H:%M:%S %z"), "2018-01-31 21:05:09 +0800") == [NS]


def test_typed_columns() -> None:
    naive = pa.array([AT.replace(tzinfo=None), None], pa.timestamp("us"))
    time, ok = from_column(naive, Clock(zone="Asia/Shanghai"))
    assert ok.tolist() == [True, False]
    assert time[0] == NS - 8 * 3600 * 10**9
    aware = pa.array([AT.astimezone(timezone(timedelta(hours=8)))], pa.timestamp("ms", tz="Asia/Shanghai"))
    assert from_column(aware, Clock(zone="Europe/Berlin"))[0].tolist() == [NS]
    assert from_column(pa.array([NS // 10**6, None], pa.int64()), Clock())[1].tolist() == [True, False]
    assert from_column(pa.array([NS + 1], pa.int64()), Clock())[0].tolist() == [NS + 1]
    assert read(Clock(), str(NS + 1), "9" * 19) == [NS, None]  # beyond int64
    assert from_column(pa.array([AT.date()], pa.date32()), Clock())[0].tolist() == [NS // (86400 * 10**9) * 86400 * 10**9]


@settings(deadline=None, max_examples=100)
@given(st.integers(-8_500_000_000_000_000, 7_200_000_000_000_000), st.sampled_from(["%Y-%m-%d %H:%M:%S.%f", "%d/%m/%Y %H:%M:%S.%f"]))
def test_all_times_come_back(microseconds: int, pattern: str) -> None:
    written = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)).strftime(pattern)
    assert read(Clock(), written) == [microseconds * 1000]
    assert read(Clock(pattern=pattern), written) == [microseconds * 1000]


@settings(deadline=None, max_examples=100)
@given(st.lists(st.text(st.sampled_from("0123456789-/:. TZ+年月日eE,APMx"), max_size=30) | st.text(max_size=8), max_size=20))
def test_any_text_is_a_time_or_not(texts: list[str]) -> None:
    column = pa.array([t.encode("utf-8", "replace").decode() for t in texts], pa.string())
    for clock in (Clock(), Clock(zone="Asia/Shanghai", first="month"), Clock(pattern="%H")):
        time, ok = clock.read(column)
        assert (time.dtype, ok.dtype, len(time), len(ok)) == (np.int64, np.bool_, len(texts), len(texts))
    assert guess_first(column) in ("day", "month")
