"""`ronghe keys`: the keys that sign releases, and who trusts them."""

from __future__ import annotations

import os
import time
from pathlib import Path

import click
import msgspec

from ronghe.errors import ModelError
from ronghe.models.delivery import Store
from ronghe.models.keys import PASSPHRASE, Key, KeyFolder, Ring
from ronghe.models.registry import Registry
from ronghe.signals.when import format_time, parse_duration, parse_time
from ronghe.text import Text

_STATES = {
    "early": Text("not yet", "未生效"),
    "active": Text("active", "有效"),
    "retiring": Text("retiring", "轮换中"),
    "retired": Text("retired", "已停用"),
}


def _t(en: str, zh: str) -> str:
    return str(Text(en, zh))


def key_folder(option: Path | None) -> KeyFolder:
    """The folder that was named, or the person's own."""
    return KeyFolder(option or Path(click.get_app_dir("ronghe", force_posix=True)) / "keys")


def passphrase() -> str:
    """From the environment: a command line can be seen by others."""
    return os.environ.get(PASSPHRASE, "")


KEYS = click.option(
    "--keys",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help=_t("folder of keys; by default your own", "密钥文件夹，默认为个人目录"),
)
_UNTIL = click.option("--until", default="", metavar="TIME", help=_t("it counts until then, e.g. 2028-01-01", "有效期至，例如 2028-01-01"))


@click.group(
    help=_t(
        f"Keys that sign releases of models (Ed25519). A passphrase is taken from {PASSPHRASE}.",
        f"签署模型发布的密钥（Ed25519）。口令取自环境变量 {PASSPHRASE}。",
    )
)
def keys() -> None:
    """The group."""


@keys.command(help=_t("Make a key NAME.", "创建密钥 NAME。"))
@click.argument("name")
@click.option("--by", default="", metavar="NAME", help=_t("the trusted key that introduces it", "引入它的受信任密钥"))
@_UNTIL
@KEYS
def new(name: str, by: str, until: str, folder: Path | None) -> None:
    """Makes one, and says its public key."""
    now = time.time_ns()
    key = key_folder(folder).new(name, now, by=by, until=parse_time(until, now) if until else 0, passphrase=passphrase())
    click.echo(key)
    if not passphrase():
        click.echo(
            _t(f"without a passphrase ({PASSPHRASE}): keep the file safe", f"未设口令（{PASSPHRASE}），请妥善保管密钥文件"), err=True
        )


@keys.command("list", help=_t("List the keys, or those that a centre or a plant trusts.", "列出密钥，或中心、工厂信任的密钥。"))
@KEYS
@click.option("--centre", type=click.Path(file_okay=False, path_type=Path), help=_t("a centre's folder", "中心文件夹"))
@click.option("--plant", type=click.Path(file_okay=False, path_type=Path), help=_t("a plant folder", "工厂文件夹"))
@click.option("--json", "as_json", is_flag=True, help=_t("for programs", "供程序读取"))
def list_(folder: Path | None, centre: Path | None, plant: Path | None, as_json: bool) -> None:
    """Shows a ring."""
    now = time.time_ns()
    ring = _ring(centre, plant) if centre or plant else key_folder(folder).ring
    for k in ring.keys:
        click.echo(msgspec.json.encode({**msgspec.to_builtins(k), "state": k.state(now)}).decode() if as_json else _line(k, now))


def _line(k: Key, now: int) -> str:
    since, until = (format_time(t)[:10] if t else "-" for t in (k.since, k.until))
    return f"{k.key}  {k.name:<16} {since} .. {until}  {_STATES[k.state(now)]}"


@keys.command(help=_t("Replace the key OLD by NEW; OLD still counts for a while.", "用 NEW 轮换 OLD；OLD 在重叠期内仍有效。"))
@click.argument("old")
@click.argument("new_name", metavar="NEW")
@click.option("--overlap", default="30d", show_default=True, help=_t("how long the old one still counts", "旧密钥继续有效的时长"))
@KEYS
def rotate(old: str, new_name: str, overlap: str, folder: Path | None) -> None:
    """Rotates."""
    click.echo(key_folder(folder).rotate(old, new_name, time.time_ns(), overlap=parse_duration(overlap), passphrase=passphrase()))


@keys.command(help=_t("End a key, at once or at a time.", "停用密钥，立即或在指定时间。"))
@click.argument("name")
@click.option("--by", default="", metavar="NAME", help=_t("the key that says so; by default itself", "由哪个密钥声明；默认为其自身"))
@click.option("--why", required=True, help=_t("the reason", "原因"))
@_UNTIL
@KEYS
def retire(name: str, by: str, why: str, until: str, folder: Path | None) -> None:
    """Retires."""
    now = time.time_ns()
    key_folder(folder).retire(name, now, by=by or name, until=parse_time(until, now) if until else now, why=why, passphrase=passphrase())


@keys.command(
    help=_t(
        "Let a centre or a plant trust KEY (64 hex digits), or the keys of a ring.json. Further keys come in by rotation alone.",
        "让中心或工厂信任 KEY（64 位十六进制）或 ring.json 中的密钥。之后的密钥只能通过轮换引入。",
    )
)
@click.argument("key")
@click.option("--centre", type=click.Path(file_okay=False, path_type=Path), help=_t("a centre's folder", "中心文件夹"))
@click.option("--plant", type=click.Path(file_okay=False, path_type=Path), help=_t("a plant folder", "工厂文件夹"))
def trust(key: str, centre: Path | None, plant: Path | None) -> None:
    """Pins."""
    now, ring = time.time_ns(), _ring(centre, plant)
    if not key.endswith(".json"):
        ring.pin(key)
        return
    if not Path(key).exists():
        raise ModelError(Text("there is no such ring", "没有这个密钥环"), where=key)
    given = Ring(Path(key))
    first = [k.key for k in given.keys if not k.by and k.counts(now)]
    for pinned in first:
        ring.pin(pinned)
    ring.admit(given.statements, now)
    for k in ring.keys:
        click.echo(_line(k, now))


def _ring(centre: Path | None, plant: Path | None) -> Ring:
    if centre is not None:
        return Registry(registry_folder(centre)).ring
    if plant is not None:
        return Store(store_folder(plant)).ring
    raise click.UsageError(_t("give --centre FOLDER or --plant FOLDER", "请指定 --centre 或 --plant 文件夹"))


def registry_folder(centre: Path) -> Path:
    """Of a centre's folder. Raises ModelError where there is none."""
    if not (centre / "cloud.toml").exists():
        raise ModelError(
            Text("not a centre's folder: cloud.toml is missing", "不是中心文件夹：缺少 cloud.toml"),
            where=str(centre),
            todo=Text("make one: `ronghe cloud new FOLDER`", "请先创建：`ronghe cloud new FOLDER`"),
        )
    return centre / ".ronghe" / "registry"


def store_folder(plant: Path) -> Path:
    """Of a plant folder. Raises ModelError where there is none."""
    if not (plant / "plant.toml").exists():
        raise ModelError(
            Text("not a plant folder: plant.toml is missing", "不是工厂文件夹：缺少 plant.toml"),
            where=str(plant),
            todo=Text("make one: `ronghe new FOLDER`", "请先创建：`ronghe new FOLDER`"),
        )
    return plant / ".ronghe" / "models"
