"""Cells of a column as numbers, texts and quality codes, whatever way they were written."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ronghe.signals import quality as q

_NUMBER: Final = r"^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$"
_COMMA: Final = r"^[-+]?\d+,\d+([eE][-+]?\d+)?$"
_THOUSANDS: Final = r"^[-+]?\d{1,3}(,\d{3})+(\.\d+)?$"
_NOTHING: Final = ("", "nan", "null", "none", "na", "n/a", "#n/a", "-", "--", "\\n", "nil", "空", "无")
_TRUE: Final = ("true", "on", "yes", "y", "是", "开", "真")
_FALSE: Final = ("false", "off", "no", "n", "否", "关", "假")
_GOOD_WORDS: Final = ("good", "ok", "good, annotated", "true", "好", "良好", "正常", "")
_UNCERTAIN_WORDS: Final = ("uncertain", "questionable", "suspect", "不确定", "可疑")


def texts(column: pa.ChunkedArray | pa.Array) -> pa.StringArray:
    """Any column as text without blanks around it; "" where there is nothing."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = column.chunk(0) if column.num_chunks else pa.array([], column.type)
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    try:
        words = column.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        words = pa.array([None if v is None else str(v) for v in column.to_pylist()], pa.string())
    return pc.utf8_trim_whitespace(words.fill_null(""))


def numbers(column: pa.Array, *, decimal_comma: bool) -> tuple[NDArray[np.float64], NDArray[np.uint32], NDArray[np.bool_]]:
    """(value float64[n], quality uint32[n], whether there is anything bool[n]). What is neither a number nor a truth value is NaN,
    BadTypeMismatch; an infinite number NaN, Bad."""
    n = len(column)
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_decimal(column.type):
        value = column.cast(pa.float64(), safe=False).fill_null(np.nan).to_numpy(zero_copy_only=False)
        return _finite(np.array(value), np.zeros(n, np.uint32))
    words = texts(column)
    try:
        value = pc.if_else(pc.equal(words, ""), None, words).cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False)
        return _finite(np.array(value), np.zeros(n, np.uint32))
    except pa.ArrowInvalid:
        return _written(words, decimal_comma)


def is_classic(column: pa.Array) -> bool:
    """Whether a column of qualities speaks OPC Classic (192 is good, 0 bad; OPC DA 3.00, 6.8): OPC UA has no codes from 1 to 255."""
    value, _, _ = numbers(column, decimal_comma=False)
    return bool(((value >= 1) & (value <= 255)).any())


def codes(column: pa.Array, *, classic: bool) -> NDArray[np.uint32]:
    """A column of qualities as OPC UA StatusCodes: numbers of OPC UA or of OPC Classic, or words. What is not understood is Uncertain."""
    value, code, _ = numbers(column, decimal_comma=False)
    if not (code == q.GOOD).all():
        return _quality_words(texts(column))
    whole = np.where(np.isfinite(value) & (value >= 0) & (value < 2**32), value, 0).astype(np.int64)
    if classic:
        return np.select([whole >= 192, whole >= 64], [np.uint32(q.GOOD), np.uint32(q.UNCERTAIN)], np.uint32(q.BAD)).astype(np.uint32)
    return whole.astype(np.uint32)


def _finite(value: NDArray[np.float64], code: NDArray[np.uint32]) -> tuple[NDArray[np.float64], NDArray[np.uint32], NDArray[np.bool_]]:
    there, endless = ~np.isnan(value), np.isinf(value)
    value[endless], code[endless] = np.nan, q.BAD
    return value, code, there


def _written(words: pa.StringArray, decimal_comma: bool) -> tuple[NDArray[np.float64], NDArray[np.uint32], NDArray[np.bool_]]:
    low = pc.utf8_lower(words)
    if decimal_comma:
        low = pc.if_else(pc.match_substring_regex(low, _COMMA), pc.replace_substring(low, ",", "."), low)
    else:
        low = pc.if_else(pc.match_substring_regex(low, _THOUSANDS), pc.replace_substring(low, ",", ""), low)
    low = pc.if_else(pc.is_in(low, pa.array(_TRUE)), "1", pc.if_else(pc.is_in(low, pa.array(_FALSE)), "0", low))
    numeric = pc.match_substring_regex(low, _NUMBER)
    nothing = pc.is_in(low, pa.array(_NOTHING)).to_numpy(zero_copy_only=False)
    plain = pc.replace_substring_regex(pc.if_else(numeric, low, None), r"^\+", "")
    value = np.array(plain.cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False))
    is_number = numeric.to_numpy(zero_copy_only=False)
    code = np.where(is_number, np.uint32(q.GOOD), np.uint32(q.BAD_TYPE_MISMATCH))
    endless = np.isinf(value)
    value[endless], code[endless] = np.nan, q.BAD
    return value, code, ~nothing


def _quality_words(words: pa.StringArray) -> NDArray[np.uint32]:
    low = pc.utf8_lower(words)
    good = pc.is_in(low, pa.array(_GOOD_WORDS)).to_numpy(zero_copy_only=False)
    bad = pc.match_substring_regex(low, r"bad|坏|差|故障|异常|false|fail|error").to_numpy(zero_copy_only=False)
    return np.select([good, bad], [np.uint32(q.GOOD), np.uint32(q.BAD)], np.uint32(q.UNCERTAIN)).astype(np.uint32)
