"""Classes of defects: what a defect is, how sure that is, and whether it is like anything that was shown.

classes = unpack(load(path))
label, probability, known = classes.judge(pixels, box)     # uint8 (h, w) or (h, w, 3); box x0, y0, x1, y1 or None
if not known: ...                                          # to a person: none of these, or nothing like what was shown
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

import ronghe
from ronghe.apps.quality.classes.learn import Learned
from ronghe.apps.quality.classes.look import NUMBERS, SIDE, VIEWS, Box, Look, Pixels, network
from ronghe.errors import ModelError
from ronghe.models import Input, Manifest, Output, Package, Training, training_hash
from ronghe.text import Text

KIND: Final = "quality.classify/1"
_ARRAYS: Final = ("mean", "scale", "rows", "own", "weight", "base", "spread")
_NUMBERS: Final = ("width", "ridge", "temperature", "limit", "accuracy")


class Judged(NamedTuple):
    """`label` the likeliest class, `probability` 0..1 that it is right if it is one of the classes, `known` whether it is like them."""

    label: str
    probability: float
    known: bool


class Classes:
    """Judges boxes of pictures. Safe to call from several threads."""

    def __init__(self, learned: Learned, look: Look) -> None:
        self.learned = learned
        self.look = look

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes."""
        return self.learned.labels

    def judge(self, pixels: Pixels, box: Box | None = None) -> Judged:
        """Of one box of a picture, or of all of it. Raises AppError for a box that is empty or lies outside."""
        return self.judge_all(pixels, [box])[0]

    def judge_all(self, pixels: Pixels, boxes: Sequence[Box | None]) -> list[Judged]:
        """Of several boxes of one picture."""
        scores, strange = self.learned.scores(self.look.describe(pixels, boxes))
        chance = self.learned.probabilities(scores)
        best = chance.argmax(1)
        return [Judged(self.labels[b], float(p[b]), bool(s <= self.learned.limit)) for b, p, s in zip(best, chance, strange, strict=True)]


def pack(learned: Learned, *, name: str, created: int, metrics: dict[str, float] | None = None) -> Package:
    """A package of what was learned; `created` in ns since 1970 UTC."""
    described = learned.rows.astype(np.float64)
    manifest = Manifest(
        name=name,
        version="1",
        kind=KIND,
        created=created,
        ronghe=ronghe.__version__,
        inputs=(Input(name="pixels", property="image"), Input(name="box", property="box", unit="px")),
        outputs=(Output(name="label", text=Text("class of the defect", "缺陷类别")), Output(name="probability"), Output(name="known")),
        training=Training(sha256=training_hash(described), rows=len(described)),
        metrics={"cross_validated_accuracy": learned.accuracy, **(metrics or {})},
        settings={
            "labels": list(learned.labels),
            "views": [list(v) for v in VIEWS],
            "side": SIDE,
            **{n: getattr(learned, n) for n in _NUMBERS},
        },
    )
    return Package(manifest, {a: getattr(learned, a) for a in _ARRAYS}, network())


def unpack(package: Package, where: str = "") -> Classes:
    """What can judge. Raises ModelError for a package of another kind, or whose parts do not fit each other, and MissingExtra."""
    manifest = package.manifest_of(KIND, made_by="ronghe quality classify fit", where=where)
    try:
        s: dict[str, Any] = manifest.settings
        parts: dict[str, Any] = {a: package.arrays[a] for a in _ARRAYS} | {n: float(s[n]) for n in _NUMBERS}
        learned = Learned(labels=tuple(s["labels"]), **parts)
        views = tuple((float(m), int(n)) for m, n in s["views"]), int(s["side"])
    except (KeyError, TypeError, ValueError) as e:
        raise ModelError(Text(f"a part of it is missing: {e}", f"模型包缺少内容：{e}"), where=where) from e
    n, k, d = len(learned.rows), len(learned.labels), NUMBERS
    shapes = {"mean": (d,), "scale": (d,), "rows": (n, d), "own": (n,), "weight": (n, k), "base": (k,), "spread": (2,)}
    wrong = next((a for a, shape in shapes.items() if package.arrays[a].shape != shape), None)
    if wrong is not None or views != (VIEWS, SIDE) or package.onnx is None or not n or not k:
        raise ModelError(
            Text(f"its parts do not fit each other{f': {wrong}' if wrong else ''}", "模型各部分不一致"),
            where=where,
            todo=Text("train it again with this version", "请用当前版本重新训练"),
        )
    return Classes(learned, Look(package.onnx))
