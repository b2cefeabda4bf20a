"""The latest values as the guard may use them: Good, a number, and young enough; else unknown, with the reason."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Final

from ronghe.guard.condition import Look, Seen
from ronghe.plant.model import Plant
from ronghe.signals import Latest
from ronghe.signals import quality as q
from ronghe.text import Text

_AHEAD: Final = 1.0  # s; readings of one clock that are taken out of turn lie closer together


class View:
    """The guard's eye on the plant."""

    def __init__(self, plant: Plant, latest: Latest, clock: Callable[[], int]) -> None:
        self._plant, self._latest, self._clock = plant, latest, clock

    def look(self, fresh: int, *, slow: bool = False) -> Look:
        """Values that are at most `fresh` ns old, and none that is of the future: then a clock is wrong, and its age unknown.

        With `slow`, a tag that is sampled slowly may be three samples old. Each tag is read once, so that an answer stays the same.
        """
        now, tags = self._clock(), self._plant.tags

        @cache
        def look(tag: str) -> Seen:
            value, code, age = self._latest.get(tag, now)
            most = max(fresh / 1e9, 3 * tags[tag].every) if slow and tag in tags else fresh / 1e9
            if q.severity(code) != "good":
                return Seen(None, q.reason(code))
            if age < -_AHEAD:
                return Seen(None, Text(f"{-age:.1f} s in the future: a clock is wrong", f"时间超前 {-age:.1f} s：时钟有误"))
            if age == math.inf:
                return Seen(None, Text("not heard of since the clock was set back", "时钟回拨后尚未收到新值"))
            if not age <= most:
                return Seen(None, Text(f"{age:.1f} s old, at most {most:g} s is allowed", f"已有 {age:.1f} s，最多允许 {most:g} s"))
            return Seen(value) if math.isfinite(value) else Seen(None, Text("not a number", "不是有效数值"))

        return look

    def arrived(self, tag: str) -> int:
        """When the latest sample of a tag arrived here, or was confirmed (ns); 0 for none."""
        i = self._latest.index.find(tag)
        return int(self._latest.seen[i]) if i is not None and i < len(self._latest.seen) else 0

    def known(self, tag: str) -> int:
        """The time (ns) for which a tag's value is known; 0 for none."""
        i = self._latest.index.find(tag)
        return int(self._latest.known[i]) if i is not None and i < len(self._latest.known) else 0
