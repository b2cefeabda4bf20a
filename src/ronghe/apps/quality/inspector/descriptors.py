"""What is seen at each place of a picture: features of a pretrained network, averaged over the neighbourhood, in several looks.

A picture is first brought to its working size: the good pictures' typical size times one factor, so that a part keeps its scale whatever
the picture's frame, in multiples of the coarsest look's stride.
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from ronghe.models import graph, weights
from ronghe.picture.libraries import opencv

CHANNELS: Final = {"stride8": 40, "stride16a": 80, "stride16b": 112, "stride16": 112, "stride32": 320}

GRID: Final = 16
"""Working pixels between places, at the least."""

Pixels = NDArray[np.uint8]


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """One way to see a place: which layer, and whether only the direction of its features counts (`unit`) or their length too.

    Light scales all channels of a place alike: the direction forgives it, and with it a dull stain; the length tells both.
    """

    layer: str
    unit: bool = False

    @property
    def name(self) -> str:
        """Its output in the graph."""
        return f"{self.layer}_{'unit' if self.unit else 'whole'}"

    @property
    def stride(self) -> int:
        """Working pixels between its places."""
        return max(GRID, _stride(self.layer))


def _stride(layer: str) -> int:
    return int(layer.removeprefix("stride").rstrip("ab"))


def looks(*layers: str) -> tuple[Look, ...]:
    """Both looks at each layer."""
    return tuple(Look(layer=layer, unit=unit) for layer in layers for unit in (False, True))


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """How a picture is looked at. `scale`: working pixels for a pixel of the picture."""

    scale: float
    looks: tuple[Look, ...]
    network: str = "lite0"

    @property
    def step(self) -> int:
        """What both sides of a working picture are multiples of."""
        return max(look.stride for look in self.looks)

    def working(self, pixels: Pixels) -> Pixels:
        """The picture at its working size, uint8[1, h, w, 3]; gray becomes three equal planes."""
        cv2, step = opencv(), self.step
        h, w = (max(64, round(side * self.scale / step) * step) for side in pixels.shape[:2])
        if (h, w) != pixels.shape[:2]:
            near = self.scale > 1 / 3
            if near and self.scale < 1:  # what aliases looks like a defect; this averages as INTER_AREA does, in a third of its time
                pixels = cv2.blur(pixels, (2, 2) if self.scale > 0.5 else (3, 3))
            pixels = cv2.resize(pixels, (w, h), interpolation=cv2.INTER_LINEAR if near else cv2.INTER_AREA)
        if pixels.ndim == 2:
            pixels = cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB)
        return pixels[None]


def network(sight: Sight) -> bytes:
    """The ONNX graph `pixels` uint8[1, h, w, 3] → for every look, under its name, float32[1, channels, h/stride, w/stride].

    Each layer is averaged over 3 x 3 of its places (PatchCore, Roth et al. 2022). Zeros around the picture count: what lies at its edge,
    where the network itself sees zeros and good places are never twice the same, is seen fainter.
    """
    nodes, constants = [], [graph.tensor("shortest", np.array(1e-3, np.float32))]
    for layer in dict.fromkeys(look.layer for look in sight.looks):
        k = max(1, GRID // _stride(layer))  # the 3 x 3 average, then every k-th place: nearly one average over k + 2
        window: dict[str, graph.Attribute] = {"kernel_shape": [k + 2] * 2, "strides": [k, k], "pads": [1, 1, 1, 1], "count_include_pad": 1}
        nodes.append(graph.node("AveragePool", [layer], [f"{layer}_whole"], **window))
        if Look(layer=layer, unit=True) in sight.looks:
            nodes += [
                graph.node("ReduceL2", [f"{layer}_whole"], [f"{layer}_length"], axes=[1], keepdims=1),
                graph.node("Max", [f"{layer}_length", "shortest"], [f"{layer}_divisor"]),
                graph.node("Div", [f"{layer}_whole", f"{layer}_divisor"], [f"{layer}_unit"]),
            ]
    seen = [graph.value(k.name, "float32", [1, CHANNELS[k.layer], f"rows{k.stride}", f"columns{k.stride}"]) for k in sight.looks]
    return graph.extend(weights.load(sight.network), nodes, constants, seen)
