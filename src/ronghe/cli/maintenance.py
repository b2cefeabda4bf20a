"""`ronghe maintenance detect`: state detection on files, with no plant."""

from __future__ import annotations

import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec
import numpy as np
from numpy.typing import NDArray

from ronghe.apps.contract import Finding
from ronghe.apps.maintenance import table
from ronghe.apps.maintenance.cause import Measured
from ronghe.apps.maintenance.detect import Detect
from ronghe.apps.maintenance.evaluate import FIRST, NOT_MEASURED, Report
from ronghe.apps.maintenance.evaluate import evaluate as evaluate_files
from ronghe.apps.maintenance.normal import FALSE_ALARM, learn
from ronghe.apps.maintenance.packing import KIND, pack
from ronghe.apps.maintenance.settings import Options
from ronghe.models import Package, load, save
from ronghe.plant import Plant, Property, Tag
from ronghe.signals import Window
from ronghe.text import Text, language


def _t(en: str, zh: str) -> str:
    return str(Text(en, zh))


@click.group(help=_t("Maintenance: state detection on files.", "维护：基于文件的设备状态检测。"))
def maintenance() -> None:
    """The group."""


@maintenance.group(help=_t("Learn normal operation, then find when a machine leaves it.", "学习正常运行，发现设备何时偏离。"))
def detect() -> None:
    """The group."""


@detect.command(help=_t("Learn normal operation from CSV files of it; write a model package.", "用正常运行的 CSV 文件训练，生成模型包。"))
@click.argument("source", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help=_t("model package to write", "输出的模型包"))
@click.option("--rows", type=click.IntRange(min=1), help=_t("learn from the first rows only", "仅用前若干行训练"))
@click.option("--exclude", multiple=True, default=NOT_MEASURED, help=_t("column to leave out", "排除的列"))
@click.option("--window", type=click.IntRange(min=0), default=0, help=_t("rows in a window; 0: chosen", "窗口行数；0 为自动"))
@click.option(
    "--false-alarm",
    type=click.FloatRange(0, 0.5, min_open=True),
    default=FALSE_ALARM,
    show_default=True,
    help=_t("chance that a window of normal operation is over the limit", "正常运行的一个窗口超限的概率"),
)
@click.option("--name", default="", help=_t("name of the model", "模型名称"))
@click.option("--json", "as_json", is_flag=True, help=_t("for programs", "供程序读取"))
def fit(
    source: Path, output: Path, rows: int | None, exclude: tuple[str, ...], window: int, false_alarm: float, name: str, as_json: bool
) -> None:
    """Fits and writes a package."""
    tables = [table.read(p) for p in table.find(source)]
    measured = [c for c in tables[0].columns if c not in exclude]
    value = np.concatenate([t.take(measured)[:rows] for t in tables])
    at = np.concatenate([t.time[:rows] for t in tables])
    normal = learn(value, window=window, false_alarm=false_alarm)
    columns = [Measured(c, c, Text(c), "") for c in measured]
    package = pack(normal, columns, value, name=name or source.stem, created=time.time_ns(), time=at, every=tables[0].every)
    digest = save(output, package)
    said = {"model": str(output), "hash": digest, "rows": len(value), "inputs": measured, "window": normal.window, "limit": normal.limit}
    still = [c for c, judged in zip(measured, normal.judged, strict=True) if not judged]
    if as_json:
        click.echo(msgspec.json.encode({**said, "not_judged": still}).decode())
        return
    click.echo(_t(f"learned from {len(value)} rows of {len(measured)} columns, window {normal.window} rows → {output}",
                  f"已用 {len(value)} 行、{len(measured)} 列训练，窗口 {normal.window} 行 → {output}"))  # fmt: skip
    click.echo(_t(f"hash {digest}", f"哈希 {digest}"))
    if still:
        click.echo(_t(f"never moved, not judged: {', '.join(still)}", f"训练期间无变化，不参与判断：{'、'.join(still)}"))


@detect.command(help=_t("Score on labelled CSV files (SKAB protocol).", "在带标签的 CSV 文件上评分（SKAB 规则）。"))
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--label", default="anomaly", show_default=True, help=_t("column that says what is true", "标签列"))
@click.option("--exclude", multiple=True, default=NOT_MEASURED, help=_t("column that is not a measurement", "非测量列"))
@click.option("--first", type=click.IntRange(min=1), default=FIRST, show_default=True, help=_t("rows to learn from", "用于学习的行数"))
@click.option("--json", "as_json", is_flag=True, help=_t("for programs", "供程序读取"))
def evaluate(folder: Path, label: str, exclude: tuple[str, ...], first: int, as_json: bool) -> None:
    """Evaluates."""
    report = evaluate_files(folder, label=label, exclude=exclude, first=first)
    click.echo(msgspec.json.encode(report).decode() if as_json else _report(report))


