"""What a plant keeps of its stock: items and their demand, from a folder with items.csv and demand.csv, or one Excel workbook.

items:  item, name, unit, lead_time (days), lead_time_sd (days), cost (of one unit), holding_rate (of cost, per year), order_cost,
        service (fill rate, 0.95 or 95 %), on_hand, on_order, on_order_due (date), moq, lot
demand: time (date), item, quantity
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ronghe.apps.inventory.distributions import Floats
from ronghe.apps.inventory.formats.sheet import Sheet
from ronghe.apps.inventory.formats.sheet import read as read_sheet
from ronghe.errors import AppError
from ronghe.text import Text

DAY: Final = 86_400
_ITEMS: Final = {
    "item": ("sku", "part", "material", "物料", "物料编码", "物料号", "编码"),
    "name": ("title", "description", "名称", "物料名称", "描述"),
    "unit": ("uom", "单位"),
    "lead_time": ("lead_time_days", "lead_days", "提前期", "采购提前期", "提前期天数"),
    "lead_time_sd": ("lead_time_std", "提前期标准差"),
    "cost": ("unit_cost", "price", "单价", "成本"),
    "holding_rate": ("holding", "持有费率", "库存持有费率"),
    "order_cost": ("fixed_cost", "订货成本", "订货费用"),
    "service": ("service_target", "fill_rate", "服务水平", "目标满足率", "满足率"),
    "on_hand": ("stock", "库存", "现有库存", "现存量"),
    "on_order": ("在途", "在途量", "已订未到"),
    "on_order_due": ("due", "到货日期", "预计到货"),
    "moq": ("minimum", "最小起订量", "起订量"),
    "lot": ("lot_size", "pack", "批量", "包装量"),
}
_DEMAND: Final = {
    "time": ("date", "day", "日期", "时间"),
    "item": _ITEMS["item"],
    "quantity": ("qty", "demand", "数量", "需求", "需求量", "出库量"),
}
_SERVICE: Final = 0.95
_MOST_PERIODS: Final = 40_000  # a century of days: beyond it a date is wrong
_HOLDING: Final = 0.20  # of cost, per year


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One line of items. Days, units, money; `service` and `holding_rate` parts of 1. `due` s since 1970 UTC, None: not known."""

    item: str
    name: str = ""
    unit: str = ""
    lead_time: float
    lead_time_sd: float = 0.0
    cost: float = 1.0
    holding_rate: float = _HOLDING
    order_cost: float = 0.0
    service: float = _SERVICE
    on_hand: float = 0.0
    on_order: float = 0.0
    due: int | None = None
    moq: float = 0.0
    lot: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Book:
    """All items, and the demand of each per period: float64[periods], the last period being the last of all items. `start` and `period`
    in s; `warnings` say what was read in a way that people should know of."""

    items: tuple[Item, ...]
    demand: dict[str, Floats]
    start: int
    period: int
    warnings: tuple[Text, ...] = ()

    @property
    def end(self) -> int:
        """s since 1970 UTC: the end of the last period."""
        n = max((len(d) for d in self.demand.values()), default=0)
        return self.start + n * self.period


def find(path: Path) -> tuple[Path, Path]:
    """The files of items and of demand. Raises AppError where one is missing."""
    if path.is_file() and path.suffix.lower() in (".xlsx", ".xlsm"):
        return path, path
    if not path.is_dir():
        what = (
            Text("is no folder and no Excel workbook", "不是文件夹，也不是 Excel 工作簿")
            if path.exists()
            else Text("does not exist", "不存在")
        )
        raise AppError(what, where=str(path), todo=_TODO)
    found = []
    for name in ("items", "demand"):
        for suffix in (".csv", ".tsv", ".txt"):
            if (path / f"{name}{suffix}").is_file():
                found.append(path / f"{name}{suffix}")
                break
        else:
            raise AppError(Text(f"there is no {name}.csv", f"缺少 {name}.csv"), where=str(path), todo=_TODO)
    return found[0], found[1]


_TODO: Final = Text(
    "give a folder with items.csv and demand.csv, or a workbook with sheets items and demand; `ronghe inventory example FOLDER` writes one",
    "请提供含 items.csv 与 demand.csv 的文件夹，或含 items 与 demand 工作表的工作簿；`ronghe inventory example 文件夹` 可生成示例",
)


def read(path: Path, *, period: int = DAY) -> Book:
    """Items and demand, the latter summed over periods of so many seconds. Raises AppError, with file and line, for what cannot be."""
    items_at, demand_at = find(path)
    items = _items(read_sheet(items_at, _ITEMS, ("item", "lead_time"), ("items", "物料", "库存")))
    sheet = read_sheet(demand_at, _DEMAND, tuple(_DEMAND), ("demand", "需求", "出库"))
    return _book(items, sheet, period)


