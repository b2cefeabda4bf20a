"""Photovoltaics on the hall's roof, computed: a clear sky times clouds. Nothing here is recorded.

Clear sky: global horizontal irradiance = 1098 W/m² · cos z · exp(-0.057 / cos z) (B. Haurwitz, J. Meteorology 2 (1945) 154-166), the sun's
height from its declination (P. I. Cooper, Solar Energy 12 (1969) 333-346). Clouds: each day has a mean cover, and a first-order
autoregression around it from quarter to quarter, both drawn from the seed and the day.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

LATITUDE = math.radians(34.9)
PEAK = 250.0  # kW at 1000 W/m²
PERFORMANCE = 0.85  # of panels, cables and inverter
DAY, QUARTER = 86_400.0, 900.0


def clear_sky(time: float) -> float:
    """W/m² on the horizontal, `time` in s of local solar time since a New Year's midnight."""
    day = time / DAY
    declination = math.radians(23.45) * math.sin(2 * math.pi * (284 + day % 365) / 365)
    hour = 2 * math.pi * (day % 1.0 - 0.5)
    height = math.sin(LATITUDE) * math.sin(declination) + math.cos(LATITUDE) * math.cos(declination) * math.cos(hour)
    return 1098 * height * math.exp(-0.057 / height) if height > 0.01 else 0.0


@dataclass
class Roof:
    """The inverter of the roof: `power(time)` in kW, the same for the same seed and time."""

    seed: int = 5
    _days: dict[int, NDArray[np.float64]] = field(default_factory=dict)

    def power(self, time: float) -> float:
        """kW at `time` (s since New Year)."""
        clear = clear_sky(time)
        if clear <= 0:
            return 0.0
        day, within = divmod(time, DAY)
        through = self._through(int(day))
        at = min(within / QUARTER, len(through) - 1.001)
        left = int(at)
        share = (through[left + 1] - through[left]) * (at - left) + through[left]
        return PEAK * PERFORMANCE * clear / 1000 * float(share)

    def _through(self, day: int) -> NDArray[np.float64]:
        """What the clouds let through, 0.15..1, for each quarter of an hour of a day."""
        if day not in self._days:
            rng = np.random.default_rng((self.seed, day))
            mean, cloud = rng.beta(3.0, 1.5), 0.0
            found = np.empty(97)
            for i, shock in enumerate(rng.normal(0.0, 0.08, 97)):
                cloud = 0.85 * cloud + shock
                found[i] = min(max(mean + cloud, 0.15), 1.0)
            self._days[day] = found
        return self._days[day]
