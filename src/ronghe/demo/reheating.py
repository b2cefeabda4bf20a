"""A small reheating furnace by physics: billets are pushed through a heating and a soaking zone, gas keeps the zones at their set-points.

Simulated, not recorded; the equations are the usual ones of a balance (W. Trinks et al., *Industrial Furnaces*, 6th ed., Wiley 2004):
- zones radiate to the billets' surface, heat is conducted to their core; each push moves all billets by one place;
- gas = (heat to the steel + walls + heating up the zones) / available heat; available heat = 1 - flue gas - unburnt + air preheat, so much
  air costs fuel, and too little does not burn it;
- oxygen in the dry flue gas follows from the air ratio, which the gas's drifting quality shifts; the roof is hotter than its zone by the
  flame, and the flame is hotter with less air.
What is drawn from the seed: pushing rate and gas quality (first-order autoregressions), and the pyrometer's noise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

PLACES, HEATING = 12, 7  # billets in the furnace; of them in the heating zone
BILLET = 1.5  # t
AREA = 2.0  # m² of a billet that a zone radiates to
EMISSIVITY = 0.62  # of the exchange as a whole
SIGMA = 5.67e-8  # W/m²K⁴
CONDUCTANCE = 400.0  # W/K between a billet's surface and core
LATENT = (700.0, 780.0)  # Cel between which steel takes up the heat of its change
AIR, FLUE = 9.5, 10.5  # Nm³ a Nm³ of gas, with just enough air
HEATING_VALUE = 36.0  # MJ/Nm³
MOST_GAS = 900.0  # Nm³/h
LEAST_GAS = 25.0
WALL = 0.45e3  # W/K, each zone
ZONE_HEAT = 9.0e6  # J/K, each zone
FOLLOWS = 600.0  # s in which a zone covers 63 % of a change of its set-point
AMBIENT = 20.0  # Cel
STEP = 30.0  # s, longest step of the integration
LIMITS = {"heating": (1000.0, 1280.0), "soaking": (1100.0, 1300.0), "air": (1.02, 1.5)}
"""What the furnace's own controller takes: beyond, a set-point is held at the end of its range."""


