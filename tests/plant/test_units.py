"""Units by UCUM code: our table against ucumvert and exact values, labels, spellings."""

from __future__ import annotations

import contextlib
import csv
import math
import subprocess
import sys
from importlib.resources import files
from xml.etree import ElementTree

import pytest
import ucumvert
from hypothesis import given
from hypothesis import strategies as st

from ronghe.errors import RongheError
from ronghe.plant import units
from ronghe.plant.atoms import ATOMS, MISSPELT, PREFIXES


@pytest.fixture(scope="module")
def registry() -> ucumvert.PintUcumRegistry:
    return ucumvert.PintUcumRegistry()


def definitions() -> dict[str, tuple[str, str]]:
    """(value, unit) that defines each unit in the table that the UCUM organisation publishes; without special and base units."""
    root = ElementTree.parse(str(files("ucumvert") / "vendor" / "ucum-essence.xml")).getroot()
    name = "{http://unitsofmeasure.org/ucum-essence}"
    return {
        unit.attrib["Code"]: (value.attrib["value"], value.attrib["Unit"])
        for unit in root.iter(f"{name}unit")
        if unit.attrib.get("isSpecial") != "yes" and (value := unit.find(f"{name}value")) is not None
    }


@pytest.mark.parametrize("atom", sorted(set(ATOMS) & set(definitions())))
def test_each_atom_is_as_ucum_defines_it(atom: str) -> None:
    value, unit = definitions()[atom]
    ours, theirs = units.parse(atom), units.parse("" if unit == "1" else unit)
    if atom != "mol":  # a number to UCUM
        assert ours.dimension == theirs.dimension
        assert float(ours.gain) == pytest.approx(float(value) * float(theirs.gain), rel=1e-9)


def test_most_atoms_are_defined_by_ucum() -> None:
    """The others are its base units and the two temperatures, which conversions below test."""
    assert set(ATOMS) - set(definitions()) == {"m", "s", "g", "K", "cd", "rad", "C", "A", "Cel", "[degF]"} - set(definitions())


@pytest.mark.parametrize("prefix", [p for p in PREFIXES if p])
def test_each_prefix_means_what_ucumvert_says(prefix: str, registry: ucumvert.PintUcumRegistry) -> None:
    theirs = registry.from_ucum(f"{prefix}Pa").to_base_units().magnitude
    assert float(units.parse(f"{prefix}Pa").gain) == pytest.approx(theirs, rel=1e-12)


def examples() -> list[str]:
    """The common units that the National Library of Medicine publishes with UCUM."""
    with (files("ucumvert") / "vendor" / "ucum_examples.tsv").open(encoding="utf-8") as f:  # type: ignore[call-arg]
        return [row["UCUM_CODE"] for row in csv.DictReader(f, delimiter="\t")]


def read_by_ucumvert(registry: ucumvert.PintUcumRegistry, code: str) -> float | None:
    try:
        quantity = registry.from_ucum(code)
        zero, one = (registry.Quantity(n, quantity.units).to_base_units().magnitude for n in (0, 1))
    except Exception:  # it reads no temperature inside a product, among others
        return None
    return float((one - zero) * quantity.magnitude)


def test_every_published_example_is_read_as_ucumvert_reads_it(registry: ucumvert.PintUcumRegistry) -> None:
    compared = 0
    for code in examples():
        if code == "Torr":  # among the examples, yet no UCUM
            continue
        ours, theirs = units.parse(code), read_by_ucumvert(registry, code)
        known = all(base in ("m", "kg", "s", "A", "K", "cd", "mol") for base, _ in ours.dimension)
        if theirs is not None and known:
            assert float(ours.gain) == pytest.approx(theirs, rel=1e-5), code  # UCUM's mercury is not pint's
            compared += 1
    assert compared > 700


EXACT = [
    ("Cel", "[degF]", 1.8, 32.0),
    ("Cel", "K", 1.0, 273.15),
    ("[degF]", "Cel", 5 / 9, -160 / 9),
    ("kPa", "bar", 0.01, 0.0),
    ("bar", "kPa", 100.0, 0.0),
    ("m3/h", "L/min", 50 / 3, 0.0),
    ("kW.h", "MJ", 3.6, 0.0),
    ("1/min", "Hz", 1 / 60, 0.0),
    ("%", "", 0.01, 0.0),
    ("", "1", 1.0, 0.0),
    ("[ppm]", "%", 1e-4, 0.0),
    ("kgf/cm2", "bar", 0.980665, 0.0),
    ("t/h", "kg/s", 1 / 3.6, 0.0),
    ("kJ/(kg.Cel)", "J/(kg.K)", 1000.0, 0.0),
    ("Cel/min", "K/s", 1 / 60, 0.0),
    ("/min", "1/min", 1.0, 0.0),
    ("m/s2", "m.s-2", 1.0, 0.0),
    ("10*3/uL", "1/L", 1e9, 0.0),
    ("{pcs}/h", "1/h", 1.0, 0.0),
    ("kV.A{reactive}", "V.A", 1000.0, 0.0),
    ("deg", "rad", math.pi / 180, 0.0),
    ("W/(m2.K)", "kW/m2/K", 0.001, 0.0),
    ("mm[Hg]", "Pa", 133.322, 0.0),
]


