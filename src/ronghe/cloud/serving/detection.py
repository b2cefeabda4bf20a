"""State detection as a service: rows of measurements in, distance from normal operation out."""

from __future__ import annotations

from typing import Final

import numpy as np

from ronghe.apps.maintenance.packing import unpack
from ronghe.apps.maintenance.scorer import Scorer
from ronghe.cloud.serving.tensors import BYTES, Array, Tensor, strings
from ronghe.models import Package

ROWS: Final = "rows"


class Detection:
    """Takes `rows` FP64[n, k], successive in time, NaN where there is no value; columns as in the package's inputs.

    Gives, after each row, `score` FP64[n] (largest contribution over its limit: 1 is the limit, NaN until the window is full), `abnormal`
    BOOL[n], `cause` BYTES[n] (the input with the largest contribution where it is abnormal) and `level` FP64[n, k], every input's
    contribution, signed like its deviation. Each call begins with an empty window: give at least as many rows as that has.
    """

    platform = "ronghe_detection"
    optional: frozenset[str] = frozenset()
    rows = False

    def __init__(self, package: Package, where: str = "") -> None:
        self._normal = unpack(package, where)
        self._names = [i.name for i in package.manifest.inputs]
        k = len(self._names)
        self.inputs = (Tensor(ROWS, "FP64", (-1, k)),)
        self.outputs = (
            Tensor("score", "FP64", (-1,)),
            Tensor("abnormal", "BOOL", (-1,)),
            Tensor("cause", BYTES, (-1,)),
            Tensor("level", "FP64", (-1, k)),
        )

    def run(self, feed: dict[str, Array]) -> dict[str, Array]:
        """One scorer a call."""
        rows = feed[ROWS]
        scorer = Scorer(self._normal)
        score, level = np.full(len(rows), np.nan), np.zeros(rows.shape)
        cause = [""] * len(rows)
        for i, row in enumerate(rows):
            score[i] = scorer.step(row)
            if not np.isnan(score[i]):
                level[i] = scorer.level
            if score[i] > 1:
                cause[i] = self._names[int(np.argmax(np.maximum(np.abs(scorer.level), scorer.unrest)))]
        return {"score": score, "abnormal": score > 1, "cause": strings(cause), "level": level}
