"""The time-of-use rule: what is done without an optimiser, and what the optimiser falls back to.

Charges evenly over the cheapest hours until full, discharges evenly over the dearest until empty. `twice`: charges again in hours between
where another dear stretch comes before the next cheap one, and pays for the losses (两充两放); it needs a cap, for those are hours of work.
On the meter the same cap is held as for the optimiser: no charging above it, discharging where the load is above it.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from ronghe.apps.energy.forecast.ensemble import Floats
from ronghe.apps.energy.site import Battery

_NEAR: Final = 0.15  # of the spread between cheapest and dearest: prices that count as the same


def power(battery: Battery, energy: float, price: Floats, hours: float, *, high: float | None = None, twice: bool = True) -> float:
    """kW (above 0: charges) for the step that begins, with `energy` kWh in store; `price` of the coming steps [≥ 1, a day or so] of
    `hours` each, the first being the present one. `high` kWh: no more is stored than this."""
    low, most = battery.low * battery.capacity, battery.high * battery.capacity
    high = most if high is None else min(high, most)
    cheap, dear = float(price.min()), float(price.max())
    margin = _NEAR * (dear - cheap)
    if dear - cheap < 1e-9:
        return 0.0
    now = float(price[0])
    if now <= cheap + margin:
        return max(0.0, high - energy) / (battery.one_way * hours * _stretch(price <= cheap + margin))
    if now >= dear - margin:
        return -max(0.0, energy - low) * battery.one_way / (hours * _stretch(price >= dear - margin))
    between = (price > cheap + margin) & (price < dear - margin)
    n = _stretch(between)
    pays = dear * battery.efficiency > now + battery.wear
    if twice and pays and n < len(price) and price[n] >= dear - margin:
        return max(0.0, high - energy) / (battery.one_way * hours * n)
    return 0.0


def _stretch(holds: object) -> int:
    """How many steps from the first on hold."""
    flags = np.asarray(holds)
    return int(np.argmin(flags)) if not flags.all() else len(flags)


def toward(battery: Battery, energy: float, end: float, hours: float) -> float:
    """kW that bring `energy` kWh to `end` kWh in `hours`."""
    missing = end - energy
    return missing / (battery.one_way * hours) if missing > 0 else missing * battery.one_way / hours
