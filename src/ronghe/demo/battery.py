"""The battery of the energy corner: an inverter that follows a set-point, and cells that end it.

The cells' own protection (their management system, below any of ours) lets through only what keeps the state of charge within
`PROTECTED`. An inverter that nobody has spoken to for `SILENCE` goes to 0 kW, as those in plants do (IEC 61850-7-420 calls it fail-safe).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

CAPACITY = 400.0  # kWh
POWER = 150.0  # kW, charging and discharging
EFFICIENCY = 0.95  # each way: 0.90 there and back
PROTECTED = (0.02, 0.98)
SILENCE = 1800.0  # s
LAG = 4.0  # s, in which 63 % of a change in power comes
AMBIENT, WARMS = 20.0, 14.0  # Cel; K at full power
THERMAL_LAG = 3600.0  # s


@dataclass
class Battery:
    """State of charge 0..1, power in kW, + charges. `step(seconds)` moves on; `hear` is called with every request that reaches it."""

    soc: float = 0.5
    setpoint: float = 0.0
    power: float = 0.0
    held_back: float = 0.0  # kWh that the cells' protection did not let through
    silent: float = 0.0  # s
    temperature: float = AMBIENT  # Cel

    def hear(self) -> None:
        """Somebody spoke to it."""
        self.silent = 0.0

    def step(self, seconds: float) -> None:
        """`seconds` later."""
        self.silent += seconds
        if self.silent > SILENCE:
            self.setpoint = 0.0
        aim = min(max(self.setpoint, -POWER), POWER)
        asked = self.power + (aim - self.power) * (1.0 - math.exp(-seconds / LAG))
        hours = seconds / 3600
        low, high = PROTECTED
        most = max(high - self.soc, 0.0) * CAPACITY / EFFICIENCY / hours
        least = max(self.soc - low, 0.0) * CAPACITY * EFFICIENCY / hours
        self.power = min(max(asked, -least), most)
        self.held_back += abs(asked - self.power) * hours
        into = self.power * EFFICIENCY if self.power > 0 else self.power / EFFICIENCY
        self.soc += into * hours / CAPACITY
        warm = AMBIENT + WARMS * (self.power / POWER) ** 2
        self.temperature += (warm - self.temperature) * (1.0 - math.exp(-seconds / THERMAL_LAG))
