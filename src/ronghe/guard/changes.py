"""Changes: several set-points written as one, proven, or written back.

waiting ─▶ writing ─▶ proving ─▶ done              Before the first write: all locks, every check of every set-point, and one entry of the
   │          └──────────┴─▶ rolling_back          ledger with every old value. Each set-point is checked once more as it is sent, and
   ▼                            ├─▶ rolled_back    believed when it is read back; the next is written after that. Whatever fails, all that
refused, expired, rejected      └─▶ failed         was touched is written back, the last first, and read back.

A turn takes a change as far as it goes at that moment, with the locks of all its set-points held, so a process that is killed anywhere goes
on with the next turn of its next life: what was being written is written back, what was written whole may still be proven.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, MutableMapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import msgspec

from ronghe.errors import GuardError
from ronghe.guard.advice import Advice
from ronghe.guard.case import Check, Watched
from ronghe.guard.change import Change, ChangeState, Put, Setting, Told
from ronghe.guard.changecase import ChangeCase, ChangeEvent
from ronghe.guard.changewords import all_refused, no_guard, of, sound, to_be_written, too_late, writing
from ronghe.guard.checks import Question, ask_change, in_device, refused, stranger
from ronghe.guard.condition import Look, parse, quantity
from ronghe.guard.docket import Docket
from ronghe.guard.followup import GUARD
from ronghe.guard.hands import Hands, not_written, surely_not
from ronghe.guard.limits import Limits
from ronghe.guard.patience import Patience
from ronghe.guard.promises import Promises
from ronghe.guard.proving import Proving, judged
from ronghe.guard.stop import StopFile
from ronghe.guard.trials import Trials
from ronghe.guard.view import View
from ronghe.guard.wayback import WayBack
from ronghe.plant.model import Plant
from ronghe.signals import quality as q
from ronghe.text import Text

log = logging.getLogger(__name__)

_PERMANENT: Final = frozenset({"stop", "guard", "expiry", "duplicate", "value", "envelope"})
"""Checks that waiting does not mend: a change that fails them is refused as it comes in."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What the guard works with, in one piece."""

    plant: Plant
    limits: Mapping[str, Limits]
    view: View
    docket: Docket
    stop: StopFile
    hands: Hands
    promises: Promises
    patience: Patience
    trials: Trials
    clock: Callable[[], int]

    def question(self, case: ChangeCase, tag: str, value: float) -> Question:
        """Everything that the checks look at for one set-point of a change. Its guard is there."""
        return self.hands.question(self.limits[tag], advice(case.change, tag, value), case.id, len(case.approvals))

    def record(self, kind: str, case: ChangeCase, state: ChangeState, text: Text, *, who: str = GUARD, **more: Any) -> ChangeCase:
        """One event. Raises LedgerError: then nothing has changed."""
        return self.docket.add_change(kind, ChangeEvent(change=case.id, state=state, who=who, text=text, **more))

    async def intend(self, kind: str, case: ChangeCase, state: ChangeState, text: Text, **more: Any) -> ChangeCase:
        """As `record`, without holding up the loop."""
        return await self.docket.intend_change(kind, ChangeEvent(change=case.id, state=state, who=GUARD, text=text, **more))


def advice(change: Change, tag: str, value: float) -> Advice:
    """One set-point of a change, as the checks know it."""
    return Advice(id=change.id, app=change.app, tag=tag, value=value, time=change.time, expires=change.expires, reason=change.reason)


