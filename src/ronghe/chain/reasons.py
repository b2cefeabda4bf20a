"""What changed from one plan to the next, and along which links of the chain: material → operation → order → truck → customer."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from ronghe.apps.scheduling.problem import Assigned, Operation, Tick
from ronghe.chain.outcome import Figures, Outcome, Served
from ronghe.text import Text

_MOVED = 60 * 10**9  # ns: less than a minute is no change to people


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One link: what moved, by how many hours (later is positive), and why."""

    kind: str  # "order" | "delivery" | "stock" | "figure"
    name: str
    hours: float | None
    text: Text


def changes(before: Outcome, after: Outcome) -> list[Step]:
    """Every order, delivery and material that is otherwise than before, the largest change first within its kind; then the figures."""
    links = _Links(before, after)
    was = {s.order: s for s in before.orders}
    orders = [s for o in after.orders if (s := _order(was.get(o.order), o, links)) is not None]
    deliveries = [s for o in after.orders if o.order in was and (s := _delivery(was[o.order], o)) is not None]
    return [
        *sorted(orders, key=lambda s: -abs(s.hours or 0)),
        *sorted(deliveries, key=lambda s: -abs(s.hours or 0)),
        *_stock(before, after),
        *_figures(before.figures, after.figures),
    ]


def span(ns: float) -> tuple[str, str]:
    """A duration in words."""
    minutes = abs(ns) / 6e10
    if minutes < 90:
        return f"{minutes:.0f} min", f"{minutes:.0f} 分钟"
    return f"{minutes / 60:.1f} h", f"{minutes / 60:.1f} 小时"


def _later(ns: float) -> tuple[str, str]:
    en, zh = span(ns)
    return (f"{en} later", f"推迟 {zh}") if ns > 0 else (f"{en} earlier", f"提前 {zh}")


def _order(was: Served | None, now: Served, links: _Links) -> Step | None:
    if was is None:
        return Step(kind="order", name=now.order, hours=None, text=Text(f"{now.order} is new", f"{now.order} 为新增订单"))
    if was.ready is None or now.ready is None or abs(now.ready - was.ready) < _MOVED:
        return None
    delta = now.ready - was.ready
    en, zh = _later(delta)
    text = Text(f"{now.order} is ready {en}", f"{now.order} 完工{zh}")
    if delta > 0 and (why := links.why(now.order)) is not None:
        text = Text(f"{text.en}: {why.en}", f"{text.zh}：{why.in_('zh')}")
    if now.due is not None and now.ready > now.due >= was.ready:
        late = span(now.ready - now.due)
        text = Text(f"{text.en}; now {late[0]} late", f"{text.zh}；因此延期 {late[1]}")
    elif now.due is not None and was.ready > now.due >= now.ready:
        text = Text(f"{text.en}; now in time", f"{text.zh}；可按期完工")
    return Step(kind="order", name=now.order, hours=delta / 3.6e12, text=text)


def _delivery(was: Served, now: Served) -> Step | None:
    place = now.customer or was.customer
    if not place or (was.arrives is None and now.arrives is None):
        return None
    if now.arrives is None or was.arrives is None:
        lost = now.arrives is None
        why = f": {now.why.en}" if now.why else "", f"：{now.why.in_('zh')}" if now.why else ""
        en, zh = ("no longer reaches", "无法再送达") if lost else ("reaches", "可以送达")
        return Step(
            kind="delivery", name=now.order, hours=None, text=Text(f"{now.order} {en} {place}{why[0]}", f"{now.order} {zh} {place}{why[1]}")
        )
    delta = now.arrives - was.arrives
    if abs(delta) < _MOVED and now.vehicle == was.vehicle:
        return None
    en, zh = _later(delta) if abs(delta) >= _MOVED else ("at the same time", "时间不变")
    by = f", with {now.vehicle} instead of {was.vehicle}", f"，改由 {now.vehicle}（原 {was.vehicle}）"
    truck = by if now.vehicle != was.vehicle else ("", "")
    text = Text(f"{now.order} reaches {place} {en}{truck[0]}", f"{now.order} 送达 {place} {zh}{truck[1]}")
    if now.until is not None and now.arrives > now.until >= was.arrives:
        late = span(now.arrives - now.until)
        text = Text(f"{text.en}; {late[0]} after its window", f"{text.zh}；超出时间窗 {late[1]}")
    return Step(kind="delivery", name=now.order, hours=delta / 3.6e12, text=text)


def _stock(before: Outcome, after: Outcome) -> Iterator[Step]:
    was = {s.material: s for s in before.stock}
    for s in after.stock:
        old = was.get(s.material)
        if old is None or abs(old.lowest - s.lowest) < 1e-9:
            continue
        text = Text(
            f"{s.material}: lowest stock {old.lowest:g} → {s.lowest:g} {s.unit}".rstrip(),
            f"{s.material}：最低库存 {old.lowest:g} → {s.lowest:g} {s.unit}".rstrip(),
        )
        yield Step(kind="stock", name=s.material, hours=None, text=text)


