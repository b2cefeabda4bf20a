"""Engineering units: the EUInformation that OPC UA servers give (UNECE Recommendation 20, OPC 10000-8, 5.6.3) as UCUM codes."""

from __future__ import annotations

from typing import Final

from ronghe.errors import RongheError
from ronghe.plant.units import parse, suggest

UNECE: Final = {
    "CEL": "Cel", "FAH": "[degF]", "KEL": "K", "BAR": "bar", "MBR": "mbar", "PAL": "Pa", "HPA": "hPa", "KPA": "kPa", "MPA": "MPa",
    "PS": "[psi]", "MTR": "m", "MMT": "mm", "CMT": "cm", "4H": "um", "KMT": "km", "INH": "[in_i]", "FOT": "[ft_i]",
    "MTS": "m/s", "2X": "m/min", "C16": "mm/s", "MSK": "m/s2", "KMH": "km/h", "RPM": "1/min", "RPS": "1/s", "C97": "rad/s",
    "KGM": "kg", "GRM": "g", "TNE": "t", "MGM": "mg", "LTR": "L", "MLT": "mL", "MTQ": "m3", "MTK": "m2",
    "MQH": "m3/h", "MQS": "m3/s", "L2": "L/min", "LD": "L/d", "E32": "L/h", "G51": "L/s", "E93": "kg/h", "KGS": "kg/s", "E40": "t/h",
    "SEC": "s", "C26": "ms", "B98": "us", "MIN": "min", "HUR": "h", "DAY": "d", "AMP": "A", "4K": "mA", "VLT": "V", "2Z": "mV",
    "KVT": "kV", "OHM": "Ohm", "WTT": "W", "KWT": "kW", "MAW": "MW", "WHR": "W.h", "KWH": "kW.h", "MWH": "MW.h", "JOU": "J", "KJO": "kJ",
    "D46": "V.A", "KVA": "kV.A", "D44": "V.A{reactive}", "KVR": "kV.A{reactive}",
    "HTZ": "Hz", "KHZ": "kHz", "MHZ": "MHz", "NEW": "N", "B47": "kN",
    "NU": "N.m", "B48": "kN.m", "DD": "deg", "C81": "rad", "P1": "%", "59": "[ppm]", "C62": "", "LUX": "lx", "2N": "dB",
    "KMQ": "kg/m3", "A93": "g/m3", "GL": "g/L", "GP": "mg/m3", "H29": "ug/m3", "D10": "S/m", "C34": "mol", "Q30": "[pH]",
}  # fmt: skip


_SPOKEN: Final = {"pH": "[pH]", "U/min": "1/min"}
"""Written as devices do, and something else in UCUM: a picohenry, enzyme units a minute."""


def ucum(unit_id: int, display: str) -> str:
    """The UCUM code of a unit by its UNECE number (its code's characters as bytes), else as it is written; empty if neither tells."""
    if unit_id > 0:
        code = unit_id.to_bytes(8, "big").lstrip(b"\0").decode("ascii", "replace").strip()
        if code in UNECE:
            return UNECE[code]
    display = display.strip()
    if display in _SPOKEN:
        return _SPOKEN[display]
    try:
        parse(display)
        return display
    except RongheError:
        return suggest(display)
