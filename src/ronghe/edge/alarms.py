"""Alarms after ISA-18.2 / IEC 62682: every finding and every condition of the system that a person must respond to.

                  raised                    acknowledged
    normal ───────────────▶ unacknowledged ──────────────▶ acknowledged
      ▲ ▲                     │        ▲                      │
      │ │ acknowledged        ▼ ended  │ raised again         │ ended
      │ └──────────────── returned ────┘                      │
      └───────────────────────────────────────────────────────┘
    beside them: shelved (a person, for a limited time), suppressed (by design), out_of_service (until put back). They hide the state
    below, which goes on changing; when they end it shows again.

A condition counts as raised after it has stood for `on_delay`, as ended after it has been away for `off_delay`: however it flickers, one
cycle takes at least both. Everything here but `sync` belongs to one event loop (one thread). What changed is in a file of JSON lines
before a call returns and survives kill -9; `sync` also brings it safely through a power failure. A full disk stops nothing: `trouble` says
so, the state in memory is true, and what could not be written is written as soon as it can be.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from ronghe.apps.contract import Finding, Priority
from ronghe.edge.alarmfile import AlarmFile
from ronghe.errors import RongheError
from ronghe.guard.advice import Evidence
from ronghe.text import Text

State = Literal["normal", "unacknowledged", "acknowledged", "returned"]
Shown = Literal["normal", "unacknowledged", "acknowledged", "returned", "shelved", "suppressed", "out_of_service"]
Record = Callable[[str, dict[str, Any]], None]

FLOOD: Final = 10  # alarms in ten minutes to one operator: a flood (ISA-18.2, 16.5; EEMUA 191)
CHATTER: Final = 3  # times raised within a minute: chattering
STALE: Final = 24 * 3600 * 1_000_000_000  # ns standing: stale
LONGEST_SHELF: Final = 24 * 3600.0  # s
_MINUTE: Final = 60 * 1_000_000_000
_ORDER: Final = {"critical": 0, "high": 1, "medium": 2, "low": 3}


class Hidden(msgspec.Struct, frozen=True, kw_only=True):
    """Why and by whom an alarm is not shown, since when, and until when (ns; 0: until taken back)."""

    how: Literal["shelved", "suppressed", "out_of_service"]
    user: str
    why: str
    since: int
    until: int = 0


class Alarm(msgspec.Struct, frozen=True, kw_only=True):
    """One alarm as it is now. Times are ns since 1970 UTC, 0 where it has not happened."""

    key: str
    app: str
    equipment: str
    priority: Priority
    text: Text
    action: Text = Text("")
    state: State = "normal"
    hidden: Hidden | None = None
    active: bool = False  # what its source said last, before any delay
    since: int = 0  # when its source last changed its mind
    first: int = 0  # when it was raised for the first time ever
    raised: int = 0  # when it was last raised
    returned: int = 0  # when it last ended
    count: int = 0  # times raised
    acknowledged_by: str = ""
    acknowledged_at: int = 0
    comment: str = ""
    score: float = 0.0
    evidence: tuple[Evidence, ...] = ()
    model: str = ""

    @property
    def shown(self) -> Shown:
        """The state a person sees."""
        return self.hidden.how if self.hidden is not None else self.state

    @property
    def standing(self) -> bool:
        """Raised and not ended."""
        return self.state in ("unacknowledged", "acknowledged")

    @property
    def annunciated(self) -> bool:
        """Wants a person's eye: not normal and not hidden."""
        return self.hidden is None and self.state != "normal"


class AlarmMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """How well the alarm system itself does (ISA-18.2 clause 16, EEMUA 191)."""

    per_10_min: int  # raised in the last ten minutes
    peak_10_min: int  # the most in any ten minutes since start
    flood: bool
    standing: int
    unacknowledged: int
    shelved: int
    chattering: tuple[str, ...]
    stale: tuple[str, ...]
    by_priority: dict[str, int]  # standing, by priority


