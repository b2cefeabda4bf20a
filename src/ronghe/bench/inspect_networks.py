"""The networks of published anomaly detectors at their published sizes, as ONNX graphs of one input: `pixels` uint8[1, h, w, 3] RGB.

ResNet-18 (He et al. 2016) and Wide ResNet-50-2 (Zagoruyko & Komodakis 2016) up to the third stage, as PatchCore and PaDiM use them, batch
norms folded; and EfficientAD (Batzner et al. 2024; layers as in anomalib's model): teacher, student and autoencoder in one graph. Their
weights cannot be had here: they are random (He's initialization), which costs the same time and answers nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ronghe.models import graph

_MEAN, _STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])  # of ImageNet, pixels in 0..1
RESNETS: Final = {"resnet18": (2, 2, 2, 2), "wide_resnet50_2": (3, 4, 6, 3)}
"""Blocks of each stage."""
_FEATURES: Final = 384  # channels of EfficientAD's teacher


@dataclass(slots=True)
class Builder:
    """An ONNX graph under construction. `parameters` counts as the publications do: batch norms by their scale and shift."""

    rng: np.random.Generator
    prefix: str = ""
    nodes: list[bytes] = field(default_factory=list)
    tensors: list[bytes] = field(default_factory=list)
    parameters: int = 0

    def constant(self, array: NDArray[Any]) -> str:
        """The name of a new initializer."""
        name = f"{self.prefix}c{len(self.tensors)}"
        self.tensors.append(graph.tensor(name, array))
        return name

    def op(self, kind: str, *inputs: str, out: str = "", **attributes: graph.Attribute) -> str:
        """The name of the output of a new node."""
        out = out or f"{self.prefix}n{len(self.nodes)}"
        self.nodes.append(graph.node(kind, inputs, [out], **attributes))
        return out

    def conv(self, x: str, low: int, high: int, k: int, *, stride: int = 1, pad: int = 0, norm: bool = False, relu: bool = True) -> str:
        """A convolution with bias (`norm`: the folded batch norm's), and ReLU."""
        weight = self.rng.standard_normal((high, low, k, k), np.float32) * np.float32(np.sqrt(2 / (low * k * k)))
        self.parameters += weight.size + high * (2 if norm else 1)
        bias = self.constant(np.zeros(high, np.float32))
        y = self.op(
            "Conv", x, self.constant(weight), bias, kernel_shape=[k, k], strides=[stride, stride], pads=[pad] * 4, group=1, dilations=[1, 1]
        )
        return self.op("Relu", y) if relu else y

    def normal(self, pixels: str) -> str:
        """Pixels as float32[1, 3, h, w], normalized by ImageNet's mean and deviation."""
        planes = self.op("Transpose", self.op("Cast", pixels, to=1), perm=[0, 3, 1, 2])
        scale = self.constant((1 / (255 * _STD)).astype(np.float32).reshape(1, 3, 1, 1))
        shift = self.constant((-_MEAN / _STD).astype(np.float32).reshape(1, 3, 1, 1))
        return self.op("Add", self.op("Mul", planes, scale), shift)

    def model(self, size: int, outputs: dict[str, Sequence[int | str]]) -> bytes:
        """The graph of a square picture."""
        pixels = graph.value("pixels", "uint8", [1, size, size, 3])
        return graph.model(self.nodes, self.tensors, [pixels], [graph.value(n, "float32", s) for n, s in outputs.items()])


def resnet(name: str, size: int, *, stages: int = 3, seed: int = 0) -> tuple[bytes, int]:
    """The graph and its count of parameters. Outputs stage1 (a quarter of the picture's side), stage2 (an eighth) ..."""
    b = Builder(np.random.default_rng(seed))
    wide = name == "wide_resnet50_2"
    x = b.conv(b.normal("pixels"), 3, 64, 7, stride=2, pad=3, norm=True)
    x = b.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    low, outputs = 64, dict[str, Sequence[int | str]]()
    for stage, blocks in enumerate(RESNETS[name][:stages]):
        planes = 64 << stage
        high = 4 * planes if wide else planes
        for i in range(blocks):
            x = _block(b, x, low, planes, high, 2 if stage and i == 0 else 1, wide)
            low = high
        side = size // 4 >> stage
        outputs[b.op("Identity", x, out=f"stage{stage + 1}")] = [1, high, side, side]
    return b.model(size, outputs), b.parameters


def _block(b: Builder, x: str, low: int, planes: int, high: int, stride: int, wide: bool) -> str:
    """A residual block: two 3x3 convolutions, or the bottleneck of twice the usual width with its stride on the 3x3."""
    if wide:
        y = b.conv(x, low, 2 * planes, 1, norm=True)
        y = b.conv(y, 2 * planes, 2 * planes, 3, stride=stride, pad=1, norm=True)
        y = b.conv(y, 2 * planes, high, 1, norm=True, relu=False)
    else:
        y = b.conv(x, low, planes, 3, stride=stride, pad=1, norm=True)
        y = b.conv(y, planes, planes, 3, pad=1, norm=True, relu=False)
    if stride > 1 or low != high:
        x = b.conv(x, low, high, 1, stride=stride, norm=True, relu=False)
    return b.op(
        "Relu", b.op("Mul", b.op("Add", x, y), b.constant(np.array(0.7, np.float32)))
    )  # 0.7: random residuals would grow with depth


def efficientad(medium: bool, size: int = 256, *, seed: int = 0) -> tuple[bytes, int]:
    """The graph of all three networks and their combined map, and the count of parameters. Outputs `map` and `score`."""
    b = Builder(np.random.default_rng(seed))
    x = b.normal("pixels")
    pdn = _pdn_m if medium else _pdn_s
    teacher, student = pdn(b, x, _FEATURES), pdn(b, x, 2 * _FEATURES)
    auto = _autoencoder(b, x, size)
    teacher = b.op("Mul", b.op("Sub", teacher, _channels(b, 0.0)), _channels(b, 1.0))
    middle, end, start, axis = (b.constant(np.array([v], np.int64)) for v in (_FEATURES, 2 * _FEATURES, 0, 1))
    local = b.op("Slice", student, start, middle, axis)
    logical = b.op("Slice", student, middle, end, axis)
    maps = []
    for one, other in ((teacher, local), (auto, logical)):
        apart = b.op("Sub", one, other)
        wide = b.op("ReduceMean", b.op("Mul", apart, apart), axes=[1], keepdims=1)
        wide = b.op("Pad", wide, b.constant(np.array([0, 0, 4, 4, 0, 0, 4, 4], np.int64)))
        maps.append(
            b.op("Mul", _resized(b, wide, 1, size), b.constant(np.array(0.05, np.float32)))
        )  # 0.1 * (map - qa) / (qb - qa), and half of it
    sides = b.constant(np.array([size, size], np.int64))
    whole = b.op("Reshape", b.op("Add", *maps), sides, out="map")
    b.op("Reshape", b.op("ReduceMax", whole, keepdims=0), b.constant(np.array([1], np.int64)), out="score")
    return b.model(size, {"score": [1], "map": [size, size]}), b.parameters


def _channels(b: Builder, value: float) -> str:
    return b.constant(np.full((1, _FEATURES, 1, 1), value, np.float32))


def _pool(b: Builder, x: str) -> str:
    return b.op("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])


def _pdn_s(b: Builder, x: str, out: int) -> str:
    x = _pool(b, b.conv(x, 3, 128, 4))
    x = _pool(b, b.conv(x, 128, 256, 4))
    return b.conv(b.conv(x, 256, 256, 3), 256, out, 4, relu=False)


def _pdn_m(b: Builder, x: str, out: int) -> str:
    x = _pool(b, b.conv(x, 3, 256, 4))
    x = _pool(b, b.conv(x, 256, 512, 4))
    x = b.conv(b.conv(x, 512, 512, 1), 512, 512, 3)
    return b.conv(b.conv(x, 512, out, 4), out, out, 1, relu=False)


def _autoencoder(b: Builder, x: str, size: int) -> str:
    for low, high in ((3, 32), (32, 32), (32, 64), (64, 64), (64, 64)):
        x = b.conv(x, low, high, 4, stride=2, pad=1)
    x = b.conv(x, 64, 64, 8, relu=False)
    for side in (size // 64 - 1, size // 32, size // 16 - 1, size // 8, size // 4 - 1, size // 2 - 1):
        x = b.conv(_resized(b, x, 64, side), 64, 64, 4, pad=2)
    x = b.conv(_resized(b, x, 64, size // 4 - 8), 64, 64, 3, pad=1)
    return b.conv(x, 64, _FEATURES, 3, pad=1, relu=False)


def _resized(b: Builder, x: str, channels: int, side: int) -> str:
    """Bilinear, to float32[1, channels, side, side]."""
    return b.op("Resize", x, "", "", b.constant(np.array([1, channels, side, side], np.int64)), mode="linear")
