"""The docket: all cases and changes as the ledger tells them, the modes that people chose, and the savings. An event goes into the ledger
first, and only then into memory."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import msgspec

from ronghe.errors import GuardError, LedgerError
from ronghe.guard.advice import State
from ronghe.guard.case import KINDS, Case, Event, fold
from ronghe.guard.changecase import CHANGE_KINDS, ChangeCase, ChangeEvent, fold_change
from ronghe.guard.checks import Move
from ronghe.guard.ledger import Entry, Ledger
from ronghe.guard.limits import Limits
from ronghe.guard.modes import KIND as MODE
from ronghe.guard.modes import Modes
from ronghe.guard.saving import Saving
from ronghe.guard.savings import KIND as SAVING
from ronghe.guard.savings import Savings
from ronghe.text import Text

KEPT = 2000
"""Closed cases that stay in memory; the ledger has them all."""
KEPT_CHANGES = 200


class Docket:
    """The cases of one plant. Reading is safe from any thread; only the guard records."""

    def __init__(self, ledger: Ledger, limits: Mapping[str, Limits]) -> None:
        """Reads the ledger from its beginning. Raises LedgerError."""
        self._ledger, self._limits = ledger, limits
        self.cases: dict[str, Case] = {}
        self.came = 0
        """Cases that ever came in."""
        self.by_advice: dict[str, str] = {}
        """Advice id → case id, of all times."""
        self.open: dict[str, str] = {}
        """Tag → its open case."""
        self.changes: dict[str, ChangeCase] = {}
        self.changes_came = 0
        self.by_change: dict[str, str] = {}
        """Change id → the id of its case, of all times."""
        self.changing: dict[str, str] = {}
        """Tag → the open change that it belongs to."""
        self.moves: dict[str, list[Move]] = defaultdict(list)
        """Tag → what the guard wrote to it lately."""
        self.unvalued: set[str] = set()
        """Cases that are done and whose worth is still to be measured."""
        self.stopped = False
        """Whether the ledger's last word on the kill switch is that it is on."""
        self.modes = Modes(limits)
        self.savings = Savings()
        self.version = 0
        self._recover()

    def case(self, case_id: str) -> Case:
        """Raises GuardError for an id that is not in memory."""
        try:
            return self.cases[case_id]
        except KeyError:
            todo = Text("old cases are in the ledger: `ronghe ledger show`", "较早的事项见账本：`ronghe ledger show`")
            raise GuardError(Text(f"no case {case_id!r}", f"没有事项 {case_id!r}"), todo=todo) from None

    def busy(self, tag: str) -> str:
        """The open case or change of a set-point; "" for none."""
        return self.open.get(tag, "") or self.changing.get(tag, "")

    def change(self, change_id: str) -> ChangeCase:
        """Raises GuardError for an id that is not in memory."""
        try:
            return self.changes[change_id]
        except KeyError:
            todo = Text(
                "old changes are in the ledger: `ronghe ledger show --kind change`", "较早的变更见账本：`ronghe ledger show --kind change`"
            )
            raise GuardError(Text(f"no change {change_id!r}", f"没有变更 {change_id!r}"), todo=todo) from None

    def record(self, kind: str, case: Case, state: State, who: str, text: Text, **changes: Any) -> Case:
        """One change of one case. Raises LedgerError when it cannot be recorded: then nothing has changed."""
        return self.add(kind, Event(case=case.id, state=state, who=who, text=text, **changes))

    def add(self, kind: str, event: Event) -> Case:
        """As `record`, for any event."""
        entry = self._ledger.append(f"guard.{kind}", event)
        return self._apply(entry.time, kind, event)

    async def intend(self, kind: str, case: Case, state: State, who: str, text: Text, **changes: Any) -> Case:
        """As `record`, but a slow disk does not hold up the loop: what arrives while an intent is put into the ledger must be seen before
        it is carried out. The lock of the case's set-point is held."""
        event = Event(case=case.id, state=state, who=who, text=text, **changes)

        async def keep() -> Case:
            entry = await asyncio.to_thread(self._ledger.append, f"guard.{kind}", event)
            return self._apply(entry.time, kind, event)

        return await asyncio.shield(keep())  # else a caller that goes away would leave memory behind the ledger

    def add_change(self, kind: str, event: ChangeEvent) -> ChangeCase:
        """One event of one change. Raises LedgerError when it cannot be recorded: then nothing has changed."""
        entry = self._ledger.append(f"change.{kind}", event)
        return self._apply_change(entry.time, kind, event)

    async def intend_change(self, kind: str, event: ChangeEvent) -> ChangeCase:
        """As `add_change`, but a slow disk does not hold up the loop; see `intend`."""

        async def keep() -> ChangeCase:
            entry = await asyncio.to_thread(self._ledger.append, f"change.{kind}", event)
            return self._apply_change(entry.time, kind, event)

        return await asyncio.shield(keep())

    def stop(self, on: bool, who: str, why: str) -> None:
        """Records that the kill switch was turned. Raises LedgerError."""
        self.version += 1  # the switch has turned, whether or not it can be recorded
        self._ledger.append("guard.kill" if on else "guard.release", {"who": who, "why": why})
        self.stopped = on

    def switch(self, tag: str, mode: str, who: str, why: str) -> None:
        """Turns the autonomy switch of one set-point; see `Modes.switch`."""
        self.version += 1  # lowered, whether or not it can be recorded
        self.modes.switch(tag, mode, who, why, self._ledger.append)

    def _recover(self) -> None:
        after = 0
        while entries := self._ledger.entries(after, 1000):
            after = entries[-1].seq
            for entry in entries:
                try:
                    self._recall(entry)
                except (msgspec.ValidationError, KeyError) as e:
                    what = Text(f"entry {entry.seq} is no sound {entry.kind}: {e}", f"第 {entry.seq} 条不是有效的 {entry.kind} 记录：{e}")
                    raise LedgerError(what) from e

    def _recall(self, entry: Entry) -> None:
        """Takes one entry as it was taken when it was made. Raises msgspec.ValidationError, KeyError."""
        group, _, kind = entry.kind.partition(".")
        if group == "guard" and kind in ("kill", "release"):
            self.stopped = kind == "kill"
        elif group == "guard" and kind in KINDS:
            event = msgspec.convert(entry.body, Event, strict=False)
            # With other settings than today's, a case was kept in memory for its worth that is forgotten now.
            if kind != "worth" or event.case in self.cases:
                self._apply(entry.time, kind, event)
        elif group == "change" and kind in CHANGE_KINDS:
            self._apply_change(entry.time, kind, msgspec.convert(entry.body, ChangeEvent, strict=False))
        elif entry.kind == MODE:
            self.modes.take(entry)
        elif entry.kind == SAVING:
            self.savings.book(msgspec.convert(entry.body, Saving))

    def _apply(self, time: int, kind: str, event: Event) -> Case:
        case = fold(self.cases, time, kind, event)
        tag = case.advice.tag
        if kind == "advice":
            self.came += 1
            self.by_advice[case.advice.id] = case.id
        elif kind in ("write", "restore") and case.old is not None and case.written is not None:
            self.moves[tag].append(Move(case.id, time, abs(case.written - case.old)))
            self._trim(tag, time)
        elif case.state == "refused":
            self.moves[tag] = [m for m in self.moves[tag] if m.case != case.id]
        if case.open:
            self.open[tag] = case.id
        elif self.open.get(tag) == case.id:
            del self.open[tag]
        limits = self._limits.get(tag)
        if case.state == "done" and case.worth is None and limits is not None and limits.worth is not None:
            self.unvalued.add(case.id)
        else:
            self.unvalued.discard(case.id)
        self.version += 1
        if len(self.cases) > 2 * KEPT:
            self._forget()
        return case

    def _apply_change(self, time: int, kind: str, event: ChangeEvent) -> ChangeCase:
        case, put = fold_change(self.changes, time, kind, event), event.put
        if kind == "asked":
            self.changes_came += 1
            self.by_change[case.change.id] = case.id
        elif put is not None and kind in ("send", "restore"):
            self.moves[put.tag].append(Move(case.id, time, abs(put.value - put.old)))
            self._trim(put.tag, time)
        elif put is not None and kind == "answer" and put.state == "waiting":  # nothing was written
            self.moves[put.tag] = [m for m in self.moves[put.tag] if m.case != case.id]
        for setting in case.change.settings:
            if case.open:
                self.changing[setting.tag] = case.id
            elif self.changing.get(setting.tag) == case.id:
                del self.changing[setting.tag]
        self.version += 1
        if len(self.changes) > 2 * KEPT_CHANGES:
            closed = [i for i, c in self.changes.items() if not c.open]
            for change_id in closed[: len(self.changes) - KEPT_CHANGES]:
                del self.changes[change_id]
        return case

    def _trim(self, tag: str, now: int) -> None:
        """Forgets moves that no check and no measurement looks at any more; the newest stays."""
        limits = self._limits.get(tag)
        if limits is None:
            return
        worth = limits.worth
        longest = max(limits.hold, limits.rate[1] if limits.rate else 0, 2 * (worth.before + worth.settle + worth.after) if worth else 0)
        moves = self.moves[tag]
        self.moves[tag] = [m for m in moves if now - m.time <= longest or m is moves[-1]]

    def _forget(self) -> None:
        closed = [i for i, c in self.cases.items() if not c.open and i not in self.unvalued]
        for case_id in closed[: len(self.cases) - KEPT]:
            del self.cases[case_id]
