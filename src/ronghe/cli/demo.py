"""`ronghe demo`: the demonstration plant, from devices to browser, in one command."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from ronghe.text import Text


@click.command(
    help=str(
        Text(
            "Run the demonstration plant: two real protocol servers play real recordings; the rig's cooler begins to fail after 30 s.",
            "运行演示工厂：两台真实协议服务器回放真实录波，约 30 秒后试验台冷却器开始劣化。",
        )
    )
)
@click.option("--folder", default="demo-plant", show_default=True, type=click.Path(file_okay=False, path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option(
    "--port",
    default=8123,
    type=click.IntRange(0, 65535),
    show_default=True,
    help=str(Text("port of the console; 0: a free one", "控制台端口；0 为自动")),
)
def demo(folder: Path, host: str, port: int) -> None:
    """Writes the plant folder, starts its devices and runs it."""
    asyncio.run(_run(folder, host, port))


async def _run(folder: Path, host: str, port: int) -> None:
    from ronghe.cli.edge import run
    from ronghe.demo.prepare import Ports, devices, write_folder

    ports = Ports.free()
    write_folder(folder, ports)
    async with devices(folder, ports):
        await run(folder, host, port)
