"""What state detection says, in both languages."""

from __future__ import annotations

from collections.abc import Sequence

from ronghe.apps.advising.wording import capital, number, quantity, spaced
from ronghe.apps.maintenance.cause import Cause
from ronghe.plant import Plant
from ronghe.text import Text

_DIFFERENCES = ("Cel", "[degF]", "K")  # scales whose zero is arbitrary or far away: a part of them means nothing


def distance(cause: Cause) -> str:
    """How far off: a part of what is expected, or a difference where a part would say nothing."""
    off, unit = abs(cause.value - cause.expected), cause.of.unit
    if unit in _DIFFERENCES or abs(cause.expected) < 0.5 * off or off < 0.005 * abs(cause.expected):
        return quantity(off, unit)
    percent = 100 * off / abs(cause.expected)
    return f"{percent:.0f} %" if percent >= 10 else f"{percent:.1f} %"


def place(plant: Plant, equipment: str, tag: str) -> Text:
    """The equipment that a tag belongs to, as people call it, from the equipment watched downwards: "Hydraulic test rig / Cooler"."""
    path, names = plant.tags[tag].equipment(), []
    while path and path != equipment:
        names.append(plant.equipment_name(path))
        path = path.rpartition("/")[0]
    if equipment:
        names.append(plant.equipment_name(equipment))
    return Text(" / ".join(n.en for n in reversed(names)), "/".join(n.in_("zh") for n in reversed(names)))


def departed(cause: Cause, followers: Sequence[Text], place: Text) -> Text:
    """The finding: which property of which equipment left normal, how far, and what follows."""
    en, zh = _whose(cause.of.name, place)
    if cause.way == "unsteady":
        times = number(cause.value / max(cause.expected, 1e-300))
        en += f" fluctuates {times} times as much as in normal operation"
        zh += f"波动为正常运行时的 {times} 倍"
    else:
        way_en, way_zh = ("below", "低") if cause.way == "low" else ("above", "高")
        en += f" is {distance(cause)} {way_en} what normal operation would show"
        zh += f"比正常运行应有的值{way_zh} {distance(cause)}"
    if followers:
        en += f"; {' and '.join(f.en for f in followers)} follow{'s' if len(followers) == 1 else ''}"
        zh += f"，{'、'.join(f.in_('zh') for f in followers)}随之变化"
    return Text(en, spaced(zh))


def back_to_normal(cause: Cause, place: Text) -> Text:
    """The end of a finding."""
    en, zh = _whose(cause.of.name, place)
    return Text(f"{en} is back to normal", spaced(f"{zh}已恢复正常"))


def look_into(cause: Cause) -> Text:
    """What a person should do when no rule says better."""
    name, unit = cause.of.name, cause.of.unit
    if cause.way == "unsteady":
        return Text(
            f"Look for a loose contact, a hunting control loop or cavitation at the {name.en}",
            spaced(f"请检查{name.in_('zh')}回路是否振荡、接触不良或存在汽蚀"),
        )
    now, usual = quantity(cause.value, unit), quantity(cause.expected, unit)
    return Text(
        f"See what sets the {name.en}: {now} now, {usual} expected", spaced(f"请检查影响{name.in_('zh')}的因素：当前 {now}，应为 {usual}")
    )


def no_value(name: Text, tag: str, seconds: float, why: Text) -> Text:
    """A dead sensor."""
    return Text(
        f"{capital(name.en)} ({tag}) has had no good value for {number(seconds)} s: {why.en}; the state is judged without it",
        f"{name.in_('zh')}（{tag}）已 {number(seconds)} 秒没有有效值：{why.in_('zh')}；状态判断暂不使用该测点",
    )


def stuck(name: Text, tag: str, seconds: float, usual: float) -> Text:
    """A sensor that no longer moves."""
    return Text(
        f"{capital(name.en)} ({tag}) has not changed at all for {number(seconds)} s; while learned, never for more than {number(usual)} s:"
        " the sensor is probably stuck",
        f"{name.in_('zh')}（{tag}）已 {number(seconds)} 秒完全没有变化；学习期间最长仅 {number(usual)} 秒：传感器可能卡死",
    )


def not_judged(place: Text, missing: int, of: int) -> Text:
    """Too little to judge by."""
    return Text(
        f"The state of {place.en} cannot be judged: {missing} of {of} values are missing",
        spaced(f"无法判断{place.in_('zh')}的状态：{of} 个测点中缺失 {missing} 个"),
    )


def _whose(name: Text, place: Text) -> tuple[str, str]:
    """ "Pressure of Line 1 / Pump 1", in both languages."""
    if not place.en:
        return capital(name.en), name.in_("zh")
    return f"{capital(name.en)} of {place.en}", f"{place.in_('zh')}的{name.in_('zh')}"
