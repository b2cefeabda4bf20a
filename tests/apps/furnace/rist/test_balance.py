"""The bottom segment: the book's example, independent checks of its numbers, what cannot be."""

from __future__ import annotations

import math
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from ronghe.apps.furnace.rist import Assumptions, operating_line, solve
from ronghe.apps.furnace.rist import balance as module
from ronghe.apps.furnace.rist.drawing import svg
from ronghe.errors import AppError

BOOK = Assumptions()


def test_the_example() -> None:
    b = solve(BOOK)
    assert (b.carbon, b.oxygen, b.nitrogen) == (pytest.approx(392.0, abs=0.5), pytest.approx(297.9, abs=0.5), pytest.approx(983.1, abs=0.5))
    assert any("fitted" in t.en and "拟合" in t.zh for t in module.assumptions(BOOK))
    assert not any("fitted" in t.en for t in module.assumptions(replace(BOOK, heat_loss=400.0)))


def test_atoms_are_kept() -> None:
    """By moles, with the atomic masses, not by the mass fractions of the book: within their rounding."""
    given = replace(BOOK, moisture=20.0, enrichment=4.0)
    b = solve(given)
    co, co2, water = b.co / 28.010, b.co2 / 44.009, b.moisture / 18.015
    assert b.carbon / 12.011 == pytest.approx(co + co2 + b.dissolved / 12.011, rel=2e-3)
    iron = 1000 / 55.845
    assert iron / 0.947 + b.oxygen / 15.999 + water == pytest.approx(co + 2 * co2 + b.steam / 18.015, rel=2e-3)
    assert water == pytest.approx(b.hydrogen / 2.016 + b.steam / 18.015, rel=2e-3)
    assert (b.co2 / b.co) == pytest.approx(given.gas_ratio)
    dry = (b.oxygen / 31.998 + b.nitrogen / 28.013) * 22.414
    assert 1000 * b.moisture / dry == pytest.approx(20, rel=5e-3)
    assert b.oxygen / 31.998 * 22.414 / dry == pytest.approx(0.25, abs=2e-3)


@pytest.mark.parametrize(
    ("constant", "slope", "mass", "table"),
    [  # H(T) - H(25 °C) in kJ/mol, NIST-JANAF thermochemical tables
        ("_H_O2_IN", "_CP_O2", 31.998, {1200: 29.761, 1300: 33.344, 1400: 36.957, 1500: 40.599, 1600: 44.266}),
        ("_H_N2_IN", "_CP_N2", 28.013, {1200: 28.109, 1300: 31.503, 1400: 34.936, 1500: 38.405, 1600: 41.904}),
    ],
)
def test_enthalpies_are_those_of_the_tables(constant: str, slope: str, mass: float, table: dict[int, float]) -> None:
    for kelvin, kj in table.items():
        ours = getattr(module, constant) + getattr(module, slope) * (kelvin - 273.15 - 1200)
        assert ours == pytest.approx(kj / mass, rel=5e-3)


def test_it_answers_as_a_furnace_does() -> None:
    coke = solve(BOOK).coke_carbon
    assert solve(replace(BOOK, blast_temperature=1100.0)).coke_carbon > coke
    assert solve(replace(BOOK, heat_loss=400.0)).coke_carbon > coke
    assert solve(replace(BOOK, moisture=20.0)).coke_carbon > coke
    assert solve(replace(BOOK, gas_ratio=0.6)).coke_carbon > coke
    injected = solve(replace(BOOK, injected_carbon=100.0))
    assert coke - 100 < injected.coke_carbon < coke  # what comes in cold replaces less than itself
    rich = solve(replace(BOOK, enrichment=5.0))
    assert rich.nitrogen < solve(BOOK).nitrogen


def test_the_points() -> None:
    line = operating_line(BOOK, solve(BOOK))
    at = {p.name: p for p in line.points}
    assert set(at) == set("AEPVW")
    assert (at["W"].x, at["W"].y) == (pytest.approx(1.306, abs=1e-3), pytest.approx(1 / 0.947))
    assert (at["E"].x, at["A"].y) == (0, 1.5)
    assert line.line == ((at["E"].x, at["E"].y), (at["A"].x, at["A"].y))
    for name in "AEPW":  # W by atomic masses, the line by the rounded mass fractions of the book
        assert at[name].y == pytest.approx(at["E"].y + line.slope * at[name].x, abs=2e-3 if name == "W" else 1e-12)
    other = replace(BOOK, gas_ratio=0.5)
    cross = operating_line(other, solve(other))
    assert cross.line[0][1] + cross.slope * at["P"].x == pytest.approx(at["P"].y, abs=1e-9)
    assert cross.line[0][1] + cross.slope * at["W"].x > at["W"].y + 0.05  # it passes W on the left


@given(
    st.builds(
        Assumptions,
        blast_temperature=st.floats(700, 1400),
        gas_ratio=st.floats(0.05, module.EQUILIBRIUM),
        metal_temperature=st.floats(1350, 1650),
        metal_carbon=st.floats(0, 6),
        heat_loss=st.floats(0, 3000),
        enrichment=st.floats(0, 30),
        moisture=st.floats(0, 60),
        injected_carbon=st.floats(0, 300),
    )
)
@settings(deadline=None, max_examples=60)
def test_any_furnace_balances_or_is_refused(chosen: Assumptions) -> None:
    try:
        b = solve(chosen)
        line = operating_line(chosen, b)
    except AppError:
        return
    assert min(b.carbon, b.oxygen, b.nitrogen, b.coke_carbon, b.co, b.co2, b.hydrogen, b.steam) >= -1e-9
    assert b.residual < 1e-6
    assert all(math.isfinite(v) for p in line.points for v in (p.x, p.y))
    drawn = ElementTree.fromstring(svg(line))
    assert len(drawn.findall(".//{*}circle")) == 5


@pytest.mark.parametrize(
    ("wrong", "where", "said"),
    [
        ({"gas_ratio": 0.8}, "rist.gas_ratio", "cannot reduce wüstite"),
        ({"gas_ratio": -0.1}, "rist.gas_ratio", "cannot be"),
        ({"heat_loss": -1.0}, "rist.heat_loss", "cannot be"),
        ({"blast_temperature": math.nan}, "rist.blast_temperature", "cannot be"),
        ({"metal_carbon": 7.0}, "rist.metal_carbon", "at most 6"),
        ({"injected_carbon": 900.0}, "rist.injected_carbon", "are needed in all"),
    ],
)
def test_what_no_furnace_can_do(wrong: dict[str, float], where: str, said: str) -> None:
    with pytest.raises(AppError, match=said) as e:
        solve(replace(BOOK, **wrong))
    assert e.value.where == where
    assert e.value.what.zh
