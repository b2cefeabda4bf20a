"""What the tuning was worth: the set-points of the start and the best ones in force by turns (switchback), each for a settled window.

Bojinov, Simchi-Levi & Zhao, "Design and analysis of switchback experiments", Management Science 69(7) (2023). Each pair of neighbouring
windows is one observation of the difference; the interval is Student's, of their mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from ronghe.apps.furnace.tune.pilot import Pilot, Row
from ronghe.apps.furnace.tune.space import Trial
from ronghe.apps.furnace.tune.tuner import Tuner
from ronghe.guard.saving import Interval, Saving
from ronghe.text import Text

if TYPE_CHECKING:
    from ronghe.apps.furnace.tune.app import Tune

PAIRS: Final = 4
_STUDENT: Final = 3.182  # 97.5 % of Student's t with three degrees of freedom


class Proof:
    """Once the tuner rests: to the start and back, `PAIRS` times; then what was saved while the best was in force is given, once."""

    def __init__(self, wanted: bool, price: float, currency: str, better: Literal["lower", "higher"]) -> None:
        self._wanted, self._price, self._currency = wanted, price, currency
        self._sign = 1.0 if better == "lower" else -1.0
        self._pairs: list[tuple[Trial, Trial]] = []
        self._start: Trial | None = None
        self._counted = 0
        self._ready: Saving | None = None
        self.difference: Interval | None = None  # of the objective, better above 0

    def look(self, pilot: Pilot, tuner: Tuner, row: Row) -> None:
        """With every row, after the pilot."""
        if not self._wanted or not tuner.trials or len(self._pairs) >= PAIRS:
            return
        first = tuner.trials[0]
        for trial in tuner.trials[self._counted :]:
            if not trial.terms:
                continue
            if trial.x == first.x and trial is not first:
                self._start = trial
            elif self._start is not None and trial.state == "again":
                self._pairs.append((self._start, trial))
                self._start = None
        self._counted = len(tuner.trials)
        if len(self._pairs) == PAIRS:
            self._reckon()
        elif pilot.phase == "hold" and self._start is None and tuner.best is not None and tuner.best.x != first.x:
            pilot.visit(first.x, row)

    def _reckon(self) -> None:
        gains = np.array([self._sign * (a.objective or 0.0) - self._sign * (b.objective or 0.0) for a, b in self._pairs])
        half = _STUDENT * float(gains.std(ddof=1)) / np.sqrt(PAIRS)
        mean = float(gains.mean())
        self.difference = Interval(value=mean, low=mean - half, high=mean + half)

    def take(self, app: Tune) -> tuple[Saving, ...]:
        """The saving, once."""
        if self.difference is None or self._ready is not None or self._price == 0:
            return ()
        (first, _), (_, last) = self._pairs[0], self._pairs[-1]
        hours = PAIRS * app.pilot.pace.window / 3600 * self._price
        d = self.difference
        self._ready = Saving(
            key=f"{app.equipment or app.name}/{app.name}",
            app=app.name,
            equipment=app.equipment,
            name=Text(f"tuning: {app.objective.en}", f"工艺寻优：{app.objective.in_('zh')}"),
            start=round((first.time - app.pilot.pace.window) * 1e9),
            end=round(last.time * 1e9),
            method="switchback",
            baseline=Text("the set-points of the start, in force by turns with the best", "与寻优前设定值交替运行对比"),
            money=Interval(value=d.value * hours, low=d.low * hours, high=d.high * hours),
            currency=self._currency,
        )
        return (self._ready,)
