"""A twin that is a Python class: of the plant folder, or of anything installed.

    class Heater:                                        # models/heater.py in the plant folder: model = "models/heater.py:Heater"
        units = {"power": "kW", "temperature": "Cel"}    # UCUM; a variable without one is in its tag's unit

        def __init__(self, loss: float = 0.1) -> None: ...              # `parameters` of plant.toml
        def start(self, values): ...                                    # what is measured now, by the model's own names
        def step(self, inputs, seconds): return {"temperature": ...}    # `seconds` later, with these inputs

It keeps no state from one `start` to the next but its parameters. Raising an exception refuses the set-point that is tried.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, ClassVar, Protocol

import msgspec
from msgspec import Meta

from ronghe.errors import TwinError
from ronghe.plant import Plant
from ronghe.text import Text
from ronghe.twin.contract import Twin
from ronghe.twin.wiring import Wired, inward, outward, wire


class Model(Protocol):
    """What a class must be to serve as a twin. It may have `units`: variable → UCUM unit."""

    def start(self, values: Mapping[str, float]) -> None:
        """Values of `state` and `inputs`, by the model's names."""

    def step(self, inputs: Mapping[str, float], seconds: float) -> Mapping[str, float]:
        """`seconds` on; → `outputs`, by the model's names."""


class PythonOptions(Wired, frozen=True, kw_only=True):
    """A Python class, run in a process of its own; see docs/twin.md for what it must be."""

    model: Annotated[str, Meta(description='"models/heater.py:Heater" (a file of the plant folder) or "package.module:Class"')]


class Python(Twin):
    """A Python class as a twin."""

    uses = "python"
    Options: ClassVar[type[msgspec.Struct]] = PythonOptions

    def __init__(self, name: str, plant: Plant, options: PythonOptions, folder: Path) -> None:
        where = f"twins.{name}"
        make = _class(options.model, folder, where)
        try:
            self._model: Model = make(**options.parameters)
        except TypeError as e:
            raise TwinError(Text(f"{options.model}: {e}", f"{options.model}：{e}"), where=where) from e
        for method in ("start", "step"):
            if not callable(getattr(self._model, method, None)):
                raise TwinError(Text(f"{options.model} has no method {method}", f"{options.model} 没有方法 {method}"), where=where)
        units: Mapping[str, str] = getattr(self._model, "units", {})
        self._inputs, self._state, self._outputs = (
            wire(plant, f"{where}.{group}", getattr(options, group), units.get) for group in ("inputs", "state", "outputs")
        )
        self.inputs, self.state, self.outputs = tuple(options.inputs), tuple(options.state), tuple(options.outputs)
        self.every, self._where = options.seconds, where

    def start(self, values: Mapping[str, float]) -> None:
        self._model.start({**inward(self._inputs, values), **inward(self._state, values)})

    def step(self, inputs: Mapping[str, float]) -> Mapping[str, float]:
        shown = self._model.step(inward(self._inputs, inputs), self.every)
        try:
            return outward(self._outputs, shown)
        except KeyError as e:
            raise TwinError(Text(f"the model does not show {e.args[0]}", f"模型未给出 {e.args[0]}"), where=self._where) from e


def _class(model: str, folder: Path, where: str) -> Any:
    """The class that is meant. Raises TwinError."""
    module, _, name = model.rpartition(":")
    if not module or not name.isidentifier():
        raise TwinError(
            Text(f"{model!r} names no class", f"{model!r} 未指明类"),
            where=where,
            todo=Text(
                'write "models/heater.py:Heater" or "package.module:Class"', '请写成 "models/heater.py:Heater" 或 "package.module:Class"'
            ),
        )
    try:
        found = _file(folder / module) if module.endswith(".py") else importlib.import_module(module)
        return getattr(found, name)
    except TwinError:
        raise
    except FileNotFoundError as e:
        raise TwinError(Text(f"no such file: {folder / module}", f"没有该文件：{folder / module}"), where=where) from e
    except Exception as e:  # a model's code may fail in any way while it is read
        raise TwinError(Text(f"{model}: {type(e).__name__}: {e}", f"{model}：{type(e).__name__}：{e}"), where=where) from e


def _file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"ronghe_twin_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
