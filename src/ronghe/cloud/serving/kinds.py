"""What a kind of model package is as a service: inputs, outputs, and a plain function between them.

A kind of another package is added by an entry point in the group `ronghe.serves`: its name is the kind ("acme.wear/1"), its value a class
that takes (package, where) and is `Served`.
"""

from __future__ import annotations

import importlib
from typing import Any, Final, Protocol

from ronghe import plugins
from ronghe.cloud.serving.tensors import Array, Tensor
from ronghe.errors import ModelError
from ronghe.models import Package
from ronghe.text import Text

GROUP: Final = "ronghe.serves"
_OURS: Final = {
    "onnx": "graph:Graph",
    "quality.inspect/1": "inspection:Inspection",
    "quality.templates/1": "inspection:Inspection",
    "maintenance.detect/1": "detection:Detection",
}


class Served(Protocol):
    """A model that answers. It keeps nothing between calls, and is safe to call from several threads."""

    platform: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    optional: frozenset[str]
    """Inputs that may be left out."""
    rows: bool
    """Each row of the first dimension is answered by itself: requests may be run as one."""

    def run(self, feed: dict[str, Array]) -> dict[str, Array]:
        """All outputs by name. Raises RongheError for inputs of the right type and shape that it cannot use."""
        ...


def serve(package: Package, where: str = "") -> Served:
    """What answers for a package. Raises ModelError for a kind that is not a plain function of its inputs, or parts that do not fit."""
    kind = package.manifest.kind
    made: Any
    if kind in _OURS:
        module, _, name = _OURS[kind].partition(":")
        made = getattr(importlib.import_module(f"ronghe.cloud.serving.{module}"), name)
    elif kind in plugins.names(GROUP):
        made = plugins.load(GROUP, kind)
    else:
        raise ModelError(
            Text(f"models of kind {kind!r} are not served", f"不支持将 {kind!r} 类型的模型作为服务"),
            where=where,
            todo=Text(
                f"served are {', '.join([*_OURS, *plugins.names(GROUP)])}",
                f"可作为服务的类型：{'、'.join([*_OURS, *plugins.names(GROUP)])}",
            ),
        )
    served: Served = made(package, where)
    return served
