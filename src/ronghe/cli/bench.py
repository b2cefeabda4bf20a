"""`ronghe bench NAME`: each benchmark is a module with `run(full) -> dict`, imported when called."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import click

from ronghe.text import Text

BENCHES = {
    "opcua": Text("5,000 tags at 100 ms from node-opcua, against plain asyncua and node-opcua's client", "OPC UA 采集对比"),
    "changeover": Text("60 jobs with set-ups, disturbed, against ATC and CP-SAT; then a live changeover", "扰动下的重排产与一分钟改线"),
    "historian": Text("10,000 tags x 1,000 samples, against DuckDB, SQLite, PostgreSQL and others", "历史库对比"),
    "inspect": Text("our inspector beside PatchCore and EfficientAD style networks: AUROC and CPU time", "外观检测对比：AUROC 与 CPU 用时"),
    "mpc": Text("predictive control with a model 20 % off, against one that knows everything", "模型失配 20 % 的预测控制，对比全知控制"),
    "bus": Text("samples acknowledged at the edge and at the centre, beside bare JetStream and MQTT", "边缘到中心的消息总线对比"),
    "outage": Text("24 h of 5,000 tags with the link cut, the edge and a hub server killed", "断网、断电与主节点故障下的 24 小时"),
    "idle": Text("what a node costs that has little to do: memory and CPU", "空闲节点的内存与 CPU 占用"),
    "scale": Text("one long query and one fan-out, on one process and on a two-node Ray cluster", "单进程与两节点 Ray 集群对比"),
    "place": Text("a model between edge and workshop, as the link stalls, slows and is cut", "链路停顿、变慢、中断时的模型部署"),
    "serve": Text("models as a service, beside a bare endpoint and MLflow's", "模型服务对比"),
    "loop": Text("sample in to decision out; and 10,000 tags at 1 Hz through one node", "闭环时延与单节点负载"),
    "soak": Text(
        "7 days of the demonstration's energy corner and furnace in auto, with everything failing in turn",
        "无人值守浸泡：7 天自动运行与故障注入",
    ),
}

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command(help=str(Text("Measure NAME: ", "测量 NAME：")) + ", ".join(f"{n} ({t})" for n, t in BENCHES.items()))
@click.argument("name", type=click.Choice(list(BENCHES)))
@click.option("--json", "as_json", is_flag=True, help=str(Text("one JSON object", "输出一个 JSON 对象")))
@click.option("--full", is_flag=True, help=str(Text("the whole protocol, without the 50 s limit", "完整规程，不限 50 秒")))
@click.option("--good-train", type=_FOLDER, help=str(Text("inspect: good pictures to learn from", "inspect：用于学习的良品图像")))
@click.option("--good", type=_FOLDER, help=str(Text("inspect: good pictures to test on", "inspect：用于测试的良品图像")))
@click.option(
    "--defective",
    type=_FOLDER,
    multiple=True,
    help=str(Text("inspect: defective pictures (may be repeated)", "inspect：缺陷图像（可重复给出）")),
)
def bench(name: str, as_json: bool, full: bool, good_train: Path | None, good: Path | None, defective: tuple[Path, ...]) -> None:
    """Runs one benchmark and prints its result."""
    module = importlib.import_module(f"ronghe.bench.{name}")
    if not (good_train or good or defective):
        result = module.run(full=full)
    elif name == "inspect" and good_train and good and defective:
        result = module.run(full=full, split=module.Split(good_train, good, defective))
    else:
        raise click.UsageError(
            str(
                Text(
                    "--good-train, --good and --defective belong together, and to `bench inspect`",
                    "--good-train、--good、--defective 须一起给出，且仅用于 `bench inspect`",
                )
            )
        )
    if as_json:
        click.echo(json.dumps(result, ensure_ascii=False))
        return
    _print(result, 0)


def _print(result: dict[str, object], depth: int) -> None:
    for key, value in result.items():
        if isinstance(value, dict):
            click.echo(f"{'  ' * depth}{key}")
            _print(value, depth + 1)
        else:
            click.echo(f"{'  ' * depth}{key:<28}{f'{value:,.3f}' if isinstance(value, float) else value}")
