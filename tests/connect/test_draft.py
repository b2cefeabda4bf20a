from __future__ import annotations

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from ronghe.connect import Found
from ronghe.connect.draft import draft, table
from ronghe.plant.checks import legal_path
from ronghe.plant.model import Property
from ronghe.plant.units import compatible


def test_names_units_and_rights_are_taken_over() -> None:
    found = [
        Found(address="a1", path="Line 1/Pump (A)/OilTemperature", type="float", unit="Cel", writable=True),
        Found(address="a2", path="Line 1/Pump (B)/OilTemperature", type="float", unit="K"),
        Found(address="a3", path="Line 1/Pump (B)/Running", type="bool", unit="%"),
    ]
    tags, properties = draft(found, "plc1", {})
    assert [t.tag for t in tags] == ["Line_1/Pump_A/OilTemperature", "Line_1/Pump_B/OilTemperature", "Line_1/Pump_B/Running"]
    assert [t.property for t in tags] == ["oil_temperature", "oil_temperature", "running"]
    assert [(t.unit, t.writable, t.connection) for t in tags] == [("", True, "plc1"), ("K", False, "plc1"), ("", False, "plc1")]
    assert [(p.property, p.name_en, p.name_zh, p.unit, p.type) for p in properties] == [
        ("oil_temperature", "Oil temperature", "油温度", "Cel", "float"),
        ("running", "Running", "", "", "bool"),
    ]


def test_one_name_for_things_that_differ_is_numbered() -> None:
    found = [
        Found(address="1", path="a/Value", unit="bar"),
        Found(address="2", path="b/Value", unit="Cel"),
        Found(address="3", path="c/Value", type="text"),
        Found(address="4", path="a/Value", unit="mbar"),
    ]
    tags, properties = draft(found, "plc1", {})
    assert [t.property for t in tags] == ["value", "value_2", "value_3", "value"]
    assert [t.tag for t in tags] == ["a/Value", "b/Value", "c/Value", "a/Value_2"]
    assert len(properties) == 3


def test_the_dictionary_that_is_there_comes_first() -> None:
    known = {"pressure": Property(property="pressure", unit="bar"), "speed": Property(property="speed", unit="1/min")}
    found = [Found(address="1", path="Pressure", unit="kPa"), Found(address="2", path="Speed", unit="m/s")]
    tags, properties = draft(found, "plc1", known)
    assert [(t.property, t.unit) for t in tags] == [("pressure", "kPa"), ("speed_2", "")]
    assert [p.property for p in properties] == ["speed_2"]


@settings(deadline=None)
@given(
    st.lists(
        st.builds(
            Found,
            address=st.text(min_size=1, max_size=5),
            path=st.text(max_size=12),
            type=st.sampled_from(["float", "int", "bool", "text"]),
            unit=st.sampled_from(["", "bar", "kPa", "Cel", "%"]),
        ),
        max_size=12,
    )
)
def test_whatever_the_device_calls_things_the_names_are_legal(found: list[Found]) -> None:
    tags, properties = draft(found, "plc1", {})
    by_name = {p.property: p for p in properties}
    assert len({t.tag for t in tags}) == len(tags) == len(found)
    assert len(by_name) == len(properties)
    assert all(legal_path(t.tag) for t in tags)
    assert all(re.fullmatch(r"\w[\w.\-]*", p) for p in by_name)
    for t, f in zip(tags, found, strict=True):
        p = by_name[t.property]
        assert (p.type in ("bool", "text")) == (f.type in ("bool", "text"))
        assert compatible(t.unit or p.unit, p.unit)


def test_a_table_lines_up_with_chinese_in_it() -> None:
    text = table([["泵/压力", "1.5"], ["a", "22"]], ["路径", "值"])
    assert text.splitlines() == ["路径     值", "泵/压力  1.5", "a        22"]
