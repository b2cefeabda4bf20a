"""Quantities, ranges and rates as people write them."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ronghe.errors import RongheError
from ronghe.plant.quantity import parse_bandwidth, parse_quantity, parse_range, parse_rate, parse_size

MINUTE = 60_000_000_000


@pytest.mark.parametrize(
    ("parse", "text", "result"),
    [
        (parse_quantity, "50 1/min", (50.0, "1/min")),
        (parse_quantity, "8bar", (8.0, "bar")),
        (parse_quantity, " -1.5e3 Cel ", (-1500.0, "Cel")),
        (parse_quantity, ".5", (0.5, "")),
        (parse_range, "600..1450 1/min", (600.0, 1450.0, "1/min")),
        (parse_range, "-5..-1 Cel", (-5.0, -1.0, "Cel")),
        (parse_range, "0 .. 100%", (0.0, 100.0, "%")),
        (parse_range, "0.5..1.5", (0.5, 1.5, "")),
        (parse_rate, "50 1/min per 1 min", (50.0, "1/min", MINUTE)),
        (parse_rate, "50 1/min per min", (50.0, "1/min", MINUTE)),
        (parse_rate, "0.5 Cel per 10s", (0.5, "Cel", 10_000_000_000)),
        (parse_rate, "5 % 每 1 min", (5.0, "%", MINUTE)),
        (parse_size, "20 GB", 20_000_000_000),
        (parse_size, "1.5MiB", 1_572_864),
        (parse_size, "4096 B", 4096),
        (parse_bandwidth, "2 Mbit/s", 2e6),
        (parse_bandwidth, "500kbit/s", 5e5),
        (parse_bandwidth, "1 MB/s", 8e6),
    ],
)
def test_what_people_write_is_read(parse: Callable[[str], Any], text: str, result: Any) -> None:
    assert parse(text) == result


@pytest.mark.parametrize(
    ("parse", "text", "hint"),
    [
        (parse_quantity, "", "50 1/min"),
        (parse_quantity, "fast", "50 1/min"),
        (parse_quantity, "50 rpm", "50 1/min"),
        (parse_quantity, "1e999 bar", "too large"),
        (parse_size, "20 gb", "20 GB"),
        (parse_size, "20 Gbyte", "20 GB"),
        (parse_size, "20 gib", "20 GiB"),
        (parse_size, "20", "20 GB"),
        (parse_size, "0 GB", "nothing"),
        (parse_size, "much", "20 GB"),
        (parse_bandwidth, "2 Mbps", "2 Mbit/s"),
        (parse_bandwidth, "64 kbit", "64 kbit/s"),
        (parse_bandwidth, "2 MB", "2 Mbit/s"),
        (parse_bandwidth, "0 Mbit/s", "nothing"),
        (parse_range, "600-1450 rpm", "600..1450 1/min"),
        (parse_range, "600～1450 rpm", "600..1450 1/min"),
        (parse_range, "600 to 1450 1/min", "600..1450 1/min"),
        (parse_range, "600...1450 1/min", "600..1450 1/min"),
        (parse_range, "1450..600 1/min", "600..1450 1/min"),
        (parse_range, "5..5 bar", "empty"),
        (parse_range, "600 1/min", "600..1450 1/min"),
        (parse_range, "0..8 Bar", "8 bar"),
        (parse_rate, "50 1/min", "per 1 min"),
        (parse_rate, "50 rpm/min", "per 1 min"),
        (parse_rate, "0 bar per 1 min", "more than 0"),
        (parse_rate, "5 bar per 0 s", "more than 0"),
        (parse_rate, "5 bar per 1 m", "min"),
    ],
)
def test_what_cannot_be_read_says_how_to_write_it(parse: Callable[[str], Any], text: str, hint: str) -> None:
    with pytest.raises(RongheError) as caught:
        parse(text)
    assert hint in caught.value.in_("en")
    assert caught.value.what.zh


@given(st.text(max_size=30) | st.text("0123456789.eE+- /minbarper%", max_size=30))
def test_no_text_makes_a_traceback(text: str) -> None:
    for parse in (parse_quantity, parse_range, parse_rate):
        with contextlib.suppress(RongheError):
            assert math.isfinite(parse(text)[0])


@given(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9), st.sampled_from(["bar", "1/min", "%", ""]))
def test_a_range_written_is_the_range_read(a: float, b: float, unit: str) -> None:
    if a < b:
        assert parse_range(f"{a!r}..{b!r} {unit}") == (a, b, unit)
