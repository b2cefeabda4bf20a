"""`ronghe quality classify`: classes of defects, learned from labelled pictures, on files."""

from __future__ import annotations

import time
from pathlib import Path

import click
import msgspec
import numpy as np

from ronghe import picture
from ronghe.apps.quality.classes import evaluate as judged
from ronghe.apps.quality.classes import labels
from ronghe.apps.quality.classes.evaluate import Report, Split, describe
from ronghe.apps.quality.classes.judge import Classes, Judged, pack, unpack
from ronghe.apps.quality.classes.learn import DOUBT
from ronghe.apps.quality.classes.look import Box, Look, network
from ronghe.errors import AppError, PictureError
from ronghe.models import load, save
from ronghe.text import Text


def _t(en: str, zh: str) -> str:
    return str(Text(en, zh))


_JSON = click.option("--json", "as_json", is_flag=True, help=_t("for programs", "供程序读取"))
_FOLDER = click.argument("folder", type=click.Path(path_type=Path))
_DOUBT = click.option(
    "--doubt",
    type=click.FloatRange(0, 0.5, min_open=True),
    default=DOUBT,
    show_default=True,
    help=_t("share of known defects that may go to review as unknown", "允许作为未知类别送复核的已知缺陷比例"),
)


@click.group(help=_t("Classes of defects, learned from labelled pictures.", "缺陷分类：用已标注图像学习。"))
def classify() -> None:
    """The group."""


@classify.command(help=_t("Learn classes: CLASS/PICTURE folders or PASCAL VOC boxes.", "学习类别：按类别分文件夹，或 PASCAL VOC 标注框。"))
@_FOLDER
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help=_t("model package to write", "输出的模型包"))
@click.option("--name", default="", help=_t("name of the model", "模型名称"))
@_DOUBT
@_JSON
def fit(folder: Path, output: Path, name: str, doubt: float, as_json: bool) -> None:
    """Fits, writes a package, and compares what it says with what was trained."""
    found = labels.find(folder)
    labels.classes(found)
    look = Look(network())
    d = describe(found, look)
    learned = judged.fit(d, np.ones(len(d.labels), bool), doubt=doubt)
    digest = save(output, pack(learned, name=name or folder.name, created=time.time_ns()))
    parity = _parity(Classes(learned, look), unpack(load(output), str(output)), found[:20])
    said = {
        "model": str(output),
        "hash": digest,
        "classes": learned.labels,
        "pictures": len(found),
        "examples": len(d.labels),
        "accuracy_cross_validated": round(learned.accuracy, 4),
        "parity_max_difference": parity,
    }
    if as_json:
        click.echo(msgspec.json.encode(said).decode())
        return
    click.echo(
        _t(
            f"learned {len(learned.labels)} classes from {len(d.labels)} defects in {len(found)} pictures → {output}",
            f"已用 {len(found)} 张图像中的 {len(d.labels)} 处缺陷学习 {len(learned.labels)} 个类别 → {output}",
        )
    )
    click.echo(
        _t(
            f"right under cross-validation: {learned.accuracy:.2%}; package against trained: {parity:.1e}; hash {digest}",
            f"交叉验证正确率 {learned.accuracy:.2%}；模型包与训练结果最大差 {parity:.1e}；哈希 {digest}",
        )
    )


@classify.command(help=_t("Measure on pictures not learned from.", "在未参与训练的图像上评测。"))
@_FOLDER
@click.option("--model", type=click.Path(path_type=Path), help=_t("test this package on the whole folder", "用该模型包测试整个文件夹"))
@click.option(
    "--train",
    type=click.Path(path_type=Path),
    help=_t("learn from this folder, test on the whole other", "用该文件夹训练，测试另一整个文件夹"),
)
@click.option(
    "--share",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=judged.SHARE,
    show_default=True,
    help=_t("of each class, to train on", "每类用于训练的比例"),
)
@click.option(
    "--seed", "seeds", type=int, multiple=True, default=judged.SEEDS, show_default=True, help=_t("of random splits", "随机划分的种子")
)
@click.option(
    "--leave-out", is_flag=True, help=_t("leave out each class in turn: is it taken for unknown?", "逐一去掉每个类别，检验能否识别为未知")
)
@_DOUBT
@_JSON
def evaluate(
    folder: Path, model: Path | None, train: Path | None, share: float, seeds: tuple[int, ...], leave_out: bool, doubt: float, as_json: bool
) -> None:
    """Evaluates."""
    if model is not None and train is not None:
        raise click.UsageError(_t("give --model or --train, not both", "--model 与 --train 只能选一个"))
    found = labels.find(folder)
    if model is None and train is None:
        labels.classes(found)
        report = judged.evaluate(describe(found, Look(network())), share=share, seeds=seeds, leave_out=leave_out, doubt=doubt)
        click.echo(msgspec.json.encode(report).decode() if as_json else _report(report))
        return
    split, spent = _apart(found, model, train, doubt)
    if as_json:
        p50, p99 = (round(float(p), 2) for p in np.percentile(spent, [50, 99]))
        click.echo(msgspec.json.encode({**msgspec.to_builtins(split), "cpu_ms_p50": p50, "cpu_ms_p99": p99}).decode())
        return
    click.echo("\n".join(_split(split)))


