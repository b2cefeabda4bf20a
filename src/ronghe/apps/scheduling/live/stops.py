"""Machines that stand: from the plant's tags to breakdowns of the schedule."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from ronghe.apps.scheduling.live.settings import Stop
from ronghe.guard.condition import Condition, Seen, parse
from ronghe.plant import Plant
from ronghe.signals import Window
from ronghe.signals import quality as q
from ronghe.signals.when import parse_duration
from ronghe.text import Text


@dataclass(slots=True)
class _Watched:
    spec: Stop
    condition: Condition
    after: int  # ns
    lasts: int  # ns
    since: int = 0  # ns; 0: it does not stand
    told: bool = False


@dataclass(frozen=True, slots=True)
class Turn:
    """A machine is down (`down`) since `since`, and is taken to stand for `lasts` ns from now; or it works again."""

    machine: str
    down: bool
    since: int
    lasts: int
    why: Text


@dataclass(slots=True)
class Stops:
    """Follows the conditions. A machine of which nothing is known is not taken to stand: what is not seen is no breakdown."""

    watched: list[_Watched] = field(default_factory=list)

    @classmethod
    def of(cls, specs: tuple[Stop, ...], plant: Plant) -> Stops:
        """Raises GuardError for a condition, RongheError for a duration that cannot be read."""
        return cls([_Watched(s, parse(s.when, plant), parse_duration(s.after), parse_duration(s.lasts)) for s in specs])

    @property
    def tags(self) -> tuple[str, ...]:
        """What the conditions look at."""
        return tuple(dict.fromkeys(t for w in self.watched for t in w.condition.tags))

    def resume(self, down: frozenset[str]) -> None:
        """Machines that an earlier life of the process knew to be down."""
        for w in self.watched:
            w.told = w.spec.machine in down

    def step(self, window: Window, i: int) -> Iterator[Turn]:
        """What began or ended with row `i`."""
        for w in self.watched:
            yield from self._row(w, window, i)

    def _row(self, w: _Watched, window: Window, i: int) -> Iterator[Turn]:
        now = int(window.time[i])

        def look(tag: str) -> Seen:
            value, code = float(window.value[i, window.tags.index(tag)]), int(window.quality[i, window.tags.index(tag)])
            return Seen(None, q.reason(code)) if np.isnan(value) else Seen(value)

        verdict = w.condition.evaluate(look)
        if verdict.truth is None:
            return
        if not verdict.truth:
            if w.told:
                yield Turn(w.spec.machine, False, w.since, 0, verdict.text)
            w.since, w.told = 0, False
            return
        w.since = w.since or now
        if not w.told and now - w.since >= w.after:
            w.told = True
            yield Turn(w.spec.machine, True, w.since, w.lasts, verdict.text)
