"""Energy performance indicators: actual energy beside the adjusted baseline, period by period, their cumulative difference, and whether it
has left its band for good (ISO 50001, ISO 50006).

The indicator of a period is actual / expected: 1 is as the baseline, less is better. CUSUM is the running sum of actual − expected, the
chart by which energy managers see when something has changed (ISO 50006, annex).

That it has left its band is tested over the last `hold` periods together: Σ (actual − expected) against its standard deviation, noise with
its autocorrelation and the uncertainty of the baseline in it. The level is 1 / `false_alarm` at each period, so that where nothing has
changed one period in `false_alarm` is called out of band on average, by chance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ronghe.apps.energy.account.baseline import Baseline, Spec, fit
from ronghe.apps.energy.account.periods import Floats, Table
from ronghe.guard.student import t_quantile
from ronghe.text import Text

_BACK: Final = 0.6  # of the limit


@dataclass(frozen=True, slots=True, eq=False)
class Indicator:
    """What an indicator says of every period of `table` (float64[n]; NaN where the period does not count or a variable is not known).
    `target` is the part of the expected energy that is to be saved; `why` says why it is not valid."""

    table: Table
    baseline: Baseline
    expected: Floats
    low: Floats
    high: Floats
    outside: NDArray[np.bool_]
    target: float | None
    why: tuple[Text, ...]

    @property
    def valid(self) -> bool:
        """Whether it may be used to judge performance."""
        return not self.why

    @property
    def difference(self) -> Floats:
        """float64[n]: actual − expected."""
        found: Floats = self.table.energy - self.expected
        return found

    @property
    def cusum(self) -> Floats:
        """float64[n]: the running sum of the differences that are known."""
        found: Floats = np.nancumsum(self.difference)
        return found


def indicator(
    table: Table, spec: Spec, base: NDArray[np.bool_], *, target: float | None = None, baseline: Baseline | None = None
) -> Indicator:
    """The indicator of all periods, with the baseline fitted to those where `base` bool[n] holds, or the one given, which was. Raises
    AppError as `fit` does."""
    baseline = baseline or fit(table.rows(base), spec)
    expected, half = baseline.expected(table), baseline.band(table)
    outside = baseline.outside(table)
    why = list(baseline.why)
    reported = ~base & np.isfinite(table.energy)
    away = int((outside & reported).sum())
    if away > 0.1 * max(1, int(reported.sum())):
        why.append(
            Text(
                f"{away} of {int(reported.sum())} periods lie outside what the baseline has seen of its variables",
                f"{int(reported.sum())} 个周期中有 {away} 个的变量超出基准期范围",
            )
        )
    return Indicator(table, baseline, expected, expected - half, expected + half, outside, target, tuple(why))


@dataclass(frozen=True, slots=True)
class Departure:
    """The last periods together: `ratio` is actual / expected, `score` the difference in units of the limit (> 1, < −1: out of band)."""

    ratio: float
    score: float
    periods: int

    @property
    def away(self) -> bool:
        """Whether it has left its band."""
        return abs(self.score) > 1

    @property
    def back(self) -> bool:
        """Whether it is well within it, so that what was said is over."""
        return abs(self.score) < _BACK


def departure(of: Indicator, hold: int, false_alarm: float) -> Departure | None:
    """Whether the last `hold` periods, all of which must count, have left the band; None where that cannot be said."""
    if len(of.table) < hold or not of.valid:
        return None
    last = np.zeros(len(of.table), np.bool_)
    last[-hold:] = True
    rows, d = of.table.rows(last), of.difference[last]
    if not np.isfinite(d).all() or of.outside[last].any() or int(rows.number[-1] - rows.number[0]) != hold - 1:
        return None
    limit = t_quantile(1 - 0.5 / false_alarm, of.baseline.freedom) * math.sqrt(of.baseline.sum_variance(rows))
    expected = float(of.expected[last].sum())
    return Departure(float(rows.energy.sum()) / expected if expected else math.nan, float(d.sum()) / limit if limit > 0 else 0.0, hold)
