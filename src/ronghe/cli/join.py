"""`ronghe join URL TOKEN --plant FOLDER`: this plant's node becomes one of a centre's fleet."""

from __future__ import annotations

import time
from pathlib import Path

import click

from ronghe.text import Text


@click.command(
    help=str(
        Text(
            "Join the centre at URL with a one-time TOKEN from `ronghe fleet invite`. The node makes its own key; nothing is trusted "
            "but what the token names. From the next `ronghe up` on the plant is connected.",
            "用 `ronghe fleet invite` 给出的一次性令牌 TOKEN 加入 URL 处的中心。密钥由节点自行生成，只信任令牌指明的中心。"
            "下次 `ronghe up` 起即连接中心。",
        )
    )
)
@click.argument("url")
@click.argument("token")
@click.option("--plant", required=True, type=click.Path(file_okay=False, path_type=Path), help=str(Text("the plant folder", "工厂文件夹")))
def join(url: str, token: str, plant: Path) -> None:
    """Joins once, and says as whom."""
    from ronghe.edge.joining import join as join_

    joined = join_(url, token, plant, time.time_ns)
    click.echo(
        Text(
            f"joined as {joined.node}; restart `ronghe up {plant}` if it runs",
            f"已加入，节点名 {joined.node}；若 `ronghe up {plant}` 正在运行，请重新启动",
        )
    )
