"""An ONNX graph as a service."""

from __future__ import annotations

from typing import Final

import numpy as np

from ronghe.cloud.serving.tensors import BYTES, DATATYPE, DTYPE, Array, Tensor, strings
from ronghe.errors import ModelError
from ronghe.models import Package
from ronghe.models.runtime import Session
from ronghe.text import Text

TOLERANCE: Final = 1e-5
"""How far a row of a batch may be from the same row alone, of the largest number in the output; a graph that is farther is not batched."""


class Graph:
    """Runs by onnxruntime with one thread a call, so that the numbers do not depend on the load."""

    platform = "onnx_onnxv1"
    optional: frozenset[str] = frozenset()

    def __init__(self, package: Package, where: str = "") -> None:
        if package.onnx is None:
            raise ModelError(Text("the package holds no graph", "模型包中没有计算图"), where=where)
        self._session = Session(package.onnx)
        self.inputs = tuple(_tensor(*t) for t in self._session.takes)
        self.outputs = tuple(_tensor(*t) for t in self._session.gives)
        self.rows = self._by_rows()

    def run(self, feed: dict[str, Array]) -> dict[str, Array]:
        """Raises ModelError for what the graph does not take."""
        given = {k: _text(a) if a.dtype.kind == "O" else a for k, a in feed.items()}
        found = self._session.run(**given)
        return {t.name: _bytes(a) if t.datatype == BYTES else a for t, a in zip(self.outputs, found, strict=True)}

    def _by_rows(self) -> bool:
        """Whether rows are answered one by one: the first dimension varies everywhere, and on numbers drawn at random three rows together
        give what they give alone. A graph with a mean over its rows, or with a recurrence along them, does not."""
        every = (*self.inputs, *self.outputs)
        if any(not t.shape or t.shape[0] != -1 or t.datatype == BYTES for t in every):
            return False
        rng = np.random.default_rng(0)
        for free in (16, 32, 64):
            feed = {t.name: _drawn(rng, t, free) for t in self.inputs}
            try:
                whole = self.run(feed)
                alone = [self.run({k: a[i : i + 1] for k, a in feed.items()}) for i in range(3)]
            except ModelError:
                continue  # other sizes may do
            return all(_close(whole[t.name], [a[t.name] for a in alone]) for t in self.outputs)
        return False


def _tensor(name: str, element: str, shape: tuple[int, ...]) -> Tensor:
    if element == "string":
        return Tensor(name, BYTES, shape)
    try:
        return Tensor(name, DATATYPE[np.dtype(element).newbyteorder("<")], shape)
    except (TypeError, KeyError) as e:
        raise ModelError(Text(f"{name}: {element} cannot be sent", f"{name}：无法传输类型 {element}")) from e


def _drawn(rng: np.random.Generator, tensor: Tensor, free: int) -> Array:
    shape = (3, *(free if d == -1 else d for d in tensor.shape[1:]))
    kind = DTYPE[tensor.datatype]
    if kind.kind == "f":
        return rng.normal(size=shape).astype(kind)
    return rng.integers(0, 2 if kind.kind == "b" else 8, shape).astype(kind)


def _close(whole: Array, alone: list[Array]) -> bool:
    if len(whole) != 3 or any(a.shape != (1, *whole.shape[1:]) for a in alone):
        return False
    together, one = whole.astype(np.float64), np.concatenate(alone).astype(np.float64)
    scale = max(float(np.nanmax(np.abs(one), initial=0.0)), 1e-30)
    return bool(np.allclose(together, one, rtol=0, atol=TOLERANCE * scale, equal_nan=True))


def _text(array: Array) -> Array:
    out = np.empty(array.shape, object)
    out[...] = np.vectorize(lambda b: b.decode("utf-8", "replace"), otypes=[object])(array) if array.size else array
    return out


def _bytes(array: Array) -> Array:
    return strings([str(s) for s in array.ravel().tolist()]).reshape(array.shape)
