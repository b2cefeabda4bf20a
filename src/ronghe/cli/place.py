"""`ronghe place`: where models run, and why; and a trial of one model against one server, with no plant."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import click
import numpy as np

from ronghe.errors import RongheError
from ronghe.text import Text, language


def _t(en: str, zh: str) -> str:
    return str(Text(en, zh))


_JSON = click.option("--json", "as_json", is_flag=True, help=_t("for programs", "供程序读取"))
_MODEL = click.argument("model", type=click.Path(exists=True, path_type=Path))


@click.group(help=_t("Placement: models on device, edge, workshop server or centre.", "模型部署位置：设备、边缘、车间服务器或中心。"))
def place() -> None:
    """The group."""


@place.command(
    help=_t(
        "Show where the models of the plant folder PLANT run and why, and measure the links to its sites now.",
        "显示工厂文件夹 PLANT 中各模型的运行位置及原因，并即时测量到各位置的链路。",
    )
)
@click.argument("plant", type=click.Path(file_okay=False, path_type=Path))
@click.option("--seconds", type=click.FloatRange(0, 600), default=3.0, show_default=True, help=_t("to measure for", "测量时长（秒）"))
@_JSON
def show(plant: Path, seconds: float, as_json: bool) -> None:
    """What the node last wrote of its placement, and the links as they are."""
    from ronghe.edge.node import STATE
    from ronghe.edge.placements import FILE
    from ronghe.models.placement import Placer
    from ronghe.models.placement.trial import BRISK
    from ronghe.plant import load

    loaded = load(plant)
    if not loaded.sites:
        raise RongheError(
            Text("the plant has no [sites]: its models run here", "工厂未配置 [sites]，模型均在本节点运行"),
            where=str(plant),
            todo=Text("see docs/placement.md", "参见 docs/placement.md"),
        )
    placer = Placer(loaded.sites, clock=time.time_ns, pace=BRISK)
    placer.start()
    time.sleep(seconds)
    view = placer.view()
    placer.close()
    file = plant / STATE / FILE
    told = json.loads(file.read_bytes()) if file.exists() else None
    shown = {
        "sites": view["sites"],
        "told": told and told["now"],
        "models": told["models"] if told else [],
        "moves": told["moves"] if told else [],
    }
    if as_json:
        click.echo(json.dumps(shown, ensure_ascii=False))
        return
    _sites(shown["sites"])
    if told is None:
        click.echo(Text("the node has not placed any model yet: `ronghe up`", "节点尚未部署任何模型：请运行 `ronghe up`"))
        return
    age = time.time() - told["now"] / 1e3
    click.echo(Text(f"as the node told {age:.0f} s ago:", f"节点 {age:.0f} 秒前的状态："))
    _models(shown["models"])
    for move in reversed(shown["moves"][:10]):
        at = time.strftime("%H:%M:%SZ", time.gmtime(move["time"] / 1e3))
        click.echo(f"  {at} {move['model']}: {move['from']} → {move['to']}: {_said(move['why'])}")


@place.command(
    "try",
    help=_t(
        "Run MODEL (an .onnx file, or a model package) here and at a server of the Open Inference Protocol v2 that serves the same graph, "
        "and say where it would go. Numbers are drawn at random.",
        "在本机与提供同一计算图的 Open Inference Protocol v2 服务器上试运行 MODEL（.onnx 文件或模型包），"
        "说明其应部署在何处。输入为随机数。",
    ),
)
@_MODEL
@click.option("--site", required=True, help=_t("http(s)://host:port of the server", "服务器地址 http(s)://主机:端口"))
@click.option("--kind", type=click.Choice(["device", "edge", "workshop", "centre"]), default="workshop", help=_t("what it is", "位置类型"))
@click.option("--deadline", required=True, help=_t("of one run, e.g. 50ms", "单次运行时限，如 50ms"))
@click.option("--seconds", type=click.FloatRange(1, 3600), default=10.0, show_default=True, help=_t("to run for", "运行时长（秒）"))
@click.option("--rate", type=click.FloatRange(0.1, 1000), default=10.0, show_default=True, help=_t("runs a second", "每秒运行次数"))
@click.option("--cost-here", type=float, default=2.0, show_default=True, help=_t("of a second of computing here", "本机每秒计算成本"))
@click.option("--cost-there", type=float, default=1.0, show_default=True, help=_t("of a second of computing there", "该处每秒计算成本"))
@click.option("--key-env", default="", help=_t("environment variable that holds the server's key", "保存服务器密钥的环境变量"))
@click.option("--ca", type=click.Path(path_type=Path), help=_t("PEM file of who signed its certificate", "签发其证书的 CA（PEM 文件）"))
@click.option("--shape", "shapes", multiple=True, metavar="INPUT=N,N,…", help=_t("of an input whose size may vary", "可变尺寸输入的形状"))
@_JSON
def try_(
    model: Path,
    site: str,
    kind: Any,
    deadline: str,
    seconds: float,
    rate: float,
    cost_here: float,
    cost_there: float,
    key_env: str,
    ca: Path | None,
    shapes: tuple[str, ...],
    as_json: bool,
) -> None:
    """A trial."""
    from ronghe.models.placement.trial import attempt, graph_of
    from ronghe.plant.model import SiteSpec

    sites = {
        "here": SiteSpec(kind="edge", cost=cost_here),
        kind: SiteSpec(kind=kind, url=site, cost=cost_there, api_key=_key(key_env), ca=ca),
    }
    view = attempt(graph_of(model), sites, deadline, seconds, rate=rate, shapes=dict(map(_shape, shapes)), rng=np.random.default_rng(0))
    if as_json:
        click.echo(json.dumps(view, ensure_ascii=False))
        return
    _sites(view["sites"])
    _models(view["models"])
    runs = view["models"][0]["runs"]
    click.echo(
        Text(
            f"{runs['calls']} runs: p99 {view['p99_ms']:.1f} ms, worst {view['worst_ms']:.1f} ms; {runs['remote']} there, "
            f"{runs['overtaken']} overtaken here, {runs['held']} here while the link stalled, {runs['missed']} after the deadline",
            f"共 {runs['calls']} 次：p99 {view['p99_ms']:.1f} ms，最慢 {view['worst_ms']:.1f} ms；远端 {runs['remote']} 次，"
            f"本地接替 {runs['overtaken']} 次，链路停顿期间本地 {runs['held']} 次，超时 {runs['missed']} 次",
        )
    )


@place.command(
    help=_t(
        "Write the graph of MODEL (a model package, or an .onnx file) as a package of its own to FILE: what a site serves, so that the "
        "model of an app may run there.",
        "将 MODEL（模型包或 .onnx 文件）的计算图单独写成模型包 FILE，供其他位置提供服务，应用的模型方可在该处运行。",
    )
)
@_MODEL
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def graph(model: Path, file: Path) -> None:
    """A package of kind "onnx"."""
    from ronghe.models import save
    from ronghe.models.placement.trial import alone

    package = alone(model, created=time.time_ns())
    click.echo(f"{package.manifest.name} {package.manifest.version} {save(file, package)}")


def _key(variable: str) -> str:
    if variable and variable not in os.environ:
        raise RongheError(Text(f"the environment variable {variable!r} is not set", f"未设置环境变量 {variable!r}"))
    return os.environ[variable] if variable else ""


def _shape(given: str) -> tuple[str, tuple[int, ...]]:
    name, _, sizes = given.rpartition("=")
    try:
        return name, tuple(int(s) for s in sizes.split(","))
    except ValueError:
        raise click.BadParameter(given, param_hint="--shape") from None


def _said(text: dict[str, str]) -> str:
    return text[language()] or text["en"]


def _sites(sites: list[dict[str, Any]]) -> None:
    for s in sites:
        head = f"{s['site']:<12} {s['kind']:<9}"
        if s["rtt_ms"] is not None:
            speed = f", {s['bps'] / 1e6:.1f} Mbit/s" if s["bps"] else ""
            click.echo(
                head
                + _t(
                    f"round trip {s['rtt_ms']:.1f} ms, p99 {s['p99_ms']:.1f}, jitter {s['jitter_ms']:.1f}, loss {s['loss']:.1%}{speed}",
                    f"往返 {s['rtt_ms']:.1f} ms，p99 {s['p99_ms']:.1f}，抖动 {s['jitter_ms']:.1f}，丢失 {s['loss']:.1%}{speed}",
                )
            )
        else:
            click.echo(head + (_said(s["title"]) if s["up"] else _t("no answer", "无应答")))


def _models(models: list[dict[str, Any]]) -> None:
    for m in models:
        click.echo(
            Text(
                f"{m['model']} ({m['app']}, deadline {m['deadline_ms']:g} ms) runs at {m['site']}: {m['why']['en']}",
                f"{m['model']}（{m['app']}，时限 {m['deadline_ms']:g} ms）运行于 {m['site']}：{m['why']['zh']}",
            )
        )
        for o in m["options"]:
            cost = "" if o["cost"] is None else _t(f", cost {o['cost']:.3g}", f"，成本 {o['cost']:.3g}")
            click.echo(f"  {'✓' if o['meets'] else '✗'} {o['site']:<12} {_said(o['why'])}{cost}")
