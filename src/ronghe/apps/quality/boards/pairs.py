"""Labelled printed boards: the layout of DeepPCB, and how well a comparer finds what people marked.

    SUB/NAME_temp.jpg   the template
    SUB/NAME_test.jpg   the tested board
    SUB/NAME.txt        a line a defect: x0 y0 x1 y1 class, in pixels of the tested picture (commas are taken too)

Protocol of DeepPCB (Tang et al. 2019): a box counts when its IoU with a marked box of the same class is above 0.33; each marked box counts
once. mAP: the mean over classes of the area under the precision-recall curve, all points (PASCAL VOC 2010).
"""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from ronghe.apps.quality.boards.template import Comparer, Comparison, Defect
from ronghe.errors import AppError, PictureError
from ronghe.picture import read
from ronghe.text import Text

IOU: Final = 0.33
_TEMPLATE: Final = "_temp"
_TESTED: Final = "_test"

Box = tuple[int, int, int, int]


class Marked(msgspec.Struct, frozen=True):
    """A defect as a person marked it."""

    box: Box
    label: int


@dataclass(frozen=True, slots=True)
class Pair:
    """One tested board. `marked` is None where nobody looked (no NAME.txt)."""

    name: str
    template: Path
    tested: Path
    marked: tuple[Marked, ...] | None


class Scores(msgspec.Struct, frozen=True, kw_only=True):
    """Precision, recall and F of some boxes, and how many there are."""

    precision: float
    recall: float
    f: float
    found: int
    marked: int


