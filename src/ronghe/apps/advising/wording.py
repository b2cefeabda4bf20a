"""How numbers and set-points are said, in both languages."""

from __future__ import annotations

import math
import re

from ronghe.plant.units import label
from ronghe.text import Text


def number(value: float) -> str:
    """Three significant digits, no exponent where it can be helped."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{digits}f}" if digits <= 6 else f"{value:.3g}"


def quantity(value: float, unit: str) -> str:
    """ "45.2 °C"; the number alone where there is no unit."""
    return f"{number(value)} {label(unit)}" if unit else number(value)


def change(name: Text, before: float, after: float, unit: str) -> Text:
    """A proposed set-point."""
    return Text(
        f"Set {name.en} from {quantity(before, unit)} to {quantity(after, unit)}",
        spaced(f"将{name.in_('zh')}由 {quantity(before, unit)} 调至 {quantity(after, unit)}"),
    )


def at_end(name: Text, value: float, unit: str, *, high: bool) -> Text:
    """A set-point that can go no further."""
    return Text(
        f"{capital(name.en)} is at the {'upper' if high else 'lower'} end of its envelope ({quantity(value, unit)})",
        spaced(f"{name.in_('zh')}已达允许范围{'上限' if high else '下限'}（{quantity(value, unit)}）"),
    )


def spaced(zh: str) -> str:
    """Chinese with a space wherever it meets Latin letters or digits, as it is set in industry."""
    return re.sub(r"(?<=[0-9A-Za-z%])(?=[\u4e00-\u9fff])|(?<=[\u4e00-\u9fff])(?=[0-9A-Za-z])", " ", zh)


def capital(text: str) -> str:
    """First letter large, the rest as it is."""
    return text[:1].upper() + text[1:]
