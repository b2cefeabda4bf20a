"""Arrays of OPC UA DataValues, from the bytes of a message straight to columns (OPC 10000-6, 5.2.2.16 and 5.2.2.17).

A DataValue begins with a mask of what it holds, its Variant with a type. Where both are the same in consecutive entries and the type
has a fixed size, the entries have one size, and the array is a strided NumPy view: no work per sample. Entries of different but fixed
sizes are walked once for their offsets and gathered by layout; only texts, arrays and structures are read one by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ronghe.connect.opcua.binary import SIZES, TEXTS, Reader, bad_frame
from ronghe.signals import quality as q

EPOCH: Final = 116_444_736_000_000_000
"""1970-01-01 in OPC UA time, which counts 100 ns since 1601-01-01."""
OVERFLOW: Final = 0x0480
"""Info bits of a status: InfoType DataValue, Overflow: the device's queue was full and lost a sample before this one."""

_LATEST: Final = (2**63 - 1) // 100 + EPOCH
_DTYPES: Final = {1: "u1", 2: "i1", 3: "u1", 4: "<i2", 5: "<u2", 6: "<i4", 7: "<u4", 8: "<i8", 9: "<u8", 10: "<f4", 11: "<f8"}
_BOOLEAN: Final = 1
_RUN: Final = 4096  # entries looked at for one layout at a time
_SHORT: Final = 16  # a run below this is not worth a view: walk
_WALK: Final = 256  # entries walked before a run is looked for again


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """`handle` uint32[n] (zeros where entries carry none); `time` int64[n] ns UTC: source time, else server time, else 0;
    `value` float64[n], NaN where there is no number; `status` uint32[n], Good turned into BadTypeMismatch where the value is neither
    number nor text and into BadWaitingForInitialData where there is none; `texts` row → text."""

    handle: NDArray[np.uint32]
    time: NDArray[np.int64]
    value: NDArray[np.float64]
    status: NDArray[np.uint32]
    texts: dict[int, str]

    @classmethod
    def blank(cls, n: int) -> Columns:
        """`n` rows to be filled."""
        return cls(np.zeros(n, np.uint32), np.zeros(n, np.int64), np.full(n, np.nan), np.zeros(n, np.uint32), {})

    def __len__(self) -> int:
        return len(self.time)

    @property
    def overflows(self) -> int:
        """How many rows say that the device lost samples before them."""
        return int(np.count_nonzero((self.status & OVERFLOW) == OVERFLOW))


class _Layout:
    """What entries of one mask and one type look like; None-like (`size` 0) where they have no fixed size."""

    __slots__ = ("dtype", "kind", "mask", "size")

    def __init__(self, mask: int, kind: int, prefix: int) -> None:
        self.mask, self.kind, self.size = mask, kind if mask & 1 else 0, 0
        if mask & 0xC0 or (mask & 1 and kind not in SIZES):
            return
        fields = [("handle", "<u4")] if prefix else []
        fields.append(("mask", "u1"))
        if mask & 1:
            fields.append(("kind", "u1"))
            if SIZES[kind]:
                fields.append(("value", _DTYPES.get(kind, f"V{SIZES[kind]}")))
        # In the standard's order, which is not that of the mask's bits.
        for bit, name, form in ((2, "status", "<u4"), (4, "source", "<i8"), (16, "p1", "<u2"), (8, "server", "<i8"), (32, "p2", "<u2")):
            if mask & bit:
                fields.append((name, form))
        self.dtype = np.dtype(fields)
        self.size = self.dtype.itemsize

    def fill(self, out: Columns, rows: slice | NDArray[np.intp], view: NDArray[np.void]) -> None:
        """Writes the entries of a view into rows of the columns."""
        if self.dtype.names is not None and "handle" in self.dtype.names:
            out.handle[rows] = view["handle"]
        status = view["status"] if self.mask & 2 else np.zeros(len(view), np.uint32)
        if self.kind in _DTYPES:
            out.value[rows] = view["value"] != 0 if self.kind == _BOOLEAN else view["value"]
        else:
            status = np.where(status < 0x40000000, _without_value(self.kind) | (status & 0xFFFF), status)
        out.status[rows] = status
        if self.mask & 12:
            time = ns(view["source" if self.mask & 4 else "server"])
            if self.mask & 12 == 12 and not time.all():
                time = np.where(time == 0, ns(view["server"]), time)
            out.time[rows] = time


def _without_value(encoding: int) -> np.uint32:
    """What a Good status becomes when the value cannot be a sample's."""
    return np.uint32(q.BAD_TYPE_MISMATCH if encoding else q.BAD_WAITING)


