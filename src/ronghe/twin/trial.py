"""A trial: a twin started at what is measured now, and stepped with set-points held, for a while."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ronghe.errors import TwinError
from ronghe.text import Text
from ronghe.twin.contract import Twin

MOST_STEPS: Final = 20_000
"""Of one trial."""


@dataclass(frozen=True, slots=True)
class Trajectory:
    """What a twin showed: `values` float64[steps, tags] in the tags' units, row k at (k + 1) × `every` s after the start."""

    every: float
    tags: tuple[str, ...]
    values: NDArray[np.float64]

    def at(self, step: int) -> float:
        """Seconds after the start."""
        return (step + 1) * self.every


def steps_of(seconds: float, every: float) -> int:
    """How many steps a trial takes. Raises TwinError for one that is shorter than a step, or has too many."""
    steps = math.ceil(seconds / every - 1e-9)
    if steps < 1 or steps > MOST_STEPS:
        raise TwinError(
            Text(
                f"{seconds:g} s are {steps} steps of {every:g} s: at most {MOST_STEPS}",
                f"{seconds:g} s 需 {steps} 步（每步 {every:g} s）：最多 {MOST_STEPS} 步",
            )
        )
    return steps


def run(twin: Twin, values: Mapping[str, float], settings: Mapping[str, float], steps: int) -> Trajectory:
    """Tries `settings` (tag → value) from `values` (every tag of the twin's `state` and `inputs`, as measured now).

    Raises TwinError for a tag that it does not take, a value that is missing or no number, and whatever the model fails at.
    """
    for tag in settings:
        if tag not in twin.inputs:
            listed = ", ".join(twin.inputs)
            raise TwinError(
                Text(f"the twin does not take {tag}", f"孪生体不接受 {tag}"), todo=Text(f"it takes {listed}", f"可用输入：{listed}")
            )
    start = {**values, **{tag: values.get(tag, value) for tag, value in settings.items()}}
    for tag in dict.fromkeys((*twin.state, *twin.inputs)):
        if not math.isfinite(start.get(tag, math.nan)):
            raise TwinError(Text(f"the value of {tag} is not known", f"{tag} 的当前值未知"))
    if not all(math.isfinite(v) for v in settings.values()):
        raise TwinError(Text("a set-point that is no number", "设定值不是有效数值"))
    twin.start(start)
    inputs = {tag: settings.get(tag, start[tag]) for tag in twin.inputs}
    shown = np.empty((steps, len(twin.outputs)))
    for k in range(steps):
        out = twin.step(inputs)
        for i, tag in enumerate(twin.outputs):
            value = float(out[tag]) if tag in out else math.nan
            if not math.isfinite(value):
                at = f"{(k + 1) * twin.every:g} s"
                raise TwinError(Text(f"after {at} the model gives no number for {tag}", f"{at} 后模型未给出 {tag} 的有效数值"))
            shown[k, i] = value
    return Trajectory(twin.every, twin.outputs, shown)