def _items(sheet: Sheet) -> tuple[Item, ...]:
    names = sheet.text("item")
    seen: dict[str, int] = {}
    for row, name in enumerate(names):
        if not name:
            raise AppError(Text("a line names no item", "有一行没有物料"), where=sheet.at(row))
        if name in seen:
            first = sheet.line(seen[name])
            raise AppError(Text(f"item {name!r} is on line {first} already", f"物料 {name!r} 已在第 {first} 行"), where=sheet.at(row))
        seen[name] = row
    number = {
        key: sheet.numbers(key, default)
        for key, default in (("lead_time", np.nan), ("lead_time_sd", 0.0), ("cost", 1.0), ("holding_rate", _HOLDING), ("order_cost", 0.0),
                             ("service", _SERVICE), ("on_hand", 0.0), ("on_order", 0.0), ("moq", 0.0), ("lot", 0.0))
    }  # fmt: skip
    service = number["service"]
    service = np.where(service > 1, service / 100, service)
    for row, name in enumerate(names):
        if not np.isfinite(number["lead_time"][row]):
            raise AppError(Text(f"item {name!r} has no lead_time", f"物料 {name!r} 没有提前期"), where=sheet.at(row))
        if not 0.5 <= service[row] <= 0.9999:
            said = sheet.text("service")[row]
            raise AppError(
                Text(f"service is {said}: it must be from 0.5 to 0.9999", f"服务水平为 {said}，应在 0.5 至 0.9999 之间"),
                where=sheet.at(row),
            )
    due = _due(sheet)
    text = {key: sheet.text(key) for key in ("name", "unit")}
    return tuple(
        Item(
            item=name,
            name=text["name"][i],
            unit=text["unit"][i],
            due=due[i],
            service=float(service[i]),
            **{k: float(v[i]) for k, v in number.items() if k != "service"},
        )
        for i, name in enumerate(names)
    )


def _due(sheet: Sheet) -> list[int | None]:
    if "on_order_due" not in sheet.columns:
        return [None] * len(sheet)
    given = sheet.text("on_order_due")
    rows = [i for i, t in enumerate(given) if t]
    out: list[int | None] = [None] * len(sheet)
    for i in rows:
        out[i] = sheet.time("on_order_due", i, given[i])
    return out


def _book(items: tuple[Item, ...], sheet: Sheet, period: int) -> Book:
    quantity = sheet.numbers("quantity")
    missing = np.isnan(quantity)
    if missing.any():
        raise AppError(Text("a line has no quantity", "有一行没有数量"), where=sheet.at(int(np.argmax(missing))))
    time = sheet.times("time")
    known = pa.array([i.item for i in items], pa.string())
    which = pc.index_in(sheet.columns["item"], value_set=known)
    if which.null_count:
        row = int(np.argmax(which.is_null().to_numpy(zero_copy_only=False)))
        said = sheet.columns["item"][row].as_py()
        raise AppError(
            Text(f"item {said!r} is not among the items", f"物料 {said!r} 不在物料清单中"),
            where=sheet.at(row),
            todo=Text("add it to items, or take the line out", "请加入物料清单，或删除该行"),
        )
    at = which.to_numpy(zero_copy_only=False).astype(np.int64)
    grid = min(period, DAY)
    end = (int(time.max()) // grid + 1) * grid  # the last period is a whole one
    start = end - -(-(end - int(time.min())) // period) * period
    place = (time - start) // period
    n = (end - start) // period
    if n > _MOST_PERIODS:
        years = n * period / DAY / 365.25
        raise AppError(
            Text(f"demand spans {years:.0f} years: a date is wrong", f"需求跨越 {years:.0f} 年：日期有误"),
            where=sheet.at(int(time.argmin())),
        )
    total = np.bincount(at * n + place, quantity, len(items) * n).reshape(len(items), n)
    first = np.full(len(items), n)
    np.minimum.at(first, at, place)
    demand = {item.item: np.asarray(total[i, min(first[i], n) :], np.float64) for i, item in enumerate(items)}
    return Book(items, demand, start, period, _doubled(sheet, at, time))


def _doubled(sheet: Sheet, at: NDArray[np.int64], time: NDArray[np.int64]) -> tuple[Text, ...]:
    """Whether an item has two lines of one time: they are orders of one day, or one order written twice; people should look."""
    order = np.lexsort((np.arange(len(at)), time, at))
    same = (np.diff(at[order]) == 0) & (np.diff(time[order]) == 0)
    if not same.any():
        return ()
    k = int(np.argmax(same))
    a, b = int(order[k]), int(order[k + 1])
    n = int(same.sum())
    where = sheet.at(b)
    return (
        Text(
            f"{where}: the same item and time as line {sheet.line(a)}; such lines are added up ({n} in all)",
            f"{where}：与第 {sheet.line(a)} 行物料、时间相同；此类行已累加（共 {n} 行）",
        ),
    )
