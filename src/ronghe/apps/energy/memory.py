"""What energy.optimise measured, by quarter-hour, and what the month has cost so far: kept in the app's folder, so that a restart forgets
nothing.
"""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from ronghe.apps.energy.forecast.ensemble import DAYS, Floats
from ronghe.apps.energy.tariff import QUARTER

log = logging.getLogger(__name__)

PER_DAY: Final = 96
_KEPT: Final = (DAYS + 9) * PER_DAY  # quarter-hours


class Quarter(msgspec.Struct, frozen=True, kw_only=True):
    """Means over [start, start + 15 min): kW; `battery` of each battery as measured, `planned` what the plan made of `grid`; `stored`
    kWh of each battery at the end. NaN where not known."""

    start: int
    grid: float
    pv: float
    battery: tuple[float, ...]
    other: float  # machines and buffers, as set
    stored: tuple[float, ...]
    planned: float = math.nan

    @property
    def net(self) -> float:
        """Load without what is planned here, less PV."""
        return self.grid - sum(self.battery) - self.other

    @property
    def load(self) -> float:
        """Load without what is planned here."""
        return self.net + self.pv


class MonthSoFar(msgspec.Struct, kw_only=True):
    """The month under way, of the optimiser or of the rule. `month` as `Tariff.month` counts; `floor`: the cap that it began with, kW."""

    month: int = -1
    floor: float = 0.0
    peak: float = 0.0  # kW
    peak_at: int = 0
    energy: float = 0.0  # money
    rate: float = 0.0  # of the demand charge, per kW
    kg: float = 0.0

    @property
    def cap(self) -> float:
        """What the import may come to without costing more."""
        return max(self.peak, self.floor)


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """What a finished day was worth."""

    start: int
    money: tuple[float, float, float]  # value, low, high
    kwh: float
    kg: float
    by: str


class _Kept(msgspec.Struct, kw_only=True):
    batteries: int
    quarters: list[Quarter] = []
    month: MonthSoFar = msgspec.field(default_factory=MonthSoFar)
    ruled: MonthSoFar = msgspec.field(default_factory=MonthSoFar)  # had the rule acted
    ruled_stored: list[float] = []
    taken: dict[str, float] = {}  # kWh that each machine has taken in its window
    by_rule: int = 0  # quarter-hours of this day
    days: list[Day] = []


class Memory:
    """Loads what an earlier life kept, where it is of the same number of batteries."""

    def __init__(self, path: Path, batteries: int) -> None:
        self._path = path
        self._series: dict[str, tuple[int, int, Floats]] = {}  # the last of each: time, newest quarter-hour, values
        self.kept = _Kept(batteries=batteries)
        try:
            kept = msgspec.msgpack.decode(path.read_bytes(), type=_Kept)
            if kept.batteries == batteries:
                self.kept = kept
        except FileNotFoundError:
            pass
        except (OSError, msgspec.DecodeError) as e:
            log.warning("%s is passed over: %s", path, e)

    def add(self, quarter: Quarter) -> None:
        """The next quarter-hour; one that is not later than the last is passed over."""
        k = self.kept
        if k.quarters and quarter.start <= k.quarters[-1].start:
            return
        k.quarters.append(quarter)
        if len(k.quarters) > _KEPT:
            del k.quarters[: len(k.quarters) - _KEPT]

    def series(self, now: int, what: str) -> Floats:
        """`net`, `load` or `pv` of the quarter-hours up to `now`, without a gap: what is missing is that of a week, else of a day, else
        of a quarter-hour before. Empty where nothing was measured."""
        newest = self.kept.quarters[-1].start if self.kept.quarters else 0
        last = self._series.get(what)
        if last is not None and last[:2] == (now, newest):
            return last[2]
        known = [(q.start, getattr(q, what)) for q in self.kept.quarters if math.isfinite(getattr(q, what))]
        if not known:
            return np.empty(0)
        first = max(known[0][0], now - _KEPT * QUARTER)
        first += -(now - first) % QUARTER  # on the grid of now
        found = np.full(max(0, (now - first) // QUARTER), np.nan)
        for start, value in known:
            i = (start - first) // QUARTER
            if 0 <= i < len(found):
                found[i] = value
        for i in np.flatnonzero(np.isnan(found)).tolist():
            before = [found[i - k] for k in (7 * PER_DAY, PER_DAY, 1) if i >= k and math.isfinite(found[i - k])]
            found[i] = before[0] if before else known[0][1]
        self._series[what] = (now, newest, found)
        return found

    def of_day(self, start: int, end: int) -> list[Quarter]:
        """Those that begin within [start, end)."""
        return [q for q in self.kept.quarters if start <= q.start < end]

    def keep(self) -> None:
        """Writes it down."""
        part = self._path.with_suffix(".part")
        try:
            part.write_bytes(msgspec.msgpack.encode(self.kept))
            part.replace(self._path)
        except OSError as e:  # a full disk must not keep set-points from being set
            log.warning("%s is not written: %s", self._path, e)
