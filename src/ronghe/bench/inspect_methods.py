"""PatchCore and PaDiM, learned from good pictures. Each becomes one ONNX graph from pixels to map and score: the fastest form it has here.

PatchCore (Roth et al., CVPR 2022) with the patch features of anomalib: 3x3 means of two levels, the coarser one enlarged, side by side; a
bank of a share of all training patches, chosen greedily (k-center) on 128 random projections; a patch's distance to its nearest neighbour
in the bank, by one exact matrix product; the picture's score is its largest. PaDiM (Defard et al., ICPR 2021): a Gaussian of 100 random
channels of three levels at each place; Mahalanobis distance.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ronghe.bench.inspect_networks import Builder, efficientad, resnet
from ronghe.models import graph, weights
from ronghe.models.runtime import Session
from ronghe.picture.libraries import opencv

Pixels = NDArray[np.uint8]
Array = NDArray[np.float32]

_PROJECTED: Final = 128
_CHANNELS: Final = 100  # of PaDiM, with ResNet-18
_REGULAR: Final = 0.01  # added to PaDiM's covariances
_FEW: Final = 6  # pictures that a network of random weights is given, where the whole set would take minutes
_LEVELS: Final = {
    "lite0": (("stride4", 24), ("stride8", 40), ("stride16", 112)),
    "resnet18": (("stage1", 64), ("stage2", 128), ("stage3", 256)),
    "wide_resnet50_2": (("stage1", 256), ("stage2", 512), ("stage3", 1024)),
}
"""The outputs at strides 4, 8 and 16, and their channels."""


@dataclass(frozen=True, slots=True)
class Method:
    """A detector: its `kind` (patchcore, padim, efficientad), backbone, the side of its square input, the share of patches that its bank
    keeps, and the mean AUROC over MVTec AD that anomalib's documentation gives for it (0: none). `full`: only for the whole protocol."""

    kind: str
    backbone: str
    size: int
    share: float = 0.0
    published: float = 0.0
    full: bool = False

    @property
    def trained(self) -> bool:
        """Whether its weights are here. If not, only its time means anything."""
        return self.backbone == "lite0"


METHODS: Final = {
    "patchcore_lite0_1": Method("patchcore", "lite0", 256, share=0.01),
    "efficientad_s": Method("efficientad", "pdn_s", 256, published=0.982),
    "patchcore_wide_resnet50_1": Method("patchcore", "wide_resnet50_2", 224, share=0.01, published=0.980),
    "patchcore_lite0_10": Method("patchcore", "lite0", 256, share=0.10),
    "patchcore_resnet18_1": Method("patchcore", "resnet18", 224, share=0.01, published=0.973),
    "padim_resnet18": Method("padim", "resnet18", 224, published=0.891, full=True),
    "padim_lite0": Method("padim", "lite0", 256, full=True),
    "efficientad_m": Method("efficientad", "pdn_m", 256, published=0.975, full=True),
    "patchcore_resnet18_10": Method("patchcore", "resnet18", 224, share=0.10, published=0.973, full=True),
    "patchcore_wide_resnet50_10": Method("patchcore", "wide_resnet50_2", 224, share=0.10, published=0.980, full=True),
}


@dataclass(frozen=True, slots=True)
class Fitted:
    """A detector as one graph (outputs `score` and `map`). `fit_s`: CPU seconds, None when not trained; `scaled`: from few pictures.
    `size`: the longer side (px) of what the network is given."""

    onnx: bytes
    parameters: int
    fit_s: float | None
    size: int
    scaled: bool = False


class Detector:
    """A fitted graph, ready to judge pixels of any size."""

    def __init__(self, onnx: bytes, size: int, *, threads: int = 1) -> None:
        self.session, self.size = Session(onnx, threads=threads), size

    def score(self, pixels: Pixels) -> float:
        """How abnormal the most abnormal place is. The map of all places is made as well."""
        return float(self.session.run(_square(pixels, self.size))[0][0])


def fit(method: Method, pictures: Sequence[Pixels], *, seed: int, full: bool = False) -> Fitted:
    """A detector that has seen these good pictures. Networks of random weights are shown only few of them, unless `full`."""
    if method.kind == "efficientad":
        return Fitted(*efficientad(method.backbone == "pdn_m", method.size, seed=seed), fit_s=None, size=method.size)
    onnx, parameters = (weights.load("lite0"), _count(weights.load("lite0"), method)) if method.trained else _random(method, seed)
    head = {"patchcore": _patchcore, "padim": _padim}[method.kind]
    few = pictures if method.trained or full else pictures[:_FEW]
    rng = np.random.default_rng([seed, 3])
    began = time.process_time()
    embed, learn = head(method, onnx, rng)
    session = Session(embed, outputs=("patches",))
    seen = [session.run(_square(p, method.size))[0] for p in few]
    spent = (time.process_time() - began) * len(pictures) / len(few)
    began = time.process_time()
    fitted = learn(np.stack([seen[i % len(seen)] for i in range(len(pictures))]))
    return Fitted(fitted, parameters, spent + time.process_time() - began, method.size, scaled=len(few) < len(pictures))


