"""The windows of a day in which a machine must have taken its energy, as the linear programme wants them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ronghe.apps.energy.settings import Flexible
from ronghe.apps.energy.tariff import quarters
from ronghe.errors import AppError
from ronghe.text import Text


@dataclass(frozen=True, slots=True, eq=False)
class Daily:
    """One window, every day: `holds` bool[96], from the quarter-hour `first` on."""

    holds: NDArray[np.bool_]
    first: int

    @classmethod
    def of(cls, machine: Flexible, where: str) -> Daily:
        """As the options say. Raises AppError for hours that are none, and for more energy than the window has room for."""
        try:
            hours = list(quarters(machine.hours))
        except ValueError as e:
            raise AppError(Text(f"hours: {e}", f"hours 无效：{e}"), where=where) from None
        if machine.energy > machine.power * len(hours) / 4:
            what = Text(
                f"{machine.name}: {machine.energy:g} kWh at {machine.power:g} kW do not fit into {machine.hours}",
                f"{machine.name}：{machine.power:g} kW 在 {machine.hours} 内无法用完 {machine.energy:g} kWh",
            )
            raise AppError(what, where=where)
        holds = np.zeros(96, np.bool_)
        holds[hours] = True
        return cls(holds, hours[0])

    def ahead(self, quarter: NDArray[np.int64], energy: float, taken: float, step: float) -> tuple[tuple[float, NDArray[np.bool_]], ...]:
        """The next two: kWh still to take, and in which of the coming steps (whose quarter-hours of the day are `quarter`). `taken` kWh of
        the one under way; `step` kWh is the most a step can take. One that the horizon cuts off need only have its part by then."""
        holds, begins = self.holds[quarter], quarter == self.first
        number = np.cumsum(begins)
        if holds[0] and not begins[0]:
            number += 1  # under way
        found = []
        for n in (1, 2):
            may = holds & (number == n)
            if not may.any():
                continue
            under_way = n == 1 and bool(holds[0])
            left = max(0.0, energy - taken) if under_way else energy
            whole = bool(may[-1]) and int(may.sum()) < int(self.holds.sum())
            share = may.sum() / self.holds.sum() if whole and not under_way else 1.0
            found.append((min(left * share, step * float(may.sum())), may))
        return tuple(found)
