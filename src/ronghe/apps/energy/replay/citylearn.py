"""The buildings of a CityLearn data set (Vázquez-Canteli et al. 2019, "CityLearn v1.0", BuildSys '19), replayed hour by hour.

Known by its `schema.json`. Each building has a battery (capacity, efficiency, nominal power as the schema says; neither ageing nor
CityLearn's curves of efficiency over power) and PV. Reported at the level of the district, whose net consumption is the sum of the
buildings', as CityLearn's `CostFunction` has it: `cost` Σ price · max(net, 0), `carbon` Σ intensity · max(net, 0), `peak` the mean of the
days' greatest hour; each as a ratio to CityLearn's own rule, `BasicRBC` (charges 9.1 % of the capacity in each of the hours 22-24 and 1-8,
discharges 8 % in 9-21).

What the optimiser knows at an hour: all hours before, the calendar, and the price of the next day and a half (a published tariff).
Intensity is taken to be that of the day before. The columns `…_predicted_…` are not used: in these files they are what later came, without
error. Set-points are held through the hour. The year is replayed in two halves, each of which begins and ends with empty batteries, under
every policy.
"""

from __future__ import annotations

import csv
import gzip
import io
import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from ronghe.apps.energy.forecast.ensemble import Floats, ensemble, ready
from ronghe.apps.energy.planner import Ahead, Planner, Standing
from ronghe.apps.energy.replay.simulator import Limits, check
from ronghe.apps.energy.site import Battery, Site
from ronghe.errors import AppError
from ronghe.text import Text

_DAY: Final = 24
_LOOK_BACK: Final = 70 * _DAY  # what the forecast can look back on
_ENOUGH: Final = 1e5  # kW that may be fed in: CityLearn knows no limit
PEAK_PRICE: Final = 1.0  # per kW of a day's greatest hour, in the data's currency: what the optimiser weighs it with
CARBON_PRICE: Final = 0.5  # per kg


class _Store(msgspec.Struct):
    attributes: dict[str, Any]


class _Building(msgspec.Struct):
    energy_simulation: str
    electrical_storage: _Store
    pv: _Store
    pricing: str
    carbon_intensity: str


class _Schema(msgspec.Struct):
    buildings: dict[str, _Building]


@dataclass(frozen=True, slots=True, eq=False)
class Half:
    """A stretch of the district: `net` kW from the beginning of what may be looked back on, of which `net[first:]` is replayed; of the same
    hours `price`, `intensity`, `hour` 1..24 and `weekday` 0..6."""

    net: Floats
    price: Floats
    intensity: Floats
    hour: Floats
    weekday: Floats
    first: int
    battery: Battery


class Building(msgspec.Struct, frozen=True, kw_only=True):
    """One building's battery, and what the simulator counted."""

    name: str
    capacity_kwh: float
    power_kw: float
    violations: int


class District(msgspec.Struct, frozen=True, kw_only=True):
    """The result: `cost`, `carbon`, `peak` as ratios to the rule's, `…_of_none` to no batteries; absolute values by policy."""

    data: str
    cost: float
    carbon: float
    peak: float
    cost_of_none: float
    carbon_of_none: float
    peak_of_none: float
    by_policy: dict[str, dict[str, float]]
    violations: int
    buildings: tuple[Building, ...]
    missing: tuple[str, ...]
    hours: int
    rule_steps: int
    step_ms_p50: float
    step_ms_p95: float
    peak_price: float
    carbon_price: float
    definitions: Text


def is_one(folder: Path) -> bool:
    """Whether a folder is such a data set."""
    return (folder / "schema.json").is_file()


