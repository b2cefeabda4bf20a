"""What must hold of a change while it is in force: its interlocks, its values, and its proof."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from ronghe.errors import GuardError
from ronghe.guard.case import Check
from ronghe.guard.changecase import ChangeCase
from ronghe.guard.condition import Look, parse, quantity
from ronghe.guard.effect import Watcher
from ronghe.guard.followup import missed
from ronghe.plant.model import Plant
from ronghe.text import Text

if TYPE_CHECKING:
    from ronghe.guard.changes import Bench


class Proving:
    """Looks at changes in "writing" and "proving". What is unknown is borne for as long as a device has to show a value."""

    def __init__(self, bench: Bench, recovered: frozenset[str]) -> None:
        self._bench, self._recovered = bench, recovered
        self._watchers: dict[str, Watcher] = {}
        self._unknown: dict[tuple[str, str], int] = {}  # by change and what is unknown: since when (ns)

    def forget(self, change_id: str) -> None:
        """It has ended."""
        self._watchers.pop(change_id, None)
        for key in [k for k in self._unknown if k[0] == change_id]:
            del self._unknown[key]

    def broken(self, case: ChangeCase) -> Text | None:
        """The interlock of a set-point that was written does not hold, or has not been known for too long."""
        for put in case.puts:
            limits = self._bench.limits.get(put.tag)
            if put.state not in ("sending", "written") or limits is None or limits.interlock is None:
                continue
            verdict = limits.interlock.evaluate(self._bench.view.look(limits.fresh))
            why = Text(f"{put.tag}: {verdict.text.en}", f"{put.tag}：{verdict.text.in_('zh')}")
            if verdict.truth is False or self._too_long(case, f"interlock {put.tag}", put.tag, verdict.truth is None):
                return why
        return None

    def in_force(self, case: ChangeCase) -> Text | bool:
        """True when every set-point shows its value, False while one is not known, or why not."""
        whole = True
        for put in case.puts:
            seen = self._bench.view.look(self._bench.patience.fresh(put.tag))(put.tag)
            if seen.value is None:
                whole = False
                if self._too_long(case, put.tag, put.tag, True):
                    return Text(f"{put.tag} is not known any more: {seen.why.en}", f"{put.tag} 失去数值：{seen.why.in_('zh')}")
                continue
            self._too_long(case, put.tag, put.tag, False)
            if not self._bench.patience.same(put.tag, seen.value, put.value):
                now, was = quantity(seen.value, put.unit, put.value), quantity(put.value, put.unit, seen.value)
                return Text(
                    f"{put.tag}: {now} is in force, not {was}: somebody changed it", f"{put.tag}：当前为 {now}，不是 {was}：已被他人改动"
                )
        return whole

    def look(self, case: ChangeCase, look: Look) -> Text | None:
        """Looks for the proof; says which part of it stayed away for too long."""
        watcher = self._watchers.get(case.id)
        if watcher is None:
            watcher = self._watchers[case.id] = Watcher(case.watched, self._bench.plant)
        watcher.look(look, {t: self._bench.view.known(t) for t in watcher.tags})
        grace = self._bench.patience.grace if case.id in self._recovered else 0
        now = self._bench.clock()
        late = [missed(w, look, self._bench.plant) for w in watcher.missing() if now > max(w.until, grace)]
        if not late:
            return None
        en, zh = "; ".join(t.en for t in late), "；".join(t.in_("zh") for t in late)
        return Text(f"not proven: {en}", f"未通过验证：{zh}")

    def awaited(self, case: ChangeCase, look: Look) -> tuple[Check, ...]:
        """How each of the proofs stands: whether it was seen, or what is there instead."""
        missing = {w.condition for w in self._watchers[case.id].missing()}
        checks = [judged(p, self._bench.plant, look) for p in case.change.proof]
        return tuple(msgspec.structs.replace(c, ok=c.name not in missing) for c in checks)

    def proven(self, case: ChangeCase) -> bool:
        """Whether everything that was watched for was seen."""
        return self._watchers[case.id].all_seen()

    def _too_long(self, case: ChangeCase, what: str, tag: str, unknown: bool) -> bool:
        key = case.id, what
        if not unknown:
            self._unknown.pop(key, None)
            return False
        now = self._bench.clock()
        since = self._unknown.setdefault(key, now)
        grace = self._bench.patience.grace if case.id in self._recovered else 0
        return now >= max(since + self._bench.patience.of(tag), grace)


def judged(text: str, plant: Plant, look: Look) -> Check:
    """How a condition stands. One that cannot be read any more, since the plant folder was changed, is not true."""
    try:
        verdict = parse(text, plant).evaluate(look)
    except GuardError as e:
        return Check(name=text, ok=False, text=Text(e.in_("en"), e.in_("zh")))
    return Check(name=text, ok=verdict.truth is True, text=verdict.text)
