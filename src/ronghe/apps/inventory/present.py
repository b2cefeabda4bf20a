"""What the console and the commands are shown of a plan. Times in JSON are ms since 1970 UTC."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np

from ronghe.apps.inventory.choose import reach
from ronghe.apps.inventory.formats.items import DAY, Book
from ronghe.apps.inventory.plan import Planned, costs_of, draws_of, lead_periods, possible
from ronghe.apps.inventory.simulate import Policy, simulate
from ronghe.apps.inventory.wording import amount
from ronghe.text import Text

_SHOWN = 180  # periods of history
_PATHS = 400  # that a projection's band is made of
_CURVE = (0.80, 0.85, 0.90, 0.95, 0.97, 0.98, 0.99, 0.995)
_DRAWN = 20_000  # periods for each point of the curve
_YEAR = 365.25 * DAY


def row(p: Planned) -> dict[str, Any]:
    """One line of the list of items."""
    i = p.facts
    return {
        "name": i.item,
        "title": Text(i.name or i.item, i.name or i.item),
        "unit": i.unit,
        "on_hand": i.on_hand,
        "on_order": i.on_order,
        "reorder_at": p.reorder_at,
        "order_up_to": p.order_up_to,
        "order": p.order,
        "days_of_cover": p.days_of_cover,
        "service_target": i.service,
        "service_simulated": p.service.mean if p.service else None,
        "state": p.state,
        "text": p.text,
        "drift": p.drift,
        "old": p.old,
        "pattern": p.tested.pattern.kind if p.tested else None,
    }


def detail(p: Planned, book: Book, now: int) -> dict[str, Any]:
    """Everything about one item; `now` in s."""
    y = book.demand[p.item]
    start = book.end - len(y) * book.period
    shown = range(max(0, len(y) - _SHOWN), len(y))
    out: dict[str, Any] = row(p) | {
        "period": book.period,
        "history": [{"time": 1000 * (start + t * book.period), "demand": float(y[t])} for t in shown],
        "forecast": [],
        "method": None,
        "backtest": [],
        "projection": [],
        "curve": [],
        "policy": None,
    }
    if p.tested is None or p.policy is None or p.expected is None:
        return out
    expected = p.expected
    times = [1000 * (book.end + k * book.period) for k in range(len(expected.mean))]
    out["forecast"] = [
        {"time": t, "mean": float(m), "low": float(lo), "high": float(hi)}
        for t, m, lo, hi in zip(times, expected.mean, expected.low, expected.high, strict=True)
    ]
    out["method"] = p.tested.chosen
    out["interval"] = p.tested.level
    out["backtest"] = [msgspec.to_builtins(s) for s in p.tested.scores]
    out["projection"] = projection(p, book, now)
    out["curve"] = curve(p, book)
    out["policy"] = _policy(p)
    return out


def _policy(p: Planned) -> dict[str, Any]:
    i, outcome = p.facts, p.outcome
    assert outcome is not None
    assert p.reorder_at is not None
    assert p.order_up_to is not None
    point, level = amount(p.reorder_at, i), amount(p.order_up_to, i)
    return {
        "kind": "s_S",
        "reorder_at": p.reorder_at,
        "order_up_to": p.order_up_to,
        "lot": i.lot,
        "moq": i.moq,
        "fill": outcome.fill,
        "cycle": outcome.cycle,
        "ready": outcome.ready,
        "stock": outcome.stock.mean,
        "cost": p.cost,
        "text": Text(
            f"at or below {point} order up to {level}; simulated: {100 * outcome.fill.mean:.1f} % of demand from stock at once, "
            f"{100 * outcome.cycle.mean:.1f} % of replenishments without a shortage, mean stock {amount(outcome.stock.mean, i)}",
            f"库存降至 {point} 及以下时补至 {level}；仿真结果：满足率 {100 * outcome.fill.mean:.1f} %，"
            f"周期服务水平 {100 * outcome.cycle.mean:.1f} %，平均库存 {amount(outcome.stock.mean, i)}",
        ),
    }


def projection(p: Planned, book: Book, now: int, *, seed: int = 0) -> list[dict[str, Any]]:
    """Stock at the end of each period from `now` on, with what is on order and the order of today: the mean of many paths and where 90 %
    of them lie. What is on order without a date is taken to come when an order of today would."""
    assert p.tested is not None
    assert p.rate is not None
    assert p.expected is not None
    expected = p.expected
    n = len(expected.mean)
    lead, _ = lead_periods(p.facts, book)
    comes = min(n, math.ceil(lead))
    incoming = np.zeros(n + 1)
    incoming[comes] += p.order
    due = comes if p.facts.due is None else min(n, max(0, (p.facts.due - now) // book.period))
    incoming[due] += p.facts.on_order
    rng = np.random.default_rng([seed, *p.item.encode()])
    drawn = possible(book.demand[p.item], p.tested, p.rate, n * _PATHS, rng).reshape(_PATHS, n)
    drawn = np.maximum(drawn + (expected.mean - p.rate)[None, :], 0.0)
    stock = p.facts.on_hand + np.cumsum(incoming[None, :n] - drawn, axis=1)
    low, high = np.quantile(stock, (0.05, 0.95), axis=0)
    mean = stock.mean(axis=0)
    return [
        {
            "time": 1000 * (now + (k + 1) * book.period),
            "on_hand": float(mean[k]),
            "low": float(low[k]),
            "high": float(high[k]),
            "in": float(incoming[k]),
            "out": float(expected.mean[k]),
        }
        for k in range(n)
    ]


def curve(p: Planned, book: Book, *, seed: int = 0) -> list[dict[str, float]]:
    """What each fill rate costs a year, holding and ordering, at the same order size."""
    assert p.tested is not None
    assert p.policy is not None
    assert p.rate is not None
    rng = np.random.default_rng([seed, *p.item.encode()])
    draws = draws_of(p.facts, book, p.tested, p.rate, _DRAWN, rng)
    costs = costs_of(p.facts, book)
    size = p.policy.level - p.policy.point
    out = []
    for service in _CURVE:
        policy = reach(service, Policy(point=0.0, level=size, lot=p.facts.lot, least=p.facts.moq), draws)
        outcome = simulate(policy, draws.demand, draws.lead, costs)
        out.append({"service": outcome.fill.mean, "cost": outcome.cost.mean * _YEAR / book.period, "stock": outcome.stock.mean})
    return out


def orders(planned: list[Planned]) -> list[dict[str, Any]]:
    """What to order now, most urgent first."""
    wanted = [p for p in planned if p.order > 0]
    wanted.sort(key=lambda p: (p.state != "short", p.days_of_cover if p.days_of_cover is not None else math.inf))
    return [{"item": p.item, "quantity": p.order, "unit": p.facts.unit, "text": p.text} for p in wanted]
