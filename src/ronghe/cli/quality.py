"""`ronghe quality`: visual inspection on files, with no plant."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from ronghe import picture
from ronghe.apps.quality.inspector import files
from ronghe.apps.quality.inspector import protocol as protocols
from ronghe.apps.quality.inspector.evaluate import Report, samples
from ronghe.apps.quality.inspector.evaluate import evaluate as evaluate_samples
from ronghe.apps.quality.inspector.inspector import Inspector, Judgement
from ronghe.apps.quality.inspector.learn import DETAILS, FALSE_REJECT, REVIEW, Options, learn
from ronghe.apps.quality.inspector.packing import pack, parity, unpack
from ronghe.cli import quality_boards, quality_classify, quality_watch
from ronghe.errors import PictureError
from ronghe.models import load, save
from ronghe.text import Text, language

_PARITY = 20  # pictures on which `fit` compares the package with what it trained


def _t(en: str, zh: str) -> str:
    return str(Text(en, zh))


def _open(model: Path) -> Inspector:
    return unpack(load(model), str(model))


def _json(value: Any) -> None:
    click.echo(msgspec.json.encode(value).decode())


_json_option = click.option("--json", "as_json", is_flag=True, help=_t("for programs", "供程序读取"))
_folder = click.Path(path_type=Path)
_by_folder = click.option("--by-folder", is_flag=True, help=_t("each folder shows one item", "每个文件夹为同一工件"))
_item = click.option(
    "--item", default="", help=_t("regular expression that finds the item in a file's path", "从文件路径中提取工件编号的正则表达式")
)


@click.group(help=_t("Quality: visual inspection on files.", "质量：基于图像文件的外观检测。"))
def quality() -> None:
    """The group."""


_detail = click.option(
    "--detail",
    type=click.Choice(DETAILS),
    default=DETAILS[0],
    show_default=True,
    help=_t("fine: look at small pictures pixel by pixel, too, in six times the time", "fine：小图也按原始像素检测，耗时约 6 倍"),
)


@quality.command(help=_t("Learn from pictures of good parts; write a model package.", "用良品图像学习，生成模型包。"))
@click.argument("good", type=_folder)
@click.option("-o", "--output", required=True, type=_folder, help=_t("model package to write", "输出的模型包"))
@click.option(
    "--false-reject",
    type=click.FloatRange(0, 0.5, min_open=True),
    default=FALSE_REJECT,
    show_default=True,
    help=_t("chance that a good part is rejected", "良品被误判为不良的概率"),
)
@click.option(
    "--review",
    type=click.FloatRange(0, 0.5, min_open=True),
    default=REVIEW,
    show_default=True,
    help=_t("share of good pictures that are not passed at once", "良品图像未被直接放行（复核或剔除）的比例"),
)
@_by_folder
@_item
@_detail
@click.option("--seed", type=int, default=0, show_default=True, help=_t("of the random choices", "随机种子"))
@click.option("--name", default="", help=_t("name of the model", "模型名称"))
@_json_option
def fit(
    good: Path,
    output: Path,
    false_reject: float,
    review: float,
    by_folder: bool,
    item: str,
    detail: str,
    seed: int,
    name: str,
    as_json: bool,
) -> None:
    """Fits and writes a package."""
    began = time.monotonic()
    paths = files.parts(good)
    images = [picture.read(p) for p in paths]
    names = files.items(paths, good, by_folder=by_folder, pattern=item)
    inspector = learn(images, items=names, options=Options(false_reject=false_reject, review=review, seed=seed, detail=detail))
    digest = save(output, pack(inspector, name=name or good.resolve().name, created=time.time_ns()))
    difference = parity(_open(output), images[:_PARITY])
    p = inspector.promise
    if as_json:
        said = {"model": str(output), "hash": digest, **inspector.training, "promise": p, "thresholds": inspector.thresholds}
        _json({**said, "metrics": inspector.metrics, "parity": difference, "seconds": round(time.monotonic() - began, 1)})
        return
    seconds = time.monotonic() - began
    click.echo(_t(f"learned from {len(images)} pictures of {p.items} good items in {seconds:.0f} s → {output}",
                  f"已用 {p.items} 件良品的 {len(images)} 张图像学习，用时 {seconds:.0f} 秒 → {output}"))  # fmt: skip
    click.echo(_t(f"promise: a good item is rejected with chance {p.rate:.2%} (with {p.confidence:.0%} confidence at most {p.bound:.2%})",
                  f"承诺：良品误判率 {p.rate:.2%}（置信度 {p.confidence:.0%} 下不超过 {p.bound:.2%}）"))  # fmt: skip
    if not p.attained:
        needed = int(1 / p.asked + 0.5) - 1
        click.echo(_t(f"{p.asked:.2%} was asked for: that takes {needed} good items at least",
                      f"要求为 {p.asked:.2%}：至少需要 {needed} 件良品"))  # fmt: skip
    click.echo(_t(f"largest difference between package and trained model: {difference:.1e} of the limit",
                  f"模型包与训练模型的最大偏差：限值的 {difference:.1e}"))  # fmt: skip
    click.echo(_t(f"hash {digest}", f"哈希 {digest}"))


@quality.command(help=_t("Judge parts known to be good or defective; print the figures.", "在已知良品与不良品上评测。"))
@click.argument("model", type=_folder)
@click.option("--good", multiple=True, required=True, type=_folder, help=_t("folder of good parts", "良品文件夹"))
@click.option("--defective", multiple=True, type=_folder, help=_t("folder of defective parts", "不良品文件夹"))
@click.option("--masks", type=_folder, help=_t("folder of masks that say where defects are", "缺陷掩模文件夹"))
@_by_folder
@_item
@_json_option
def evaluate(
    model: Path, good: tuple[Path, ...], defective: tuple[Path, ...], masks: Path | None, by_folder: bool, item: str, as_json: bool
) -> None:
    """Evaluates."""
    fine = samples(good, by_folder=by_folder, pattern=item)
    bad = samples(defective, by_folder=by_folder, pattern=item, masks=masks)
    report = evaluate_samples(_open(model), [s for part in fine.values() for s in part], bad)
    if as_json:
        _json(report)
    else:
        click.echo(_report(report))


@quality.command(help=_t("Judge pictures; exit code 1 when one was not passed.", "判定图像；有未放行的图像时退出码为 1。"))
@click.argument("model", type=_folder)
@click.argument("images", nargs=-1, required=True, type=_folder)
@_json_option
def run(model: Path, images: tuple[Path, ...], as_json: bool) -> None:
    """Judges pictures. One that cannot be read is "unreadable", never passed."""
    inspector = _open(model)
    passed = True
    for path in _all(images):
        try:
            said = inspector.judge(picture.read(path))
        except PictureError as e:
            passed = False
            line: dict[str, Any] = {"file": str(path), "verdict": "unreadable", "reason": msgspec.to_builtins(e.what)}
            click.echo(msgspec.json.encode(line).decode() if as_json else f"{path}: {_t('unreadable', '无法读取')}: {e.what}")
            continue
        passed = passed and said.verdict == "pass"
        click.echo(msgspec.json.encode(_judged(path, said)).decode() if as_json else _line(path, said))
    sys.exit(0 if passed else 1)


@quality.command("parity", help=_t("Compare the package with the trained model, picture by picture.", "逐张比较模型包与训练模型。"))
@click.argument("model", type=_folder)
@click.argument("images", nargs=-1, required=True, type=_folder)
@_json_option
def compare(model: Path, images: tuple[Path, ...], as_json: bool) -> None:
    """Prints the largest difference."""
    paths = list(_all(images))
    difference = parity(_open(model), (picture.read(p) for p in paths))
    if as_json:
        _json({"pictures": len(paths), "max_difference": difference})
    else:
        click.echo(_t(f"{len(paths)} pictures, largest difference {difference:.1e} of the limit",
                      f"{len(paths)} 张图像，最大偏差为限值的 {difference:.1e}"))  # fmt: skip


@quality.command("protocol", help=_t("Run a benchmark with fixed splits and several seeds.", "按固定划分与多个随机种子运行基准评测。"))
@click.argument("name", type=click.Choice(list(protocols.SPLITS)))
@click.argument("folder", type=_folder)
@click.option("--seeds", type=click.IntRange(1, 100), default=3, show_default=True, help=_t("how many", "种子个数"))
@_detail
@_json_option
def protocol(name: str, folder: Path, seeds: int, detail: str, as_json: bool) -> None:
    """Runs a benchmark."""
    result = protocols.run(name, folder, seeds=range(seeds), detail=detail)
    if as_json:
        _json(result)
        return
    for figure, s in result.figures.items():
        click.echo(f"{figure:<22} {s.mean:9.4f} ± {s.spread:.4f}   [{s.low:.4f}, {s.high:.4f}]")
    click.echo(result.protocol)


def _all(images: tuple[Path, ...]) -> Iterator[Path]:
    for path in images:
        yield from files.parts(path) if path.is_dir() else [path]


def _judged(path: Path, said: Judgement) -> dict[str, Any]:
    unlike = [msgspec.to_builtins(t) for t in said.unlike]
    return {"file": str(path), "verdict": said.verdict, "score": said.score, "raw": said.raw, "where": said.where, "unlike": unlike}


def _line(path: Path, said: Judgement) -> str:
    verdict = {"pass": _t("pass", "放行"), "review": _t("review", "复核"), "reject": _t("reject", "剔除")}[said.verdict]
    where = "".join(f"  [{r.x0},{r.y0},{r.x1},{r.y1}: {r.score:.2f}]" for r in said.where[:3])
    unlike = "".join(f"  {t.in_(language())}" for t in said.unlike)
    return f"{path}: {verdict} {said.score:.2f}{where}{unlike}"


def _report(r: Report) -> str:
    by_pixel = ""
    if r.pixel_auroc is not None and r.pro is not None:
        by_pixel = _t(f"; by pixel {r.pixel_auroc:.4f}", f"；像素级 {r.pixel_auroc:.4f}") + f"; PRO {r.pro:.4f}"
    lines = [
        _t(f"{r.good} good and {r.defective} defective items", f"良品 {r.good} 件，不良品 {r.defective} 件"),
        f"AUROC {r.image_auroc:.4f}" + by_pixel,
        _t(
            f"false reject {r.false_reject:.2%} (promised {r.promised_false_reject:.2%}), review {r.review_good:.2%}",
            f"误判率 {r.false_reject:.2%}（承诺 {r.promised_false_reject:.2%}），复核 {r.review_good:.2%}",
        ),
        _t(
            f"escape {r.escape:.2%} (with 95 % confidence at most {r.escape_bound:.2%}), review {r.review_defective:.2%}",
            f"漏检率 {r.escape:.2%}（置信度 95 % 下不超过 {r.escape_bound:.2%}），复核 {r.review_defective:.2%}",
        ),
        _t(
            f"CPU per picture {r.cpu_ms_p50:.1f} ms, 99 of 100 under {r.cpu_ms_p99:.1f} ms",
            f"每张图像 CPU 时间 {r.cpu_ms_p50:.1f} ms，99 % 低于 {r.cpu_ms_p99:.1f} ms",
        ),
    ]
    width = max((len(c) for c in r.classes), default=0)
    for name, c in r.classes.items():
        lines.append(f"  {name:<{width}}  {c.items:>5}  AUROC {c.image_auroc:.4f}  " + _t(f"escape {c.escape:.2%}", f"漏检 {c.escape:.2%}"))
    return "\n".join([*lines, *r.unreadable])


for _command in (quality_boards.boards, quality_boards.compare, quality_classify.classify, quality_watch.gauge, quality_watch.spc):
    quality.add_command(_command)


if __name__ == "__main__":
    sys.exit(quality())
