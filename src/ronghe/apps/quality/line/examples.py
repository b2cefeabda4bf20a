"""Pictures that a person gave, or the first ones of the camera: what an inspector is taught from. Kept in folders, as they came."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from ronghe.apps.quality.line.records import Label
from ronghe.errors import AppError
from ronghe.text import Text

MOST = 600
"""Pictures of one label: more teach nothing and take minutes."""


class Examples:
    """Folders good/ and defective/ below `folder`. A picture that is there already is not kept twice."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._counts: dict[str, int] = {label: len(self.files(label)) for label in ("good", "defective")}

    def count(self, label: Label) -> int:
        """How many there are."""
        return self._counts[label]

    def files(self, label: str) -> list[Path]:
        """The picture files of a label, in the order of their names."""
        there = self._folder / label
        return sorted(p for p in there.iterdir() if p.suffix != ".part") if there.is_dir() else []

    def add(self, label: Label, data: bytes, suffix: str = ".png") -> str:
        """Keeps an encoded picture; gives its id. Raises AppError when there are too many, or the disk takes nothing."""
        name = hashlib.sha256(data).hexdigest()[:16]
        path = self._folder / label / f"{name}{suffix}"
        if path.exists():
            return name
        if self._counts[label] >= MOST:
            raise AppError(
                Text(f"there are {MOST} pictures already", f"示例图像已达 {MOST} 张"),
                todo=Text("forget the examples, or teach with these", "请清空示例，或用现有示例训练"),
            )
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part")
            with part.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except OSError as e:
            raise AppError(Text(f"the picture is not kept: {e.strerror}", f"图像未能保存：{e.strerror}"), where=str(path)) from e
        self._counts[label] += 1
        return name

    def forget(self) -> None:
        """Deletes them all."""
        for label in self._counts:
            for path in self.files(label):
                path.unlink()
            self._counts[label] = 0
