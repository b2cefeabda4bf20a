"""Engineering units: the EUInformation that OPC UA servers give (UNECE Recommendation 20, OPC 10000-8, 5.6.3) as UCUM codes."""

from __future__ import annotations

from typing import Final

_UNECE: Final = {
    "CEL": "Cel", "FAH": "[degF]", "KEL": "K", "BAR": "bar", "MBR": "mbar", "PAL": "Pa", "HPA": "hPa", "KPA": "kPa", "MPA": "MPa",
    "PS": "[psi]", "MTR": "m", "MMT": "mm", "CMT": "cm", "4H": "um", "KMT": "km", "INH": "[in_i]", "FOT": "[ft_i]",
    "MTS": "m/s", "2X": "m/min", "C16": "mm/s", "MSK": "m/s2", "KMH": "km/h", "RPM": "1/min", "RPS": "1/s", "C97": "rad/s",
    "KGM": "kg", "GRM": "g", "TNE": "t", "MGM": "mg", "LTR": "L", "MLT": "mL", "MTQ": "m3", "MTK": "m2",
    "MQH": "m3/h", "MQS": "m3/s", "L2": "L/min", "LD": "L/d", "E32": "L/h", "G51": "L/s", "E93": "kg/h", "KGS": "kg/s", "E40": "t/h",
    "SEC": "s", "C26": "ms", "B98": "us", "MIN": "min", "HUR": "h", "DAY": "d", "AMP": "A", "4K": "mA", "VLT": "V", "2Z": "mV",
    "KVT": "kV", "OHM": "Ohm", "WTT": "W", "KWT": "kW", "MAW": "MW", "WHR": "W.h", "KWH": "kW.h", "MWH": "MW.h", "JOU": "J", "KJO": "kJ",
    "D46": "V.A", "KVA": "kV.A", "D44": "var", "KVR": "kvar", "HTZ": "Hz", "KHZ": "kHz", "MHZ": "MHz", "NEW": "N", "B47": "kN",
    "NU": "N.m", "B48": "kN.m", "DD": "deg", "C81": "rad", "P1": "%", "59": "[ppm]", "C62": "", "LUX": "lx", "2N": "dB",
    "KMQ": "kg/m3", "A93": "g/m3", "GL": "g/L", "GP": "mg/m3", "H29": "ug/m3", "D10": "S/m", "C34": "mol", "Q30": "[pH]",
}  # fmt: skip
_WRITTEN: Final = {
    "°C": "Cel", "℃": "Cel", "degC": "Cel", "deg C": "Cel", "°F": "[degF]", "K": "K", "bar": "bar", "mbar": "mbar", "Pa": "Pa",
    "kPa": "kPa", "MPa": "MPa", "psi": "[psi]", "%": "%", "m": "m", "mm": "mm", "cm": "cm", "µm": "um", "μm": "um", "m/s": "m/s",
    "mm/s": "mm/s", "m/s²": "m/s2", "km/h": "km/h", "rpm": "1/min", "r/min": "1/min", "1/min": "1/min", "min⁻¹": "1/min", "U/min": "1/min",
    "kg": "kg", "g": "g", "t": "t", "l": "L", "L": "L", "m³": "m3", "m3": "m3", "m³/h": "m3/h", "m3/h": "m3/h", "l/min": "L/min",
    "L/min": "L/min", "l/h": "L/h", "L/h": "L/h", "l/s": "L/s", "kg/h": "kg/h", "t/h": "t/h", "s": "s", "ms": "ms", "min": "min", "h": "h",
    "A": "A", "mA": "mA", "V": "V", "mV": "mV", "kV": "kV", "Ω": "Ohm", "W": "W", "kW": "kW", "MW": "MW", "Wh": "W.h", "kWh": "kW.h",
    "MWh": "MW.h", "J": "J", "kJ": "kJ", "VA": "V.A", "kVA": "kV.A", "var": "var", "kvar": "kvar", "Hz": "Hz", "kHz": "kHz", "MHz": "MHz",
    "N": "N", "kN": "kN", "Nm": "N.m", "N·m": "N.m", "kNm": "kN.m", "°": "deg", "deg": "deg", "rad": "rad", "ppm": "[ppm]", "pH": "[pH]",
}  # fmt: skip


def ucum(unit_id: int, display: str) -> str:
    """The UCUM code of a unit by its UNECE number (its code's characters as bytes), else as it is written; empty if neither tells."""
    if unit_id > 0:
        code = unit_id.to_bytes(8, "big").lstrip(b"\0").decode("ascii", "replace").strip()
        if code in _UNECE:
            return _UNECE[code]
    return _WRITTEN.get(display.strip(), "")
