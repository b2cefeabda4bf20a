"""The corner of the demonstration that runs by itself: the works' load, a roof of panels, a battery, the meter at the grid, and a furnace.

The load is recorded (see `data/SOURCE.md`); roof, battery and furnace are computed. All of it lives in one time, seconds since a New Year,
which a demonstration plays faster than it passes.

As registers (big-endian; float32 where nothing is said), in each unit both as input and as holding registers:

    1  meter    0 grid kW, 2 kvar, 4 power factor (uint16, 0.01 %), 5 always 0, 6 counter of what was bought (uint32, 0.1 kWh), 8 CO2 t/h,
                10 the works' feeder kW
    3  battery  0 power kW (+ charges), 2 state of charge %, 4 set-point kW *, 6 temperature Cel
    4  roof     0 power kW
    5  furnace  0 heating zone's set-point Cel *, 2 soaking zone's *, 4 air ratio *, 6 heating zone Cel, 8 soaking zone, 10 roof,
                12 oxygen %, 14 gas Nm³/h, 16 rate t/h, 18 billet before the first stand Cel, 20 gas of the last hour MJ/t, 22 burners kW

* can be written. Unit 2 are the gas sensors, see `ronghe.demo.gas`.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence

from ronghe.demo.battery import Battery
from ronghe.demo.reheating import HEATING_VALUE, Furnace
from ronghe.demo.rig import rows
from ronghe.demo.sun import QUARTER, Roof

METER, BATTERY, ROOF, FURNACE = 1, 3, 4, 5
SIZES = {METER: 12, BATTERY: 8, ROOF: 2, FURNACE: 24}
"""Registers of each unit."""
STEP = 60.0  # s, longest step of the battery
WARM = 6 * 3600.0  # s that the furnace has been at work when it is met
PACE = 300  # s of the corner in one of ours: a quarter of an hour in three seconds, a day in not quite five minutes
NEW_YEAR = 1_704_038_400.0  # 2024 at UTC+8, in s since 1970 UTC: 2018, when it was recorded, had the same weekdays
MIDNIGHT = 8 * 86_400.0  # s: when a demonstration begins, the night before a Tuesday; at seven the night is over, at eight the works begin


class Lapse:
    """The corner's time by our clock."""

    def __init__(self, since: float) -> None:
        """`since` is when, by our clock (s since 1970 UTC), the demonstration begins."""
        self._since = since

    def shows(self, now: float) -> float:
        """The corner's time (s since New Year) at `now` by our clock."""
        return MIDNIGHT + (now - self._since) * PACE


class Corner:
    """The devices. `advance(to)` moves their time on; `read` and `write` are what a master on the line does."""

    def __init__(self, time: float, *, seed: int = 0) -> None:
        """`time` in s since New Year."""
        self.time = self.began = time
        self.battery, self.roof, self.furnace = Battery(), Roof(seed=5 + seed), Furnace(seed=3 + seed)
        self.furnace.step(WARM)
        self._rows = [
            [float(row[c]) for c in ("active_kwh", "reactive_kvarh", "power_factor", "co2_t")] for row in rows("steel_energy.csv.gz")
        ]
        self.bought = self.sold = 0.0  # kWh since the beginning

    @property
    def load(self) -> float:
        """kW of the works now."""
        return self.load_at(self.time)

    @property
    def grid(self) -> float:
        """kW from the grid; below 0 into it."""
        return self.load - self.roof.power(self.time) + self.battery.power

    def advance(self, to: float) -> None:
        """Moves on to `to` (s since New Year); never back."""
        while self.time < to - 1e-6:
            quarter = (math.floor(self.time / QUARTER + 1e-9) + 1) * QUARTER  # the load changes there
            step = min(to, quarter, self.time + STEP) - self.time
            self.battery.step(step)
            self.furnace.step(step)
            energy = self.grid * step / 3600
            self.bought += max(energy, 0.0)
            self.sold += max(-energy, 0.0)
            self.time += step

    def read(self, unit: int) -> list[int]:
        """All registers of a unit."""
        if unit == METER:
            active, reactive, factor, co2 = self._recorded(self.time)
            share = max(self.grid, 0.0) / max(active * 4, 0.1)
            counter = round(self.bought * 10) % 2**32
            frame = struct.pack(">ffHHIff", self.grid, reactive * 4, round(factor * 100), 0, counter, co2 * 4 * share, active * 4)
        elif unit == BATTERY:
            self.battery.hear()
            frame = struct.pack(">4f", self.battery.power, self.battery.soc * 100, self.battery.setpoint, self.battery.temperature)
        elif unit == ROOF:
            frame = struct.pack(">f", self.roof.power(self.time))
        else:
            f = self.furnace
            set_to = (f.heating_setpoint, f.soaking_setpoint, f.air_setpoint)
            frame = struct.pack(
                ">12f", *set_to, f.heating, f.soaking, f.roof, f.oxygen, f.gas, f.rate, f.piece, f.fuel, f.gas * HEATING_VALUE / 3.6
            )
        return list(struct.unpack(f">{SIZES[unit]}H", frame))

    def write(self, unit: int, start: int, words: Sequence[int]) -> bool:
        """Writes whole set-points; False, and nothing is written, for anything else."""
        settable = {BATTERY: {4: "setpoint"}, FURNACE: {0: "heating_setpoint", 2: "soaking_setpoint", 4: "air_setpoint"}}.get(unit, {})
        values = struct.unpack(f">{len(words) // 2}f", struct.pack(f">{len(words)}H", *words)) if len(words) % 2 == 0 else ()
        names = [settable.get(start + 2 * i) for i in range(len(values))]
        if not names or not all(math.isfinite(v) for v in values) or None in names:
            return False
        device = self.battery if unit == BATTERY else self.furnace
        for name, value in zip(names, values, strict=True):
            setattr(device, str(name), value)
        if unit == BATTERY:
            self.battery.hear()
        return True

    def load_at(self, time: float) -> float:
        """kW of the works: of the quarter of an hour as it was recorded."""
        return self._recorded(time)[0] * 4

    def _recorded(self, time: float) -> list[float]:
        """The recorded quarter of an hour; after the last, the first again."""
        return self._rows[int(time // QUARTER + 1e-9) % len(self._rows)]
