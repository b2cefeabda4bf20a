"""Visual inspection as a service: pictures in, score and verdict out; taught from good parts, or a comparison with golden templates."""

from __future__ import annotations

from typing import Final

import numpy as np

from ronghe.apps.quality.line.judges import Judged, open_model
from ronghe.cloud.serving.tensors import BYTES, Array, Tensor, strings
from ronghe.errors import AppError
from ronghe.models import Package
from ronghe.picture.reader import decode
from ronghe.text import Text

IMAGE: Final = "image"
PIXELS: Final = "pixels"


class Inspection:
    """Takes `image` BYTES[n], files such as JPEG or PNG, or `pixels` UINT8[h, w, 1 or 3] of one picture, gray or RGB.

    Gives `score` FP64[n] (1 is the reject limit), `verdict` BYTES[n] ("pass", "review": a person looks, "reject"), `why` BYTES[n] (why
    a picture cannot be trusted to pass, or empty) and `where` FP64[m, 6]: index of the picture, box x0, y0, x1, y1 as parts of its
    sides, score.
    """

    platform = "ronghe_inspection"
    inputs = (Tensor(IMAGE, BYTES, (-1,)), Tensor(PIXELS, "UINT8", (-1, -1, -1)))
    outputs = (
        Tensor("score", "FP64", (-1,)),
        Tensor("verdict", BYTES, (-1,)),
        Tensor("why", BYTES, (-1,)),
        Tensor("where", "FP64", (-1, 6)),
    )
    optional = frozenset({IMAGE, PIXELS})
    rows = False

    def __init__(self, package: Package, where: str = "") -> None:
        self._model = open_model(package, where)

    def run(self, feed: dict[str, Array]) -> dict[str, Array]:
        """Raises PictureError for what is no whole picture, and AppError where none was given or it cannot be judged."""
        said = [self._model.judge.judge(p) for p in _pictures(feed)]
        boxes = [(i, *mark[:5]) for i, s in enumerate(said) for mark in s.where]
        return {
            "score": np.array([s.score for s in said]),
            "verdict": strings([self._verdict(s) for s in said]),
            "why": strings(["; ".join(f"{t.en} / {t.zh}" for t in s.unlike) for s in said]),
            "where": np.array(boxes, np.float64).reshape(-1, 6),
        }

    def _verdict(self, said: Judged) -> str:
        if said.score > 1:
            return "reject"
        return "review" if said.unlike or said.score > self._model.pass_below else "pass"


def _pictures(feed: dict[str, Array]) -> list[Array]:
    if set(feed) == {IMAGE}:
        return [decode(data, where=f"{IMAGE}[{i}]") for i, data in enumerate(feed[IMAGE])]
    if set(feed) == {PIXELS} and feed[PIXELS].shape[2] in (1, 3) and feed[PIXELS].size:
        pixels = feed[PIXELS]
        return [pixels[:, :, 0] if pixels.shape[2] == 1 else pixels]
    raise AppError(
        Text(
            "give either image (files) or pixels (one picture, gray or RGB)", "请给出 image（图像文件）或 pixels（一幅灰度或 RGB 图像）之一"
        )
    )
