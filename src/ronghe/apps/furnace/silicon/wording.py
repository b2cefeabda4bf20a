"""What furnace.silicon says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from ronghe.text import Text

Side = Literal["low", "high"]


def beyond(side: Side, mean: float, low: float, high: float, limit: float, chance: float) -> Text:
    """A forecast that leaves the target."""
    word, zh = ("below", "低于") if side == "low" else ("above", "高于")
    return Text(
        f"Silicon of the next heat is expected at {mean:.2f} % ({low:.2f} to {high:.2f} in 9 of 10 heats); {word} {limit:.2f} % with a "
        f"chance of {100 * chance:.0f} %",
        f"下一炉铁水硅含量预计为 {mean:.2f} %（90 % 区间 {low:.2f} 至 {high:.2f}），{zh} {limit:.2f} % 的概率为 {100 * chance:.0f} %",
    )


def look(side: Side) -> Text:
    """What a person should look at, where no rule says more."""
    if side == "low":
        return Text(
            "The hearth may be cooling: see coal and coke, blast temperature and moisture, descent of the burden, leaks of water",
            "炉缸可能向凉：请检查喷煤与焦炭负荷、风温与湿度、料速及是否漏水",
        )
    return Text(
        "The hearth may be heating up: see coal and coke, blast temperature and moisture, descent of the burden",
        "炉缸可能向热：请检查喷煤与焦炭负荷、风温与湿度、料速",
    )


def back() -> Text:
    """Over."""
    return Text("Silicon is expected within the target again", "预计硅含量已回到目标范围")


def drifting(inside: float, of: int) -> Text:
    """The interval does not keep its promise."""
    return Text(
        f"The forecast drifts: {100 * inside:.0f} % of the last {of} heats were in the 90 % interval",
        f"预测出现漂移：最近 {of} 炉中仅 {100 * inside:.0f} % 落在 90 % 区间内",
    )


def refit() -> Text:
    """What to do about it."""
    return Text("Check assays and instruments; then fit the model on later heats", "请核查化验与仪表；随后用较新的炉次重新训练模型")


def kept() -> Text:
    """Over."""
    return Text("The interval keeps its promise again", "预测区间覆盖率已恢复")


def outside(name: Text, value: float, low: float, high: float, unit: str) -> Text:
    """An input where the model never was."""
    u = f" {unit}" if unit else ""
    return Text(
        f"{name.en} is {value:.4g}{u}; the model knows {low:.4g} to {high:.4g}{u}",
        f"{name.in_('zh')}为 {value:.4g}{u}，模型适用范围为 {low:.4g} 至 {high:.4g}{u}",
    )


def missing(name: Text) -> Text:
    """An input without a value."""
    return Text(f"{name.en} has no good value", f"{name.in_('zh')}没有有效值")


def no_assay(hours: float) -> Text:
    """Nothing to start from."""
    return Text(f"There is no assay of the last {hours:g} h", f"最近 {hours:g} 小时内没有化验值")


def refused(reasons: Sequence[Text]) -> Text:
    """Why nothing is forecast."""
    return Text(
        "Silicon is not forecast: " + "; ".join(r.en for r in reasons[:4]),
        "未预测硅含量：" + "；".join(r.in_("zh") for r in reasons[:4]),
    )


def again() -> Text:
    """Over."""
    return Text("Silicon is forecast again", "已恢复硅含量预测")


def expected(mean: float, low: float, high: float) -> Text:
    """The state in one sentence."""
    return Text(
        f"A heat tapped now is expected at {mean:.2f} % Si, {low:.2f} to {high:.2f} in 9 of 10; the fan holds the process as it is now",
        f"此刻出铁，预计硅含量 {mean:.2f} %，90 % 区间 {low:.2f} 至 {high:.2f}；扇形图假定工况保持不变",
    )
