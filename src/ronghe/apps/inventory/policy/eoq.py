"""Economic order quantities: a steady demand, a cost per order, and what changes the trade-off.

Snyder & Shen (2019), chapters 3 and 9. K fixed cost of an order, h holding cost per unit and time, p stock-out cost per unit and time,
λ demand per unit of time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Quantity:
    """How much to order at once, and the cost per unit of time. `short` is the part of demand that is backordered."""

    quantity: float
    cost: float
    short: float = 0.0


def eoq(fixed: float, holding: float, rate: float) -> Quantity:
    """Harris (1913)."""
    return Quantity(math.sqrt(2 * fixed * rate / holding), math.sqrt(2 * fixed * rate * holding))


def backorders(fixed: float, holding: float, stockout: float, rate: float) -> Quantity:
    """With planned backorders: Snyder & Shen (3.27)-(3.29)."""
    ratio = stockout / (holding + stockout)
    return Quantity(math.sqrt(2 * fixed * rate / (holding * ratio)), math.sqrt(2 * fixed * rate * holding * ratio), 1 - ratio)


def production(fixed: float, holding: float, rate: float, output: float) -> Quantity:
    """Economic production quantity: the lot comes in at `output` > `rate` per unit of time."""
    return eoq(fixed, holding * (1 - rate / output), rate)


def _purchase(fixed: float, holding_rate: float, rate: float, quantity: float, lot_price: float) -> float:
    """Cost per unit of time where a lot of `quantity` costs `lot_price`."""
    unit = lot_price / quantity
    return unit * rate + fixed * rate / quantity + holding_rate * unit * quantity / 2


def all_units(fixed: float, holding_rate: float, rate: float, breaks: Sequence[float], prices: Sequence[float]) -> Quantity:
    """Every unit of a lot of at least breaks[i] costs prices[i]; breaks[0] = 0. The best point of each price's own curve, or its break."""
    best = Quantity(math.nan, math.inf)
    ends = [*breaks[1:], math.inf]
    for low, high, price in zip(breaks, ends, prices, strict=True):
        q = max(low, math.sqrt(2 * fixed * rate / (holding_rate * price)))
        if q < high:
            cost = _purchase(fixed, holding_rate, rate, q, price * q)
            best = min(best, Quantity(q, cost), key=lambda c: c.cost)
    return best


def incremental(fixed: float, holding_rate: float, rate: float, breaks: Sequence[float], prices: Sequence[float]) -> Quantity:
    """The units beyond breaks[i] cost prices[i] each: Hadley & Whitin (1963)."""
    best = Quantity(math.nan, math.inf)
    ends = [*breaks[1:], math.inf]
    paid = 0.0  # for the units below this break
    for i, (low, high, price) in enumerate(zip(breaks, ends, prices, strict=True)):
        paid += prices[i - 1] * (low - breaks[i - 1]) if i else 0.0
        extra = paid - price * low
        q = math.sqrt(2 * (fixed + extra) * rate / (holding_rate * price))
        if low <= q < high:
            best = min(best, Quantity(q, _purchase(fixed, holding_rate, rate, q, extra + price * q)), key=lambda c: c.cost)
    return best


def disruptions(fixed: float, holding: float, stockout: float, rate: float, failure: float, recovery: float) -> Quantity:
    """The supplier fails and recovers at exponential times; what is short is lost at `stockout` a unit: Berk & Arreola-Risa (1994)."""
    both = failure + recovery

    def cost(q: float) -> float:
        down = failure / both * -math.expm1(-both * q / rate)  # chance that an order meets a supplier that is down
        return (fixed + holding * q * q / (2 * rate) + rate * stockout * down / recovery) / (q / rate + down / recovery)

    q = minimise(cost, 0.0, 10 * eoq(fixed, holding, rate).quantity + 10 * rate / recovery)
    return Quantity(q, cost(q))


def additive_yield(fixed: float, holding: float, rate: float, mean: float, sd: float) -> Quantity:
    """What comes in is the order plus a random amount of this mean and sd: Snyder & Shen §9.3.2."""
    lot = math.sqrt(2 * fixed * rate / holding + sd * sd)  # that comes in, on average
    return Quantity(lot - mean, fixed * rate / lot + holding * (lot * lot + sd * sd) / (2 * lot))


def multiplicative_yield(fixed: float, holding: float, rate: float, mean: float, sd: float) -> Quantity:
    """What comes in is the order times a random part of this mean and sd: Snyder & Shen §9.3.3."""
    square = mean * mean + sd * sd
    q = math.sqrt(2 * fixed * rate / (holding * square))
    return Quantity(q, fixed * rate / (mean * q) + holding * q * square / (2 * mean))


def minimise(f: Callable[[float], float], low: float, high: float) -> float:
    """Where a function with one valley is least, by golden section, to 1e-12 of the range's ends."""
    ratio = (math.sqrt(5) - 1) / 2
    a, b = low, high
    c, d = b - ratio * (b - a), a + ratio * (b - a)
    fc, fd = f(c), f(d)
    while b - a > 1e-12 * (abs(a) + abs(b)):
        if fc < fd:
            b, d, fd = d, c, fc
            c = b - ratio * (b - a)
            fc = f(c)
        else:
            a, c, fc = c, d, fd
            d = a + ratio * (b - a)
            fd = f(d)
        if c >= d:
            break
    return (a + b) / 2
