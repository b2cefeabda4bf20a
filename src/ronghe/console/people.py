"""/api/users: people and their roles, for administrators."""

from __future__ import annotations

import asyncio
from typing import Literal

import msgspec
from litestar import delete, get, patch, post
from litestar.params import FromPath, JSONBody

from ronghe.console.desk import Call, front_of, needs, person
from ronghe.console.failures import Refused
from ronghe.console.roles import Role
from ronghe.console.users import User
from ronghe.text import Text

RoleWord = Literal["viewer", "operator", "engineer", "administrator"]


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """One person; times in ns since 1970 UTC, `seen` 0 for never; `ready` once a password is set."""

    name: str
    role: str
    made: int
    seen: int
    ready: bool


class NewPerson(msgspec.Struct, frozen=True, kw_only=True):
    """A name and a role."""

    name: str
    role: RoleWord


class NewRole(msgspec.Struct, frozen=True, kw_only=True):
    """A role."""

    role: RoleWord


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """A one-time link's fragment, to be put behind the console's address: shown once, stored nowhere."""

    name: str
    fragment: str


def fragment(token: str) -> str:
    """The fragment of the page that takes a one-time token: after the #, so that it reaches no server log."""
    return f"#/link/{token}"


def _person(user: User) -> Person:
    return Person(name=user.name, role=user.role.word, made=user.made, seen=user.seen, ready=user.ready)


@get("/api/users", opt=needs(Role.ADMINISTRATOR))
async def everybody(request: Call) -> list[Person]:
    """Everybody, by name."""
    return [_person(u) for u in await asyncio.to_thread(front_of(request).users.everyone)]


@post("/api/users", opt=needs(Role.ADMINISTRATOR))
async def add(request: Call, data: JSONBody[NewPerson]) -> Link:
    """Adds a person; the answer's link lets them set a password."""
    users = front_of(request).users
    await asyncio.to_thread(users.add, data.name, Role[data.role.upper()])
    _note(request, "added", data.name, role=data.role)
    return Link(name=data.name, fragment=fragment(await asyncio.to_thread(users.link, data.name)))


@patch("/api/users/{name:str}", opt=needs(Role.ADMINISTRATOR))
async def set_role(request: Call, name: FromPath[str], data: JSONBody[NewRole]) -> Person:
    """Changes a role and ends the person's sessions."""
    changed = await asyncio.to_thread(front_of(request).users.set_role, name, Role[data.role.upper()])
    _note(request, "role", name, role=data.role)
    return _person(changed)


@delete("/api/users/{name:str}", opt=needs(Role.ADMINISTRATOR), status_code=204)
async def remove(request: Call, name: FromPath[str]) -> None:
    """Removes a person. Nobody removes themselves."""
    if person(request).name == name:
        raise Refused(400, Text("nobody can remove themselves", "不能删除自己"), Text("ask another administrator", "请由其他管理员操作"))
    await asyncio.to_thread(front_of(request).users.remove, name)
    _note(request, "removed", name)


@post("/api/users/{name:str}/link", opt=needs(Role.ADMINISTRATOR))
async def make_link(request: Call, name: FromPath[str]) -> Link:
    """A new one-time link for a person: a forgotten password. Their password holds until it is used."""
    made = Link(name=name, fragment=fragment(await asyncio.to_thread(front_of(request).users.link, name)))
    _note(request, "link", name)
    return made


def _note(request: Call, event: str, name: str, **more: str) -> None:
    """Who changed whose rights is part of the record (IEC 62443-3-3, SR 2.8)."""
    front_of(request).ledger.append(f"user.{event}", {"user": person(request).name, "name": name, **more})


HANDLERS = [everybody, add, set_role, remove, make_link]
