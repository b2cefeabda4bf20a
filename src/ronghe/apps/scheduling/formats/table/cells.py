"""One cell as people write it → a value. Each reader raises `Wrong` with the reason in both languages and what was probably meant."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any, Final

_TRUE: Final = ("true", "1", "1.0", "yes", "y", "是", "x", "√")
_FALSE: Final = ("false", "0", "0.0", "no", "n", "否", "-")

UNITS: Final[dict[str, float]] = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds", "秒"), 1.0),
    **dict.fromkeys(("min", "mins", "minute", "minutes", "分", "分钟"), 60.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours", "小时", "时"), 3600.0),
    **dict.fromkeys(("d", "day", "days", "天", "日"), 86400.0),
    **dict.fromkeys(("w", "week", "weeks", "周"), 604800.0),
}
"""Units of a duration in s, as they stand in cells and headers."""

_LONGEST: Final = 100 * 366 * 86400.0
_DURATION: Final = re.compile(r"([+-]?\d+(?:[.,]\d+)?)\s*([a-zA-Z\u4e00-\u9fff]*)")
_CLOCK: Final = re.compile(r"(\d+):([0-5]\d)(?::([0-5]\d))?")


class Wrong(Exception):
    """A cell that cannot be read."""

    def __init__(self, en: str, zh: str, meant: str = "") -> None:
        super().__init__(en)
        self.en, self.zh, self.meant = en, zh, meant


def word(cell: Any) -> str:
    """A name. Excel's 17.0 is the name 17."""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    said = str(cell).strip()
    if any(c < " " for c in said) or len(said) > 200:
        raise Wrong("is not a name: control characters, or more than 200", "不是有效名称：含控制字符或超过 200 个字符")
    return said


def number(cell: Any) -> float:
    """A finite number, 0 or more."""
    value = signed(cell)
    if value < 0:
        raise Wrong(f"{cell} is negative", f"{cell} 为负数")
    return value


def signed(cell: Any) -> float:
    """A finite number."""
    try:
        value = float(cell) if isinstance(cell, int | float) else float(str(cell).strip())
    except ValueError:
        raise Wrong(f"{str(cell)[:40]!r} is not a number", f"{str(cell)[:40]!r} 不是数字") from None
    if not math.isfinite(value):
        raise Wrong(f"{cell!r} is not a finite number", f"{cell!r} 不是有限的数字")
    return value


def count(cell: Any) -> int:
    """A whole number, 1 or more."""
    value = number(cell)
    if value < 1 or not value.is_integer():
        raise Wrong(f"{cell} is not a whole number of at least 1", f"{cell} 不是不小于 1 的整数")
    return int(value)


def truth(cell: Any) -> bool:
    """Yes or no."""
    said = str(cell).strip().lower()
    if said not in (*_TRUE, *_FALSE):
        raise Wrong(f"{str(cell)[:40]!r} is neither yes nor no", f"{str(cell)[:40]!r} 既不是“是”也不是“否”")
    return said in _TRUE


def names(cell: Any) -> tuple[str, ...]:
    """Names divided by ";", "；" or "、"."""
    return tuple(w for part in re.split(r"[;；、]", word(cell)) if (w := part.strip()))


def amounts(cell: Any) -> dict[str, int]:
    """Whole numbers by name: "fitter:2; welder" is two fitters and one welder."""
    found: dict[str, int] = {}
    for part in names(cell):
        name, _, n = re.sub("[：×]", ":", part).partition(":")
        if name.strip() in found:
            raise Wrong(f"{name.strip()!r} appears twice", f"{name.strip()!r} 重复出现")
        found[name.strip()] = count(n) if n.strip() else 1
    return found


def duration(unit: float | None) -> Callable[[Any], float]:
    """A reader of durations in s: "15 min", "1:30", or a number in the header's `unit` (s; None: it names none)."""

    def read(cell: Any) -> float:
        if isinstance(cell, timedelta):
            value = cell.total_seconds()
        elif isinstance(cell, time):  # Excel's 0:15 is a time of day to it
            value = cell.hour * 3600.0 + cell.minute * 60.0 + cell.second
        else:
            value = _seconds(str(cell).strip(), unit)
        if value < 0:
            raise Wrong(f"{cell} is negative", f"{cell} 为负数")
        if value > _LONGEST:
            raise Wrong(f"{cell} is longer than 100 years", f"{cell} 超过 100 年")
        return value

    return read


def _seconds(said: str, unit: float | None) -> float:
    if clock := _CLOCK.fullmatch(said):
        return int(clock[1]) * 3600.0 + int(clock[2]) * 60.0 + int(clock[3] or 0)
    match = _DURATION.fullmatch(said)
    if match is None:
        raise Wrong(f"{said[:40]!r} is not a duration; write e.g. 15 min", f"{said[:40]!r} 不是时长，请写如 15 min")
    factor = UNITS.get(match[2].lower()) if match[2] else unit
    if factor is None and match[2]:
        raise Wrong(f"{match[2]!r} is not a unit of time; s, min, h, d", f"{match[2]!r} 不是时间单位，可用 s、min、h、d")
    if factor is None:
        raise Wrong(
            f"{said} has no unit; write {said} min, or the unit into the header: (min)",
            f"{said} 没有单位，请写 {said} min，或在表头注明单位：(min)",
            f"{said} min",
        )
    return float(match[1].replace(",", ".")) * factor


def moment(zone: tzinfo) -> Callable[[Any], int]:
    """A reader of dates and times in ns since 1970 UTC: ISO 8601, in `zone` where it names none. A date alone is its first moment."""

    def read(cell: Any) -> int:
        if isinstance(cell, datetime):
            at = cell
        elif isinstance(cell, date):
            at = datetime.combine(cell, time(), zone)
        else:
            at = _iso(str(cell).strip())
        at = (at if at.tzinfo is not None else at.replace(tzinfo=zone)).astimezone(UTC)
        if not 1970 <= at.year < 2200:
            raise Wrong(f"{cell} is outside 1970…2200", f"{cell} 超出 1970…2200 年")
        return round((at - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1)) * 1000

    return read


def _iso(said: str) -> datetime:
    try:
        return datetime.fromisoformat(said)
    except ValueError:
        meant = re.sub(r"[/.年月]", "-", said.replace("日", "")) if re.match(r"\d{4}[/.年]", said) else ""
        raise Wrong(
            f"{said[:40]!r} is not a date; write 2026-03-01 or 2026-03-01T08:00 (ISO 8601)",
            f"{said[:40]!r} 不是日期，请写 2026-03-01 或 2026-03-01T08:00（ISO 8601）",
            meant,
        ) from None
