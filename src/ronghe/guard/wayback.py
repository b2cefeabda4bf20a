"""The way back of a change: what was touched is written back, the last first, and read back.

A device that cannot be seen is waited for, and does not hold up the others for longer than it would take to read a value back. What a
person changed since is left to them, and while the kill switch is on nothing is written: then a person must look.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec

from ronghe.guard.change import Put
from ronghe.guard.changecase import ChangeCase
from ronghe.guard.checks import ask_restore, refused
from ronghe.guard.condition import quantity
from ronghe.guard.hands import surely_not
from ronghe.guard.patience import ATTEMPTS
from ronghe.signals import quality as q
from ronghe.text import Text

if TYPE_CHECKING:
    from ronghe.guard.changes import Bench

_Outcome = Literal["went on", "wait", "unseen"]
_SOON: Final = 1_000_000_000  # ns after which an unanswered write is sent once more, when the device is seen again
_GIVEN_UP: Final = Text("given up by a person", "已由人员放弃")


class WayBack:
    """Looks after changes in "rolling_back"."""

    def __init__(self, bench: Bench, recovered: frozenset[str]) -> None:
        self._bench, self._recovered = bench, recovered

    async def step(self, case: ChangeCase) -> bool:
        """Takes it one set-point further; whether another step may follow at once."""
        left = [p for p in reversed(case.puts) if p.touched]
        for put in left:
            outcome = await self._restore(case, put)
            if outcome == "went on":
                return True
            if outcome == "wait":
                return False
        if left:
            return False
        lost = [p for p in case.puts if p.state == "lost"]
        if lost:
            tags, why = ", ".join(p.tag for p in lost), case.why or Text("")
            text = Text(
                f"not as before, a person must look at {tags}; it was to be written back because {why.en}",
                f"未完全恢复，请现场确认 {tags}；回退原因：{why.in_('zh')}",
            )
            self._bench.record("close", case, "failed", text)
        else:
            self._bench.record("close", case, "rolled_back", Text("all is as it was before", "已全部恢复原状"))
        return False

    async def _restore(self, case: ChangeCase, put: Put) -> _Outcome:
        bench, patience = self._bench, self._bench.patience
        limits, old = bench.limits.get(put.tag), quantity(put.old, put.unit, put.value)
        if limits is None:
            return self._lost(case, put, Text("its guard is gone", "其守护已被删除"))
        seen = bench.view.look(limits.fresh)(put.tag)
        if put.state == "sending" and put.shows is None and seen.value is not None and bench.view.arrived(put.tag) >= _sent(case, put.tag):
            put = msgspec.structs.replace(put, shows=seen.value)  # not read back yet: what it shows is what the device made of it
        since = put.time if put.state == "restoring" else next(s.time for s in case.history if s.kind == "back")
        if case.id in self._recovered:
            since = max(since, patience.started)  # no grace: what cannot be seen is not given up, and what can be need not wait for it
        late = bench.clock() >= since + patience.of(put.tag)
        is_old = seen.value is not None and patience.same(put.tag, seen.value, put.old)
        # Of a write that was not read back nobody knows whether it is still on its way: the old value is then sent after it in any case.
        # And where nobody knows what became of that either, it must be seen for as long as a read-back may take.
        settled = put.state == "written" or (put.state == "restoring" and put.sure and bench.view.arrived(put.tag) >= put.time)
        if is_old and (settled or (put.state == "restoring" and late)):
            text = Text(f"{put.tag}: {old} is in force again", f"{put.tag}：已恢复到 {old}")
            bench.record("restored", case, "rolling_back", text, put=msgspec.structs.replace(put, state="restored"))
            return "went on"
        if seen.value is None:
            if stopped := bench.stop.why():
                return self._lost(case, put, Text(f"the kill switch is on: {stopped}", f"停写开关已启用：{stopped}"))
            if late and _given_up(case):
                return self._lost(case, put, _GIVEN_UP)
            return "unseen" if late else "wait"
        arrived = bench.view.arrived(put.tag)
        back_again = not put.sure and put.tries == 1 and arrived >= put.time and bench.clock() >= put.time + _SOON
        if put.state == "restoring" and not late and not back_again:
            return "wait"
        why_not = self._why_not(case, put)
        if put.tries >= ATTEMPTS:
            why_not = Text(f"the device did not take it {ATTEMPTS} times", f"设备 {ATTEMPTS} 次未接受")
        if why_not is not None:
            return self._lost(case, put, why_not)
        return await self._send(case, put, old)

    async def _send(self, case: ChangeCase, put: Put, old: str) -> _Outcome:
        bench = self._bench
        going = msgspec.structs.replace(put, state="restoring", tries=put.tries + 1, sure=False)
        text = Text(f"{put.tag}: writing {old} back", f"{put.tag}：写回 {old}")
        case = await bench.intend("restore", case, "rolling_back", text, put=going)
        status, said = await bench.hands.send(put.tag, put.old, lambda: self._why_not(case, put))
        said = Text(f"{put.tag}: {said.en}", f"{put.tag}：{said.in_('zh')}")
        if status is None:  # nothing was sent: as if it had not been tried
            bench.record("answer", case, "rolling_back", said, put=put, status=status)
            return "wait"
        going = msgspec.structs.replace(going, sure=q.severity(status) == "good" or surely_not(status))
        bench.record("answer", case, "rolling_back", said, put=going, status=status)
        return "went on"

    def _why_not(self, case: ChangeCase, put: Put) -> Text | None:
        """The checks of the way back; ours is what was written, what the device made of it, and what was before."""
        question = self._bench.question(case, put.tag, put.value)
        ours = [put.value, put.old, *([put.shows] if put.shows is not None else [])]
        now = question.current.value
        own = put.value if now is None else min(ours, key=lambda v: abs(v - now))
        return refused(ask_restore(question, put.old, own))

    def _lost(self, case: ChangeCase, put: Put, why: Text) -> _Outcome:
        old = quantity(put.old, put.unit, put.value)
        text = Text(f"{put.tag}: not back at {old}: {why.en}", f"{put.tag}：未恢复到 {old}：{why.in_('zh')}")
        self._bench.record("lost", case, "rolling_back", text, put=msgspec.structs.replace(put, state="lost"))
        return "went on"


def _sent(case: ChangeCase, tag: str) -> int:
    """When it was written (ns)."""
    return next(s.time for s in reversed(case.history) if s.kind == "send" and s.tag == tag)


def _given_up(case: ChangeCase) -> bool:
    """Whether a person called it off while it was being written back already."""
    back = next((i for i, s in enumerate(case.history) if s.kind == "back"), len(case.history))
    return any(s.kind == "cancel" for s in case.history[back:])
