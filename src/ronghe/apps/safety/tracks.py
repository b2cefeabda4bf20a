"""People followed from picture to picture, so that one flicker of the detector neither alarms nor hides anybody."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ronghe.apps.safety.letterbox import overlaps
from ronghe.apps.safety.people import Person

Box = tuple[float, float, float, float]

_SAME = 0.2  # least overlap of one person in two pictures: at 10 pictures/s a walker moves by a fifth of a body's width


@dataclass(slots=True)
class Track:
    """One person. `seen` says of the last pictures, newest last, whether the person was found; `box` is where it was found last."""

    number: int
    box: Box
    score: float
    seen: deque[bool]
    inside: dict[str, deque[bool]] = field(default_factory=dict)  # by zone: of the same pictures, whether found inside


class Tracks:
    """Associates detections by overlap: first the sure ones, then the doubtful ones with tracks that lack one (as in ByteTrack, Zhang et
    al. 2022). A doubtful detection never begins a track."""

    def __init__(self, of: int, sure: float) -> None:
        """`of`: pictures remembered; `sure`: the score that begins a track."""
        self._of, self._sure = of, sure
        self._next = 1
        self.tracks: list[Track] = []

    def step(self, people: Sequence[Person]) -> list[Track]:
        """The detections of one picture in; the tracks found in it out."""
        free = set(range(len(self.tracks)))
        hits: list[Track] = []
        for sure in (True, False):
            for person in [p for p in people if (p.score >= self._sure) == sure]:
                best = self._nearest(person, free)
                if best is not None:
                    free.discard(best)
                    track = self.tracks[best]
                    track.box, track.score = person.box, person.score
                elif sure:
                    track = Track(self._next, person.box, person.score, deque(maxlen=self._of))
                    self._next += 1
                    self.tracks.append(track)
                else:
                    continue
                track.seen.append(True)
                hits.append(track)
        for i in free:
            self.tracks[i].seen.append(False)
        self.tracks = [t for t in self.tracks if any(t.seen)]
        return hits

    def _nearest(self, person: Person, free: set[int]) -> int | None:
        candidates = sorted(free)
        if not candidates:
            return None
        shared = overlaps(np.array(person.box), np.array([self.tracks[i].box for i in candidates]))
        best = int(shared.argmax())
        return candidates[best] if shared[best] >= _SAME else None

    def clear(self) -> None:
        """Forgets everybody: nothing is known after a gap."""
        self.tracks = []
