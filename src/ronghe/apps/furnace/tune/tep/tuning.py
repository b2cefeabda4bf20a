"""The Tennessee Eastman process tuned while it runs, and judged: one plant, never reset, from its base case to where the tuner rests.

The tuner sees what the controller sees, with noise: 41 measurements, averaged over six minutes. The judge counts by what is true: every 18
s of plant time, without noise. Ricker's set-points of the optimum (Computers & Chemical Engineering 19(9), 1995) are told to nobody; the
ranges below are what the equipment permits and published limits.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from ronghe.apps.furnace.tune.pilot import Pace, Pilot, Row
from ronghe.apps.furnace.tune.simple import Coordinates
from ronghe.apps.furnace.tune.space import Limit, Space, Strategy
from ronghe.apps.furnace.tune.tep import cost, loop
from ronghe.apps.furnace.tune.tep.process import STEP, Process
from ronghe.apps.furnace.tune.tep.process import Row as Stretch
from ronghe.apps.furnace.tune.tuner import Tuner

ROW: Final = 0.1  # h
FIRST: Final = 24.0  # h of start-up: the base case under Ricker's controller comes to rest; not judged
CONFIRM: Final = 48.0  # h at the end, at rest, over which the cost is averaged


class Knob(msgspec.Struct, frozen=True):
    """A set-point of Ricker's controller: its place, range, and fastest ramp per h."""

    name: str
    place: int
    low: float
    high: float
    ramp: float


# What is known before: less pressure only loses more in the purge, recycle and steam valve only cost when opened further than today, the
# agitator only mixes. One side of each range is therefore shut. Level, temperature and composition may go either way.
KNOBS: Final = (
    Knob("reactor_pressure_kpa", loop.SP_PRESSURE, 2705.0, 2793.0, 5.0),  # limit 2800, less the margin of 5 and 2 of noise
    Knob("reactor_level_pct", loop.SP_REACTOR, 65.0, 80.0, 0.5),
    Knob("reactor_temperature_c", loop.SP_TEMPERATURE, 119.0, 125.0, 0.15),
    Knob("feed_a_share_pct", loop.SP_YA, 50.0, 70.0, 0.5),  # A of A and C in the reactor feed
    Knob("feed_a_and_c_pct", loop.SP_YAC, 48.0, 62.0, 0.3),
    Knob("recycle_valve_pct", loop.SP_STATIC, 0.0, 22.21, 1.2),
    Knob("steam_valve_pct", loop.SP_STATIC + 1, 1.0, 47.446, 2.5),
    Knob("agitator_pct", loop.SP_STATIC + 2, 50.0, 100.0, 3.0),
)

_PRODUCTION: Final = 22.95  # m3/h
_G: Final = 53.72  # mol %


class Held(msgspec.Struct, frozen=True):
    """A constraint: the index of its measurement (XMEAS, from 0), of its true value (`loop.WATCHED`), and its limit."""

    name: str
    measured: int
    watched: int
    limit: Limit


def _held(name: str, measured: int, watched: int, low: float | None, high: float | None, margin: float) -> list[Held]:
    out = []
    if low is not None:
        out.append(Held(f"{name}_low", measured, watched, Limit(limit=low, side="above", margin=margin)))
    if high is not None:
        out.append(Held(f"{name}_high", measured, watched, Limit(limit=high, side="below", margin=margin)))
    return out


HELD: Final = (
    *_held("reactor_pressure", 6, 0, None, 2800.0, 5.0),
    *_held("reactor_level", 7, 1, 65.0, None, 0.7),
    *_held("separator_level", 11, 2, 30.0, 100.0, 1.0),
    *_held("stripper_level", 14, 3, 30.0, 100.0, 1.0),
    *_held("production", 16, 4, 0.95 * _PRODUCTION, 1.05 * _PRODUCTION, 0.05),
    *_held("product_g", 39, 5, _G - 5, _G + 5, 0.2),
)

SPACE: Final = Space(
    low=tuple(k.low for k in KNOBS), high=tuple(k.high for k in KNOBS), limits=tuple(h.limit for h in HELD), better="lower"
)
PACE: Final = Pace(ramp=tuple(k.ramp for k in KNOBS), settle=10.0, window=24.0, row=ROW)  # in h


