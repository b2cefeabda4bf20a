"""`ronghe bench NAME`: each benchmark is a module with `run(full) -> dict`, imported when called."""

from __future__ import annotations

import importlib
import json

import click

from ronghe.text import Text

BENCHES = {
    "opcua": Text("5,000 tags at 100 ms from node-opcua, against plain asyncua and node-opcua's client", "OPC UA 采集对比"),
    "historian": Text("10,000 tags x 1,000 samples, against DuckDB, SQLite, PostgreSQL and others", "历史库对比"),
    "loop": Text("sample in to decision out; and 10,000 tags at 1 Hz through one node", "闭环时延与单节点负载"),
}


@click.command(help=str(Text("Measure NAME: ", "测量 NAME：")) + ", ".join(f"{n} ({t})" for n, t in BENCHES.items()))
@click.argument("name", type=click.Choice(list(BENCHES)))
@click.option("--json", "as_json", is_flag=True, help=str(Text("one JSON object", "输出一个 JSON 对象")))
@click.option("--full", is_flag=True, help=str(Text("the whole protocol, without the 50 s limit", "完整规程，不限 50 秒")))
def bench(name: str, as_json: bool, full: bool) -> None:
    """Runs one benchmark and prints its result."""
    result = importlib.import_module(f"ronghe.bench.{name}").run(full=full)
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
