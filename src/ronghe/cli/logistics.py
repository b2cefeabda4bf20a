"""`ronghe logistics`: routes planned on files, with no plant."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from ronghe.apps.logistics import formats
from ronghe.apps.logistics.evaluate import Report, Solved, drive, solve_file
from ronghe.apps.logistics.evaluate import evaluate as evaluate_folder
from ronghe.apps.logistics.milkrun import cycle
from ronghe.signals.when import parse_duration
from ronghe.text import Text


def _t(en: str, zh: str) -> str:
    return str(Text(en, zh))


@click.group(help=_t("Logistics: which vehicle serves which orders, in which order.", "物流：车辆与订单的路线规划。"))
def logistics() -> None:
    """The group."""


@logistics.command(
    help=_t(
        "Plan the routes of a VRPLIB file, a folder of CSV files or an Excel book.", "为 VRPLIB 文件、CSV 文件夹或 Excel 工作簿规划路线。"
    )
)
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--seconds", type=click.FloatRange(0.1), default=30.0, show_default=True, help=_t("time to search", "搜索时间（秒）"))
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help=_t("of the random numbers", "随机种子"))
@click.option("--json", "as_json", is_flag=True, help=_t("for programs", "供程序读取"))
def solve(source: Path, seconds: float, seed: int, as_json: bool) -> None:
    """Solves one."""
    solved = solve_file(source, seconds=seconds, seed=seed)
    if as_json:
        click.echo(msgspec.json.encode(solved).decode())
        return
    click.echo(_said(solved))


def _said(s: Solved) -> str:
    gap = (
        ""
        if s.gap is None
        else _t(f", {100 * s.gap:.2f} % above the best known {s.best_known:g}", f"，比已知最优 {s.best_known:g} 高 {100 * s.gap:.2f} %")
    )
    lines = [
        _t(
            f"{s.name}: cost {s.objective:.10g} on {len(s.routes)} route(s), {s.orders} order(s), {s.seconds:.1f} s{gap}",
            f"{s.name}：成本 {s.objective:.10g}，{len(s.routes)} 条路线，{s.orders} 个订单，用时 {s.seconds:.1f} 秒{gap}",
        )
    ]
    lines += [f"  {r.vehicle}: {' '.join(r.stops)}" for r in s.routes]
    lines += [_t(f"  not served: {u.order}: {u.why}", f"  未配送：{u.order}：{u.why}") for u in s.unserved]
    if s.carbon_kg is not None:
        lines.append(_t(f"  {s.carbon_kg:.1f} kg CO2e", f"  {s.carbon_kg:.1f} kg CO2e"))
    verdict = ("checked: everything holds", "已校验：全部满足") if s.checked else ("the checker objects", "校验未通过")
    return "\n".join([*lines, _t(*verdict), *(f"  {w}" for w in s.wrong)])


@logistics.command(
    help=_t(
        "Gaps to the best-known solutions beside the files of a folder and its sub-folders.", "与文件夹（含子文件夹）中已知最优解的差距。"
    )
)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--seconds", type=click.FloatRange(0.1), help=_t("time for each file; else 30, less in a sample", "每个文件的秒数，默认 30"))
@click.option("--full", is_flag=True, help=_t("every file, not a sample that takes 50 s at most", "全部文件，而非 50 秒内的抽样"))
@click.option("--most", type=click.IntRange(2), help=_t("only files with at most this many places", "仅含不超过此数量地点的文件"))
@click.option("--json", "as_json", is_flag=True, help=_t("for programs", "供程序读取"))
def evaluate(folder: Path, seconds: float | None, full: bool, most: int | None, as_json: bool) -> None:
    """Evaluates."""
    report = evaluate_folder(folder, seconds=seconds, full=full, most=most)
    click.echo(msgspec.json.encode(report).decode() if as_json else _table(report))


def _table(r: Report) -> str:
    lines = [f"{'':<28}{_t('files', '文件'):>8}{_t('mean gap %', '平均差距 %'):>16}{_t('worst %', '最大 %'):>12}"]
    for name, s in sorted(r.sets.items()):
        mean, worst = (f"{100 * g:.3f}" if g is not None else "-" for g in (s.mean_gap, s.worst_gap))
        lines.append(f"{name:<28}{f'{s.solved}/{s.files}':>8}{mean:>16}{worst:>12}")
    return "\n".join([*lines, str(r.protocol)])


@logistics.command(help=_t("Rounds inside a plant, the same every takt: how many vehicles it takes.", "厂内循环取送：需要多少车辆。"))
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--takt", required=True, help=_t("length of one cycle, e.g. 20min", "一个循环的时长，如 20min"))
@click.option("--seconds", type=click.FloatRange(0.1), default=5.0, show_default=True, help=_t("time to search", "搜索时间（秒）"))
@click.option("--json", "as_json", is_flag=True, help=_t("for programs", "供程序读取"))
def milkrun(source: Path, takt: str, seconds: float, as_json: bool) -> None:
    """Finds the fewest."""
    problem = formats.read(source)
    found = cycle(problem, max(1, round(parse_duration(takt) / 1e9 / problem.tick)), seconds=seconds)
    rounds = [(r.vehicle, busy, drive(problem, r).stops) for r, busy in zip(found.plan.routes, found.busy, strict=True)]
    if as_json:
        said = {
            "vehicles": found.vehicles,
            "at_least": found.at_least,
            "feasible": found.plan.status == "feasible",
            "rounds": [{"vehicle": vehicle, "busy": busy, "stops": stops} for vehicle, busy, stops in rounds],
        }
        click.echo(msgspec.json.encode(said).decode())
        return
    click.echo(_t(f"{found.vehicles} vehicle(s); at least {found.at_least}", f"需要 {found.vehicles} 辆车；下限 {found.at_least}"))
    for vehicle, busy, stops in rounds:
        click.echo(f"  {vehicle} {100 * busy:.0f} %: {' '.join(stops)}")
