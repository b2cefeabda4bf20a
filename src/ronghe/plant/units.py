"""Units of measure by UCUM code (The Unified Code for Units of Measure, ucum.org): "Cel", "kW.h", "m3/h", "1/min".

`factor` gives the affine conversion between two units, `label` what a person reads. The grammar and the atoms that plants use are here,
with exact rational factors, so that a usual folder is read without loading `ucumvert`; that library supplies every other UCUM atom.

Two things differ from a plain reading of dimensions, both for safety: plane angle is a dimension (1/min is not rad/s), and logarithmic
units ("dB", "[pH]") convert only to themselves. A temperature inside a product ("kJ/(kg.Cel)", "Cel/min") is a difference, without offset.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, Final

from ronghe.errors import RongheError
from ronghe.plant.atoms import ATOMS, MISSPELT, PREFIXES, READ
from ronghe.text import Text

Dimension = tuple[tuple[str, int], ...]
"""Powers of base units, sorted by name, without zeros: (("m", 3), ("s", -1))."""

_SYMBOL: Final = re.compile(r"10[*^]|(?:\[[^\[\]\s]*\]|[A-Za-z%'\"_])+")
_EXPONENT: Final = re.compile(r"[+-]?\d{1,2}(?!\d)")
_NUMBER: Final = re.compile(r"\d{1,9}(?!\d)")
_ANNOTATION: Final = re.compile(r"\{[^{}]*\}")
_DECIMAL: Final = re.compile(r"(?<![\w*^\]])\d+\.\d")  # "1.5" is 1 times 5 by the grammar, and never meant so
_DEEPEST: Final = 8  # brackets within brackets
_LONGEST: Final = 80  # characters


@dataclass(frozen=True, slots=True)
class Unit:
    """What a code means: value × `gain` + `offset` in the coherent SI unit of `dimension`."""

    dimension: Dimension
    gain: Fraction
    offset: Fraction = Fraction(0)


@lru_cache(4096)
def parse(code: str) -> Unit:
    """The meaning of a UCUM code; "" is a number without unit. Raises RongheError, with the code probably meant, for anything else."""
    try:
        return _Reader(code).whole()
    except _NotUcum:
        meant = suggest(code)
        hint = (Text(f"did you mean {meant!r}?", f"是否想写 {meant!r}？")) if meant else _ADVICE
        raise RongheError(Text(f"{code!r} is not a UCUM unit", f"{code!r} 不是 UCUM 单位"), todo=hint) from None


@lru_cache(4096)
def factor(source: str, target: str) -> tuple[float, float]:
    """(gain, offset) such that value in `target` = value in `source` × gain + offset; correctly rounded.

    Raises RongheError for an unknown unit, or units of different kinds.
    """
    a, b = parse(source), parse(target)
    if a.dimension != b.dimension:
        raise RongheError(
            Text(f"{source or '1'} does not convert to {target or '1'}", f"{source or '1'} 不能换算为 {target or '1'}"),
            todo=Text("they measure different things", "两者量纲不同"),
        )
    return float(a.gain / b.gain), float((a.offset - b.offset) / b.gain)


def convert(value: float, source: str, target: str) -> float:
    """A value of `source` in `target`. Raises as `factor` does."""
    gain, offset = factor(source, target)
    return value * gain + offset


def compatible(a: str, b: str) -> bool:
    """Whether two units measure the same kind of thing. Raises RongheError for an unknown unit."""
    return parse(a).dimension == parse(b).dimension


@lru_cache(4096)
def label(code: str) -> str:
    """The unit as people read it: Cel → °C, m3/h → m³/h, kW.h → kW·h; "" for a number without unit."""
    text = re.sub(r"V\.A(\.h)?\{reactive\}", lambda m: "var·h" if m[1] else "var", code)
    text = re.sub(r"(?<=[^/.(])\{([^{}]*)\}", r" (\1)", text)
    text = _ANNOTATION.sub(lambda m: m[0][1:-1], text)

    def power(m: re.Match[str]) -> str:
        return m[0].translate(_SUPERSCRIPT)

    text = re.sub(r"10[*^]", "10", text)
    text = re.sub(r"(?<=[A-Za-z%\]])[+-]?\d+(?![^\[]*\])|(?<=(?<!\d)10)[+-]?\d+", power, text)
    for atom, read in READ.items():
        text = re.sub(rf"(?<![A-Za-z\[_]){re.escape(atom)}(?![A-Za-z\]_])", read, text)
    text = re.sub(r"(?<![A-Za-z])u(?=[A-Za-zΩ])", "µ", text)
    return re.sub(r"\[([^\]]*)\]", lambda m: m[1].split("_")[0], text).replace(".", "·")


def suggest(code: str) -> str:
    """The UCUM code that was probably meant by a common other spelling (°C, rpm, kWh, m³/h), or ""."""
    plain = code.strip().translate(_PLAIN).replace(" ", "")
    parts = re.split(r"([/.()])", plain)
    for candidate in (
        MISSPELT.get(plain.lower(), ""),
        plain,
        "".join(_respell(p) for p in parts),
        _UPPER_LOWER.get(plain.lower(), ""),
    ):
        if candidate and candidate != code:
            try:
                _Reader(candidate).whole()
            except _NotUcum:
                continue
            return candidate
    return ""


def _respell(part: str) -> str:
    whole, found = MISSPELT.get(part.lower()), re.fullmatch(r"(.*?)([+-]?\d*)", part)
    if whole is not None or found is None:
        return whole or part
    return MISSPELT.get(found[1].lower(), found[1]) + found[2]


_SUPERSCRIPT: Final = str.maketrans("+-0123456789", "⁺⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_PLAIN: Final = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹·⋅*／％（）", "-0123456789.../%()")
_ADVICE: Final = Text("units are UCUM codes: Cel, bar, kW.h, m3/h, 1/min, %", "单位使用 UCUM 代码：Cel、bar、kW.h、m3/h、1/min、%")


_UPPER_LOWER: Final = {code.lower(): code for code in ATOMS}


class _NotUcum(Exception): ...


class _Reader:
    """Recursive descent over the UCUM grammar: [/] component {(. | /) component}, read strictly from left to right."""

    def __init__(self, code: str) -> None:
        self.code, self.at, self.depth = code, 0, 0
        self.powers: dict[str, int] = {}

    def whole(self) -> Unit:
        if not self.code:
            return Unit((), Fraction(1))
        if len(self.code) > _LONGEST or _DECIMAL.search(_ANNOTATION.sub("", self.code)):
            raise _NotUcum
        alone = _atom(self.code) if _SYMBOL.fullmatch(self.code) else None
        if alone is not None:  # only a unit that stands alone has an offset
            return alone
        gain, powers = self.term()
        if self.at != len(self.code):
            raise _NotUcum
        return Unit(_dimension(powers), gain)

    def term(self) -> tuple[Fraction, dict[str, int]]:
        gain, powers, sign = Fraction(1), dict[str, int](), 1
        if self.peek() == "/":
            self.at, sign = self.at + 1, -1
        while True:
            g, p = self.component()
            gain *= g**sign
            for base, n in p.items():
                powers[base] = powers.get(base, 0) + sign * n
            if self.peek() not in ("/", "."):
                return gain, powers
            sign = -1 if self.peek() == "/" else 1
            self.at += 1

    def component(self) -> tuple[Fraction, dict[str, int]]:
        if self.peek() == "(":
            self.at, self.depth = self.at + 1, self.depth + 1
            if self.depth > _DEEPEST:
                raise _NotUcum
            inner = self.term()
            if self.peek() != ")":
                raise _NotUcum
            self.at, self.depth = self.at + 1, self.depth - 1
            self.take(_ANNOTATION)
            return inner
        annotation = self.take(_ANNOTATION)
        if annotation is not None:
            return Fraction(1), {}
        symbol = self.take(_SYMBOL)
        if symbol is None:
            number = self.take(_NUMBER)
            if number is None or int(number) == 0:
                raise _NotUcum
            self.take(_ANNOTATION)
            return Fraction(int(number)), {}
        atom = _atom(symbol)
        if atom is None:
            raise _NotUcum
        exponent = int(self.take(_EXPONENT) or 1)
        self.take(_ANNOTATION)
        return atom.gain**exponent, {base: n * exponent for base, n in atom.dimension}

    def peek(self) -> str:
        return self.code[self.at : self.at + 1]

    def take(self, what: re.Pattern[str]) -> str | None:
        found = what.match(self.code, self.at)
        if found is None:
            return None
        self.at = found.end()
        return found[0]


def _dimension(powers: dict[str, int]) -> Dimension:
    return tuple(sorted((base, n) for base, n in powers.items() if n))


@lru_cache(4096)
def _atom(symbol: str) -> Unit | None:
    """One atom with its metric prefix, from our table or else from ucumvert; None for what neither knows."""
    for n in (0, 1, 2):  # the longest atom first: "min" is a minute, "cd" no centiday
        prefix = PREFIXES.get(symbol[:n])
        known = ATOMS.get(symbol[n:])
        if prefix is not None and known is not None and (n == 0 or known.metric):
            return Unit(_dimension(known.powers), known.gain * prefix, known.offset)
    return _rare(symbol)


def _rare(symbol: str) -> Unit | None:
    if not symbol.isascii() or not _SYMBOL.fullmatch(symbol):
        return None
    if re.fullmatch(r"[A-Za-z]{0,2}(B|Np|B\[[^\]]*\])|\[(pH|p'diop|hp'_X|hp'_C|hp'_M|hp'_Q|m/s2/Hz\^0\.5)\]", symbol):
        return Unit(((symbol, 1),), Fraction(1)) if _known_to_ucum(symbol) else None
    quantity = _pint(symbol)
    if quantity is None:
        return None
    names = {
        "[length]": "m",
        "[mass]": "kg",
        "[time]": "s",
        "[current]": "A",
        "[temperature]": "K",
        "[luminosity]": "cd",
        "[substance]": "mol",
    }
    powers = {names.get(base, base): round(n) for base, n in quantity.dimensionality.items()}
    zero, one = (Fraction(float(_registry().Quantity(n, quantity.units).to_base_units().magnitude)) for n in (0, 1))
    return Unit(_dimension(powers), (one - zero) * Fraction(float(quantity.magnitude)), zero)


def _pint(symbol: str) -> Any:
    try:
        return _registry().from_ucum(symbol)
    except Exception:  # lark, pint and ucumvert each raise their own kinds for what they cannot read
        return None


def _known_to_ucum(symbol: str) -> bool:
    import ucumvert

    try:
        ucumvert.get_ucum_parser().parse(symbol)
    except Exception:  # as above
        return False
    return True


@lru_cache(1)
def _registry() -> Any:
    import ucumvert  # takes most of a second, so only when a folder uses a rare unit

    return ucumvert.PintUcumRegistry()
