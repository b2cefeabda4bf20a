"""The tables of a shop: which there are, their columns, and what the columns are called in English and Chinese."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any, Final, Literal

from ronghe.apps.scheduling.formats.table import cells
from ronghe.apps.scheduling.formats.table.cells import UNITS, Wrong
from ronghe.apps.scheduling.formats.table.sheets import Found, Sheet
from ronghe.plant.problems import nearest

Kind = Literal["name", "text", "number", "signed", "count", "duration", "time", "truth", "names", "amounts"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column. A `required` one must be there and filled; an empty cell of another stands for its default (None here)."""

    name: str
    kind: Kind
    also: tuple[str, ...] = ()
    required: bool = False


def _c(name: str, kind: Kind, *also: str, required: bool = False) -> Column:
    return Column(name, kind, also, required)


_MACHINE: Final = _c("machine", "name", "机器", "设备", "机台", required=True)
_MATERIAL: Final = _c("material", "name", "物料", "材料", required=True)
_PRODUCT: Final = _c("product", "name", "产品", "物料号", required=True)
_QUANTITY: Final = _c("quantity", "number", "qty", "数量", required=True)

TABLES: Final[dict[str, tuple[Column, ...]]] = {
    "settings": (_c("key", "name", "项", "名称", required=True), _c("value", "text", "值", required=True)),
    "machines": (
        _MACHINE,
        _c("family", "name", "换型族", "族"),
        _c("batch", "count", "批", "批容量"),
        _c("power", "number", "power_kw", "kw", "功率"),
    ),
    "orders": (
        _c("order", "name", "订单", "工单", required=True),
        _PRODUCT,
        _c("routing", "name", "工艺路线"),
        _c("quantity", "number", "qty", "数量"),
        _c("release", "time", "earliest", "可开工", "最早开工"),
        _c("due", "time", "交期", "交货期"),
        _c("weight", "number", "priority", "权重", "优先级"),
    ),
    "routings": (
        _PRODUCT,
        _c("step", "name", "operation", "工序", required=True),
        _MACHINE,
        _c("duration", "duration", "fixed", "minutes", "hours", "seconds", "时长", "固定时长"),
        _c("per_piece", "duration", "each", "minutes_per_piece", "seconds_per_piece", "单件时长", "节拍"),
        _c("family", "name", "换型族", "族"),
        _c("people", "amounts", "人员"),
        _c("pauses", "truth", "可中断"),
        _c("after", "names", "前序", "前道工序"),
    ),
    "setups": (
        _c("from", "name", "before", "从", required=True),
        _c("to", "name", "after", "到", required=True),
        _c("machine", "name", "机器", "设备", "机台"),
        _c("duration", "duration", "minutes", "hours", "seconds", "时长", "换型时长", required=True),
    ),
    "calendar": (
        _c("machine", "name", "pool", "who", "机器", "设备", "机台", "人员", required=True),
        _c("from", "time", "start", "从", "开始", required=True),
        _c("to", "time", "end", "到", "结束", required=True),
        _c("why", "text", "原因"),
        _c("stop", "truth", "停机"),
        _c("repeat", "duration", "重复"),
    ),
    "prices": (
        _c("from", "time", "start", "从", "开始", required=True),
        _c("price", "signed", "电价", required=True),
        _c("carbon", "number", "kg_per_kwh", "排放因子"),
    ),
    "people": (_c("pool", "name", "people", "skill", "人员", "技能", required=True), _c("size", "count", "人数", "数量", required=True)),
    "bom": (_PRODUCT, _c("step", "name", "operation", "工序"), _MATERIAL, _QUANTITY),
    "stock": (_MATERIAL, _c("quantity", "number", "qty", "on_hand", "数量", "库存", required=True)),
    "arrivals": (
        _MATERIAL,
        _c("at", "time", "time", "eta", "到货", "到货时间", required=True),
        _QUANTITY,
        _c("source", "text", "来源", "供应商"),
    ),
    "begun": (
        _c("order", "name", "订单", "工单", required=True),
        _c("step", "name", "operation", "工序", required=True),
        _MACHINE,
        _c("start", "time", "开始", required=True),
        _c("end", "time", "结束"),
    ),
}

NAMES: Final[dict[str, str]] = {
    **{name: name for name in TABLES},
    **{
        "设置": "settings",
        "机器": "machines",
        "设备": "machines",
        "订单": "orders",
        "工单": "orders",
        "工艺": "routings",
        "工艺路线": "routings",
    },
    **{
        "换型": "setups",
        "换型时间": "setups",
        "日历": "calendar",
        "人员": "people",
        "物料清单": "bom",
        "库存": "stock",
        "到货": "arrivals",
    },
    **{"已开工": "begun", "materials": "bom", "routing": "routings", "machine": "machines", "order": "orders", "setup": "setups"},
}
"""What a file or sheet may be called → the table that it is."""

