"""`ronghe furnace silicon`: the silicon forecast on files; `ronghe furnace rist`: the balance of the bottom segment."""

from __future__ import annotations

import time
from pathlib import Path

import click
import msgspec
import numpy as np

from ronghe.apps.furnace.rist import Assumptions, operating_line, solve
from ronghe.apps.furnace.rist.balance import assumptions
from ronghe.apps.furnace.rist.drawing import svg
from ronghe.apps.furnace.silicon import training
from ronghe.apps.furnace.silicon.evaluate import Report
from ronghe.apps.furnace.silicon.evaluate import evaluate as evaluate_model
from ronghe.apps.furnace.silicon.heats import TARGET, read
from ronghe.apps.furnace.silicon.packing import KIND, MADE_BY, pack
from ronghe.apps.furnace.silicon.scores import Scores
from ronghe.errors import AppError
from ronghe.models import load, save
from ronghe.signals.when import parse_duration
from ronghe.text import Text


def _t(en: str, zh: str) -> str:
    return str(Text(en, zh))


@click.group(help=_t("Hot-metal silicon: forecast with interval, from files.", "铁水硅含量：基于文件的区间预测。"))
def silicon() -> None:
    """The group."""


_TARGET = click.option("--target", default=TARGET, show_default=True, help=_t("column of the assay, in %", "化验值列名，单位 %"))
_JSON = click.option("--json", "as_json", is_flag=True, help=_t("for programs", "供程序读取"))


@silicon.command(help=_t("Learn from CSV rows; write a model package.", "用 CSV 数据训练，生成模型包。"))
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help=_t("model package to write", "输出的模型包"))
@click.option(
    "--blocks",
    type=click.IntRange(0, 20),
    default=5,
    show_default=True,
    help=_t("of the rolling origin; 0: none", "滚动检验的块数；0 为不检验"),
)
@_TARGET
@_JSON
def fit(folder: Path, output: Path, blocks: int, target: str, as_json: bool) -> None:
    """Fits, and says what to expect by a rolling origin within the same rows."""
    heats = read(folder, target)
    trained = training.fit(heats)
    tested = list(training.rolling(heats, blocks)) if blocks else []
    means = {
        f"{who}_{what}": _mean([getattr(getattr(b, who), what) for b in tested])
        for who in ("model", "persistence", "ridge")
        for what in ("mse", "hit_rate", "r2", "coverage_90")
    }
    metrics = {name: value for name, (value, _) in means.items()} if tested else {}
    digest = save(output, pack(trained, heats, name=folder.stem, created=time.time_ns(), metrics=metrics))
    if as_json:
        rolled = {name: {"mean": mean, "sd": sd} for name, (mean, sd) in means.items()} if tested else None
        said = {"model": str(output), "hash": digest, "rows": len(heats), "inputs": trained.names, "rolling": rolled, "blocks": tested}
        click.echo(msgspec.json.encode({**said, "dynamics": trained.forecaster.filter.dynamics}).decode())
        return
    click.echo(_t(f"learned from {len(heats)} rows → {output}", f"已用 {len(heats)} 行训练 → {output}"))
    click.echo(_t(f"hash {digest}", f"哈希 {digest}"))
    for who, title in _TITLES.items():
        if tested:
            (mse, mse_sd), (hit, hit_sd), (cover, cover_sd) = (means[f"{who}_{k}"] for k in ("mse", "hit_rate", "coverage_90"))
            click.echo(
                f"{title!s:<14} MSE {mse:.5f} ± {mse_sd:.5f}   {_HIT!s} {100 * hit:.1f} ± {100 * hit_sd:.1f} %   "
                f"{_COVER!s} {100 * cover:.1f} ± {100 * cover_sd:.1f} %"
            )


_TITLES = {"model": Text("model", "模型"), "persistence": Text("persistence", "持续性"), "ridge": Text("ridge", "岭回归")}
_HIT, _COVER = Text("within 0.1 %", "误差不超过 0.1 %"), Text("in the 90 % interval", "90 % 区间覆盖率")


def _mean(values: list[float]) -> tuple[float, float]:
    return (float(np.mean(values)), float(np.std(values))) if values else (0.0, 0.0)


