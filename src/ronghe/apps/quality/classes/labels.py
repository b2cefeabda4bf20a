"""Labelled defects on disk: which picture, where in it, of which class.

Two layouts are read, told apart by what is there:

    boxes     NAME.xml files of the PASCAL VOC kind (Everingham et al. 2010) anywhere under the folder, each with its picture beside it or
              in any sub-folder, found by name; an object is an example, and a picture may hold several classes
    folders   CLASS/PICTURE: the folder that holds a picture names its class, and the whole picture is the example
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.parsers import expat

import numpy as np
from numpy.typing import NDArray

from ronghe import picture
from ronghe.errors import AppError
from ronghe.picture.folder import in_order
from ronghe.text import Text

Box = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Labelled:
    """The defects of one picture: each box x0, y0, x1, y1 in pixels, or None for the whole picture, and its class."""

    path: Path
    boxes: tuple[Box | None, ...]
    labels: tuple[str, ...]

    @property
    def main(self) -> str:
        """The class that it shows most often; of equals, the first."""
        return Counter(self.labels).most_common(1)[0][0]


def find(folder: Path) -> list[Labelled]:
    """The labelled pictures under a folder, in the order of their names, numbers by value. Raises AppError when a label file is wrong, its
    picture is missing or nothing is labelled, and PictureError when there is no picture."""
    if not folder.is_dir():
        raise AppError(Text("there is no such folder", "没有该文件夹"), where=str(folder))
    files = sorted(p for p in folder.rglob("*.[xX][mM][lL]") if not p.name.startswith("."))
    found = _boxed(folder, files) if files else _foldered(folder)
    if not found:
        raise AppError(
            Text("no box in any label file", "标注文件中没有任何标注框"),
            where=str(folder),
            todo=Text("mark defects with a tool that writes PASCAL VOC XML", "请用可导出 PASCAL VOC XML 的工具标注缺陷"),
        )
    return sorted(found, key=lambda f: in_order(f.path.relative_to(folder).as_posix()))


def classes(found: Sequence[Labelled]) -> list[str]:
    """The classes, sorted. Raises AppError for fewer than two, or one that only one picture shows: it could not be tested on another."""
    seen = Counter(label for f in found for label in set(f.labels))
    if len(seen) < 2:
        raise AppError(
            Text(f"there is only one class: {next(iter(seen), '')}", f"只有一个类别：{next(iter(seen), '')}"),
            todo=Text("give each class a folder, or name it in the XML", "请为每个类别建立一个文件夹，或在 XML 中写明类别"),
        )
    alone = sorted(label for label, n in seen.items() if n < 2)
    if alone:
        raise AppError(
            Text(f"the class {alone[0]!r} is shown by one picture only", f"类别 {alone[0]!r} 只有一张图像"),
            todo=Text(
                "add at least one more, better ten, or leave the class out: then it is sent to review as unknown",
                "请再补充至少一张（最好十张），或去掉该类别：此类缺陷将作为未知类别送人工复核",
            ),
        )
    return sorted(seen)


def groups(found: Sequence[Labelled], read: Callable[[Path], NDArray[np.uint8]] = picture.read) -> list[int]:
    """A number for each picture; copies of the same picture have the same, so that they never lie on both sides of a split."""
    number: dict[bytes, int] = {}
    return [number.setdefault(hashlib.sha256(read(f.path).tobytes()).digest(), len(number)) for f in found]


def _foldered(folder: Path) -> list[Labelled]:
    found = picture.find(folder)
    loose = [p for p in found if p.parent == folder]
    if loose:
        raise AppError(
            Text("it lies in no class folder, and there is no XML file", "该图像不在任何类别文件夹中，也没有 XML 标注"),
            where=str(loose[0]),
            todo=Text(
                "lay pictures out as CLASS/PICTURE, or mark boxes in PASCAL VOC XML", "请按“类别/图像”存放，或用 PASCAL VOC XML 标注"
            ),
        )
    return [Labelled(p, (None,), (p.parent.name,)) for p in found]


def _boxed(folder: Path, files: Sequence[Path]) -> list[Labelled]:
    by_name: dict[str, list[Path]] = {}
    for p in picture.find(folder):
        by_name.setdefault(p.stem, []).append(p)
    out = []
    for file in files:
        objects = boxes(file)
        if not objects:
            continue
        shown = by_name.get(file.stem, [])
        beside = [p for p in shown if p.parent == file.parent]
        if len(beside or shown) != 1:
            what = (
                Text("its picture is missing", "缺少对应的图像") if not shown else Text("several pictures have its name", "有多张同名图像")
            )
            raise AppError(
                what,
                where=str(file),
                todo=Text(f"there must be one picture called {file.stem}", f"须有且仅有一张名为 {file.stem} 的图像"),
            )
        out.append(Labelled((beside or shown)[0], tuple(b for b, _ in objects), tuple(label for _, label in objects)))
    return out


def boxes(file: Path) -> list[tuple[Box, str]]:
    """The objects of a PASCAL VOC file: corners are whole pixels counted from 1, both inside; here from 0, the second outside.

    Raises AppError for anything else. Document types and entities are refused (they can unfold without end).
    """
    reader = _Voc()
    try:
        reader.parse(file.read_bytes())
        return [_object(fields) for fields in reader.objects]
    except OSError as e:
        raise AppError(Text(f"the label file cannot be read: {e.strerror}", f"标注文件无法读取：{e.strerror}"), where=str(file)) from e
    except (expat.ExpatError, ValueError, KeyError) as e:
        raise AppError(
            Text(f"not a PASCAL VOC label file: {e}", f"不是 PASCAL VOC 标注文件：{e}"),
            where=str(file),
            todo=Text("every object needs a name and xmin, ymin, xmax, ymax", "每个 object 须有 name 与 xmin、ymin、xmax、ymax"),
        ) from e


def _object(fields: dict[str, str]) -> tuple[Box, str]:
    x0, y0, x1, y1 = (round(float(fields[k])) for k in ("xmin", "ymin", "xmax", "ymax"))
    if x1 < x0 or y1 < y0 or not fields["name"]:
        raise ValueError(f"name {fields['name']!r}, box {x0}, {y0}, {x1}, {y1}")
    return (max(x0 - 1, 0), max(y0 - 1, 0), x1, y1), fields["name"]


class _Voc:
    """Collects `object/name` and `object/bndbox/*` of a file."""

    def __init__(self) -> None:
        self.objects: list[dict[str, str]] = []
        self._path: list[str] = []
        self._text = ""

    def parse(self, data: bytes) -> None:
        """Raises ExpatError or ValueError."""
        parser = expat.ParserCreate()
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.StartDoctypeDeclHandler = self._refuse
        parser.Parse(data, True)

    def _start(self, name: str, _attributes: dict[str, str]) -> None:
        if not self._path and name != "annotation":
            raise ValueError(f"it begins with <{name}>, not <annotation>")
        self._path.append(name)
        self._text = ""
        if self._path[1:] == ["object"]:
            self.objects.append({})

    def _end(self, name: str) -> None:
        at = self._path[1:]
        if at == ["object", "name"] or at[:-1] == ["object", "bndbox"]:
            self.objects[-1][name] = self._text.strip()
        self._path.pop()
        self._text = ""

    def _characters(self, data: str) -> None:
        self._text += data

    def _refuse(self, *_: object) -> None:
        raise ValueError("document types are not read")
