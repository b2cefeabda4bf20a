"""Watches how often something happens among parts: rejects, or one class of defect. Says when it has become more often, and when no longer.

A cumulative sum of log likelihood ratios (Page 1954) between the usual rate and one that matters. Between false alarms lie at least
1 / `false_alarm` parts on average, whatever the usual rate below the bound that was learned (Lorden, "Procedures for reacting to a change
in distribution", Annals of Mathematical Statistics 42 (1971)). The usual rate is the upper 90 % bound from the first parts, so that luck in
them makes no alarms later.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

from ronghe.apps.quality.inspector.promise import upper_bound

_TIMES: Final = 3.0  # a rate this many times the usual one matters
_MORE: Final = 0.03  # and at least so much more
_OVER: Final = math.log(20)  # evidence that the usual rate is back
_CONFIDENCE: Final = 0.9

Change = Literal["rise", "over"]


@dataclass(frozen=True, slots=True)
class Rise:
    """`events` among `parts` since `since` (ns); `rate` is their share, `usual` the bound of what is usual."""

    events: int
    parts: int
    since: int
    rate: float
    usual: float


class State(msgspec.Struct, kw_only=True):
    """What a watch remembers across restarts."""

    parts: int = 0
    events: int = 0  # in the first parts
    usual: float = -1.0  # below 0: still being learned
    sum: float = 0.0
    risen: bool = False
    since: int = 0
    run_parts: int = 0
    run_events: int = 0


class RateWatch:
    """One kind of event. `usual` is a rate that is known; 0: learned from the first `base` parts."""

    def __init__(self, *, usual: float = 0.0, base: int = 200, false_alarm: float = 1e-4, state: State | None = None) -> None:
        self.state = state or State()
        if usual > 0 and not self.state.risen:
            self.state.usual = usual
        self._base, self._limit = base, -math.log(false_alarm)

    @property
    def learned(self) -> bool:
        """Whether the usual rate is known."""
        return self.state.usual >= 0

    def step(self, happened: bool, time: int) -> Change | None:
        """One more part."""
        s = self.state
        s.parts += 1
        if not self.learned:
            s.events += happened
            if s.parts >= self._base:
                s.usual = upper_bound(s.events, s.parts, _CONFIDENCE)
            return None
        ratio = self._ratio(happened)
        if s.risen:
            s.run_parts, s.run_events = s.run_parts + 1, s.run_events + happened
            s.sum = max(0.0, s.sum - ratio)
            if s.sum >= _OVER:
                s.risen, s.sum = False, 0.0
                return "over"
            return None
        if s.sum <= 0:
            s.since, s.run_parts, s.run_events = time, 0, 0
        s.run_parts, s.run_events = s.run_parts + 1, s.run_events + happened
        s.sum = max(0.0, s.sum + ratio)
        if s.sum >= self._limit:
            s.risen, s.sum = True, 0.0
            return "rise"
        return None

    def rise(self) -> Rise:
        """What is to be said of the present run."""
        s = self.state
        return Rise(s.run_events, s.run_parts, s.since, s.run_events / max(s.run_parts, 1), s.usual)

    def _ratio(self, happened: bool) -> float:
        """Log likelihood ratio of one part."""
        usual = min(max(self.state.usual, 1e-4), 0.9)
        more = min(max(_TIMES * usual, usual + _MORE), (1 + usual) / 2)
        return math.log(more / usual) if happened else math.log((1 - more) / (1 - usual))


def restore(kept: Any) -> State:
    """A state from plain data."""
    return msgspec.convert(kept, State)
