"""`ronghe serve`: models as a service, from a folder of packages or a centre's registry."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from pathlib import Path

import click

from ronghe.cloud.serving import Serving, Tenants
from ronghe.cloud.serving.server import own_machine
from ronghe.cloud.serving.shelf import Folder
from ronghe.cloud.spec import ServingSpec
from ronghe.models.registry import Registry
from ronghe.text import Text


def _t(en: str, zh: str) -> str:
    return str(Text(en, zh))


@click.command(
    help=_t(
        "Serve the model packages in FOLDER, or in the registry of the centre FOLDER, by Open Inference Protocol v2 (REST and gRPC).",
        "将 FOLDER 中的模型包（或 FOLDER 中心的模型注册库）以 Open Inference Protocol v2 提供服务（REST 与 gRPC）。",
    )
)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--port", type=int, default=8200, show_default=True, help=_t("of REST; 0: a free one", "REST 端口，0 为自动选择"))
@click.option("--grpc-port", type=int, default=8201, show_default=True, help=_t("of gRPC; 0: a free one", "gRPC 端口，0 为自动选择"))
@click.option("--host", default="", help=_t("address to listen on", "监听地址"))
@click.option("--open", "open_", is_flag=True, help=_t("without keys, for this machine only", "无需密钥，仅供本机"))
@click.option("--certificate", default="", help=_t("PEM file: serve by TLS", "PEM 证书文件，启用 TLS"))
@click.option("--key", default="", help=_t("PEM file of its private key", "证书私钥 PEM 文件"))
@click.option("--threads", type=int, default=0, help=_t("models that run at once; 0: as many as cores", "同时运行的模型数，0 为核数"))
@click.option("--trusted", multiple=True, help=_t("serve only packages signed by this key (hex)", "仅提供由该公钥（十六进制）签名的模型包"))
def serve(
    folder: Path, port: int, grpc_port: int, host: str, open_: bool, certificate: str, key: str, threads: int, trusted: tuple[str, ...]
) -> None:
    """Serves until it is told to end."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    home = folder / ".ronghe"
    centre = (folder / "cloud.toml").exists()
    spec = ServingSpec(port=port, grpc=grpc_port, certificate=certificate, key=key, threads=threads)
    tenants = None if open_ else Tenants(home / "tenants.sqlite")
    try:
        if host and not certificate and not own_machine(host):
            click.echo(
                Text(
                    "without a certificate keys and data go over the network as they are: give --certificate and --key, or use a proxy",
                    "未启用证书，密钥与数据将以明文传输：请给出 --certificate 与 --key，或使用代理",
                ),
                err=True,
            )
        source = Registry(home / "registry") if centre else Folder(folder, trusted or None)
        asyncio.run(_until_told(Serving(source, tenants, spec, host=host)))
    finally:
        if tenants is not None:
            tenants.close()


async def _until_told(serving: Serving) -> None:
    ended = asyncio.Event()
    for s in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(s, ended.set)
    try:
        await serving.start()
        where = f"{serving.url}  grpc://{serving.grpc_url}"
        click.echo(Text(f"models are served: {where}", f"模型服务已就绪：{where}"))
        sys.stdout.flush()
        await ended.wait()
    finally:
        await serving.stop()
