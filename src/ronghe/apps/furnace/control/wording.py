"""What furnace.control says, in both languages."""

from __future__ import annotations

from collections.abc import Sequence

from ronghe.apps.furnace.control.wiring import Wire
from ronghe.plant import Plant
from ronghe.text import Text
from ronghe.twin.plants import State


def blind(plant: Plant, missing: Sequence[str]) -> Text:
    """Values that are not known."""
    names = [plant.property_of(t).name() for t in missing]
    en = ", ".join(f"{n.en} ({t})" for n, t in zip(names, missing, strict=True))
    zh = "、".join(f"{n.in_('zh')}（{t}）" for n, t in zip(names, missing, strict=True))
    return Text(f"not controlled, set-points stay: no good value of {en}", f"暂停控制，设定值保持不变：{zh} 无有效值")


def no_plan(by: str) -> Text:
    """The solver has failed."""
    if by == "earlier":
        return Text("no new plan in time: the last one goes on", "未能按时算出新方案：沿用上一方案")
    return Text("no plan: set-points stay as they are", "无可用方案：设定值保持不变")


def cannot_keep(state: State, high: bool, limit: float, beyond: float) -> Text:
    """A limit will be passed whatever is done."""
    return Text(
        f"{state.title.en} cannot be kept {'below' if high else 'above'} {limit:g} {state.unit}:"
        f" {beyond:.3g} {state.unit} beyond it are foreseen",
        f"{state.title.in_('zh')}无法保持{'低于' if high else '高于'} {limit:g} {state.unit}：预计超出 {beyond:.3g} {state.unit}",
    )


def action(kind: str) -> Text:
    """What a person should do."""
    if kind == "measurement":
        return Text("look at the sensor and its connection", "请检查传感器及其连接")
    if kind == "solver":
        return Text("if it lasts: a shorter horizon, or more time for a step", "若持续出现：缩短预测步数，或延长控制周期")
    return Text("lower the target, or find what disturbs the process", "请调整目标，或查找过程扰动")


def reason(reached: Sequence[tuple[Wire, float]], seconds: float, by: str) -> Text:
    """Where the plan leads."""
    en = ", ".join(f"{w.title.en} {v:.4g} {w.unit}".rstrip() for w, v in reached)
    zh = "，".join(f"{w.title.in_('zh')} {v:.4g} {w.unit}".rstrip() for w, v in reached)
    old = by == "earlier"
    return Text(f"{'by the plan before, ' if old else ''}in {seconds:g} s: {en}", f"{'按上一方案，' if old else ''}{seconds:g} 秒后：{zh}")


def signal(name: str) -> Text:
    """Names of signals."""
    if name == "cost":
        return Text("cost of the step", "本步代价")
    if name == "solve_ms":
        return Text("time for the plan, ms", "求解用时（毫秒）")
    parameter = name.removesuffix("_factor")
    return Text(f"{parameter}: times its model's value", f"{parameter}：相对模型值的倍数")
