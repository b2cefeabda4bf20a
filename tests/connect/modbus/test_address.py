"""One notation for addresses, and messages that say what was probably meant."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ronghe.connect.modbus.address import TABLES, WORDS, Point, check, parse


@pytest.mark.parametrize(
    ("text", "point"),
    [
        ("holding:100:float32", Point(None, "holding", 100, "float32", 2)),
        ("holding:100", Point(None, "holding", 100, "uint16", 1)),
        ("input:7:uint16", Point(None, "input", 7, "uint16", 1)),
        ("coil:3", Point(None, "coil", 3, "bool", 1)),
        ("discrete:12:bool", Point(None, "discrete", 12, "bool", 1)),
        ("holding:100:int64:cdab", Point(None, "holding", 100, "int64", 4, "cdab")),
        ("holding:100:int64:ghefcdab", Point(None, "holding", 100, "int64", 4, "cdab")),
        ("holding:100:uint16:ba", Point(None, "holding", 100, "uint16", 1, "badc")),
        ("5/holding:100:float32", Point(5, "holding", 100, "float32", 2)),
        ("0/coil:0", Point(0, "coil", 0, "bool", 1)),
        ("holding:40.3", Point(None, "holding", 40, "bool", 1, None, 3)),
        ("input:40.15:bool", Point(None, "input", 40, "bool", 1, None, 15)),
        ("holding:0x64:bcd32", Point(None, "holding", 100, "bcd32", 2)),
        (" Holding:10:Text[12] ", Point(None, "holding", 10, "text", 12)),
        ("40101", Point(None, "holding", 100, "uint16", 1)),
        ("400101:float32:dcba", Point(None, "holding", 100, "float32", 2, "dcba")),
        ("465536", Point(None, "holding", 65535, "uint16", 1)),
        ("7/30001.2", Point(7, "input", 0, "bool", 1, None, 2)),
        ("10001", Point(None, "discrete", 0, "bool", 1)),
        ("00001", Point(None, "coil", 0, "bool", 1)),
        ("holding:65535", Point(None, "holding", 65535, "uint16", 1)),
    ],
)
def test_addresses(text: str, point: Point) -> None:
    assert parse(text) == point


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("hr:100", "e.g. holding:100"),
        ("holdng:100:float32", "e.g. holding:100:float32"),
        ("coils:3", "e.g. coil:3"),
        ("holding_register:7", "e.g. holding:7"),
        ("100", "holding:100"),
        ("1", "holding:1"),
        ("40000", "5 or 6 digits"),
        ("465537", "5 or 6 digits"),
        ("holding:400101", "write holding:100 or 400101"),
        ("holding:70000", "0 to 65535"),
        ("holding:-1", "0 to 65535"),
        ("holding:٣", "0 to 65535"),
        ("holding:0x", "0 to 65535"),
        ("holding", "e.g. holding:100"),
        ("holding:", "0 to 65535"),
        ("holding:65535:float32", "last register"),
        ("holding:65533:text[4]", "last register"),
        ("holding:100:float", "did you mean float32?"),
        ("holding:100:real", "did you mean float32?"),
        ("holding:100:uint-32", "did you mean uint32?"),
        ("holding:100:string(8)", "did you mean text[8]?"),
        ("holding:100:text[0]", "text[n]"),
        ("holding:100:bool", "which bit? write NUMBER.BIT"),
        ("holding:40.16", "0 (lowest) to 15"),
        ("holding:40.", "0 (lowest) to 15"),
        ("holding:40.3:uint16", "is a bool"),
        ("coil:3.1", "is one bit"),
        ("coil:3:uint16", "is one bit"),
        ("holding:100:cdab", "the type comes before the order, e.g. float32:cdab"),
        ("holding:100:float32:abdc", "abcd, badc, cdab or dcba"),
        ("holding:100:float32:ab", "is for 2 bytes, float32 has 4"),
        ("holding:40.3:bool:abcd", "no order"),
        ("holding:100:float32:abcd:2", "too many parts"),
        ("300/holding:1", "0 to 255"),
        ("x/holding:1", "0 to 255"),
        ("", "no table"),
    ],
)
def test_what_was_probably_meant(text: str, says: str) -> None:
    said = check(text, "float")
    assert said is not None
    assert says in said.en
    assert said.zh
    assert said.zh != said.en


def test_types_of_properties() -> None:
    assert check("holding:1:text[4]", "text") is None
    assert "uint16" in check("holding:1:text[4]", "float").en
    assert "holding:1:text[8]" in check("holding:1", "text").en
    assert "holding:1.0" in check("holding:1:float32", "bool").en
    assert check("holding:1", "bool") is None
    assert check("coil:1", "float") is None


@settings(deadline=None)
@given(
    unit=st.none() | st.integers(0, 255),
    table=st.sampled_from(TABLES),
    number=st.integers(0, 65532),
    kind=st.sampled_from([*WORDS]),
    order=st.sampled_from(["", ":abcd", ":badc", ":cdab", ":dcba"]),
)
def test_what_is_written_is_read(unit: int | None, table: str, number: int, kind: str, order: str) -> None:
    bits = table in ("coil", "discrete")
    point = parse(("" if unit is None else f"{unit}/") + f"{table}:{number}" + ("" if bits else f":{kind}{order}"))
    assert (point.unit, point.table, point.start) == (unit, table, number)
    assert point.kind == ("bool" if bits else kind)
    assert point.end == number + (1 if bits else WORDS[kind])


@settings(deadline=None, max_examples=120)
@given(st.text(st.sampled_from("holding:coil/.0123456789xabcdtext[]float ٣²½一"), max_size=24) | st.text(max_size=12))
def test_any_text_is_read_or_explained(text: str) -> None:
    said = check(text, "float")
    if said is not None:
        assert said.en
        assert said.zh
    else:
        point = parse(text)
        assert 0 <= point.start < point.end <= 65536
