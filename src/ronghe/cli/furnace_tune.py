"""`ronghe furnace tune`: set-points tuned on a running process, judged."""

from __future__ import annotations

import time

import click
import msgspec

from ronghe.text import Text


def _t(en: str, zh: str) -> str:
    return str(Text(en, zh))


@click.command(help=_t("Tune the set-points of a simulated plant while it runs, inside limits.", "在仿真装置运行中寻优，不越限。"))
@click.option("--plant", type=click.Choice(["tep"]), default="tep", help=_t("tep: Tennessee Eastman process", "tep：田纳西-伊斯曼过程"))
@click.option("--seed", type=int, default=0, help=_t("of noise and trials", "噪声与试验的随机种子"))
@click.option("--evaluations", type=click.IntRange(1, 200), default=30, help=_t("trials at most", "试验次数上限"))
@click.option(
    "--full",
    is_flag=True,
    help=_t("three seeds, disturbances, and a baseline: minutes", "三个种子、扰动试验与基线对照：需数分钟"),
)
@click.option("--json", "as_json", is_flag=True, help=_t("for programs", "供程序读取"))
def tune(plant: str, seed: int, evaluations: int, full: bool, as_json: bool) -> None:
    """The Tennessee Eastman process."""
    from ronghe.apps.furnace.tune.tep.report import report

    seeds = [seed + i for i in range(3)] if full else [seed]
    r = report(seeds, time.perf_counter, evaluations=evaluations, disturbances=full, baseline=full)
    if as_json:
        click.echo(msgspec.json.encode(r).decode())
        return
    for n, hour, state, cost in r.path:
        said = "—" if cost is None else f"{cost:.1f} $/h"
        click.echo(f"{n:>3}  {hour:8.1f} h  {said:>12}  {_STATES[state]}")
    broken = sum(r.violation_minutes.values())
    click.echo(
        _t(
            f"{plant}: {r.cost_start:.1f} → {r.cost_best:.1f} $/h after {r.evaluations} evaluations, {r.plant_hours:.0f} plant hours; "
            f"{r.shutdowns} shutdown(s), {broken:.1f} min outside a limit",
            f"{plant}：{r.cost_start:.1f} → {r.cost_best:.1f} $/h，{r.evaluations} 次试验，装置运行 {r.plant_hours:.0f} 小时；"
            f"停车 {r.shutdowns} 次，越限 {broken:.1f} 分钟",
        )
    )
    for name, d in r.disturbances.items():
        out = sum(d.violation_minutes.values())
        click.echo(
            _t(
                f"  {name}: {d.cost_best:.1f} $/h, {d.shutdowns} shutdown(s), {out:.1f} min outside",
                f"  {name}：{d.cost_best:.1f} $/h，停车 {d.shutdowns} 次，越限 {out:.1f} 分钟",
            )
        )
    if r.baseline is not None:
        click.echo(_t(f"  baseline: {r.baseline.cost_best:.1f} $/h", f"  基线：{r.baseline.cost_best:.1f} $/h"))


_STATES = {
    "settled": _t("settled", "已稳定"),
    "turned_back": _t("turned back", "退回"),
    "again": _t("seen again", "复测"),
}
