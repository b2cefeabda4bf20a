"""What must stay in store: enough, and no more than that."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ronghe.apps.energy import demand
from ronghe.apps.energy.site import Battery, follow


def held(path: list[float], cap: float, energy: float, battery: Battery) -> bool:
    """Whether a battery that does nothing but hold the cap, charging whenever it can, holds it from `energy` on."""
    for load in path:
        power = battery.within(follow(battery.power, load, cap, 0), energy, 0.25)
        if load + power > max(cap, load - battery.power) + 1e-6:  # what is beyond its power nobody can hold
            return False
        energy = battery.after(power, energy, 0.25)
    return True


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(0, 300), min_size=1, max_size=24), st.floats(20, 250), st.floats(0.5, 1))
def test_what_is_needed_is_enough_and_less_is_not(path: list[float], cap: float, efficiency: float) -> None:
    battery = Battery("a", 1e4, 80, efficiency)  # so large that its own size is no limit
    store = demand.Store(battery.power, battery.capacity, battery.one_way)
    need = float(demand.needed(np.array([path]), cap, store, 0.25)[0, 0])
    assert held(path, cap, need + 1e-3, battery)
    assert need < 1e-2 or not held(path, cap, need - 1e-2, battery)


def test_the_floor_of_a_month_is_what_the_worst_day_before_needed() -> None:
    store = demand.Store(power=100, usable=50, one_way=1.0)
    days = np.full((3, 96), 50.0)
    days[1, 40:44] = 250.0  # an hour 200 above the rest: 50 kWh take 50 off it
    assert demand.attainable(days, store, 0.25)[1] > 199
    assert abs(demand.floor(days.ravel(), 96, store) - demand.FLOOR * 201) < 2
    assert demand.floor(np.empty(0), 96, store) == 0
