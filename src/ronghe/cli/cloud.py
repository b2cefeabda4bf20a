"""`ronghe cloud new FOLDER` and `ronghe cloud up FOLDER`: the centre of many plants."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from pathlib import Path

import click

from ronghe.text import Text


@click.group(
    help=str(
        Text("The centre: many plants, models released and rolled out, a fleet of nodes.", "中心：多个工厂、模型发布与下发、节点管理。")
    )
)
def cloud() -> None:
    """The group; its help text is above, in the language of the process."""


@cloud.command(
    help=str(
        Text(
            "Make a centre in FOLDER: cloud.toml and its own certificate authority. A folder that holds anything is left alone.",
            "在 FOLDER 新建中心：cloud.toml 及其自有证书颁发机构。不会改动已有内容的文件夹。",
        )
    )
)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--address",
    default="127.0.0.1",
    show_default=True,
    help=str(Text("host name or address by which nodes reach this machine", "节点访问本机所用的主机名或地址")),
)
def new(folder: Path, address: str) -> None:
    """Makes the folder and says what to do next."""
    from ronghe.cloud.folder import make

    for path in make(folder, address, time.time_ns):
        click.echo(path)
    click.echo()
    click.echo(f"  ronghe cloud up {folder}   {Text('runs it', '运行')}")
    click.echo(f"  ronghe fleet invite NODE --plant acme/shanghai/water --centre {folder}   {Text('lets a node join', '邀请节点加入')}")


@cloud.command(help=str(Text("Run the centre in FOLDER until Ctrl-C, with its console.", "运行 FOLDER 中的中心及其控制台，Ctrl-C 停止。")))
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True, help=str(Text("address of the console", "控制台地址")))
@click.option(
    "--port",
    default=8124,
    type=click.IntRange(0, 65535),
    show_default=True,
    help=str(Text("port of the console; 0: a free one", "控制台端口；0 为自动")),
)
@click.option("--no-console", is_flag=True, help=str(Text("run without the web page", "不启动网页")))
@click.option("--verbose", is_flag=True, help=str(Text("log what happens inside", "输出内部日志")))
def up(folder: Path, host: str, port: int, no_console: bool, verbose: bool) -> None:
    """Runs the centre and, unless told otherwise, its console in one event loop."""
    logging.basicConfig(level=logging.INFO if verbose else logging.WARNING, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    asyncio.run(run(folder, host, None if no_console else port))


async def run(folder: Path, host: str, port: int | None) -> None:
    """Runs the centre until SIGINT or SIGTERM. Raises CloudError, or what the console cannot have."""
    from ronghe.cloud.centre import Centre
    from ronghe.console.centre import CentreConsole

    centre = Centre(folder)
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    console: CentreConsole | None = None
    try:
        if port is not None:
            console = CentreConsole(centre, host, port)
        await centre.start()
        name = centre.spec.name
        click.echo(Text(f"{name.en}: nodes join at {centre.url}", f"{name.in_('zh')}：节点加入地址 {centre.url}"))
        for part, why in centre.failed.items():
            click.echo(Text(f"not at work: {part}: {why.en}", f"未能运行：{part}：{why.in_('zh')}"), err=True)
        await (ended.wait() if console is None else console.serve(ended, click.echo))
    finally:
        if console is not None:
            console.close()
        await centre.stop()
