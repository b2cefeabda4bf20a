"""What safety.limits says, in both languages."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from ronghe.apps.safety.settings import Group
from ronghe.apps.safety.voting import Outcome
from ronghe.guard.condition import quantity
from ronghe.text import Text

ACTION: Final = Text("Bring the process to its safe state and look for the cause.", "使工艺进入安全状态，并查找原因。")
ACTION_LATCHED: Final = Text(
    "Bring the process to its safe state, mend the cause, then reset the trip.", "使工艺进入安全状态，消除原因后再复位。"
)
SEE_TO_SENSOR: Final = Text("Have the sensor looked at: the vote works with what is left.", "请检查传感器：目前由其余传感器表决。")


def value(number: float, unit: str) -> str:
    """A reading for people; a dash where there is none."""
    return "–" if math.isnan(number) else quantity(number, unit)


def tripped(group: Group, unit: str, outcome: Outcome, shown: Sequence[str]) -> Text:
    """The vote says trip."""
    limits = [f"≥ {quantity(group.high, unit)}"] if group.high is not None else []
    limits += [f"≤ {quantity(group.low, unit)}"] if group.low is not None else []
    limit, readings = " / ".join(limits), ", ".join(shown)
    if len(outcome.bad) == len(shown):
        return Text(
            f"{group.name}: no sensor gives a good value: tripped ({group.vote})", f"{group.name}：传感器均无有效值，已跳车（{group.vote}）"
        )
    return Text(
        f"{group.name} tripped: {outcome.votes} votes of {outcome.needed} needed ({group.vote}, limit {limit}): {readings}",
        f"{group.name} 跳车：{outcome.votes} 票，需 {outcome.needed} 票（{group.vote}，限值 {limit}）：{readings}",
    )


def back(name: str, who: str) -> Text:
    """Over."""
    if who:
        return Text(f"{name}: reset by {who}", f"{name}：已由 {who} 复位")
    return Text(f"{name}: within its limits again", f"{name}：已回到限值内")


def sensor_bad(tag: str, group: Group, outcome: Outcome) -> Text:
    """A sensor gives nothing that can be used."""
    left = len(group.tags) - len(outcome.bad)
    needed = outcome.needed - (len(outcome.bad) if group.bad == "vote" else 0)
    if left == 0 or needed <= 0:
        return Text(f"{tag} gives no good value: {group.name} trips", f"{tag} 无有效值：{group.name} 跳车")
    return Text(
        f"{tag} gives no good value: {group.name} is now {needed}oo{left} instead of {group.vote}",
        f"{tag} 无有效值：{group.name} 由 {group.vote} 变为 {needed}oo{left}",
    )


def sensor_good(tag: str) -> Text:
    """It does again."""
    return Text(f"{tag} gives good values again", f"{tag} 恢复有效值")


def apart(group: Group, unit: str, spread: float) -> Text:
    """The sensors disagree."""
    assert group.discrepancy is not None
    now, most = quantity(spread, unit, group.discrepancy), quantity(group.discrepancy, unit, spread)
    return Text(f"{group.name}: its sensors are {now} apart, more than {most}", f"{group.name}：传感器偏差 {now}，超过 {most}")


def agree(name: str) -> Text:
    """They do not any more."""
    return Text(f"{name}: its sensors agree again", f"{name}：传感器偏差恢复正常")
