"""`ronghe fleet …`: the nodes of a centre, from the shell; whether the centre runs at the moment or not."""

from __future__ import annotations

import getpass
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from ronghe.text import Text, language

if TYPE_CHECKING:
    from ronghe.cloud.fleet.fleet import Fleet

_CENTRE = click.option(
    "--centre", required=True, type=click.Path(file_okay=False, path_type=Path), help=str(Text("folder of the centre", "中心的文件夹"))
)
_NODE = click.argument("node")
_JSON = click.option("--json", "as_json", is_flag=True, help=str(Text("as JSON", "以 JSON 输出")))
_ORDERS = ("logs", "metrics", "drivers", "apps", "disk", "threads", "ping")
_STATES = {
    "invited": Text("invited", "已邀请"),
    "up": Text("up", "在线"),
    "late": Text("late", "迟报"),
    "gone": Text("gone", "失联"),
    "removed": Text("removed", "已移除"),
}


@click.group(
    help=str(Text("The nodes of a centre: invite, look at, ask, configure, remove.", "中心的节点：邀请、查看、诊断、配置、移除。"))
)
def fleet() -> None:
    """The group; its help text is above, in the language of the process."""


@contextmanager
def _open(centre: Path) -> Iterator[Fleet]:
    from ronghe.cloud.centre import open_fleet

    found = open_fleet(centre)
    try:
        yield found
    finally:
        found.close()


@fleet.command("list", help=str(Text("List the nodes.", "列出节点。")))
@_CENTRE
@_JSON
def list_(centre: Path, as_json: bool) -> None:
    """One line each."""
    with _open(centre) as found:
        view = found.view()
    if as_json:
        _echo_json(view)
        return
    rows = [
        [
            n["name"],
            n["plant"],
            str(_STATES[n["state"]]),
            _age(n["age_s"]),
            n["version"] or "-",
            _short(n["configuration"]["running"]),
            _drift(n),
        ]
        for n in view["nodes"]
    ]
    heads = ("node 节点", "plant 工厂", "state 状态", "heard 距今", "version 版本", "runs 配置", "")
    _table([h.split()[language() == "zh"] if h else "" for h in heads], rows)


@fleet.command(
    "invite",
    help=str(
        Text(
            "Make a token with which NODE may join once within 24 h, and the command that is to be typed there.",
            "生成 NODE 加入用的一次性令牌（24 小时内有效），并给出需在该节点执行的命令。",
        )
    ),
)
@_NODE
@click.option(
    "--plant", required=True, help=str(Text("path of the plant that it runs, as in its plant.toml", "其运行的工厂路径，与 plant.toml 一致"))
)
@_CENTRE
def invite(node: str, plant: str, centre: Path) -> None:
    """Prints the command; the token is shown this once."""
    with _open(centre) as found:
        click.echo(found.command(found.invite(node, plant, _who())))


@fleet.command("remove", help=str(Text("Take NODE out of the fleet: it is refused from now on.", "将 NODE 移出：此后拒绝其连接。")))
@_NODE
@click.option("--why", default="", help=str(Text("kept in the ledger", "写入账本的原因")))
@_CENTRE
def remove(node: str, why: str, centre: Path) -> None:
    """No longer one of ours."""
    with _open(centre) as found:
        found.remove(node, _who(), why)
    click.echo(Text(f"{node} is removed", f"已移除 {node}"))


@fleet.command("show", help=str(Text("All that is known of NODE, as JSON.", "以 JSON 输出 NODE 的全部已知信息。")))
@_NODE
@_CENTRE
def show(node: str, centre: Path) -> None:
    """As the console has it."""
    with _open(centre) as found:
        known = [n for n in found.view()["nodes"] if n["name"] == node]
    if not known:
        _no_node(node)
    _echo_json(known[0])


@fleet.command(
    "order",
    help=str(
        Text("Ask NODE something, and wait for the answer. Nothing is changed there.", "向 NODE 查询诊断信息并等待应答；不会改动该节点。")
    ),
)
@_NODE
@click.argument("what", type=click.Choice(_ORDERS))
@click.option("--option", "-o", "given", multiple=True, metavar="KEY=VALUE", help=str(Text("e.g. lines=100", "例如 lines=100")))
@click.option("--wait", default=60.0, show_default=True, help=str(Text("s to wait for the answer", "等待应答的秒数")))
@_CENTRE
def order(node: str, what: str, given: Sequence[str], wait: float, centre: Path) -> None:
    """Prints the answer as JSON; exit code 1 when none came."""
    options = dict(g.partition("=")[::2] for g in given)
    with _open(centre) as found:
        id = found.order(node, what, options, _who())
        until = time.monotonic() + wait
        while (answer := found.answer(id)) is None and time.monotonic() < until:
            time.sleep(0.1)
    if answer is None:
        click.echo(
            Text(f"no answer within {wait:g} s; the node is given the order for 10 min", f"{wait:g} 秒内未应答；查询在 10 分钟内有效"),
            err=True,
        )
        sys.exit(1)
    _echo_json(answer)


