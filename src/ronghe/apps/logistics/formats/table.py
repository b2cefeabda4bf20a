"""A folder of CSV files, or a book of sheets of the same names: places, orders, vehicles; distances, aisles, settings where there are any.

Distances become whole metres, times whole seconds, amounts thousandths, money millionths of the currency. Demands are rounded up,
capacities down. Where no vehicle states a cost, the cost is the kilometres.
"""

from __future__ import annotations

import csv
import math
import re
import tempfile
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from ronghe.apps.logistics import roads as ways
from ronghe.apps.logistics.formats.refusing import Origin
from ronghe.apps.logistics.formats.rows import AisleRow, DistanceRow, OrderRow, PlaceRow, SettingRow, Settings, VehicleRow
from ronghe.apps.logistics.problem import FOREVER, Depot, Order, Place, Problem, Roads, Vehicle
from ronghe.apps.logistics.sound import MOST, Kind
from ronghe.errors import AppError, MissingExtra, RongheError
from ronghe.plant.problems import Problems
from ronghe.plant.table import read_table
from ronghe.signals.when import parse_duration, parse_time
from ronghe.text import Text

Row = TypeVar("Row", bound=msgspec.Struct)

MONEY: Final = 1_000_000
GRAIN: Final = 1000
_DIMENSIONS: Final = ("quantity", "weight_kg", "volume_m3")
_SHEETS: Final = ("places", "orders", "vehicles", "distances", "aisles", "settings")
_CLOCK: Final = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?")
_DAY: Final = 86_400_000_000_000  # ns


def read(path: Path) -> tuple[Problem, Origin]:
    """The problem of a folder or book. Raises AppError for the first thing that is wrong, MissingExtra for a book without openpyxl."""
    if path.is_dir():
        return _Tables(path, path.name, {}).problem()
    with tempfile.TemporaryDirectory() as folder:
        return _Tables(Path(folder), path.stem, _unfolded(path, Path(folder))).problem()


def _unfolded(book: Path, folder: Path) -> dict[str, str]:
    """Writes the sheets of a book as CSV files; gives file → how it is called in messages."""
    try:
        import openpyxl
    except ImportError as e:
        raise MissingExtra("planning", Text("reading an Excel book", "读取 Excel 工作簿")) from e
    try:
        opened = openpyxl.load_workbook(book, read_only=True, data_only=True)
    except Exception as e:  # openpyxl raises whatever its parts raise: zipfile, XML, KeyError
        raise AppError(Text(f"this is no Excel book: {e}", f"不是 Excel 工作簿：{e}"), where=str(book)) from e
    said: dict[str, str] = {}
    for sheet in opened.worksheets:
        name = sheet.title.strip().lower()
        if name not in _SHEETS:
            continue
        said[f"{name}.csv"] = f"{book}[{sheet.title}]"
        with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as out:
            writer = csv.writer(out)
            for i, cells in enumerate(sheet.iter_rows(values_only=True)):
                if i > _most(name):
                    break
                writer.writerow(["" if c is None else _cell(c) for c in cells])
    opened.close()
    return said


