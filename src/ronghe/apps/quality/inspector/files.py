"""Pictures on disk: which files are pictures of parts and which are masks, what item each shows, which mask goes with which.

Masks are never taken for parts: `NAME_mask.png`, `NAME_label.png` or `NAME_gt.png` beside a picture NAME, and everything under a folder
called `ground_truth` or `masks`. The mask of a picture is looked for beside it, in `--masks DIR` (same sub-folders and name, or the name
with such an ending), and where MVTec AD keeps it (`test/CLASS/000.png` → `ground_truth/CLASS/000_mask.png`).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ronghe import picture
from ronghe.errors import AppError, PictureError
from ronghe.text import Text

_ENDINGS: Final = ("_mask", "_label", "_gt")
_FOLDERS: Final = frozenset({"ground_truth", "masks"})
_SUFFIXES: Final = (".png", ".bmp", ".tif", ".jpg")


def parts(folder: Path) -> list[Path]:
    """The pictures of parts in a folder and its sub-folders, sorted. Raises PictureError when there is none."""
    found = picture.find(folder)
    named = {(p.parent, p.stem) for p in found}
    out = [p for p in found if not _is_mask(p, named) and not _FOLDERS & set(p.relative_to(folder).parts[:-1])]
    if not out:
        raise PictureError(Text("there are only masks in this folder", "该文件夹中只有掩模"), where=str(folder))
    return out


def _is_mask(path: Path, named: set[tuple[Path, str]]) -> bool:
    return any(path.stem.endswith(e) and (path.parent, path.stem[: -len(e)]) in named for e in _ENDINGS)


def mask_path(part: Path, top: Path, masks: Path | None) -> Path | None:
    """Where the mask of a picture found under `top` is; None when there is none."""
    places = [part.parent]
    if masks is not None:
        inside = part.relative_to(top).parent if part != top else Path()
        places += [masks / inside, masks / top.name / inside]
    places += [up / "ground_truth" / part.parent.relative_to(up / "test") for up in part.parents if part.is_relative_to(up / "test")]
    for place in places:
        for ending in (*_ENDINGS, *([""] if place != part.parent else [])):
            for suffix in _SUFFIXES:
                found = place / f"{part.stem}{ending}{suffix}"
                if found.is_file():
                    return found
    return None


def mask(path: Path, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Where a defect is, bool[h, w]. Raises PictureError when the mask is not of the picture's size."""
    data = picture.read(path)
    data = data.max(axis=2) if data.ndim == 3 else data
    if data.shape != shape:
        raise PictureError(
            Text(
                f"the mask is {data.shape[1]} x {data.shape[0]} px, its picture {shape[1]} x {shape[0]}",
                f"掩模为 {data.shape[1]} x {data.shape[0]} 像素，图像为 {shape[1]} x {shape[0]}",
            ),
            where=str(path),
        )
    return data > data.max() // 2 if data.max() else np.zeros(shape, bool)


def items(paths: list[Path], top: Path, *, by_folder: bool = False, pattern: str = "") -> list[str]:
    """The item that each picture shows: its folder, or what `pattern` (a regular expression; its first group) finds in its path.

    Without either, every picture is its own item. Raises AppError when the pattern is wrong or does not fit a path.
    """
    if by_folder:
        return [p.parent.as_posix() for p in paths]
    if not pattern:
        return [p.as_posix() for p in paths]
    try:
        wanted = re.compile(pattern)
    except re.error as e:
        raise AppError(Text(f"not a regular expression: {e}", f"不是有效的正则表达式：{e}"), where=pattern) from e
    out = []
    for p in paths:
        hit = wanted.search(p.relative_to(top).as_posix() if p != top else p.name)
        if hit is None:
            raise AppError(
                Text(f"the item pattern {pattern!r} does not fit this name", f"工件编号表达式 {pattern!r} 与此文件名不符"), where=str(p)
            )
        out.append(hit.group(1) if wanted.groups else hit.group(0))
    return out
