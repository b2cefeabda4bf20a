"""A record replayed: whole months, each apart (they begin and end at the same state of charge), in as many processes as there are cores."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from ronghe.apps.energy.forecast.ensemble import DAYS
from ronghe.apps.energy.forecast.errors import Score, scores
from ronghe.apps.energy.replay import records
from ronghe.apps.energy.replay.month import AHEAD, Bill, Month, Task, replay
from ronghe.apps.energy.site import Battery
from ronghe.apps.energy.tariff import QUARTER, Tariff, time_of_use
from ronghe.errors import AppError
from ronghe.text import Text

LAST: Final = 4  # months that are replayed where nothing else is asked for
WARM_UP: Final = 28  # days of history without which a month is not taken by itself


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a replay's result depends on beside the data. Prices in the tariff's currency."""

    capacity_kwh: float = 400.0
    power_kw: float = 150.0
    efficiency: float = 0.9
    wear_per_kwh: float = 0.05
    soc_low: float = 0.0
    soc_high: float = 1.0
    soc_start_end: float = 0.5
    valley: float = 0.32
    flat: float = 0.67
    peak: float = 1.10
    valley_hours: str = "23-7"
    peak_hours: str = "10-15,18-21"
    demand_per_kw: float = 40.0
    export_kw: float = 0.0
    carbon_kg_per_kwh: float = 0.5366
    carbon_price_per_kg: float = 0.0
    held: bool = False


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """The result. `gap`: cost above the optimum of perfect foresight, `below_rule`: cost below the rule's, as shares.
    The rule charges in the valley and discharges in the peak; `…_twice` is the same, charging again between the peaks. `warm_up`: whole
    months that were only learned from."""

    data: str
    months: tuple[str, ...]
    warm_up: tuple[str, ...]
    cost: float
    rule_cost: float
    rule_twice_cost: float
    perfect_cost: float
    none_cost: float
    gap: float
    below_rule: float
    below_rule_twice: float
    violations: int
    violations_by_policy: dict[str, int]
    step_ms_p50: float | None
    step_ms_p95: float | None
    steps: int
    rule_steps: int
    carbon_kg: float
    parameters: Parameters
    tariff: dict[str, Any]
    forecast: tuple[Score, ...]
    by_month: list[dict[str, Any]]
    notes: tuple[Text, ...]


def run(folder: Path, p: Parameters, *, months: Sequence[str] = (), everything: bool = False, tariff: Tariff | None = None) -> Replayed:
    """Replays. Without `months` the last ones that are whole and have history. Raises AppError where there are none."""
    record = records.read(folder)
    tariff = tariff or time_of_use(p.valley, p.flat, p.peak, p.demand_per_kw, valley_hours=p.valley_hours, peak_hours=p.peak_hours)
    chosen = _chosen(record.months(), months, everything=everything, where=str(folder))
    tasks = [_task(record, m, p, tariff) for m in chosen]
    workers = min(len(tasks), os.cpu_count() or 1)
    if workers > 1:
        with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
            done = list(pool.map(replay, tasks))
    else:
        done = [replay(t) for t in tasks]
    return _summary(folder, record, done, p, tariff)


def _chosen(whole: list[tuple[str, int, int]], wanted: Sequence[str], *, everything: bool, where: str) -> list[tuple[str, int, int]]:
    if wanted:
        found = [m for m in whole if m[0] in wanted]
        missing = sorted(set(wanted) - {m[0] for m in found})
        if missing:
            listed = ", ".join(m[0] for m in whole)
            raise AppError(
                Text(f"{', '.join(missing)}: no whole month of the record", f"{', '.join(missing)} 不是完整记录的月份"),
                where=where,
                todo=Text(f"whole months: {listed}", f"完整月份：{listed}"),
            )
        return found
    learned = [m for m in whole if m[1] >= WARM_UP * 96]
    found = learned or whole
    if not found:
        raise AppError(
            Text("no calendar month is whole", "没有完整的自然月"),
            where=where,
            todo=Text("give a folder with every quarter-hour of at least one month", "请提供至少一个完整自然月的刻钟数据"),
        )
    return found if everything else found[-LAST:]


