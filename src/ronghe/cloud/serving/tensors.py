"""Tensors as Open Inference Protocol v2 says them: names of types, JSON, and raw bytes (little-endian, row-major, no padding).

BYTES is an array of byte strings (dtype object): raw, each is 4 bytes of length and its bytes; in JSON a string, base64 where its tensor
has the parameter `content_type` = "base64". In JSON a floating NaN or infinity is null, and null a NaN.
"""

from __future__ import annotations

import base64
import binascii
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from ronghe.cloud.serving.refusal import bad

Array = NDArray[Any]

DTYPE: Final[dict[str, np.dtype[Any]]] = {
    "BOOL": np.dtype("?"),
    **{f"UINT{8 * n}": np.dtype(f"<u{n}") for n in (1, 2, 4, 8)},
    **{f"INT{8 * n}": np.dtype(f"<i{n}") for n in (1, 2, 4, 8)},
    **{f"FP{8 * n}": np.dtype(f"<f{n}") for n in (2, 4, 8)},
    "BYTES": np.dtype(object),
}
DATATYPE: Final = {d: name for name, d in DTYPE.items()}
BYTES: Final = "BYTES"
BASE64: Final = "base64"
_FLAT: Final = {"b": list[bool], "u": list[int], "i": list[int], "f": list[float], "O": list[str]}
_DECODE: Final[dict[str, Any]] = {kind: msgspec.json.Decoder(t) for kind, t in _FLAT.items()}
_LENGTH: Final = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Tensor:
    """An input or output of a model: −1 in `shape` is a size that may vary."""

    name: str
    datatype: str
    shape: tuple[int, ...]


def dtype(name: str, datatype: str) -> np.dtype[Any]:
    """Of a type's name. Raises Refusal for a name that is none."""
    found = DTYPE.get(datatype)
    if found is None:
        raise bad(f"{name}: {datatype} is not a type; one of {', '.join(DTYPE)}", f"{name}：没有类型 {datatype}，可用 {'、'.join(DTYPE)}")
    return found


def from_raw(name: str, datatype: str, shape: Sequence[int], raw: memoryview) -> Array:
    """The tensor in `raw`, not copied where it is aligned. Raises Refusal when it has another size than `shape` says."""
    kind, n = dtype(name, datatype), math.prod(shape)
    if kind.kind == "O":
        return _shaped(name, _strings(name, raw), shape)
    if len(raw) != n * kind.itemsize:
        raise _size(name, shape)
    array = np.frombuffer(raw, kind)
    return (array if array.flags.aligned else array.copy()).reshape(shape)


def from_json(name: str, datatype: str, shape: Sequence[int], data: msgspec.Raw, parameters: dict[str, Any]) -> Array:
    """The tensor in a JSON list, flat or nested. Raises Refusal for numbers that do not fit the type or the shape."""
    kind = dtype(name, datatype)
    try:
        try:
            flat = _DECODE[kind.kind].decode(data)
        except msgspec.ValidationError:  # nested, or with null in it
            flat = _flatten(msgspec.json.decode(data), kind.kind)
        if kind.kind == "O":
            coded = parameters.get("content_type") == BASE64
            flat = [base64.b64decode(s, validate=True) if coded else s.encode() for s in flat]
            return _shaped(name, flat, shape)
        with np.errstate(over="ignore"):
            array = np.array(flat, kind)
    except (msgspec.DecodeError, ValueError, TypeError, OverflowError, AttributeError, RecursionError, binascii.Error) as e:
        raise bad(f"{name}: its data is not {datatype}", f"{name}：数据不是 {datatype} 类型") from e
    if array.size != math.prod(shape):
        raise _size(name, shape)
    return array.reshape(shape)


def to_raw(array: Array) -> bytes | memoryview:
    """The bytes of a tensor; not copied but for BYTES and what is not in row-major order."""
    if array.dtype.kind == "O":
        return b"".join(_LENGTH.pack(len(s)) + s for s in array.ravel().tolist())
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<")).data.cast("B") if array.size else b""


def to_json(array: Array) -> tuple[list[Any], dict[str, Any]]:
    """(flat list, parameters) of a tensor."""
    flat = array.ravel().tolist()
    if array.dtype.kind != "O":
        return flat, {}
    try:
        return [s.decode() for s in flat], {}
    except UnicodeDecodeError:
        return [base64.b64encode(s).decode() for s in flat], {"content_type": BASE64}


def strings(items: Sequence[str | bytes]) -> Array:
    """A BYTES tensor of one dimension."""
    out = np.empty(len(items), object)
    out[:] = [s.encode() if isinstance(s, str) else s for s in items]
    return out


def _flatten(data: Any, kind: str) -> list[Any]:
    """A nested list, flat; null is NaN where there is one. Raises ValueError for what is not of this kind."""
    flat: list[Any] = []
    for item in data:
        if isinstance(item, list):
            flat.extend(_flatten(item, kind))
        elif item is None and kind == "f":
            flat.append(math.nan)
        elif isinstance(item, str) != (kind == "O") or isinstance(item, bool) != (kind == "b") or (isinstance(item, float) and kind != "f"):
            raise ValueError(kind)
        else:
            flat.append(item)
    return flat


def _strings(name: str, raw: memoryview) -> list[bytes]:
    found, at = [], 0
    while at < len(raw):
        end = at + 4 + (_LENGTH.unpack_from(raw, at)[0] if at + 4 <= len(raw) else len(raw))
        if end > len(raw):
            raise bad(f"{name}: its bytes end too early", f"{name}：数据不完整")
        found.append(bytes(raw[at + 4 : end]))
        at = end
    return found


def _shaped(name: str, items: list[bytes], shape: Sequence[int]) -> Array:
    if len(items) != math.prod(shape):
        raise _size(name, shape)
    return strings(items).reshape(shape)


def _size(name: str, shape: Sequence[int]) -> Exception:
    return bad(f"{name}: its data does not fill the shape {list(shape)}", f"{name}：数据与形状 {list(shape)} 不符")
