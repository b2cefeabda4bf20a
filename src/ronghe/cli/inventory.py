"""`ronghe inventory`: instances of the literature solved, demand forecast and tested, service simulated, and what to order now."""

from __future__ import annotations

import time
from pathlib import Path

import click
import msgspec

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
