"""Every type in every order, against an oracle that works on the bytes of one value with `struct`."""

from __future__ import annotations

import math
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ronghe.connect.modbus.address import WORDS, Point, parse
from ronghe.connect.modbus.codec import decoders, encode, held
from ronghe.signals import quality as q

FORMATS = {
    "int16": "h", "uint16": "H", "int32": "i", "uint32": "I", "float32": "f", "int64": "q", "uint64": "Q", "float64": "d",
}  # fmt: skip
ORDERS = {  # where the bytes of a big-endian value go
    2: {"abcd": "AB", "badc": "BA", "cdab": "AB", "dcba": "BA"},
    4: {"abcd": "ABCD", "badc": "BADC", "cdab": "CDAB", "dcba": "DCBA"},
    8: {"abcd": "ABCDEFGH", "badc": "BADCFEHG", "cdab": "GHEFCDAB", "dcba": "HGFEDCBA"},
}


def wire(kind: str, order: str, value: float) -> list[int]:
    """The registers of a value, by the definition of the orders."""
    data = struct.pack(">" + FORMATS[kind], value)
    moved = bytes(data["ABCDEFGH".index(letter)] for letter in ORDERS[len(data)][order])
    return [moved[i] << 8 | moved[i + 1] for i in range(0, len(moved), 2)]


def numbers(kind: str) -> st.SearchStrategy[float]:
    if kind.startswith("float"):
        return st.floats(width=32 if kind == "float32" else 64, allow_nan=False, allow_infinity=False)
    size, signed = 16 * WORDS[kind], kind.startswith("int")
    low, high = (-(2 ** (size - 1)), 2 ** (size - 1) - 1) if signed else (0, 2**size - 1)
    return st.integers(low, high) | st.sampled_from([low, high, 0])


def decode(points: list[Point], registers: list[int], default: str = "abcd") -> tuple[np.ndarray, np.ndarray]:
    value, quality = np.full(len(points), np.nan), np.zeros(len(points), np.uint32)
    for d in decoders(points, range(len(points)), 0, default):
        value[d.rows], quality[d.rows] = d.values(np.array(registers, np.uint16))
    return value, quality


samples = st.sampled_from([*FORMATS]).flatmap(lambda k: st.tuples(st.just(k), st.sampled_from([*ORDERS[4]]), numbers(k)))


@settings(deadline=None, max_examples=120)
@given(st.lists(samples, min_size=1, max_size=30))
def test_a_block_of_anything_is_decoded(values: list[tuple[str, str, float]]) -> None:
    points, registers = [], []
    for kind, order, value in values:
        points.append(Point(1, "holding", len(registers), kind, WORDS[kind], order))
        registers += wire(kind, order, value)
    got, quality = decode(points, registers)
    assert got.tolist() == [float(v) for _, _, v in values]
    assert (quality == q.GOOD).all()


@settings(deadline=None, max_examples=120)
@given(samples)
def test_what_is_encoded_is_as_on_the_wire(sample: tuple[str, str, float]) -> None:
    kind, order, value = sample
    assert encode(Point(1, "holding", 0, kind, WORDS[kind], order), value, "abcd") == wire(kind, order, value)


@pytest.mark.parametrize("order", ORDERS[4])
def test_the_default_order_is_for_values_of_several_registers(order: str) -> None:
    one, two, text = parse("holding:0:uint16"), parse("holding:0:float32"), parse("holding:0:text[2]")
    assert encode(one, 0x1234, order) == [0x1234]
    assert encode(two, 1.5, order) == wire("float32", order, 1.5)
    assert encode(text, "abc", order) == [0x6162, 0x6300]
    assert encode(parse("holding:0:float32:badc"), 1.5, order) == wire("float32", "badc", 1.5)


@settings(deadline=None)
@given(st.sampled_from([k for k in FORMATS if not k.startswith("float")]), st.floats() | st.integers(-(2**80), 2**80))
def test_a_number_that_does_not_fit_is_refused_never_wrapped(kind: str, value: float) -> None:
    point = Point(1, "holding", 0, kind, WORDS[kind])
    size, signed = 16 * WORDS[kind], kind.startswith("int")
    low, high = (-(2 ** (size - 1)), 2 ** (size - 1) - 1) if signed else (0, 2**size - 1)
    got = encode(point, value, "abcd")
    if not math.isfinite(value) or not low <= round(value) <= high:
        assert got == q.BAD_OUT_OF_RANGE
    else:
        assert got == wire(kind, "abcd", round(value))


