"""The demand charge: how high the month's greatest quarter-hour must become, and what must stay in store to hold it there.

A cap on the import is held by discharging whatever the load is above it. On a path of the load the energy that must be in store at t is

    need(t) = max(0, need(t + 1) + what must come out of the store in t − what may go into it in t)

so that need(t) = max over k ≥ t of the net draw from t to k: one cumulative sum. Its quantiles over the paths of a forecast are chance
constraints; the cost of each missing kWh is the demand charge, so the levels are high.

The floor of the cap is what a month like the last would have needed: below it energy would be spent on holding what a later day breaks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from ronghe.apps.energy.forecast.ensemble import Floats, Paths, quantiles
from ronghe.apps.energy.site import Site

LEVELS: Final = (0.7, 0.9, 0.97, 0.999)
MISSING: Final = (8.0, 5.0, 2.0, 1.0)
"""What a kWh missing at each level costs, per hour, in fortieths of the demand charge per kW."""
SPREAD: Final = 0.3  # of the weight goes to all paths alike: the tail counts here, and likeness says little of it
STRETCH: Final = 1.1  # paths are raised by this: in thirty days the worst day of a season is rarely seen
HELD: Final = 0.7  # the cap is raised where it cannot be held with this probability
FLOOR: Final = 0.9  # of the last month's
_HALVINGS: Final = 5


@dataclass(frozen=True, slots=True)
class Store:
    """All batteries as one: kW, usable kWh, one-way efficiency."""

    power: float
    usable: float
    one_way: float

    @classmethod
    def of(cls, site: Site) -> Store:
        """The sum of a site's."""
        power = sum(b.power for b in site.batteries)
        usable = sum((b.high - b.low) * b.capacity for b in site.batteries)
        return cls(power, usable, sum(b.one_way * b.power for b in site.batteries) / power if power else 1.0)


def needed(paths: Floats, cap: float, store: Store, hours: float) -> Floats:
    """Energy (usable kWh) that must be in store at the beginning of each step, and after the last: [s, h] → [s, h + 1]."""
    over = paths - cap
    net = np.clip(over, -store.power, store.power) * np.where(over > 0, hours / store.one_way, hours * store.one_way)
    drawn = np.zeros((len(net), net.shape[1] + 1))
    np.cumsum(net, axis=1, out=drawn[:, 1:])
    most = np.maximum.accumulate(drawn[:, ::-1], axis=1)[:, ::-1]
    return np.clip(most - drawn, 0.0, store.usable)


def attainable(days: Floats, store: Store, hours: float) -> Floats:
    """The least cap that a full store could have held on each day: [d, h] → [d], kW."""
    low, high = np.maximum(days.max(axis=1) - store.power, 0.0), days.max(axis=1)
    for _ in range(14):
        mid = (low + high) / 2
        over = days - mid[:, None]
        net = np.clip(over, -store.power, store.power) * np.where(over > 0, hours / store.one_way, hours * store.one_way)
        drawn = np.concatenate([np.zeros((len(days), 1)), np.cumsum(net, axis=1)], axis=1)
        need = (np.maximum.accumulate(drawn[:, ::-1], axis=1)[:, ::-1] - drawn).max(axis=1)
        held = need <= 0.98 * store.usable
        low, high = np.where(held, low, mid), np.where(held, mid, high)
    return high


def floor(known: Floats, per_day: int, store: Store) -> float:
    """The least cap that a new month begins with, of what was measured in the last 30 days; 0 where nothing was."""
    days = min(30, len(known) // per_day)
    if not days:
        return 0.0
    return FLOOR * float(attainable(known[len(known) - days * per_day :].reshape(days, per_day), store, 24 / per_day).max())


@dataclass(frozen=True, slots=True, eq=False)
class Reserve:
    """`cap` kW; `need` float64[len(LEVELS), h]: usable kWh that should be in store at the end of each step."""

    cap: float
    need: Floats


def reserve(paths: Paths, base: float, energy: float, left: int, per_day: int, store: Store) -> Reserve:
    """The cap that holds from now on, at least `base`, and what must stay in store for it, of usable `energy` kWh now.

    After `left` steps the month is over, and its greatest quarter-hour counts no more.
    """
    hours = 24 / per_day
    weight = (1 - SPREAD) * paths.weight + SPREAD / len(paths.weight)
    raised = STRETCH * paths.path
    raised[:, left:] = 0.0
    cap = _held(raised[:, :per_day], weight, base, energy, store, hours)
    need = needed(raised, cap, store, hours)[:, 1:]
    return Reserve(cap, quantiles(need, weight, LEVELS))


def _held(paths: Floats, weight: Floats, base: float, energy: float, store: Store, hours: float) -> float:
    """The least cap, of `base` or above, that `energy` holds on enough of the paths."""

    def holds(cap: float) -> bool:
        need = needed(paths, cap, store, hours)[:, 0]
        return bool(weight[need <= energy + 1e-3 * store.usable].sum() >= HELD)

    if holds(base):
        return base
    low, high = base, base + store.power
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
