"""Several looks made one map: the mean of their distances, each in its own unit, at the places of the finest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ronghe.apps.quality.inspector import bank as banks
from ronghe.apps.quality.inspector.bank import Bank
from ronghe.apps.quality.inspector.descriptors import Look
from ronghe.models import graph
from ronghe.picture.libraries import opencv

Floats = NDArray[np.float32]


def together(maps: Sequence[NDArray[np.floating]]) -> Floats:
    """The mean of maps [h, w], the coarser ones enlarged bilinearly."""
    h, w = max(m.shape for m in maps)
    large = [m if m.shape == (h, w) else opencv().resize(m, (w, h), interpolation=1) for m in maps]
    return np.asarray(np.mean(large, axis=0, dtype=np.float64), np.float32)


def nodes(bank: Sequence[Bank], looks: Sequence[Look], output: str) -> tuple[list[bytes], list[bytes]]:
    """(nodes, constants) of `together` over the distances of every look, as float32[h, w]."""
    finest = min(look.stride for look in looks)
    found, maps = list[bytes](), list[str]()
    constants = [graph.tensor("map_axes", np.array([0, 1], np.int64))]
    for one, look in zip(bank, looks, strict=True):
        name = f"{look.name}_map"
        more, numbers = banks.nodes(one, look, name)
        found, constants = found + more, constants + numbers
        if look.stride > finest:
            factor = look.stride // finest
            constants.append(graph.tensor(f"{name}_factor", np.array([1, 1, factor, factor], np.float32)))
            found.append(graph.node("Resize", [name, "", f"{name}_factor"], [f"{name}_large"], mode="linear"))
            name = f"{name}_large"
        maps.append(name)
    found += [graph.node("Mean", maps, ["map_mean"]), graph.node("Squeeze", ["map_mean", "map_axes"], [output])]
    return found, constants
