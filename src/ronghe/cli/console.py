"""`ronghe user …`: people of a plant's console and their roles, from the shell; also while the node runs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import click

from ronghe.console.people import fragment
from ronghe.console.roles import ROLES, Role
from ronghe.console.users import Users, UsersError
from ronghe.text import Text

_PLANT = click.argument("plant", type=click.Path(file_okay=False, path_type=Path))
_NAME = click.argument("name")
_ROLE = click.argument("role", type=click.Choice(ROLES))


@click.group(help=str(Text("People of the console of the plant folder PLANT, and their roles.", "工厂文件夹 PLANT 控制台的用户与角色。")))
def user() -> None:
    """The group; its help text is above, in the language of the process."""


@contextmanager
def _open(plant: Path) -> Iterator[Users]:
    if not any((plant / name).exists() for name in ("plant.toml", "cloud.toml")):
        raise UsersError(
            Text(
                "this is neither a plant folder nor a centre: it has no plant.toml or cloud.toml",
                "此处不是工厂或中心文件夹：没有 plant.toml 或 cloud.toml",
            ),
            where=str(plant),
            todo=Text("make one with `ronghe new` or `ronghe cloud new`", "可用 `ronghe new` 或 `ronghe cloud new` 新建"),
        )
    users = Users(plant / ".ronghe" / "users.sqlite", time.time_ns)
    try:
        yield users
    finally:
        users.close()


def _tell_link(users: Users, name: str) -> None:
    link = fragment(users.link(name))
    click.echo(
        Text(
            f"one-time link, valid 24 h, to be put behind the console's address: {link}",
            f"一次性链接（24 小时内有效），请接在控制台地址之后：{link}",
        )
    )


@user.command(
    "add",
    help=str(Text("Add a person; prints a one-time link with which they set a password.", "新增用户，并输出用于设置密码的一次性链接。")),
)
@_PLANT
@_NAME
@_ROLE
def add(plant: Path, name: str, role: str) -> None:
    """A new person."""
    with _open(plant) as users:
        users.add(name, Role[role.upper()])
        _tell_link(users, name)


@user.command("list", help=str(Text("List the people and their roles.", "列出用户及其角色。")))
@_PLANT
def list_(plant: Path) -> None:
    """Everybody: name, role, when last seen."""
    with _open(plant) as users:
        everybody = users.everyone()
    if not everybody:
        click.echo(
            Text("nobody yet: `ronghe up` prints the link for the first administrator", "尚无用户：`ronghe up` 会输出首位管理员的链接")
        )
    width = max((len(u.name) for u in everybody), default=0)
    for person in everybody:
        seen = Text("no password yet", "尚未设置密码")
        if person.ready:
            at = datetime.fromtimestamp(person.seen // 1_000_000_000, UTC).strftime("%Y-%m-%d %H:%M UTC")
            seen = Text(f"last seen {at}", f"最近使用 {at}") if person.seen else Text("never signed in", "从未登录")
        click.echo(f"{person.name:<{width}}  {person.role.word:<13}  {seen}")


@user.command("role", help=str(Text("Give a person another role; ends their sessions.", "更改用户角色，其现有会话随即失效。")))
@_PLANT
@_NAME
@_ROLE
def role(plant: Path, name: str, role: str) -> None:
    """Another role."""
    with _open(plant) as users:
        changed = users.set_role(name, Role[role.upper()])
    click.echo(Text(f"{name} is now {changed.role.text.en}", f"{name} 的角色现为“{changed.role.text.zh}”"))


@user.command(
    "password",
    help=str(Text("Set a person's password (asked for, never on the command line).", "设置用户密码（交互输入，不出现在命令行中）。")),
)
@_PLANT
@_NAME
def password(plant: Path, name: str) -> None:
    """A password typed twice."""
    with _open(plant) as users:
        users.get(name)
        once_more = str(Text("once more", "再次输入"))
        typed = click.prompt(str(Text("new password", "新密码")), hide_input=True, confirmation_prompt=once_more)
        users.set_password(name, typed)
    click.echo(Text("done; all their sessions have ended", "已设置，其现有会话全部失效"))


@user.command(
    "link",
    help=str(
        Text(
            "Make a one-time link for NAME; without NAME for the first administrator.",
            "为 NAME 生成一次性链接；不写 NAME 则用于首位管理员。",
        )
    ),
)
@_PLANT
@click.argument("name", default="")
def link(plant: Path, name: str) -> None:
    """A lost link, or a forgotten password."""
    with _open(plant) as users:
        _tell_link(users, name)


@user.command("remove", help=str(Text("Remove a person, their sessions and links.", "删除用户及其会话与链接。")))
@_PLANT
@_NAME
def remove(plant: Path, name: str) -> None:
    """No longer one of us."""
    with _open(plant) as users:
        users.remove(name)
    click.echo(Text(f"{name} is removed", f"已删除 {name}"))