class Changes:
    """All changes of one plant. Lives in the guard's event loop; what is read may be read by anyone at any time."""

    def __init__(self, bench: Bench, locks: MutableMapping[str, asyncio.Lock]) -> None:
        self._bench, self._locks, self._docket = bench, locks, bench.docket
        self._recovered = frozenset(i for i, c in self._docket.changes.items() if c.open)
        self._proving = Proving(bench, self._recovered)
        self._way_back = WayBack(bench, self._recovered)
        self._awaited: dict[str, tuple[Check, ...]] = {}  # how the conditions stand that a change waits for

    # --- what people and apps ask for ----------------------------------------------------------------------------------------------

    async def submit(self, change: Change) -> ChangeCase:
        """Takes a change in: refused, or waiting; the next turns carry it out. Raises GuardError for one that is no change, LedgerError."""
        change = sound(change)
        async with self._held([s.tag for s in change.settings]):
            if change.id in self._docket.by_change:
                return self.view(self._docket.by_change[change.id])
            case = ChangeCase(id=f"C{self._docket.changes_came + 1}", change=change, state="waiting")
            checks = {s.tag: self._first_checks(case, s) for s in change.settings}
            why_not = all_refused({tag: [c for c in found if c.name in _PERMANENT or c.name == "mode"] for tag, found in checks.items()})
            why_not = why_not or self._unreadable(change)
            text = Text(f"refused: {why_not.en}", f"拒绝：{why_not.in_('zh')}") if why_not is not None else change.reason
            event = ChangeEvent(
                change=case.id,
                state="refused" if why_not is not None else "waiting",
                who=GUARD if why_not is not None else change.who or change.app,
                text=text,
                asked=change,
                needs=self._needs(change),
                checks=checks,
            )
            return self._docket.add_change("asked", event)

    async def approve(self, change_id: str, user: str) -> ChangeCase:
        """One person's approval. Raises GuardError when it does not wait or has this person's already, LedgerError."""
        async with self._held(self._tags(change_id)):
            case = self._docket.change(change_id)
            if case.state != "waiting":
                raise too_late(case)
            if user in case.approvals:
                todo = Text("another person must approve as well", "须由另一人批准")
                raise GuardError(Text(f"{user} has approved already", f"{user} 已经批准过"), where=change_id, todo=todo)
            n, needs = len(case.approvals) + 1, self._awaits(case)
            text = Text(f"approved by {user} ({n} of {needs})", f"{user} 批准（{n}/{needs}）")
            self._bench.record("approval", case, "waiting", text, who=user)
        return await self.turn(change_id)

    async def cancel(self, change_id: str, user: str, why: str) -> ChangeCase:
        """Calls it off. At once, also while a device is waited for; its turn then does what is to be done."""
        case = self._docket.change(change_id)
        if not case.open:
            raise too_late(case)
        text = Text(f"called off: {why}", f"取消：{why}") if why else Text("called off", "取消")
        self._bench.record("cancel", case, case.state, text, who=user)
        return await self.turn(change_id)

    async def told(self, told: Told) -> ChangeCase | None:
        """What a person told the app whose change it is; None where that comes too late. Raises LedgerError."""
        change_id = self._docket.by_change.get(told.change, "")
        try:
            if told.says == "approve":
                return await self.approve(change_id, told.who)
            return await self.cancel(change_id, told.who, told.why)
        except GuardError as e:
            log.info("%s, told about %s: %s", told.who, told.change, e)
            return None

    # --- the clock's part ----------------------------------------------------------------------------------------------------------

    def all(self) -> list[ChangeCase]:
        """Newest first."""
        return [self.view(i) for i in list(self._docket.changes)[::-1]]

    def view(self, change_id: str) -> ChangeCase:
        """A change with what it waits for. Raises GuardError for an id that is not in memory."""
        case = self._docket.change(change_id)
        awaited = self._awaited.get(change_id)
        return msgspec.structs.replace(case, awaited=awaited) if awaited else case

    def open(self) -> list[str]:
        """The ids of those to which something may still happen."""
        return list(dict.fromkeys(self._docket.changing.values()))

    async def turn(self, change_id: str) -> ChangeCase:
        """Takes a change as far as it goes now. Raises LedgerError: then nothing was done that is not in the ledger."""
        async with self._held(self._tags(change_id)):
            while await self._step(self._docket.change(change_id)):
                pass
            case = self._docket.change(change_id)
            if not case.open:
                self._proving.forget(change_id)
                self._awaited = {i: checks for i, checks in self._awaited.items() if i in self._docket.changes}
            return self.view(change_id)

    async def _step(self, case: ChangeCase) -> bool:
        """One step; whether another may follow at once."""
        if case.state == "waiting":
            return await self._wait(case)
        if case.state == "writing":
            return await self._write(case)
        if case.state == "proving":
            return self._prove(case)
        return case.state == "rolling_back" and await self._way_back.step(case)

    # --- before the first write ----------------------------------------------------------------------------------------------------

    async def _wait(self, case: ChangeCase) -> bool:
        change = case.change
        if case.cancelled:
            text = Text(f"called off by {case.cancelled}: nothing was written", f"由 {case.cancelled} 取消：未写入")
            self._bench.record("close", case, "rejected", text, who=case.cancelled)
        elif self._bench.clock() >= change.expires:
            missing = refused(self._awaited.get(case.id, ()))
            en, zh = (f": {missing.en}", f"：{missing.in_('zh')}") if missing is not None else ("", "")
            self._bench.record("close", case, "expired", Text(f"expired before anything was written{en}", f"已过期，未写入{zh}"))
        else:
            self._awaited[case.id] = self._look_ready(case)
            if len(case.approvals) < self._awaits(case) or refused(self._awaited[case.id]) is not None:
                return False
            return await self._begin(case)
        return False

    def _look_ready(self, case: ChangeCase) -> tuple[Check, ...]:
        look = self.look(case)
        return tuple(judged(text, self._bench.plant, look) for text in case.change.ready)

    def look(self, case: ChangeCase) -> Look:
        """How the conditions of a change see the plant: no value is older than the most patient of its guards allows."""
        return self._bench.view.look(max(self._bench.patience.fresh(s.tag) for s in case.change.settings))

    async def _begin(self, case: ChangeCase) -> bool:
        """Every check of every set-point; then the intent, with every old value."""
        change, limits = case.change, self._bench.limits
        if gone := [s.tag for s in change.settings if s.tag not in limits]:
            self._bench.record("close", case, "refused", not_written(no_guard(gone[0])))
            return False
        noise = {s.tag: await self._bench.promises.noise(limits[s.tag]) for s in change.settings}
        questions = {s.tag: self._bench.question(case, s.tag, s.value) for s in change.settings}
        checks = {tag: ask_change(question) for tag, question in questions.items()}
        tried = await self._tried(case, questions) if all_refused(checks) is None else {}
        if tried:  # it took its time
            questions = {s.tag: self._bench.question(case, s.tag, s.value) for s in change.settings}
            checks = {tag: (*ask_change(question), *tried.get(tag, ())) for tag, question in questions.items()}
        if (why_not := all_refused(checks)) is not None:
            self._bench.record("close", case, "refused", not_written(why_not), checks=checks)
            return False
        puts: list[Put] = []
        watched: list[Watched] = []
        for tag, question in questions.items():
            old, value = question.current.value, in_device(question)
            assert old is not None
            same = self._bench.patience.same(tag, old, value)
            puts.append(Put(tag=tag, unit=question.limits.unit, old=old, value=value, state="kept" if same else "waiting"))
            watched += [] if same else self._bench.promises.fix(question, noise[tag])
        text = to_be_written(puts)
        await self._bench.intend("intent", case, "writing", text, checks=checks, puts=tuple(puts), watched=tuple(watched))
        return True

    async def _tried(self, case: ChangeCase, questions: Mapping[str, Question]) -> dict[str, tuple[Check, ...]]:
        """The dry runs, of those of its set-points that have one, each with all that the change writes."""
        settings = {tag: in_device(question) for tag, question in questions.items()}
        found: dict[str, tuple[Check, ...]] = {}
        for s in case.change.settings:
            if self._bench.limits[s.tag].dry_run is not None:
                found[s.tag] = (await self._bench.trials.of(partial(self._bench.question, case, s.tag, s.value), settings),)
        return found

    # --- writing -------------------------------------------------------------------------------------------------------------------

    async def _write(self, case: ChangeCase) -> bool:
        put = next((p for p in case.puts if p.state in ("waiting", "sending")), None)
        if put is not None and case.id in self._recovered:
            return self._fail(case, Text("the node was stopped while it was written", "写入过程中节点被中断"))
        if (why := self._called_off(case)) is not None or (why := self._proving.broken(case)) is not None:
            return self._fail(case, why)
        if put is None:
            return self._written(case)
        return await self._send(case, put) if put.state == "waiting" else self._confirm(case, put)

    async def _send(self, case: ChangeCase, put: Put) -> bool:
        """Intent, check, and check once more as it is sent."""
        if put.tag not in self._bench.limits:
            return self._fail(case, no_guard(put.tag))
        first = not case.touched
        sending = msgspec.structs.replace(put, state="sending")
        case = await self._bench.intend("send", case, "writing", writing(put.value, put.old, put), put=sending)

        def look_again() -> Text | None:
            now = self._docket.change(case.id)
            question = self._bench.question(now, put.tag, put.value)
            value = question.current.value
            changed = value is not None and not self._bench.patience.same(put.tag, value, put.old)
            unready = refused(self._look_ready(now)) if first else None
            moved = Text(f"{put.tag} was changed meanwhile", f"{put.tag} 在此期间被改动") if changed else None
            return self._called_off(now) or refused(ask_change(question)) or moved or unready

        status, said = await self._bench.hands.send(put.tag, put.value, look_again)
        nothing, bad = status is None or surely_not(status), status is None or q.severity(status) == "bad"
        now = next(p for p in self._docket.change(case.id).puts if p.tag == put.tag)
        after = msgspec.structs.replace(now, state="waiting" if nothing else "sending")
        case = self._bench.record("answer", case, "writing", of(put.tag, said), put=after, status=status)
        return self._fail(case, of(put.tag, said), checked=status is None) if bad else True

    def _confirm(self, case: ChangeCase, put: Put) -> bool:
        """A write is believed when the device shows the value."""
        view, patience = self._bench.view, self._bench.patience
        seen = view.look(patience.fresh(put.tag))(put.tag)
        since = next(s.time for s in reversed(case.history) if s.kind == "send" and s.tag == put.tag)
        if seen.value is not None and view.arrived(put.tag) >= since and patience.same(put.tag, seen.value, put.value):
            shown = Text(f"{put.tag}: read back {quantity(seen.value, put.unit)}", f"{put.tag}：回读 {quantity(seen.value, put.unit)}")
            self._bench.record("confirm", case, "writing", shown, put=msgspec.structs.replace(put, state="written"))
            return True
        if self._bench.clock() < put.time + patience.of(put.tag):
            return False
        why = of(put.tag, Text(f"no value to read back ({seen.why.en})", f"无法回读（{seen.why.in_('zh')}）"))
        if seen.value is not None:
            shows = quantity(seen.value, put.unit, put.value)
            why = of(put.tag, Text(f"shows {shows}, not what was written", f"显示 {shows}，与写入值不符"))
        return self._fail(case, why, put=msgspec.structs.replace(put, shows=seen.value))

    def _written(self, case: ChangeCase) -> bool:
        """All are in force: the proof begins."""
        whole = self._proving.in_force(case)
        if isinstance(whole, Text):
            return self._fail(case, whole)
        if not whole:
            return False
        change, text = case.change, Text("all set-points are in force", "全部设定值已生效")
        watched = case.watched
        self._awaited.pop(case.id, None)
        seconds, until = f"{change.within:g} s", self._bench.clock() + round(change.within * 1e9)
        for proof in change.proof:
            wanted = Text(f"{proof} within {seconds}", f"{seconds} 内满足 {proof}")
            watched = (*watched, Watched(text=wanted, until=until, condition=proof))
        if not watched:
            self._bench.record("written", case, "done", text)
            return False
        self._bench.record("written", case, "proving", text, watched=watched)
        return True

    def _prove(self, case: ChangeCase) -> bool:
        why = self._called_off(case) or self._proving.broken(case)
        if why is None:
            whole = self._proving.in_force(case)
            why = whole if isinstance(whole, Text) else self._proving.look(case, self.look(case))
        if why is not None:
            return self._fail(case, why)
        self._awaited[case.id] = self._proving.awaited(case, self.look(case))
        if self._proving.proven(case):
            self._bench.record("close", case, "done", Text("proven", "验证通过"))
        return False

    # --- when something fails --------------------------------------------------------------------------------------------------------

    def _fail(self, case: ChangeCase, why: Text, *, checked: bool = False, put: Put | None = None) -> bool:
        """Back to what was, where anything may have been touched."""
        if case.touched:
            self._bench.record("back", case, "rolling_back", why, put=put)
            return True
        self._bench.record("close", case, "refused" if checked else "rolled_back", why)
        return False

    def _called_off(self, case: ChangeCase) -> Text | None:
        if not case.cancelled:
            return None
        why = next(s.text for s in reversed(case.history) if s.kind == "cancel")
        return Text(f"{why.en} ({case.cancelled})", f"{why.in_('zh')}（{case.cancelled}）")

    # --- helpers of submit -----------------------------------------------------------------------------------------------------------

    def _first_checks(self, case: ChangeCase, setting: Setting) -> tuple[Check, ...]:
        limits, asked = self._bench.limits.get(setting.tag), advice(case.change, setting.tag, setting.value)
        if limits is None:
            return stranger(self._bench.plant, asked, self._bench.stop.why())
        checks = ask_change(self._bench.hands.question(limits, asked))
        if self._docket.modes.of(setting.tag) == "advise":
            shown = Text("mode advise: it is never written", "模式为“仅建议”：不写入")
            checks = (*checks, Check(name="mode", ok=False, text=shown))
        # That it has its value already is no reason against: it is then kept.
        return tuple(c for c in checks if c.name != "duplicate" or self._docket.busy(setting.tag) or c.ok)

    def _unreadable(self, change: Change) -> Text | None:
        for text in (*change.ready, *change.proof):
            try:
                parse(text, self._bench.plant)
            except GuardError as e:
                return Text(e.in_("en"), e.in_("zh"))
        return None

    def _needs(self, change: Change) -> int:
        """How many different people must approve: as many as the strictest guard of its set-points asks."""
        known = [self._bench.limits[s.tag] for s in change.settings if s.tag in self._bench.limits]
        return max((limits.approvals for limits in known if self._docket.modes.of(limits.tag) == "approve"), default=0)

    def _awaits(self, case: ChangeCase) -> int:
        """As many as when it came in, at least: who was asked to approve is not passed over because a mode was raised since."""
        return max(case.needs, self._needs(case.change))

    def _tags(self, change_id: str) -> list[str]:
        return [s.tag for s in self._docket.change(change_id).change.settings]

    @asynccontextmanager
    async def _held(self, tags: Sequence[str]) -> AsyncIterator[None]:
        """The locks of all set-points, always taken in the same order: two changes cannot wait for one another."""
        async with AsyncExitStack() as stack:
            for tag in sorted(tags):
                await stack.enter_async_context(self._locks[tag])
            yield
