"""What people see of energy.optimise, as plain data for JSON."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from ronghe.apps.energy.forecast.ensemble import Floats, ensemble, ready
from ronghe.apps.energy.memory import PER_DAY
from ronghe.apps.energy.tariff import QUARTER
from ronghe.text import Text

if TYPE_CHECKING:
    from ronghe.apps.energy.app import Optimise
    from ronghe.apps.energy.pilot import Order

METHOD: Final = Text(
    "against the time-of-use rule, computed on the same measured load with a battery as described; 95 %: class of the meter, and the "
    "battery's efficiency known to 2 points",
    "与分时规则比较：规则在同一实测负荷上、以所述储能参数计算；95 % 区间来自电表准确度等级及储能效率 ±2 个百分点的不确定度",
)
ACTIONS: Final = {
    "tariff": Text("put a valid tariff into the plant folder", "请在工厂文件夹中放入有效的电价文件"),
    "meter": Text("see why the meter gives no good value", "请检查关口表通信与数据质量"),
    "soc": Text("see why the state of charge is missing", "请检查储能荷电状态数据"),
    "level": Text("see why the level is missing", "请检查料位数据"),
    "solver": Text("the rule goes on; tell whoever looks after the node if it stays", "规则继续运行；若持续出现，请通知节点维护人员"),
}


def _ms(t: int) -> int:
    return t // 1_000_000


def _number(x: float, digits: int = 3) -> float | None:
    return round(float(x), digits) if math.isfinite(x) else None


def _text(t: Text) -> dict[str, str]:
    return {"en": t.en, "zh": t.in_("zh")}


def reason(app: Optimise, order: Order, kw: float, t: int) -> Text:
    """Why a set-point is what it is."""
    does = Text("charge", "充电") if kw > 0.5 else Text("discharge", "放电") if kw < -0.5 else Text("stand still", "静止")
    spans = app.tariff.spans(t, t + QUARTER) if app.tariff is not None else ()
    price = spans[0] if spans and spans[0].price is not None else None
    said = Text(f"; price {price.price:g} ({price.name.en})", f"；电价 {price.price:g}（{price.name.in_('zh')}）") if price else Text("")
    cap = Text(f"; import at most {order.cap:.0f} kW", f"；进线不超过 {order.cap:.0f} kW") if order.cap < 1e6 else Text("")
    by = Text("plan", "优化计划") if order.decision else Text("safe rule", "安全规则")
    return Text(f"{by.en}: {does.en}{said.en}{cap.en}", f"{by.zh}：{does.zh}{said.zh}{cap.zh}")


def now(app: Optimise) -> dict[str, Any]:
    """How things are."""
    o, order, tariff, month = app.options, app.order, app.tariff, app.memory.kept.month
    nodes = [_node(app, "grid", Text("Grid", "电网"), "grid", o.grid)]
    if o.pv:
        nodes.append(_node(app, "pv", Text("PV", "光伏"), "pv", o.pv))
    for s in o.storage:
        node = _node(app, s.name, Text(s.name, s.name), "storage", s.measured or s.set)
        nodes.append({**node, "soc": _number(app.value(s.soc)), "capacity_kwh": s.capacity})
    for f in (*o.flexible, *o.buffers):
        set_to = app.order.machine + app.order.buffer if app.order else []
        i = [x.name for x in (*o.flexible, *o.buffers)].index(f.name)
        nodes.append({**_blank(f.name, Text(f.name, f.name), "flexible"), "kw": _number(set_to[i]) if i < len(set_to) else None})
    load = app.value(o.grid) + app.value(o.pv) - sum(app.value(s.measured or s.set) for s in o.storage)
    grid = nodes[0]
    nodes.append({**_blank("load", Text("Load", "负荷"), "load"), "kw": _number(load), "age_s": grid["age_s"], "good": math.isfinite(load)})
    start = tariff.midnight(app.time) if tariff is not None and app.time else 0
    spans = tariff.spans(start, start + 2 * PER_DAY * QUARTER) if tariff is not None and start else ()
    present = next((s for s in spans if s.start <= app.time < s.end), None)
    later = next((s for s in spans if s.start > app.time and present is not None and s.price != present.price), None)
    version = tariff.version(app.time) if tariff is not None and app.time else None
    return {
        "now": _ms(app.time),
        "currency": tariff.currency if tariff is not None else "CNY",
        "by": "none" if order is None else "optimiser" if order.decision else "rule",
        "why": _text(order.why) if order is not None and order.why is not None else None,
        "step_ms": _number(order.step_ms) if order is not None else None,
        "nodes": nodes,
        "price": present.price if present is not None else None,
        "next": {"at": _ms(later.start), "price": later.price} if later is not None else None,
        "tariff": {
            "version": str(version.start) if version is not None else None,
            "periods": [{"from": _ms(s.start), "to": _ms(s.end), "price": s.price, "name": _text(s.name)} for s in spans],
        },
        "month": {
            "peak_kw": _number(month.peak) if month.peak_at else None,
            "peak_at": _ms(month.peak_at) if month.peak_at else None,
            "energy_cost": _number(month.energy, 2),
            "demand_cost": _number(month.peak * month.rate, 2),
            "carbon_kg": _number(month.kg, 1) if o.carbon else None,
        },
    }


def _blank(name: str, title: Text, kind: str) -> dict[str, Any]:
    return {"name": name, "title": _text(title), "kind": kind, "kw": None, "soc": None, "capacity_kwh": None, "age_s": None, "good": True}


def _node(app: Optimise, name: str, title: Text, kind: str, tag: str) -> dict[str, Any]:
    value, age = app.value(tag), app.ages.get(app.tags[tag], math.inf)
    return {**_blank(name, title, kind), "kw": _number(value), "age_s": _number(age), "good": math.isfinite(value)}


def plan(app: Optimise) -> dict[str, Any]:
    """24 h ahead and 24 h back."""
    start = app.decided - app.decided % QUARTER
    times = start + QUARTER * np.arange(PER_DAY)
    order, seen = app.order, app.seen
    answer: dict[str, Any] = {
        "now": _ms(app.time),
        "step_s": 900,
        "times": [_ms(int(t)) for t in times] if order is not None else [],
        "price": [_number(p, 6) for p in seen.price[:PER_DAY]] if seen is not None else [],
        "carbon": [app.options.carbon] * PER_DAY if app.options.carbon else None,
        "load": _fan(app, start, "load"),
        "pv": _fan(app, start, "pv") if app.options.pv else None,
        "grid": [],
        "storage": [],
        "actual": _actual(app, start),
    }
    if order is not None and order.decision is not None:
        d = order.decision
        step = np.repeat(np.arange(len(d.hours)), np.round(d.hours * 4).astype(int))[:PER_DAY]
        answer["grid"] = [_number(x) for x in (d.plan.buy - d.plan.feed)[step]]
        answer["storage"] = [
            {
                "name": s.name,
                "title": _text(Text(s.name, s.name)),
                "kw": [_number(x) for x in kw[step]],
                "soc": [_number(x / s.capacity, 4) for x in stored[step]],
            }
            for s, kw, stored in zip(app.options.storage, d.plan.battery, d.plan.stored, strict=True)
        ]
    return answer


def _fan(app: Optimise, start: int, what: str) -> dict[str, list[float | None]]:
    known = app.memory.series(start, what)
    if not ready(len(known), PER_DAY) or app.tariff is None:
        return {"mean": [], "low": [], "high": []}
    paths = ensemble(known, PER_DAY, PER_DAY, app.tariff.weekday(start))

    def rounded(x: Floats) -> list[float | None]:
        return [_number(v) for v in x]

    return {"mean": rounded(paths.mean), "low": rounded(paths.quantile(0.05)), "high": rounded(paths.quantile(0.95))}


def _actual(app: Optimise, end: int) -> dict[str, Any]:
    quarters = app.memory.of_day(end - PER_DAY * QUARTER, end)
    return {
        "times": [_ms(q.start) for q in quarters],
        "grid": [_number(q.grid) for q in quarters],
        "load": [_number(q.load) for q in quarters],
        "pv": [_number(q.pv) for q in quarters],
        "planned_grid": [_number(q.planned) for q in quarters],
        "storage": [{"name": s.name, "kw": [_number(q.battery[i]) for q in quarters]} for i, s in enumerate(app.options.storage)],
    }


def worth(app: Optimise) -> dict[str, Any]:
    """What finished days saved. Both sources of error last from day to day, so that the interval of the sum is the sum of the intervals."""
    days = app.memory.kept.days
    return {
        "currency": app.tariff.currency if app.tariff is not None else "CNY",
        "days": [
            {
                "time": _ms(d.start),
                "money": round(d.money[0], 2),
                "low": round(d.money[1], 2),
                "high": round(d.money[2], 2),
                "kwh": round(d.kwh, 2),
                "kg": round(d.kg, 2),
                "by": d.by,
            }
            for d in days
        ],
        "total": {
            "money": round(sum(d.money[0] for d in days), 2),
            "low": round(sum(d.money[1] for d in days), 2),
            "high": round(sum(d.money[2] for d in days), 2),
            "kwh": round(sum(d.kwh for d in days), 2),
            "kg": round(sum(d.kg for d in days), 2),
            "days": len(days),
        },
        "method": _text(METHOD),
    }
