"""Entry points: how drivers, apps and commands are found, ours and third parties' alike."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import Any

from ronghe.errors import RongheError
from ronghe.text import Text


def names(group: str) -> list[str]:
    """What is installed in a group ("ronghe.drivers", "ronghe.apps", "ronghe.commands"), sorted, without importing any of it."""
    return sorted({e.name for e in entry_points(group=group)})


def load(group: str, name: str) -> Any:
    """The object behind one name. Raises RongheError for a name that is not installed or does not import."""
    for entry in entry_points(group=group, name=name):
        try:
            return entry.load()
        except ImportError as e:
            what = Text(f"{entry.value} does not import: {e}", f"{entry.value} 无法导入：{e}")
            raise RongheError(what, where=f"{group}:{name}") from e
    known = ", ".join(names(group))
    raise RongheError(
        Text(f"nothing called {name!r} is installed", f"未安装 {name!r}"),
        where=group,
        todo=Text(f"installed: {known}", f"已安装：{known}"),
    )
