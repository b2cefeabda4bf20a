"""What is normal: the distance to good places (`bank`) and, beside it, how much a place looks like a drawn defect (`contrast`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from ronghe.apps.quality.bank import RAW, Bank, gather, places_of
from ronghe.apps.quality.bank import nodes as bank_nodes
from ronghe.apps.quality.contrast import WEIGHT, Contrast, against
from ronghe.apps.quality.contrast import nodes as contrast_nodes
from ronghe.models import graph

_FEWEST: Final = 50  # places of drawn defects; fewer say nothing of directions
_SAMPLE: Final = 2000

Floats = NDArray[np.float32]


class Normal(msgspec.Struct, frozen=True, eq=False):
    """What was learned of single places. Without a `contrast` the distance alone counts."""

    bank: Bank
    contrast: Contrast | None = None

    def raw(self, descriptors: NDArray[np.floating]) -> NDArray[np.float64]:
        """Raw scores, float64[n], of descriptors [n, c], in double precision: what the graph computes in single precision."""
        distance = self.bank.distance(descriptors)
        if self.contrast is None:
            return distance
        return distance + self.contrast.weight * self.contrast.value(self.bank.white(descriptors))


def know(good: Sequence[Floats], defects: Sequence[tuple[str, Floats]], size: int, rng: np.random.Generator) -> Normal:
    """Learns from descriptors [n, c] of good places, picture by picture, and of places of drawn defects with their kind."""
    rows = np.concatenate(list(good))
    bank, rest = gather(rows, size, rng)
    kinds = sorted({kind for kind, _ in defects})
    drawn = [np.concatenate([rows for k, rows in defects if k == kind]) for kind in kinds]
    drawn = [d for d in drawn if len(d) > 1]
    if sum(map(len, drawn)) < _FEWEST:
        return Normal(bank)
    whole = places_of(rows, 10 * _SAMPLE, rng)
    contrast = against(bank.white(whole).astype(np.float32), [bank.white(d).astype(np.float32) for d in drawn])
    sample = places_of(rest, _SAMPLE, rng)
    spread = float(contrast.value(bank.white(sample)).std())
    weight = WEIGHT * float(bank.distance(sample).std()) / max(spread, 1e-9)
    return Normal(bank, msgspec.structs.replace(contrast, weight=weight))


def tail(normal: Normal, descriptors: str) -> tuple[list[bytes], list[bytes], bytes]:
    """(nodes, constants, output `raw` float32[h, w]) of `Normal.raw` over `descriptors` float32[1, c, h, w]."""
    output = graph.value(RAW, "float32", ["rows", "columns"])
    nodes, constants = bank_nodes(normal.bank, descriptors, RAW if normal.contrast is None else "distance")
    if normal.contrast is not None:
        more, numbers = contrast_nodes(normal.contrast, "white", "contrast")
        flat = graph.tensor("first_axis", np.array([0], np.int64))
        more += [
            graph.node("Squeeze", ["contrast", "first_axis"], ["contrast_map"]),
            graph.node("Add", ["distance", "contrast_map"], [RAW]),
        ]
        nodes, constants = nodes + more, [*constants, *numbers, flat]
    return nodes, constants, output
