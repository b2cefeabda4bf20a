"""Learns from labelled boards what a comparer cannot know: how wide people draw boxes, which differences are defects, and their classes.

Few numbers are learned, so that tens of boards suffice: a margin in x and y (medians), a table of class by topology, and the limit at which
F is best. Also its package, and back.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import msgspec
import numpy as np

import ronghe
from ronghe.apps.quality.boards.difference import DENSE, Region
from ronghe.apps.quality.boards.pairs import Marked, Pair, hits, overlap, pictures
from ronghe.apps.quality.boards.template import CELLS, NAMES, Settings, cell, check, examine, gray, padded
from ronghe.errors import AppError, ModelError
from ronghe.models import Input, Manifest, Output, Package, Training, training_hash
from ronghe.text import Text

KIND: Final = "quality.template/1"
_NEAR: Final = 0.2  # IoU from which a region is the one that was marked, before the margin is known
_PRIOR: Final = 0.5  # of the table: boards' worth of every class in every cell
_LEAST_BOXES: Final = 10

Examined = list[tuple[list[Region], tuple[Marked, ...], tuple[int, ...]]]


def learn(pairs: Sequence[Pair], *, dark: bool = True, iou: float = 0.33) -> Settings:
    """Settings from pairs whose defects are marked. Raises AppError when there are too few, and PictureError."""
    seen = [_examine(pair, dark) for pair in pairs if pair.marked is not None]
    boxes = sum(len(marked) for _, marked, _ in seen)
    if boxes < _LEAST_BOXES:
        raise AppError(
            Text(f"{boxes} marked defects are too few to learn from", f"仅有 {boxes} 个标注缺陷，不足以训练"),
            todo=Text(f"mark at least {_LEAST_BOXES}", f"请至少标注 {_LEAST_BOXES} 个"),
        )
    padding = _padding(seen)
    classes = tuple(sorted({m.label for _, marked, _ in seen for m in marked}))
    table = _table(seen, padding, classes)
    names = tuple(NAMES.get(c, Text(str(c))) for c in classes)
    settings = Settings(dark=dark, padding=padding, classes=classes, names=names, table=table)
    return msgspec.structs.replace(settings, least=_least(seen, settings, iou))


def pack(settings: Settings, pairs: Sequence[Pair], *, name: str, created: int, metrics: dict[str, float] | None = None) -> Package:
    """A package of settings learned from `pairs`; `created` in ns since 1970 UTC."""
    rows = np.array([[*m.box, m.label] for p in pairs for m in p.marked or ()], float).reshape(-1, 5)
    manifest = Manifest(
        name=name,
        version="1",
        kind=KIND,
        created=created,
        ronghe=ronghe.__version__,
        inputs=(Input(name="template", property="image"), Input(name="tested", property="image")),
        outputs=(Output(name="defects", text=Text("boxes with their classes", "缺陷框与类别")),),
        training=Training(sha256=training_hash(rows), rows=len(rows)),
        metrics=metrics or {},
        settings=msgspec.to_builtins(settings),
    )
    return Package(manifest)


def unpack(package: Package, where: str = "") -> Settings:
    """The settings in a package. Raises ModelError for another kind, or settings that do not fit each other."""
    manifest = package.manifest_of(KIND, made_by="ronghe quality boards fit", where=where)
    try:
        settings = msgspec.convert(manifest.settings, Settings)
    except msgspec.ValidationError as e:
        raise ModelError(Text(f"its settings cannot be used: {e}", f"模型设置无法使用：{e}"), where=where) from e
    n = len(settings.classes)
    if not n or len(settings.names) != n or len(settings.table) != CELLS or any(len(row) != n for row in settings.table):
        raise ModelError(Text("its classes do not fit each other", "模型中的类别前后不一致"), where=where)
    return settings


def _examine(pair: Pair, dark: bool) -> tuple[list[Region], tuple[Marked, ...], tuple[int, ...]]:
    template, tested = (gray(p) for p in pictures(pair))
    try:
        check(template, tested)
    except AppError as e:
        raise AppError(e.what, where=pair.name, todo=e.todo) from e
    return examine(template, tested, dark=dark)[0], pair.marked or (), tested.shape


def _matched(seen: Examined, padding: tuple[int, int], iou: float) -> list[tuple[Region, Marked | None, float]]:
    """Every region, the marked box that it finds, and its largest IoU with any."""
    out = []
    for regions, marked, shape in seen:
        ranked = sorted(regions, key=lambda r: -r.peak * np.log1p(r.area))
        boxes = [padded(r, padding, shape) for r in ranked]
        hit = hits(boxes, [0] * len(boxes), marked, iou=iou, same=False)
        for region, box, i in zip(ranked, boxes, hit, strict=True):
            nearest = max((overlap(box, m.box) for m in marked), default=0.0)
            out.append((region, marked[i] if i >= 0 else None, nearest))
    return out


def _padding(seen: Examined) -> tuple[int, int]:
    """Medians of how far marked boxes reach beyond the differences. Found twice: the first time with the default margin."""
    padding = Settings().padding
    for _ in range(2):
        found = [(r.box, m.box) for r, m, _ in _matched(seen, padding, _NEAR) if m is not None]
        if not found:
            raise AppError(
                Text("no marked defect is near a difference from the template", "标注的缺陷与模板差异均不对应"),
                todo=Text("check that boxes are in pixels of the tested picture", "请检查标注框是否以被测图像的像素为单位"),
            )
        a, b = (np.array(side, float) for side in zip(*found, strict=True))
        wider = np.median(np.concatenate([a[:, :2] - b[:, :2], b[:, 2:] - a[:, 2:]]), axis=0)
        padding = max(0, round(wider[0])), max(0, round(wider[1]))
    return padding


def _table(seen: Examined, padding: tuple[int, int], classes: tuple[int, ...]) -> tuple[tuple[float, ...], ...]:
    count = np.full((CELLS, len(classes)), _PRIOR / len(classes))
    for region, mark, _ in _matched(seen, padding, _NEAR):
        if mark is not None:
            count[cell(region), classes.index(mark.label)] += 1
    return tuple(tuple(float(x) for x in row) for row in (count / count.sum(1, keepdims=True)).round(4))


def _least(seen: Examined, settings: Settings, iou: float) -> float:
    """The limit on the peak at which F is best: the middle of the range of limits that are equally good."""
    peaks = np.unique([DENSE, *(r.peak for regions, _, _ in seen for r in regions), 1.0])
    f = np.array([_f(seen, settings, (low + high) / 2, iou) for low, high in pairwise(peaks)])
    best = np.flatnonzero(f >= f.max() - 1e-12)
    return round(float(peaks[best[0]] + peaks[best[-1] + 1]) / 2, 4)


def _f(seen: Examined, settings: Settings, limit: float, iou: float) -> float:
    """F with the right class, of regions whose peak is above a limit."""
    good = found = there = 0
    for regions, marked, shape in seen:
        kept = sorted((r for r in regions if r.peak > limit), key=lambda r: -r.peak)
        boxes = [padded(r, settings.padding, shape) for r in kept]
        labels = [settings.classes[int(np.argmax(settings.table[cell(r)]))] for r in kept]
        good += sum(i >= 0 for i in hits(boxes, labels, marked, iou=iou, same=True))
        found, there = found + len(kept), there + len(marked)
    return 2 * good / max(found + there, 1)
