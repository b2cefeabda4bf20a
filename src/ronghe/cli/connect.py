"""`ronghe browse URL`: what a device offers, as a table or as a first tags.csv."""

from __future__ import annotations

import asyncio
import csv
import os
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import click
import msgspec

from ronghe import plugins
from ronghe.connect import Driver, Found
from ronghe.connect.draft import draft, table
from ronghe.errors import RongheError
from ronghe.plant.model import Property, Tag
from ronghe.plant.problems import Problems
from ronghe.plant.table import read_table
from ronghe.signals import TagIndex
from ronghe.text import Text

_SCHEMES: Final = {"opc.tcp": "opcua", "": "file", "rtsp": "camera", "rtsps": "camera", "http": "camera", "https": "camera"}
"""URL scheme → driver, where they differ; any other scheme is the driver's name."""
_CAMERAS: Final = ("usb:", "genicam:")
_PASSWORD: Final = "RONGHE_PASSWORD"  # noqa: S105  # the name of a variable
_TAGS: Final = ("tag", "property", "connection", "address", "every", "unit", "writable")
_PROPERTIES: Final = ("property", "irdi", "name_en", "name_zh", "unit", "type", "low", "high")


@click.command(
    help=str(
        Text(
            "List what a device offers: opc.tcp://host:4840, modbus://host, a file, rtsp://host/stream, usb:0, genicam:ID, camera://FOLDER.",
            "列出设备提供的变量：opc.tcp://主机:4840、modbus://主机、文件、rtsp://主机/流、usb:0、genicam:ID、camera://文件夹。",
        )
    )
)
@click.argument("url")
@click.option("--under", default="", help=str(Text("only below this address or path", "仅列出该地址或路径之下")))
@click.option(
    "--user",
    default="",
    help=str(Text(f"user name; the password is asked for, or taken from {_PASSWORD}", f"用户名；密码将提示输入，或取自 {_PASSWORD}")),
)
@click.option("--security", default="", help=str(Text("e.g. Basic256Sha256/SignAndEncrypt", "例如 Basic256Sha256/SignAndEncrypt")))
@click.option(
    "-O", "--option", "more", multiple=True, metavar="KEY=VALUE", help=str(Text("any other option of the driver", "驱动的其他选项"))
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help=str(Text("write a first tags.csv, and dictionary.csv beside it", "写出初始 tags.csv，及同目录的 dictionary.csv")),
)
@click.option("--connection", default="", help=str(Text("name of the connection in plant.toml", "plant.toml 中的连接名")))
@click.option("--force", is_flag=True, help=str(Text("write over an existing tags.csv", "覆盖已有的 tags.csv")))
def browse(
    url: str, under: str, user: str, security: str, more: tuple[str, ...], output: Path | None, connection: str, force: bool
) -> None:
    """Connects, lists, and writes if asked to."""
    if output is not None and output.exists() and not force:
        raise RongheError(
            Text("the file exists", "文件已存在"),
            where=str(output),
            todo=Text("choose another, or give --force", "请另选文件名，或加 --force"),
        )
    kind, options = _driver(url, user, security, more)
    found = asyncio.run(_browse(kind, options, under))
    if not found and not under and kind.name == "modbus":
        raise RongheError(
            Text("a Modbus device does not say what it has", "Modbus 设备不会报告自己有哪些寄存器"),
            where=url,
            todo=Text("name what to look through, e.g. --under holding:0-199", "请指定扫描范围，如 --under holding:0-199"),
        )
    if output is None:
        click.echo(_listed(found))
        return
    connection = connection or kind.name
    tags, added = _write(output, found, connection)
    click.echo(
        Text(
            f"{output}: {tags} tags; dictionary.csv: {added} properties added",
            f"{output}：{tags} 个测点；dictionary.csv：新增 {added} 个属性",
        )
    )
    click.echo(
        Text("look them over: names and properties are guessed. plant.toml needs:", "请逐一核对：名称与属性为推测。plant.toml 中需有：")
    )
    click.echo(_toml(connection, kind, options, user))


