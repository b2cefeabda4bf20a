"""What people must hear of the store: that it does not go on, that something is lost, that samples are refused."""

from __future__ import annotations

from typing import Final

from ronghe.apps.contract import Priority
from ronghe.historian.store import Stats
from ronghe.text import Text

_LATELY: Final = 600_000_000_000  # ns; samples refused longer ago are no longer told


class StoreHealth:
    """Judges the stats of a store, look by look."""

    def __init__(self) -> None:
        self._refused, self._since = 0, 0

    def look(self, stats: Stats, now: int) -> tuple[Priority, Text] | None:
        """The alarm that is due at `now` (ns), or None. Damage stands until the next start: only people can judge what it means."""
        if stats.refused > self._refused:
            self._refused, self._since = stats.refused, now
        said = []
        if stats.trouble is not None:
            said.append(Text(f"the store does not go on: {stats.trouble.en}", f"历史数据库维护受阻：{stats.trouble.in_('zh')}"))
        said += [Text(f"stored data is damaged: {d.en}", f"已存数据有损坏：{d.in_('zh')}") for d in stats.damage]
        grave = bool(said)
        if self._refused and now - self._since < _LATELY:
            said.append(
                Text(
                    f"{self._refused} samples were not stored: their time cannot be right; check the clocks of the devices",
                    f"有 {self._refused} 个采样因时间戳异常未入库；请检查设备时钟",
                )
            )
        if not said:
            return None
        return "high" if grave else "medium", Text("; ".join(t.en for t in said), "；".join(t.in_("zh") for t in said))
