"""What judges a picture, whatever package it comes from: an inspector taught from good parts, or a comparison with a golden template."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from ronghe.apps.quality.boards import judge as template_judge
from ronghe.apps.quality.classes import judge as classify
from ronghe.apps.quality.inspector import packing
from ronghe.apps.quality.inspector.inspector import Inspector
from ronghe.apps.quality.line.records import Mark
from ronghe.errors import ModelError
from ronghe.models import Package
from ronghe.text import Text

Pixels = NDArray[np.uint8]

UNKNOWN: Final = "unknown"
_NAMED: Final = 3  # boxes of a picture whose class is asked for: each costs two runs of a network
_DOUBTFUL: Final = 0.92
"""Of the limit on a difference from a template: from here to the limit a person decides."""


@dataclass(frozen=True, slots=True)
class Judged:
    """`score`: 1 is the reject limit. `heat` float32 (h, w) in the same unit, or None. `unlike`: why it cannot be trusted to pass."""

    score: float
    heat: NDArray[np.float32] | None
    where: tuple[Mark, ...]
    unlike: tuple[Text, ...] = ()


class Judge(Protocol):
    """Judges pictures. Raises RongheError for one that it cannot judge at all; safe to use from two threads."""

    def judge(self, pixels: Pixels) -> Judged: ...


@dataclass(frozen=True, slots=True)
class Model:
    """A judge and where it comes from. `pass_below` in units of the score; `held_out` are scores of good parts that it had not seen."""

    judge: Judge
    name: str
    version: str
    hash: str
    created: int  # ns since 1970 UTC
    good: int
    pass_below: float
    false_reject: float | None
    held_out: tuple[float, ...] = ()


def open_model(package: Package, where: str = "") -> Model:
    """The model of a package. Raises ModelError for one that is of no kind that judges pictures."""
    manifest = package.manifest
    if manifest.kind == packing.KIND:
        return of_inspector(packing.unpack(package, where), manifest.name, manifest.version, package.hash, manifest.created)
    if manifest.kind == template_judge.KIND:
        templates = template_judge.unpack(package, where)
        return of_templates(templates, manifest.name, manifest.version, package.hash, manifest.created)
    raise ModelError(
        Text(f"{manifest.kind!r} does not judge pictures", f"{manifest.kind!r} 不是图像检测模型"),
        where=where,
        todo=Text(
            f"give one of kind {packing.KIND} or {template_judge.KIND}", f"请使用 {packing.KIND} 或 {template_judge.KIND} 类型的模型包"
        ),
    )


def of_inspector(inspector: Inspector, name: str, version: str, hash: str, created: int) -> Model:
    """An inspector as a model."""
    unit = 1 / inspector.thresholds.reject
    return Model(
        judge=_ByInspector(inspector),
        name=name,
        version=version,
        hash=hash,
        created=created,
        good=int(inspector.training.get("images", 0)),
        pass_below=inspector.thresholds.pass_below * unit,
        false_reject=inspector.promise.rate,
        held_out=tuple(float(s) * unit for s in inspector.training.get("held_out", ())),
    )


def of_templates(templates: template_judge.Templates, name: str, version: str, hash: str, created: int) -> Model:
    """Golden templates as a model. No good part was needed, so that nothing is known of how many are rejected."""
    return Model(
        judge=_ByTemplates(templates),
        name=name,
        version=version,
        hash=hash,
        created=created,
        good=len(templates.names),
        pass_below=_DOUBTFUL,
        false_reject=None,
    )


@dataclass(frozen=True, slots=True)
class _ByTemplates:
    """The score is the largest difference, whose limit the comparison knows."""

    templates: template_judge.Templates

    def judge(self, pixels: Pixels) -> Judged:
        found = self.templates.compare(pixels)[1]
        h, w = pixels.shape[:2]
        unit = 1 / self.templates.comparer.settings.least
        ranked = sorted(found.defects, key=lambda d: -d.score)
        marks = tuple((d.box[0] / w, d.box[1] / h, d.box[2] / w, d.box[3] / h, d.score * unit, d.name.en) for d in ranked)
        score = max((d.score for d in (*found.defects, *found.doubtful)), default=0.0) * unit
        return Judged(score, None, marks, (found.reason,) if found.reason is not None else ())


@dataclass(frozen=True, slots=True)
class _ByInspector:
    inspector: Inspector

    def judge(self, pixels: Pixels) -> Judged:
        found = self.inspector.judge(pixels)
        h, w = pixels.shape[:2]
        marks = tuple((r.x0 / w, r.y0 / h, r.x1 / w, r.y1 / h, r.score, "") for r in found.where)
        return Judged(found.score, found.heat, marks, found.unlike)


def name_defects(classes: classify.Classes, pixels: Pixels, where: tuple[Mark, ...]) -> tuple[Mark, ...]:
    """The marks with the classes of the most unusual ones; "unknown" for what is like nothing that was shown."""
    h, w = pixels.shape[:2]
    boxes = [
        (int(x0 * w), int(y0 * h), max(round(x1 * w), int(x0 * w) + 1), max(round(y1 * h), int(y0 * h) + 1)) for x0, y0, x1, y1, *_ in where
    ]
    said = classes.judge_all(pixels, boxes[:_NAMED])
    named = tuple((*mark[:5], s.label if s.known else UNKNOWN) for mark, s in zip(where, said, strict=False))
    return named + where[_NAMED:]
