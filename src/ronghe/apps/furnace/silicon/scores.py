"""How good a forecast was, and the two that it is measured beside: persistence and ridge regression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from ronghe.apps.furnace.silicon.heats import Heats

Floats = NDArray[np.float64]

HIT: Final = 0.1  # % Si either side, the tolerance of the trade
_RIDGE: Final = 1.0


class Scores(msgspec.Struct, frozen=True, kw_only=True):
    """`mse` in %², `hit_rate` within 0.1 % Si (0..1), `r2` against the mean of these rows, `coverage_90` and mean `width` (%) of the
    interval."""

    mse: float
    hit_rate: float
    r2: float
    coverage_90: float
    width: float


def score(true: Floats, mean: Floats, low: Floats, high: Floats) -> Scores:
    """Of forecasts float64[n] of what came."""
    error = true - mean
    spread = float(((true - true.mean()) ** 2).mean())
    return Scores(
        mse=float((error**2).mean()),
        hit_rate=float((np.abs(error) <= HIT).mean()),
        r2=1 - float((error**2).mean()) / spread if spread else 0.0,
        coverage_90=float(((true >= low) & (true <= high)).mean()),
        width=float((high - low).mean()),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Ridge:
    """Ridge regression on all process variables and the former silicon, fitted once. `weights` float64[k + 2], in the units of the columns,
    the constant last; `half` and `persistence` are half the widths of 90 % intervals from the errors on its own training rows."""

    weights: Floats
    half: float
    persistence: float

    @classmethod
    def fit(cls, heats: Heats) -> Ridge:
        """On training rows."""
        x = np.column_stack([heats.process, heats.former])
        mean, sd = x.mean(axis=0), x.std(axis=0)
        sd = np.where(sd > 1e-9 * (1 + np.abs(mean)), sd, np.inf)
        z = (x - mean) / sd
        w = np.linalg.solve(z.T @ z + _RIDGE * np.eye(z.shape[1]), z.T @ (heats.silicon - heats.silicon.mean())) / sd
        weights = np.append(w, heats.silicon.mean() - mean @ w)
        return cls(weights, _half(heats.silicon - x @ w - weights[-1]), _half(heats.silicon - heats.former))

    def scores(self, heats: Heats, former: Floats) -> tuple[Scores, Scores]:
        """Of persistence and of ridge, with the former silicon known at each row."""
        mean = np.column_stack([heats.process, former]) @ self.weights[:-1] + self.weights[-1]
        true = heats.silicon
        return (
            score(true, former, former - self.persistence, former + self.persistence),
            score(true, mean, mean - self.half, mean + self.half),
        )


def _half(error: Floats) -> float:
    return float(np.quantile(np.abs(error), 0.9))