@classify.command(help=_t("Judge pictures, or boxes of one picture.", "判定图像，或一张图像中的若干框。"))
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--model", required=True, type=click.Path(path_type=Path), help=_t("model package", "模型包"))
@click.option("--box", "boxes", type=int, nargs=4, multiple=True, metavar="X0 Y0 X1 Y1", help=_t("judge this box", "判定该框"))
@_JSON
def run(source: Path, model: Path, boxes: tuple[tuple[int, int, int, int], ...], as_json: bool) -> None:
    """Judges; a picture that cannot be read is for review."""
    classes = unpack(load(model), str(model))
    wanted: list[Box | None] = list(boxes) or [None]
    for path in picture.find(source):
        try:
            pixels = picture.read(path)
        except PictureError as e:
            said = {"file": str(path), "known": False, "reason": e.what}
            click.echo(msgspec.json.encode(said).decode() if as_json else _t(f"for review: {e}", f"待复核：{e.in_('zh')}"))
            continue
        try:
            answers = classes.judge_all(pixels, wanted)
        except AppError as e:
            raise AppError(e.what, where=str(path), todo=e.todo) from e
        for box, answer in zip(wanted, answers, strict=True):
            click.echo(
                msgspec.json.encode({"file": str(path), "box": box, **answer._asdict()}).decode() if as_json else _line(path, box, answer)
            )


def _line(path: Path, box: tuple[int, ...] | None, answer: Judged) -> str:
    at = f" {box}" if box else ""
    sure = f"{answer.label} {answer.probability:.1%}"
    return f"{path}{at}: " + (
        sure
        if answer.known
        else _t(f"for review, like none of the classes (nearest: {sure})", f"待复核，与各类别均不相似（最接近：{sure}）")
    )


def _apart(found: list[labels.Labelled], model: Path | None, train: Path | None, doubt: float) -> tuple[Split, list[float]]:
    """Scores of a whole folder by a package, or by what another folder teaches."""
    if model is not None:
        classes = unpack(load(model), str(model))
        learned, look = classes.learned, classes.look
    else:
        assert train is not None
        taught = labels.find(train)
        labels.classes(taught)
        look = Look(network())
        d = describe(taught, look)
        learned = judged.fit(d, np.ones(len(d.labels), bool), doubt=doubt)
    tested = describe(found, look)
    return judged.score(learned, tested, np.ones(len(tested.labels), bool), len(learned.rows)), list(tested.cpu_ms)


def _parity(trained: Classes, packed: Classes, found: list[labels.Labelled]) -> float:
    """The largest difference of a probability between what was trained and its package."""
    worst = 0.0
    for f in found:
        pixels = picture.read(f.path)
        a, b = (c.learned.probabilities(c.learned.scores(c.look.describe(pixels, f.boxes))[0]) for c in (trained, packed))
        worst = max(worst, float(np.abs(a - b).max()))
    return worst


def _report(r: Report) -> str:
    lines = _split(r.fixed)
    if r.accuracy_mean is not None:
        several = " ".join(f"{s.accuracy:.4f}" for s in r.seeds)
        lines.append(
            _t(
                f"random splits: {r.accuracy_mean:.4f} ± {r.accuracy_spread:.4f} ({several})",
                f"随机划分：{r.accuracy_mean:.4f} ± {r.accuracy_spread:.4f}（{several}）",
            )
        )
    for label, o in r.left_out.items():
        lines.append(
            _t(
                f"never shown {label}: {o.review:.1%} go to review (AUROC {o.auroc:.3f}), of the others {o.review_known:.1%}",
                f"未学习 {label}：{o.review:.1%} 送复核（AUROC {o.auroc:.3f}），其余类别 {o.review_known:.1%}",
            )
        )
    lines.append(
        _t(
            f"{r.examples} examples in {r.pictures} pictures ({r.copies} copies), {r.cpu_ms_p50:.1f} ms CPU an example",
            f"{r.pictures} 张图像（其中 {r.copies} 张重复）共 {r.examples} 个样本，每个样本 CPU {r.cpu_ms_p50:.1f} ms",
        )
    )
    return "\n".join(lines)


def _split(s: Split) -> list[str]:
    width = max(len(label) for label in s.classes) + 2
    lines = [
        f"{_t('class', '类别'):<{width}}{_t('tested', '测试数'):>8}{_t('recall', '召回率'):>9}{_t('precision', '精确率'):>11}",
        *(f"{label:<{width}}{c.tested:>8}{c.recall:>9.4f}{c.precision:>11.4f}" for label, c in s.classes.items()),
    ]
    lines.append(
        _t(
            f"accuracy {s.accuracy:.4f} ({s.trained} to learn from); for review {s.review:.1%}, of the rest right {s.accuracy_known:.4f}",
            f"正确率 {s.accuracy:.4f}（训练样本 {s.trained} 个）；送复核 {s.review:.1%}，其余正确率 {s.accuracy_known:.4f}",
        )
    )
    return lines