@pytest.mark.parametrize(("source", "target", "gain", "offset"), EXACT)
def test_conversions_are_correctly_rounded(source: str, target: str, gain: float, offset: float) -> None:
    assert units.factor(source, target) == (gain, offset)
    assert units.compatible(source, target)


@given(st.sampled_from([(a, b) for a, b, *_ in EXACT]), st.floats(-1e6, 1e6))
def test_there_and_back_is_where_one_was(pair: tuple[str, str], value: float) -> None:
    there = units.convert(value, *pair)
    assert units.convert(there, *reversed(pair)) == pytest.approx(value, rel=1e-9, abs=1e-6)


@pytest.mark.parametrize(
    ("a", "b"),
    [("bar", "Cel"), ("kW", "kW.h"), ("1/min", "rad/s"), ("deg", "%"), ("dB", "%"), ("[pH]", ""), ("dB", "B[W]"), ("m3", "m3/h")],
)
def test_different_things_do_not_convert(a: str, b: str) -> None:
    assert not units.compatible(a, b)
    with pytest.raises(RongheError, match="does not convert"):
        units.factor(a, b)
    assert units.factor(a, a) == (1.0, 0.0)


@pytest.mark.parametrize(
    "code",
    [
        " ",
        "rpm",
        "foo",
        "m//s",
        "m/",
        "(m",
        "m)",
        "m^2",
        "m³",
        "kk",
        "1.5",
        "0",
        "bar ",
        "{",
        "{a",
        "[",
        "k",
        "mmin",
        "m" * 100,
        "((((((((((m))))))))))",
        "m999",
        "kCel.5m",
    ],
)
def test_what_is_no_unit_is_refused(code: str) -> None:
    with pytest.raises(RongheError, match="not a UCUM unit"):
        units.parse(code)


@given(st.text(max_size=12) | st.text("mskgKCel%[]{}().-/1023", max_size=12))
def test_no_text_makes_a_traceback(code: str) -> None:
    with contextlib.suppress(RongheError):
        units.parse(code)
        units.label(code)
    assert units.suggest(code) == "" or units.parse(units.suggest(code))


@pytest.mark.parametrize(("written", "meant"), sorted(MISSPELT.items()))
def test_every_other_spelling_leads_to_a_unit(written: str, meant: str) -> None:
    units.parse(meant)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("°C", "Cel"),
        ("℃", "Cel"),
        ("rpm", "1/min"),
        ("kWh", "kW.h"),
        ("kWh/t", "kW.h/t"),
        ("m³/h", "m3/h"),
        ("Nm", "N.m"),
        ("l/hr", "l/h"),
        ("W/m2·K", "W/m2.K"),
        ("MPA", "MPa"),
        ("Bar", "bar"),
        ("转/分", "1/min"),
        ("Nm3/h", "m3{normal}/h"),
        ("吨/小时", "t/h"),
        (" bar ", "bar"),
        ("kg／m3", "kg/m3"),
    ],
)
def test_the_unit_meant_is_named(written: str, meant: str) -> None:
    assert units.suggest(written) == meant
    with pytest.raises(RongheError) as caught:
        units.parse(written)
    assert meant in caught.value.in_("en")
    assert meant in caught.value.in_("zh")


@pytest.mark.parametrize(
    ("code", "read"),
    [
        ("Cel", "°C"),
        ("[degF]", "°F"),
        ("m3/h", "m³/h"),
        ("1/min", "1/min"),
        ("kW.h", "kW·h"),
        ("%", "%"),
        ("", ""),
        ("[ppm]", "ppm"),
        ("mm[Hg]", "mmHg"),
        ("10*3/uL", "10³/µL"),
        ("{pcs}/h", "pcs/h"),
        ("um", "µm"),
        ("m/s2", "m/s²"),
        ("s-1", "s⁻¹"),
        ("kOhm", "kΩ"),
        ("W/(m2.K)", "W/(m²·K)"),
        ("kV.A{reactive}", "kvar"),
        ("m3{normal}/h", "m³ (normal)/h"),
        ("[gal_us]/min", "gal/min"),
        ("kJ/(kg.Cel)", "kJ/(kg·°C)"),
        ("deg", "°"),
    ],
)
def test_labels_are_what_people_read(code: str, read: str) -> None:
    units.parse(code)
    assert units.label(code) == read


def test_a_usual_folder_does_not_load_the_library() -> None:
    usual = ["Cel", "bar", "kW.h", "m3/h", "1/min", "%", "mm/s", "t/h"]
    code = f"import sys; from ronghe.plant import units; [units.factor(u, u) for u in {usual}]; sys.exit('pint' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
