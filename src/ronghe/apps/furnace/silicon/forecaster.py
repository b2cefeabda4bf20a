"""The forecast of hot-metal silicon: features, filter and interval as one, row by row."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from ronghe.apps.furnace.silicon.band import Band
from ronghe.apps.furnace.silicon.features import HOUR, Memory, features
from ronghe.apps.furnace.silicon.filtering import Dynamics, Filter
from ronghe.apps.furnace.silicon.heats import Heats

Floats = NDArray[np.float64]

_CLIP: Final = 4.0  # standard deviations; a feature farther out counts as that far
BURN_IN: Final = 200  # rows of a training before the errors count for the interval
_MEDIAN: Final = 0.25
"""Of the variance, added to the log mean: halfway from the median, which hits most often, to the mean, which errs least in the square."""


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """Silicon in %: the value expected and the 90 % interval. `log` and `spread` are mean and standard deviation of its logarithm."""

    mean: float
    low: float
    high: float
    log: float
    spread: float
    width: float


@dataclass(frozen=True, slots=True, eq=False)
class Scaling:
    """How features are made numbers near 1, and silicon a number near 0: from the training rows. `mean`, `sd` float64[3 k]."""

    mean: Floats
    sd: Floats
    centre: float  # %
    variance: float  # of log silicon
    gap: float  # h between heats, median

    @classmethod
    def of(cls, heats: Heats) -> Scaling:
        """From training rows."""
        x = features(heats.time, heats.process, Memory(np.zeros(len(heats.names))))
        log = np.log(heats.silicon)
        sd = x.std(axis=0)
        gap = float(np.median(np.diff(heats.time))) / HOUR
        return cls(
            x.mean(axis=0), np.where(sd > 1e-9 * (1 + np.abs(x.mean(axis=0))), sd, np.inf), float(np.exp(log.mean())), float(log.var()), gap
        )


@dataclass(slots=True)
class Forecaster:
    """State of the forecast after the rows it has seen. Every method takes time in order; nothing later is looked at."""

    scaling: Scaling
    memory: Memory
    filter: Filter
    band: Band = field(default_factory=Band)
    last: int = 0  # time of the last assay learned, ns

    @classmethod
    def new(cls, scaling: Scaling, dynamics: Dynamics) -> Forecaster:
        """Before anything was seen."""
        d = len(scaling.mean)
        return cls(scaling, Memory(np.zeros(d // 3)), Filter.new(dynamics, scaling.variance, d))

    def copy(self) -> Forecaster:
        """One of its own."""
        memory = Memory(self.memory.slow.copy(), list(self.memory.times), list(self.memory.rows))
        return Forecaster(self.scaling, memory, self.filter.copy(), self.band.copy(), self.last)

    def freeze(self) -> None:
        """Coefficients and interval stay as they are; the level still follows the assays."""
        self.filter.freeze()
        self.band.frozen = True

    def restart(self) -> None:
        """The clock went back, or the rows are another furnace campaign's: what was learned stays, where the furnace stood does not."""
        f = self.filter
        f.mean[:2] = 0.0
        f.cov[:2, :] = 0.0
        f.cov[:, :2] = 0.0
        f.cov[(0, 1), (0, 1)] = f.variance * np.array(f.dynamics.levels)
        self.memory = Memory(np.zeros_like(self.memory.slow))
        self.last = 0

    def see(self, time: int, row: Floats) -> Floats:
        """The features of a row of process variables float64[k], float64[3 k]."""
        x = (self.memory.step(time, row) - self.scaling.mean) / self.scaling.sd
        return np.clip(x, -_CLIP, _CLIP)

    def forecast(self, time: int, x: Floats, heats: float = 1.0) -> Forecast:
        """Of the heat at `time` (ns), with its features, so many heats after the last assay learned."""
        log, variance = self.filter.forecast(self._hours(time), heats, x)
        spread, width = math.sqrt(variance), self.band.width()
        c = self.scaling.centre
        return Forecast(
            mean=c * math.exp(log + _MEDIAN * variance),
            low=c * math.exp(log - width * spread),
            high=c * math.exp(log + width * spread),
            log=log,
            spread=spread,
            width=width,
        )

    def learn(self, time: int, x: Floats, silicon: float, said: Forecast | None = None, heats: float = 1.0) -> None:
        """The assay (%) of the heat at `time`, with its features; `said` is what was forecast of it, for the interval."""
        value = math.log(silicon / self.scaling.centre)
        if said is not None:
            self.band.learn(abs(value - said.log) / said.spread, said.width)
        self.filter.learn(self._hours(time), heats, x, value)
        self.last = time

    def _hours(self, time: int) -> float:
        return max(0.0, (time - self.last) / HOUR) if self.last else 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Replayed:
    """What was forecast of each row, float64[n]: `mean`, `low`, `high` in %; `known` int64[n]: how many earlier rows' assays were known."""

    mean: Floats
    low: Floats
    high: Floats
    known: NDArray[np.int64]


def replay(forecaster: Forecaster, heats: Heats, *, delay: int = 0, burn_in: int = 0) -> Replayed:
    """Goes through rows in time as a plant would: a row is forecast with its process variables and the assays of rows before it that are at
    least `delay` ns old, and of none else. The forecaster is left as it is after the last row, all assays learned."""
    n = len(heats)
    out = np.empty((3, n))
    known = np.empty(n, np.int64)
    waiting: deque[tuple[int, Floats, Forecast]] = deque()
    told = 0  # rows whose assay was learned
    for i in range(n):
        time = int(heats.time[i])
        while waiting and (waiting[0][0] <= time - delay):
            told = _tell(forecaster, heats, waiting, told, burn_in)
        x = forecaster.see(time, heats.process[i])
        said = forecaster.forecast(time, x, float(i - told + 1))
        out[:, i] = said.mean, said.low, said.high
        known[i] = told
        waiting.append((time, x, said))
    while waiting:
        told = _tell(forecaster, heats, waiting, told, burn_in)
    return Replayed(out[0], out[1], out[2], known)


def _tell(forecaster: Forecaster, heats: Heats, waiting: deque[tuple[int, Floats, Forecast]], told: int, burn_in: int) -> int:
    at, x, said = waiting.popleft()
    forecaster.learn(at, x, float(heats.silicon[told]), said if told >= burn_in else None)
    return told + 1
