"""The benchmarks: three plants from the literature, with limits that a controller which knows everything rides on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from ronghe.apps.furnace.control.controller import Tuning
from ronghe.apps.furnace.control.trial import Case
from ronghe.twin.plants import Process, steady
from ronghe.twin.plants.cstr import cstr
from ronghe.twin.plants.tanks import tanks


def _case(
    name: str,
    process: Process,
    start: tuple[float, ...],
    tuning: Tuning,
    goals: tuple[tuple[float, dict[str, float]], ...],
    event: tuple[float, str, float],
    seconds: float,
) -> Case:
    """Begins at rest, with the targets where it is."""
    x = steady(process, np.array(start), process.parameter_values())
    at = dict(zip((s.name for s in process.states), x.tolist(), strict=True))
    at |= dict(zip((i.name for i in process.inputs), start, strict=True))
    first = {name: at[name] for name in tuning.targets}
    return Case(name, process, tuning, ((0.0, first), *goals), (event,), seconds, start)


def minimum() -> Case:
    """Tank 1 is filled to 19.9 of its 20 cm, then drained; at last tank 2 leaks 2 cm³/s, which no model has."""
    tuning = Tuning(every=5.0, horizon=30, deadline=1.25, targets={"h1": 1.0, "h2": 1.0}, moves={"v1": 0.5, "v2": 0.5})
    goals = ((60.0, {"h1": 19.9, "h2": 14.0}), (300.0, {"h1": 12.0, "h2": 15.0}))
    return _case("tanks-minimum", tanks("minimum"), (3.0, 3.0), tuning, goals, (500.0, "leak", 2.0), 700.0)


def nonminimum() -> Case:
    """Levels first go the wrong way, upper tanks may hold 6.1 cm; at last pump 1 loses a tenth."""
    tuning = Tuning(every=10.0, horizon=25, deadline=2.5, targets={"h1": 1.0, "h2": 1.0}, moves={"v1": 0.5, "v2": 0.5})
    goals = ((80.0, {"h1": 14.0, "h2": 14.5}), (480.0, {"h1": 13.5, "h2": 13.0}))
    process = tanks("nonminimum", upper=6.1)
    return _case("tanks-nonminimum", process, (3.15, 3.15), tuning, goals, (880.0, "k1", 0.9 * 3.14), 1200.0)


def reactor() -> Case:
    """Another grade, then more feed at no more than 109.8 °C, then less; at last the feed comes 3.1 K warmer, which no model has."""
    tuning = Tuning(every=18.0, horizon=30, deadline=4.5, targets={"cb": 1.0, "flow": 1.0}, moves={"flow": 0.5, "heat": 0.5})
    goals = ((180.0, {"cb": 1.06}), (1440.0, {"cb": 1.0, "flow": 20.0}), (2700.0, {"cb": 1.06, "flow": 12.0}))
    return _case("cstr", cstr(hottest=109.8), (14.19, -4376.7), tuning, goals, (3600.0, "tin", 108.0), 4500.0)


CASES: Final[dict[str, Callable[[], Case]]] = {"tanks-minimum": minimum, "tanks-nonminimum": nonminimum, "cstr": reactor}
