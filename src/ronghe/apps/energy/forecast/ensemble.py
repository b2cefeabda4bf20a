"""An analogue ensemble: what followed, in the past, moments like this one (Delle Monache et al. 2013, "Probabilistic weather prediction
with an analog ensemble", Mon. Wea. Rev. 141).

Each of the last `DAYS` days gives one path: what was measured from the same time of that day on. It weighs more the more its last two hours
and its last day look like those before now, the younger it is, and where it is the same kind of day (working day, Saturday, Sunday). Paths
keep what belongs together (a shift that begins late ends late), so the sum over hours, on which a battery depends, has honest quantiles.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

DAYS: Final = 60
KEEP: Final = 30
_ALIKE: Final = 0.4  # of the standard deviation: a distance that costs a factor e
_HALF: Final = 30.0  # days after which a day weighs half
_OTHER_KIND: Final = 0.35
_SAME_WEEKDAY: Final = 1.5


@dataclass(frozen=True, slots=True, eq=False)
class Paths:
    """`path` float64[s, h] in kW, one a row, from now on; `weight` float64[s], sum 1."""

    weight: Floats
    path: Floats

    @property
    def mean(self) -> Floats:
        """float64[h]."""
        found: Floats = self.weight @ self.path
        return found

    def quantile(self, level: float) -> Floats:
        """float64[h]."""
        return quantiles(self.path, self.weight, (level,))[0]


def quantiles(values: Floats, weight: Floats, levels: tuple[float, ...]) -> Floats:
    """Weighted quantiles over the first axis: [s, …] → [len(levels), …]; the least value whose weights, with those below it, reach the
    level."""
    order = np.argsort(values, axis=0)
    ascending = np.take_along_axis(values, order, axis=0)
    reached = np.cumsum(weight[order], axis=0)
    which = [np.minimum((reached < level - 1e-12).sum(axis=0), len(weight) - 1)[None] for level in levels]
    return np.concatenate([np.take_along_axis(ascending, w, axis=0) for w in which])


def ready(known: int, per_day: int) -> bool:
    """Whether so many values are enough for a forecast."""
    return known >= 3 * per_day


def ensemble(known: Floats, per_day: int, ahead: int, weekday: int) -> Paths:
    """Paths of the next `ahead` values, of the `known` ones before now: `per_day` a day without a gap, the last at now − 1 step, now being
    on `weekday` (0: Monday). Needs `ready`."""
    now, n = len(known), per_day
    back = np.arange(1, min(DAYS, (now - n) // n) + 1)
    starts = now - n * back
    near = max(1, n // 12)
    recent = np.lib.stride_tricks.sliding_window_view(known, near)
    scale = max(_ALIKE * float(known[-n * DAYS :].std()), 1e-9)
    near_by = np.sqrt(((recent[starts - near] - known[now - near :]) ** 2).mean(axis=1))
    days = np.lib.stride_tricks.sliding_window_view(known, n)[starts - n].reshape(len(back), 6, n // 6).mean(axis=2)
    day_by = np.sqrt(((days - known[now - n :].reshape(6, n // 6).mean(axis=1)) ** 2).mean(axis=1))
    weight = np.exp(-(near_by + day_by) / scale) * 0.5 ** (back / _HALF)
    was = (weekday - back) % 7
    for day in (0, 1):
        weight *= np.where(_kind((was + day) % 7) == _kind(np.array([(weekday + day) % 7])), 1.0, _OTHER_KIND)
    weight *= np.where(was == weekday, _SAME_WEEKDAY, 1.0)
    best = np.argsort(-weight, kind="stable")[:KEEP]
    index = starts[best][:, None] + np.arange(ahead)
    week = 7 * n if now >= 8 * n else n
    while (over := index >= now).any():  # what a young path has not seen yet is taken from the week before
        index = np.where(over, index - week, index)
    total = weight[best].sum()
    chosen = weight[best] / total if total > 0 else np.full(len(best), 1 / len(best))
    return Paths(chosen, known[index])


def _kind(weekday: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.maximum(weekday - 4, 0)  # working days, Saturday, Sunday
