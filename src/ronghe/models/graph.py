"""ONNX graphs as bytes: write one, cut one after the tensors that are wanted, add nodes to one.

ONNX is protocol buffers (https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3). What is needed here is eight messages of it, so that
neither training a model nor running it needs the `onnx` library.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ronghe.errors import ModelError
from ronghe.text import Text

OPSET: Final = 17
_IR: Final = 8
_ELEMENT: Final = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6, "int64": 7, "bool": 9, "float16": 10}
_FLOAT, _INT, _STRING, _FLOATS, _INTS = 1, 2, 3, 6, 7  # AttributeProto.AttributeType
_MODEL_GRAPH, _MODEL_OPSET = 7, 8
_NODE, _NAME, _INITIALIZER, _INPUT, _OUTPUT = 1, 2, 5, 11, 12  # GraphProto
_TENSOR_NAME: Final = 8

Attribute = int | float | str | Sequence[int] | Sequence[float]


def tensor(name: str, array: NDArray[Any]) -> bytes:
    """A TensorProto: the numbers of an initializer."""
    dims = b"".join(_number(1, d) for d in array.shape)
    kind = _number(2, _ELEMENT[array.dtype.name])
    return dims + kind + _bytes(_TENSOR_NAME, name.encode()) + _bytes(9, np.ascontiguousarray(array).tobytes())


def node(op: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Attribute) -> bytes:
    """A NodeProto: one operator of the default domain."""
    ends = b"".join(_bytes(1, i.encode()) for i in inputs) + b"".join(_bytes(2, o.encode()) for o in outputs)
    return ends + _bytes(4, op.encode()) + b"".join(_bytes(5, _attribute(k, v)) for k, v in attributes.items())


def value(name: str, element: str, shape: Sequence[int | str]) -> bytes:
    """A ValueInfoProto: an input or output of the graph. A string in `shape` is a size that may vary."""
    dims = b"".join(_bytes(1, _bytes(2, d.encode()) if isinstance(d, str) else _number(1, d)) for d in shape)
    kind = _number(1, _ELEMENT[element]) + _bytes(2, dims)
    return _bytes(1, name.encode()) + _bytes(2, _bytes(1, kind))


def model(nodes: Iterable[bytes], initializers: Iterable[bytes], inputs: Iterable[bytes], outputs: Iterable[bytes]) -> bytes:
    """A ModelProto of the default operator set."""
    parts = [(_NODE, n) for n in nodes] + [(_NAME, b"ronghe")] + [(_INITIALIZER, t) for t in initializers]
    parts += [(_INPUT, i) for i in inputs] + [(_OUTPUT, o) for o in outputs]
    graph = b"".join(_bytes(field, data) for field, data in parts)
    return _number(1, _IR) + _bytes(2, b"ronghe") + _bytes(_MODEL_GRAPH, graph) + _bytes(_MODEL_OPSET, _number(2, OPSET))


def extend(onnx: bytes, nodes: Iterable[bytes], initializers: Iterable[bytes], outputs: Iterable[bytes]) -> bytes:
    """The graph with more nodes after its own, and these outputs in place of its own; what no longer leads to an output is left out."""
    outputs = list(outputs)
    added = [(_NODE, n) for n in nodes] + [(_INITIALIZER, t) for t in initializers]
    kept = [(f, d) for f, d in _graph(onnx) if f != _OUTPUT]
    return _needed(onnx, kept + added + [(_OUTPUT, o) for o in outputs])


def cut(onnx: bytes, outputs: Sequence[str]) -> bytes:
    """The part of a graph that leads to these of its outputs. Raises ModelError when it has no such output."""
    graph = _graph(onnx)
    at = {_text(d, 1): d for f, d in graph if f == _OUTPUT}
    unknown = [o for o in outputs if o not in at]
    if unknown:
        raise ModelError(
            Text(f"the graph has no output {unknown[0]!r}", f"计算图没有输出 {unknown[0]!r}"),
            todo=Text(f"use one of {', '.join(at)}", f"请使用 {'、'.join(at)} 之一"),
        )
    return _needed(onnx, [(f, d) for f, d in graph if f != _OUTPUT] + [(_OUTPUT, at[o]) for o in outputs])


def parameters(onnx: bytes) -> int:
    """How many numbers the initializers hold, integers that are shapes or indices left out."""
    kinds = {_ELEMENT[k] for k in ("float32", "float16", "int8", "uint8")}
    tensors = [list(_fields(d)) for f, d in _graph(onnx) if f == _INITIALIZER]
    return sum(math.prod(v for f, v in t if f == 1 and isinstance(v, int)) for t in tensors if dict(t)[2] in kinds)


def _needed(onnx: bytes, graph: list[tuple[int, bytes]]) -> bytes:
    wanted = {_text(d, 1) for f, d in graph if f == _OUTPUT}
    kept: set[int] = set()
    for i, (f, d) in reversed(list(enumerate(graph))):  # nodes are in topological order
        if f == _NODE and wanted & set(_texts(d, 2)):
            kept.add(i)
            wanted |= set(_texts(d, 1))
    body = b"".join(
        _bytes(f, d)
        for i, (f, d) in enumerate(graph)
        if (i in kept if f == _NODE else _text(d, _TENSOR_NAME) in wanted if f == _INITIALIZER else f in (_NAME, _INPUT, _OUTPUT))
    )
    rest = b"".join(_again(f, d) for f, d in _fields(onnx) if f != _MODEL_GRAPH)
    return rest + _bytes(_MODEL_GRAPH, body)


def _graph(onnx: bytes) -> list[tuple[int, bytes]]:
    try:
        graph = next(d for f, d in _fields(onnx) if f == _MODEL_GRAPH and isinstance(d, bytes))
        return [(f, d) for f, d in _fields(graph) if isinstance(d, bytes)]
    except (StopIteration, IndexError, KeyError, ValueError) as e:
        raise ModelError(Text("not an ONNX graph, or damaged", "不是 ONNX 计算图或已损坏")) from e


def _fields(message: bytes) -> Iterator[tuple[int, bytes | int]]:
    """(field number, its bytes or number) of a protocol buffer message."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == 0:
            number, at = _varint(message, at)
            yield key >> 3, number
            continue
        size, at = _varint(message, at) if kind == 2 else ({1: 8, 5: 4}[kind], at)
        if at + size > len(message):
            raise ValueError("truncated")
        if kind == 2:
            yield key >> 3, message[at : at + size]
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = message[at]
        number |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return number, at


