"""What is seen at each place of a picture: features of a pretrained network, averaged over the neighbourhood, at one grid.

A picture is first brought to its working size: the good pictures' typical size times one factor, so that a part keeps its scale whatever
the picture's frame, in multiples of 16 pixels (the network halves four times).
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from ronghe.models import graph, weights
from ronghe.picture.libraries import opencv

STEP: Final = 16
DESCRIPTORS: Final = "descriptors"
_CHANNELS: Final = {"stride4": 24, "stride8": 40, "stride16a": 80, "stride16b": 112, "stride16": 112}

Pixels = NDArray[np.uint8]


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """How a picture is looked at. `scale`: working pixels for a pixel of the picture; `grid`: working pixels between places."""

    scale: float
    grid: int = 8
    layers: tuple[str, ...] = ("stride8", "stride16b")
    network: str = "lite0"

    @property
    def width(self) -> int:
        """Numbers in a descriptor."""
        return sum(_CHANNELS[layer] + 1 for layer in self.layers)


def working(pixels: Pixels, scale: float) -> Pixels:
    """The picture at its working size, uint8[1, h, w, 3]; gray becomes three equal planes."""
    cv2 = opencv()
    h, w = (max(2 * STEP, round(side * scale / STEP) * STEP) for side in pixels.shape[:2])
    if (h, w) != pixels.shape[:2]:
        if 0.5 < scale < 1:  # what aliases looks like a defect; this averages as INTER_AREA does, in a third of its time
            pixels = cv2.blur(pixels, (2, 2))
        pixels = cv2.resize(pixels, (w, h), interpolation=cv2.INTER_AREA if scale <= 0.5 else cv2.INTER_LINEAR)
    if pixels.ndim == 2:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB)
    return pixels[None]


def network(sight: Sight) -> bytes:
    """The ONNX graph `pixels` uint8[1, h, w, 3] → `descriptors` float32[1, width, h/grid, w/grid].

    Each layer is averaged over 3 x 3 of its own places (PatchCore, Roth et al. 2022), brought to the grid by averaging or bilinearly, and
    parted at each place into its direction and the logarithm of its length: light scales all channels of a place alike.
    """
    nodes, constants, joined = [], [graph.tensor("shortest", np.array(1e-3, np.float32))], []
    for layer in sight.layers:
        stride = int(layer.removeprefix("stride").rstrip("ab"))
        name = f"{layer}_seen"
        if stride < sight.grid:
            k = sight.grid // stride  # the 3 x 3 average, then every k-th place, is one average over k + 2
            size, pad = k + 2, [1, 1, 1, 1]
            nodes.append(graph.node("AveragePool", [layer], [name], kernel_shape=[size, size], strides=[k, k], pads=pad))
        else:
            nodes.append(graph.node("AveragePool", [layer], [name], kernel_shape=[3, 3], strides=[1, 1], pads=[1, 1, 1, 1]))
            if stride > sight.grid:
                factor = stride // sight.grid
                constants.append(graph.tensor(f"{layer}_up", np.array([1, 1, factor, factor], np.float32)))
                nodes.append(graph.node("Resize", [name, "", f"{layer}_up"], [f"{name}_up"], mode="linear"))
                name = f"{name}_up"
        nodes += [
            graph.node("ReduceL2", [name], [f"{layer}_length"], axes=[1], keepdims=1),
            graph.node("Max", [f"{layer}_length", "shortest"], [f"{layer}_divisor"]),
            graph.node("Div", [name, f"{layer}_divisor"], [f"{layer}_unit"]),
            graph.node("Log", [f"{layer}_divisor"], [f"{layer}_log"]),
        ]
        joined += [f"{layer}_unit", f"{layer}_log"]
    nodes.append(graph.node("Concat", joined, [DESCRIPTORS], axis=1))
    seen = graph.value(DESCRIPTORS, "float32", [1, sight.width, "rows", "columns"])
    return graph.extend(weights.load(sight.network), nodes, constants, [seen])
