"""When a score is an excursion: on-delay, deadband, settling band, off-delay. Never chatters."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

DEADBAND: Final = 0.9  # an excursion ends below this part of the limit, not at the limit
SETTLING: Final = 0.05  # or within this part of its peak: the usual 5 % settling band of control engineering


@dataclass(slots=True)
class Excursion:
    """Takes a score a row; `active` from `hold` rows over the limit on, until `release` rows back.

    "Back" is below the deadband, or within the settling band of the excursion's own peak, whichever is wider: after a large disturbance a
    process comes to rest near where it was, not on it. The wider band is a tolerance for what follows, too, and is forgotten in about the
    time that the excursion lasted.
    """

    hold: int = 0
    release: int = 0
    active: bool = False
    tolerance: float = 1.0
    _peak: float = 0.0
    _rows: int = 0
    _count: int = 0
    _decay: float = 0.0

    def step(self, score: float) -> bool:
        """One row's score (1.0 is the limit; NaN: not judged, nothing changes); gives `active`."""
        if math.isnan(score):
            return self.active
        if self.active:
            self._inside(score)
        else:
            self._outside(score)
        return self.active

    def _outside(self, score: float) -> None:
        self.tolerance = max(1.0, self.tolerance * self._decay)
        if score <= self.tolerance:
            self._count = 0
            return
        self._peak = score if self._count == 0 else max(self._peak, score)
        self._count += 1
        if self._count > self.hold:
            self.active, self._rows, self._count = True, self._count, 0

    def _inside(self, score: float) -> None:
        self._rows += 1
        self._peak = max(self._peak, score)
        back = max(DEADBAND, SETTLING * self._peak)
        self._count = self._count + 1 if score < back else 0
        if self._count > self.release:
            self.active, self._count = False, 0
            self.tolerance = max(1.0, SETTLING * self._peak)
            self._decay = math.exp(-1.0 / self._rows)
