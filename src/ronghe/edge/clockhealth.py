"""What people must hear of clocks: that a device sends times that cannot be right."""

from __future__ import annotations

from collections import deque

from ronghe.text import Text


class ClockHealth:
    """Judges, once a second, how many samples had a time that was not believed (`Boundary.corrected`)."""

    def __init__(self, looks: int = 10) -> None:
        """`looks` is how many seconds such a sample is told. Counted in looks, not by the clock, which may be the one that is wrong."""
        self._seen = deque([0], maxlen=looks + 1)

    def look(self, corrected: int) -> Text | None:
        """The alarm that is due, or None; `corrected` counts from the start."""
        self._seen.append(corrected)
        n, s = corrected - self._seen[0], len(self._seen) - 1
        if n == 0:
            return None
        return Text(
            f"{n} samples of the last {s} s had impossible times and were given the node's own; check the clocks of devices and node",
            f"最近 {s} 秒有 {n} 个采样的时间戳异常，已改用本节点时间；请检查设备与本节点的时钟",
        )
