"""Assembly systems: each stage has one successor and any number of suppliers. As good as a serial system, so solved as one.

Rosling, Optimal inventory policies for assembly systems under random demands, Operations Research 37 (1989).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

from ronghe.apps.inventory.network.serial import Serial, Source, Stage, optimal


@dataclass(frozen=True, slots=True)
class Part:
    """One stage: local holding cost per unit and time, lead time once its suppliers have delivered, and who they are."""

    holding: float
    lead: float
    before: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Assembly:
    """Balanced echelon base-stock levels by stage (positions in the equivalent serial system), and cost per unit of time."""

    levels: dict[int, float]
    cost: float


def as_serial(parts: Mapping[int, Part], end: int) -> tuple[list[int], list[Stage]]:
    """The stages in the order of their distance from the customer in lead times, and the serial system that is equivalent: between two
    stages lies the difference of their distances; the echelon holding cost is the value that a stage adds."""
    distance: dict[int, float] = {}

    def walk(i: int, after: float) -> None:
        distance[i] = after + parts[i].lead
        for b in parts[i].before:
            walk(b, distance[i])

    walk(end, 0.0)
    order = sorted(distance, key=lambda i: (distance[i], i != end))
    apart = [distance[order[0]], *(distance[b] - distance[a] for a, b in itertools.pairwise(order))]
    added = [parts[i].holding - sum(parts[b].holding for b in parts[i].before) for i in order]
    return order, [Stage(h, lead) for h, lead in zip(added, apart, strict=True)]


def solve(parts: Mapping[int, Part], end: int, stockout: float, source: Source) -> Assembly:
    """The optimum for an assembly system whose last stage is `end`."""
    order, stages = as_serial(parts, end)
    serial: Serial = optimal(stages, stockout, source)
    # the serial system holds for its own lead time only: what a stage has on order for longer is not in its echelon stock
    on_order = sum(s.echelon_holding * (parts[i].lead - s.lead) for i, s in zip(order, stages, strict=True)) * source.mean
    return Assembly(dict(zip(order, serial.levels, strict=True)), serial.cost - on_order)
