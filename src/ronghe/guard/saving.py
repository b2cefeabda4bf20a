"""A saving: what running a plant better was worth over a period, against a stated baseline. Measured, with its interval, never the promise.

One action's worth (`ronghe.guard.worth`) compares before and after. A controller that acts every quarter of an hour has no before: what it
is worth is measured over whole periods (IPMVP, Core Concepts: option B, all parameters of the part measured; option C, the whole site's
meter), by alternating with the old way (switchback), or against the old rule computed on the same measured load.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

import msgspec

from ronghe.text import Text

Method = Literal["option_b", "option_c", "switchback", "rule_on_measured"]


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """A measured quantity and its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def sound(self) -> bool:
        """Whether it is one: finite, low ≤ value ≤ high."""
        return math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.value <= self.high


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


ASSUMED = Text(
    "intervals are added as those of independent errors (root of the sum of squares); errors that periods share, as those of one "
    "baseline model, would make the interval wider",
    "区间按误差相互独立合成（平方和开方）；若各时段误差相关（如共用同一基线模型），实际区间更宽",
)
"""What a total takes for granted."""


def total(parts: Iterable[Interval]) -> Interval | None:
    """The sum of independent quantities; None of nothing. Losses count.

    The distances from value to low and to high are added as the root of the sum of squares, each side by itself (ASHRAE Guideline 14-2014,
    annex B: independent uncertainties). See `ASSUMED`.
    """
    found = list(parts)
    if not found:
        return None
    value = math.fsum(p.value for p in found)
    below = math.sqrt(math.fsum((p.value - p.low) ** 2 for p in found))
    above = math.sqrt(math.fsum((p.high - p.value) ** 2 for p in found))
    return Interval(value=value, low=value - below, high=value + above)
