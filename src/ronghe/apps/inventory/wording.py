"""What people are told of an item."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from ronghe.apps.inventory.formats.items import Item
from ronghe.text import Text


def amount(value: float, item: Item) -> str:
    """A quantity with its unit."""
    said = f"{value:,.0f}" if abs(value) >= 100 or value == round(value) else f"{value:.3g}"
    return f"{said} {item.unit}".rstrip()


def days(value: float) -> str:
    """A number of days."""
    return f"{value:.0f}" if value >= 10 or value == round(value) else f"{value:.1f}"


def unknown(item: Item, periods: int, least: int) -> Text:
    """Why there is no plan."""
    if periods >= least:
        return Text("nothing was ever asked for", "从未有过需求")
    return Text(
        f"too little demand to plan: {periods} period(s), at least {least} are needed", f"需求记录过少：{periods} 期，至少需要 {least} 期"
    )


def reason(item: Item, state: str, order: float, point: float, level: float, in_lead: float) -> Text:
    """What to do, and the numbers that it follows from."""
    have, coming = amount(item.on_hand, item), amount(item.on_order, item)
    lead, goal = days(item.lead_time), f"{100 * item.service:g} %"
    stock = Text(f"on hand {have}, on order {coming}", f"现有 {have}，在途 {coming}")
    if state == "short":
        first = Text(
            f"{stock.en}: less than the {amount(in_lead, item)} expected to be asked for in the {lead} days until today’s order comes",
            f"{stock.zh}，不足以满足今日下单到货前 {lead} 天的预计需求 {amount(in_lead, item)}",
        )
        if not order:
            return Text(f"{first.en}; what is on order must come soon", f"{first.zh}；请催促在途到货")
        return Text(f"{first.en}; order {amount(order, item)} and hurry it", f"{first.zh}；请订购 {amount(order, item)} 并加急")
    if state == "order":
        return Text(
            f"order {amount(order, item)}: {stock.en} is at or below the reorder point {amount(point, item)}, which gives {goal} of demand "
            f"from stock over {lead} days of lead time",
            f"请订购 {amount(order, item)}：{stock.zh}，已达到再订货点 {amount(point, item)}（提前期 {lead} 天，满足率目标 {goal}）",
        )
    if state == "excess":
        return Text(
            f"{stock.en}: far above the {amount(level, item)} that an order would fill up to; order nothing, and see what is on order",
            f"{stock.zh}，远高于最高库存 {amount(level, item)}；请勿订购，并核查在途订单",
        )
    return Text(
        f"{stock.en}: above the reorder point {amount(point, item)}; nothing to do",
        f"{stock.zh}，高于再订货点 {amount(point, item)}；无需订货",
    )


def old(ago: float) -> Text:
    """That there is no demand of late."""
    return Text(f"the demand it was planned on ends {ago:.0f} days ago", f"计划所依据的需求记录止于 {ago:.0f} 天前")


def drifted(errors: Sequence[float], rate: float) -> Text:
    """That the forecast has been off to one side."""
    mean = sum(errors) / len(errors)
    share = f"{100 * abs(mean) / rate:.0f} %" if rate > 0 else "—"
    more, zh = ("above", "高于") if mean > 0 else ("below", "低于")
    return Text(
        f"demand of the last {len(errors)} periods was {share} {more} the forecast, more than chance allows",
        f"最近 {len(errors)} 期的需求比预测{zh[0]} {share}，超出随机波动",
    )


ACTIONS: Final = {
    "short": Text("order now and hurry it; see which orders need it first", "立即下单并加急；确认哪些订单最急需"),
    "order": Text("place the order", "请下达订单"),
    "excess": Text("order nothing; see what is on order, and whether it can be put off", "停止订购；核查在途订单能否推迟"),
    "drift": Text("see whether demand has changed for good", "请确认需求是否已发生长期变化"),
    "old": Text("bring the demand file up to date", "请更新需求记录"),
}
"""What a person should do about a finding of each kind."""


def failed() -> Text:
    """That an item could not be planned."""
    return Text("could not be planned; see the log of the node", "无法计算，详见节点日志")


STATES: Final = {
    "ok": Text("ok", "正常"),
    "order": Text("order", "订货"),
    "short": Text("short", "缺料"),
    "excess": Text("excess", "过量"),
    "unknown": Text("unknown", "未知"),
}
"""What people call the states of an item."""


def planning() -> Text:
    """That an item is not planned yet."""
    return Text("is being planned", "正在计算")
