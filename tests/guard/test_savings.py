"""Savings: added up with their intervals, and no hour of one key counted twice."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from tests.guard.station import S, Station

from ronghe.cli.guard import ledger
from ronghe.guard import Interval, Saving
from ronghe.guard.saving import total
from ronghe.guard.savings import Savings
from ronghe.text import Text

Make = Callable[..., Station]
HOUR = 3600 * S


def saving(start: int, end: int, **fields: Any) -> Saving:
    """A saving of the hours start..end."""
    given = {
        "key": "site/battery",
        "app": "energy",
        "equipment": "site",
        "name": Text("Battery", "储能"),
        "method": "rule_on_measured",
        "baseline": Text("the time-of-use rule on the same load", "同一负荷下的分时规则"),
        "money": Interval(value=10.0, low=7.0, high=12.0),
    }
    return Saving(**{**given, "start": start * HOUR, "end": end * HOUR, **fields})


def test_a_sum_of_independent_periods_is_narrower_than_the_sum_of_their_intervals() -> None:
    whole = total([Interval(value=10.0, low=7.0, high=12.0), Interval(value=-4.0, low=-8.0, high=4.0)])
    assert whole == Interval(value=6.0, low=6.0 - 5.0, high=6.0 + math.hypot(2.0, 8.0))
    assert total([]) is None


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(-1, 12)), max_size=40))
def test_no_hour_is_counted_twice(periods: list[tuple[int, int]]) -> None:
    book, taken = Savings(), set[int]()
    for start, length in periods:
        hours = set(range(start, start + length))
        one = saving(start, start + length)
        may = book.refuse(one) is None
        assert may == (bool(hours) and not hours & taken)
        if may:
            book.book(one)
            taken |= hours
    assert book.accounts.keys() == ({"site/battery"} if taken else set())
    if taken:
        assert book.accounts["site/battery"].days == pytest.approx(len(taken) / 24)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"key": ""}, "needs a key"),
        ({"money": None}, "neither kWh nor money nor kg"),
        ({"money": Interval(value=1.0, low=2.0, high=3.0)}, "sound interval"),
        ({"energy": Interval(value=math.nan, low=0.0, high=3.0)}, "sound interval"),
        ({"carbon": Interval(value=1.0, low=-math.inf, high=3.0)}, "sound interval"),
        ({"currency": "EUR"}, "EUR, but CNY so far"),
    ],
)
def test_what_makes_no_sense_is_refused(fields: dict[str, Any], why: str) -> None:
    book = Savings()
    book.book(saving(0, 1))
    refused = book.refuse(saving(1, 2, **fields))
    assert refused is not None
    assert why in refused.en
    assert refused.zh


def test_the_guard_finds_them_in_its_ledger_again(station: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RONGHE_LANG", "en")
    s = station()
    kwh = Interval(value=100.0, low=90.0, high=110.0)
    for one in (saving(0, 24), saving(24, 48, money=Interval(value=-3.0, low=-5.0, high=1.0)), saving(0, 24, key="site/pv", energy=kwh)):
        s.ledger.append("saving", one)
    s.restart()
    accounts = s.guard.savings.accounts
    assert accounts["site/battery"].money == Interval(value=7.0, low=7.0 - math.hypot(3, 2), high=7.0 + math.hypot(2, 4))
    assert accounts["site/battery"].days == 2
    assert s.guard.savings.refuse(saving(47, 49)) is not None
    whole = s.guard.savings.total()
    assert whole.money["CNY"].value == 17.0
    assert whole.energy == kwh
    assert whole.carbon is None

    folder = s.folder.parent / "work"
    folder.mkdir()
    (folder / ".ronghe").symlink_to(s.folder, target_is_directory=True)
    shown = CliRunner().invoke(ledger, ["savings", str(folder)]).output
    assert "site/battery  Battery  [energy]  2 days" in shown
    assert "in all: +17 CNY (" in shown
    assert "independent" in shown
    body = json.loads(CliRunner().invoke(ledger, ["savings", str(folder), "--json"]).output)
    assert body["total"]["money"]["CNY"]["value"] == 17.0
    assert body["keys"]["site/pv"]["energy"]["value"] == 100.0
    assert "site/battery 1970-01-02T00:00Z..1970-01-03T00:00Z -3 CNY (-5..+1)" in CliRunner().invoke(ledger, ["show", str(folder)]).output
