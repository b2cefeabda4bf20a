"""How a link is: round trips of small requests on the path that inference takes, and how fast payloads went over it.

Jitter is that of RFC 3550 (6.4.1), on round trips. A probe that is late holds back those after it; what they would have seen is filled
in (Tene's correction for coordinated omission), so that a stall weighs as long as it lasts. A probe that is still out counts with its age.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from ronghe.bus.fleet import Link
from ronghe.models.placement.times import Times, p99_of

LATEST: Final = 2000.0  # ms after which a probe is given up; one that is lost counts as this late
_ENOUGH: Final = 20  # probes; fewer say nothing yet
_SMALL: Final = 14_600  # bytes that go out before any answer (ten segments, RFC 6928): they tell nothing of bandwidth
_MOST: Final = 120  # probes that are remembered: of more than 100 the 99th percentile is not the worst one
_LATELY: Final = 60  # probes of which the late ones are counted …
_NOW: Final = 20  # … and of which half say that the link has changed


class LinkMeter:
    """The estimate of one link. Times given are ns of any clock that goes on, durations ms. For one thread, or under a lock."""

    def __init__(self, every: float) -> None:
        """`every` s a probe is sent. What is older than it takes to remember `_MOST` of them, and half as long again, is forgotten."""
        self.every = every
        self._trips: deque[tuple[int, float, bool]] = deque(maxlen=_MOST)  # when, ms, whether it came back
        self._keeps = round(1.5 * _MOST * every * 1e9)
        self._out = 0  # when the probe that is out was sent; 0: none is
        self._last = 0  # when one came back
        self._jitter = 0.0
        self._before: float | None = None
        self._speeds = Times(32, 600.0)  # bit/s
        self._segments, self._again = 0.0, 0.0

    def sent(self, now: int) -> None:
        """A probe has left."""
        self._out = now

    def back(self, now: int, ms: float) -> None:
        """It came back."""
        self._out, self._last = 0, now
        if self._before is not None:
            self._jitter += (abs(ms - self._before) - self._jitter) / 16
        self._before = ms
        self._trips.extend((now, m, True) for m in reversed(self._held_back(ms)))

    def lost(self, now: int) -> None:
        """It did not."""
        self._out = 0
        self._trips.append((now, LATEST, False))

    def carried(self, now: int, size: int, ms: float) -> None:
        """A payload of `size` bytes took `ms` longer than compute and an empty round trip."""
        if size > _SMALL:
            self._speeds.add(now, size * 8e3 / max(ms, 0.05))

    def resent(self, segments: int, again: int) -> None:
        """What the kernel says of the connections: segments of data sent since the last time, and those sent again."""
        keep = 0.9
        self._segments, self._again = self._segments * keep + segments, self._again * keep + again

    def up(self, now: int) -> bool:
        """Whether a probe came back within the last three, and the last second."""
        return bool(self._last) and now - self._last < max(1e9, 3e9 * self.every)

    def bps(self, now: int) -> float | None:
        """bit/s of payloads as they went (median); None where none large enough did."""
        return self._speeds.median(now)

    def transfer(self, now: int, size: float) -> float | None:
        """ms that a payload takes beyond an empty round trip; None: not known."""
        if size <= _SMALL:
            return 0.0
        speed = self.bps(now)
        return None if speed is None else size * 8e3 / speed

    def state(self, now: int) -> Link | None:
        """The estimate; None while too little is known, or what was known is too old."""
        while self._trips and now - self._trips[0][0] > self._keeps:
            self._trips.popleft()
        trips = self._seen(now)
        if len(trips) < _ENOUGH or not any(came for _, _, came in self._trips):
            return None
        ordered = sorted(trips)
        lost = sum(not came for _, _, came in self._trips) / max(len(self._trips), 1)
        return Link(
            rtt_ms=ordered[len(ordered) // 2],
            p99_ms=p99_of(ordered),
            jitter_ms=self._jitter,
            loss=max(lost, self._again / self._segments if self._segments > 50 else 0.0),
            bps=self.bps(now),
            at=now,
        )

    def late(self, now: int, limit_ms: float) -> float:
        """The part of time, 0..1, in which a round trip took longer lately; of the last moments alone where that is most of them."""
        trips = self._seen(now)[-_LATELY:]
        if not trips:
            return 1.0
        newest = trips[-_NOW:]
        whole, last = (sum(ms > limit_ms for ms in t) / len(t) for t in (trips, newest))
        return max(whole, last if last >= 0.5 else 0.0)

    def _seen(self, now: int) -> list[float]:
        """The trips that are remembered, ms, and that of the probe that is out, as far as it has come."""
        trips = [ms for _, ms, _ in self._trips]
        waiting = (now - self._out) / 1e6 if self._out else 0.0
        return [*trips, *reversed(self._held_back(waiting))][-_MOST:] if waiting > self.every * 1e3 else trips

    def _held_back(self, ms: float) -> list[float]:
        """The trip, and those of the probes that it kept from being sent."""
        step = self.every * 1e3
        return [ms, *(ms - k * step for k in range(1, min(int(ms / step), _MOST)))]
