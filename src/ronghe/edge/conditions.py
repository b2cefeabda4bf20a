"""Conditions of the node itself, as alarms under `system/`: raised and ended by whoever sees them."""

from __future__ import annotations

import logging
from collections.abc import Callable

from ronghe.apps.contract import Finding, Priority
from ronghe.edge.alarms import Alarm, Alarms
from ronghe.errors import RongheError
from ronghe.plant import Plant
from ronghe.text import Text

log = logging.getLogger(__name__)


class Conditions:
    """Of one node."""

    def __init__(self, plant: Plant, alarms: Alarms, clock: Callable[[], int]) -> None:
        self._alarms, self._clock = alarms, clock
        self._known = {
            "app": {*plant.apps},
            "connection": {*plant.connections},
            "model": {*plant.apps},
            "twin": {*plant.twins},
            "placement": {*plant.sites, *(n for n, a in plant.apps.items() if a.place is not None)},
        }

    def say(self, what: str, priority: Priority, text: Text | None) -> None:
        """Raises (text) or clears (None) a condition."""
        key = f"system/{what}"
        if text is None and not self._alarms.is_active(key):
            return
        now = self._clock()
        if (text is not None) != self._alarms.is_active(key):  # for those who watch the log and no console
            log.warning("%s: %s", what, text if text is not None else Text("over", "已恢复"))
        try:
            self._alarms.take(
                Finding(
                    key=key, app="system", equipment="", time=now, active=text is not None, priority=priority, text=text or Text("", "")
                ),
                now,
            )
        except (RongheError, OSError):  # a full disk cannot take the journal's line either; the state in memory is still shown
            log.exception("alarm %s", key)

    def clear_orphans(self) -> None:
        """Ends the alarms of apps, connections and twins that plant.toml no longer names: nobody else would."""
        why = str(Text("its source is no longer in plant.toml", "来源已从 plant.toml 中移除"))
        for alarm in self._alarms.list(all=True):
            if (alarm.active or alarm.standing or alarm.hidden is not None) and self._is_orphan(alarm):
                self._alarms.clear(alarm.key, "system", why, self._clock())

    def _is_orphan(self, alarm: Alarm) -> bool:
        if alarm.app != "system":
            return alarm.app not in self._known["app"]
        kind, _, name = alarm.key.removeprefix("system/").partition("/")
        return kind in self._known and name not in self._known[kind]