class ClassScores(msgspec.Struct, frozen=True, kw_only=True):
    """The same of one class, with its average precision."""

    name: Text
    precision: float
    recall: float
    f: float
    ap: float
    found: int
    marked: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What `ronghe quality boards evaluate` prints. `precision`, `recall`, `f` and `map` ask for the right class; `any_class` does not."""

    precision: float
    recall: float
    f: float
    map: float
    iou: float
    any_class: Scores
    classes: dict[str, ClassScores]
    boards: int
    marked: int
    found: int
    review: tuple[str, ...]  # boards that could not be compared; what is marked on them counts as missed
    cpu_ms_p50: float  # a pair, from decoded pictures
    cpu_ms_p99: float
    cpu_ms_read_p50: float  # reading and decoding a pair


def find(folder: Path) -> list[Pair]:
    """The pairs under a folder and its sub-folders, by name. Raises AppError when there is none, or a template or label file is wrong."""
    if not folder.is_dir():
        raise AppError(Text("there is no such folder", "没有该文件夹"), where=str(folder))
    pairs = []
    for tested in sorted(p for p in folder.rglob(f"*{_TESTED}.*") if p.is_file() and not p.name.startswith(".")):
        name = tested.stem.removesuffix(_TESTED)
        template = tested.with_name(f"{name}{_TEMPLATE}{tested.suffix}")
        if not template.is_file():
            raise AppError(
                Text(f"its template {template.name} is missing", f"缺少模板 {template.name}"),
                where=str(tested),
                todo=Text("put the template beside it", "请将模板放在同一文件夹"),
            )
        labels = tested.with_name(f"{name}.txt")
        marked = marks(labels) if labels.is_file() else None
        pairs.append(Pair(tested.with_name(name).relative_to(folder).as_posix(), template, tested, marked))
    if not pairs:
        raise AppError(
            Text("no file NAME_test.jpg with its NAME_temp.jpg", "没有成对的 NAME_test.jpg 与 NAME_temp.jpg"),
            where=str(folder),
            todo=Text("lay the files out as DeepPCB does", "请按 DeepPCB 的方式存放文件"),
        )
    return pairs


def labelled(folder: Path) -> list[Pair]:
    """The pairs whose defects are marked. Raises AppError where there is none."""
    pairs = [p for p in find(folder) if p.marked is not None]
    if not any(p.marked for p in pairs):
        raise AppError(
            Text("no defect is marked in any NAME.txt", "任何 NAME.txt 中都没有标注缺陷"),
            where=str(folder),
            todo=Text("write a line a defect: x0 y0 x1 y1 class", "每个缺陷一行：x0 y0 x1 y1 类别"),
        )
    return pairs


def marks(path: Path) -> tuple[Marked, ...]:
    """What is marked in a label file. Raises AppError naming the line that is wrong."""
    out = []
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as e:
        raise AppError(Text(f"the label file cannot be read: {e}", f"标注文件无法读取：{e}"), where=str(path)) from e
    for n, line in enumerate(lines, 1):
        words = line.replace(",", " ").split()
        if not words:
            continue
        try:
            x0, y0, x1, y1, label = (int(w) for w in words)
        except ValueError:
            x0 = y0 = x1 = y1 = label = 0
        if x1 <= x0 or y1 <= y0:
            raise AppError(
                Text(f"not a box and its class: {line.strip()!r}", f"不是“框 + 类别”：{line.strip()!r}"),
                where=f"{path}:{n}",
                todo=Text(
                    "write x0 y0 x1 y1 class, whole numbers, x0 < x1, y0 < y1", "应为 x0 y0 x1 y1 类别，均为整数，且 x0 < x1、y0 < y1"
                ),
            )
        out.append(Marked((x0, y0, x1, y1), label))
    return tuple(out)


def pictures(pair: Pair) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """(template, tested). Raises PictureError."""
    return read(pair.template), read(pair.tested)


def overlap(a: Box, b: Box) -> float:
    """Intersection over union, 0..1."""
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if w <= 0 or h <= 0:
        return 0.0
    both = w * h
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def hits(boxes: Sequence[Box], labels: Sequence[int], marked: Sequence[Marked], *, iou: float, same: bool) -> list[int]:
    """For each box, best first, the index of the marked box that it finds, or -1. `same`: the class must be right too."""
    taken: set[int] = set()
    out = []
    for box, label in zip(boxes, labels, strict=True):
        free = [(overlap(box, m.box), i) for i, m in enumerate(marked) if i not in taken and (not same or m.label == label)]
        best, i = max(free, default=(0.0, -1))
        out.append(i if best > iou else -1)
        if best > iou:
            taken.add(i)
    return out


def evaluate(pairs: Sequence[Pair], comparer: Comparer, *, iou: float = IOU, cpu: Callable[[], int] = clock.process_time_ns) -> Report:
    """Compares every pair and scores what was found against what is marked. `cpu` gives processor time in ns."""
    compared: list[tuple[Comparison, tuple[Marked, ...]]] = []
    review, spent, reading = [], [], []
    for pair in pairs:
        began = cpu()
        try:
            template, tested = pictures(pair)
        except PictureError as e:
            review.append(f"{pair.name}: {e}")
            compared.append((_NOTHING, pair.marked or ()))
            continue
        ready = cpu()
        found = comparer.compare(template, tested)
        spent.append((cpu() - ready) / 1e6)
        reading.append((ready - began) / 1e6)
        if found.verdict == "review":
            review.append(f"{pair.name}: {found.reason}")
        compared.append((found, pair.marked or ()))
    if not spent:
        raise AppError(Text("no pair of pictures could be read", "没有一对图像可读"), todo=review[0])
    names = dict(zip(comparer.settings.classes, comparer.settings.names, strict=True))
    return _report(compared, names, iou, review, spent, reading)


_NOTHING: Final = Comparison(verdict="review", defects=(), doubtful=(), correlation=0.0, shift=0.0, covered=0.0)


def _report(
    compared: list[tuple[Comparison, tuple[Marked, ...]]],
    names: dict[int, Text],
    iou: float,
    review: list[str],
    spent: list[float],
    reading: list[float],
) -> Report:
    right = _counts(compared, iou, same=True)
    anyhow = _counts(compared, iou, same=False)
    classes = {}
    for label in sorted({m.label for _, marked in compared for m in marked} | {d.label for c, _ in compared for d in c.defects}):
        own = [(_only(c, label), tuple(m for m in marked if m.label == label)) for c, marked in compared]
        s = _counts(own, iou, same=True)
        classes[str(label)] = ClassScores(
            name=names.get(label, Text(str(label))),
            precision=s.precision,
            recall=s.recall,
            f=s.f,
            ap=round(_average_precision(own, iou), 4),
            found=s.found,
            marked=s.marked,
        )
    judged = [c.ap for c in classes.values() if c.marked]
    p50, p99 = np.percentile(spent, [50, 99])
    return Report(
        precision=right.precision,
        recall=right.recall,
        f=right.f,
        map=round(float(np.mean(judged)), 4) if judged else 0.0,
        iou=iou,
        any_class=anyhow,
        classes=classes,
        boards=len(compared),
        marked=right.marked,
        found=right.found,
        review=tuple(review),
        cpu_ms_p50=round(float(p50), 2),
        cpu_ms_p99=round(float(p99), 2),
        cpu_ms_read_p50=round(float(np.median(reading)), 2),
    )


def _only(c: Comparison, label: int) -> Comparison:
    kept = tuple(tuple(d for d in part if d.label == label) for part in (c.defects, c.doubtful))
    return msgspec.structs.replace(c, defects=kept[0], doubtful=kept[1])


def _ranked(defects: Sequence[Defect]) -> list[Defect]:
    return sorted(defects, key=lambda d: -d.score * d.probability)


def _counts(compared: Sequence[tuple[Comparison, tuple[Marked, ...]]], iou: float, *, same: bool) -> Scores:
    good = found = there = 0
    for comparison, marked in compared:
        ranked = _ranked(comparison.defects)
        good += sum(i >= 0 for i in hits([d.box for d in ranked], [d.label for d in ranked], marked, iou=iou, same=same))
        found += len(ranked)
        there += len(marked)
    return Scores(
        precision=round(good / max(found, 1), 4),
        recall=round(good / max(there, 1), 4),
        f=round(2 * good / max(found + there, 1), 4),
        found=found,
        marked=there,
    )


def _average_precision(compared: Sequence[tuple[Comparison, tuple[Marked, ...]]], iou: float) -> float:
    """Of one class, over all that was found, doubtful or not."""
    there = sum(len(m) for _, m in compared)
    if not there:
        return 0.0
    scored: list[tuple[float, bool]] = []
    for comparison, marked in compared:
        ranked = _ranked([*comparison.defects, *comparison.doubtful])
        hit = hits([d.box for d in ranked], [d.label for d in ranked], marked, iou=iou, same=True)
        scored += [(d.score * d.probability, i >= 0) for d, i in zip(ranked, hit, strict=True)]
    scored.sort(key=lambda s: -s[0])
    true = np.cumsum([good for _, good in scored])
    precision = true / np.arange(1, len(scored) + 1)
    recall = np.concatenate([[0.0], true / there])
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float((np.diff(recall) * envelope).sum())
