"""The demonstration rig: recorded load cycles of a real hydraulic test rig, mixed by how well its cooler works at the moment.

What is recorded and what is assumed:
- every value is a mixture of values measured on the rig (ZeMA, CC BY 4.0) at the same second of its 60 s load cycle, with the cooler at
  100 %, 20 % and 3 % of its condition;
- assumed: the cooler's effect is its condition times fan speed over nominal fan speed, followed with a first-order lag; oil temperatures'
  rise over ambient and the vibration go with pump speed over nominal to the power of 1.5 and 1.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

SENSORS = ("CE", "CP", "SE", "TS1", "TS2", "TS3", "TS4", "VS1")
LEVELS = (0.03, 0.2, 1.0)  # recorded conditions of the cooler
AMBIENT = 22.0  # Cel
NOMINAL_FAN, NOMINAL_PUMP = 60.0, 1450.0  # %, 1/min
LAG = 45.0  # s of recorded time, in which 63 % of a change in cooling shows


def rows(name: str) -> Iterator[dict[str, str]]:
    """The lines of one of the shipped recordings."""
    raw = files("ronghe.demo").joinpath("data", name).read_bytes()
    yield from csv.DictReader(gzip.decompress(raw).decode().splitlines())


def cycles() -> dict[float, NDArray[np.float64]]:
    """Recorded cycles by cooler condition (0..1): float64[n, 60, 8] in the order of `SENSORS`."""
    found: dict[float, dict[str, list[list[float]]]] = {level: {} for level in LEVELS}
    for row in rows("hydraulic.csv.gz"):
        found[int(row["cooler"]) / 100].setdefault(row["cycle"], []).append([float(row[s]) for s in SENSORS])
    return {level: np.array(list(by_cycle.values())) for level, by_cycle in found.items()}


def split(good: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The good cooler's cycles to learn from, and those to play: every other one, so that both see each pressure of the accumulator and
    nothing is judged on what it was learned from."""
    return good[::2], good[1::2]


@dataclass
class Rig:
    """The rig's state. `step(seconds)` moves recorded time on and gives the eight sensor values."""

    seed: int = 7
    condition: float = 1.0  # of the cooler, 1 = as new; set by the demonstration's script
    fan_setpoint: float = NOMINAL_FAN
    pump_setpoint: float = NOMINAL_PUMP

    def __post_init__(self) -> None:
        self._cycles = cycles()
        self._cycles[1.0] = split(self._cycles[1.0])[1]
        self._rng = np.random.default_rng(self.seed)
        self._second = 0
        self._chosen = {level: self._pick(level) for level in LEVELS}
        self.fan, self.pump = self.fan_setpoint, self.pump_setpoint
        self.cooling = 1.0  # the effect at the moment, in units of the good cooler at nominal fan speed

    def _pick(self, level: float) -> NDArray[np.float64]:
        return self._cycles[level][self._rng.integers(len(self._cycles[level]))]

    def step(self, seconds: float = 1.0) -> dict[str, float]:
        """The sensor values `seconds` of recorded time later, by sensor name."""
        self.fan += (self.fan_setpoint - self.fan) * min(1.0, seconds / 5.0)
        self.pump += (self.pump_setpoint - self.pump) * min(1.0, seconds / 5.0)
        aim = float(np.clip(self.condition * self.fan / NOMINAL_FAN, LEVELS[0], LEVELS[-1]))
        self.cooling += (aim - self.cooling) * (1.0 - np.exp(-seconds / LAG))
        second = self._second % 60
        if second == 0:
            self._chosen = {level: self._pick(level) for level in LEVELS}
        self._second += 1
        upper = 1 if self.cooling <= LEVELS[1] else 2
        low, high = LEVELS[upper - 1], LEVELS[upper]
        # The recorded temperatures lie on a curve that flattens towards the good cooler: mixing in log(condition) follows it more nearly.
        share = (np.log(self.cooling) - np.log(low)) / (np.log(high) - np.log(low))
        value = (1 - share) * self._chosen[low][second] + share * self._chosen[high][second]
        sample = dict(zip(SENSORS, value.tolist(), strict=True))
        faster = self.pump / NOMINAL_PUMP
        for sensor in ("TS1", "TS2", "TS3", "TS4"):
            sample[sensor] = AMBIENT + (sample[sensor] - AMBIENT) * faster**1.5
        sample["VS1"] *= faster
        return sample
