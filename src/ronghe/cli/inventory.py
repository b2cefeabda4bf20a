"""`ronghe inventory`: instances of the literature solved, demand forecast and tested, service simulated, and what to order now."""

from __future__ import annotations

import time
from pathlib import Path

import click
import msgspec

from ronghe.errors import AppError
from ronghe.signals.when import parse_duration
from ronghe.text import Text


def _t(en: str, zh: str) -> str:
    return str(Text(en, zh))


@click.group(help=_t("Inventory: forecast, policies, service, what to order.", "库存：预测、策略、服务水平与订货建议。"))
def inventory() -> None:
    """The group."""


@inventory.command(help=_t("Solve the inventory problems of a file by exact methods.", "用精确方法求解文件中的库存问题。"))
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help=_t("for programs", "供程序读取"))
def solve(file: Path, as_json: bool) -> None:
    """Solves named instances."""
    from ronghe.apps.inventory.formats import stockpyl

    report = stockpyl.solve(file, time.perf_counter)
    if as_json:
        click.echo(msgspec.json.encode(report).decode())
        return
    for s in report.instances:
        value = f"{s.ours:>16.6g}" if s.ours is not None else f"{'—':>16}"
        click.echo(f"{s.name:<28}{s.problem:<26}{s.kind:<11}{value}  {s.reason or ''}")
    click.echo(
        _t(
            f"{report.solved} of {report.of} solved in {report.seconds:.1f} s",
            f"{report.of} 个中求解 {report.solved} 个，用时 {report.seconds:.1f} 秒",
        )
    )


@inventory.command(help=_t("Write a folder of items and demand, made up, to try things on.", "生成示例物料与需求文件夹（虚构数据）。"))
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--seed", type=int, default=0, show_default=True, help=_t("another seed, other demand", "随机种子"))
def example(folder: Path, seed: int) -> None:
    """Writes it."""
    from ronghe.apps.inventory import example as made_up

    made_up.write(folder, end=int(time.time()), seed=seed)
    click.echo(_t(f"items.csv and demand.csv → {folder}", f"items.csv 与 demand.csv → {folder}"))


def _period(value: str) -> int:
    seconds, rest = divmod(parse_duration(value), 10**9)
    if rest or seconds < 3600 or seconds % 3600:
        raise AppError(
            Text(f"{value!r} is no whole number of hours", f"{value!r} 不是整小时数"), todo=Text("say 1d, 7d or 1h", "例如 1d、7d 或 1h")
        )
    return seconds


_PERIOD = click.option("--period", default="1d", show_default=True, help=_t("demand is summed over this long", "需求汇总周期"))
_JSON = click.option("--json", "as_json", is_flag=True, help=_t("for programs", "供程序读取"))


@inventory.command(help=_t("Back-test every forecasting method on the demand of a folder.", "对文件夹中的需求回测各种预测方法。"))
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--horizon", type=click.IntRange(1, 365), default=14, show_default=True, help=_t("periods ahead", "预测期数"))
@_PERIOD
@_JSON
def forecast(source: Path, horizon: int, period: str, as_json: bool) -> None:
    """Back-tests."""
    from ronghe.apps.inventory.forecast import panel
    from ronghe.apps.inventory.formats import items
    from ronghe.apps.inventory.plan import season_of

    book = items.read(source, period=_period(period))
    tested = panel.across(book.demand, horizon=horizon, season=season_of(book.period))
    if as_json:
        click.echo(msgspec.json.encode(tested).decode())
        return
    _warn(book.warnings)
    for kind, lines in tested.kinds.items():
        count = tested.counts[kind]
        click.echo(
            f"{kind} ({count})".ljust(20) + "".join(f"{h:>10}" for h in ("WAPE", "MASE", "RMSSE", "bias", f"in {100 * tested.level:.0f} %"))
        )
        for line in lines:
            shown = (line.wape, line.mase, line.rmsse, line.bias, line.coverage)
            click.echo(f"  {line.method:<18}" + "".join(f"{v:>10.3f}" if v is not None else f"{'—':>10}" for v in shown))
    click.echo(
        _t(
            f"{tested.forecasts} forecasts of {tested.series} series; {len(tested.skipped)} with too little demand",
            f"{tested.series} 个序列，{tested.forecasts} 次预测；{len(tested.skipped)} 个序列需求记录过少",
        )
    )