def run(folder: Path) -> District:
    """Replays the year. Raises AppError for a data set that is not as expected."""
    try:
        schema = msgspec.json.decode((folder / "schema.json").read_bytes(), type=_Schema)
        here = {n: b for n, b in schema.buildings.items() if _path(folder, b.energy_simulation) is not None}
        if not here:
            raise AppError(Text("none of the schema's buildings is there", "缺少 schema 中的所有建筑数据"), where=str(folder))
        tables = {n: _table(folder, b.energy_simulation) for n, b in here.items()}
        first = next(iter(here.values()))
        price = _table(folder, first.pricing)["electricity_pricing"]
        intensity = _table(folder, first.carbon_intensity)["carbon_intensity"]
        stores = {n: _battery(n, b.electrical_storage.attributes) for n, b in here.items()}
        net = np.sum([tables[n]["non_shiftable_load"] - _pv(tables[n], b.pv.attributes) for n, b in here.items()], axis=0)
    except (msgspec.DecodeError, KeyError, ValueError, OSError) as e:
        raise AppError(
            Text(f"not a CityLearn data set that can be read: {e}", f"无法读取 CityLearn 数据集：{e}"), where=str(folder)
        ) from None
    calendar = next(iter(tables.values()))
    whole = _together(list(stores.values()))
    cut = len(net) // 2 // _DAY * _DAY
    weekday = (calendar["day_type"] - 1) % 7
    halves = []
    for a, b in ((0, cut), (cut, len(net))):
        part = slice(max(0, a - _LOOK_BACK), b)
        halves.append(Half(net[part], price[part], intensity[part], calendar["hour"][part], weekday[part], a - part.start, whole))
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        done = list(pool.map(_optimised, halves))
    powers = {
        "none": np.zeros(len(net)),
        "rule": np.concatenate([_basic(h) for h in halves]),
        "optimiser": np.concatenate([d[0] for d in done]),
    }
    bills = {k: _bill(net + p, price, intensity) for k, p in powers.items()}
    ms = np.array([x for d in done for x in d[1]])
    ours = bills["optimiser"]
    ratio: dict[str, float] = {}
    for end, of in (("", "rule"), ("_of_none", "none")):
        ratio |= {f"{k}{end}": ours[k] / bills[of][k] for k in ours}
    buildings = tuple(_counted(n, b, whole, powers["optimiser"], cut) for n, b in stores.items())
    return District(
        data=str(folder),
        **ratio,
        by_policy=bills,
        violations=sum(b.violations for b in buildings),
        buildings=buildings,
        missing=tuple(n for n in schema.buildings if n not in here),
        hours=len(net),
        rule_steps=sum(d[2] for d in done),
        step_ms_p50=float(np.percentile(ms, 50)),
        step_ms_p95=float(np.percentile(ms, 95)),
        peak_price=PEAK_PRICE,
        carbon_price=CARBON_PRICE,
        definitions=Text(
            "district level, net of all buildings: cost and carbon of what is bought, peak the mean of the days' greatest hour",
            "按园区净负荷（全部建筑之和）计算：购电费用与碳排放，峰值为每日最大小时值的平均",
        ),
    )


def told(d: District) -> str:
    """A few lines for people."""
    lines = [f"{k:<10} cost {v['cost']:10.1f}  carbon {v['carbon']:9.1f} kg  peak {v['peak']:6.2f} kW" for k, v in d.by_policy.items()]
    said = Text(
        f"of the rule's: cost {d.cost:.3f}, carbon {d.carbon:.3f}, peak {d.peak:.3f}; {d.violations} violations, {d.step_ms_p95:.0f} ms",
        f"与规则之比：费用 {d.cost:.3f}，碳排放 {d.carbon:.3f}，峰值 {d.peak:.3f}；违规 {d.violations} 次，{d.step_ms_p95:.0f} ms",
    )
    return "\n".join([*lines, str(said)])


def _path(folder: Path, name: str) -> Path | None:
    return next((p for p in (folder / name, folder / f"{name}.gz") if p.is_file()), None)


