"""How good forecasts were, beside the seasonal naive one (the same quarter-hour a week before)."""

from __future__ import annotations

import msgspec
import numpy as np

from ronghe.apps.energy.forecast.ensemble import Floats, Paths


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """Mean absolute errors in kW, by how far ahead, of the forecast and of what stood there a week before; and how many of the values lay
    in the interval of 90 %."""

    hours_ahead: float
    mae: float
    naive_mae: float
    coverage_90: float


class Errors:
    """Gathers errors at some distances ahead (steps)."""

    def __init__(self, truth: Floats, per_day: int, ahead: tuple[int, ...]) -> None:
        self._truth, self._per_day, self._ahead = truth, per_day, ahead
        self._sums = np.zeros((len(ahead), 4))

    def note(self, now: int, paths: Paths) -> None:
        """The forecast made at the index `now`, of `truth[now:]`."""
        for row, k in zip(self._sums, self._ahead, strict=True):
            at = now + k
            if at >= len(self._truth) or k >= paths.path.shape[1]:
                continue
            at_once = Paths(paths.weight, paths.path[:, k : k + 1])
            low, high = at_once.quantile(0.05)[0], at_once.quantile(0.95)[0]
            true, naive = self._truth[at], self._truth[at - 7 * self._per_day] if at >= 7 * self._per_day else np.nan
            row += (1.0, abs(at_once.mean[0] - true), abs(naive - true), low <= true <= high)

    @property
    def sums(self) -> Floats:
        """float64[distances, 4]: how many, sums of the three. Those of several runs may be added."""
        return self._sums


def scores(sums: Floats, ahead: tuple[int, ...], per_day: int) -> tuple[Score, ...]:
    """Means of gathered errors."""
    return tuple(
        Score(hours_ahead=24 * (k + 1) / per_day, mae=s[1] / s[0], naive_mae=s[2] / s[0], coverage_90=s[3] / s[0])
        for k, s in zip(ahead, sums.tolist(), strict=True)
        if s[0]
    )
