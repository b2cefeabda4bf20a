"""`ronghe energy replay`: the optimiser, the rule and perfect foresight on recorded load."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from ronghe.text import Text


def _t(en: str, zh: str) -> str:
    return str(Text(en, zh))


@click.command(
    help=_t(
        "Replay the optimiser, a time-of-use rule and perfect foresight on recorded load.",
        "在负荷记录上回放优化策略、分时规则与完全预知最优解。",
    )
)
@click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help=_t("folder of the record, read with its sub-folders", "记录文件夹（含子文件夹）"),
)
@click.option(
    "--months", default="", help=_t("2018-07,2018-08; without: the last four whole ones", "如 2018-07,2018-08；默认最后四个完整月份")
)
@click.option("--full", is_flag=True, help=_t("every whole month that has 28 days of history", "所有具有 28 天历史的完整月份"))
@click.option(
    "--tariff",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help=_t("a tariff.toml in place of the three prices", "用 tariff.toml 代替三段电价"),
)
@click.option("--capacity", default=400.0, show_default=True, help=_t("kWh", "kWh"))
@click.option("--power", default=150.0, show_default=True, help=_t("kW", "kW"))
@click.option(
    "--efficiency", type=click.FloatRange(0.3, 1), default=0.9, show_default=True, help=_t("of a whole cycle", "整个充放电循环效率")
)
@click.option(
    "--wear", type=click.FloatRange(0), default=0.05, show_default=True, help=_t("money per kWh discharged", "每放电 1 kWh 的损耗成本")
)
@click.option("--soc-low", type=click.FloatRange(0, 1), default=0.0, show_default=True, help=_t("least state of charge", "最低荷电状态"))
@click.option(
    "--soc-high", type=click.FloatRange(0, 1), default=1.0, show_default=True, help=_t("greatest state of charge", "最高荷电状态")
)
@click.option(
    "--soc",
    type=click.FloatRange(0, 1),
    default=0.5,
    show_default=True,
    help=_t("at each month's beginning and end", "每月月初与月末荷电状态"),
)
@click.option("--valley", default=0.32, show_default=True, help=_t("per kWh", "谷段电价"))
@click.option("--flat", default=0.67, show_default=True, help=_t("per kWh", "平段电价"))
@click.option("--peak", default=1.10, show_default=True, help=_t("per kWh", "峰段电价"))
@click.option("--valley-hours", default="23-7", show_default=True, help=_t("hours", "谷段小时"))
@click.option("--peak-hours", default="10-15,18-21", show_default=True, help=_t("hours; all others are flat", "峰段小时，其余为平段"))
@click.option(
    "--demand",
    type=click.FloatRange(0),
    default=40.0,
    show_default=True,
    help=_t("per kW of the month's greatest quarter-hour", "每 kW 月最大需量电价"),
)
@click.option(
    "--carbon", type=click.FloatRange(0), default=0.5366, show_default=True, help=_t("kg CO2 per kWh bought", "每 kWh 购电 CO2（kg）")
)
@click.option("--carbon-price", type=click.FloatRange(0), default=0.0, show_default=True, help=_t("per kg CO2", "每 kg CO2 价格"))
@click.option(
    "--export", type=click.FloatRange(0), default=0.0, show_default=True, help=_t("greatest power fed in, kW", "最大上网功率（kW）")
)
@click.option("--held", is_flag=True, help=_t("the battery does not follow the meter within a quarter-hour", "刻钟内电池不跟随关口表"))
@click.option("--json", "as_json", is_flag=True, help=_t("for programs", "供程序读取"))
def replay(data: Path, months: str, full: bool, tariff: Path | None, as_json: bool, **given: Any) -> None:
    """Replays."""
    from ronghe.apps.energy.replay import citylearn, run
    from ronghe.apps.energy.tariff import Tariff

    if citylearn.is_one(data):
        found = citylearn.run(data)
        click.echo(msgspec.json.encode(found).decode() if as_json else citylearn.told(found))
        return
    p = run.Parameters(
        capacity_kwh=given["capacity"],
        power_kw=given["power"],
        efficiency=given["efficiency"],
        wear_per_kwh=given["wear"],
        soc_low=given["soc_low"],
        soc_high=given["soc_high"],
        soc_start_end=given["soc"],
        valley=given["valley"],
        flat=given["flat"],
        peak=given["peak"],
        valley_hours=given["valley_hours"],
        peak_hours=given["peak_hours"],
        demand_per_kw=given["demand"],
        export_kw=given["export"],
        carbon_kg_per_kwh=given["carbon"],
        carbon_price_per_kg=given["carbon_price"],
        held=given["held"],
    )
    wanted = [m.strip() for m in months.split(",") if m.strip()]
    r = run.run(data, p, months=wanted, everything=full, tariff=Tariff.read(tariff) if tariff else None)
    if as_json:
        click.echo(msgspec.json.encode(r).decode())
        return
    for row in r.by_month:
        click.echo(
            _t(
                f"{row['month']}  none {row['none'].cost:9.0f}  rule {row['rule'].cost:9.0f}  optimiser {row['optimiser'].cost:9.0f}"
                f"  perfect {row['perfect'].cost:9.0f}  gap {100 * row['gap']:5.2f} %",
                f"{row['month']}  无储能 {row['none'].cost:9.0f}  规则 {row['rule'].cost:9.0f}  优化 {row['optimiser'].cost:9.0f}"
                f"  完全预知 {row['perfect'].cost:9.0f}  差距 {100 * row['gap']:5.2f} %",
            )
        )
    ms = f"{r.step_ms_p95:.0f}" if r.step_ms_p95 is not None else "—"
    click.echo(
        _t(
            f"{100 * r.gap:.2f} % above the optimum, {100 * r.below_rule:.2f} % below the rule, {r.violations} violations, p95 {ms} ms",
            f"比最优解高 {100 * r.gap:.2f} %，比规则低 {100 * r.below_rule:.2f} %；违规 {r.violations} 次；单步 p95 {ms} ms",
        )
    )
    for note in r.notes:
        click.echo(f"  {note}")