# What is switched on midway, one at a time, and why these.
DISTURBANCES: Final = {
    "idv_4": 4,  # step in the temperature of the reactor's cooling water: takes cooling away, leaves the optimum
    "idv_8": 8,  # A, B and C in the feed wander at random: hardest on pressure and purge, never steady again
    "idv_13": 13,  # the kinetics drift: the optimum itself moves
}


class Outcome(msgspec.Struct, kw_only=True):
    """A run from its start, or from midway, to rest. Costs in $/h; `violation_minutes` by constraint, after the start-up."""

    cost_before: float
    cost_best: float  # measured, mean of the last `CONFIRM` hours, at rest
    cost_best_true: float  # the same, without noise
    evaluations: int
    turned_back: int
    shutdowns: int
    violation_minutes: dict[str, float]
    set_points: dict[str, float]
    plant_hours: float


Make = Callable[[int], Strategy]


def bayesian(seed: int) -> Strategy:
    """The tuner."""
    return Tuner(SPACE, np.random.default_rng(seed), step=0.2)


def coordinates(seed: int) -> Strategy:
    """The baseline."""
    return Coordinates(SPACE)


class Plant:
    """The process with a pilot at its set-points, and the judge's book. Starts up at once: see `FIRST`."""

    def __init__(self, seed: int, make: Make) -> None:
        self.process = Process(seed, _bands())
        self.pilot = Pilot(SPACE, PACE, make(seed))
        self._places = [k.place for k in KNOBS]
        self.shutdown = 0
        self.outside = np.zeros(loop.WATCHED)
        self._minutes(FIRST)

    @property
    def strategy(self) -> Strategy:
        """What the pilot follows."""
        return self.pilot.strategy

    def copy(self) -> Plant:
        """The same plant, tuner and book at this moment, to go another way."""
        twin = copy.copy(self)
        twin.process, twin.pilot, twin.outside = self.process.copy(), copy.deepcopy(self.pilot), self.outside.copy()
        return twin

    def disturb(self, number: int) -> None:
        """Switches IDV `number` on."""
        self.process.idv[number - 1] = 1.0

    def tune(self, evaluations: int) -> None:
        """Goes on until so many evaluations have been made in all, or there is nothing left to try, or the process shuts down."""
        while not self.shutdown and len(self.strategy.trials) < evaluations and self.pilot.phase != "hold":
            self._row(steer=True)

    def finish(self) -> tuple[float, float]:
        """To the best point, by ramp, and there for `CONFIRM` hours: mean of the measured cost and of the true one over them."""
        self.pilot.rest()
        while not self.shutdown and self.pilot.phase in ("ramp", "back", "settle"):
            self._row(steer=True)
        return self._minutes(CONFIRM)

    def _minutes(self, hours: float) -> tuple[float, float]:
        rows = [self._row(steer=False) for _ in range(round(hours / ROW)) if not self.shutdown]
        if not rows:
            return float("nan"), float("nan")
        return float(np.mean([cost.hourly(r.measured) for r in rows])), float(np.mean([r.cost for r in rows]))

    def _row(self, *, steer: bool) -> Stretch:
        stretch = self.process.run(round(ROW / STEP))
        self.shutdown = self.shutdown or stretch.shutdown
        if stretch.time > FIRST + ROW / 2:
            self.outside += stretch.outside
        y = stretch.measured
        if steer:
            row = Row(
                time=self.process.time,
                x=tuple(self.process.set_points[self._places].tolist()),
                terms=cost.terms(y),
                values=tuple(float(y[h.measured]) for h in HELD),
            )
            wanted = self.pilot.step(row)
            if wanted is not None:
                self.process.set_points[self._places] = wanted
        return stretch


def _bands() -> NDArray[np.float64]:
    bands = np.tile([-np.inf, np.inf], (loop.WATCHED, 1))
    for h in HELD:
        bands[h.watched, 1 if h.limit.side == "below" else 0] = h.limit.limit
    return bands
