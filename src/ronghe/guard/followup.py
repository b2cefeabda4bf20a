"""After a write: it is read back, its effect is waited for, and when that stays away the old value is put back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from ronghe.guard.case import Case, Effect, Watched
from ronghe.guard.checks import ask_restore, refused
from ronghe.guard.condition import Look, quantity
from ronghe.guard.docket import Docket
from ronghe.guard.effect import Watcher
from ronghe.guard.hands import Hands
from ronghe.guard.limits import Limits
from ronghe.guard.patience import ATTEMPTS, Patience
from ronghe.guard.stop import StopFile
from ronghe.guard.view import View
from ronghe.plant.model import Plant
from ronghe.text import Text

GUARD: Final = "guard"
"""Who did it, in histories, where it was no person and no app."""


class FollowUp:
    """Looks after the cases in "writing" and "watching". Each call is made with the lock of the case's set-point held."""

    def __init__(
        self,
        plant: Plant,
        limits: Mapping[str, Limits],
        view: View,
        docket: Docket,
        stop: StopFile,
        hands: Hands,
        clock: Callable[[], int],
        patience: Patience,
    ) -> None:
        self._plant, self._limits, self._view, self._docket, self._stop, self._hands = plant, limits, view, docket, stop, hands
        self._clock, self._patience = clock, patience
        self._recovered = frozenset(docket.open.values())
        self._watchers: dict[str, Watcher] = {}

    async def attend(self, case: Case) -> None:
        """Takes a case one step further, if there is one to take."""
        if case.state == "writing":
            self._confirm(case)
        elif case.state == "watching":
            if case.effect is None:
                case = self._watch(case)
            if case.open and case.effect is not None:
                await self._restore(case)
        if not self._docket.case(case.id).open:
            self._watchers.pop(case.id, None)

    def _confirm(self, case: Case) -> None:
        """A write is believed when the device shows the value."""
        assert case.written is not None
        tag = case.advice.tag
        seen = self._view.look(self._patience.fresh(tag))(tag)
        if seen.value is not None and self._view.arrived(tag) >= case.written_at and self._patience.same(tag, seen.value, case.written):
            shown = quantity(seen.value, case.unit)
            if case.watched:
                text = Text(f"read back {shown}; the effect is watched", f"回读 {shown}；开始观察效果")
                self._docket.record("confirm", case, "watching", GUARD, text)
            else:
                self._docket.record("confirm", case, "done", GUARD, Text(f"read back {shown}", f"回读 {shown}"))
        elif self._clock() >= self._since(case) + self._patience.of(tag):
            if seen.value is None:
                text = Text(
                    f"no value to read back ({seen.why.en}): whether it was written is unknown, look at the machine",
                    f"无法回读（{seen.why.in_('zh')}）：是否写入未知，请现场确认",
                )
            else:
                shows = quantity(seen.value, case.unit, *([case.written] if case.written is not None else []))
                text = Text(f"the set-point shows {shows}: not written, or changed since", f"设定值为 {shows}：未写入，或之后被改动")
            self._docket.record("close", case, "failed", GUARD, text)

    def _watch(self, case: Case) -> Case:
        """Looks whether the effect has come."""
        now = self._clock()
        watcher = self._watchers.get(case.id)
        if watcher is None:
            watcher = self._watchers[case.id] = Watcher(case.watched, self._plant)
        look = self._view.look(self._patience.fresh(case.advice.tag), slow=True)
        watcher.look(look, {t: self._view.known(t) for t in watcher.tags})
        if watcher.all_seen():
            text = Text("the effect was seen", "已观察到预期效果")
            return self._docket.record("effect", case, "done", GUARD, text, effect=Effect(seen=True, time=now, text=text))
        grace = self._patience.grace if case.id in self._recovered else 0
        late = [w for w in watcher.missing() if now > max(w.until, grace)]
        if not late:
            return case
        parts = [missed(w, look, self._plant) for w in late]
        text = Text(
            "the effect stayed away: " + "; ".join(t.en for t in parts),
            "未观察到预期效果：" + "；".join(t.in_("zh") for t in parts),
        )
        return self._docket.record("effect", case, "watching", GUARD, text, effect=Effect(seen=False, time=now, text=text))

    async def _restore(self, case: Case) -> None:
        """Puts the old value back, or says why not. Waits for as long as the set-point is unknown."""
        assert case.old is not None
        tag, limits = case.advice.tag, self._limits.get(case.advice.tag)
        old = quantity(case.old, case.unit)
        if limits is None:
            self._give_up(case, old, Text(f"the guard of {tag} is gone", f"{tag} 的守护已被删除"))
            return
        seen = self._view.look(limits.fresh)(tag)
        if seen.value is not None and self._patience.same(tag, seen.value, case.old):
            self._docket.record("close", case, "rolled_back", GUARD, Text(f"{old} is in force again", f"已恢复到 {old}"))
            return
        if case.restoring and self._clock() < self._since(case) + self._patience.of(tag):
            return
        why_not = self._why_not(limits, case)
        if case.restoring >= ATTEMPTS:
            why_not = Text(f"the device did not take it {ATTEMPTS} times", f"设备 {ATTEMPTS} 次未接受")
        if why_not is None:
            case = await self._docket.intend("restore", case, "watching", GUARD, Text(f"writing {old} back", f"写回 {old}"))
            assert case.old is not None
            status, said = await self._hands.send(tag, case.old, lambda: self._why_not(limits, case))
            self._docket.record("answer", case, "watching", GUARD, said, status=status)
        elif seen.value is not None or self._stop.why():
            self._give_up(case, old, why_not)

    def _why_not(self, limits: Limits, case: Case) -> Text | None:
        assert case.old is not None
        assert case.written is not None
        return refused(ask_restore(self._hands.question(limits, case.advice, case.id, len(case.approvals)), case.old, case.written))

    def _give_up(self, case: Case, old: str, why: Text) -> None:
        text = Text(f"not rolled back to {old}: {why.en}", f"未恢复到 {old}：{why.in_('zh')}")
        self._docket.record("close", case, "failed", GUARD, text)

    def _since(self, case: Case) -> int:
        """From when on (ns) a device is given time: its last step; after a restart, when the connections have had time to come up."""
        return max(case.history[-1].time, self._patience.grace if case.id in self._recovered else 0)


def missed(watched: Watched, look: Look, plant: Plant) -> Text:
    """An effect that stayed away, and what is there instead."""
    if not watched.tag or watched.tag not in plant.tags:
        return watched.text
    seen = look(watched.tag)
    now = Text("unknown", "未知")
    if seen.value is not None:
        bounds = [b for b in (watched.low, watched.high, watched.base) if b is not None]
        now = Text(quantity(seen.value, plant.unit_of(watched.tag), *bounds))
    return Text(f"{watched.text.en}, now {now.en}", f"{watched.text.in_('zh')}，当前 {now.in_('zh')}")
