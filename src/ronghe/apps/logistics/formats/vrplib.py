"""VRPLIB files (TSPLIB 95 with the additions of CVRPLIB and PyVRP), and the solutions beside them.

Distances are rounded as the benchmark's best-known values were (see `CONVENTION`): CVRP to the nearest integer (Uchoa et al. 2017), VRPTW
truncated to one decimal (12th DIMACS challenge), everything else to three decimals. Travel time is distance.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NoReturn

import numpy as np
from numpy.typing import NDArray

from ronghe.apps.logistics.formats.refusing import Origin
from ronghe.apps.logistics.problem import FOREVER, Depot, Order, Place, Problem, Roads, Vehicle
from ronghe.apps.logistics.schedule import Facts, Visit, plan
from ronghe.apps.logistics.sound import MOST
from ronghe.errors import AppError
from ronghe.plant.problems import Problems
from ronghe.plant.textfile import read_text
from ronghe.text import Text

Numbers = NDArray[np.float64]

CONVENTION: Final[dict[str, tuple[int, bool]]] = {"CVRP": (1, False), "VRPTW": (10, True)}
"""Type → (units of distance in one, whether the rest is cut off instead of rounded)."""
_EXACT: Final = (1000, False)
_HUNDREDTHS: Final = 100  # the heterogeneous fleets' files state costs in hundredths of the published ones

_SECTIONS: Final = frozenset(
    {
        "NODE_COORD",
        "DEMAND",
        "BACKHAUL",
        "SERVICE_TIME",
        "TIME_WINDOW",
        "RELEASE_TIME",
        "PRIZE",
        "CAPACITY",
        "DEPOT",
        "EDGE_WEIGHT",
        "VEHICLES_DEPOT",
        "VEHICLES_FIXED_COST",
        "VEHICLES_UNIT_DISTANCE_COST",
        "VEHICLES_MAX_DURATION",
        "VEHICLES_MAX_DISTANCE",
    }
)
_SPECIFICATIONS: Final = frozenset(
    {
        "NAME",
        "COMMENT",
        "TYPE",
        "DIMENSION",
        "VEHICLES",
        "CAPACITY",
        "SERVICE_TIME",
        "EDGE_WEIGHT_TYPE",
        "EDGE_WEIGHT_FORMAT",
        "NODE_COORD_TYPE",
        "VEHICLES_MAX_DURATION",
        "VEHICLES_MAX_DISTANCE",
        "DISTANCE",
        "DISPLAY_DATA_TYPE",
        "RELEASE_TIME",
        "VEHICLES_FIXED_COST",
        "VEHICLES_UNIT_DISTANCE_COST",
    }
)


@dataclass(slots=True)
class _File:
    """What a file says: specification → (line, text); section → (line, cells) of each of its lines."""

    path: Path
    said: dict[str, tuple[int, str]] = field(default_factory=dict)
    sections: dict[str, list[tuple[int, list[str]]]] = field(default_factory=dict)

    def wrong(self, line: int, en: str, zh: str) -> NoReturn:
        raise AppError(Text(en, zh), where=f"{self.path}:{line}" if line else str(self.path))

    def word(self, key: str, default: str = "") -> str:
        return self.said.get(key, (0, default))[1].upper()

    def number(self, key: str) -> float | None:
        if key not in self.said:
            return None
        line, text = self.said[key]
        return self.value(line, text, key)

    def value(self, line: int, text: str, what: str) -> float:
        try:
            value = float(text)
        except ValueError:
            self.wrong(line, f"{what} is {text[:40]!r}, not a number", f"{what} 为 {text[:40]!r}，不是数字")
        if not np.isfinite(value) or abs(value) > 1e9:
            self.wrong(line, f"{what} is {text}: too large, or not finite", f"{what} 为 {text}：过大或非有限值")
        return value

    def column(self, section: str, n: int, width: int = 1) -> Numbers | None:
        """float64[n, width] of a section with an index in front; None where the file does not have it."""
        if section not in self.sections:
            return None
        out = np.zeros((n, width))
        seen = np.zeros(n, np.bool_)
        for line, cells in self.sections[section]:
            i = int(self.value(line, cells[0], f"{section} index"))
            if not 1 <= i <= n or len(cells) != width + 1:
                self.wrong(line, f"{section}: not an index 1..{n} and {width} number(s)", f"{section}：应为序号 1..{n} 加 {width} 个数")
            if seen[i - 1]:
                self.wrong(line, f"{section}: {i} appears twice", f"{section}：{i} 重复")
            seen[i - 1] = True
            out[i - 1] = [self.value(line, c, section) for c in cells[1:]]
        if not seen.all():
            missing = int(np.argmin(seen)) + 1
            self.wrong(
                self.sections[section][0][0] if self.sections[section] else 0,
                f"{section}: {missing} is missing",
                f"{section}：缺少 {missing}",
            )
        return out

    def lines(self, section: str) -> dict[str, str]:
        """Index → "file:line" of a section."""
        return {cells[0]: f"{self.path}:{line}" for line, cells in self.sections.get(section, ())}


def read(path: Path) -> tuple[Problem, Origin]:
    """The problem of a file; places and orders have the numbers that solutions use: depots first, from 0. Raises AppError."""
    file = _parse(path)
    n = _dimension(file)
    scale, cut = CONVENTION.get(file.word("TYPE", "CVRP"), _EXACT)

    def rounded(values: Numbers) -> NDArray[np.int64]:
        return (values * scale).astype(np.int64) if cut else np.round(values * scale).astype(np.int64)

    coordinates = file.column("NODE_COORD", n, 2)
    distance = rounded(_distances(file, n, coordinates))
    depots = _depots(file)
    windows = file.column("TIME_WINDOW", n, 2)
    opening = rounded(windows) if windows is not None else np.tile(np.array([0, FOREVER], np.int64), (n, 1))
    origin = Origin(str(path))
    xy = coordinates if coordinates is not None else np.zeros((n, 2))
    problem = Problem(
        places=tuple(Place(name=str(i), x=float(xy[i, 0]), y=float(xy[i, 1])) for i in range(n)),
        depots=tuple(Depot(place=str(i), opens=int(opening[i, 0]), closes=int(opening[i, 1])) for i in range(depots)),
        orders=_orders(file, n, depots, opening, rounded, origin),
        vehicles=_vehicles(file, n, depots, scale, rounded),
        roads={"": Roads(distance=distance, duration=distance)},
        tick=1 / scale,
        money=scale * (_HUNDREDTHS if file.word("TYPE") == "HFVRP" else 1),
        name=file.said.get("NAME", (0, path.stem))[1],
    )
    return problem, origin


def _parse(path: Path) -> _File:
    told = Problems()
    text = read_text(path, told)
    if text is None:
        raise AppError(told.found[0].what, where=f"{path}:{told.found[0].line}" if told.found[0].line else str(path))
    file = _File(path)
    section = ""
    for line, raw in enumerate(text.split("\n"), 1):
        cells = raw.split()
        if not cells:
            continue
        word = cells[0].rstrip(":").upper()
        if word == "EOF":
            break
        if word.endswith("_SECTION"):
            section = word.removesuffix("_SECTION")
            if section not in _SECTIONS:
                file.wrong(line, f"a section {section} is not known", f"不支持的段 {section}")
            file.sections[section] = []
        elif ":" in raw and not _is_number(cells[0]):
            key, _, value = raw.partition(":")
            key = key.strip().upper()
            if key not in _SPECIFICATIONS:
                file.wrong(line, f"{key[:40]!r} is not known in a VRPLIB file", f"VRPLIB 文件中不支持 {key[:40]!r}")
            file.said[key] = (line, value.strip())
        elif not section:
            file.wrong(line, "this is no VRPLIB file: a line 'KEY : value' was expected", "不是 VRPLIB 文件：应为“KEY : value”")
        else:
            file.sections[section].append((line, cells))
            if len(file.sections[section]) > MOST and section != "EDGE_WEIGHT":
                file.wrong(
                    line, f"{section} has more than {MOST} lines: too many to plan at once", f"{section} 超过 {MOST} 行，无法一次规划"
                )
    if not file.said:
        file.wrong(1, "this is no VRPLIB file: it is empty", "不是 VRPLIB 文件：文件为空")
    return file


def _is_number(cell: str) -> bool:
    return re.fullmatch(r"[-+]?[\d.]+([eE][-+]?\d+)?", cell) is not None


def _dimension(file: _File) -> int:
    n = file.number("DIMENSION")
    if n is None:
        file.wrong(0, "DIMENSION is missing", "缺少 DIMENSION")
    line = file.said["DIMENSION"][0]
    if n < 2 or n != int(n):
        file.wrong(line, f"DIMENSION is {n:g}: a depot and an order at least", f"DIMENSION 为 {n:g}：至少一个仓库和一个订单")
    if n > MOST:
        file.wrong(line, f"{n:.0f} places, at most {MOST} can be planned at once", f"{n:.0f} 个地点，一次最多规划 {MOST} 个")
    return int(n)


def _distances(file: _File, n: int, coordinates: Numbers | None) -> Numbers:
    kind = file.word("EDGE_WEIGHT_TYPE", "EUC_2D")
    line = file.said.get("EDGE_WEIGHT_TYPE", (0, ""))[0]
    if kind == "EUC_2D":
        if coordinates is None:
            file.wrong(line, "NODE_COORD_SECTION is missing", "缺少 NODE_COORD_SECTION")
        apart = coordinates[:, None, :] - coordinates[None, :, :]
        return np.sqrt((apart**2).sum(axis=2))
    form = file.word("EDGE_WEIGHT_FORMAT")
    if kind != "EXPLICIT" or form not in ("FULL_MATRIX", "LOWER_ROW"):
        file.wrong(
            line, f"distances {kind} {form} are not known: EUC_2D, or EXPLICIT as FULL_MATRIX or LOWER_ROW", f"不支持距离 {kind} {form}"
        )
    values = np.array([file.value(at, c, "EDGE_WEIGHT") for at, cells in file.sections.get("EDGE_WEIGHT", ()) for c in cells])
    needed = n * n if form == "FULL_MATRIX" else n * (n - 1) // 2
    if len(values) != needed:
        file.wrong(
            line,
            f"EDGE_WEIGHT_SECTION has {len(values)} numbers, not {needed}",
            f"EDGE_WEIGHT_SECTION 有 {len(values)} 个数，应为 {needed}",
        )
    if form == "FULL_MATRIX":
        return values.reshape(n, n)
    whole = np.zeros((n, n))
    whole[np.tril_indices(n, -1)] = values
    return whole + whole.T


def _depots(file: _File) -> int:
    """How many depots there are; they are the first places."""
    cells = [(line, c) for line, cells in file.sections.get("DEPOT", ()) for c in cells if c != "-1"]
    for k, (line, c) in enumerate(cells):
        if c != str(k + 1):
            file.wrong(line, f"depot {c}: depots must be the first places, in order", f"仓库 {c}：仓库须为最前的地点并按序排列")
    return max(1, len(cells))


def _orders(
    file: _File, n: int, depots: int, opening: NDArray[np.int64], rounded: Callable[[Numbers], NDArray[np.int64]], origin: Origin
) -> tuple[Order, ...]:
    demand = file.column("DEMAND", n)
    backhaul = file.column("BACKHAUL", n)
    service = file.column("SERVICE_TIME", n)
    release = file.column("RELEASE_TIME", n)
    prize = file.column("PRIZE", n)
    every = file.number("SERVICE_TIME") or 0.0
    took = rounded(service[:, 0]) if service is not None else rounded(np.full(n, every))
    after = rounded(release[:, 0]) if release is not None else np.zeros(n, np.int64)
    worth = rounded(prize[:, 0]) if prize is not None else np.zeros(n, np.int64)
    of_windows, of_demand = file.lines("TIME_WINDOW"), file.lines("DEMAND") or file.lines("NODE_COORD")
    for i in range(depots, n):
        upside_down = opening[i, 0] > opening[i, 1]
        origin.lines["order", str(i)] = (of_windows if upside_down else of_demand).get(str(i + 1), str(file.path))
    return tuple(
        Order(
            name=str(i),
            place=str(i),
            delivery=(_whole(file, "DEMAND", i, demand),) if demand is not None else (),
            pickup=(_whole(file, "BACKHAUL", i, backhaul),) if backhaul is not None else (),
            earliest=int(opening[i, 0]),
            latest=int(opening[i, 1]),
            service=int(took[i]),
            release=int(after[i]),
            prize=int(worth[i]) or None,
        )
        for i in range(depots, n)
    )


def _whole(file: _File, section: str, i: int, values: Numbers) -> int:
    if values[i, 0] != int(values[i, 0]):
        raise AppError(
            Text(f"{section} is {values[i, 0]:g}, not whole", f"{section} 为 {values[i, 0]:g}，不是整数"),
            where=file.lines(section)[str(i + 1)],
        )
    return int(values[i, 0])


def _vehicles(file: _File, n: int, depots: int, scale: int, rounded: Callable[[Numbers], NDArray[np.int64]]) -> tuple[Vehicle, ...]:
    stated = file.number("VEHICLES")
    k = n - depots if stated is None else int(stated)
    if not 1 <= k <= MOST:
        file.wrong(
            file.said["VEHICLES"][0] if stated is not None else 0, f"{k} vehicles: 1..{MOST} can be planned", f"{k} 辆车：允许 1..{MOST}"
        )

    def each(key: str, default: float) -> Numbers:
        column = file.column(key, k)
        single = file.number(key)
        return column[:, 0] if column is not None else np.full(k, default if single is None else single)

    capacity = each("CAPACITY", -1)
    home = each("VEHICLES_DEPOT", 1).astype(np.int64) - 1
    if home.min() < 0 or home.max() >= depots:
        file.wrong(0, f"VEHICLES_DEPOT names a depot that is none of 1..{depots}", f"VEHICLES_DEPOT 中的仓库不在 1..{depots}")
    duration = each("VEHICLES_MAX_DURATION", np.nan)
    distance = each("VEHICLES_MAX_DISTANCE", file.number("DISTANCE") or np.nan)
    fixed, unit = each("VEHICLES_FIXED_COST", 0), each("VEHICLES_UNIT_DISTANCE_COST", 1)
    if (unit != np.round(unit)).any():
        file.wrong(0, "VEHICLES_UNIT_DISTANCE_COST is not whole", "VEHICLES_UNIT_DISTANCE_COST 不是整数")
    limits = [rounded(np.nan_to_num(x, nan=FOREVER / scale)) for x in (duration, distance)]
    costs = rounded(fixed)
    return tuple(
        Vehicle(
            name=str(i + 1),
            start=str(home[i]),
            end=str(home[i]),
            capacity=(int(capacity[i]),) if capacity[i] >= 0 else (),
            fixed=int(costs[i]),
            per_distance=int(unit[i]),
            max_duration=int(limits[0][i]),
            max_distance=int(limits[1][i]),
        )
        for i in range(k)
    )


@dataclass(frozen=True, slots=True)
class Known:
    """A published solution: its cost as printed, and its routes' cost counted here; `unit`: printed = counted x unit, a power of ten."""

    printed: float
    counted: float | None
    unit: float

    @property
    def best(self) -> float:
        """The cost in the printed unit, with all its digits where it could be counted."""
        return self.printed if self.counted is None else self.counted * self.unit


def solution(path: Path, problem: Problem) -> Known | None:
    """The solution in the file beside the problem's (same name, .sol); None without one. Routes are of the vehicles in their order."""
    beside = path.with_suffix(".sol")
    if not beside.is_file():
        return None
    text = beside.read_text(errors="replace")
    cost = re.search(r"^\s*Cost\s*:?\s*([\d.]+)", text, re.MULTILINE | re.IGNORECASE)
    if cost is None:
        return None
    printed = float(cost[1])
    routes = [m[1].split() for m in re.finditer(r"^\s*Route\s*#?\d+\s*:(.*)$", text, re.MULTILINE | re.IGNORECASE)]
    known = {o.name for o in problem.orders}
    if len(routes) > len(problem.vehicles) or any(name not in known for r in routes for name in r):
        return Known(printed, None, 1.0)
    counted = plan(
        Facts(problem), [(v.name, [Visit("serve", c) for c in r]) for v, r in zip(problem.vehicles, routes, strict=False)]
    ).objective
    unit = 10.0 ** round(np.log10(printed / counted)) if counted > 0 else 1.0
    fits = abs(counted * unit / printed - 1) < 1e-4
    return Known(printed, counted if fits else None, unit if fits else 1.0)