@silicon.command(help=_t("Score a model on rows after its training.", "用训练之后的数据评估模型。"))
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--adapt/--frozen", default=True, help=_t("learn from assays as they come, or not", "是否随化验值在线更新"))
@click.option(
    "--delay", default="0min", show_default=True, help=_t("from a row's time until its assay is known", "化验值相对该行时间的滞后")
)
@_TARGET
@_JSON
def evaluate(model: Path, folder: Path, adapt: bool, delay: str, target: str, as_json: bool) -> None:
    """Evaluates."""
    package = load(model)
    package.manifest_of(KIND, made_by=MADE_BY, where=str(model))
    report = evaluate_model(package, read(folder, target), where=str(model), adapt=adapt, delay=parse_duration(delay))
    click.echo(msgspec.json.encode(report).decode() if as_json else _report(report))


def _report(r: Report) -> str:
    named: list[tuple[Text, Scores]] = [
        (Text("model, adapting", "模型，自适应"), r.adapting),
        (Text("model, frozen", "模型，冻结"), r.frozen),
        (_TITLES["persistence"], r.persistence),
        (_TITLES["ridge"], r.ridge),
    ]
    lines = [
        f"{name!s:<16} MSE {s.mse:.5f}   {_HIT!s} {100 * s.hit_rate:.1f} %   R² {s.r2:.3f}   {_COVER!s} {100 * s.coverage_90:.1f} %"
        for name, s in named
    ]
    rows = _t(
        f"{r.rows} rows, {r.start} … {r.end}; {r.passed_over} up to the training's end passed over; {r.outside} outside the model's limits",
        f"共 {r.rows} 行，{r.start} … {r.end}；训练结束前的 {r.passed_over} 行未计入；{r.outside} 行超出模型适用范围",
    )
    return "\n".join([*lines, rows, str(r.protocol)])


_A = Assumptions()


@click.command(help=_t("What 1000 kg of iron take: carbon, oxygen, nitrogen.", "每 1000 kg 铁所需的碳、氧、氮（Rist 下部平衡）。"))
@click.option("--blast-temperature", type=float, default=_A.blast_temperature, show_default=True, help=_t("°C", "风温，°C"))
@click.option(
    "--gas-ratio", type=float, default=_A.gas_ratio, show_default=True, help=_t("CO2/CO by mass, leaving", "离开煤气 CO2/CO 质量比")
)
@click.option("--metal-temperature", type=float, default=_A.metal_temperature, show_default=True, help=_t("°C", "铁水温度，°C"))
@click.option("--metal-carbon", type=float, default=_A.metal_carbon, show_default=True, help=_t("% C in hot metal", "铁水含碳，%"))
@click.option("--heat-loss", type=float, default=_A.heat_loss, show_default=True, help=_t("MJ, fitted", "热损失，MJ（拟合值）"))
@click.option("--enrichment", type=float, default=_A.enrichment, show_default=True, help=_t("% O2 above air's", "富氧率，%"))
@click.option("--moisture", type=float, default=_A.moisture, show_default=True, help=_t("g/m³ of dry blast", "鼓风湿度，g/m³"))
@click.option("--injected-carbon", type=float, default=_A.injected_carbon, show_default=True, help=_t("kg, pure", "喷吹纯碳，kg"))
@click.option("--ore-oxygen", type=float, default=_A.ore_oxygen, show_default=True, help=_t("O/Fe of the burden", "炉料 O/Fe"))
@click.option("--svg", "drawing", type=click.Path(path_type=Path), help=_t("draw the operating line", "绘制操作线"))
@_JSON
def rist(drawing: Path | None, as_json: bool, **given: float) -> None:
    """Balances, and draws."""
    chosen = Assumptions(**given)
    balance = solve(chosen)
    line = operating_line(chosen, balance)
    if drawing is not None:
        try:
            drawing.write_text(svg(line), encoding="utf-8")
        except OSError as e:
            raise AppError(Text(f"cannot be written: {e.strerror}", f"无法写入：{e.strerror}"), where=str(drawing)) from e
    said = assumptions(chosen)
    if as_json:
        answer = {**msgspec.structs.asdict(balance), **msgspec.structs.asdict(line), "given": chosen, "assumptions": said}
        click.echo(msgspec.json.encode(answer).decode())
        return
    click.echo(
        _t(
            f"carbon {balance.carbon:.1f}, oxygen {balance.oxygen:.1f}, nitrogen {balance.nitrogen:.1f} kg per 1000 kg Fe",
            f"碳 {balance.carbon:.1f}、氧 {balance.oxygen:.1f}、氮 {balance.nitrogen:.1f} kg / 1000 kg Fe",
        )
    )
    for p in line.points:
        click.echo(f"  {p.name}  O/C {p.x:6.3f}  O/Fe {p.y:7.3f}  {p.title}")
    for text in said:
        click.echo(f"  - {text}")