def _table(folder: Path, name: str) -> dict[str, Floats]:
    path = _path(folder, name)
    if path is None:
        raise FileNotFoundError(name)
    data = path.read_bytes()
    rows = list(csv.reader(io.StringIO((gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8-sig"))))
    values = np.array([[float(x) if x else np.nan for x in row] for row in rows[1:]])
    return {column: values[:, i] for i, column in enumerate(rows[0])}


def _battery(name: str, attributes: dict[str, Any]) -> Battery:
    return Battery(name, float(attributes["capacity"]), float(attributes["nominal_power"]), float(attributes["efficiency"]))


def _pv(table: dict[str, Floats], attributes: dict[str, Any]) -> Floats:
    """kW; the files hold W for each kW of panels."""
    return table["solar_generation"] * float(attributes["nominal_power"]) / 1000


def _together(batteries: Sequence[Battery]) -> Battery:
    """All batteries as one that is charged evenly: as strong as the weakest for its size, as lossy as the worst."""
    capacity = sum(b.capacity for b in batteries)
    return Battery("district", capacity, min(b.power / b.capacity for b in batteries) * capacity, min(b.efficiency for b in batteries))


def _bill(net: Floats, price: Floats, intensity: Floats) -> dict[str, float]:
    bought = np.maximum(net, 0.0)
    days = net[: len(net) // _DAY * _DAY].reshape(-1, _DAY)
    return {"cost": float((bought * price).sum()), "carbon": float((bought * intensity).sum()), "peak": float(days.max(axis=1).mean())}


def _counted(name: str, b: Battery, whole: Battery, powers: Floats, cut: int) -> Building:
    """The building's part of the district's powers, checked."""
    limits = Limits(
        capacity=b.capacity, power=b.power, efficiency=b.efficiency, low=0.0, high=1.0, start=0.0, end=0.0, export=_ENOUGH
    )  # fmt: skip
    broken = 0
    for part in (powers[:cut], powers[cut:]):
        mine = (part * b.capacity / whole.capacity).tolist()
        broken += check(limits, 1.0, [0.0] * len(mine), mine, mine).violations
    return Building(name=name, capacity_kwh=b.capacity, power_kw=b.power, violations=broken)


def _basic(half: Half) -> Floats:
    """BasicRBC; in the last hours it no longer charges, so that it, too, ends empty."""
    b, energy = half.battery, 0.0
    hours = half.hour[half.first :]
    powers = np.zeros(len(hours))
    for t, hour in enumerate(hours.tolist()):
        share = _share(hour) if len(hours) - t > _DAY or hour > 8 else 0.0
        if len(hours) - t <= 3:
            share = min(share, 0.0)
        powers[t] = b.within(share * b.capacity, energy, 1.0)
        energy = b.after(powers[t], energy, 1.0)
    return powers


def _share(hour: float) -> float:
    """Of the capacity, in the hour 1..24."""
    return -0.08 if 9 <= hour <= 21 else 0.091


def _optimised(half: Half) -> tuple[Floats, list[float], int]:
    """Powers of the half, times of steps in ms, steps by the rule."""
    b, planner = half.battery, Planner(Site(batteries=(half.battery,), export=_ENOUGH), _DAY, held=True)
    n = len(half.net) - half.first
    powers, ms, by_rule, energy, peak = np.zeros(n), [], 0, 0.0, 0.0
    for t in range(n):
        now = half.first + t
        known = half.net[:now]
        if t % _DAY == 0:
            peak = 0.0
        if ready(now, _DAY):
            began = time.perf_counter()
            wanted = _decide(planner, half, known, energy, peak, n - t)
            ms.append(1e3 * (time.perf_counter() - began))
        else:
            by_rule += 1
            wanted = _share(float(half.hour[now])) * b.capacity
        powers[t] = b.within(wanted, energy, 1.0)
        energy = b.after(powers[t], energy, 1.0)
        peak = max(peak, half.net[now] + powers[t])
    return powers, ms, by_rule


def _decide(planner: Planner, half: Half, known: Floats, energy: float, peak: float, left: int) -> float:
    now, ahead = len(known), planner.ahead
    price = half.price[now : now + ahead]
    price = np.concatenate([price, np.full(ahead - len(price), price[-1])])
    intensity = np.resize(half.intensity[now - _DAY : now], ahead)
    decided = planner.decide(
        Ahead(
            paths=ensemble(known, _DAY, ahead, int(half.weekday[now])),
            price=price + CARBON_PRICE * intensity,
            sell=np.zeros(ahead),
            demand=PEAK_PRICE,
            left=left,
        ),
        Standing(stored=np.array([energy]), peak=peak, end=np.array([0.0])),
    )
    return float(decided.power[0])
