"""Factors by version, carbon by scope, and footprints; each number by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest

from ronghe.apps.energy.account.carbon import GRID, Metered, Product, emitted, footprints, scopes
from ronghe.apps.energy.account.factors import Factors
from ronghe.apps.energy.account.periods import DAY
from ronghe.errors import AppError


def ns(*day: int) -> int:
    return round(datetime(*day, tzinfo=UTC).timestamp()) * 10**9  # type: ignore[misc, arg-type]


def test_every_factor_that_comes_along_says_where_it_is_from() -> None:
    shipped = Factors.shipped()
    assert shipped.grid([ns(2022, 6, 1), ns(2026, 1, 1)]).tolist() == [0.5366, 0.5306]
    assert shipped.grid([ns(2024, 1, 1)], "market").tolist() == [0.6096]
    for factor in shipped.factors.values():
        assert factor.title.zh
        for v in factor.version:
            assert any(of in v.source for of in ("IPCC 2006", "MEE and NBS of China"))
            assert v.start >= date(2006, 1, 1)
    gas = shipped.version("natural-gas", ns(2026, 1, 1))
    assert gas.value == pytest.approx(56.1 + 1e-3 * 29.8 + 0.1e-3 * 273, abs=5e-4)
    with pytest.raises(AppError, match="no value for 2018-01-01: the first is from 2021-01-01"):
        shipped.grid([ns(2018, 1, 1)])
    with pytest.raises(AppError, match="did you mean 'natural-gas'"):
        shipped["natural_gas"]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("[factor.a]\ntitle = {en='a'}\nscope = 4\nper = 'kW.h'\nversion = [{from='2020-01-01', value=1.0, source='x'}]\n", 3, "4"),
        ("[factor.a]\ntitle = {en='a'}\nscope = 1\nper = 'kWh'\nversion = [{from='2020-01-01', value=1.0, source='x'}]\n", 1, "kW.h"),
        ("[factor.a]\ntitle = {en='a'}\nscope = 1\nper = 'GJ'\nversion = [{from='2020-01-01', value=-1.0, source='x'}]\n", 5, ">= 0"),
        (
            "\n[grid]\nlocation='b'\n[factor.a]\ntitle={en='a'}\nscope=2\nper='GJ'\nversion=[{from='2020-01-01',value=1,source='x'}]\n",
            2,
            "'b'",
        ),
        ("[factor\n", 1, "not TOML"),
    ],
)
def test_a_factor_file_that_is_wrong(tmp_path: Path, text: str, line: int, said: str) -> None:
    path = tmp_path / "factors.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(AppError) as e:
        Factors.read(path)
    assert e.value.where == f"{path}:{line}"
    assert said in e.value.in_("en")


START = np.array([ns(2024, 1, 1) + i * DAY for i in range(4)], np.int64)


def test_scopes_by_hand() -> None:
    f = Factors.shipped()
    power = Metered("hall", GRID, "MW.h", np.array([1.0, 2.0, np.nan, 4.0]))
    gas = Metered("boiler", "natural-gas", "kW.h", np.array([1000.0, 0.0, 0.0, 0.0]))
    found = [emitted(m, START, f) for m in (power, gas)]
    by = scopes(found, 4)
    assert by.location[[0, 1, 3]] == pytest.approx(np.array([530.6, 1061.2, 2122.4]))
    assert by.market[0] == pytest.approx(609.6)
    assert np.isnan(by.location[2]), "what is not known is not 0"
    assert by.scope1[0] == pytest.approx(3.6 * 56.157)
    with pytest.raises(AppError, match="measured in m3; the factor natural-gas is per GJ"):
        emitted(Metered("boiler", "natural-gas", "m3", gas.amount), START, f)


def test_a_footprint_by_hand() -> None:
    f = Factors.shipped()
    shared = emitted(Metered("hall", GRID, "kW.h", np.array([100.0, 100.0, np.nan, 60.0]), accuracy=1.0), START, f)
    own = emitted(Metered("oven", "natural-gas", "GJ", np.array([1.0, 2.0, 1.0, 0.0]), accuracy=2.0), START, f)
    a = Product("a", np.array([10.0, 20.0, 10.0, 0.0]), weight=1.0)
    b = Product("b", np.array([10.0, 0.0, 10.0, 0.0]), weight=3.0, meters=("oven",), materials={"coke": 0.01})
    one, two = footprints([shared, own], [a, b], START, f)
    # Days 1, 2 and 4 count. Day 1: a quarter to a; day 2: all to a; day 4 stood idle: by weight over all, 30 : 30.
    assert one.energy == pytest.approx((25 + 100 + 30) * 0.5306 / 30)
    assert two.energy == pytest.approx(((75 + 0 + 30) * 0.5306 + 3 * 56.157) / 10)
    assert two.material == pytest.approx(1.07708)
    assert two.kg_per_unit == pytest.approx(two.energy + two.material)
    gas = 3 * 56.157 / 10 * np.hypot(2.0 / 56.157, 0.02)  # half width of the factor's limits and of the class
    coke = 0.01 * (119.708 - 96.408) / 2
    hall = 105 * 0.5306 / 10 * 0.01
    assert two.high - two.kg_per_unit == pytest.approx(np.sqrt(gas**2 + coke**2 + hall**2))
    with pytest.raises(AppError, match="names the meter 'kiln'"):
        footprints([shared], [Product("a", a.quantity, meters=("kiln",))], START, f)
