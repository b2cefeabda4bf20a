"""The UCUM atoms that plants use, as exact fractions of SI (ucum.org, tables 1 to 6), and the spellings that people use instead."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Final


@dataclass(frozen=True, slots=True)
class Atom:
    """value × `gain` + `offset` in coherent SI units; `metric` atoms take prefixes."""

    gain: Fraction
    powers: dict[str, int] = field(default_factory=dict)
    metric: bool = False
    offset: Fraction = Fraction(0)


PREFIXES: Final[dict[str, Fraction]] = {
    "": Fraction(1),
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    "c": Fraction(1, 100),
    "d": Fraction(1, 10),
    "da": Fraction(10),
    "h": Fraction(100),
    "k": Fraction(1000),
    "M": Fraction(10**6),
    "G": Fraction(10**9),
    "T": Fraction(10**12),
}

_POWER: Final = {"kg": 1, "m": 2, "s": -3}
_ENERGY: Final = {"kg": 1, "m": 2, "s": -2}
_FORCE: Final = {"kg": 1, "m": 1, "s": -2}
_PRESSURE: Final = {"kg": 1, "m": -1, "s": -2}
_KELVIN: Final = {"K": 1}
_PI: Final = Fraction(3141592653589793238462643383279502884197, 10**39)  # UCUM's own [pi] has 59 digits; a float holds 16


def _metric(gain: Fraction | int | str, **powers: int) -> Atom:
    return Atom(Fraction(gain), powers, metric=True)


def _plain(gain: Fraction | int | str, **powers: int) -> Atom:
    return Atom(Fraction(gain), powers)


ATOMS: Final[dict[str, Atom]] = {
    # base units and SI units with a name of their own
    "m": _metric(1, m=1),
    "s": _metric(1, s=1),
    "g": _metric("1/1000", kg=1),
    "A": _metric(1, A=1),
    "K": _metric(1, K=1),
    "cd": _metric(1, cd=1),
    "mol": _metric(1, mol=1),
    "rad": _metric(1, rad=1),
    "Hz": _metric(1, s=-1),
    "N": _metric(1, **_FORCE),
    "Pa": _metric(1, **_PRESSURE),
    "J": _metric(1, **_ENERGY),
    "W": _metric(1, **_POWER),
    "C": _metric(1, A=1, s=1),
    "V": _metric(1, kg=1, m=2, s=-3, A=-1),
    "F": _metric(1, kg=-1, m=-2, s=4, A=2),
    "Ohm": _metric(1, kg=1, m=2, s=-3, A=-2),
    "S": _metric(1, kg=-1, m=-2, s=3, A=2),
    "Wb": _metric(1, kg=1, m=2, s=-2, A=-1),
    "T": _metric(1, kg=1, s=-2, A=-1),
    "H": _metric(1, kg=1, m=2, s=-2, A=-2),
    "Cel": Atom(Fraction(1), _KELVIN, metric=True, offset=Fraction("273.15")),
    "[degF]": Atom(Fraction(5, 9), _KELVIN, offset=Fraction("459.67") * Fraction(5, 9)),
    # numbers
    "10*": _plain(10),
    "10^": _plain(10),
    "%": _plain("1/100"),
    "[ppth]": _plain("1/1000"),
    "[ppm]": _plain(Fraction(1, 10**6)),
    "[ppb]": _plain(Fraction(1, 10**9)),
    # time
    "min": _plain(60, s=1),
    "h": _plain(3600, s=1),
    "d": _plain(86400, s=1),
    "wk": _plain(604800, s=1),
    "a": _plain(31557600, s=1),
    # angle
    "deg": _plain(_PI / 180, rad=1),
    "'": _plain(_PI / 10800, rad=1),
    "''": _plain(_PI / 648000, rad=1),
    "sr": _metric(1, rad=2),
    "circ": _plain(_PI * 2, rad=1),
    # volume, area, length, mass
    "L": _metric("1/1000", m=3),
    "l": _metric("1/1000", m=3),
    "ar": _metric(100, m=2),
    "t": _metric(1000, kg=1),
    "[in_i]": _plain("0.0254", m=1),
    "[ft_i]": _plain("0.3048", m=1),
    "[lb_av]": _plain("0.45359237", kg=1),
    "[gal_us]": _plain(Fraction("0.0254") ** 3 * 231, m=3),
    # pressure, force, energy, power
    "bar": _metric(100_000, **_PRESSURE),
    "atm": _plain(101_325, **_PRESSURE),
    "att": _plain("98066.5", **_PRESSURE),
    "m[H2O]": _metric("9806.65", **_PRESSURE),
    "m[Hg]": _metric("133322.0", **_PRESSURE),
    "[psi]": _plain(Fraction("0.45359237") * Fraction("9.80665") / Fraction("0.0254") ** 2, **_PRESSURE),
    "gf": _metric(Fraction("9.80665") / 1000, **_FORCE),
    "eV": _metric(Fraction("1.60217733e-19"), **_ENERGY),
    "cal": _metric("4.184", **_ENERGY),
    # viscosity
    "P": _metric("1/10", kg=1, m=-1, s=-1),
    "St": _metric("1/10000", m=2, s=-1),
    # light
    "lm": _metric(1, cd=1, rad=2),
    "lx": _metric(1, cd=1, rad=2, m=-2),
}

READ: Final[dict[str, str]] = {
    "Cel": "°C",
    "[degF]": "°F",
    "deg": "°",
    "Ohm": "Ω",
    "kOhm": "kΩ",
    "MOhm": "MΩ",
    "mOhm": "mΩ",
    "[in_i]": "in",
    "[ft_i]": "ft",
    "[lb_av]": "lb",
    "[gal_us]": "gal",
    "[ppth]": "‰",
}
"""Atoms that people read otherwise than UCUM writes them."""

MISSPELT: Final[dict[str, str]] = {
    "°c": "Cel",
    "℃": "Cel",
    "degc": "Cel",
    "deg_c": "Cel",
    "celsius": "Cel",
    "摄氏度": "Cel",
    "°f": "[degF]",
    "℉": "[degF]",
    "degf": "[degF]",
    "kelvin": "K",
    "°": "deg",
    "rpm": "1/min",
    "r/min": "1/min",
    "rev/min": "1/min",
    "转/分": "1/min",
    "次/分": "1/min",
    "kwh": "kW.h",
    "mwh": "MW.h",
    "wh": "W.h",
    "度": "kW.h",
    "千瓦时": "kW.h",
    "kva": "kV.A",
    "va": "V.A",
    "kvah": "kV.A.h",
    "var": "V.A{reactive}",
    "kvar": "kV.A{reactive}",
    "kvarh": "kV.A.h{reactive}",
    "ah": "A.h",
    "nm": "N.m",
    "psi": "[psi]",
    "ppm": "[ppm]",
    "ppb": "[ppb]",
    "‰": "[ppth]",
    "mmhg": "mm[Hg]",
    "torr": "mm[Hg]",
    "mmh2o": "mm[H2O]",
    "mh2o": "m[H2O]",
    "hp": "[HP]",
    "inch": "[in_i]",
    "in": "[in_i]",
    "ft": "[ft_i]",
    "lb": "[lb_av]",
    "gpm": "[gal_us]/min",
    "hr": "h",
    "hour": "h",
    "小时": "h",
    "sec": "s",
    "秒": "s",
    "分": "min",
    "分钟": "min",
    "day": "d",
    "天": "d",
    "m³": "m3",
    "立方米": "m3",
    "㎡": "m2",
    "平方米": "m2",
    "nm3": "m3{normal}",
    "吨": "t",
    "ton": "t",
    "公斤": "kg",
    "千克": "kg",
    "lpm": "L/min",
    "升": "L",
    "ω": "Ohm",
    "Ω": "Ohm",
    "kω": "kOhm",
    "mω": "MOhm",
    "μm": "um",
    "µm": "um",
    "兆帕": "MPa",
    "千帕": "kPa",
    "帕": "Pa",
    "巴": "bar",
    "percent": "%",
    "百分比": "%",
    "pcs": "{pcs}",
    "pc": "{pcs}",
    "piece": "{pcs}",
    "pieces": "{pcs}",
    "件": "{pcs}",
    "个": "{pcs}",
    "mpa": "MPa",
    "kpa": "kPa",
    "kw": "kW",
    "mw": "MW",
    "hz": "Hz",
    "bara": "bar{absolute}",
    "barg": "bar{gauge}",
    "bar(g)": "bar{gauge}",
    "mpa(g)": "MPa{gauge}",
}
"""Other spellings of units, in lower case, and the UCUM code meant."""
