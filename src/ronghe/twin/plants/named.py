"""Processes by name: those that come with Ronghe, and those of others, as a function that builds one."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Final

from ronghe.errors import TwinError
from ronghe.text import Text
from ronghe.twin.plants.cstr import cstr
from ronghe.twin.plants.process import Process
from ronghe.twin.plants.tanks import tanks

OURS: Final[dict[str, Callable[[], Process]]] = {
    "cstr": cstr,
    "tanks": tanks,
    "tanks-nonminimum": lambda: tanks("nonminimum"),
}


def find(model: str, folder: Path) -> Process:
    """The process called `model`: a name of `OURS`, "FILE.py:function" below the plant folder, or "module:function".

    Raises TwinError where there is none, or where it does not build a `Process`.
    """
    if model in OURS:
        return OURS[model]()
    place, _, name = model.rpartition(":")
    if not place:
        what = Text(f"there is no model {model!r}", f"没有模型 {model!r}")
        ways = f'{", ".join(OURS)}, "FILE.py:function", "module:function"'
        raise TwinError(what, todo=Text(f"say one of {ways}", f"可写：{ways}"))
    try:
        if place.endswith(".py"):
            spec = importlib.util.spec_from_file_location(f"ronghe_model_{Path(place).stem}", folder / place)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        else:
            module = importlib.import_module(place)
        built = getattr(module, name)()
    except Exception as e:  # somebody else's code may fail in any way
        raise TwinError(
            Text(f"the model cannot be built: {type(e).__name__}: {e}", f"模型无法构建：{type(e).__name__}：{e}"), where=model
        ) from e
    if not isinstance(built, Process):
        raise TwinError(
            Text(f"it gives {type(built).__name__}, not a Process", f"返回的是 {type(built).__name__}，不是 Process"),
            where=model,
            todo=Text("return a ronghe.twin.plants.Process", "请返回 ronghe.twin.plants.Process"),
        )
    return built
