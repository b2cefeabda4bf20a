"""Serial systems under stochastic service: the optimal echelon base-stock levels and the Shang-Song bounds.

Clark & Scarf, Optimal policies for a multi-echelon inventory problem, Management Science 6 (1960); Chen & Zheng, Lower bounds for
multi-echelon stochastic inventory systems, Management Science 40 (1994); Shang & Song, Newsvendor bounds and heuristic for optimal
policies in serial supply chains, Management Science 49 (2003).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ronghe.apps.inventory.distributions import Floats, Lattice, Normal, poisson

_FINE = 1500  # lattice steps in a standard deviation of the demand over all lead times: the optimum to six digits
_FAR = 8  # standard deviations


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage: echelon holding cost per unit and time, lead time from the stage before it."""

    echelon_holding: float
    lead: float


@dataclass(frozen=True, slots=True)
class Source:
    """Demand per unit of time: normal, Poisson, or a lattice distribution of one period (then lead times are whole)."""

    demand: Normal | Lattice | None = None
    poisson: float = 0.0

    @property
    def mean(self) -> float:
        return self.poisson if self.demand is None else self.demand.mean

    @property
    def sd(self) -> float:
        return math.sqrt(self.poisson) if self.demand is None else self.demand.sd

    def over(self, periods: float) -> Lattice:
        """Demand over a lead time, on whole numbers; only of a discrete source. Raises ValueError for a part of a period of a lattice."""
        if self.demand is None:
            return poisson(self.poisson * periods)
        if not isinstance(self.demand, Lattice) or periods != int(periods):
            raise ValueError(f"a demand per period has no distribution over {periods} periods")
        return self.demand.over(int(periods))


@dataclass(frozen=True, slots=True)
class Serial:
    """Echelon base-stock levels, from the last stage (at the customer) upstream, and cost per unit of time. A level may be infinite: where
    holding downstream is no dearer than upstream, nothing is kept back."""

    levels: tuple[float, ...]
    cost: float


def optimal(stages: Sequence[Stage], stockout: float, source: Source) -> Serial:
    """`stages` from the customer upstream. Exact: the recursion of Chen & Zheng on a lattice; for normal demand a fine one."""
    if isinstance(source.demand, Normal):
        total = source.demand.over(math.fsum(s.lead for s in stages))
        step = total.sd / _FINE
        parts = [source.demand.over(s.lead).on_lattice(step) for s in stages]
    else:
        step = 1.0
        parts = [source.over(s.lead) for s in stages]
    top = sum(p.low + len(p.p) for p in parts)  # no more is ever needed
    bottom = -top
    x = np.asarray(np.arange(bottom, top + 1) * step, np.float64)
    penalty = stockout + math.fsum(s.echelon_holding for s in stages)
    kept: Floats = penalty * np.maximum(-x, 0.0)  # what later stages cost with an echelon inventory of x
    slope = -penalty  # of `kept` far to the left
    levels = []
    cost = math.nan
    for stage, part in zip(stages, parts, strict=True):
        slope += stage.echelon_holding
        g = _expected(stage.echelon_holding * x + kept, part, slope * step)
        at = int(np.argmin(g))
        if at == len(g) - 1 or stage.echelon_holding <= 0:
            at = len(g) - 1
            levels.append(math.inf)
            kept = g
        else:
            levels.append(_vertex(x, g, at, step) if isinstance(source.demand, Normal) else float(x[at]))
            kept = np.concatenate([g[: at + 1], np.full(len(g) - at - 1, g[at])])
        cost = float(g[at])
    return Serial(tuple(levels), cost)


def _expected(values: Floats, part: Lattice, left: float) -> Floats:
    """E[f(y − D)] for every y of the lattice; beyond its lower end f is a line, rising by `left` a step. D >= 0 but for its lower tail."""
    n, low = len(part.p), part.low
    before = low + n - 1  # how far below an y it looks
    ahead = max(0, -low)  # how far above: only the lower tail of a normal demand
    first = values[0] + left * np.arange(-before, 0) if before > 0 else values[:0]
    last = values[-1] + (values[-1] - values[-2]) * np.arange(1, ahead + 1)
    wide = np.concatenate([first, values, last])
    size = len(wide) + n - 1
    all_of = np.fft.irfft(np.fft.rfft(wide, size) * np.fft.rfft(part.p, size), size) if n > 64 else np.convolve(wide, part.p)
    # all_of[i] = Σ wide[i − j] p[j]; y has index before + y in wide, and wants wide[before + y − low − j]
    return np.asarray(all_of[before - low : before - low + len(values)], np.float64)


def _vertex(x: Floats, g: Floats, at: int, step: float) -> float:
    """Between the lattice points: the vertex of the parabola through the least and its neighbours."""
    if not 0 < at < len(g) - 1:
        return float(x[at])
    a, b, c = g[at - 1], g[at], g[at + 1]
    bend = a - 2 * b + c
    return float(x[at] + (step * 0.5 * (a - c) / bend if bend > 0 else 0.0))


def shang_song(stages: Sequence[Stage], stockout: float, source: Source) -> tuple[float, ...]:
    """Near-optimal echelon levels in closed form: the mean of two newsvendor levels a stage; whole for discrete demand (rounded down)."""
    total = math.fsum(s.echelon_holding for s in stages)
    levels = []
    lead = 0.0
    for j, stage in enumerate(stages):
        lead += stage.lead
        later = math.fsum(s.echelon_holding for s in stages[: j + 1])
        upstream = total - later
        demand = source.demand.over(lead) if isinstance(source.demand, Normal) else source.over(lead)
        low = demand.quantile((stockout + upstream) / (stockout + total))
        high = demand.quantile((stockout + upstream) / (stockout + upstream + stage.echelon_holding))
        middle = (low + high) / 2
        levels.append(middle if isinstance(demand, Normal) else float(math.floor(middle)))
    return tuple(levels)