def _cell(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _most(name: str) -> int:
    """Lines that one table may have, comments included."""
    return 2_000_000 if name in ("distances", "aisles") else 2 * MOST


class _Tables:
    """The tables of one problem."""

    def __init__(self, folder: Path, name: str, called: dict[str, str]) -> None:
        self._folder, self._name, self._called = folder, name, called
        self._told = Problems()
        self._origin = Origin(self._of("orders.csv", 0))
        self._settings = self._read_settings()
        self._start = self._moment(self._settings.start, self._of("settings.csv", 0)) if self._settings.start else 0

    def _of(self, file: str, line: int) -> str:
        shown = self._called.get(file, str(self._folder / file))
        return f"{shown}:{line}" if line else shown

    def _wrong(self, where: str, en: str, zh: str) -> NoReturn:
        raise AppError(Text(en, zh), where=where)

    def _rows(self, name: str, kind: type[Row], *, needed: bool = True) -> list[tuple[str, Row]]:
        """("file:line", row) of a table. Raises AppError for the first thing that is wrong in it."""
        path = self._folder / f"{name}.csv"
        if not path.is_file():
            if needed:
                self._wrong(self._of(path.name, 0), f"the table {name!r} is missing", f"缺少表 {name!r}")
            return []
        with path.open("rb") as file:
            lines = sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))
        if lines > _most(name):
            en = f"{lines} lines: at most {MOST} {name} can be planned at once" if name in _SHEETS[:3] else f"{lines} lines are too many"
            self._wrong(self._of(path.name, 0), en, f"共 {lines} 行：一次最多规划 {MOST} 项")
        rows = read_table(path, kind, self._told)
        errors = [p for p in self._told.found if p.severity == "error"]
        if errors:
            p = errors[0]
            hint = Text(f"did you mean {p.meant!r}?", f"是否想写 {p.meant!r}？") if p.meant else Text("")
            raise AppError(p.what, where=self._of(p.file, p.line), todo=hint)
        return [(self._of(path.name, line), row) for line, row in rows]

    def _read_settings(self) -> Settings:
        said = {row.name: (where, row.value) for where, row in self._rows("settings", SettingRow, needed=False)}
        values: dict[str, Any] = {}
        for f in msgspec.structs.fields(Settings):
            if f.name in said:
                where, text = said.pop(f.name)
                values[f.name] = self._positive(where, f.name, text) if f.type is float else text
        for name, (where, _) in said.items():
            self._wrong(where, f"a setting {name!r} is not known", f"没有设置项 {name!r}")
        return Settings(**values)

    def _positive(self, where: str, name: str, text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (value > 0 and math.isfinite(value)):
            self._wrong(where, f"{name} is {text!r}, not a number above 0", f"{name} 为 {text!r}，应为大于 0 的数字")
        return value

    # --- times ------------------------------------------------------------------------------------------------------------------

    def _moment(self, text: str, where: str) -> int:
        try:
            return parse_time(text, 0)
        except RongheError as e:
            raise AppError(e.what, where=where, todo=e.todo) from e

    def _at(self, text: str, where: str, default: int) -> int:
        """Ticks of a time of day on the first day, or of a point in time. Before the start: 0."""
        if not text:
            return default
        match = _CLOCK.fullmatch(text)
        if match is not None:
            midnight = self._start - self._start % _DAY
            hours, minutes, rest = int(match[1]), int(match[2]), int(match[3] or 0)
            ns = midnight - self._start + (hours * 3600 + minutes * 60 + rest) * 1_000_000_000
        elif not self._start:
            self._wrong(
                where, f"{text!r}: without a setting start, times are hours and minutes", f"{text!r}：未设置 start 时，时间应写为时:分"
            )
        else:
            ns = self._moment(text, where) - self._start
        return max(0, ns // 1_000_000_000)

    def _lasting(self, text: str, where: str) -> int:
        if not text:
            return 0
        try:
            return parse_duration(text) // 1_000_000_000
        except RongheError as e:
            raise AppError(e.what, where=where, todo=e.todo) from e

    # --- the problem ------------------------------------------------------------------------------------------------------------

    def problem(self) -> tuple[Problem, Origin]:
        """Everything together."""
        places = self._rows("places", PlaceRow)
        orders = self._rows("orders", OrderRow)
        fleet = self._rows("vehicles", VehicleRow)
        for name, rows in (("places", places), ("orders", orders)):
            if len(rows) > MOST:
                self._wrong(rows[MOST][0], f"more than {MOST} {name}: too many to plan at once", f"超过 {MOST} 项，无法一次规划")
        self._note("place", places)
        self._note("order", orders)
        used = self._used(orders, fleet)
        lonlat = any(row.lon is not None for _, row in places)
        speeds = sorted({row.speed_kmh or self._settings.speed_kmh for _, row in fleet})
        for where, row in fleet:
            if row.speed_kmh is not None and row.speed_kmh <= 0:
                self._wrong(where, f"speed_kmh is {row.speed_kmh:g}: more than 0", f"speed_kmh 为 {row.speed_kmh:g}，应大于 0")
        problem = Problem(
            places=tuple(Place(name=r.name, title=r.title, x=_or(r.lon, r.x), y=_or(r.lat, r.y)) for _, r in places),
            depots=tuple(self._depot(where, row) for where, row in places if row.depot),
            orders=tuple(self._order(where, row, used) for where, row in orders),
            vehicles=tuple(v for where, row in fleet for v in self._vehicles(where, row, used, free=_free(fleet))),
            roads=self._roads(places, speeds),
            start=self._start,
            metre=1.0,
            money=MONEY,
            currency=self._settings.currency or ("km" if _free(fleet) else ""),
            dimensions=tuple(_DIMENSIONS[d] for d in used),
            grain=GRAIN,
            weight=used.index(1) if 1 in used else None,
            map="lonlat" if lonlat else "plane",
            detour=self._settings.detour,
            name=self._settings.name or self._name,
        )
        return problem, self._origin

    def _note(self, kind: Kind, rows: list[tuple[str, Any]]) -> None:
        for where, row in rows:
            key = (kind, row.name)
            if key in self._origin.lines:
                zh = {"place": "地点", "order": "订单", "vehicle": "车辆"}[kind]
                self._wrong(where, f"a second {kind} is called {row.name!r}", f"{zh} {row.name!r} 重名")
            self._origin.lines[key] = where

    def _used(self, orders: list[tuple[str, OrderRow]], fleet: list[tuple[str, VehicleRow]]) -> list[int]:
        """Dimensions that are both asked for and limited; weight also where carbon depends on it."""
        asked = [any(x.quantity or x.collect_quantity for _, x in orders)]
        asked += [any(x.weight_kg or x.collect_weight_kg for _, x in orders), any(x.volume_m3 or x.collect_volume_m3 for _, x in orders)]
        limited = [any(getattr(v, name) is not None for _, v in fleet) for name in _DIMENSIONS]
        limited[1] = limited[1] or any(v.kg_co2_per_tkm is not None for _, v in fleet)
        return [d for d in range(3) if asked[d] and limited[d]] or [0]

    def _depot(self, where: str, row: PlaceRow) -> Depot:
        self._origin.lines["depot", row.name] = where
        opens, closes = self._at(row.opens, where, 0), self._at(row.closes, where, FOREVER)
        return Depot(place=row.name, opens=opens, closes=closes, loading=self._lasting(row.loading, where))

    def _order(self, where: str, row: OrderRow, used: list[int]) -> Order:
        brought = (row.quantity, row.weight_kg, row.volume_m3)
        fetched = (row.collect_quantity, row.collect_weight_kg, row.collect_volume_m3)
        for text in (row.latest, row.origin_latest):
            if text and self._at(text, where, 0) == 0:
                self._wrong(where, f"{text} is not after the start of the plan", f"{text} 不晚于规划起点")
        return Order(
            name=row.name,
            place=row.place,
            delivery=tuple(_up(brought[d]) for d in used),
            pickup=tuple(_up(fetched[d]) for d in used) if any(fetched) else (),
            earliest=self._at(row.earliest, where, 0),
            latest=self._at(row.latest, where, FOREVER),
            service=self._lasting(row.service, where),
            release=self._at(row.release, where, 0),
            origin=row.origin,
            origin_earliest=self._at(row.origin_earliest, where, 0),
            origin_latest=self._at(row.origin_latest, where, FOREVER),
            origin_service=self._lasting(row.origin_service, where),
            prize=None if row.value is None else round(row.value * MONEY),
            only=tuple(row.vehicles.split()),
        )

    def _vehicles(self, where: str, row: VehicleRow, used: list[int], *, free: bool) -> list[Vehicle]:
        """The vehicles of a line."""
        n = int(row.count)
        if n != row.count or not 1 <= n <= MOST:
            self._wrong(where, f"count is {row.count:g}: a whole number, 1..{MOST}", f"count 为 {row.count:g}，应为 1..{MOST} 的整数")
        room = (row.quantity, row.weight_kg, row.volume_m3)
        one = Vehicle(
            name=row.name,
            title=row.title,
            start=row.start,
            end=row.end or row.start,
            capacity=tuple(FOREVER if room[d] is None else _down(room[d]) for d in used),
            fixed=round(row.fixed * MONEY),
            per_distance=round((1.0 if free else row.per_km) * MONEY / 1000),
            per_tick=round(row.per_hour * MONEY / 3600),
            earliest=self._at(row.shift_start, where, 0),
            latest=self._at(row.shift_end, where, FOREVER),
            max_duration=FOREVER if row.max_hours is None else round(row.max_hours * 3600),
            max_distance=FOREVER if row.max_km is None else round(row.max_km * 1000),
            reloads=tuple(row.reload.split()) or ((row.start,) if row.trips > 1 else ()),
            max_trips=int(row.trips),
            roads=f"{row.speed_kmh or self._settings.speed_kmh:g}",
            carbon=row.kg_co2_per_km,
            carbon_load=row.kg_co2_per_tkm,
        )
        made = [one] if n == 1 else [msgspec.structs.replace(one, name=f"{row.name}-{i + 1}") for i in range(n)]
        self._note("vehicle", [(where, v) for v in made])
        return made

    # --- ways -------------------------------------------------------------------------------------------------------------------

    def _roads(self, places: list[tuple[str, PlaceRow]], speeds: list[float]) -> dict[str, Roads]:
        names = [row.name for _, row in places]
        metres = self._by_aisles(places, names)
        if metres is None:
            metres = self._by_coordinates(places)
        index = {name: i for i, name in enumerate(names)}
        took: dict[tuple[int, int], int] = {}
        for where, d in self._rows("distances", DistanceRow, needed=False):
            if d.origin not in index or d.destination not in index:
                name = d.origin if d.origin not in index else d.destination
                self._wrong(where, f"there is no place {name!r}", f"没有地点 {name!r}")
            if d.km < 0 or (d.minutes or 0) < 0:
                self._wrong(where, "a distance or time is negative", "距离或时间为负")
            pair = index[d.origin], index[d.destination]
            metres[pair] = round(d.km * 1000)
            if d.minutes is not None:
                took[pair] = math.ceil(d.minutes * 60 - 1e-9)
        if (metres < 0).any():
            i, j = np.argwhere(metres < 0)[0]
            self._wrong(
                places[i][0],
                f"how far is it from {names[i]} to {names[j]}? Neither coordinates nor a distance say so",
                f"{names[i]} 到 {names[j]} 的距离未知：缺少坐标或距离",
            )
        out: dict[str, Roads] = {}
        for speed in speeds or [self._settings.speed_kmh]:
            duration = ways.seconds(metres, speed)
            for pair, t in took.items():
                duration[pair] = t
            out[f"{speed:g}"] = Roads(distance=metres, duration=duration, kmh=speed)
        return out

    def _by_coordinates(self, places: list[tuple[str, PlaceRow]]) -> NDArray[np.int64]:
        """Whole metres; -1 between places of which one has no coordinates."""
        lonlat = [(where, row) for where, row in places if row.lon is not None]
        for where, row in lonlat:
            if row.lat is None or not (-180 <= (row.lon or 0) <= 180 and -90 <= row.lat <= 90):
                self._wrong(where, "lon must be -180..180 and lat -90..90, in degrees", "lon 应为 -180..180，lat 应为 -90..90（度）")
            if row.x is not None:
                self._wrong(where, "a place has x and y, or lon and lat, not both", "地点只能写 x、y 或 lon、lat 之一")
        if lonlat and any(row.x is not None for _, row in places):
            self._wrong(lonlat[0][0], "all places have x and y, or all have lon and lat", "所有地点须统一使用 x、y 或 lon、lat")
        a = np.array([_or(r.lon, r.x) if _placed(r) else np.nan for _, r in places])
        b = np.array([_or(r.lat, r.y) if _placed(r) else np.nan for _, r in places])
        known = ~np.isnan(a)
        measure = ways.lonlat if lonlat else ways.plane
        metres = measure(np.nan_to_num(a), np.nan_to_num(b), self._settings.detour)
        metres[~known, :] = -1
        metres[:, ~known] = -1
        np.fill_diagonal(metres, 0)
        return metres

    def _by_aisles(self, places: list[tuple[str, PlaceRow]], names: list[str]) -> NDArray[np.int64] | None:
        rows = self._rows("aisles", AisleRow, needed=False)
        if not rows:
            return None
        for where, row in rows:
            if not row.metres > 0:
                self._wrong(where, f"metres is {row.metres:g}: more than 0", f"metres 为 {row.metres:g}，应大于 0")
        metres = ways.aisles(names, [(r.a, r.b, r.metres, r.one_way) for _, r in rows])
        if np.isinf(metres).any():
            i, j = np.argwhere(np.isinf(metres))[0]
            self._wrong(places[i][0], f"no aisle leads from {names[i]} to {names[j]}", f"没有通道从 {names[i]} 通往 {names[j]}")
        return np.round(metres).astype(np.int64)


def _free(fleet: list[tuple[str, VehicleRow]]) -> bool:
    """Whether no vehicle states any cost."""
    return not any(v.fixed or v.per_km or v.per_hour for _, v in fleet)


def _placed(row: PlaceRow) -> bool:
    return (row.x is not None and row.y is not None) or (row.lon is not None and row.lat is not None)


def _or(a: float | None, b: float | None) -> float:
    return a if a is not None else b if b is not None else 0.0


def _up(amount: float) -> int:
    return math.ceil(amount * GRAIN - 1e-6)


def _down(amount: float | None) -> int:
    return math.floor((amount or 0.0) * GRAIN + 1e-6)
