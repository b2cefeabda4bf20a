"""What can be moved: batteries, machines that may wait, buffers; and how a battery follows the meter between two plans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Battery:
    """`capacity` kWh; `power` kW at the grid's side; `efficiency` of a whole cycle, its root on either way; `low`, `high` 0..1; `wear` in
    money per kWh discharged."""

    name: str
    capacity: float
    power: float
    efficiency: float = 0.9
    low: float = 0.0
    high: float = 1.0
    wear: float = 0.0

    @property
    def one_way(self) -> float:
        """Of charging, and of discharging."""
        return float(self.efficiency**0.5)

    def within(self, power: float, energy: float, hours: float) -> float:
        """`power` (kW, above 0: charges) cut to what it can do for `hours` with `energy` (kWh) in store."""
        most = max(0.0, self.high * self.capacity - energy) / (hours * self.one_way)
        least = max(0.0, energy - self.low * self.capacity) * self.one_way / hours
        return max(-min(self.power, least), min(self.power, most, power))

    def after(self, power: float, energy: float, hours: float) -> float:
        """What is in store after `hours` at `power`."""
        return energy + hours * (power * self.one_way if power > 0 else power / self.one_way)


@dataclass(frozen=True, slots=True)
class Machine:
    """Must take `energy` kWh within its window, at up to `power` kW."""

    name: str
    power: float


@dataclass(frozen=True, slots=True)
class Buffer:
    """Filled with up to `power` kW, holds `capacity` kWh; loses the share `leak` of its level in an hour, and `draw` kW."""

    name: str
    capacity: float
    power: float
    draw: float = 0.0
    leak: float = 0.0
    low: float = 0.0
    high: float = 1.0


@dataclass(frozen=True, slots=True)
class Site:
    """One meter. `export`: greatest power that may be fed in, kW."""

    batteries: tuple[Battery, ...] = ()
    machines: tuple[Machine, ...] = ()
    buffers: tuple[Buffer, ...] = ()
    export: float = 0.0


def follow(power: float, load: float, cap: float, export: float) -> float:
    """The power of the batteries together (kW, above 0: charges) that is nearest to `power` and keeps load + power within −export..cap.

    This is what the limit control of a battery does from second to second on the meter in front of it: between two plans it knows the load
    as it comes, and not before. Where both cannot be kept, nothing is fed in beyond `export`.
    """
    return max(-export - load, min(power, cap - load))


def share(wanted: Sequence[float], total: float, batteries: Sequence[Battery], stored: Sequence[float], hours: float) -> list[float]:
    """Powers near `wanted` that come to `total` kW as far as each battery can, what is to be changed being shared by their power."""
    powers = [b.within(p, e, hours) for b, p, e in zip(batteries, wanted, stored, strict=True)]
    for _ in range(len(batteries)):  # each round fills at least one up, or ends
        missing = total - sum(powers)
        side = float("inf") if missing > 0 else float("-inf")
        room = [b.within(side, e, hours) - p for b, p, e in zip(batteries, powers, stored, strict=True)]
        able = sum(b.power for b, r in zip(batteries, room, strict=True) if r)
        if abs(missing) < 1e-9 or not able:
            break
        for i, (b, r) in enumerate(zip(batteries, room, strict=True)):
            if r:
                part = missing * b.power / able
                powers[i] += min(part, r) if missing > 0 else max(part, r)
    return powers
