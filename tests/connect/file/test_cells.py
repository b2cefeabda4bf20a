"""Cells as numbers, texts and quality codes."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ronghe.connect.file.cells import codes, is_classic, numbers, texts
from ronghe.signals import quality as q


def one(cell: str, *, decimal_comma: bool = False) -> tuple[float, int, bool]:
    value, code, there = numbers(pa.array([cell, "x"], pa.string()), decimal_comma=decimal_comma)
    return float(value[0]), int(code[0]), bool(there[0])


@pytest.mark.parametrize(
    ("cell", "value"),
    [("1.5", 1.5), ("-2", -2), ("+3", 3), (".5", 0.5), ("5.", 5), ("1e-3", 0.001), (" 7 ", 7), ("TRUE", 1), ("off", 0), ("是", 1),
     ("关", 0), ("1,234.5", 1234.5), ("1,234,567", 1234567)],
)  # fmt: skip
def test_numbers(cell: str, value: float) -> None:
    assert one(cell) == (value, q.GOOD, True)


def test_decimal_comma() -> None:
    assert one("3,14", decimal_comma=True) == (3.14, q.GOOD, True)
    assert one("-0,5e2", decimal_comma=True) == (-50, q.GOOD, True)
    assert one("3.14", decimal_comma=True) == (3.14, q.GOOD, True)


@pytest.mark.parametrize("cell", ["", " ", "NaN", "null", "N/A", "--", "无"])
def test_nothing_is_no_sample(cell: str) -> None:
    assert one(cell)[2] is False


@pytest.mark.parametrize(("cell", "code"), [("Bad Input", q.BAD_TYPE_MISMATCH), ("12abc", q.BAD_TYPE_MISMATCH), ("1e999", q.BAD)])
def test_what_is_no_number_is_not_good(cell: str, code: int) -> None:
    value, got, there = one(cell)
    assert math.isnan(value)
    assert (got, there) == (code, True)


def test_typed_columns() -> None:
    for column in (
        pa.array([1, None], pa.int32()),
        pa.array([True, None]),
        pa.array([1.0, math.nan]),
        pa.array([1, None], pa.decimal128(9, 2)),
    ):
        value, code, there = numbers(column, decimal_comma=False)
        assert value[0] == 1
        assert there.tolist() == [True, False]
        assert code[0] == q.GOOD
    assert texts(pa.array([1.5, None])).to_pylist() == ["1.5", ""]
    assert texts(pa.array([[1], None], pa.list_(pa.int8()))).to_pylist() == ["[1]", ""]
    assert texts(pa.array(["a ", None]).dictionary_encode()).to_pylist() == ["a", ""]


@pytest.mark.parametrize(
    ("column", "wanted"),
    [
        (pa.array([0, 0x80340000]), [q.GOOD, q.BAD_NODE_UNKNOWN]),
        (pa.array(["192", "64", "0", "216"]), [q.GOOD, q.UNCERTAIN, q.BAD, q.GOOD]),
        (pa.array(["Good", "BAD", "uncertain", "坏值", "良好", "strange"]), [q.GOOD, q.BAD, q.UNCERTAIN, q.BAD, q.GOOD, q.UNCERTAIN]),
        (pa.array([None, 0], pa.int64()), [q.GOOD, q.GOOD]),
    ],
)
def test_quality_codes(column: pa.Array, wanted: list[int]) -> None:
    assert codes(column, classic=is_classic(column)).tolist() == wanted


@settings(deadline=None, max_examples=100)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**60), 2**60), min_size=1), st.booleans())
def test_all_numbers_come_back(values: list[float], comma: bool) -> None:
    cells = [repr(v).replace(".", ",") if comma else repr(v) for v in values]
    got, code, there = numbers(pa.array([*cells, "x"], pa.string()), decimal_comma=comma)
    assert got[:-1].tolist() == [float(v) for v in values]
    assert (code[:-1] == q.GOOD).all()
    assert there.all()


@settings(deadline=None, max_examples=100)
@given(st.lists(st.text(max_size=9), max_size=12), st.booleans())
def test_any_text_is_a_number_or_not(cells: list[str], comma: bool) -> None:
    column = pa.array([c.encode("utf-8", "replace").decode() for c in cells], pa.string())
    value, code, there = numbers(column, decimal_comma=comma)
    assert len(value) == len(code) == len(there) == len(cells)
    assert not (np.isnan(value) & (code == q.GOOD) & there).any()
    assert len(codes(column, classic=is_classic(column))) == len(cells)
