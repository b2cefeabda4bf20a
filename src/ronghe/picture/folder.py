"""Finding picture files."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from ronghe.errors import PictureError
from ronghe.text import Text

SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".pgm", ".ppm"})
"""Files with these endings are taken for pictures, whatever they hold: what is not one is told when it is read, not passed over."""

_DIGITS: Final = re.compile(r"([0-9]+)")


def find(folder_or_file: str | Path) -> list[Path]:
    """The picture files of a folder and its sub-folders, in the order of their paths, numbers by value (part 9 before part 10).

    A file is given back as it is, whatever its ending. Links are followed, each folder is visited once. Hidden files and folders (".x",
    "~x") are passed over. Raises PictureError when the path is not there, a folder cannot be read, or there is no picture.
    """
    top = Path(folder_or_file)
    if top.is_file():
        return [top]
    if not top.is_dir():
        raise PictureError(Text("no such file or folder", "没有此文件或文件夹"), where=str(top), todo=Text("check the path", "请检查路径"))
    found: list[Path] = []
    visited: set[tuple[int, int]] = set()
    for here, folders, files in os.walk(top, followlinks=True, onerror=_refuse):
        known = os.stat(here)
        if (known.st_dev, known.st_ino) in visited:
            folders.clear()
            continue
        visited.add((known.st_dev, known.st_ino))
        folders[:] = sorted((f for f in folders if not hidden(f)), key=in_order)
        found += [Path(here, f) for f in files if is_picture(f)]
    if not found:
        raise PictureError(
            Text("no picture in this folder", "文件夹中没有图像"),
            where=str(top),
            todo=Text(f"files that end in {', '.join(sorted(SUFFIXES))} are taken", f"支持的扩展名：{'、'.join(sorted(SUFFIXES))}"),
        )
    return sorted(found, key=lambda p: in_order(p.relative_to(top).as_posix()))


def is_picture(name: str) -> bool:
    """Whether a file of this name is taken for a picture."""
    return os.path.splitext(name)[1].lower() in SUFFIXES and not hidden(name)


def hidden(name: str) -> bool:
    """Whether a file or folder of this name is passed over."""
    return name.startswith((".", "~"))


def in_order(path: str) -> list[tuple[int, str]]:
    """The key that sorts names as people number them."""
    parts = _DIGITS.split(path)
    return [(int(p), p) if i % 2 else (0, p) for i, p in enumerate(parts)]


def _refuse(e: OSError) -> None:
    raise PictureError(
        Text(f"the folder cannot be read: {e.strerror}", f"文件夹无法读取：{e.strerror}"),
        where=str(e.filename),
        todo=Text("check its permissions", "请检查访问权限"),
    )
