"""The width of the interval, from errors that were made: adaptive conformal inference.

After I. Gibbs, E. Candès, Adaptive conformal inference under distribution shift, NeurIPS 34 (2021): the interval is widened after every
miss and narrowed a little after every hit, so that in the long run the part missed is the one promised, however the process drifts.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

import numpy as np

MISS: Final = 0.1  # promised: 90 % inside
_STEP: Final = 0.01
_KEPT: Final = 500
_ENOUGH: Final = 50
_NORMAL: Final = 1.645  # until there are enough errors


@dataclass(slots=True)
class Band:
    """Past errors as multiples of the standard deviation forecast, oldest first."""

    scores: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT))
    miss: float = MISS
    frozen: bool = False

    def width(self) -> float:
        """Half the width, in standard deviations."""
        if len(self.scores) < _ENOUGH:
            return _NORMAL
        n = len(self.scores)
        level = min(1.0, (1 - self.miss) * (n + 1) / n)
        return float(np.quantile(np.fromiter(self.scores, float), level, method="higher"))

    def learn(self, score: float, width: float) -> None:
        """An error, and the width that was forecast for it."""
        if self.frozen:
            return
        self.miss = float(np.clip(self.miss + _STEP * (MISS - (score > width)), 0.01, 0.4))
        self.scores.append(score)

    def copy(self) -> Band:
        """One of its own."""
        return Band(deque(self.scores, maxlen=_KEPT), self.miss, self.frozen)
