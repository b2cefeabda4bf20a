"""inventory.stock: how long stock lasts, what to order and why, and whether the service promised is kept.

What may be asked of it (times: ms since 1970 UTC; texts {"en", "zh"}; a number without a value is null):

    items    GET   → [{"name", "title", "unit", "on_hand", "on_order", "reorder_at", "order_up_to", "order", "days_of_cover",
                       "service_target", "service_simulated", "state", "text", "drift", "old", "pattern"}]
    item     GET   {"name"} → the same, and {"period" (s), "history": [{"time", "demand"}], "forecast": [{"time", "mean", "low", "high"}],
                       "method", "interval", "backtest": [{"method", "wape", "mase", "rmsse", "bias", "coverage", "width"}],
                       "projection": [{"time", "on_hand", "low", "high", "in", "out"}], "curve": [{"service", "cost", "stock"}], "policy"}
    orders   GET   → [{"item", "quantity", "unit", "text"}], most urgent first
    status   GET   → {"planned", "of", "trouble" (text or null), "warnings"}
    reload   POST  reads the files anew; as an operator

state = "ok" | "order" | "short" | "excess" | "unknown" (too little demand, or still being planned)
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Final

from ronghe.apps.advising import resolve
from ronghe.apps.contract import App, Finding, Page, Priority, Question, Result, Right, Wants
from ronghe.apps.inventory import present
from ronghe.apps.inventory.formats.items import Item
from ronghe.apps.inventory.plan import Planned, restand
from ronghe.apps.inventory.planner import Planner
from ronghe.apps.inventory.settings import Options
from ronghe.apps.inventory.wording import ACTIONS, planning
from ronghe.apps.standing import Standing
from ronghe.errors import AppError
from ronghe.guard.advice import Evidence
from ronghe.plant import Plant
from ronghe.signals import Window
from ronghe.signals.when import parse_duration
from ronghe.text import Text

_FIRST: Final = 10.0  # s that the first row waits for a new plan; a longer one goes on in its thread
_ASKED: Final = 0.5  # s that a question waits
_PRIORITY: Final[dict[str, Priority]] = {"short": "high", "order": "medium", "excess": "low", "drift": "low", "old": "low"}


class Stock(App):
    """One store. Signals: `short`, `to_order` (how many items), and `ITEM_days_of_cover`."""

    uses: ClassVar[str] = "inventory.stock"
    Options: ClassVar[type[Options]] = Options
    pages: ClassVar[tuple[Page, ...]] = (Page(slug="stock", title=Text("Stock", "库存"), view="stock"),)
    verbs: ClassVar[Mapping[str, Right]] = {"items": "read", "item": "read", "orders": "read", "status": "read", "reload": "operate"}

    def __init__(
        self, name: str, plant: Plant, equipment: str, options: Any, state: Path, *, clock: Callable[[], int] = time.time_ns
    ) -> None:
        super().__init__(name, plant, equipment, options if options is not None else Options(), state)
        o: Options = self.options
        self._clock = clock
        self._every = parse_duration(o.every)
        if self._every <= 0:
            raise AppError(Text("every must be longer than nothing", "every 必须大于零"), where=f"apps.{name}.every")
        period, rest = divmod(parse_duration(o.period), 3600 * 10**9)
        if rest or not period:
            raise AppError(Text("period must be whole hours", "period 必须为整小时"), where=f"apps.{name}.period")
        self._planner = Planner(Path(plant.folder) / o.folder, 3600 * period)
        known = {i.item for i in self._planner.book.items}
        for item in o.stock:
            if item not in known:
                what = Text(f"{item!r} is not among the items", f"{item!r} 不在物料清单中")
                raise AppError(what, where=f"apps.{name}.stock")
        self._tag = {item: resolve(plant, equipment, tag, f"apps.{name}.stock") for item, tag in o.stock.items()}
        self._tags = tuple(dict.fromkeys(self._tag.values()))
        self._patience = _FIRST
        self._level: dict[str, float] = {}  # tag → last good value
        self._seen: dict[str, tuple[str, int]] = {}  # item → state, and for how many looks
        self._told: dict[str, Text] = {}  # key of a standing finding → what was said
        self._said = Standing(state / "standing.json")

    # --- contract ---------------------------------------------------------------------------------------------------------------

    def wants(self) -> Wants:
        """The stock levels; without any, rows come from the clock alone."""
        slowest = max((self.plant.tags[t].every for t in self._tags), default=0.0)
        return Wants(tags=self._tags, every=self._every / 1e9, max_age=3 * max(slowest, self._every / 1e9))

    def step(self, window: Window) -> Result:
        """Each row is a look at levels and files."""
        findings: list[Finding] = []
        signals: dict[str, float] = {}
        for i in range(len(window)):
            at = int(window.time[i])
            for tag, value in zip(window.tags, window.value[i], strict=True):
                if math.isfinite(value):
                    self._level[tag] = max(0.0, float(value))
            if self._planner.look():
                self._patience = _FIRST
            self._planner.start(at // 10**9, self._patience)
            self._patience = 0.0  # questions wait behind this
            signals = self._look(at, findings)
        if findings:
            self._said.note(findings)
        return Result(findings=tuple(findings), signals=signals)

    def ask(self, question: Question) -> object:
        """Answers for its page."""
        now = self._clock() // 10**9
        if question.verb == "reload":
            self._planner.look()
        self._planner.start(now, _ASKED)
        match question.verb:
            case "items":
                return [self._row(i) for i in self._planner.book.items]
            case "item":
                return present.detail(self._one(str(question.body.get("name", ""))), self._planner.book, now)
            case "orders":
                return present.orders([p for i in self._planner.book.items if (p := self._now(i.item)) is not None])
            case "status" | "reload":
                trouble = self._planner.trouble
                said = None if trouble is None else Text(trouble.in_("en"), trouble.in_("zh"))
                done, of = len(self._planner.planned), len(self._planner.book.items)
                return {"planned": done, "of": of, "trouble": said, "warnings": self._planner.book.warnings}
        return super().ask(question)

    def signal(self, name: str) -> Text:
        """What people call one of its signals."""
        if name in ("short", "to_order"):
            return {"short": Text("items short", "缺料物料数"), "to_order": Text("items to order", "待订购物料数")}[name]
        title = next((i.name or i.item for i in self._planner.book.items if _signal(i) == name), name)
        return Text(f"{title}: days of cover", f"{title}：可用天数")

    def close(self) -> None:
        """Stops planning."""
        self._planner.close()

    # --- items ------------------------------------------------------------------------------------------------------------------

    def _now(self, item: str) -> Planned | None:
        """The plan of an item with its stock as measured; None while it is being planned."""
        planned = self._planner.planned.get(item)
        level = self._level.get(self._tag.get(item, ""))
        if planned is None or level is None or level == planned.facts.on_hand:
            return planned
        return restand(planned, self._planner.book, level)

    def _row(self, item: Item) -> dict[str, Any]:
        return present.row(self._now(item.item) or self._waiting(item))

    def _waiting(self, item: Item) -> Planned:
        return Planned(item=item.item, facts=item, state="unknown", text=planning(), position=item.on_hand + item.on_order)

    def _one(self, name: str) -> Planned:
        item = next((i for i in self._planner.book.items if i.item == name), None)
        if item is None:
            raise AppError(Text(f"{name!r} is not among the items", f"{name!r} 不在物料清单中"))
        return self._now(name) or self._waiting(item)

    # --- findings ---------------------------------------------------------------------------------------------------------------

    def _look(self, at: int, findings: list[Finding]) -> dict[str, float]:
        """What has changed since the last look; the signals."""
        current = [p for i in self._planner.book.items if (p := self._now(i.item)) is not None]
        signals = {"short": float(sum(p.state == "short" for p in current)), "to_order": float(sum(p.order > 0 for p in current))}
        gone = self._seen.keys() - {i.item for i in self._planner.book.items}
        for item in sorted(gone):
            del self._seen[item]
            findings.extend(self._over(key, at) for kind in _PRIORITY if (key := self._key(item, kind)) in self._told)
        for p in current:
            state, looks = self._seen.get(p.item, ("", 0))
            self._seen[p.item] = p.state, min(looks + 1, self.options.hold) if p.state == state else 1
            if p.days_of_cover is not None:
                signals[_signal(p.facts)] = p.days_of_cover
            if self._seen[p.item][1] >= self.options.hold:
                self._tell(p, at, findings)
        if self._planner.done and all(n >= self.options.hold for _, n in self._seen.values()):
            over = sorted(self._said.inherited - self._told.keys())  # said in an earlier life
            self._said.inherited.clear()
            findings.extend(self._over(key, at) for key in over)
        return signals

    def _tell(self, p: Planned, at: int, findings: list[Finding]) -> None:
        """Begins and ends the findings of one item."""
        holds = {"drift": p.drift, "old": p.old} | ({p.state: p.text} if p.state in ("short", "order", "excess") else {})
        for kind, priority in _PRIORITY.items():
            key = self._key(p.item, kind)
            text = holds.get(kind)
            if text is None:
                if key in self._told:
                    findings.append(self._over(key, at))
            elif key not in self._told:
                self._told[key] = text
                named = Text(f"{p.facts.name or p.item}: {text.en}", f"{p.facts.name or p.item}：{text.zh}")
                findings.append(
                    Finding(
                        key=key,
                        app=self.name,
                        equipment=self.equipment,
                        time=at,
                        active=True,
                        priority=priority,
                        text=named,
                        action=ACTIONS[kind],
                        score=_score(p, kind),
                        evidence=self._evidence(p),
                    )
                )

    def _key(self, item: str, kind: str) -> str:
        return f"{self.equipment or self.name}/{item}/{kind}"

    def _evidence(self, p: Planned) -> tuple[Evidence, ...]:
        if p.reorder_at is None:
            return ()
        tag = self._tag.get(p.item, f"apps/{self.name}/{_signal(p.facts)}")
        return (Evidence(tag=tag, value=p.position, expected=p.reorder_at, unit=p.facts.unit),)

    def _over(self, key: str, at: int) -> Finding:
        self._told.pop(key, None)
        kind = key.rpartition("/")[2]
        text = Text("no longer so", "已恢复正常")
        return Finding(
            key=key, app=self.name, equipment=self.equipment, time=at, active=False, priority=_PRIORITY.get(kind, "low"), text=text
        )


def _signal(item: Item) -> str:
    return re.sub(r"[^\w-]", "_", item.item) + "_days_of_cover"


def _score(p: Planned, kind: str) -> float:
    """How far beyond its limit; 1 is the limit."""
    if kind == "drift":
        return abs(p.drift_score)
    if kind in ("short", "order") and p.reorder_at:
        return max(1.0, p.reorder_at / max(p.position, 0.1 * p.reorder_at))
    return max(1.0, p.position / p.order_up_to) if p.order_up_to else 1.0