_NAMES = {
    "cost": ("cost", "总成本"),
    "tardiness": ("cost of lateness", "延期成本"),
    "setup": ("cost of set-ups", "换型成本"),
    "holding": ("cost of stock", "库存持有成本"),
    "transport": ("cost of transport", "运输成本"),
    "energy_cost": ("cost of energy", "电费"),
    "in_time": ("orders in time", "按期订单"),
    "carbon": ("kg CO2e", "碳排放（kg CO2e）"),
    "distance": ("km driven", "行驶里程（km）"),
}


def _figures(before: Figures, after: Figures) -> Iterator[Step]:
    for key, (en, zh) in _NAMES.items():
        a, b = getattr(before, key), getattr(after, key)
        if a is not None and b is not None and abs(b - a) > 1e-6 * max(1.0, abs(a)):
            yield Step(
                kind="figure",
                name=key,
                hours=None,
                text=Text(f"{en}: {a:,.0f} → {b:,.0f} ({b - a:+,.0f})", f"{zh}：{a:,.0f} → {b:,.0f}（{b - a:+,.0f}）"),
            )


class _Links:
    """Why an order moved: its first operation that did, and what that one waited for."""

    def __init__(self, before: Outcome, after: Outcome) -> None:
        self._before = {a.operation: a for a in before.schedule.assigned}
        self._after = {a.operation: a for a in after.schedule.assigned}
        self._shop, self._old = after.shop, before.shop
        self._jobs = {j.name: j for j in after.shop.jobs}
        self._arrivals = {(a.material, a.source): a.at for a in before.shop.arrivals}
        on: dict[str, list[Assigned]] = {}
        for a in sorted(after.schedule.assigned, key=lambda a: (a.start, a.end)):
            on.setdefault(a.machine, []).append(a)
        self._on = on

    def why(self, order: str) -> Text | None:
        """The cause in words, None where it was only rearranged."""
        for operation in self._jobs[order].operations:
            now, was = self._after.get(operation.name), self._before.get(operation.name)
            if now is None or was is None or now.start - was.start < 60 / self._shop.tick:
                continue
            return self._material(operation, now) or self._stop(now, was) or self._behind(now, was)
        return None

    def _material(self, operation: Operation, now: Assigned) -> Text | None:
        for a in self._shop.arrivals:
            old = self._arrivals.get((a.material, a.source))
            if a.material in operation.uses and old is not None and a.at > old and old < now.start and self._short(a.material, a.at, now):
                by = f" ({a.source})" if a.source else "", f"（{a.source}）" if a.source else ""
                late = span((a.at - old) * self._shop.tick * 1e9)
                return Text(
                    f"its {operation.name.rpartition('/')[2]} waits for {a.material}{by[0]}, which comes {late[0]} later",
                    f"工序 {operation.name.rpartition('/')[2]} 等待 {a.material}{by[1]}，其到货推迟 {late[1]}",
                )
        return None

    def _short(self, material: str, at: Tick, now: Assigned) -> bool:
        """Whether there would be too little of a material at the operation's start without what comes at `at` or later."""
        there = sum(a.quantity for a in self._shop.arrivals if a.material == material and a.at < at)
        taken = sum(
            o.uses.get(material, 0.0)
            for j in self._shop.jobs
            for o in j.operations
            if o.name in self._after and self._after[o.name].start <= now.start
        )
        return taken > there

    def _stop(self, now: Assigned, was: Assigned) -> Text | None:
        known = {m.name: set(m.off) for m in self._old.machines}
        for machine in self._shop.machines:
            for off in machine.off:
                # Where it was to run, the machine stands now.
                if (
                    machine.name == was.machine
                    and off not in known.get(machine.name, set())
                    and off.start < was.end
                    and off.end > was.setup_start
                ):
                    why = f" ({off.why})" if off.why else "", f"（{off.why}）" if off.why else ""
                    return Text(f"{machine.name} stands{why[0]}", f"{machine.name} 停机{why[1]}")
        return None

    def _behind(self, now: Assigned, was: Assigned) -> Text | None:
        """What is now before it on its machine and was not."""
        before = [a for a in self._on[now.machine] if a.end <= now.setup_start]
        if not before or now.setup_start - before[-1].end > 60 / self._shop.tick:
            return None
        last = before[-1]
        old = self._before.get(last.operation)
        if old is None or old.machine != now.machine or old.end > was.setup_start or last.end > old.end:
            return Text(f"{now.machine} does {last.operation} first", f"{now.machine} 先加工 {last.operation}")
        return None