@dataclass
class Furnace:
    """Set-points: zone temperatures (Cel) and air ratio. What is measured is in the fields after them. `step(seconds)` moves on."""

    seed: int = 3
    heating_setpoint: float = 1220.0
    soaking_setpoint: float = 1270.0
    air_setpoint: float = 1.25
    heating: float = 1220.0
    soaking: float = 1270.0
    roof: float = 1290.0
    oxygen: float = 4.0  # % of the dry flue gas
    gas: float = 300.0  # Nm³/h
    rate: float = 9.0  # t/h
    piece: float = 1200.0  # Cel, of the last billet as the pyrometer before the first stand saw it, surface and core evened out
    coldest: float = 1200.0  # Cel, the same without the pyrometer's noise, of the coldest billet so far; no device measures it
    fuel: float = 0.0  # MJ per tonne, over the last hour
    pushed: int = 0
    _surface: NDArray[np.float64] = field(default_factory=lambda: np.linspace(AMBIENT, 1200.0, PLACES))
    _inside: NDArray[np.float64] = field(default_factory=lambda: np.linspace(AMBIENT, 1180.0, PLACES))

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.seed)
        self._quality = self._load = self._waited = self._steel = self._burnt = 0.0
        self._in_soaking = np.arange(PLACES) >= HEATING

    def step(self, seconds: float) -> None:
        """`seconds` later."""
        while seconds > 1e-9:
            part = min(seconds, STEP)
            self._drift(part)
            self._heat(part)
            self._push(part)
            seconds -= part

    def _drift(self, seconds: float) -> None:
        keep = math.exp(-seconds / 14_400)
        shock = math.sqrt(1 - keep * keep)
        self._load = keep * self._load + shock * self._rng.normal()
        self._quality = keep * self._quality + shock * self._rng.normal()
        self.rate = min(max(9.0 + 0.3 * self._load, 7.5), 10.5)

    def _heat(self, seconds: float) -> None:
        zones = np.where(self._in_soaking, self.soaking, self.heating)
        radiated = EMISSIVITY * SIGMA * AREA * ((zones + 273.15) ** 4 - (self._surface + 273.15) ** 4)  # W to each billet
        conducted = CONDUCTANCE * (self._surface - self._inside)
        half = BILLET * 1000 / 2
        self._surface += seconds * (radiated - conducted) / (half * _heat_capacity(self._surface))
        self._inside += seconds * conducted / (half * _heat_capacity(self._inside))
        wanted = float(radiated.sum())
        rises = {}
        for zone in ("heating", "soaking"):
            low, high = LIMITS[zone]
            aim = min(max(float(getattr(self, f"{zone}_setpoint")), low), high)
            rises[zone] = (aim - float(getattr(self, zone))) * (1.0 - math.exp(-seconds / FOLLOWS)) / seconds
            wanted += WALL * (float(getattr(self, zone)) - AMBIENT)
        heat_up = ZONE_HEAT * sum(rises.values())
        a_cubic = self._available() * HEATING_VALUE * 1e6 / 3600  # W from a Nm³/h
        self.gas = min(max((wanted + heat_up) / a_cubic, LEAST_GAS), MOST_GAS)
        given = self.gas * a_cubic - wanted  # W left for the zones: less than they ask for where the burners are at their end
        for zone, rise in rises.items():
            by_share = given / (2 * ZONE_HEAT) if abs(heat_up - given) > 1.0 else rise
            setattr(self, zone, float(getattr(self, zone)) + seconds * by_share)
        air = self._air()
        flame = self.soaking + 34.0 * (self.gas / 300.0) / air**2
        self.roof += (flame - self.roof) * (1.0 - math.exp(-seconds / 900))
        self.oxygen = 21 * AIR * max(air - 1, 0.0) / (FLUE - 2 + AIR * max(air - 1, 0.0)) + 0.05 * float(self._rng.normal())
        self._burnt += (self.gas * HEATING_VALUE - self._burnt) * (1.0 - math.exp(-seconds / 3600))
        self._steel += (self.rate - self._steel) * (1.0 - math.exp(-seconds / 3600))
        self.fuel = self._burnt / self._steel

    def _air(self) -> float:
        """The air ratio as it is: richer gas wants more air than its set-point gives."""
        low, high = LIMITS["air"]
        return min(max(self.air_setpoint, low), high) * (1.0 - 0.012 * self._quality)

    def _available(self) -> float:
        """The share of the gas's heating value that stays in the furnace."""
        air = self._air()
        flue_gas = (FLUE + AIR * max(air - 1, 0.0)) * 1.55e-3 * (self.heating - 200 - AMBIENT)
        preheat = AIR * air * 1.35e-3 * (350 - AMBIENT)
        unburnt = 0.35 * 0.02 * math.log1p(math.exp((1.05 - air) / 0.02))
        return 1.0 - (flue_gas - preheat) / HEATING_VALUE - unburnt

    def _push(self, seconds: float) -> None:
        self._waited += seconds * self.rate / 3600
        if self._waited < BILLET:
            return
        self._waited -= BILLET
        self.pushed += 1
        mean = float(self._surface[-1] + self._inside[-1]) / 2
        self.piece = mean + 3.0 * float(self._rng.normal())
        self.coldest = min(self.coldest, mean)
        for places in (self._surface, self._inside):
            places[1:] = places[:-1].copy()
            places[0] = AMBIENT


def _heat_capacity(temperature: NDArray[np.float64]) -> NDArray[np.float64]:
    """J/kgK of a mild steel: its change of structure as a plateau."""
    low, high = LATENT
    return np.where((temperature > low) & (temperature < high), 1350.0, np.where(temperature > high, 650.0, 560.0))
