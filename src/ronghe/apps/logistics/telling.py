"""What dispatching tells people: orders that will be late, orders that nobody brings, shifts that run over, and that there is no plan."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ronghe.apps.contract import Finding, Priority
from ronghe.apps.logistics.board import Shown
from ronghe.apps.logistics.schedule import Facts, late_by
from ronghe.apps.standing import Standing
from ronghe.text import Text

_MOST: Final = 50  # conditions told of one kind: more are one
_LONG: Final = 30.0  # min; later than this is urgent

_CALL: Final = Text("tell the customer, or see what another vehicle can take over", "通知客户，或查看能否由其他车辆接手")


class Telling:
    """Findings told once when they begin, again when they are worse, and ended."""

    def __init__(self, app: str, equipment: str, path: Path) -> None:
        self._app, self._equipment = app, equipment
        self._said: dict[str, tuple[Priority, Text]] = {}
        self._standing = Standing(path)
        self._seen: tuple[int, Text | None] | None = None

    def findings(self, shown: Shown, failed: Text | None, now: int) -> list[Finding]:
        """What is new at `now` (ns)."""
        if (shown.version, failed) == self._seen:
            return []
        self._seen = (shown.version, failed)
        so = self._so(shown, failed) if shown.planned or failed is not None else {}
        new = {key: said for key, said in so.items() if self._said.get(key) != said}
        out = [self._finding(key, now, priority, text, active=True) for key, (priority, text) in new.items()]
        if shown.planned:
            over = (self._said.keys() | self._standing.inherited) - so.keys()
            out += [self._finding(key, now, "low", Text("no longer so", "已解除"), active=False) for key in sorted(over)]
            self._said = so
        if out:
            self._standing.note(out)
        return out

    def _finding(self, key: str, now: int, priority: Priority, text: Text, *, active: bool) -> Finding:
        return Finding(
            key=key,
            app=self._app,
            equipment=self._equipment,
            time=now,
            active=active,
            priority=priority,
            text=text,
            action=_CALL if active else Text(""),
            score=1.0 if active else 0.0,
        )

    def _so(self, shown: Shown, failed: Text | None) -> dict[str, tuple[Priority, Text]]:
        """Key → priority and text of everything that is so."""
        d = shown.day
        root = f"{self._equipment}/{self._app}"
        out: dict[str, tuple[Priority, Text]] = {}
        if failed is not None:
            out[f"{root}/no_plan"] = ("high", Text(f"routes are not planned: {failed.en}", f"无法规划路线：{failed.in_('zh')}"))
        facts = Facts(d.problem)
        late = sorted(late_by(d.plan, facts).items(), key=lambda x: -x[1])
        for order, ticks in late[:_MOST]:
            minutes = -(-ticks * d.problem.tick // 60)
            priority: Priority = "high" if minutes > _LONG else "medium"
            out[f"{root}/late/{order}"] = (priority, Text(f"{order} will be {minutes:.0f} min late", f"{order} 将晚点 {minutes:.0f} 分钟"))
        left = [u for u in d.plan.unserved if facts.orders[u.order].prize is None]
        for u in left[:_MOST]:
            text = Text(f"{u.order} is not served: {u.why.en}", f"{u.order} 无法配送：{u.why.in_('zh')}")
            out[f"{root}/unserved/{u.order}"] = ("high", text)
        for r in d.plan.routes:
            over = r.stops[-1].depart - facts.vehicles[r.vehicle].latest
            if over > 0:
                minutes = -(-over * d.problem.tick // 60)
                text = Text(f"{r.vehicle} is back {minutes:.0f} min after its shift", f"{r.vehicle} 将超班次 {minutes:.0f} 分钟返回")
                out[f"{root}/shift/{r.vehicle}"] = ("medium", text)
        return out