@pytest.mark.parametrize(
    ("address", "value", "expected"),
    [
        ("holding:0:float32", 1e39, q.BAD_OUT_OF_RANGE),
        ("holding:0:float32", math.nan, q.BAD_OUT_OF_RANGE),
        ("holding:0:float64", math.inf, q.BAD_OUT_OF_RANGE),
        ("holding:0:uint16", 49.7, [50]),
        ("holding:0:uint16", "50", q.BAD_TYPE_MISMATCH),
        ("holding:0:text[2]", 50.0, q.BAD_TYPE_MISMATCH),
        ("holding:0:text[2]", "abcde", q.BAD_OUT_OF_RANGE),
        ("holding:0:text[2]", "泵", [0xE6B3, 0xB500]),
        ("holding:0:text[2]:badc", "abc", [0x6261, 0x0063]),
        ("holding:0:bcd16", 1234, [0x1234]),
        ("holding:0:bcd32", 12345678, [0x1234, 0x5678]),
        ("holding:0:bcd32:cdab", 12345678, [0x5678, 0x1234]),
        ("holding:0:bcd16", 10000, q.BAD_OUT_OF_RANGE),
        ("holding:0:bcd16", -1, q.BAD_OUT_OF_RANGE),
        ("holding:0.4", 1.0, [1]),
        ("coil:0", 0.0, [0]),
        ("coil:0", 2.0, q.BAD_OUT_OF_RANGE),
        ("coil:0", 0.5, q.BAD_OUT_OF_RANGE),
        ("coil:0", math.nan, q.BAD_OUT_OF_RANGE),
    ],
)
def test_encode(address: str, value: float | str, expected: list[int] | int) -> None:
    assert encode(parse(address), value, "abcd") == expected


@settings(deadline=None)
@given(st.lists(st.integers(0, 99_999_999), min_size=1, max_size=9))
def test_bcd(values: list[int]) -> None:
    digits = [f"{v:08d}" for v in values]
    registers = [int(d[i : i + 4], 16) for d in digits for i in (0, 4)]
    points = [Point(1, "holding", 2 * i, "bcd32", 2) for i in range(len(values))]
    assert decode(points, registers)[0].tolist() == values


def test_what_is_no_value_is_not_good() -> None:
    nan = wire("float32", "abcd", math.nan)
    points = [parse("holding:0:float32"), parse("holding:2:float32"), parse("holding:4:bcd16"), parse("holding:5:bcd16")]
    value, quality = decode(points, [*nan, 0x7F80, 0, 0x12A4, 0x0042])
    assert np.isnan(value).tolist() == [True, True, True, False]
    assert quality.tolist() == [q.BAD, q.BAD, q.BAD_DECODING, q.GOOD]
    assert value[3] == 42


def test_bits_of_a_register() -> None:
    points = [parse(f"holding:0.{b}") for b in range(16)]
    assert decode(points, [0b1000_0000_0010_0101])[0].tolist() == [1, 0, 1, 0, 0, 1, *[0] * 9, 1]


@pytest.mark.parametrize(
    ("data", "text"),
    [(b"Pump 7\0\0", "Pump 7"), (b"Pump 7  ", "Pump 7"), ("水泵".encode("gb18030"), "水泵"), ("泵\0".encode(), "泵"), (b"\0xyz", "")],
)
def test_texts(data: bytes, text: str) -> None:
    words = [data[i] << 8 | data[i + 1] for i in range(0, len(data), 2)]
    for order in ("abcd", "badc"):
        point = Point(1, "holding", 0, "text", len(words), order)
        block = np.array([w if order == "abcd" else (w & 255) << 8 | w >> 8 for w in words], np.uint16)
        assert decoders([point], [0], 0, "dcba")[0].texts(block) == [text]


@pytest.mark.parametrize("kind", ["int16", "uint16", "int32", "uint32", "int64", "uint64", "bcd16", "bcd32", "float32", "float64"])
@settings(deadline=None)
@given(number=st.floats(0, 9999, allow_nan=False) | st.just(1e300))
def test_what_is_read_back_is_what_was_said_would_be_held(kind: str, number: float) -> None:
    point = parse(f"holding:0:{kind}")
    assert isinstance(point, Point)
    registers = encode(point, number, "abcd")
    if isinstance(registers, int):
        assert number == 1e300
        held(point, number)
        return
    (decoder,) = decoders([point], [0], 0, "abcd")
    assert decoder.values(np.array(registers, np.uint16))[0].tolist() == [held(point, number)]