_UNIT: Final = re.compile(r"^(.*?)[\s_]*[(（\[]\s*([^)）\]]*?)\s*[)）\]]$")
_OF_NAME: Final = {"minutes": 60.0, "hours": 3600.0, "seconds": 1.0, "minutes_per_piece": 60.0, "seconds_per_piece": 1.0}


@dataclass(frozen=True, slots=True)
class Row:
    """One line, read. `values` holds what was filled."""

    sheet: Sheet
    line: int
    values: dict[str, Any]
    columns: dict[str, int]

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a column, the default where it is not filled."""
        return self.values.get(name, default)

    def wrong(self, found: Found, name: str, en: str, zh: str, meant: str = "") -> None:
        """Something is wrong with this line's cell in the column `name`."""
        found.error(self.sheet, self.line, self.columns.get(name), en, zh, meant)


def rows(sheet: Sheet, zone: tzinfo, found: Found) -> list[Row]:
    """Every line that can be read whole; what is wrong with the others is in `found`."""
    readers = _header(sheet, zone, found)
    if readers is None:
        return []
    columns = {c.name: i for i, c, _ in readers}
    read: list[Row] = []
    for line, line_cells in sheet.rows:
        values: dict[str, Any] = {}
        whole = True
        for i, column, reader in readers:
            cell = line_cells[i] if i < len(line_cells) else None
            empty = cell is None or (isinstance(cell, str) and not cell.strip())
            try:
                if not empty:
                    values[column.name] = reader(cell)
                elif column.required:
                    raise Wrong("is empty", "为空")
            except Wrong as e:
                found.error(sheet, line, i, e.en, e.zh, e.meant)
                whole = False
        if whole:
            read.append(Row(sheet, line, values, columns))
    return read


def _header(sheet: Sheet, zone: tzinfo, found: Found) -> list[tuple[int, Column, Callable[[Any], Any]]] | None:
    known = {alias: c for c in TABLES[sheet.name] for alias in (c.name, *c.also)}
    at: dict[str, tuple[int, Column, Callable[[Any], Any]]] = {}
    usable = True
    for i, title in enumerate(sheet.header):
        name, unit = _title(title, known)
        if not name:
            continue
        column = known.get(name)
        if column is None:
            if "，" in title:
                found.error(
                    sheet, sheet.header_line, i, "columns are divided by ',' and not by '，'", "列之间应使用英文逗号 ','，而不是 '，'"
                )
            else:
                found.error(
                    sheet,
                    sheet.header_line,
                    i,
                    f"no column is called {title[:60]!r}",
                    f"没有名为 {title[:60]!r} 的列",
                    nearest(name, known),
                )
        elif column.name in at:
            found.error(sheet, sheet.header_line, i, f"the column {column.name!r} appears twice", f"列 {column.name!r} 重复出现")
        elif unit and column.kind == "duration" and unit not in UNITS:
            found.error(
                sheet, sheet.header_line, i, f"{unit!r} is not a unit of time; s, min, h, d", f"{unit!r} 不是时间单位，可用 s、min、h、d"
            )
            usable = False
        else:
            factor = UNITS.get(unit) if unit else _OF_NAME.get(name)
            at[column.name] = i, column, _reader(column.kind, factor, zone)
    for column in TABLES[sheet.name]:
        if column.required and column.name not in at:
            found.error(sheet, sheet.header_line, None, f"the column {column.name!r} is missing", f"缺少列 {column.name!r}")
            usable = False
    return list(at.values()) if usable else None


def _title(title: str, known: dict[str, Column]) -> tuple[str, str]:
    """(column, unit) of a header: "Duration (min)", "duration_min", "时长（分钟）"."""
    said = title.strip().lower()
    if match := _UNIT.match(said):
        return re.sub(r"[\s_]+", "_", match[1].strip()), match[2]
    said = re.sub(r"[\s_]+", "_", said)
    head, _, tail = said.rpartition("_")
    if said not in known and head in known and tail in UNITS:
        return head, tail
    return said, ""


def _reader(kind: Kind, unit: float | None, zone: tzinfo) -> Callable[[Any], Any]:
    readers: dict[Kind, Callable[[Any], Any]] = {
        "name": cells.word,
        "text": lambda cell: str(cell).strip(),
        "number": cells.number,
        "signed": cells.signed,
        "count": cells.count,
        "truth": cells.truth,
        "names": cells.names,
        "amounts": cells.amounts,
    }
    if kind == "duration":
        return cells.duration(unit)
    return cells.moment(zone) if kind == "time" else readers[kind]
