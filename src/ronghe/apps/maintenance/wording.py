"""What state detection says, in both languages."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ronghe.apps.maintenance.cause import Cause
from ronghe.plant.units import label
from ronghe.text import Text

_DIFFERENCES = ("Cel", "[degF]", "K")  # scales whose zero is arbitrary or far away: a part of them means nothing


def number(value: float) -> str:
    """Three significant digits, no exponent where it can be helped."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{digits}f}" if digits <= 6 else f"{value:.3g}"


def quantity(value: float, unit: str) -> str:
    """ "45.2 °C"; the number alone where there is no unit."""
    return f"{number(value)} {label(unit)}" if unit else number(value)


def distance(cause: Cause) -> str:
    """How far off: a part of what is expected, or a difference where a part would say nothing."""
    off = abs(cause.value - cause.expected)
    if cause.unit in _DIFFERENCES or abs(cause.expected) < 0.5 * off or off < 0.005 * abs(cause.expected):
        return quantity(off, cause.unit)
    percent = 100 * off / abs(cause.expected)
    return f"{percent:.0f} %" if percent >= 10 else f"{percent:.1f} %"


def departed(cause: Cause, followers: Sequence[Text], equipment: str) -> Text:
    """The finding: which property left normal, how far, and what follows."""
    way_en, way_zh = ("below", "低") if cause.low else ("above", "高")
    of_en, of_zh = (f" of {equipment}", f"{equipment} 的") if equipment else ("", "")
    off = distance(cause)
    en = f"{capital(cause.name.en)}{of_en} is {off} {way_en} what normal operation would show"
    zh = f"{of_zh}{cause.name.in_('zh')}比正常运行应有的值{way_zh} {off}"
    if followers:
        en += f"; {' and '.join(f.en for f in followers)} follow{'s' if len(followers) == 1 else ''}"
        zh += f"，{'、'.join(f.in_('zh') for f in followers)}随之变化"
    return Text(en, zh)


def back_to_normal(name: Text, equipment: str) -> Text:
    """The end of a finding."""
    of_en, of_zh = (f" of {equipment}", f"{equipment} 的") if equipment else ("", "")
    return Text(f"{capital(name.en)}{of_en} is back to normal", f"{of_zh}{name.in_('zh')}已恢复正常")


def look_into(cause: Cause) -> Text:
    """What a person should do when no rule says better."""
    return Text(
        f"See what sets the {cause.name.en}: {quantity(cause.value, cause.unit)} now, {quantity(cause.expected, cause.unit)} expected",
        f"请检查影响{cause.name.in_('zh')}的因素：当前 {quantity(cause.value, cause.unit)}，应为 {quantity(cause.expected, cause.unit)}",
    )


def change(name: Text, before: float, after: float, unit: str) -> Text:
    """A proposed set-point."""
    return Text(
        f"Set {name.en} from {quantity(before, unit)} to {quantity(after, unit)}",
        f"将{name.in_('zh')}由 {quantity(before, unit)} 调至 {quantity(after, unit)}",
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


def not_judged(equipment: str, missing: int, of: int) -> Text:
    """Too little to judge by."""
    place = equipment or "."
    return Text(
        f"The state of {place} cannot be judged: {missing} of {of} values are missing",
        f"无法判断 {place} 的状态：{of} 个测点中缺失 {missing} 个",
    )


def capital(text: str) -> str:
    """First letter large, the rest as it is."""
    return text[:1].upper() + text[1:]
