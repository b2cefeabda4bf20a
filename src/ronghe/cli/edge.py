"""`ronghe up PLANT`: one process that runs a plant folder, with its console."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Sized
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ronghe.text import Text

if TYPE_CHECKING:
    from ronghe.edge.configuration import Configuration
    from ronghe.plant import Plant


@click.command(
    help=str(Text("Run the plant folder PLANT until Ctrl-C, with its console.", "运行工厂文件夹 PLANT 及其控制台，Ctrl-C 停止。"))
)
@click.argument("plant", type=click.Path(file_okay=False, path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True, help=str(Text("address of the console", "控制台地址")))
@click.option(
    "--port",
    default=8123,
    type=click.IntRange(0, 65535),
    show_default=True,
    help=str(Text("port of the console; 0: a free one", "控制台端口；0 为自动")),
)
@click.option("--no-console", is_flag=True, help=str(Text("run without the web page", "不启动网页")))
@click.option("--verbose", is_flag=True, help=str(Text("log what happens inside", "输出内部日志")))
def up(plant: Path, host: str, port: int, no_console: bool, verbose: bool) -> None:
    """Runs a node and, unless told otherwise, its console in one event loop."""
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    logging.getLogger("asyncua").setLevel(logging.ERROR)
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)  # what it logs is told as quality, health and alarm
    asyncio.run(run(plant, host, None if no_console else port))


async def run(folder: Path, host: str, port: int | None) -> None:
    """Runs the plant until SIGINT or SIGTERM; raises as `run_until`."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    await run_until(ended, folder, host, port)


async def run_until(ended: asyncio.Event, folder: Path, host: str, port: int | None) -> None:
    """Runs the plant until `ended`. Raises PlantError, StoreLocked, or what the console cannot have, before anything starts.

    A node that has joined a centre is started anew when another version of its plant folder came from there; one that does not start is
    taken back.
    """
    from ronghe.edge.footprint import lighten

    lighten()
    from ronghe.edge.joined import configuration_of, take_back

    configuration = await asyncio.to_thread(configuration_of, folder)
    while not ended.is_set():
        try:
            await _run_once(folder, host, port, ended, configuration)
        except Exception as e:
            if configuration is None or not await asyncio.to_thread(take_back, configuration, e):
                raise


async def _run_once(folder: Path, host: str, port: int | None, ended: asyncio.Event, configuration: Configuration | None) -> None:
    """Until `ended`, or until the node is to run from other files."""
    from ronghe.edge.footprint import trim
    from ronghe.edge.joined import Joined
    from ronghe.edge.node import Node
    from ronghe.guard.limits import check_guard
    from ronghe.plant import load

    node = Node(load(folder, check_guard=check_guard))
    joined = Joined(node, configuration)
    over = asyncio.Event()
    waiting = asyncio.create_task(joined.until(ended, over), name="end")
    console: Console | None = None
    try:
        if port is not None:
            from ronghe.console import Console

            console = Console(node, host, port)
        await node.start()
        joined.start()
        await asyncio.to_thread(trim)
        click.echo(_greeting(node.plant))
        await (over.wait() if console is None else console.serve(over, click.echo))
    finally:
        waiting.cancel()
        if console is not None:
            console.close()
        await joined.stop()
        await node.stop()


def _greeting(n: Plant) -> Text:
    return Text(
        f"{n.name.en}: {_many(n.connections, 'connection')}, {_many(n.tags, 'tag')}, {_many(n.apps, 'app')}, "
        f"{_many(n.guards, 'guarded set-point')}",
        f"{n.name.in_('zh')}：{len(n.connections)} 个连接，{len(n.tags)} 个测点，{len(n.apps)} 个应用，{len(n.guards)} 个受控设定值",
    )


def _many(things: Sized, word: str) -> str:
    return f"{len(things)} {word}{'' if len(things) == 1 else 's'}"
