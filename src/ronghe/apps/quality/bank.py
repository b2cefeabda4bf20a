"""What good places look like: whitened descriptors of a few of them, chosen to cover all, each with the distance that is normal around it.

    e = W (x - m)                       whitened: every direction in which good places differ counts the same (Mahalanobis; PaDiM,
                                        Defard et al. 2021)
    d(x) = min_j |e - b_j| / r_j        the nearest of the bank (PatchCore, Roth et al. 2022), in units of how far apart the bank is there
                                        (as the local outlier factor, Breunig et al. 2000): rare but good places lie far apart

The bank is the greedy k-centre cover of the good places (Gonzalez 1985; Sener & Savarese 2018).
"""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from ronghe.models import graph

RAW: Final = "raw"
"""The output of an inspector's graph."""
_NEIGHBOURS: Final = 5
_RIDGE: Final = 0.01  # of the mean variance: directions in which nothing varies are not blown up
_CANDIDATES: Final = 6_000  # places looked at when the bank is chosen; beyond that a random part of them
_STATISTICS: Final = 20_000  # places looked at for mean and covariance
_SHADOW: Final = 32  # dimensions of the random projection in which the cover is sought (Johnson & Lindenstrauss 1984)

Floats = NDArray[np.float32]


class Bank(msgspec.Struct, frozen=True, eq=False):
    """Learned arrays: `whiten` float32[d, c], `mean` float32[c], `places` float32[m, d], `reach` float32[m] > 0."""

    whiten: Floats
    mean: Floats
    places: Floats
    reach: Floats

    def distance(self, descriptors: NDArray[np.floating]) -> NDArray[np.float64]:
        """d(x) in double precision, float64[n], of descriptors [n, c]: what the graph computes in single precision."""
        e = (descriptors.astype(np.float64) - self.mean) @ self.whiten.T.astype(np.float64)
        b = self.places.astype(np.float64)
        square = (e * e).sum(1)[:, None] - 2 * e @ b.T + (b * b).sum(1)
        return np.sqrt(np.maximum((square / self.reach.astype(np.float64) ** 2).min(1), 0))


def gather(descriptors: Floats, size: int, rng: np.random.Generator) -> Bank:
    """Learns from descriptors float32[n, c] of good places."""
    some = _some(descriptors, _STATISTICS, rng)
    mean = some.mean(0)
    centred = (some - mean).astype(np.float32)
    spread = centred.std(0) + 1e-6
    value, vector = np.linalg.eigh(np.cov((centred / spread).T).astype(np.float64))
    whiten = ((vector / np.sqrt(np.maximum(value, 0) + _RIDGE * value.mean())).T / spread).astype(np.float32)
    e = _some(centred, _CANDIDATES, rng) @ whiten.T
    shadow = e @ rng.standard_normal((e.shape[1], _SHADOW), np.float32) if e.shape[1] > _SHADOW else e
    chosen = cover(shadow, min(size, len(e)), rng)
    return Bank(whiten, mean.astype(np.float32), e[chosen], _reach(e[chosen]))


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


def _some(rows: Floats, most: int, rng: np.random.Generator) -> Floats:
    return rows if len(rows) <= most else rows[np.sort(rng.permutation(len(rows))[:most])]


def _reach(places: Floats) -> Floats:
    square = np.einsum("ij,ij->i", places, places)
    distance = np.sqrt(np.maximum(square[:, None] - 2 * places @ places.T + square, 0))
    k = min(_NEIGHBOURS, len(places) - 1)
    near = np.sort(distance, axis=1)[:, 1 : 1 + k].mean(1) if k else np.ones(len(places), np.float32)
    return np.maximum(near, 1e-3 * max(float(near.max()), 1e-6)).astype(np.float32)


def nodes(bank: Bank, descriptors: str, output: str) -> tuple[list[bytes], list[bytes]]:
    """(nodes, constants) of d(x) as float32[h, w], over `descriptors` float32[1, c, h, w]."""
    d, c = bank.whiten.shape
    m = len(bank.places)
    inverse = 1 / bank.reach.astype(np.float64) ** 2
    b = bank.places.astype(np.float64)
    # |e - b|² / r² = [e, |e|²] · [-2b, 1] / r² + |b|² / r²: one product with the bank
    against = np.concatenate([-2 * b.T, np.ones((1, m))]) * inverse
    constants = [
        graph.tensor("whiten", bank.whiten.reshape(d, c, 1, 1)),
        graph.tensor("offset", (-(bank.whiten.astype(np.float64) @ bank.mean)).astype(np.float32)),
        graph.tensor("against", against.astype(np.float32)),
        graph.tensor("own", ((b * b).sum(1) * inverse).astype(np.float32)),
        graph.tensor("flat", np.array([d + 1, -1], np.int64)),
    ]
    return [
        graph.node("Conv", [descriptors, "whiten", "offset"], ["white"], kernel_shape=[1, 1]),
        graph.node("ReduceSumSquare", ["white"], ["norm"], axes=[1], keepdims=1),
        graph.node("Concat", ["white", "norm"], ["query"], axis=1),
        graph.node("Reshape", ["query", "flat"], ["query_flat"]),
        graph.node("Gemm", ["query_flat", "against", "own"], ["square"], transA=1),
        graph.node("ReduceMin", ["square"], ["least"], axes=[1], keepdims=0),
        graph.node("Relu", ["least"], ["least_positive"]),
        graph.node("Sqrt", ["least_positive"], ["distance_flat"]),
        graph.node("Shape", [descriptors], ["places"], start=2, end=4),
        graph.node("Reshape", ["distance_flat", "places"], [output]),
    ], constants
