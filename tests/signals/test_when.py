"""Durations and times as people write them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ronghe.errors import RongheError
from ronghe.signals.when import UNITS, format_time, parse_duration, parse_time

S = 1_000_000_000
NOW = 1_772_352_000 * S  # 2026-03-01T08:00:00Z


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("100ms", S // 10),
        ("1s", S),
        ("1.5 h", 5400 * S),
        ("10min", 600 * S),
        (" 10 min ", 600 * S),
        ("7d", 7 * 86400 * S),
        ("2w", 14 * 86400 * S),
        ("0s", 0),
        (".5s", S // 2),
        ("0.1ms", 100_000),
    ],
)
def test_durations(text: str, ns: int) -> None:
    assert parse_duration(text) == ns


@pytest.mark.parametrize("text", ["", "10", "min", "10 parsecs", "-5s", "1e3s", "1h30min", "١s", "10M", "99999w9", "1000000w"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(RongheError):
        parse_duration(text)


@pytest.mark.parametrize(("text", "meant"), [("5m", "'min'"), ("5MIN", "'min'"), ("5 sec", "'s'")])
def test_a_near_miss_names_the_unit(text: str, meant: str) -> None:
    with pytest.raises(RongheError) as caught:
        parse_duration(text)
    assert meant in caught.value.in_("en")
    assert meant in caught.value.in_("zh")


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("now", NOW),
        ("-15min", NOW - 900 * S),
        ("+1h", NOW + 3600 * S),
        ("2026-03-01", NOW - 8 * 3600 * S),
        ("2026-03-01T08:00", NOW),
        ("2026-03-01 08:00:00", NOW),
        ("2026-03-01T08:00:00Z", NOW),
        ("2026-03-01T16:00:00+08:00", NOW),
        ("2026-03-01T08:00:00.25Z", NOW + S // 4),
        ("2026-03-01T08:00:00.000000001Z", NOW + 1),
        ("1969-12-31T23:59:59.5Z", -S // 2),
    ],
)
def test_times(text: str, ns: int) -> None:
    assert parse_time(text, NOW) == ns


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-13-01", "2026-02-30", "08:00", "-", "- 7d", "-7", "9999-01-01", "-999w9", "1600-01-01"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(RongheError):
        parse_time(text, NOW)


@given(st.text(max_size=20))
@settings(deadline=None)
def test_any_text_is_parsed_or_refused(text: str) -> None:
    for parse in (parse_duration, lambda t: parse_time(t, NOW)):
        with contextlib.suppress(RongheError):
            assert isinstance(parse(text), int)


@given(st.integers(0, 2**62))
@settings(deadline=None)
def test_a_formatted_time_parses_back(ns: int) -> None:
    assert parse_time(format_time(ns), NOW) == ns


@given(st.integers(0, 10_000), st.sampled_from(sorted(UNITS)))
@settings(deadline=None)
def test_whole_numbers_of_every_unit(n: int, unit: str) -> None:
    assert parse_duration(f"{n}{unit}") == n * UNITS[unit]
