"""Whether somebody is in a zone: votes over pictures, then dwell and release."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from ronghe.apps.safety.polygon import share_in, stands_in
from ronghe.apps.safety.settings import Vote, ZoneSpec
from ronghe.apps.safety.tracks import Box, Track
from ronghe.signals.when import parse_duration


class Occupancy:
    """One zone. `people` are inside by the vote; `occupied` also after dwell and release; `since` when the present stay began, ns."""

    def __init__(self, spec: ZoneSpec, vote: Vote) -> None:
        self.spec, self._vote = spec, vote
        self._dwell, self._release = parse_duration(spec.dwell), parse_duration(spec.release)
        self.people: list[Track] = []
        self.occupied = False
        self.since = 0
        self._last = 0  # when somebody was last inside

    def step(self, tracks: Sequence[Track], hits: Sequence[Track], now: int) -> None:
        """One judged picture: all tracks, and those found in it."""
        found = {t.number for t in hits}
        self.people = []
        for track in tracks:
            votes = track.inside.setdefault(self.spec.name, deque(maxlen=self._vote.m))
            votes.append(track.number in found and self.holds(track.box))
            if sum(votes) >= self._vote.n:
                self.people.append(track)
        if self.people:
            if not self.since:
                self.since = now
            self._last = now
            self.occupied = self.occupied or now - self.since >= self._dwell
        elif self.since and now - self._last >= (self._release if self.occupied else 0):
            self.clear()

    def holds(self, box: Box) -> bool:
        """Whether a person with this box is inside."""
        if self.spec.rule == "feet":
            return stands_in(self.spec.polygon, box)
        return share_in(self.spec.polygon, box) >= self.spec.share

    def clear(self) -> None:
        """Nobody is in it, or it is not watched."""
        self.people, self.occupied, self.since = [], False, 0
