"""A saving: what running a plant better was worth over a period, against a stated baseline. Measured, with its interval, never the promise.

One action's worth (`ronghe.guard.worth`) compares before and after. A controller that acts every quarter of an hour has no before: what it
is worth is measured over whole periods (IPMVP, Core Concepts: option B, all parameters of the part measured; option C, the whole site's
meter), by alternating with the old way (switchback), or against the old rule computed on the same measured load.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from ronghe.text import Text

Method = Literal["option_b", "option_c", "switchback", "rule_on_measured"]


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """A measured quantity and its 95 % interval."""

    value: float
    low: float
    high: float


class Saving(msgspec.Struct, frozen=True, kw_only=True):
    """Better is more: a saving below 0 is a loss, and is booked too. `start`..`end` in ns; periods of one `key` never overlap."""

    key: str  # what is saved by what, stable, e.g. "site/battery": savings of one key add up
    app: str
    equipment: str
    name: Text  # what people call it
    start: int
    end: int
    method: Method
    baseline: Text  # against what, in a sentence
    energy: Interval | None = None  # kWh
    money: Interval | None = None  # in `currency`
    currency: str = "CNY"
    carbon: Interval | None = None  # kg CO2e
