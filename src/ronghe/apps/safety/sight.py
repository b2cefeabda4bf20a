"""Whether a camera sees: its own word, and what `ronghe.picture.health` finds."""

from __future__ import annotations

from typing import Final

import numpy as np

from ronghe.apps.safety.settings import Health
from ronghe.picture import Picture
from ronghe.picture.health import CameraHealth, Condition, Limits
from ronghe.signals import quality as q
from ronghe.signals.when import parse_duration
from ronghe.text import Text

_FIRST: Final = 20  # pictures from which the rate of a camera is learned: a slow one is silent after three of its intervals


class Sight:
    """Judges the pictures of one camera, one after the other."""

    def __init__(self, health: Health) -> None:
        self._silent = parse_duration(health.silent)
        limits = Limits(within=parse_duration(health.within) / 1e9, silent=self._silent / 1e9, ignore=health.ignore)
        self._health = CameraHealth(limits)
        self.last = 0
        """Time of the newest picture, ns; 0: none yet."""
        self._intervals: list[int] = []  # between the first pictures, ns
        self._slow = 0  # three of them

    def look(self, picture: Picture) -> Text | None:
        """Why this picture is nothing to judge by; None where it is. Raises MissingExtra."""
        if self.last and len(self._intervals) < _FIRST:
            self._intervals.append(picture.time - self.last)
            self._slow = 3 * sorted(self._intervals)[len(self._intervals) // 2]
        self.last = max(self.last, picture.time)
        if picture.pixels is None or not q.is_good(np.array([picture.quality], np.uint32))[0]:
            return picture.reason or q.reason(picture.quality)
        return _said(self._health.see(picture.pixels, picture.time))

    def silent(self, now: int) -> Text | None:
        """Why there is nothing to judge by at `now` (ns): no picture came for too long."""
        if not self.last:
            return Text("the camera has given no picture yet", "摄像机尚未给出图像")
        if now - self.last <= max(self._silent, self._slow):
            return None
        return Text(f"no picture for {(now - self.last) / 1e9:.1f} s", f"已 {(now - self.last) / 1e9:.1f} s 未收到图像")

    def learn(self) -> None:
        """Takes the view from now on as the usual one."""
        self._health.learn()


def _said(conditions: tuple[Condition, ...]) -> Text | None:
    if not conditions:
        return None
    parts = [Text(f"{c.kind}: {c.reason.en}", f"{_KINDS[c.kind]}：{c.reason.in_('zh')}") for c in conditions]
    return Text("; ".join(p.en for p in parts), "；".join(p.zh for p in parts))


_KINDS = {
    "silent": "无图像",
    "frozen": "画面冻结",
    "dark": "画面过暗",
    "over-exposed": "画面过曝",
    "covered": "镜头被遮挡",
    "out of focus": "失焦",
    "moved": "视野偏移",
}