class Alarms:
    """All alarms of a node. `version` grows with every change; `record(event, body)` is told of each for the journal."""

    def __init__(
        self,
        folder: Path | None = None,
        *,
        record: Record | None = None,
        clock: Callable[[], int] = time.time_ns,
        on_delay: float = 0.0,
        off_delay: float = 2.0,
    ) -> None:
        """`folder` None keeps nothing. Delays in seconds. Raises RongheError when the folder cannot be used."""
        self.version = 0
        self._record = record if record is not None else (lambda event, body: None)
        self._clock, self._on, self._off = clock, round(on_delay * 1e9), round(off_delay * 1e9)
        self._file = AlarmFile(folder / "alarms.jsonl", Alarm) if folder is not None else None
        self._alarms: dict[str, Alarm] = self._file.read() if self._file is not None else {}
        self._waiting = {k for k, a in self._alarms.items() if self._unsettled(a) or a.hidden is not None}
        self._raises: deque[tuple[int, str]] = deque()
        self._peak = 0
        self._unsaved: set[str] = set()
        self._untold: deque[tuple[str, dict[str, Any]]] = deque(maxlen=100_000)
        self._not_written: Text | None = None
        self._not_safe: Text | None = None

    @property
    def trouble(self) -> Text | None:
        """Why what changed is not being kept, or None."""
        return self._not_written or self._not_safe

    # --- what is seen -----------------------------------------------------------------------------------------------------------

    def list(self, *, all: bool = False) -> list[Alarm]:
        """Alarms that are not normal or are hidden (with `all`, every one ever seen): most urgent first, then newest."""
        found = [a for a in self._alarms.values() if all or a.state != "normal" or a.hidden is not None]
        return sorted(found, key=lambda a: (a.hidden is not None, a.state == "returned", _ORDER[a.priority], -a.raised, a.key))

    def get(self, key: str) -> Alarm:
        """One alarm. Raises RongheError for a key never seen."""
        if key not in self._alarms:
            raise RongheError(Text(f"there is no alarm {key!r}", f"没有报警 {key!r}"), where="alarms")
        return self._alarms[key]

    def is_active(self, key: str) -> bool:
        """Whether its source says that it is so."""
        alarm = self._alarms.get(key)
        return alarm is not None and (alarm.active or alarm.standing)

    def metrics(self, now: int) -> AlarmMetrics:
        """Rates and counts at `now`."""
        recent = self._recent(now)
        standing = [a for a in self._alarms.values() if a.standing and a.hidden is None]
        minute = [key for at, key in recent if at > now - _MINUTE]
        return AlarmMetrics(
            per_10_min=len(recent),
            peak_10_min=self._peak,
            flood=len(recent) > FLOOD,
            standing=len(standing),
            unacknowledged=sum(a.annunciated and a.state != "acknowledged" for a in self._alarms.values()),
            shelved=sum(a.shown == "shelved" for a in self._alarms.values()),
            chattering=tuple(sorted({k for k in minute if minute.count(k) >= CHATTER})),
            stale=tuple(sorted(a.key for a in standing if now - a.raised > STALE)),
            by_priority={p: sum(a.priority == p for a in standing) for p in _ORDER},
        )

    # --- what happens -----------------------------------------------------------------------------------------------------------

    def take(self, finding: Finding, now: int) -> None:
        """The next state of a condition, from any app or from the node itself."""
        old = self._alarms.get(finding.key)
        if old is None and not finding.active:
            return
        base = old or Alarm(key=finding.key, app=finding.app, equipment=finding.equipment, priority=finding.priority, text=finding.text)
        changed = old is None or old.active != finding.active
        told: dict[str, Any] = {"active": finding.active, "since": now if changed else base.since}
        if finding.active:  # an ending says nothing new of what it was about
            told |= {
                "app": finding.app,
                "equipment": finding.equipment,
                "priority": finding.priority,
                "text": finding.text,
                "action": finding.action,
                "score": finding.score,
                "evidence": finding.evidence,
                "model": finding.model,
            }
        alarm = msgspec.structs.replace(base, **told)
        if alarm != old:
            self._settle(alarm, now, dirty=True)

    def level(
        self, finding: Finding, value: float, *, high: float | None = None, low: float | None = None, deadband: float, now: int
    ) -> None:
        """A condition measured by one value: active beyond `high` or `low`, ended only when `deadband` back inside."""
        was = self.is_active(finding.key)
        band = deadband if was else 0.0
        active = (high is not None and value > high - band) or (low is not None and value < low + band)
        if active or was:
            self.take(msgspec.structs.replace(finding, active=active, time=now), now)

    def tick(self, now: int) -> None:
        """The clock's part: delays that have passed, shelves that have ended. Call about once a second."""
        for key in list_of(self._waiting):
            alarm = self._alarms[key]
            hidden = alarm.hidden
            if hidden is not None and hidden.until and now >= hidden.until:
                alarm = self._keep(msgspec.structs.replace(alarm, hidden=None), "unshelved", now, user="", why="time is up")
            self._settle(alarm, now, dirty=False)
        self._persist()
        if self._file is not None and self._not_written is None:
            try:
                self._file.shorten(self._alarms)
            except OSError as e:
                self._not_written = _not_written(e)

    def sync(self) -> None:
        """Brings what changed safely through a power failure. Waits for the disk: call once a second, in a thread beside the loop."""
        try:
            if self._file is not None:
                self._file.sync()
            self._not_safe = None
        except OSError as e:
            self._not_safe = _not_written(e)

    # --- what people do ---------------------------------------------------------------------------------------------------------

    def acknowledge(self, key: str, user: str, now: int, comment: str = "") -> Alarm:
        """A person has seen it. Acknowledging twice changes nothing. Raises RongheError for an unknown key."""
        alarm = self.get(key)
        if alarm.state not in ("unacknowledged", "returned"):
            return alarm
        state: State = "acknowledged" if alarm.state == "unacknowledged" else "normal"
        seen = msgspec.structs.replace(alarm, state=state, acknowledged_by=user, acknowledged_at=now, comment=comment)
        return self._keep(seen, "acknowledged", now, user=user, comment=comment)

    def shelve(self, key: str, user: str, seconds: float, why: str, now: int) -> Alarm:
        """Not shown for a limited time. Raises RongheError for an unknown key, no reason, or a time over a day."""
        if not 0 < seconds <= LONGEST_SHELF:
            raise RongheError(
                Text("an alarm is shelved for a second at least and a day at most", "报警搁置时间须在 1 秒到 24 小时之间"), where=key
            )
        return self._hide(key, "shelved", user, why, now, now + round(seconds * 1e9))

    def unshelve(self, key: str, user: str, now: int) -> Alarm:
        """Shown again before its time."""
        return self._show(key, "shelved", "unshelved", user, now)

    def suppress(self, key: str, by: str, why: str, now: int) -> Alarm:
        """Not shown by design: a rule (`by`) says that it means nothing now, e.g. while the machine is off."""
        return self._hide(key, "suppressed", by, why, now, 0)

    def unsuppress(self, key: str, by: str, now: int) -> Alarm:
        """The rule no longer holds."""
        return self._show(key, "suppressed", "unsuppressed", by, now)

    def out_of_service(self, key: str, user: str, why: str, now: int) -> Alarm:
        """Taken out for maintenance until put back."""
        return self._hide(key, "out_of_service", user, why, now, 0)

    def in_service(self, key: str, user: str, now: int) -> Alarm:
        """Put back."""
        return self._show(key, "out_of_service", "in_service", user, now)

    def clear(self, key: str, user: str, why: str, now: int) -> Alarm:
        """Ends an alarm whose source can no longer say so (an app was removed). Raises RongheError for an unknown key or no reason."""
        self._reason(key, why)
        alarm = self.get(key)
        returned = now if alarm.standing else alarm.returned
        ended = msgspec.structs.replace(alarm, active=False, since=now, state="normal", returned=returned, hidden=None)
        return self._keep(ended, "cleared", now, user=user, why=why)

    # --- the state machine ------------------------------------------------------------------------------------------------------

    def _unsettled(self, alarm: Alarm) -> bool:
        return alarm.active != alarm.standing

    def _settle(self, alarm: Alarm, now: int, *, dirty: bool) -> None:
        """Lets the state follow the source once its delay has passed."""
        if self._unsettled(alarm) and now - alarm.since >= (self._on if alarm.active else self._off):
            self._raise(alarm, now) if alarm.active else self._return(alarm, now)
        elif dirty:
            self._keep(alarm, "", now)

    def _raise(self, alarm: Alarm, now: int) -> None:
        self._raises.append((now, alarm.key))
        self._peak = max(self._peak, len(self._recent(now)))
        raised = msgspec.structs.replace(
            alarm,
            state="unacknowledged",
            raised=now,
            first=alarm.first or now,
            count=alarm.count + 1,
            acknowledged_by="",
            acknowledged_at=0,
        )
        self._keep(raised, "raised", now, priority=alarm.priority, text=msgspec.to_builtins(alarm.text))

    def _return(self, alarm: Alarm, now: int) -> None:
        state: State = "returned" if alarm.state == "unacknowledged" else "normal"
        self._keep(msgspec.structs.replace(alarm, state=state, returned=now), "returned", now)

    def _hide(self, key: str, how: Literal["shelved", "suppressed", "out_of_service"], user: str, why: str, now: int, until: int) -> Alarm:
        self._reason(key, why)
        hidden = Hidden(how=how, user=user, why=why, since=now, until=until)
        return self._keep(msgspec.structs.replace(self.get(key), hidden=hidden), how, now, user=user, why=why, until=until)

    def _show(self, key: str, how: str, event: str, user: str, now: int) -> Alarm:
        alarm = self.get(key)
        if alarm.hidden is None or alarm.hidden.how != how:
            return alarm
        return self._keep(msgspec.structs.replace(alarm, hidden=None), event, now, user=user)

    def _reason(self, key: str, why: str) -> None:
        if not why.strip():
            raise RongheError(Text("a reason must be given", "必须填写原因"), where=key)

    def _keep(self, alarm: Alarm, event: str, now: int, **body: Any) -> Alarm:
        """One change: in memory, on disk, in the journal."""
        self._alarms[alarm.key] = alarm
        self.version += 1
        if self._unsettled(alarm) or alarm.hidden is not None:
            self._waiting.add(alarm.key)
        else:
            self._waiting.discard(alarm.key)
        self._unsaved.add(alarm.key)
        if event:
            self._untold.append((event, {"key": alarm.key, "time": now, "state": alarm.shown, **body}))
        self._persist()
        return alarm

    def _persist(self) -> None:
        """Writes what is not written yet; where the disk refuses, `trouble` says so and the next change or tick tries again."""
        try:
            for key in list_of(self._unsaved):
                if self._file is not None:
                    self._file.append(self._alarms[key])
                self._unsaved.discard(key)
            while self._untold:
                self._record(*self._untold[0])
                self._untold.popleft()
            self._not_written = None
        except (OSError, RongheError) as e:
            self._not_written = _not_written(e)

    def _recent(self, now: int) -> deque[tuple[int, str]]:
        while self._raises and self._raises[0][0] <= now - 10 * _MINUTE:
            self._raises.popleft()
        return self._raises


def _not_written(e: OSError | RongheError) -> Text:
    why = e.what if isinstance(e, RongheError) else Text(str(e.strerror or e), str(e.strerror or e))
    return Text(f"alarms are not being written: {why.en}", f"报警未能写入：{why.zh}")


list_of = list  # inside the class, `list` is the method
