"""What is told of a schedule: no plan, a plan that does not hold, late orders, machines that stand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ronghe.apps.contract import Finding, Priority
from ronghe.apps.scheduling import present
from ronghe.apps.scheduling.live.board import State
from ronghe.apps.standing import Standing
from ronghe.text import Text

_MOST = 5  # orders named in one sentence


class Telling:
    """Turns states into findings: each condition is told when it begins, when its words change, and when it ends."""

    def __init__(self, app: str, equipment: str, path: Path, title: Callable[[str], Text]) -> None:
        self._app, self._equipment, self._title = app, equipment, title
        self._kept = Standing(path)
        self._told: dict[str, tuple[Priority, Text]] = {}

    def findings(self, state: State, failed: Text | None, now: int) -> list[Finding]:
        """What changed since it was last asked."""
        stands = dict(self._conditions(state, failed))
        found = [
            self._finding(key, now, priority, text, action)
            for key, (priority, text, action) in stands.items()
            if self._told.get(key) != (priority, text)
        ]
        over = Text("no longer so", "已解除")
        before = dict.fromkeys([*self._told, *self._inherited()])
        found += [self._finding(key, now, "low", over, Text(""), active=False) for key in before if key not in stands]
        self._told = {k: (p, t) for k, (p, t, _) in stands.items()}
        if found:
            self._kept.note(found)
        return found

    def _inherited(self) -> list[str]:
        prefix = self._key("")
        return [k.removeprefix(prefix) for k in sorted(self._kept.inherited) if k.startswith(prefix)]

    def _key(self, condition: str) -> str:
        return f"{self._equipment}/{self._app}/{condition}".lstrip("/")

    def _conditions(self, state: State, failed: Text | None) -> list[tuple[str, tuple[Priority, Text, Text]]]:
        found: list[tuple[str, tuple[Priority, Text, Text]]] = []
        if state.plan is None and failed is not None:
            action = Text("change what cannot be done together", "请修改相互矛盾的条件")
            found.append(("no_plan", ("high", Text(f"there is no plan: {failed.en}", f"无法排程：{failed.in_('zh')}"), action)))
        if state.wrong:
            first = state.wrong[0]
            text = Text(f"the plan does not hold: {first.en}", f"当前排程不成立：{first.in_('zh')}")
            found.append(("plan_invalid", ("high", text, Text("do not work by it; see the schedule", "请勿按此执行，参见生产排程"))))
        if late := present.lateness(state.problem, state.plan) if state.checked else {}:
            found.append(("orders_late", ("medium", self._late(state, late), Text("see why in the schedule", "原因见生产排程"))))
        for machine in state.standing:
            title = self._title(machine)
            text = Text(f"{title.en} stands; the schedule goes on without it", f"{title.in_('zh')}停机，排程已绕开该机器")
            found.append((f"standing/{machine}", ("high", text, Text("repair it", "请尽快修复"))))
        return found

    def _late(self, state: State, late: dict[str, int]) -> Text:
        t = present.Times(state.problem)
        worst = sorted(late.items(), key=lambda x: -x[1])
        en = ", ".join(f"{name} by {_span(t.minutes(d))[0]}" for name, d in worst[:_MOST])
        zh = "、".join(f"{name} 延期 {_span(t.minutes(d))[1]}" for name, d in worst[:_MOST])
        more = (", …", "等") if len(worst) > _MOST else ("", "")
        return Text(f"{len(late)} order(s) will be late: {en}{more[0]}", f"{len(late)} 个订单将延期：{zh}{more[1]}")

    def _finding(self, key: str, now: int, priority: Priority, text: Text, action: Text, *, active: bool = True) -> Finding:
        return Finding(
            key=self._key(key),
            app=self._app,
            equipment=self._equipment,
            time=now,
            active=active,
            priority=priority,
            text=text,
            action=action,
        )


def _span(minutes: float) -> tuple[str, str]:
    if minutes < 90:
        return f"{minutes:.0f} min", f"{minutes:.0f} 分钟"
    return f"{minutes / 60:.1f} h", f"{minutes / 60:.1f} 小时"