@inventory.command(help=_t("What to order now, and why.", "现在应订购什么，以及原因。"))
@click.argument("folder", type=click.Path(path_type=Path))
@_PERIOD
@click.option("--seed", type=int, default=0, show_default=True, help=_t("of the simulation", "仿真随机种子"))
@_JSON
def plan(folder: Path, period: str, seed: int, as_json: bool) -> None:
    """Plans."""
    from ronghe.apps.inventory import plan as planning
    from ronghe.apps.inventory import present
    from ronghe.apps.inventory.formats import items
    from ronghe.apps.inventory.wording import STATES

    book = items.read(folder, period=_period(period))
    planned = planning.plan(book, int(time.time()), seed=seed)
    if as_json:
        said = {"items": [present.row(p) for p in planned], "orders": present.orders(planned), "warnings": book.warnings}
        click.echo(msgspec.json.encode(said).decode())
        return
    _warn(book.warnings)
    item, state, cover, served = Text("item", "物料"), Text("state", "状态"), Text("lasts", "可用"), Text("service", "满足率")
    click.echo(f"{item!s:<16}{state!s:<8}{cover!s:>8}{served!s:>9}")
    for p in planned:
        fill = f"{100 * p.service.mean:.1f} %" if p.service else "—"
        lasts = f"{p.days_of_cover:.0f} d" if p.days_of_cover is not None else "—"
        click.echo(f"{p.item:<16}{STATES[p.state]!s:<8}{lasts:>8}{fill:>9}  {p.text}")
        for more in (p.drift, p.old):
            if more is not None:
                click.echo(f"{'':<43}{more}")
    n = sum(p.order > 0 for p in planned)
    click.echo(_t(f"{n} of {len(planned)} items to order now", f"{len(planned)} 种物料中有 {n} 种需要订购"))


@inventory.command(help=_t("Whether policies give the service they promise, by simulation.", "用仿真检验策略是否达到承诺的服务水平。"))
@click.option("--seed", type=int, default=0, show_default=True, help=_t("another seed, other draws", "随机种子"))
@click.option(
    "--target", "targets", multiple=True, type=click.FloatRange(0.5, 0.999), help=_t("fill rate; may be repeated", "目标满足率，可重复")
)
@click.option(
    "--periods",
    type=click.IntRange(min=20_000),
    default=1_000_000,
    show_default=True,
    help=_t("that each policy is measured on", "每个策略的检验期数"),
)
@_JSON
def simulate(seed: int, targets: tuple[float, ...], periods: int, as_json: bool) -> None:
    """Simulates."""
    from ronghe.apps.inventory import trial

    done = trial.trials(seed, targets=targets or trial.TARGETS, measured_on=periods, chosen_on=max(20_000, 2 * periods // 5))
    worst = max(abs(t.off) for t in done)
    near = sum(abs(t.off) <= trial.NEAR for t in done)
    promise = max(100 * abs(t.outcome.fill.mean - t.promised) for t in done)
    if as_json:
        said = {"trials": done, "within": trial.NEAR, "kept": near, "of": len(done), "worst": worst, "worst_promise": promise}
        click.echo(msgspec.json.encode(said).decode())
        return
    for t in done:
        o, lead = t.outcome, f"{t.lead:g}±{t.lead_sd:g}"
        click.echo(
            f"{t.demand:<9}{lead:>6}  {t.form:<9}{100 * t.target:>5.1f} % → {100 * o.fill.mean:6.2f} ± {100 * o.fill.half:.2f} %"
            f"   α {100 * o.cycle.mean:5.1f} %   {_t('stock', '库存')} {o.stock.mean:9.1f}"
        )
    click.echo(
        _t(
            f"{near} of {len(done)} within {trial.NEAR} point of the target, the farthest {worst:.2f}; "
            f"of the service that was promised, the farthest {promise:.2f}",
            f"{len(done)} 例中 {near} 例与目标相差不超过 {trial.NEAR} 个百分点，最大偏差 {worst:.2f}；"
            f"与所承诺满足率的最大偏差 {promise:.2f}",
        )
    )


def _warn(warnings: tuple[Text, ...]) -> None:
    for w in warnings:
        click.echo(_t(f"note: {w.en}", f"注意：{w.zh}"), err=True)
