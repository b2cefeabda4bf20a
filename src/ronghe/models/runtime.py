"""Runs an ONNX graph on the processor, by onnxruntime, so that the same bytes give the same numbers every time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ronghe.errors import MissingExtra, ModelError
from ronghe.models.graph import cut
from ronghe.text import Text

placing: ContextVar[Callable[[bytes, int, Sequence[str]], Session] | None] = ContextVar("placing", default=None)
"""Set by a node while it starts an app whose models may run elsewhere: (graph, threads, outputs) → the session. See `placement`."""


def session(onnx: bytes, *, threads: int = 1, outputs: Sequence[str] = ()) -> Session:
    """A session for a model at work: one that runs where the node has placed it, or, wherever nobody places models, a `Session`."""
    place = placing.get()
    return Session(onnx, threads=threads, outputs=outputs) if place is None else place(onnx, threads, outputs)


class Session:
    """One graph, ready to run. Safe to call from several threads at once."""

    def __init__(self, onnx: bytes, *, threads: int = 1, outputs: Sequence[str] = ()) -> None:
        """`outputs` keeps only the part of the graph that leads to these. With one thread the numbers do not depend on the load.

        `takes` and `gives` are (name, element type, shape) of inputs and outputs, −1 for a size that may vary.

        Raises MissingExtra without onnxruntime, and ModelError for bytes that are no ONNX graph it can run.
        """
        try:
            import onnxruntime as ort
        except ImportError as e:
            raise MissingExtra("vision", Text("running a vision model", "运行视觉模型")) from e
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # a waiting thread must cost the plant nothing
        try:
            self._session: Any = ort.InferenceSession(cut(onnx, outputs) if outputs else onnx, options, providers=["CPUExecutionProvider"])
        except Exception as e:  # onnxruntime raises classes of its own that it does not export
            if isinstance(e, ModelError):
                raise
            raise ModelError(Text(f"the graph cannot be run: {e}", f"计算图无法运行：{e}")) from e
        self.inputs = tuple(i.name for i in self._session.get_inputs())
        self.outputs = tuple(o.name for o in self._session.get_outputs())
        self.takes = tuple(map(_described, self._session.get_inputs()))
        self.gives = tuple(map(_described, self._session.get_outputs()))

    def run(self, *arrays: NDArray[Any], **named: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """The outputs, in order. Inputs by position or name. Raises ModelError when their shapes or types do not fit."""
        feed: Mapping[str, NDArray[Any]] = {**dict(zip(self.inputs, arrays, strict=False)), **named}
        try:
            return tuple(np.asarray(o) for o in self._session.run(None, dict(feed)))
        except Exception as e:
            raise ModelError(Text(f"the graph does not take this input: {e}", f"输入与计算图不符：{e}")) from e


def _described(end: Any) -> tuple[str, str, tuple[int, ...]]:
    """(name, NumPy's name of the element type or "string", shape with −1 for a size that may vary) of an input or output."""
    element = str(end.type).removeprefix("tensor(").removesuffix(")")
    element = {"float": "float32", "double": "float64"}.get(element, element)
    return str(end.name), element, tuple(d if isinstance(d, int) and d >= 0 else -1 for d in end.shape)
