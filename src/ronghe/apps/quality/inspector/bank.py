"""What good places look like, in one look: descriptors of a few of them, chosen to cover all.

    d(x) = min_j |x - b_j| / (r_j u)    the nearest of the bank (PatchCore, Roth et al. 2022), in units of how far apart the bank is there
                                        (as the local outlier factor, Breunig et al. 2000): rare but good places lie far apart; u is what
                                        a good picture's farthest places measure, so that looks of any scale can be added

The bank is the greedy k-centre cover of the good places (Gonzalez 1985; Sener & Savarese 2018). Products with it take most of the time that
is not the network's, so they are taken along its principal axes only, as many as hold all but a small part of the square of its spacing:

    |x - b|² ≈ |x|² + |b|² - 2 A x · A b    what lies off the axes A counts by its length, as if unrelated: nothing unusual is lost
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from ronghe.apps.quality.inspector.descriptors import Look
from ronghe.models import graph

RAW: Final = "raw"
"""The output of an inspector's graph."""
FAR: Final = 95
"""Per cent: the part of a picture's places that are nearer than its farthest, see `unit`."""
_NEIGHBOURS: Final = 5
_LEAST: Final = 0.1  # a distance: nearer than this is as good as the same, and single precision could not tell
_CANDIDATES: Final = 12_000  # places looked at when the bank is chosen; beyond that a random part of them
_SHADOW: Final = 32  # dimensions of the random projection in which the cover is sought (Johnson & Lindenstrauss 1984)

_LEFT: Final = 0.05  # of the mean square of the bank's spacing: what its places may have off the axes

Floats = NDArray[np.float32]


class Bank(msgspec.Struct, frozen=True, eq=False):
    """Learned: `places` float32[m, channels], `reach` float32[m] > 0, `axes` float32[d, channels] orthonormal, `unit` > 0."""

    places: Floats
    reach: Floats
    axes: Floats
    unit: float = 1.0

    def distance(self, descriptors: NDArray[np.floating]) -> NDArray[np.float64]:
        """d(x) in double precision, float64[h, w], of descriptors [channels, h, w]: what the graph computes in single precision."""
        middle, axes = self.middle.astype(np.float64), self.axes.astype(np.float64)
        x = descriptors.reshape(len(descriptors), -1).T.astype(np.float64) - middle
        b = self.places.astype(np.float64) - middle
        square = (x * x).sum(1)[:, None] - 2 * (x @ axes.T) @ (b @ axes.T).T + (b * b).sum(1)
        nearest = (square / (self.reach.astype(np.float64) * self.unit) ** 2).min(1)
        return np.sqrt(np.maximum(nearest, _LEAST**2)).reshape(descriptors.shape[1:])

    @property
    def middle(self) -> Floats:
        """float32[channels]: distances are computed around it, for lengths cost digits."""
        return np.asarray(self.places.mean(0, dtype=np.float64), np.float32)


def gather(descriptors: Sequence[Floats], size: int, rng: np.random.Generator) -> Bank:
    """A bank of at most `size` places, of the descriptors [channels, h, w] of good pictures."""
    rows = np.concatenate([d.reshape(len(d), -1).T for d in descriptors])
    if len(rows) > _CANDIDATES:
        rows = rows[np.sort(rng.permutation(len(rows))[:_CANDIDATES])]
    wide = rows.shape[1] > _SHADOW
    shadow = rows @ rng.standard_normal((rows.shape[1], _SHADOW), np.float32) if wide else rows
    places = rows[cover(shadow, min(size, len(rows)), rng)]
    reach = _reach(places)
    return Bank(places, reach, _axes(places, reach))


def unit(maps: Sequence[Floats]) -> float:
    """What the farthest places of held-out good pictures measure, of their distance maps [h, w]."""
    return max(float(np.mean([np.percentile(m, FAR) for m in maps])), 1e-6)


