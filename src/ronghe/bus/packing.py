"""Columns of numbers made small, and back, to the bit: decimals as integers, differences, and one column of bytes for each place value.

A one-second batch of process values holds each tag once, so that general compression finds nothing that repeats. What it does hold:
- values of few decimals, also when a device sent them as 32-bit floats: integers after ALP (Afroozeh et al., SIGMOD 2023);
- differences that are small: to the row before for tags and times, to the tag's sample before for values;
- high bytes that are nearly all alike: one column per byte of the (zigzag) integers, which zstd then packs one by one.
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]

_DOUBLES: Final = 7  # codes 0 … 6: so many decimals of a double
_SINGLES: Final = 5  # codes 16 … 20: 0 … 4 decimals of a 32-bit float
_SINGLE: Final = 16
NAN: Final = 254  # the usual NaN
PLAIN: Final = 255  # the 64 bits of the double as they are
_POWERS: Final = 10.0 ** np.arange(_DOUBLES)
_NAN_BITS: Final = np.array([np.nan]).view(np.uint64)[0]


class Column(msgspec.Struct, frozen=True, array_like=True):
    """How integers were packed: `planes` columns of bytes, or none when all are alike.

    With `differences`, the first is `first` and each other is more than the row before by so many times `unit`; without, all are `first`
    if there are no planes.
    """

    planes: int = 0
    first: int = 0
    unit: int = 1
    differences: bool = False


def pack(numbers: Ints) -> tuple[Column, list[Bytes]]:
    """int64[n] as they are, with their columns of bytes, uint8[n] each."""
    if not len(numbers) or (numbers == numbers[0]).all():
        return Column(0, int(numbers[0]) if len(numbers) else 0), []
    planes = split(numbers)
    return Column(len(planes)), planes


def pack_differences(numbers: Ints) -> tuple[Column, list[Bytes]]:
    """int64[n] by the differences to the row before, modulo 2**64."""
    steps = np.diff(numbers)
    if not len(steps):
        return pack(numbers)
    if (steps == steps[0]).all():
        return Column(0, int(numbers[0]), int(steps[0]), True), []
    unit = 1 if steps.min() == np.iinfo(np.int64).min else max(int(np.gcd.reduce(steps)), 1)
    planes = split(np.concatenate([np.zeros(1, np.int64), steps // unit]))
    return Column(len(planes), int(numbers[0]), unit, True), planes


def unpack(column: Column, planes: list[Bytes], rows: int) -> Ints:
    """What was packed."""
    if not column.differences:
        return join(planes, rows) if column.planes else np.full(rows, column.first, np.int64)
    steps = join(planes, rows) * np.int64(column.unit) if column.planes else np.full(rows, column.unit, np.int64)
    steps[:1] = column.first
    return np.cumsum(steps)


def split(numbers: Ints) -> list[Bytes]:
    """The bytes of zigzag integers by place value, lowest first, without the places that are all zero."""
    zigzag = ((numbers << 1) ^ (numbers >> 63)).astype("<u8")
    places = (int(zigzag.max(initial=0)).bit_length() + 7) // 8
    table = zigzag.view(np.uint8).reshape(-1, 8)
    return [np.ascontiguousarray(table[:, i]) for i in range(places)]


def join(planes: list[Bytes], rows: int) -> Ints:
    """What `split` was given."""
    table = np.zeros((rows, 8), np.uint8)
    for i, plane in enumerate(planes):
        table[:, i] = plane
    zigzag = table.view("<u8").reshape(-1)
    return (zigzag >> np.uint64(1)).view(np.int64) ^ -(zigzag & np.uint64(1)).view(np.int64)


class Values(msgspec.Struct):
    """float64[n] as integers: a code each (see above), digits where the code has decimals (else 0), 64 bits where it is PLAIN (else 0)."""

    code: Bytes
    digits: Ints
    bits: Ints


def encode(value: NDArray[np.float64], tag: Ints) -> Values:
    """One code for all samples of a tag where that holds them exactly: `tag` int64[n] are small integers."""
    code = np.full(len(value), PLAIN, np.uint8)
    rows = np.arange(len(value))
    with np.errstate(invalid="ignore", over="ignore"):
        for c in [*range(_DOUBLES), *range(_SINGLE, _SINGLE + _SINGLES)]:
            if not len(rows):
                break
            exact = _digits(value[rows], np.uint8(c))[1]
            code[rows[exact]] = c
            rows = rows[~exact]
        if len(value) > len(np.unique(tag)):
            greatest = np.zeros(int(tag.max()) + 1, np.uint8)
            np.maximum.at(greatest, tag[code != PLAIN], code[code != PLAIN])
            same = np.where(code == PLAIN, code, greatest[tag])
            digits, exact = _digits(value, same)
            code = np.where(exact, same, PLAIN).astype(np.uint8)
        else:
            digits = _digits(value, code)[0]
    digits[code == PLAIN] = 0
    bits = np.where(code == PLAIN, value.view(np.int64), 0)
    code[(code == PLAIN) & (value.view(np.uint64) == _NAN_BITS)] = NAN
    bits[code == NAN] = 0
    return Values(code, digits, bits)


def decode(values: Values) -> NDArray[np.float64]:
    """What `encode` was given. Raises IndexError for codes that are none."""
    code = values.code
    number = code < NAN
    value = values.digits / _POWERS[np.where(number, code % _SINGLE, 0)]
    single = number & (code >= _SINGLE)
    if single.any():
        value[single] = value[single].astype(np.float32)
    value[code == NAN] = np.nan
    plain = code == PLAIN
    if plain.any():
        value[plain] = values.bits[plain].view(np.float64)
    return value


def _digits(value: NDArray[np.float64], code: NDArray[np.uint8] | np.uint8) -> tuple[Ints, NDArray[np.bool_]]:
    """Digits of values at given codes, and where they are exact."""
    single = code >= _SINGLE
    power = _POWERS[np.where(code < NAN, code % _SINGLE, 0)]
    number = np.rint(value * power)
    back = number / power
    back = np.where(single, back.astype(np.float32), back)
    exact = (back == value) & (np.abs(number) < np.where(single, 2.0**31, 2.0**52)) & ~((number == 0) & np.signbit(value)) & (code < NAN)
    return np.where(exact, number, 0.0).astype(np.int64), exact


def _by_tag(tag: Ints) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Rows in the order of their tags, else as they stand; and which of these begin a tag."""
    order = np.argsort(tag, kind="stable")
    tags = tag[order]
    return order, np.concatenate([[True], tags[1:] != tags[:-1]]) if len(tag) else np.empty(0, np.bool_)


def differ(digits: Ints, tag: Ints) -> Ints:
    """Each less the tag's one before it; the first of each tag as it is."""
    order, begins = _by_tag(tag)
    ordered = digits[order]
    steps = np.diff(ordered, prepend=np.int64(0))
    steps[begins] = ordered[begins]
    out = np.empty_like(digits)
    out[order] = steps
    return out


def sum_up(steps: Ints, tag: Ints) -> Ints:
    """What `differ` was given."""
    order, begins = _by_tag(tag)
    if begins.all():
        return steps
    ordered = steps[order]
    total = np.cumsum(ordered)
    starts = np.flatnonzero(begins)
    base = total[starts] - ordered[starts]
    out = np.empty_like(steps)
    out[order] = total - np.repeat(base, np.diff(np.append(starts, len(steps))))
    return out
