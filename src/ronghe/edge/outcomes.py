"""What became of cases and changes, told to those it concerns: people by an alarm where a machine may not be as anyone meant it to be, and
the apps that asked. And what apps say that it saved, booked."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from ronghe.apps.contract import Priority
from ronghe.edge.alarms import Alarms
from ronghe.edge.runner import Runner
from ronghe.guard import ChangeCase, Guard, Saving
from ronghe.guard.savings import KIND as SAVING
from ronghe.text import Text

log = logging.getLogger(__name__)

Say = Callable[[str, Priority, Text | None], None]
"""Raises (text) or clears (None) a condition of the node itself: (what, priority, text)."""

_PATIENCE: Final = 30_000_000_000  # ns in which a change is to be written back; after that people are told that it is not


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What was last done to a set-point: when, and whether a person must look."""

    time: int
    failed: bool
    text: Text


class Outcomes:
    """Looks at the guard and tells what is new."""

    def __init__(self, guard: Guard, alarms: Alarms, say: Say, clock: Callable[[], int]) -> None:
        self._guard, self._alarms, self._say, self._clock = guard, alarms, say, clock
        self._told = {c.id: c.state for c in guard.cases() if not c.open}  # per case, the state that its app was told
        self._followed: dict[str, ChangeCase] = {}  # per change, as its app was told; what ended while it was away, it is told now

    def book(self, app: str, savings: Iterable[Saving], put: Callable[[str, dict[str, Any]], None]) -> None:
        """What an app measured that it saved, to the ledger by `put(kind, body)`; never the same hours of the same key twice."""
        for saving in savings:
            why_not = self._guard.savings.refuse(saving)
            if why_not is not None:
                log.warning("%s: the saving %s is not booked: %s", app, saving.key, why_not)
                continue
            self._guard.savings.book(saving)
            put(SAVING, msgspec.to_builtins(saving))

    def tell_people(self) -> None:
        """Says aloud that something failed after it was, or may have been, written: nobody follows that up but a person. Until a later case
        or change of its set-point ends well, or a person has acknowledged it."""
        newest: dict[str, _Outcome] = {}
        for tag, outcome in self._outcomes():
            if tag not in newest or outcome.time > newest[tag].time:
                newest[tag] = outcome
        alarms = {a.key: a for a in self._alarms.list(all=True)}
        for tag, outcome in newest.items():
            alarm = alarms.get(f"system/guard/{tag}")
            new = alarm is None or outcome.time > alarm.since
            if not outcome.failed or new or (alarm is not None and alarm.state == "acknowledged"):
                self._say(f"guard/{tag}", "critical", None)
            if outcome.failed and new:
                self._say(f"guard/{tag}", "critical", outcome.text)

    def _outcomes(self) -> Iterator[tuple[str, _Outcome]]:
        for case in self._guard.cases():
            if case.written is not None and not case.open:
                last, tag = case.history[-1], case.advice.tag
                text = Text(f"{tag}, case {case.id}: {last.text.en}", f"{tag}，事项 {case.id}：{last.text.in_('zh')}")
                yield tag, _Outcome(last.time, case.state == "failed", text)
        for change in self._guard.changes():
            yield from self._of(change)

    def _of(self, change: ChangeCase) -> Iterator[tuple[str, _Outcome]]:
        name = change.change.name
        for put in change.puts:
            if put.state == "lost" or (not change.open and put.state in ("written", "restored")):
                text = next(s.text for s in reversed(change.history) if s.tag == put.tag)
                text = Text(f"change {change.id}, {name.en}: {text.en}", f"变更 {change.id}（{name.in_('zh')}）：{text.in_('zh')}")
                yield put.tag, _Outcome(put.time, put.state == "lost", text)
            elif change.state == "rolling_back" and put.touched:
                since = next(s.time for s in change.history if s.kind == "back")
                if self._clock() - since > _PATIENCE:
                    text = Text(
                        f"change {change.id}, {name.en}: {put.tag} is not written back yet; is its device to be reached?",
                        f"变更 {change.id}（{name.in_('zh')}）：{put.tag} 尚未恢复，请检查设备通信",
                    )
                    yield put.tag, _Outcome(since, True, text)

    def tell_apps(self, runners: Mapping[str, Runner]) -> None:
        """What became of an app's advice, and how its changes go."""
        cases = self._guard.cases()
        for case in reversed(cases):  # as they came
            if self._told.get(case.id) != case.state and case.advice.app in runners:
                runners[case.advice.app].tell(case.advice.id, case.state)
        self._told = {c.id: c.state for c in cases}  # the guard forgets old ones, and so does this
        self.tell_of_changes(runners)

    def tell_of_changes(self, runners: Mapping[str, Runner]) -> None:
        """How the changes go."""
        changes = self._guard.changes()
        for change in reversed(changes):
            if self._followed.get(change.id) != change and change.change.app in runners:
                runners[change.change.app].follow(change)
        self._followed = {c.id: c for c in changes}