_LAYOUTS: Final = {prefix: [_Layout(mask, kind, prefix) for mask in range(64) for kind in range(32)] for prefix in (0, 4)}
_LENGTHS: Final = {prefix: [layout.size for layout in table] for prefix, table in _LAYOUTS.items()}


def ns(ticks: NDArray[np.int64]) -> NDArray[np.int64]:
    """OPC UA times as ns since 1970, UTC; 0 for those that are unset or outside 1970..2262."""
    return np.where((ticks > EPOCH) & (ticks < _LATEST), (ticks - EPOCH) * 100, 0)


def ticks(time: int) -> int:
    """ns since 1970 as OPC UA time, rounded down."""
    return time // 100 + EPOCH


def data_values(reader: Reader, n: int, *, handles: bool) -> Columns:
    """Reads `n` entries, each a DataValue, with a client handle (u32) before it when `handles`. Raises BadFrame."""
    prefix = 4 if handles else 0
    if n * (prefix + 1) > reader.left():
        raise bad_frame(f"{n} data values in {reader.left()} bytes", reader.pos)
    out = Columns.blank(n)
    row = 0
    while row < n:
        done = _uniform(reader, out, row, n, prefix)
        if done < _SHORT:
            done += _mixed(reader, out, row + done, n, prefix)
        if not done:
            _single(reader, out, row, handles)
            done = 1
        row += done
    return out


def _key(reader: Reader, pos: int, prefix: int) -> int:
    """Mask and type of the entry at `pos` as a position in `_LAYOUTS`; −1 when there is none of fixed size."""
    data, at = reader.data, pos + prefix
    if at >= reader.end:
        return -1
    mask = data[at]
    if not mask & 1:
        return mask << 5 if mask < 64 else -1
    if mask >= 64 or at + 1 >= reader.end or data[at + 1] >= 32:
        return -1
    return mask << 5 | data[at + 1]


def _uniform(reader: Reader, out: Columns, row: int, n: int, prefix: int) -> int:
    """Takes the entries that follow with the layout of the first; how many that were."""
    key = _key(reader, reader.pos, prefix)
    if key < 0 or not (size := _LENGTHS[prefix][key]):
        return 0
    k = min(n - row, reader.left() // size, _RUN)
    if k < _SHORT:
        return 0
    layout = _LAYOUTS[prefix][key]
    raw = np.frombuffer(reader.data, np.uint8, k * size, reader.pos).reshape(k, size)
    same = raw[:, prefix] == layout.mask
    if layout.mask & 1:
        same &= raw[:, prefix + 1] == layout.kind
    if not same.all():
        k = int(same.argmin())
        if k < _SHORT:
            return 0
    layout.fill(out, slice(row, row + k), np.frombuffer(reader.data, layout.dtype, k, reader.pos))
    reader.skip(k * size)
    return k


def _mixed(reader: Reader, out: Columns, row: int, n: int, prefix: int) -> int:
    """Takes entries of fixed sizes, whatever their layouts, up to the first of another kind; how many that were."""
    lengths, pos, end = _LENGTHS[prefix], reader.pos, reader.end
    starts: list[int] = []
    keys: list[int] = []
    for _ in range(min(n - row, _WALK)):
        key = _key(reader, pos, prefix)
        if key < 0 or not (size := lengths[key]) or pos + size > end:
            break
        starts.append(pos)
        keys.append(key)
        pos += size
    if not keys:
        return 0
    raw = np.frombuffer(reader.data, np.uint8)
    start, kinds = np.array(starts), np.array(keys)
    for key in set(keys):
        layout, mine = _LAYOUTS[prefix][key], np.flatnonzero(kinds == key)
        packed = raw[start[mine, None] + np.arange(layout.size)]
        layout.fill(out, row + mine, packed.view(layout.dtype)[:, 0])
    reader.pos = pos
    return len(keys)


def _single(reader: Reader, out: Columns, row: int, handles: bool) -> None:
    """Takes one entry of any kind."""
    if handles:
        out.handle[row] = reader.u32()
    encoding, value, status, source, server = reader.data_value()
    out.status[row] = status
    if isinstance(value, float):
        out.value[row] = value
    elif isinstance(value, str):
        out.texts[row] = value
    elif status < 0x40000000:
        out.status[row] = int(_without_value(encoding if encoding not in TEXTS else 0)) | (status & 0xFFFF)
    time = ns(np.array([source, server], np.int64))
    out.time[row] = time[0] or time[1]
