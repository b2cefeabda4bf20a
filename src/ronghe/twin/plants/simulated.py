"""The plants as models of the `python` twin: model = "ronghe.twin.plants.simulated:Tanks" in a `[twins.NAME]` table.

`parameters` of the table are factors of the plant's own, e.g. parameters = { a1 = 1.1 }.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ronghe.twin.plants.cstr import cstr
from ronghe.twin.plants.process import Process, trajectory
from ronghe.twin.plants.tanks import tanks


class Simulated:
    """A process by the names of its states and inputs; a state that is not measured starts where it usually is."""

    def __init__(self, process: Process, factors: Mapping[str, float]) -> None:
        """Raises TwinError for a factor of a parameter that it has not."""
        self._process = process
        self._p, self._x = process.parameter_values(factors), process.state_values()
        self.units = {s.name: s.unit for s in process.states} | {i.name: i.unit for i in process.inputs}

    def start(self, values: Mapping[str, float]) -> None:
        """What is measured now."""
        self._x = np.array([values.get(s.name, s.value) for s in self._process.states])

    def step(self, inputs: Mapping[str, float], seconds: float) -> Mapping[str, float]:
        """All states `seconds` later. Raises TwinError where the model diverges, KeyError for an input that is not given."""
        u = np.array([inputs[i.name] for i in self._process.inputs])
        self._x = trajectory(self._process, self._x, u, self._p, seconds)[-1]
        return dict(zip((s.name for s in self._process.states), self._x.tolist(), strict=True))


class Tanks(Simulated):
    """Four tanks at the minimum-phase operating point."""

    def __init__(self, **factors: float) -> None:
        super().__init__(tanks(), factors)


class Cstr(Simulated):
    """The van de Vusse reactor."""

    def __init__(self, **factors: float) -> None:
        super().__init__(cstr(), factors)
