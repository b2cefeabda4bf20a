"""Runs an ONNX graph on the processor, by onnxruntime, so that the same bytes give the same numbers every time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ronghe.errors import MissingExtra, ModelError
from ronghe.models.graph import cut
from ronghe.text import Text


class Session:
    """One graph, ready to run. Safe to call from several threads at once."""

    def __init__(self, onnx: bytes, *, threads: int = 1, outputs: Sequence[str] = ()) -> None:
        """`outputs` keeps only the part of the graph that leads to these. With one thread the numbers do not depend on the load.

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

    def run(self, *arrays: NDArray[Any], **named: NDArray[Any]) -> tuple[NDArray[Any], ...]:
        """The outputs, in order. Inputs by position or name. Raises ModelError when their shapes or types do not fit."""
        feed: Mapping[str, NDArray[Any]] = {**dict(zip(self.inputs, arrays, strict=False)), **named}
        try:
            return tuple(np.asarray(o) for o in self._session.run(None, dict(feed)))
        except Exception as e:
            raise ModelError(Text(f"the graph does not take this input: {e}", f"输入与计算图不符：{e}")) from e