def _driver(url: str, user: str, security: str, more: tuple[str, ...]) -> tuple[type[Driver], dict[str, Any]]:
    """The driver for a URL, and its options as written in plant.toml. Raises RongheError."""
    scheme, _, rest = url.partition("://")
    if not rest:
        scheme, rest = "camera" if url.startswith(_CAMERAS) else "", url
    kind: type[Driver] = plugins.load("ronghe.drivers", _SCHEMES.get(scheme, scheme))
    fields = set(kind.Options.__struct_fields__)
    options: dict[str, Any]
    if "url" in fields:
        options = {"url": url}
    elif "source" in fields:
        options = {"source": rest if scheme == kind.name else url}
    elif "host" in fields:
        parts = urlsplit(url)
        options = {"host": parts.hostname or "", **({"port": parts.port} if parts.port else {})}
        if not parts.hostname and "serial" in fields:  # modbus:///dev/ttyUSB0
            options = {"serial": parts.path}
    else:
        options = {"path": rest}
    options |= {k: v for k, v in (("user", user), ("security", security)) if v}
    for text in more:
        key, _, value = text.partition("=")
        options[key] = value
    if user and "password" in fields and "password" not in options:
        options["password"] = os.environ.get(_PASSWORD) or click.prompt(str(Text("Password", "密码")), hide_input=True, default="")
    return kind, options


async def _browse(kind: type[Driver], options: dict[str, Any], under: str) -> list[Found]:
    try:
        driver = kind(msgspec.convert(options, kind.Options, strict=False), TagIndex())
    except msgspec.ValidationError as e:
        known = ", ".join(kind.Options.__struct_fields__)
        raise RongheError(
            Text(f"an option does not fit: {e}", f"选项不符：{e}"), where=kind.name, todo=Text(f"options: {known}", f"可用选项：{known}")
        ) from e
    try:
        return await driver.browse(under)
    finally:
        await driver.close()


def _listed(found: list[Found]) -> str:
    if not found:
        return str(Text("nothing found that could be a tag", "未发现可作为测点的变量"))
    header = [
        str(t)
        for t in (
            Text("address", "地址"),
            Text("path", "路径"),
            Text("type", "类型"),
            Text("unit", "单位"),
            Text("writable", "可写"),
            Text("value", "当前值"),
        )
    ]
    yes = str(Text("yes", "是"))
    rows = [[f.address, f.path, f.type, f.unit, yes if f.writable else "", _short(f.value)] for f in found]
    return table(rows, header)


def _short(value: float | str | None) -> str:
    text = "" if value is None else value if isinstance(value, str) else f"{value:.10g}"
    text = " ".join(text.split())
    return text if len(text) <= 40 else text[:39] + "…"


def _write(output: Path, found: list[Found], connection: str) -> tuple[int, int]:
    """Writes both files; (tags, properties added to the dictionary)."""
    dictionary = output.parent / "dictionary.csv"
    known: dict[str, Property] = {}
    if dictionary.exists():
        problems = Problems()
        known = {p.property: p for _, p in read_table(dictionary, Property, problems)}
        if problems.errors():
            raise RongheError(
                problems.found[0].what, where=str(dictionary), todo=Text("mend it first: ronghe check", "请先修正：ronghe check")
            )
    tags, added = draft(found, connection, known)
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.open("w", newline="", encoding="utf-8-sig") as f:  # with the mark that makes Excel read it as UTF-8
        writer = csv.writer(f, lineterminator="\n")
        writer.writerow(_TAGS)
        writer.writerows(_row(t) for t in tags)
    new = not dictionary.exists()
    with dictionary.open("a", newline="", encoding="utf-8-sig" if new else "utf-8") as f:
        writer = csv.writer(f, lineterminator="\n")
        if new:
            writer.writerow(_PROPERTIES)
        writer.writerows([p.property, p.irdi, p.name_en, p.name_zh, p.unit, p.type, "", ""] for p in added)
    return len(tags), len(added)


def _row(tag: Tag) -> list[str]:
    return [tag.tag, tag.property, tag.connection, tag.address, "1s", tag.unit, "true" if tag.writable else ""]


def _toml(connection: str, kind: type[Driver], options: dict[str, Any], user: str) -> str:
    lines = [f"[connections.{connection}]", f'driver = "{kind.name}"']
    for key, value in options.items():
        if key == "password":
            lines.append(f'password = {{ env = "{connection.upper()}_PASSWORD" }}')
        else:
            lines.append(f"{key} = {msgspec.json.encode(value).decode()}")
    return "\n".join(lines)