@fleet.command("add", help=str(Text("Check the plant folder FOLDER and keep it as a version.", "检查工厂文件夹 FOLDER 并保存为一个版本。")))
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@_CENTRE
def add(folder: Path, centre: Path) -> None:
    """Prints its hash."""
    with _open(centre) as found:
        click.echo(found.add_folder(folder, _who()))


@fleet.command("folders", help=str(Text("List the versions of plant folders.", "列出工厂文件夹的各个版本。")))
@_CENTRE
@_JSON
def folders(centre: Path, as_json: bool) -> None:
    """The newest first."""
    with _open(centre) as found:
        versions = found.folders()
    if as_json:
        _echo_json(versions)
        return
    rows = [[v["hash"][:12], v["plant"], _when(v["time"]), v["by"], str(v["files"])] for v in versions]
    _table(
        ["hash", *([str(t) for t in (Text("plant", "工厂"), Text("added", "时间"), Text("by", "提交者"), Text("files", "文件数"))])], rows
    )


@fleet.command(
    "configure",
    help=str(
        Text(
            "Have NODE run the version of its plant folder that begins with HASH ('-': leave it as it is). The node checks it first, and "
            "goes back by itself when what worked before does not.",
            "让 NODE 运行以 HASH 开头的工厂文件夹版本（'-' 表示保持现状）。节点会先检查；切换后若原本正常的部分不再正常，会自动退回。",
        )
    ),
)
@_NODE
@click.argument("hash")
@_CENTRE
def configure(node: str, hash: str, centre: Path) -> None:
    """Says what is wanted now."""
    with _open(centre) as found:
        whole = found.want_configuration(node, "" if hash == "-" else hash, _who())
    click.echo(Text(f"{node}: {whole or 'as it is'}", f"{node}：{whole or '保持现状'}"))


@fleet.command(
    "drift",
    help=str(
        Text("List where nodes run other than wanted; exit code 1 when any does.", "列出实际运行与期望不一致的节点；如有则退出码为 1。")
    ),
)
@_CENTRE
@_JSON
def drift(centre: Path, as_json: bool) -> None:
    """Configuration, files changed by hand, and models."""
    with _open(centre) as found:
        nodes = [n for n in found.view()["nodes"] if n["state"] not in ("invited", "removed")]
    off = [n for n in nodes if n["configuration"]["drift"] or any(m["wanted"] not in ("", m["hash"]) for m in n["models"])]
    if as_json:
        _echo_json(off)
    for n in () if as_json else off:
        c = n["configuration"]
        click.echo(Text(f"{n['name']}: {_drift(n)}", f"{n['name']}：{_drift(n)}"))
        if c["text"]:
            click.echo(f"  {Text(**c['text'])}")
        for file in c["changed"]:
            click.echo(f"  {Text('changed by hand', '被手工修改')}: {file}")
        for m in n["models"]:
            if m["wanted"] not in ("", m["hash"]):
                click.echo(
                    f"  {m['app']}: {_short(m['wanted'])} ≠ {_short(m['hash'])}  {m['state']}  {Text(**m['text']) if m['text'] else ''}"
                )
    sys.exit(1 if off else 0)


def _drift(node: dict[str, Any]) -> str:
    c = node["configuration"]
    found = []
    if c["wanted"] and c["running"] and c["wanted"] != c["running"]:
        found.append(str(Text(f"wanted {_short(c['wanted'])}", f"期望 {_short(c['wanted'])}")))
    if c["changed"]:
        found.append(str(Text(f"{len(c['changed'])} changed", f"{len(c['changed'])} 个文件被改")))
    return ", ".join(found)


def _no_node(node: str) -> None:
    from ronghe.errors import CloudError

    raise CloudError(
        Text("no such node in the fleet", "没有该节点"), where=node, todo=Text("see `ronghe fleet list`", "请查看 `ronghe fleet list`")
    )


def _who() -> str:
    """Who types: the name by which the machine knows them."""
    return getpass.getuser()


def _echo_json(value: Any) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(value)).decode())


def _short(hash: str | None) -> str:
    return hash[:12] if hash else "-"


def _age(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.0f} s" if seconds < 600 else f"{seconds / 3600:.1f} h"


def _when(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(r[i]) for r in (heads, *rows)) for i in range(len(heads))]
    for row in (heads, *rows):
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
