"""The battery and the meter, simulated to check what a policy did: written apart from everything that plans, and shares no code with it.

It is given what the policy says that the battery did and what the meter showed, follows the energy itself, and counts every step at which
something is not as it must be. A step may count more than once.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

_ROUND = 1e-6  # relative: what floating point may be off


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """kWh, kW, 0..1. `efficiency` is a whole cycle's."""

    capacity: float
    power: float
    efficiency: float
    low: float
    high: float
    start: float
    end: float
    export: float = 0.0


class Counted(msgspec.Struct, frozen=True, kw_only=True):
    """Violations by kind, and what was found: kWh charged and discharged, greatest import, state of charge at the end (0..1)."""

    soc: int
    power: int
    balance: int
    export: int
    end: int
    charged: float
    discharged: float
    peak: float
    soc_end: float

    @property
    def violations(self) -> int:
        """All kinds together."""
        return self.soc + self.power + self.balance + self.export + self.end


def check(limits: Limits, hours: float, net: Sequence[float], battery: Sequence[float], grid: Sequence[float]) -> Counted:
    """Follows `battery` (kW, above 0: charges) through steps of `hours`; `net` is load less PV and `grid` what was imported, kW."""
    loss = math.sqrt(limits.efficiency)
    tolerance = _ROUND * limits.capacity
    soc, power, balance, export = 0, 0, 0, 0
    stored, charged, discharged, peak = limits.start * limits.capacity, 0.0, 0.0, 0.0
    for demand, kw, bought in zip(net, battery, grid, strict=True):
        if kw >= 0:
            charged += kw * hours
            stored += kw * hours * loss
        else:
            discharged -= kw * hours
            stored += kw * hours / loss
        soc += not limits.low * limits.capacity - tolerance <= stored <= limits.high * limits.capacity + tolerance
        power += abs(kw) > limits.power * (1 + _ROUND)
        balance += not math.isclose(bought, demand + kw, rel_tol=_ROUND, abs_tol=_ROUND * limits.power)
        export += bought < -limits.export - _ROUND * limits.power
        peak = max(peak, bought)
    off = abs(stored - limits.end * limits.capacity) > 1e-3 * limits.capacity
    return Counted(
        soc=soc,
        power=power,
        balance=balance,
        export=export,
        end=int(off),
        charged=charged,
        discharged=discharged,
        peak=peak,
        soc_end=stored / limits.capacity,
    )
