"""Slows down guessing: how many failed sign-ins are let through from one place, and for one name from one place."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

WINDOW: Final = 300_000_000_000  # ns
TRIES: Final = 5  # for one name from one place
PLACE_TRIES: Final = 20  # from one place, whatever the name


class Throttle:
    """Counts failures in a sliding window. A name is limited for each place by itself, so that nobody can lock another person out.

    A try counts as a failure from its beginning: a password takes a while, and a hundred guesses may come before the first is answered.
    """

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._failures: dict[tuple[str, str], deque[int]] = {}

    def wait(self, place: str, name: str = "") -> int:
        """Seconds until the next try is allowed, for a name or whatever the name; 0 = now."""
        whole = self._wait((place, ""), PLACE_TRIES)
        return max(whole, self._wait((place, name), TRIES)) if name else whole

    def trying(self, place: str, name: str) -> None:
        """Notes a try, a failure until `succeeded` or `take_back` says otherwise."""
        for key in ((place, name), (place, "")):
            self._failures.setdefault(key, deque(maxlen=PLACE_TRIES)).append(self._clock())
        if len(self._failures) > 10_000:  # somebody sprays names: keep what still counts
            self._failures = {k: v for k, v in self._failures.items() if v[-1] > self._clock() - WINDOW}

    def take_back(self, place: str, name: str) -> None:
        """Forgets one try: its password was not held against anything."""
        for key in ((place, name), (place, "")):
            tries = self._failures.get(key)
            if tries is None:
                continue
            tries.pop()
            if not tries:
                del self._failures[key]

    def succeeded(self, place: str, name: str) -> None:
        """Forgets this try, and the failures of this name from this place."""
        self.take_back(place, name)
        self._failures.pop((place, name), None)

    def _wait(self, key: tuple[str, str], tries: int) -> int:
        failures = self._failures.get(key)
        if failures is None:
            return 0
        recent = [t for t in failures if t > self._clock() - WINDOW]
        if len(recent) < tries:
            return 0
        return 1 + int((recent[-tries] + WINDOW - self._clock()) // 1_000_000_000)