def coreset(points: Array, count: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Indices of `count` of points[n, d] so that none is far from all of them (greedy k-center, Sener & Savarese 2018)."""
    if points.shape[1] > _PROJECTED:
        points = points @ (rng.standard_normal((points.shape[1], _PROJECTED), np.float32) / np.float32(np.sqrt(_PROJECTED)))
    squares = np.einsum("nd,nd->n", points, points)
    chosen = np.empty(count, np.intp)
    chosen[0] = rng.integers(len(points))
    nearest = np.full(len(points), np.inf, np.float32)
    for i in range(1, count):
        last = chosen[i - 1]
        np.minimum(nearest, squares - 2 * (points @ points[last]) + squares[last], out=nearest)
        chosen[i] = nearest.argmax()
    return chosen


Head = tuple[bytes, Callable[[Array], bytes]]


def _patchcore(method: Method, onnx: bytes, rng: np.random.Generator) -> Head:
    """The graph of patch features [places, channels], and what makes the detector of those of all pictures [n, places, channels]."""
    (fine, low), (coarse, high) = _LEVELS[method.backbone][1:]
    side = method.size // 8
    b = Builder(rng, "head_")
    pooled = [b.op("AveragePool", x, kernel_shape=[3, 3], strides=[1, 1], pads=[1, 1, 1, 1], count_include_pad=1) for x in (fine, coarse)]
    large = b.op("Resize", pooled[1], "", "", b.constant(np.array([1, high, side, side], np.int64)), mode="linear")
    both = b.op("Transpose", b.op("Concat", pooled[0], large, axis=1), perm=[0, 2, 3, 1])
    patches = b.op("Reshape", both, b.constant(np.array([side * side, low + high], np.int64)), out="patches")
    embed = graph.extend(onnx, b.nodes, b.tensors, [graph.value(patches, "float32", [side * side, low + high])])

    def learn(seen: Array) -> bytes:
        points = seen.reshape(-1, low + high)
        bank = points[coreset(points, max(1, int(method.share * len(points))), rng)]
        h = Builder(rng, "knn_")
        near = h.op("MatMul", "patches", h.constant(np.ascontiguousarray(-2 * bank.T)))
        near = h.op("ReduceMin", h.op("Add", near, h.constant(np.einsum("nd,nd->n", bank, bank))), axes=[1], keepdims=0)
        own = h.op("ReduceSumSquare", "patches", axes=[1], keepdims=0)
        return _finish(h, h.op("Sqrt", h.op("Relu", h.op("Add", near, own))), side, embed)

    return embed, learn


def _padim(method: Method, onnx: bytes, rng: np.random.Generator) -> Head:
    """As `_patchcore`."""
    levels = _LEVELS[method.backbone]
    side = method.size // 4
    total = sum(c for _, c in levels)
    kept = np.sort(rng.choice(total, _CHANNELS, replace=False))
    b = Builder(rng, "head_")
    large = [levels[0][0]]
    for name, channels in levels[1:]:
        shape = b.constant(np.array([1, channels, side, side], np.int64))
        large.append(b.op("Resize", name, "", "", shape, mode="nearest", nearest_mode="floor", coordinate_transformation_mode="asymmetric"))
    some = b.op("Gather", b.op("Concat", *large, axis=1), b.constant(kept.astype(np.int64)), axis=1)
    shape = b.constant(np.array([side * side, _CHANNELS], np.int64))
    patches = b.op("Reshape", b.op("Transpose", some, perm=[0, 2, 3, 1]), shape, out="patches")
    embed = graph.extend(onnx, b.nodes, b.tensors, [graph.value(patches, "float32", [side * side, _CHANNELS])])

    def learn(seen: Array) -> bytes:
        mean = seen.mean(0)
        centred = seen - mean
        spread = np.einsum("npc,npd->pcd", centred, centred, optimize=True) / max(len(seen) - 1, 1)
        spread += _REGULAR * np.eye(_CHANNELS, dtype=np.float32)
        h = Builder(rng, "gauss_")
        apart = h.op("Sub", "patches", h.constant(mean))
        row = h.op("Reshape", apart, h.constant(np.array([side * side, 1, _CHANNELS], np.int64)))
        turned = h.op("MatMul", row, h.constant(np.linalg.inv(spread).astype(np.float32)))
        far = h.op("ReduceSum", h.op("Mul", turned, row), h.constant(np.array([1, 2], np.int64)), keepdims=0)
        return _finish(h, h.op("Sqrt", h.op("Relu", far)), side, embed)

    return embed, learn


def _finish(b: Builder, distances: str, side: int, embed: bytes) -> bytes:
    b.op("Reshape", distances, b.constant(np.array([side, side], np.int64)), out="map")
    b.op("Reshape", b.op("ReduceMax", distances, keepdims=0), b.constant(np.array([1], np.int64)), out="score")
    return graph.extend(embed, b.nodes, b.tensors, [graph.value("score", "float32", [1]), graph.value("map", "float32", [side, side])])


def _random(method: Method, seed: int) -> tuple[bytes, int]:
    return resnet(method.backbone, method.size, seed=seed)


def _count(onnx: bytes, method: Method) -> int:
    """Parameters of the part of Lite0 that is used: weights are half precision, biases float32."""
    names = [n for n, _ in _LEVELS[method.backbone][0 if method.kind == "padim" else 1 :]]
    return graph.parameters(graph.cut(onnx, names))


def _square(pixels: Pixels, size: int) -> Pixels:
    """uint8[1, size, size, 3]: the whole picture, so that no defect at its edge is lost."""
    rgb: Any = pixels if pixels.ndim == 3 else np.repeat(pixels[:, :, None], 3, 2)
    if rgb.shape[:2] != (size, size):
        way = opencv().INTER_AREA if min(rgb.shape[:2]) > size else opencv().INTER_LINEAR
        rgb = opencv().resize(rgb, (size, size), interpolation=way)
    return np.ascontiguousarray(rgb)[None]
