"""Decimal values as integers: 37.42 is stored as the digits 3742 at scale 2, losslessly.

A transmitter resolves two or three decimals, and as integers such values take a third of the space of doubles and decode faster. After
ALP (Afroozeh et al., "ALP: Adaptive Lossless floating-Point Compression", SIGMOD 2023), with one scale for all values of a tag in a
segment and plain columns, so that any Parquet reader can undo it: value = digits / 10**scale, correctly rounded.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

SCALES: Final = 7  # 0 … 6 decimals
PLAIN: Final = -1  # the scale of a value that is kept as a double
_POWERS: Final = 10.0 ** np.arange(SCALES)
_EXACT: Final = 2.0**52


def encode(value: NDArray[np.float64], first: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int8], NDArray[np.bool_]]:
    """`first` int64[k] is the first row of each tag. Gives digits int64[n], scale int8[k] (`PLAIN` where a tag's values are not
    decimal), and a mask bool[n] of the values that digits cannot hold exactly: they stay doubles."""
    n = len(value)
    sizes = np.diff(np.append(first, n))
    digits = np.zeros(n, np.int64)
    scale = np.full(len(first), PLAIN, np.int8)
    plain = np.ones(n, np.bool_)
    rows, values, tags, starts = np.arange(n), value, np.arange(len(first)), first
    with np.errstate(invalid="ignore", over="ignore"):
        for decimals, power in enumerate(_POWERS):
            if not len(tags):
                break
            number = np.rint(values * power)
            exact = (number / power == values) & (np.abs(number) < _EXACT) & ~((number == 0) & np.signbit(values))
            # One glitch among many decimal values does not make a tag a plain one.
            fits = np.add.reduceat(exact, starts, dtype=np.int64) * 16 >= sizes[tags] * 15
            if fits.any():
                mine = np.repeat(fits, sizes[tags])
                take = mine & exact
                digits[rows[take]] = number[take].astype(np.int64)
                plain[rows[take]] = False
                scale[tags[fits]] = decimals
                rows, values, tags = rows[~mine], values[~mine], tags[~fits]
                starts = np.concatenate([[0], np.cumsum(sizes[tags])[:-1]]).astype(np.int64)
    return digits, scale, plain


def decode(digits: NDArray[np.int64], scale: NDArray[np.int8], sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    """The values of `digits` int64[n], whose tags have `sizes` rows each, one after the other, at `scale` each."""
    power = _POWERS[np.maximum(scale, 0)]
    if len(power) and (power == power[0]).all():
        return digits / power[0]
    return digits / np.repeat(power, sizes)
