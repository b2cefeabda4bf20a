"""Where the store of a plant lies."""

from __future__ import annotations

from pathlib import Path

from ronghe.errors import HistorianError
from ronghe.text import Text


def store_of(folder: Path) -> Path:
    """The store of a plant folder, or the folder itself when it is a store. Raises HistorianError when it is neither."""
    inside = folder / ".ronghe" / "historian"
    if (inside / "tags").exists():
        return inside
    if (folder / "tags").is_file():
        return folder
    raise HistorianError(
        Text("neither a store nor a plant folder that has recorded anything", "既不是历史库，也不是已有记录的工厂文件夹"),
        where=str(folder),
        todo=Text("check the path; `ronghe up` starts recording", "请检查路径；用 `ronghe up` 开始记录"),
    )