def _texts(message: bytes, field: int) -> list[str]:
    return [d.decode() for f, d in _fields(message) if f == field and isinstance(d, bytes)]


def _text(message: bytes, field: int) -> str:
    return next(iter(_texts(message, field)), "")


def _attribute(name: str, given: Attribute) -> bytes:
    head = _bytes(1, name.encode())
    if isinstance(given, str):
        return head + _bytes(4, given.encode()) + _number(20, _STRING)
    if isinstance(given, int):
        return head + _number(3, given) + _number(20, _INT)
    if isinstance(given, float):
        return head + _float(2, given) + _number(20, _FLOAT)
    if all(isinstance(g, int) for g in given):
        return head + b"".join(_number(8, int(g)) for g in given) + _number(20, _INTS)
    return head + b"".join(_float(7, g) for g in given) + _number(20, _FLOATS)


def _again(field: int, data: bytes | int) -> bytes:
    return _number(field, data) if isinstance(data, int) else _bytes(field, data)


def _bytes(field: int, data: bytes) -> bytes:
    return _number(field, len(data), kind=2) + data


def _float(field: int, number: float) -> bytes:
    return _plain(field << 3 | 5) + struct.pack("<f", number)


def _number(field: int, number: int, kind: int = 0) -> bytes:
    return _plain(field << 3 | kind) + _plain(number & (2**64 - 1))


def _plain(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])
