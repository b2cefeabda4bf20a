"""`ronghe quality compare` and `ronghe quality boards`: printed boards against their golden templates, on files."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click
import msgspec

from ronghe.apps.quality.boards import pairs
from ronghe.apps.quality.boards.learn import learn, pack, unpack
from ronghe.apps.quality.boards.pairs import Report
from ronghe.apps.quality.boards.template import Comparer, Comparison, Settings
from ronghe.models import load, save
from ronghe.picture import read
from ronghe.text import Text, language

_VERDICTS = {"good": Text("good", "合格"), "defective": Text("defective", "不合格"), "review": Text("for review by a person", "待人工复核")}


def _t(en: str, zh: str) -> str:
    return str(Text(en, zh))


_MODEL = click.option("--model", type=click.Path(path_type=Path), help=_t("model package of `boards fit`", "`boards fit` 生成的模型包"))
_JSON = click.option("--json", "as_json", is_flag=True, help=_t("for programs", "供程序读取"))
_COPPER = click.option(
    "--copper", type=click.Choice(["dark", "light"]), default="dark", show_default=True, help=_t("how copper looks", "铜箔的明暗")
)


@click.command(
    help=_t(
        "Compare a tested picture with its golden template; exit code 1 when it is not good.",
        "将被测图像与金板模板比对；未判为合格时退出码为 1。",
    )
)
@click.argument("template", type=click.Path(path_type=Path))
@click.argument("tested", type=click.Path(path_type=Path))
@_MODEL
@_COPPER
@_JSON
def compare(template: Path, tested: Path, model: Path | None, copper: str, as_json: bool) -> None:
    """Compares; exits 1 unless the verdict is good."""
    comparer = Comparer(_settings(model, copper))
    pictures = read(template), read(tested)
    began = time.process_time()
    found = comparer.compare(*pictures)
    spent = 1000 * (time.process_time() - began)
    if as_json:
        said = {"template": str(template), "tested": str(tested), **msgspec.to_builtins(found), "cpu_ms": round(spent, 2)}
        click.echo(msgspec.json.encode(said).decode())
    else:
        click.echo(_compared(found))
    if found.verdict != "good":
        sys.exit(1)


@click.group(help=_t("Printed boards with their templates, in folders laid out as DeepPCB.", "印制板及其模板，按 DeepPCB 方式存放。"))
def boards() -> None:
    """The group."""


@boards.command(help=_t("Learn classes, margins and the limit from marked boards.", "用已标注的印制板学习类别、框边距与判定限。"))
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help=_t("model package to write", "输出的模型包"))
@click.option("--name", default="", help=_t("name of the model", "模型名称"))
@_COPPER
@_JSON
def fit(folder: Path, output: Path, name: str, copper: str, as_json: bool) -> None:
    """Fits and writes a package."""
    marked = pairs.labelled(folder)
    settings = learn(marked, dark=copper == "dark")
    digest = save(output, pack(settings, marked, name=name or folder.name, created=time.time_ns()))
    n = sum(len(p.marked or ()) for p in marked)
    if as_json:
        said = {"model": str(output), "hash": digest, "boards": len(marked), "marked": n, **msgspec.to_builtins(settings)}
        click.echo(msgspec.json.encode(said).decode())
        return
    click.echo(_t(f"learned from {n} defects on {len(marked)} boards → {output}", f"已用 {len(marked)} 块板上的 {n} 个缺陷训练 → {output}"))
    click.echo(_t(f"hash {digest}", f"哈希 {digest}"))


@boards.command(help=_t("Score against what people marked (DeepPCB protocol).", "按人工标注评分（DeepPCB 规则）。"))
@click.argument("folder", type=click.Path(path_type=Path))
@_MODEL
@click.option("--train", type=click.Path(path_type=Path), help=_t("marked boards to learn from first", "先用这些已标注的板训练"))
@click.option(
    "--iou", type=click.FloatRange(0, 1), default=pairs.IOU, show_default=True, help=_t("IoU above which a box counts", "判中的 IoU 下限")
)
@_COPPER
@_JSON
def evaluate(folder: Path, model: Path | None, train: Path | None, iou: float, copper: str, as_json: bool) -> None:
    """Evaluates."""
    if model is not None and train is not None:
        raise click.UsageError(_t("give --model or --train, not both", "--model 与 --train 只能选一个"))
    settings = learn(pairs.labelled(train), dark=copper == "dark", iou=iou) if train is not None else _settings(model, copper)
    report = pairs.evaluate(pairs.labelled(folder), Comparer(settings), iou=iou)
    click.echo(msgspec.json.encode(report).decode() if as_json else _report(report))


def _settings(model: Path | None, copper: str) -> Settings:
    return Settings(dark=copper == "dark") if model is None else unpack(load(model), str(model))


def _compared(found: Comparison) -> str:
    lang = language()
    head = _VERDICTS[found.verdict].in_(lang)
    lines = [f"{head}: {found.reason.in_(lang)}" if found.reason else head]
    lines += [f"  {d.name.in_(lang):<10} {d.box[0]},{d.box[1]} – {d.box[2]},{d.box[3]}  [{d.score:.2f}]" for d in found.defects]
    return "\n".join(lines)


def _report(r: Report) -> str:
    lang = language()
    head = (_t("class", "类别"), _t("precision", "精确率"), _t("recall", "召回率"), "F", "AP", _t("marked", "标注数"))
    rows = [(c.name.in_(lang), c.precision, c.recall, c.f, c.ap, c.marked) for c in r.classes.values()]
    rows.append((_t("all, right class", "全部，类别须正确"), r.precision, r.recall, r.f, r.map, r.marked))
    a = r.any_class
    lines = ["{:<18}{:>10}{:>9}{:>8}{:>8}{:>8}".format(*head)]
    lines += [f"{n:<18}{p:>10.4f}{q:>9.4f}{f:>8.4f}{ap:>8.4f}{k:>8}" for n, p, q, f, ap, k in rows]
    name = _t("all, any class", "全部，不论类别")
    lines.append(f"{name:<18}{a.precision:>10.4f}{a.recall:>9.4f}{a.f:>8.4f}{'':>8}{a.marked:>8}")
    lines.append(
        _t(
            f"{r.boards} boards, IoU > {r.iou}; processor time of a pair: median {r.cpu_ms_p50:.1f} ms, 99 % {r.cpu_ms_p99:.1f} ms",
            f"{r.boards} 块板，IoU > {r.iou}；每对 CPU 时间：中位数 {r.cpu_ms_p50:.1f} ms，99% {r.cpu_ms_p99:.1f} ms",
        )
    )
    lines += [_t(f"for review: {x}", f"待复核：{x}") for x in r.review]
    return "\n".join(lines)
