"""The guard: the only thing that writes to a machine.

An advice comes in, all checks are made, and the case is refused, shown, put before people, or carried out (`ronghe.guard.writing`). What
was written is believed only when it is read back; then the effect that was promised is waited for, and when it stays away the old value is
put back.

Whatever is unknown is a no: a stale value, a condition that cannot be judged, a ledger that cannot be written. A case changes only by an
event that the ledger holds already, so a process that is killed anywhere takes up its open cases from the ledger, and never writes an
advice twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from ronghe.errors import GuardError, LedgerError
from ronghe.guard.advice import Advice, State
from ronghe.guard.case import Case, Check, Event
from ronghe.guard.change import Change, Told
from ronghe.guard.changecase import ChangeCase
from ronghe.guard.changes import Bench, Changes
from ronghe.guard.checks import refused, stranger
from ronghe.guard.docket import Docket
from ronghe.guard.followup import GUARD, FollowUp
from ronghe.guard.hands import Hands, Held, Write
from ronghe.guard.kill import KillSwitch
from ronghe.guard.ledger import Ledger
from ronghe.guard.limits import Limits, compile_guard
from ronghe.guard.modes import Modes
from ronghe.guard.patience import Patience
from ronghe.guard.promises import Promises
from ronghe.guard.savings import Savings
from ronghe.guard.stop import StopFile
from ronghe.guard.trials import Trials
from ronghe.guard.valuing import Valuing
from ronghe.guard.view import View
from ronghe.guard.worth import History
from ronghe.guard.writing import Writing
from ronghe.plant.model import Plant
from ronghe.signals import Latest
from ronghe.text import Text

log = logging.getLogger(__name__)

_TICK = 1.0  # s that a tick waits for its own work


class Guard:
    """Advice in, action out, one open case a set-point. Lives in one event loop; `cases`, `case`, `killed` and `version` may be read by
    anyone at any time, `kill` may be called from any thread.

    `folder` is the plant's `.ronghe`: the kill switch is the file STOP in it.
    """

    def __init__(
        self,
        plant: Plant,
        latest: Latest,
        ledger: Ledger,
        write: Write,
        *,
        clock: Callable[[], int],
        folder: Path,
        history: History | None = None,
        held: Held = lambda tag, value: value,
        read_back: float = 10.0,
    ) -> None:
        """Takes up the cases that the ledger holds open. `read_back` is how long (s) a device has to show what was written,
        and longer where the set-point is sampled slowly.

        Raises GuardError for a guard of the plant that cannot be used, LedgerError for a ledger that cannot be read.
        """
        self._plant, self._clock = plant, clock
        self._limits = {tag: compile_guard(plant, spec) for tag, spec in plant.guards.items()}
        if history is None:  # then nothing can be measured
            self._limits = {tag: replace(limits, worth=None) for tag, limits in self._limits.items()}
        self._stop = StopFile(folder)
        self._docket = Docket(ledger, self._limits)
        view = View(plant, latest, clock)
        self._hands = Hands(plant, view, self._docket, self._stop, clock, write, held)
        self._promises = Promises(plant, clock, history)
        self._kill_switch = KillSwitch(self._stop, self._docket, clock)
        self._valuing = Valuing(self._docket, self._limits, history, clock)
        patience = Patience(plant, self._limits, clock, round(read_back * 1e9))
        self._follow_up = FollowUp(plant, self._limits, view, self._docket, self._stop, self._hands, clock, patience)
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._trials = Trials(plant)
        self._writing = Writing(self._docket, self._hands, self._promises, self._trials)
        bench = Bench(plant, self._limits, view, self._docket, self._stop, self._hands, self._promises, patience, self._trials, clock)
        self._changes = Changes(bench, self._locks)
        self._busy: dict[str, asyncio.Task[Any]] = {}
        self._errors: list[BaseException] = []
        self._failing: set[str] = set()  # what went wrong since the last tick is not tried again before the next

    # --- what people and apps ask for ----------------------------------------------------------------------------------------------

    async def submit(self, advice: Advice) -> Case:
        """Takes an advice through the checks: refused, shown, waiting for approval, or written. An id seen before gives its case again.

        Raises GuardError for an advice whose fields have the wrong type, LedgerError when nothing can be recorded: then nothing is
        written.
        """
        try:
            advice = msgspec.convert(msgspec.to_builtins(advice), Advice)
            if not advice.id:
                raise TypeError("id")
        except (msgspec.ValidationError, TypeError, AttributeError) as e:
            raise GuardError(Text(f"not an advice: {e}", f"不是有效的建议：{e}")) from e
        async with self._locks[advice.tag]:
            if advice.id in self._docket.by_advice:
                return self.case(self._docket.by_advice[advice.id])
            limits, checks = self._limits.get(advice.tag), stranger(self._plant, advice, self._stop.why())
            if limits is not None:
                asked, checks = await self._trials.checks(partial(self._hands.question, limits, advice))
                limits = asked.limits  # with the mode that is in force
                if advice.id in self._docket.by_advice:  # it came a second time, for another set-point, while it was tried
                    return self.case(self._docket.by_advice[advice.id])
            why_not = refused(checks)
            case = self._came_in(advice, limits, checks, why_not)
            if why_not is None and limits is not None and limits.mode == "auto":
                case = await self._writing.carry_out(case, limits, checks)
            return case

    async def approve(self, case_id: str, user: str) -> Case:
        """One person's approval; the last one needed writes, after all checks were made again. When the ledger or a crash kept that from
        being done although enough people have approved, any of them may ask again.

        Raises GuardError when the case does not exist or does not wait, and for the same person's second approval; LedgerError.
        """
        _named(user)
        async with self._locks[self.case(case_id).advice.tag]:
            case = self._waiting(case_id, "waiting")
            limits = self._in_force(case.advice.tag)
            enough = limits is not None and len(case.approvals) >= limits.approvals
            if user in case.approvals and not enough:
                todo = Text("another person must approve as well", "须由另一人批准")
                raise GuardError(Text(f"{user} has approved already", f"{user} 已经批准过"), where=case_id, todo=todo)
            if self._expired(case) or limits is None:
                return self._end_waiting(case)
            n, needs = len(case.approvals) + 1, limits.approvals
            if user not in case.approvals:
                text = Text(f"approved by {user} ({n} of {needs})", f"{user} 批准（{n}/{needs}）")
                case = self._docket.record("approval", case, "waiting", user, text)
            return await self._writing.carry_out(case, limits) if n >= needs else case

    async def reject(self, case_id: str, user: str, why: str) -> Case:
        """A person says no to a case that is shown or waiting. Raises GuardError when it does not exist or is neither; LedgerError."""
        _named(user)
        async with self._locks[self.case(case_id).advice.tag]:
            case = self._waiting(case_id, "waiting", "advised")
            return self._docket.record("close", case, "rejected", user, Text(f"rejected: {why}", f"驳回：{why}"))

    async def withdraw(self, app: str, finding: str) -> None:
        """What an app's advice answered is over: its cases that are shown or wait for a person are closed. Raises LedgerError."""
        why = Text("withdrawn: the finding that it answers has ended", "撤回：所针对的异常已消除")
        for found in self.cases():
            if found.advice.app == app and found.advice.finding == finding and found.state in ("waiting", "advised"):
                async with self._locks[found.advice.tag]:
                    case = self.case(found.id)
                    if case.state in ("waiting", "advised"):
                        self._docket.record("close", case, "expired", app, why)

    @property
    def killed(self) -> str:
        """Who stopped the guard, when and why, as in the file STOP; empty while it may write."""
        return self._stop.why()

    def kill(self, user: str, why: str) -> None:
        """No write from now on, rollbacks included, until released, also over a restart. A write already sent cannot be called back.

        Raises GuardError when the file could not be made (it is on in this process only), LedgerError when it could not be recorded; it
        is on all the same.
        """
        self._kill_switch.kill(user, why)

    def release(self, user: str, why: str) -> None:
        """Lets the guard write again. Raises GuardError when the file cannot be removed, LedgerError when it cannot be recorded: then it
        stays on."""
        _named(user)
        self._kill_switch.release(user, why)

    def switch(self, tag: str, mode: str, who: str, why: str) -> None:
        """The autonomy switch: the mode of one set-point from now on, at most what plant.toml permits, also over a restart. In force at the
        next check, that at the moment of sending included. Cases that wait for approval go on waiting.

        Raises GuardError for a set-point without a guard, a mode that is none or is above what is permitted, no name, or no reason;
        LedgerError when it cannot be recorded: a lower mode is in force all the same, until the process ends, a higher one is not.
        """
        _named(who)
        self._docket.switch(tag, mode, who, why)

    async def warm(self) -> None:
        """Starts the twins that guards use, so that the first trial need not wait. Never raises: `twins` says what failed."""
        await asyncio.to_thread(self._trials.warm, self._limits)

    @property
    def twins(self) -> Mapping[str, Text | None]:
        """Per twin, why the last trial on it could not be made; None where it could."""
        return self._trials.trouble

    def close(self) -> None:
        """Ends the processes of the twins. Safe to call twice, and from any thread."""
        self._trials.close()

    @property
    def modes(self) -> Modes:
        """Which mode of each set-point is in force, and who said so."""
        return self._docket.modes

    @property
    def savings(self) -> Savings:
        """What was saved, by key."""
        return self._docket.savings

    async def submit_change(self, change: Change) -> ChangeCase:
        """Several set-points as one, see `ronghe.guard.changes`. An id seen before gives its case again. Raises as `submit` does."""
        return await self._changes.submit(change)

    async def approve_change(self, change_id: str, user: str) -> ChangeCase:
        """One person's approval of a change as a whole. Raises as `approve` does."""
        _named(user)
        return await self._changes.approve(change_id, user)

    async def cancel_change(self, change_id: str, user: str, why: str) -> ChangeCase:
        """A person calls a change off: nothing is written, or all is written back; while it is written back already, what cannot be reached
        is given up. Raises GuardError when it does not exist or has ended; LedgerError."""
        _named(user)
        return await self._changes.cancel(change_id, user, why)

    async def told(self, told: Told) -> ChangeCase | None:
        """What a person told the app whose change it is; None where that comes too late. Raises LedgerError."""
        _named(told.who)
        return await self._changes.told(told)

    @property
    def changing(self) -> bool:
        """Whether a change is open."""
        return bool(self._docket.changing)

    def changes(self) -> list[ChangeCase]:
        """Newest first."""
        return self._changes.all()

    def change(self, change_id: str) -> ChangeCase:
        """Raises GuardError for an id that is not in memory."""
        return self._changes.view(change_id)

    def cases(self) -> list[Case]:
        """Newest first."""
        return list(self._docket.cases.values())[::-1]

    def case(self, case_id: str) -> Case:
        """Raises GuardError for an id that is not in memory."""
        return self._docket.case(case_id)

    @property
    def version(self) -> int:
        """Grows with every change of a case or of the kill switch."""
        return self._docket.version

    # --- the clock's part ------------------------------------------------------------------------------------------------------------

    async def tick(self) -> None:
        """About once a second: expiry, read-back, effects, rollback, worth. Waits at most a second for slow devices; they go on beside it.

        Raises what went wrong first, after everything else was done.
        """
        try:
            self._kill_switch.note()
        except LedgerError as e:
            self._errors.append(e)
        self._failing.clear()
        await self.pulse()
        for case_id in list(self._docket.open.values()):
            if case_id not in self._busy:
                self._busy[case_id] = asyncio.create_task(self._attend(case_id), name=f"case {case_id}")
        for case_id in self._valuing.due(self._busy):
            self._busy[case_id] = asyncio.create_task(self._valuing.value(case_id), name=f"worth {case_id}")
        if self._busy:
            await asyncio.wait(self._busy.values(), timeout=_TICK)
        for case_id in [i for i, task in self._busy.items() if task.done()]:
            self._collect(case_id)
        errors, self._errors = self._errors, []
        if errors:
            raise errors[0]

    async def pulse(self) -> None:
        """As `tick`, for the changes alone, so that each of their steps need not wait for a second: about ten times a second. Never raises;
        what went wrong is raised by the next `tick`."""
        for change_id in self._changes.open():
            if change_id in self._busy and self._busy[change_id].done():
                self._collect(change_id)
            if change_id not in self._busy and change_id not in self._failing:
                self._busy[change_id] = asyncio.create_task(self._changes.turn(change_id), name=f"change {change_id}")
        await asyncio.sleep(0)

    def _collect(self, case_id: str) -> None:
        """Takes note of what became of a task that is done."""
        task = self._busy.pop(case_id, None)
        if task is not None and not task.cancelled() and (error := task.exception()) is not None:
            log.error("case %s: %s", case_id, error)
            self._errors.append(error)
            self._failing.add(case_id)

    async def _attend(self, case_id: str) -> None:
        async with self._locks[self.case(case_id).advice.tag]:
            case = self.case(case_id)
            if case.state in ("advised", "waiting"):
                if self._is_over(case):
                    self._end_waiting(case)
            else:
                await self._follow_up.attend(case)

    def _in_force(self, tag: str) -> Limits | None:
        """The limits of a set-point with the mode that is in force; None where it has no guard."""
        limits = self._limits.get(tag)
        return self._docket.modes.now(limits) if limits is not None else None

    def _is_over(self, case: Case) -> bool:
        """Whether a case that is shown or waits is to be ended."""
        limits = self._in_force(case.advice.tag)
        if limits is None or self._expired(case):
            return True
        return case.mode == "auto" if case.state == "waiting" else limits.mode != "advise"

    def _expired(self, case: Case) -> bool:
        return self._clock() >= case.advice.expires

    # --- events ------------------------------------------------------------------------------------------------------------------------

    def _came_in(self, advice: Advice, limits: Limits | None, checks: tuple[Check, ...], why_not: Text | None) -> Case:
        state: State = "refused" if why_not is not None else "advised" if limits is None or limits.mode == "advise" else "waiting"
        text = Text(f"refused: {why_not.en}", f"拒绝：{why_not.in_('zh')}") if why_not is not None else advice.reason
        needs = limits.approvals if limits is not None and limits.mode == "approve" else 0
        event = Event(
            case=f"A{self._docket.came + 1}",
            state=state,
            who=GUARD if why_not is not None else advice.app,
            text=text,
            advice=advice,
            mode=limits.mode if limits is not None else "",
            unit=limits.unit if limits is not None else "",
            needs=needs,
            checks=checks,
        )
        return self._docket.add("advice", event)

    def _waiting(self, case_id: str, *states: State) -> Case:
        case = self.case(case_id)
        if case.state not in states:
            last = case.history[-1]
            raise GuardError(
                Text(f"the case is not waiting any more: {case.state}, {last.text.en}", f"该事项已不在等待：{last.text.in_('zh')}"),
                where=case_id,
            )
        return case

    def _end_waiting(self, case: Case) -> Case:
        if self._expired(case):
            return self._docket.record("close", case, "expired", GUARD, Text("expired before anything was written", "已过期，未写入"))
        if case.advice.tag not in self._limits:
            text = Text(f"the guard of {case.advice.tag} is gone", f"{case.advice.tag} 的守护已被删除")
            return self._docket.record("close", case, "refused", GUARD, text)
        if case.state == "advised":
            text = Text("the mode was raised: what was only shown makes way", "模式已提升：仅作展示的建议让位")
            return self._docket.record("close", case, "expired", GUARD, text)
        text = Text("interrupted before it was written", "写入前中断，未写入")
        return self._docket.record("close", case, "failed", GUARD, text)


def _named(user: str) -> None:
    if not user.strip():
        raise GuardError(Text("a person without a name cannot decide", "未具名者不能作决定"))
