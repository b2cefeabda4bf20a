"""Between OPC UA values and samples: columns to a batch, and a number or text to the type that a node takes."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import pyarrow as pa
from asyncua import ua
from numpy.typing import NDArray

from ronghe.connect.opcua.columns import Columns
from ronghe.signals import Batch, TagIndex
from ronghe.signals import quality as q

_INTEGERS: Final = {
    ua.VariantType.SByte: 8, ua.VariantType.Int16: 16, ua.VariantType.Int32: 32, ua.VariantType.Int64: 64,
    ua.VariantType.Byte: -8, ua.VariantType.UInt16: -16, ua.VariantType.UInt32: -32, ua.VariantType.UInt64: -64,
}  # fmt: skip
"""Bits; negative: unsigned."""


def rows(columns: Columns, keep: NDArray[np.intp]) -> Columns:
    """Some rows."""
    texts = {}
    if columns.texts:
        texts = {new: columns.texts[old] for new, old in enumerate(keep.tolist()) if old in columns.texts}
    return Columns(columns.handle[keep], columns.time[keep], columns.value[keep], columns.status[keep], texts)


def batch(
    index: TagIndex, tag: NDArray[np.int32], wants_text: NDArray[np.bool_] | None, time: NDArray[np.int64], columns: Columns
) -> Batch:
    """A batch of samples. `wants_text` marks the rows whose tag is a text, None: no tag is. Bad samples have no value; a number for a
    text tag, or a text for a number's, is BadTypeMismatch."""
    quality = columns.status & np.uint32(0xFFFF0000)
    value, text = columns.value, None
    if wants_text is not None or columns.texts:
        wants = np.zeros(len(tag), np.bool_) if wants_text is None else wants_text
        sent = np.zeros(len(tag), np.bool_)
        sent[list(columns.texts)] = True
        quality = np.where((wants != sent) & (quality < q.BAD), np.uint32(q.BAD_TYPE_MISMATCH), quality)
        if (wants & sent).any():
            text = pa.array([columns.texts.get(row) if wants[row] else None for row in range(len(tag))], pa.utf8())
    bad = quality >= q.BAD
    if bad.any():
        value = np.where(bad, np.nan, value)
    return Batch(index, tag, time, value, quality, text)


def variant(value: float | str, kind: ua.VariantType) -> ua.Variant | int:
    """The value as a node of this type takes it, or the StatusCode that says why it cannot be."""
    made: Any
    if kind in (ua.VariantType.String, ua.VariantType.LocalizedText):
        made = value if isinstance(value, str) else f"{value:.17g}"
        return ua.Variant(ua.LocalizedText(made) if kind is ua.VariantType.LocalizedText else made, kind)
    if isinstance(value, str):
        return q.BAD_TYPE_MISMATCH
    if kind is ua.VariantType.Boolean:
        return ua.Variant(value != 0, kind) if value in (0, 1) else q.BAD_OUT_OF_RANGE
    if kind in (ua.VariantType.Double, ua.VariantType.Float):
        if kind is ua.VariantType.Float and math.isfinite(value) and abs(value) > float(np.finfo(np.float32).max):
            return q.BAD_OUT_OF_RANGE
        return ua.Variant(float(value), kind)
    if kind in _INTEGERS:
        bits = _INTEGERS[kind]
        low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if bits > 0 else (0, 2**-bits - 1)
        # Not rounded: a set-point that the device cannot hold is refused, never changed on the way.
        if not math.isfinite(value) or value != int(value) or not low <= value <= high:
            return q.BAD_OUT_OF_RANGE
        return ua.Variant(int(value), kind)
    return q.BAD_TYPE_MISMATCH


def built_in(data_type: Any) -> ua.VariantType | None:
    """The built-in type of a DataType (a NodeId as read from a node); None for those that only a value tells."""
    if not isinstance(data_type, ua.NodeId) or data_type.NamespaceIndex != 0 or not isinstance(data_type.Identifier, int):
        return None
    if 1 <= data_type.Identifier <= 23:
        return ua.VariantType(data_type.Identifier)
    return _ALIASES.get(data_type.Identifier)


_ALIASES: Final = {29: ua.VariantType.Int32, 290: ua.VariantType.Double, 294: ua.VariantType.DateTime}
"""Enumeration, Duration, UtcTime."""