def _task(record: records.Record, month: tuple[str, int, int], p: Parameters, tariff: Tariff) -> Task:
    name, first, end = month
    times = record.times(tariff.zone)
    later = np.arange(1, 2 * 96 + 1) * QUARTER  # the tariff is published: prices reach beyond the month, and the record
    ahead = np.concatenate([times[first:end], times[end - 1] + later])
    price, sell = tariff.price(ahead), tariff.sell(ahead)
    if np.isnan(price).any():
        raise AppError(Text(f"the tariff says nothing of {name}", f"电价文件未覆盖 {name}"))
    since = max(0, first - (DAYS + 8) * 96)  # what the forecast can look back on
    return Task(
        name=name,
        net=(record.filled - record.pv)[since:end],
        first=first - since,
        price=price,
        sell=sell,
        demand=float(tariff.demand(ahead[:1])[0]),
        carbon=p.carbon_kg_per_kwh,
        carbon_price=p.carbon_price_per_kg,
        battery=Battery("battery", p.capacity_kwh, p.power_kw, p.efficiency, p.soc_low, p.soc_high, p.wear_per_kwh),
        soc=p.soc_start_end,
        export=p.export_kw,
        weekday=(record.start + timedelta(days=first // 96)).weekday(),
        held=p.held,
    )


def _summary(folder: Path, record: records.Record, done: list[Month], p: Parameters, tariff: Tariff) -> Replayed:
    def total(of: list[Bill]) -> float:
        return sum(b.cost for b in of)

    rule, twice = total([m.rule for m in done]), total([m.rule_twice for m in done])
    cost, perfect = total([m.optimiser for m in done]), total([m.perfect for m in done])
    ms = np.array([x for m in done for x in m.steps_ms])
    names = tuple(m.month for m in done)
    counts = {
        "optimiser": sum(m.optimiser.violations for m in done),
        "rule": sum(m.rule.violations for m in done),
        "rule_twice": sum(m.rule_twice.violations for m in done),
        "perfect": sum(m.perfect.violations for m in done),
    }
    return Replayed(
        data=str(folder),
        months=names,
        warm_up=tuple(n for n, a, _ in record.months() if n not in names and n < names[0]),
        cost=cost,
        rule_cost=rule,
        rule_twice_cost=twice,
        perfect_cost=perfect,
        none_cost=total([m.none for m in done]),
        gap=cost / perfect - 1,
        below_rule=1 - cost / rule,
        below_rule_twice=1 - cost / twice,
        violations=counts["optimiser"],
        violations_by_policy=counts,
        step_ms_p50=float(np.percentile(ms, 50)) if len(ms) else None,
        step_ms_p95=float(np.percentile(ms, 95)) if len(ms) else None,
        steps=sum(len(m.steps_ms) + m.rule_steps for m in done),
        rule_steps=sum(m.rule_steps for m in done),
        carbon_kg=sum(m.optimiser.carbon_kg for m in done),
        parameters=p,
        tariff=_told(tariff),
        forecast=scores(np.sum([m.errors for m in done], axis=0), AHEAD, 96),
        by_month=[_row(m) for m in done],
        notes=_notes(record, done, p),
    )


def _told(tariff: Tariff) -> dict[str, Any]:
    versions = [
        {
            "from": v.start,
            "demand_per_kw": v.demand,
            "sell": v.sell,
            "periods": [{"name": q.name, "price": q.price, "hours": q.hours} for q in v.period],
        }
        for v in tariff.versions
    ]
    return {"currency": tariff.currency, "versions": versions}


def _row(m: Month) -> dict[str, Any]:
    bills = {"none": m.none, "rule": m.rule, "rule_twice": m.rule_twice, "optimiser": m.optimiser, "perfect": m.perfect}
    return {
        "month": m.month,
        "gap": m.optimiser.cost / m.perfect.cost - 1,
        "below_rule": 1 - m.optimiser.cost / m.rule.cost,
        "floor_kw": m.floor_kw,
        "rule_steps": m.rule_steps,
        **bills,
    }


def _notes(record: records.Record, done: list[Month], p: Parameters) -> tuple[Text, ...]:
    notes = [
        Text(
            "every policy knows only what was measured before the quarter-hour that it decides; the tariff is published beforehand",
            "各策略只使用所决策刻钟之前的测量值；电价事先公布",
        ),
        Text("every month begins and ends at the same state of charge, under every policy", "各策略每月月初与月末的荷电状态相同"),
    ]
    if p.held:
        notes.append(Text("the battery's power is held through the quarter-hour", "刻钟内电池功率保持不变"))
    else:
        notes.append(
            Text(
                "within the quarter-hour the battery follows the meter to keep its mean at or below the cap (rule and optimiser alike)",
                "刻钟内电池跟随关口表，使该刻钟平均功率不超过上限（规则与优化相同）",
            )
        )
    missing = int(np.isnan(record.load).sum())
    if missing:
        notes.append(Text(f"{missing} quarter-hours are not in the record", f"记录缺少 {missing} 个刻钟"))
    cold = sum(m.rule_steps for m in done)
    if cold:
        notes.append(Text(f"{cold} steps by the rule: too little history for a forecast", f"{cold} 步因历史数据不足而按规则运行"))
    return tuple(notes)
