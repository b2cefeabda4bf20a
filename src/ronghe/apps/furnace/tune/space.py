"""What is moved, what must hold, and what was seen: the words between a strategy and whoever carries it out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

import msgspec
import numpy as np

from ronghe.apps.furnace.tune.surrogate import Floats

By = Literal["start", "model", "person"]
State = Literal["settled", "turned_back", "again"]


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """`below` or `above` a value; `margin` is kept at least."""

    limit: float
    side: Literal["below", "above"] = "below"
    margin: float = 0.0

    def slack(self, value: float) -> float:
        """How far inside the limit; below 0: outside."""
        return self.limit - value if self.side == "below" else value - self.limit


class Space(msgspec.Struct, frozen=True, kw_only=True):
    """What may be tried: the ranges of the variables, the limits, and which way is better."""

    low: tuple[float, ...]
    high: tuple[float, ...]
    limits: tuple[Limit, ...] = ()
    better: Literal["lower", "higher"] = "lower"

    def unit(self, x: tuple[float, ...]) -> Floats:
        """`x` as parts of the ranges."""
        low, high = np.array(self.low), np.array(self.high)
        part: Floats = (np.array(x) - low) / (high - low)
        return part

    def own(self, u: Floats) -> tuple[float, ...]:
        """And back, inside the ranges."""
        low, high = np.array(self.low), np.array(self.high)
        return tuple((low + np.clip(u, 0, 1) * (high - low)).tolist())


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """What was seen at one point, averaged over a window. Of one that was turned back the limits alone are known."""

    x: tuple[float, ...]
    terms: tuple[float, ...]  # whose sum is the objective; none: it never settled
    values: tuple[float, ...]  # of the constrained quantities
    noise: float = 0.0  # standard deviation of that average
    swing: tuple[float, ...] = ()  # how far each came nearer to its limit than its average
    by: By = "model"
    state: State = "settled"
    time: float = 0.0  # s, at its end

    @property
    def objective(self) -> float | None:
        """The sum of the terms."""
        return float(sum(self.terms)) if self.terms else None


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """Where to go, and what is expected there (None: nothing is known yet)."""

    x: tuple[float, ...]
    by: By
    expected: float | None = None
    low: float | None = None
    high: float | None = None


class Strategy(Protocol):
    """What a pilot follows."""

    @property
    def trials(self) -> Sequence[Trial]:
        """All that was told."""

    @property
    def best(self) -> Trial | None:
        """The best point that holds all limits."""

    @property
    def done(self) -> bool:
        """Whether there is nothing left worth trying."""

    @property
    def margins(self) -> Floats:
        """[m] distance to be kept from each limit."""

    def ask(self) -> Proposal:
        """Where to go next."""

    def tell(self, trial: Trial) -> None:
        """What was seen."""
