"""Tariffs: hours, versions, months and timezones; what is wrong is told with its line."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from ronghe.apps.energy.tariff import QUARTER, Tariff, time_of_use
from ronghe.errors import AppError

FILE = """\
currency = "CNY"
timezone = "Asia/Shanghai"

[[version]]
from = "2026-01-01"
demand = 40

[[version.period]]
name = { en = "valley", zh = "谷" }
price = 0.32
hours = ["23-7"]

[[version.period]]
name = { en = "sharp peak", zh = "尖峰" }
price = 1.5
hours = ["19-21"]
months = [7, 8]
days = ["mon", "tue", "wed", "thu", "fri"]

[[version.period]]
name = "day"
price = 0.7

[[version]]
from = "2026-07-15"
until = "2026-08-01"
sell = 0.2

[[version.period]]
name = "all"
price = 0.5
"""


def at(text: str) -> int:
    """A wall-clock time of Shanghai, ns."""
    return round(datetime.fromisoformat(text + "+08:00").timestamp()) * 10**9


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tariff.toml"
    path.write_text(FILE, encoding="utf-8")
    return path


def test_price_by_hour_weekday_month_and_version(file: Path) -> None:
    t = Tariff.read(file)
    times = ["2026-03-02T06:45", "2026-03-02T07:00", "2026-03-02T23:00", "2026-07-01T19:00", "2026-07-04T19:00", "2026-07-15T00:00"]
    assert t.price([at(x) for x in times]).tolist() == [0.32, 0.7, 0.32, 1.5, 0.7, 0.5]
    assert np.isnan(t.price([at("2025-12-31T23:45"), at("2026-08-01T00:00")])).all()  # before the first, after the last: nothing made up
    assert t.sell([at("2026-07-14T12:00"), at("2026-07-16T12:00")]).tolist() == [0.0, 0.2]
    assert t.demand([at("2026-07-14T12:00"), at("2026-07-16T12:00")]).tolist() == [40.0, 0.0]
    first, second = t.month([at("2026-01-31T23:45"), at("2026-02-01T00:00")]).tolist()
    assert second == first + 1 == 12 * 2026 + 1


def test_spans_are_what_the_prices_say(file: Path) -> None:
    t = Tariff.read(file)
    spans = t.spans(at("2026-07-14T00:00"), at("2026-07-16T00:00"))
    assert [(s.price, s.name.en) for s in spans] == [
        (0.32, "valley"), (0.7, "day"), (1.5, "sharp peak"), (0.7, "day"), (0.32, "valley"), (0.5, "all"),
    ]  # fmt: skip
    for s in spans:
        assert (t.price(np.arange(s.start, s.end, QUARTER)) == s.price).all()
    assert spans[0].start == at("2026-07-14T00:00")
    assert spans[-1].end == at("2026-07-16T00:00")
    assert t.spans(at("2027-01-01T00:00"), at("2027-01-02T00:00"))[0].price is None


def test_summer_time_moves_the_hours_of_the_tariff() -> None:
    t = time_of_use(1, 2, 3, 0, valley_hours="0-6", peak_hours="18-21", zone="Europe/Berlin")
    for day, utc in (("2026-03-28", 17), ("2026-03-29", 16), ("2026-10-25", 17)):
        assert t.price([round(datetime.fromisoformat(f"{day}T{utc}:00").replace(tzinfo=UTC).timestamp()) * 10**9]).tolist() == [3.0]
    assert t.price([round(datetime(2026, 3, 29, 3, 45, tzinfo=UTC).timestamp()) * 10**9]).tolist() == [1.0]
    assert t.price([round(datetime(2026, 3, 29, 4, 0, tzinfo=UTC).timestamp()) * 10**9]).tolist() == [2.0]


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ('hours = ["23-7"]', 'hours = ["23-77"]', 8),
        ("price = 0.7", 'price = "dear"', 22),
        ("sell = 0.2", "sels = 0.2", 24),
        ('until = "2026-08-01"', 'until = "2026-07-01"', 24),
        ('name = "day"\nprice = 0.7', 'name = "day"\nprice = 0.7\nhours = ["7-22"]', 4),
        ("demand = 40", "demand = ", 6),
        ('"Asia/Shanghai"', '"Asia/Atlantis"', 1),
    ],
)
def test_what_is_wrong_is_told_with_its_line(file: Path, old: str, new: str, line: int) -> None:
    file.write_text(FILE.replace(old, new), encoding="utf-8")
    with pytest.raises(AppError) as e:
        Tariff.read(file)
    assert e.value.where == f"{file}:{line}"
    assert e.value.what.zh
    assert e.value.todo.en


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(AppError, match=r"tariff\.toml"):
        Tariff.read(tmp_path / "tariff.toml")