def cover(points: Floats, size: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Greedy k-centre: each next point is the one farthest from those chosen. Indices int64[size]."""
    square = np.einsum("ij,ij->i", points, points)
    nearest = np.full(len(points), np.inf, np.float32)
    chosen = np.empty(size, np.int64)
    chosen[0] = rng.integers(len(points))
    for i in range(1, size):
        last = chosen[i - 1]
        np.minimum(nearest, square - 2 * (points @ points[last]) + square[last], out=nearest)
        chosen[i] = nearest.argmax()
    return chosen


def _reach(places: Floats) -> Floats:
    """How far apart the places of a bank are around each."""
    square = np.einsum("ij,ij->i", places, places)
    distance = np.sqrt(np.maximum(square[:, None] - 2 * places @ places.T + square, 0))
    k = min(_NEIGHBOURS, len(places) - 1)
    near = np.sort(np.partition(distance, k, axis=1)[:, : k + 1], axis=1)[:, 1:].mean(1) if k else np.ones(len(places), np.float32)
    return np.maximum(near, 1e-3 * max(float(near.max()), 1e-6)).astype(np.float32)


def _axes(places: Floats, reach: Floats) -> Floats:
    """The fewest principal axes off which places have, in the mean, no more than a twentieth of the square of their spacing."""
    apart = places.astype(np.float64) - places.mean(0, dtype=np.float64)
    energy, axes = np.linalg.eigh(apart.T @ apart / len(places))
    off = np.append(np.cumsum(np.maximum(energy, 0)), np.inf)  # what the k + 1 smallest hold
    left = int(np.argmax(off > _LEFT * float(np.square(reach, dtype=np.float64).mean())))
    return np.ascontiguousarray(axes[:, min(left, len(energy) - 1) :][:, ::-1].T, np.float32)


def nodes(bank: Bank, look: Look, output: str) -> tuple[list[bytes], list[bytes]]:
    """(nodes, constants) of d(x) as float32[1, 1, h, w], over the look's descriptors float32[1, channels, h, w]."""
    name = look.name
    axes = bank.axes.astype(np.float64)
    b = bank.places.astype(np.float64) - bank.middle.astype(np.float64)
    inverse = 1 / (bank.reach.astype(np.float64) * bank.unit) ** 2
    # |x - b|² / (r u)² = [A x, |x|²] · [-2 A b, 1] / (r u)² + |b|² / (r u)²: one product with the bank
    against = np.concatenate([-2 * axes @ b.T, np.ones((1, len(b)))]) * inverse
    constants = [
        graph.tensor(f"{name}_against", against.astype(np.float32)),
        graph.tensor(f"{name}_own", ((b * b).sum(1) * inverse).astype(np.float32)),
        graph.tensor(f"{name}_rows", np.array([len(axes) + 1, -1], np.int64)),
        graph.tensor(f"{name}_axes", bank.axes.reshape(*bank.axes.shape, 1, 1)),
        graph.tensor(f"{name}_middle", bank.middle.reshape(1, -1, 1, 1)),
        graph.tensor(f"{name}_nearest", np.array(_LEAST**2, np.float32)),
        graph.tensor(f"{name}_one", np.array([1, 1], np.int64)),
    ]
    return [
        graph.node("Sub", [name, f"{name}_middle"], [f"{name}_apart"]),
        graph.node("ReduceSumSquare", [f"{name}_apart"], [f"{name}_norm"], axes=[1], keepdims=1),
        graph.node("Conv", [f"{name}_apart", f"{name}_axes"], [f"{name}_along"]),
        graph.node("Concat", [f"{name}_along", f"{name}_norm"], [f"{name}_query"], axis=1),
        graph.node("Reshape", [f"{name}_query", f"{name}_rows"], [f"{name}_flat"]),
        graph.node("Gemm", [f"{name}_flat", f"{name}_against", f"{name}_own"], [f"{name}_square"], transA=1),
        graph.node("ReduceMin", [f"{name}_square"], [f"{name}_least"], axes=[1], keepdims=0),
        graph.node("Max", [f"{name}_least", f"{name}_nearest"], [f"{name}_positive"]),
        graph.node("Sqrt", [f"{name}_positive"], [f"{name}_scaled"]),
        graph.node("Shape", [name], [f"{name}_size"], start=2, end=4),
        graph.node("Concat", [f"{name}_one", f"{name}_size"], [f"{name}_shape"], axis=0),
        graph.node("Reshape", [f"{name}_scaled", f"{name}_shape"], [output]),
    ], constants
