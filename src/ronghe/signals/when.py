"""Durations and times as people write them: "10min", "-7d", "2026-03-01T08:00"."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from ronghe.errors import RongheError
from ronghe.text import Text

UNITS: Final[dict[str, int]] = {
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "min": 60_000_000_000,
    "h": 3_600_000_000_000,
    "d": 86_400_000_000_000,
    "w": 604_800_000_000_000,
}
"""Units of a duration, in ns. A day is 24 h and a week 7 of them: UTC has no summer time."""

_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*([a-zA-Zµμ]*)", re.ASCII)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST: Final = 2**63 - 1  # ns, what an int64 holds: 292 years
_ISO: Final = re.compile(r"(\d{4}-?\d\d-?\d\d(?:[T ]\d\d(?::?\d\d(?::?\d\d)?)?)?)(?:[.,](\d{1,9}))?(Z|[+-]\d\d(?::?\d\d)?)?", re.ASCII)


def parse_duration(text: str) -> int:
    """A duration such as "100ms", "1.5 h" or "10min" in ns. Never negative. Raises RongheError for anything else."""
    match = _DURATION.fullmatch(text.strip())
    factor = UNITS.get(match[2]) if match else None
    if match is None or factor is None:
        raise RongheError(Text(f"{text!r} is not a duration", f"{text!r} 不是时长"), todo=_duration_advice(match[2] if match else ""))
    ns = int(Decimal(match[1]) * factor)
    if ns > _LONGEST:
        raise RongheError(Text(f"{text!r} is longer than 292 years", f"{text!r} 超过 292 年"))
    return ns


def _duration_advice(unit: str) -> Text:
    meant = {"m": "min", "mins": "min", "minute": "min", "minutes": "min", "sec": "s", "hour": "h", "day": "d", "week": "w"}
    nearest = meant.get(unit.lower()) or (unit.lower() if unit.lower() in UNITS else "")
    hint_en, hint_zh = (f" (did you mean {nearest!r}?)", f"（是否想写 {nearest!r}？）") if nearest else ("", "")
    known = ", ".join(UNITS)
    return Text(f"write a number and a unit, e.g. 10min; units: {known}{hint_en}", f"请写数字加单位，如 10min；可用单位：{known}{hint_zh}")


def parse_time(text: str, now: int) -> int:
    """A point in time in ns since 1970-01-01 UTC.

    "now", a distance from now ("-7d", "+1h"), or an ISO 8601 date or time ("2026-03-01", "2026-03-01T08:00:00.25Z", "…+08:00"); UTC where
    it names no zone. `now` is in ns. Raises RongheError for anything else, and for a time that int64 ns cannot hold.
    """
    text = text.strip()
    if text == "now":
        return now
    if text[:1] in ("-", "+") and not text[1:2].isspace():
        distance = parse_duration(text[1:])
        return _in_range(now - distance if text[0] == "-" else now + distance, text)
    match = _ISO.fullmatch(text)
    try:
        if match is None:
            raise ValueError(text)
        moment = datetime.fromisoformat(match[1] + (match[3] or ""))
    except ValueError:
        raise RongheError(
            Text(f"{text!r} is not a time", f"{text!r} 不是时间"),
            todo=Text(
                "write -15min, -7d, now, 2026-03-01 or 2026-03-01T08:00:00Z (UTC where no zone is given)",
                "请写 -15min、-7d、now、2026-03-01 或 2026-03-01T08:00:00Z（未写时区时按 UTC）",
            ),
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since = moment - _EPOCH
    fraction = int((match[2] or "0").ljust(9, "0"))  # datetime keeps µs only; ns are kept here
    return _in_range((since.days * 86_400 + since.seconds) * 1_000_000_000 + fraction, text)


def _in_range(ns: int, text: str) -> int:
    if abs(ns) > _LONGEST:
        raise RongheError(
            Text(f"{text!r} is outside 1677…2262, what a ns clock can hold", f"{text!r} 超出纳秒时钟可表示的 1677…2262 年"),
        )
    return ns


def format_time(ns: int) -> str:
    """ISO 8601 in UTC, with as many decimals as it takes (none, 3, 6 or 9): "2026-03-01T08:00:00.250Z"."""
    seconds, rest = divmod(int(ns), 1_000_000_000)
    digits = f"{rest:09d}"
    while digits.endswith("000"):
        digits = digits[:-3]
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S") + (f".{digits}" if digits else "") + "Z"
