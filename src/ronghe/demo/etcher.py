"""The etching line of the demonstration: how its conveyor and its bath decide which defects its boards have.

Nothing here is recorded; what is assumed:
- copper is taken off in proportion to a dose, the time in the bath times its speed of etching: nominal over present conveyor speed, times
  4 % more for each kelvin of bath temperature (acid cupric chloride is given 2 to 5 %/K);
- up to 6 % too much or too little a board stands; beyond, each class of the over-etched (open, mousebite) or under-etched (short, spur)
  defects comes the more often the further the dose is off; a few defects of any class come anyway, as dirt and scratches do;
- the conveyor follows its set-point with a first-order lag of 1.5 s.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ronghe.apps.quality.boards.pairs import Marked
from ronghe.demo.boards import MOUSEBITE, OPEN, SHORT, SPUR, Board

NOMINAL_SPEED, NOMINAL_BATH = 1.2, 48.0  # m/min, Cel
HOT_BATH = 54.0  # Cel, where a failed heater control lets it go
_PER_KELVIN = 0.04
_STANDS = 0.06
_GAIN = 3.5  # defects of a class expected a board, per unit of dose beyond what it stands
_ANYWAY = 0.003  # defects of a class expected a board at any dose
_LAG = 1.5  # s


@dataclass
class Etcher:
    """The line's state. `step(seconds)` moves it on; `defects(board, rng)` says which of its defects a board leaves with."""

    setpoint: float = NOMINAL_SPEED  # m/min
    speed: float = NOMINAL_SPEED
    bath: float = NOMINAL_BATH  # Cel; set by the demonstration's script

    @property
    def dose(self) -> float:
        """What a board gets; 1 is right."""
        return math.exp(_PER_KELVIN * (self.bath - NOMINAL_BATH)) * NOMINAL_SPEED / self.speed

    def step(self, seconds: float) -> None:
        """Moves on."""
        self.speed += (self.setpoint - self.speed) * (1 - math.exp(-seconds / _LAG))
        self.speed = max(self.speed, 0.1)

    def defects(self, board: Board, rng: np.random.Generator) -> tuple[Marked, ...]:
        """Those of the board's recorded defects that this process makes; each class once at most."""
        over, under = max(self.dose - 1 - _STANDS, 0.0), max(1 - _STANDS - self.dose, 0.0)
        made = []
        for label in sorted({m.label for m in board.marked}):
            off = over if label in (OPEN, MOUSEBITE) else under if label in (SHORT, SPUR) else 0.0
            if rng.random() < 1 - math.exp(-(_ANYWAY + _GAIN * off)):
                those = [m for m in board.marked if m.label == label]
                made.append(those[int(rng.integers(len(those)))])
        return tuple(made)
