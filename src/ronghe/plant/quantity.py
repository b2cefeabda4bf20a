"""Quantities as people write them in plant.toml: "50 1/min", "600..1450 1/min", "50 1/min per 1 min", "20 GB", "2 Mbit/s"."""

from __future__ import annotations

import math
import re
from typing import Final

from ronghe.errors import RongheError
from ronghe.plant import units
from ronghe.signals.when import parse_duration
from ronghe.text import Text

_NUMBER: Final = r"[+-]?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d{1,3})?"
_QUANTITY: Final = re.compile(rf"({_NUMBER})(?:\s*(\S.*))?", re.ASCII)
_RANGE: Final = re.compile(rf"({_NUMBER})\s*\.\.(?!\.)\s*({_NUMBER})(?:\s*(\S.*))?", re.ASCII)
_SPACED: Final = re.compile(rf"({_NUMBER})\s*(?:-|–|—|~|～|…|至|到|to|\.\.\.)\s*({_NUMBER})(?:\s*(\S.*))?")

_BYTES: Final = {
    **{prefix + "B": 1000**i for i, prefix in enumerate(("", "k", "M", "G", "T"))},
    **{prefix + "iB": 1024**i for i, prefix in enumerate(("K", "M", "G", "T"), 1)},
}
_BITS_PER_S: Final = {
    **{f"{prefix}bit/s": 1000**i for i, prefix in enumerate(("", "k", "M", "G"))},
    **{f"{unit}/s": 8 * n for unit, n in _BYTES.items()},
}
_OTHERWISE: Final = {"bps": "bit/s", "b/s": "bit/s", "bits/s": "bit/s", "bit": "bit/s", "byte": "B", "bytes": "B", "by": "B", "k": "kB"}


def parse_quantity(text: str) -> tuple[float, str]:
    """(value, UCUM unit) of "50 1/min"; the unit is "" where none is written. Raises RongheError."""
    match = _QUANTITY.fullmatch(text.strip())
    if match is None:
        raise RongheError(Text(f"{text!r} is not a quantity", f"{text!r} 不是带单位的数值"), todo=_example("50 1/min"))
    return _finite(match[1], text), _unit(match[2], match[1])


def parse_range(text: str) -> tuple[float, float, str]:
    """(low, high, UCUM unit) of "600..1450 1/min", low < high. Raises RongheError."""
    match = _RANGE.fullmatch(text.strip())
    if match is None:
        near = _SPACED.fullmatch(text.strip())
        unit = (near[3] or "") if near else ""
        example = f"{near[1]}..{near[2]} {units.suggest(unit) or unit}".strip() if near else "600..1450 1/min"
        raise RongheError(Text(f"{text!r} is not a range", f"{text!r} 不是范围"), todo=_example(example))
    low, high = _finite(match[1], text), _finite(match[2], text)
    if not low < high:
        raise RongheError(
            Text(f"the range {text!r} is empty: {match[1]} is not below {match[2]}", f"范围 {text!r} 为空：{match[1]} 不小于 {match[2]}"),
            todo=_example(f"{match[2]}..{match[1]} {match[3] or ''}".strip()) if high < low else Text(""),
        )
    return low, high, _unit(match[3], match[2])


def parse_rate(text: str) -> tuple[float, str, int]:
    """(largest change > 0, UCUM unit, time in ns > 0) of "50 1/min per 1 min". Raises RongheError.

    The change is a difference: a conversion uses the gain of `ronghe.plant.units.factor` and not its offset.
    """
    change, per, time = text.strip().partition(" per ")
    if not per:
        change, per, time = text.strip().partition("每")
    if not per:
        raise RongheError(Text(f"{text!r} is not a rate of change", f"{text!r} 不是变化速率"), todo=_example("50 1/min per 1 min"))
    value, unit = parse_quantity(change)
    ns = parse_duration(time if re.match(r"\s*[\d.]", time) else f"1 {time.strip()}")
    if value <= 0 or ns <= 0:
        raise RongheError(
            Text(f"the rate {text!r} must be more than 0 in more than no time", f"变化速率 {text!r} 的变化量和时间都必须大于 0"),
            todo=_example("50 1/min per 1 min"),
        )
    return value, unit, ns


def parse_size(text: str) -> int:
    """Bytes of "20 GB": decimal prefixes (kB, MB, GB, TB), or binary ones (KiB, MiB, …). More than 0. Raises RongheError."""
    return round(_amount(text, _BYTES, Text("a size", "数据量"), "20 GB"))


def parse_bandwidth(text: str) -> float:
    """bit/s of "2 Mbit/s", "500 kbit/s", or of bytes: "1 MB/s". More than 0. Raises RongheError."""
    return _amount(text, _BITS_PER_S, Text("a bandwidth", "带宽"), "2 Mbit/s")


def _amount(text: str, units: dict[str, int], kind: Text, example: str) -> float:
    match = _QUANTITY.fullmatch(text.strip())
    number, unit = (match[1], (match[2] or "").strip()) if match else ("", "")
    if unit not in units:
        near = _respelt(unit, units)
        what = Text(f"{text!r} is not {kind.en}", f"{text!r} 不是{kind.zh}")
        raise RongheError(what, todo=_example(f"{number} {near}" if near else example))
    value = _finite(number, text) * units[unit]
    if value < 1:
        raise RongheError(Text(f"{text!r} is nothing", f"{text!r} 须大于 0"), todo=_example(example))
    return value


def _respelt(unit: str, units: dict[str, int]) -> str:
    """The unit that was probably meant by another case or a common other spelling (gb, Mbps, kbit), or ""."""
    low = unit.lower()
    for tail, meant in _OTHERWISE.items():
        if meant in units and low.endswith(tail) and low.removesuffix(tail) in ("", "k", "m", "g", "t"):
            low = low.removesuffix(tail) + meant.lower()
            break
    return next((u for u in units if u.lower() == low), "")


def _finite(number: str, text: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise RongheError(Text(f"{text!r} is too large a number", f"{text!r} 数值过大"))
    return value


def _unit(text: str | None, number: str) -> str:
    code = (text or "").strip()
    try:
        units.parse(code)
    except RongheError as e:
        meant = units.suggest(code)
        raise RongheError(e.what, todo=_example(f"{number} {meant}") if meant else e.todo) from None
    return code


def _example(text: str) -> Text:
    return Text(f'write it like "{text}"', f'写法示例："{text}"')
