"""`ronghe energy enpi | verify`: indicators and savings, from CSV files; what the commands of the books share."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec
import numpy as np

from ronghe.errors import AppError
from ronghe.signals.when import format_time, parse_time
from ronghe.text import Text, language

if TYPE_CHECKING:
    from ronghe.apps.energy.account.baseline import Baseline, Spec
    from ronghe.apps.energy.account.factors import Factors
    from ronghe.apps.energy.account.periods import Calendar, Floats, Table
    from ronghe.apps.energy.account.verify import Verified


def _t(en: str, zh: str) -> str:
    return str(Text(en, zh))


def reads(command: Callable[..., None]) -> Callable[..., None]:
    """What every command reads its files by."""
    for option in reversed(
        [
            click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path)),
            click.option(
                "--time", default="time", show_default=True, help=_t("column of the time; or DATE,HOUR", "时间列；或“日期列,小时列”")
            ),
            click.option(
                "--format", "form", default="", help=_t("of dates that are not ISO 8601, e.g. %d/%m/%Y %H:%M", "非 ISO 8601 日期的格式")
            ),
            click.option("--every", default="1d", show_default=True, help=_t("period: 1h, 1d, month", "统计周期：1h、1d、month")),
            click.option("--zone", default="UTC", show_default=True, help=_t("of the times, and of days", "时间与日界所在时区")),
            click.option("--json", "as_json", is_flag=True, help=_t("for programs", "供程序读取")),
        ]
    ):
        command = option(command)
    return command


def _model(command: Callable[..., None]) -> Callable[..., None]:
    """What explains the energy."""
    for option in reversed(
        [
            click.option("--energy", required=True, help=_t("column of the energy, summed", "能耗列（求和）")),
            click.option("--scale", default=1.0, show_default=True, help=_t("of that column, to kWh", "该列换算为 kWh 的系数")),
            click.option("--power", is_flag=True, help=_t("it is a power (kW), not an energy", "该列为功率（kW）而非电量")),
            click.option("--sum", "sums", multiple=True, help=_t("a driver that is summed, e.g. production", "求和的相关变量，如产量")),
            click.option("--mean", "means", multiple=True, help=_t("a driver that is averaged", "取平均的相关变量")),
            click.option("--label", "labels", multiple=True, help=_t("a category, e.g. shift", "类别变量，如班次")),
            click.option("--temperature", default="", help=_t("outdoor temperature: change points are searched", "室外温度：自动搜索变点")),
            click.option("--weekday", is_flag=True, help=_t("the day of the week matters", "考虑星期")),
            click.option("--hour", is_flag=True, help=_t("the hour of the day matters", "考虑时段")),
        ]
    ):
        command = option(command)
    return command


def _read(options: dict[str, Any], extra: tuple[str, ...] = ()) -> tuple[Table, Spec]:
    from ronghe.apps.energy.account.baseline import Spec
    from ronghe.apps.energy.account.periods import Calendar
    from ronghe.apps.energy.account.sheet import Columns, read

    o = options
    means = tuple(dict.fromkeys([*o["means"], *([o["temperature"]] if o["temperature"] else []), *extra]))
    columns = Columns(
        time=tuple(o["time"].split(",")),
        energy=o["energy"],
        sums=o["sums"],
        means=means,
        labels=o["labels"],
        format=o["form"],
        power=o["power"],
        scale=o["scale"],
    )
    table = read(o["files"], columns, Calendar(o["every"], o["zone"]))
    return table, Spec((*o["sums"], *o["means"]), o["temperature"], o["weekday"], o["hour"], o["labels"])


def _span(text: str, calendar: Calendar, name: str) -> tuple[int, int]:
    """ "2018-01-01..2018-07-01" in the zone of the calendar: from, up to without."""
    first, dots, last = text.partition("..")
    if not dots:
        raise AppError(
            Text(f"{name}: {text!r} is no span", f"{name}：{text!r} 不是时段"),
            todo=Text("say 2018-01-01..2018-07-01", "例如 2018-01-01..2018-07-01"),
        )
    from datetime import datetime

    found = []
    for part in (first, last):
        try:
            found.append(calendar.utc(datetime.fromisoformat(part.strip())))
        except ValueError:
            found.append(parse_time(part, 0))
    return found[0], found[1]


def say_json(value: object) -> None:
    click.echo(msgspec.json.encode(value).decode())


def known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def both(text: Text) -> dict[str, str]:
    return {"en": text.en, "zh": text.in_("zh")}


def _baseline(b: Baseline) -> dict[str, Any]:
    return {
        "model": dict(zip(b.form.names(), b.coefficients.tolist(), strict=True)),
        "n": b.n,
        "n_effective": b.effective,
        "autocorrelation": b.rho,
        "order": b.order,
        "r2": b.r2,
        "cv_rmse": b.cv_rmse,
        "nmbe": b.nmbe,
    }


def _lines(b: Baseline) -> list[str]:
    error = np.sqrt(np.diag(b.covariance))
    lines = [f"  {name:<28}{value:>16,.4f}  ± {s:,.4f}" for name, value, s in zip(b.form.names(), b.coefficients, error, strict=True)]
    return [
        *lines,
        _t(
            f"R² {b.r2:.3f}, CV(RMSE) {b.cv_rmse:.1%}, NMBE {b.nmbe:.3%}; {b.n} periods, worth {b.effective:.0f} independent ones",
            f"R² {b.r2:.3f}，CV(RMSE) {b.cv_rmse:.1%}，NMBE {b.nmbe:.3%}；{b.n} 个周期，相当于 {b.effective:.0f} 个独立周期",
        ),
    ]


def _verdict(why: tuple[Text, ...]) -> str:
    if not why:
        return _t("valid: yes", "有效：是")
    return _t("valid: no, because ", "有效：否，原因：") + "; ".join(w.in_(language()) for w in why)


@click.command(
    help=_t(
        "Energy performance indicators against a normalised baseline (ISO 50001, ISO 50006).",
        "按归一化基准计算能源绩效参数（ISO 50001、ISO 50006）。",
    )
)
@reads
@_model
@click.option(
    "--baseline", "base", required=True, help=_t("span of the baseline, e.g. 2018-01-01..2018-07-01", "基准期，如 2018-01-01..2018-07-01")
)
@click.option("--target", type=click.FloatRange(0, 1), help=_t("part of the baseline that is to be saved", "目标节能率"))
@click.option("--hold", default=7, show_default=True, type=click.IntRange(1, 400), help=_t("periods judged together", "合并判断的周期数"))
@click.option("--false-alarm", default=365.0, show_default=True, help=_t("one in so many periods, by chance", "平均多少个周期允许一次误报"))
def enpi(base: str, target: float | None, hold: int, false_alarm: float, as_json: bool, **options: Any) -> None:
    """Indicator, CUSUM, and whether it has left its band."""
    from ronghe.apps.energy.account.enpi import departure, indicator

    table, spec = _read(options)
    found = indicator(table, spec, table.between(*_span(base, table.calendar, "--baseline")), target=target)
    last = departure(found, hold, false_alarm)
    b, cusum = found.baseline, found.cusum
    reported = ~table.between(*_span(base, table.calendar, "--baseline")) & np.isfinite(found.difference)
    actual, expected = float(table.energy[reported].sum()), float(found.expected[reported].sum())
    if as_json:
        say_json(
            {
                "baseline": _baseline(b),
                "valid": found.valid,
                "why": [both(w) for w in found.why],
                "target": target,
                "reported": {
                    "periods": int(reported.sum()),
                    "actual": actual,
                    "expected": expected,
                    "enpi": known(actual / expected if expected else math.nan),
                },
                "departure": None
                if last is None
                else {"ratio": last.ratio, "score": last.score, "periods": last.periods, "away": last.away},
                "periods": [
                    {
                        "time": int(t) // 10**6,
                        "actual": known(a),
                        "expected": known(e),
                        "low": known(lo),
                        "high": known(hi),
                        "cusum": float(c),
                    }
                    for t, a, e, lo, hi, c in zip(table.start, table.energy, found.expected, found.low, found.high, cusum, strict=True)
                ],
            }
        )
        return
    click.echo("\n".join(_lines(b)))
    click.echo(_verdict(found.why))
    if int(reported.sum()):
        click.echo(
            _t(
                f"after it: {int(reported.sum())} periods, {actual:,.0f} of {expected:,.0f} kWh expected: EnPI {actual / expected:.3f}",
                f"基准期后：{int(reported.sum())} 个周期，实际 {actual:,.0f}，期望 {expected:,.0f} kWh：EnPI {actual / expected:.3f}",
            )
        )
    lost = int((~np.isfinite(found.difference)).sum())
    if lost:
        click.echo(
            _t(
                f"{lost} of {len(table)} periods do not count: too little of the energy or of a variable was measured",
                f"{len(table)} 个周期中有 {lost} 个无效：能耗或变量的有效数据不足",
            )
        )
    if last is not None:
        words = ("has left its band", "已偏离正常区间") if last.away else ("within its band", "处于正常区间")
        click.echo(_t(f"last {hold} periods: {last.ratio:.3f}, {words[0]}", f"最近 {hold} 个周期：{last.ratio:.3f}，{words[1]}"))


FACTORS = click.option(
    "--factors",
    "factor_file",
    type=click.Path(path_type=Path),
    help=_t("your own; without, the starter that comes along", "自备排放因子文件；默认用随附的起步文件"),
)


def factors_of(path: Path | None) -> Factors:
    from ronghe.apps.energy.account.factors import Factors

    return Factors.shipped() if path is None else Factors.read(path)


@click.command(help=_t("What was saved: IPMVP option B or C, or a switchback.", "节能量核证：IPMVP 方案 B、C，或交替试验。"))
@reads
@_model
@click.option("--before", default="", help=_t("span of the baseline", "改造前时段"))
@click.option("--after", default="", help=_t("span that is reported", "改造后时段"))
@click.option(
    "--on", "switch", default="", help=_t("switchback: column that is 1 while the measure is on", "交替试验：措施投入时为 1 的列")
)
@click.option(
    "--settle",
    default=0,
    show_default=True,
    type=click.IntRange(0, 1000),
    help=_t("periods left out after each switch", "每次切换后舍去的周期数"),
)
@click.option(
    "--option",
    "which",
    type=click.Choice(["B", "C"]),
    default="C",
    show_default=True,
    help=_t("B: the part's own meter; C: the whole site", "B：部件计量；C：全厂计量"),
)
@click.option("--price", type=float, help=_t("money per kWh", "电价（每 kWh）"))
@click.option(
    "--tariff",
    type=click.Path(path_type=Path),
    help=_t("or a tariff file, for periods of an hour or less", "或电价文件（周期不超过一小时）"),
)
@click.option("--factor", default="", help=_t("emission factor: grid, or a name", "排放因子：grid 或名称"))
@FACTORS
@click.option("--name", default="saving", show_default=True, help=_t("what it is booked as", "入账名称"))
def verify(before: str, after: str, switch: str, settle: int, which: str, name: str, as_json: bool, **options: Any) -> None:
    """A saving, its interval, and whether it may be claimed."""
    from ronghe.apps.energy.account.verify import About, before_after, switchback

    table, spec = _read(options, (switch,) if switch else ())
    price, currency = _prices(options, table)
    kg = _per_kwh(options["factor"], options["factor_file"], table)
    about = About(key=name, name=Text(name, name), currency=currency)
    if switch:
        at = table.drivers[switch]
        drivers = (*spec.variables, *([spec.temperature] if spec.temperature else []))
        found = switchback(table, at >= 0.5, about, variables=drivers, settle=settle, price=price, carbon=kg)
    else:
        if not (before and after):
            raise click.UsageError(_t("give --before and --after, or --on", "请给出 --before 与 --after，或 --on"))
        sides = [table.between(*_span(text, table.calendar, n)) for text, n in ((before, "--before"), (after, "--after"))]
        found = before_after(table, spec, sides[0], sides[1], about, option="B" if which == "B" else "C", price=price, carbon=kg)
    _say_verified(found, as_json)


def _prices(options: dict[str, Any], table: Table) -> tuple[Floats | None, str]:
    if options["tariff"] is not None:
        from ronghe.apps.energy.tariff import Tariff

        if table.calendar.length > 3600 * 10**9:
            raise AppError(
                Text("a tariff needs periods of an hour or less", "使用电价文件时，统计周期不得超过一小时"),
                todo=Text("say --every 1h", "请使用 --every 1h"),
            )
        tariff = Tariff.read(options["tariff"])
        price = tariff.price(table.start)
        if not np.isfinite(price).all():
            when = format_time(int(table.start[~np.isfinite(price)][0]))
            raise AppError(Text(f"the tariff says nothing of {when}", f"电价文件未覆盖 {when}"), where=str(options["tariff"]))
        return price, tariff.currency
    return (None if options["price"] is None else np.full(len(table), options["price"])), "CNY"


def _per_kwh(name: str, path: Path | None, table: Table) -> Floats | None:
    if not name:
        return None
    from ronghe.plant import units

    factors = factors_of(path)
    if name == "grid":
        return factors.grid(table.start)
    return factors.at(name, table.start) * units.factor("kW.h", factors[name].per)[0]


def _say_verified(v: Verified, as_json: bool) -> None:
    s = v.saving
    if as_json:
        say_json(
            {
                "saving": msgspec.to_builtins(s),
                "valid": v.valid,
                "why": [both(w) for w in v.why],
                "periods": v.m,
                "adjusted_kwh": v.adjusted,
                "measured_kwh": v.measured,
                "fsu": v.fsu,
                "pairs": v.pairs,
                "baseline": None if v.baseline is None else _baseline(v.baseline),
            }
        )
        return
    if v.baseline is not None:
        click.echo("\n".join(_lines(v.baseline)))
    click.echo(f"{format_time(s.start)} … {format_time(s.end)}: {s.baseline}")
    for value, unit in ((s.energy, "kWh"), (s.money, s.currency), (s.carbon, "kg CO2e")):
        if value is not None:
            click.echo(
                _t(
                    f"saved {value.value:,.0f} {unit} ({value.low:,.0f} to {value.high:,.0f}, 95 %)",
                    f"节约 {value.value:,.0f} {unit}（{value.low:,.0f} 至 {value.high:,.0f}，95 %）",
                )
            )
    assert s.energy is not None
    share = s.energy.value / v.adjusted if v.adjusted else 0.0
    click.echo(_t(f"{share:.1%} of the adjusted baseline of {v.adjusted:,.0f} kWh", f"占修正基准 {v.adjusted:,.0f} kWh 的 {share:.1%}"))
    if v.fsu is not None:
        click.echo(
            _t(f"fractional savings uncertainty (ASHRAE 14, 95 %): {v.fsu:.0%}", f"节能量相对不确定度（ASHRAE 14，95 %）：{v.fsu:.0%}")
        )
    click.echo(_verdict(v.why))