@detect.command(help=_t("Judge CSV files by a model; print what was found.", "用模型判断 CSV 文件，输出发现。"))
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--model", required=True, type=click.Path(path_type=Path), help=_t("model package", "模型包"))
@click.option("--hold", default="5s", show_default=True, help=_t("a condition must persist this long", "状态须持续的时间"))
@click.option("--json", "as_json", is_flag=True, help=_t("for programs", "供程序读取"))
def run(source: Path, model: Path, hold: str, as_json: bool) -> None:
    """Runs the app itself over files."""
    package = load(model)
    package.manifest_of(KIND, made_by="ronghe maintenance detect fit", where=str(model))
    for path in table.find(source):
        findings, judged, n = _findings(table.read(path), model, package, hold)
        if as_json:
            line = {"file": str(path), "rows": n, "judged": judged, "findings": msgspec.to_builtins(findings)}
            click.echo(msgspec.json.encode(line).decode())
            continue
        conditions = _conditions(findings)
        click.echo(
            _t(
                f"{path}: {n} rows, {judged} judged, {len(conditions)} condition(s) found",
                f"{path}：{n} 行，判断 {judged} 行，发现 {len(conditions)} 项异常",
            )
        )
        for start, end, worst in conditions:
            click.echo(f"  {_clock(start)} … {_clock(end) if end else '':<19}  {worst.text.in_(language())} [{worst.score:.1f}]")


def _findings(data: table.Table, model: Path, package: Package, hold: str) -> tuple[list[Finding], int, int]:
    """The app's findings on a table, how many rows it judged, how many there were."""
    tags = [i.name for i in package.manifest.inputs]
    value = data.take(tags)
    plant = Plant(
        path=data.path.stem,
        name=Text(data.path.stem),
        dictionary={i.property: Property(property=i.property, unit=i.unit) for i in package.manifest.inputs},
        tags={i.name: Tag(tag=i.name, property=i.property) for i in package.manifest.inputs},
    )
    every = float(package.manifest.settings.get("every", 1.0))
    options = Options(model=str(model.resolve()), every=f"{every * 1000:.0f}ms", hold=hold, release=hold)
    found: list[Finding] = []
    judged = 0
    with tempfile.TemporaryDirectory() as state:
        app = Detect("detect", plant, "", options, Path(state))
        for i in range(len(data)):
            result = app.step(_row(app.wants().tags, data.time[i : i + 1], value[i : i + 1]))
            found.extend(result.findings)
            judged += int(result.signals.get("judged", 0.0))
        app.close()
    return found, judged, len(data)


def _row(tags: tuple[str, ...], time: NDArray[np.int64], value: NDArray[np.float64]) -> Window:
    bad = np.isnan(value)
    return Window(tags, time, value, np.where(bad, np.uint32(0x80000000), np.uint32(0)), np.where(bad, np.inf, 0.0))


def _conditions(findings: list[Finding]) -> list[tuple[int, int, Finding]]:
    """(start, end or 0 while it stands, the worst said of it) of each condition; times in ns."""
    out: list[tuple[int, int, Finding]] = []
    standing: dict[str, tuple[int, Finding]] = {}
    for f in findings:
        if not f.active:
            if f.key in standing:
                start, worst = standing.pop(f.key)
                out.append((start, f.time, worst))
        elif f.key not in standing or f.score > standing[f.key][1].score:
            standing[f.key] = (standing.get(f.key, (f.time, f))[0], f)
    return sorted(out + [(start, 0, worst) for start, worst in standing.values()], key=lambda c: c[0])


def _clock(time: int) -> str:
    return datetime.fromtimestamp(time / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _report(r: Report) -> str:
    head = _t("files", "文件"), "F1", "FAR %", "MAR %"
    rows = [(f"{name} ({f.files})", f"{f.f1:.3f}", f"{f.far:.1f}", f"{f.mar:.1f}") for name, f in sorted(r.folders.items())]
    rows.append((_t(f"all ({r.files})", f"全部 ({r.files})"), f"{r.f1:.3f}", f"{r.far:.1f}", f"{r.mar:.1f}"))
    w = r.whole_file
    rows.append((_t("all, counted over whole files", "全部，按整个文件计"), f"{w.f1:.3f}", f"{w.far:.1f}", f"{w.mar:.1f}"))
    width = max(len(x[0]) for x in [head, *rows]) + 2
    lines = [f"{a:<{width}}{b:>7}{c:>8}{d:>8}" for a, b, c, d in [head, *rows]]
    cost = _t(f"{r.rows} rows judged, {r.ms_per_row:.3f} ms a row", f"共判断 {r.rows} 行，每行 {r.ms_per_row:.3f} ms")
    return "\n".join([*lines, "", cost, r.protocol])


if __name__ == "__main__":
    sys.exit(maintenance())
