"""`ronghe demo`: the demonstration plant, from devices to browser, in one command."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from ronghe.text import Text


@click.command(
    help=str(
        Text(
            "Run the demonstration plant: real protocol servers and cameras play real recordings. Within two minutes a cooler fails, an"
            " etching bath gets too hot and a person walks up to a press.",
            "运行演示工厂：真实协议服务器与相机回放真实录波和图像。两分钟内可见冷却器劣化、蚀刻液过热、人员进入压机危险区域。",
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
