"""Judges boards of several designs by their golden templates, and says itself which design it sees; as a model package, and back.

    judge = Templates(names, templates, Comparer())   # uint8 (n, h, w)
    judge.judge(pixels)                               # as every judge of `ronghe.apps.quality.line.judges`

A picture is compared with the one template that it is most like, by correlation of small pictures: a line that changes designs need not
tell its inspector. One that is like none of them is no pass, see `Comparer`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

import ronghe
from ronghe.apps.quality.boards.template import Comparer, Comparison, Settings, check, gray
from ronghe.errors import AppError, ModelError
from ronghe.models import Input, Manifest, Output, Package, Training, training_hash
from ronghe.picture.libraries import opencv
from ronghe.text import Text

KIND: Final = "quality.templates/1"
_SMALL: Final = 64  # pixels, side of the pictures by which designs are told apart


class Templates:
    """Holds nothing between calls but its templates."""

    def __init__(self, names: Sequence[str], templates: NDArray[np.uint8], comparer: Comparer) -> None:
        """`templates` uint8 (n, h, w), all of one camera. Raises AppError for one that shows no board."""
        self.names, self.templates, self.comparer = tuple(names), templates, comparer
        for name, template in zip(self.names, templates, strict=True):
            try:
                check(template, templates[0])
            except AppError as e:
                raise AppError(e.what, where=name, todo=e.todo) from e
        self._small = np.array([_fingerprint(t) for t in templates])

    def design(self, pixels: NDArray[np.uint8]) -> int:
        """Which template a picture is most like; uint8 (h, w) or (h, w, 3)."""
        return int(np.argmax(self._small @ _fingerprint(gray(pixels))))

    def compare(self, pixels: NDArray[np.uint8]) -> tuple[str, Comparison]:
        """The design and what was found. Raises AppError when the picture is of another size."""
        i = self.design(pixels)
        return self.names[i], self.comparer.compare(self.templates[i], pixels)


def pack(judge: Templates, *, name: str, created: int) -> Package:
    """A package; `created` in ns since 1970 UTC."""
    manifest = Manifest(
        name=name,
        version="1",
        kind=KIND,
        created=created,
        ronghe=ronghe.__version__,
        inputs=(Input(name="picture", property="image"),),
        outputs=(Output(name="defects", text=Text("boxes with their classes", "缺陷框与类别")),),
        training=Training(sha256=training_hash(judge.templates.reshape(len(judge.names), -1).astype(np.float64)), rows=len(judge.names)),
        settings={"designs": list(judge.names), "comparison": msgspec.to_builtins(judge.comparer.settings)},
    )
    return Package(manifest, {"templates": judge.templates})


def unpack(package: Package, where: str = "") -> Templates:
    """The judge in a package. Raises ModelError for another kind, or parts that do not fit each other."""
    manifest = package.manifest_of(KIND, made_by="ronghe.apps.quality.boards.judge.pack", where=where)
    try:
        names = msgspec.convert(manifest.settings["designs"], tuple[str, ...])
        settings = msgspec.convert(manifest.settings["comparison"], Settings)
        templates = package.arrays["templates"]
    except (msgspec.ValidationError, KeyError) as e:
        raise ModelError(Text(f"its settings cannot be used: {e}", f"模型设置无法使用：{e}"), where=where) from e
    if templates.dtype != np.uint8 or templates.ndim != 3 or not 0 < len(templates) == len(names):
        raise ModelError(Text("its parts do not fit each other", "模型各部分不相符"), where=where)
    return Templates(names, templates, Comparer(settings))


def _fingerprint(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What a board looks like from afar, whatever the light: float32 (64 × 64,), mean 0 and length 1."""
    cv2 = opencv()
    small = cv2.resize(picture, (_SMALL, _SMALL), interpolation=cv2.INTER_AREA).astype(np.float32)
    flat = cv2.GaussianBlur(small, (0, 0), 1.0).ravel()
    flat -= flat.mean()
    found: NDArray[np.float32] = flat / max(float(np.linalg.norm(flat)), 1e-6)
    return found
