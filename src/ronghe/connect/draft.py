"""A first tags.csv and dictionary.csv from what a device was found to offer: to be looked over by a person, not to be believed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from ronghe.connect.driver import Found
from ronghe.errors import RongheError
from ronghe.plant.model import Property, Tag
from ronghe.plant.units import compatible

_CHINESE: Final = {
    "temperature": "温度", "temp": "温度", "pressure": "压力", "speed": "速度", "flow": "流量", "level": "液位", "current": "电流",
    "voltage": "电压", "power": "功率", "energy": "电能", "frequency": "频率", "vibration": "振动", "torque": "扭矩", "position": "位置",
    "humidity": "湿度", "density": "密度", "weight": "重量", "force": "力", "state": "状态", "status": "状态", "alarm": "报警",
    "count": "计数", "counter": "计数", "setpoint": "设定值", "motor": "电机", "pump": "泵", "valve": "阀", "tank": "罐", "oil": "油",
    "water": "水", "air": "空气", "bearing": "轴承", "inlet": "入口", "outlet": "出口", "time": "时间", "name": "名称", "mode": "模式",
}  # fmt: skip


def draft(found: Iterable[Found], connection: str, known: Mapping[str, Property]) -> tuple[list[Tag], list[Property]]:
    """Tags for all that was found, and the properties that they need beyond those `known` in a dictionary already.

    A tag is named by the path of the variable, a property by the variable's own name; one that is in the dictionary with another type or
    an unrelated unit is not used but numbered anew.
    """
    tags: dict[str, Tag] = {}
    properties = dict(known)
    for f in found:
        name = _unused(_path(f.path), tags)
        prop = _property(f, properties)
        properties.setdefault(prop.property, prop)
        unit = "" if f.unit == prop.unit or f.type in ("bool", "text") else f.unit
        tags[name] = Tag(tag=name, property=prop.property, connection=connection, address=f.address, unit=unit, writable=f.writable)
    return list(tags.values()), [p for n, p in properties.items() if n not in known]


def table(rows: Sequence[Sequence[str]], header: Sequence[str]) -> str:
    """Rows under a header, in columns that line up; characters of double width (Chinese) count as two."""
    widths = [max(_width(r[i]) for r in (header, *rows)) for i in range(len(header))]
    lines = ["  ".join(cell + " " * (w - _width(cell)) for cell, w in zip(row, widths, strict=True)).rstrip() for row in (header, *rows)]
    return "\n".join(lines)


def _width(text: str) -> int:
    return sum(
        2 if "\u1100" <= c <= "\u115f" or "\u2e80" <= c <= "\ua4cf" or "\uac00" <= c <= "\ud7a3" or "\uf900" <= c <= "\uffe6" else 1
        for c in text
    )


def _path(path: str) -> str:
    """A legal tag: parts of letters, digits, "_", "-" and "." that begin with a letter or digit."""
    parts = (re.sub(r"[^\w.-]+", "_", part).strip("_.-") for part in path.split("/"))
    return "/".join(p for p in parts if p)[-200:].lstrip("/_.-") or "tag"


def _unused(name: str, taken: Mapping[str, object]) -> str:
    n, candidate = 1, name
    while candidate in taken:
        n += 1
        candidate = f"{name}_{n}"
    return candidate


def _property(f: Found, known: Mapping[str, Property]) -> Property:
    words = [w.lower() for w in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+|[^\W\da-zA-Z_]+", f.path.rpartition("/")[2])]
    name = "_".join(words)[:100] or "value"
    n, candidate = 1, name
    while candidate in known and not _fits(f, known[candidate]):
        n += 1
        candidate = f"{name}_{n}"
    if candidate in known:
        return known[candidate]
    chinese = [_CHINESE.get(w, "") for w in words]
    return Property(
        property=candidate,
        name_en=" ".join(words).capitalize(),
        name_zh="".join(chinese) if all(chinese) else "",
        unit="" if f.type in ("bool", "text") else f.unit,
        type=f.type,
    )


def _fits(f: Found, prop: Property) -> bool:
    if f.type in ("bool", "text") or prop.type in ("bool", "text"):
        return f.type == prop.type
    try:
        return f.unit == prop.unit or (bool(f.unit) and compatible(f.unit, prop.unit))
    except RongheError:
        return False
