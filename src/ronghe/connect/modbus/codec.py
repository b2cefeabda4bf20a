"""Registers to values and back, in columns: every type, every byte and word order.

A register is 16 bits, high byte first on the wire. Values of several registers come in four orders, named by how the bytes of 0xAABBCCDD
arrive: `abcd` (as the wire), `badc` (bytes swapped in each register), `cdab` (registers reversed), `dcba` (both); 64-bit values likewise.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ronghe.connect.modbus.address import BIT_TABLES, WORDS, Point
from ronghe.signals import quality as q

_DTYPES: Final = {
    "int16": ">i2",
    "uint16": ">u2",
    "int32": ">i4",
    "uint32": ">u4",
    "float32": ">f4",
    "int64": ">i8",
    "uint64": ">u8",
    "float64": ">f8",
}


def swaps(point: Point, default: str) -> tuple[bool, bool]:
    """(registers reversed, bytes swapped) of a point; the default order is for 32- and 64-bit values only, a text or a single register
    follows it only where its own address says so."""
    order = point.order or (default if point.words > 1 and point.kind != "text" else "abcd")
    return order in ("cdab", "dcba") and point.kind != "text", order in ("badc", "dcba")


@dataclass(frozen=True, slots=True, eq=False)
class Decoder:
    """How to take all values of one type and order out of a block of registers.

    registers  intp[n, words]  positions in the block, most significant first
    rows       intp[n]         where the values go
    """

    kind: str
    byteswap: bool
    registers: NDArray[np.intp]
    rows: NDArray[np.intp]
    bits: NDArray[np.uint16]

    def values(self, block: NDArray[np.uint16]) -> tuple[NDArray[np.float64], NDArray[np.uint32]]:
        """(value float64[n], quality uint32[n]). A float that is not finite is "no value" (NaN, Bad); digits that are no BCD are NaN,
        BadDecodingError."""
        raw = block[self.registers]
        if self.kind == "bool":
            return ((raw[:, 0] >> self.bits) & 1).astype(np.float64), np.zeros(len(raw), np.uint32)
        if self.byteswap:
            raw = raw.byteswap()
        if self.kind.startswith("bcd"):
            return _bcd(raw)
        value = raw.astype(">u2").view(_DTYPES[self.kind])[:, 0].astype(np.float64)
        quality = np.zeros(len(raw), np.uint32)
        if self.kind.startswith("float"):
            lost = ~np.isfinite(value)
            value[lost], quality[lost] = np.nan, q.BAD
        return value, quality

    def texts(self, block: NDArray[np.uint16]) -> list[str]:
        """The texts of a text decoder, up to the first NUL, without trailing blanks."""
        raw = block[self.registers]
        return [_text((r.byteswap() if self.byteswap else r).astype(">u2").tobytes()) for r in raw]


def decoders(points: Sequence[Point], rows: Sequence[int], start: int, default: str) -> list[Decoder]:
    """The decoders of one block that begins at register (or coil) `start`; `rows[i]` is where the value of `points[i]` goes."""
    groups: dict[tuple[str, bool, bool, int], list[int]] = {}
    for i, p in enumerate(points):
        groups.setdefault((p.kind, *swaps(p, default), p.words), []).append(i)
    made = []
    for (kind, reverse, byteswap, words), members in groups.items():
        step = np.arange(words, dtype=np.intp)[:: -1 if reverse else 1]
        first = np.array([points[i].start - start for i in members], np.intp)
        bits = np.array([points[i].bit or 0 for i in members], np.uint16)
        made.append(Decoder(kind, byteswap, first[:, None] + step, np.array([rows[i] for i in members], np.intp), bits))
    return made


def encode(point: Point, value: float | str, default: str) -> list[int] | int:
    """The registers (0…65535 each, as sent) that hold a value; one 0 or 1 for a coil or a bit. Where it does not fit, an OPC UA StatusCode:
    BadTypeMismatch for a text where a number belongs and the reverse, BadOutOfRange for a number the type cannot hold. Numbers are rounded
    to the resolution of an integer type, never wrapped."""
    if (point.kind == "text") != isinstance(value, str):
        return q.BAD_TYPE_MISMATCH
    if isinstance(value, str):
        data = _text_bytes(value, 2 * point.words)
        if data is None:
            return q.BAD_OUT_OF_RANGE
    else:
        number = float(value) if not isinstance(value, int) else value
        if not math.isfinite(number):
            return q.BAD_OUT_OF_RANGE
        if point.kind == "bool":
            return [int(number)] if number in (0, 1) else q.BAD_OUT_OF_RANGE
        try:
            data = _bytes(point.kind, number)
        except (struct.error, OverflowError):
            return q.BAD_OUT_OF_RANGE
    reverse, byteswap = swaps(point, default)
    words = np.frombuffer(data, ">u2")[:: -1 if reverse else 1].astype(np.uint16)
    return [int(w) for w in (words.byteswap() if byteswap else words)]


def held(point: Point, number: float) -> float:
    """The number that is read back where `encode` takes this one: whole in an integer type, of seven digits in a float32."""
    if not math.isfinite(number) or point.kind in ("bool", "text", "float64"):
        return number
    with np.errstate(over="ignore"):  # what is too large for the type is refused when it is written
        return float(np.float32(number)) if point.kind == "float32" else float(round(number))


def is_bits(point: Point) -> bool:
    """Whether the point lives in a table of bits."""
    return point.table in BIT_TABLES


def _bytes(kind: str, number: float) -> bytes:
    if kind.startswith("float"):
        return struct.pack({"float32": ">f", "float64": ">d"}[kind], number)
    whole = round(number)
    if kind.startswith("bcd"):
        digits = 4 * WORDS[kind]
        if not 0 <= whole < 10**digits:
            raise OverflowError
        return bytes.fromhex(f"{whole:0{digits}d}")
    return struct.pack({"int16": ">h", "uint16": ">H", "int32": ">i", "uint32": ">I", "int64": ">q", "uint64": ">Q"}[kind], whole)


def _bcd(raw: NDArray[np.uint16]) -> tuple[NDArray[np.float64], NDArray[np.uint32]]:
    nibbles = (raw[:, :, None] >> np.array([12, 8, 4, 0], np.uint16)) & 15
    digits = nibbles.reshape(len(raw), -1)
    value = digits @ (10.0 ** np.arange(digits.shape[1] - 1, -1, -1))
    wrong = (digits > 9).any(axis=1)
    value[wrong] = np.nan
    return value, np.where(wrong, np.uint32(q.BAD_DECODING), np.uint32(q.GOOD))


def _text(data: bytes) -> str:
    data = data.partition(b"\0")[0]
    for encoding in ("utf-8", "gb18030"):
        try:
            return data.decode(encoding).rstrip()
        except UnicodeDecodeError:
            continue
    return data.decode("ascii", "replace").rstrip()


def _text_bytes(text: str, size: int) -> bytes | None:
    data = text.encode("utf-8", "surrogatepass")
    return data.ljust(size, b"\0") if len(data) <= size else None
