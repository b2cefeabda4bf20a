"""What furnace.tune says, in both languages."""

from __future__ import annotations

from collections.abc import Sequence

from ronghe.apps.advising.wording import quantity
from ronghe.text import Text


def amount(value: float, unit: str) -> str:
    """With its unit as people read it; a number without unit alone."""
    return quantity(value, "" if unit == "1" else unit)


def moves(settings: Sequence[tuple[Text, float, float, str]]) -> Text:
    """(name, from, to, unit) of each set-point that moves."""
    en = ", ".join(f"{n.en} {amount(a, u)} → {amount(b, u)}" for n, a, b, u in settings)
    zh = "，".join(f"{n.in_('zh')} {amount(a, u)} → {amount(b, u)}" for n, a, b, u in settings)
    return Text(en, zh)


def trial(n: int, moved: Text, name: Text, expected: str) -> Text:
    """A trial has begun."""
    if not expected:
        return Text(f"trial {n}: {moved.en}", f"第 {n} 次试验：{moved.in_('zh')}")
    return Text(
        f"trial {n}: {moved.en}; expects {name.en} {expected}", f"第 {n} 次试验：{moved.in_('zh')}；预计{name.in_('zh')}为 {expected}"
    )


def step(n: int, moved: Text) -> Text:
    """One step of a ramp."""
    return Text(f"one step of the ramp to trial {n}: {moved.en}", f"向第 {n} 次试验缓步调整：{moved.in_('zh')}")


def back(moved: Text, limit: Text) -> Text:
    """One step of the way back."""
    return Text(f"back to where it held, {limit.en} came near: {moved.en}", f"{limit.in_('zh')}接近限值，退回安全工况：{moved.in_('zh')}")


def near(name: Text, value: float, limit: float, unit: str, *, below: bool) -> Text:
    """A limit came near; the trial is given up."""
    side = ("below", "低于") if below else ("above", "高于")
    return Text(
        f"{name.en} is {amount(value, unit)}, near its limit (must stay {side[0]} {amount(limit, unit)}): going back",
        f"{name.in_('zh')}为 {amount(value, unit)}，接近限值（须{side[1]} {amount(limit, unit)}）：正在退回",
    )


def settled(name: Text, value: str, trials: int) -> Text:
    """Nothing left worth trying."""
    return Text(
        f"settled after {trials} trials: {name.en} {value}; smaller moves would be lost in the noise",
        f"经 {trials} 次试验已达最优：{name.in_('zh')} {value}；更小的调整已淹没在噪声中",
    )


def blind(names: Sequence[Text]) -> Text:
    """Inputs without a good value: nothing is proposed."""
    return Text(
        f"nothing is proposed: no good value of {', '.join(n.en for n in names)}",
        f"暂停建议：{'、'.join(n.in_('zh') for n in names)}无有效值",
    )


def refused(name: Text, value: float, unit: str) -> Text:
    """A move was refused."""
    return Text(
        f"{name.en} may not go beyond {amount(value, unit)}: a move was refused, and none further is proposed",
        f"{name.in_('zh')}不得超过 {amount(value, unit)}：调整被拒绝，不再建议越过此值",
    )


OVER = Text("over", "已结束")
ACTIONS = {
    "trial": Text("", ""),
    "near": Text("Nothing, unless it goes on: then operate by hand", "一般无需处理；若持续接近限值，请改为手动操作"),
    "settled": Text("", ""),
    "blind": Text("See to the sensors named", "请检查所列传感器"),
    "refused": Text("If the limit is too narrow, widen the guard and restart the app", "若限制过严，请放宽守护范围并重启应用"),
}

STATES = {
    "settle": Text("settling", "等待稳定"),
    "window": Text("measuring", "正在测量"),
    "ramp": Text("on the ramp", "缓步调整中"),
    "back": Text("going back", "正在退回"),
    "hold": Text("settled; watching", "已达最优，持续监视"),
    "blind": Text("waiting for good values", "等待有效数据"),
    "waiting": Text("waiting for the first values", "等待首批数据"),
}
