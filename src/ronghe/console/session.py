"""/api/me, /api/session, /api/link: signing in and out, and the one-time links."""

from __future__ import annotations

import asyncio

import msgspec
from litestar import Response, delete, get, post
from litestar.params import JSONBody

from ronghe.console.access import session_cookie, session_token
from ronghe.console.desk import Call, Kind, front_of, needs, person
from ronghe.console.failures import Refused
from ronghe.console.roles import Role
from ronghe.console.users import User, UsersUnavailable
from ronghe.text import Text


class Me(msgspec.Struct, frozen=True, kw_only=True):
    """The person who is signed in."""

    name: str
    role: str


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """What stands behind this console, and who is signed in to it; `me` is None while nobody is."""

    of: Kind
    me: Me | None


class SignIn(msgspec.Struct, frozen=True, kw_only=True):
    """Name and password."""

    name: str
    password: str


class Redeem(msgspec.Struct, frozen=True, kw_only=True):
    """A one-time link used up; `name` is only read for the first administrator."""

    token: str
    password: str
    name: str = ""


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A one-time link's token, in a body and never in an address, so that no log keeps it."""

    token: str


class LinkOwner(msgspec.Struct, frozen=True, kw_only=True):
    """Whose link it is; an empty name: the first administrator's, who picks one."""

    name: str


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One's own password, changed."""

    old: str
    new: str


def _me(user: User) -> Me:
    return Me(name=user.name, role=user.role.word)


@get("/api/me", opt=needs(Role.VIEWER), sync_to_thread=False)
def me(request: Call) -> Me:
    """Who is signed in."""
    return _me(person(request))


@get("/api/session", opt=needs(Role.ANYONE), sync_to_thread=False)
def session(request: Call) -> Session:
    """Which page this is, and whether somebody has to sign in first."""
    return Session(of=front_of(request).kind, me=_me(request.user) if request.user is not None else None)


@post("/api/session", opt=needs(Role.ANYONE), status_code=200)
async def sign_in(request: Call, data: JSONBody[SignIn]) -> Response[Me]:
    """Signs in: sets the session cookie. 401 when name and password do not fit, 429 after too many tries."""
    token = await _check(request, data.name, data.password)
    if token is None:
        raise Refused(401, Text("name and password do not fit", "用户名或密码不正确"), Text("try again", "请重试"))
    user = await asyncio.to_thread(front_of(request).users.get, data.name)
    return Response(_me(user), cookies=[session_cookie(request, token)])


@delete("/api/session", opt=needs(Role.ANYONE), status_code=204)
async def sign_out(request: Call) -> Response[None]:
    """Signs out; no error when nobody was signed in."""
    await asyncio.to_thread(front_of(request).users.sign_out, session_token(request))
    return Response(None, status_code=204, cookies=[session_cookie(request, "")])


@post("/api/link", opt=needs(Role.ANYONE), status_code=200)
async def look_at_link(request: Call, data: JSONBody[Token]) -> LinkOwner:
    """Whose one-time link it is. 400 when it was used or is too old."""
    _not_too_often(request)
    return LinkOwner(name=await asyncio.to_thread(front_of(request).users.link_for, data.token))


@post("/api/link/use", opt=needs(Role.ANYONE), status_code=200)
async def use_link(request: Call, data: JSONBody[Redeem]) -> Response[Me]:
    """Uses a one-time link: sets the password and signs in."""
    front = front_of(request)
    _not_too_often(request)
    user = await asyncio.get_running_loop().run_in_executor(front.users.passwords, front.users.redeem, data.token, data.name, data.password)
    token = await asyncio.to_thread(front.users.open_session, user.name)
    return Response(_me(user), cookies=[session_cookie(request, token)])


@post("/api/me/password", opt=needs(Role.VIEWER), status_code=200)
async def change_password(request: Call, data: JSONBody[Change]) -> Response[Me]:
    """Changes one's own password; all other sessions end."""
    front, user = front_of(request), person(request)
    if await _check(request, user.name, data.old) is None:
        raise Refused(400, Text("the old password is not right", "原密码不正确"))
    await asyncio.get_running_loop().run_in_executor(front.users.passwords, front.users.set_password, user.name, data.new)
    token = await asyncio.to_thread(front.users.open_session, user.name)
    return Response(_me(user), cookies=[session_cookie(request, token)])


async def _check(request: Call, name: str, password: str) -> str | None:
    """A session token, or None when name and password do not fit. Raises Refused (429) after too many tries."""
    front, place = front_of(request), _place(request)
    _not_too_often(request, name)
    front.throttle.trying(place, name)
    try:
        token = await asyncio.get_running_loop().run_in_executor(front.users.passwords, front.users.sign_in, name, password)
    except UsersUnavailable:
        front.throttle.take_back(place, name)
        raise
    if token is not None:
        front.throttle.succeeded(place, name)
    return token


def _place(request: Call) -> str:
    return request.client.host if request.client else ""


def _not_too_often(request: Call, name: str = "") -> None:
    wait = front_of(request).throttle.wait(_place(request), name)
    if wait:
        raise Refused(
            429,
            Text("too many tries", "尝试次数过多"),
            Text(f"wait {wait} s", f"请等待 {wait} 秒"),
            headers={"Retry-After": str(wait)},
        )


HANDLERS = [me, session, sign_in, sign_out, look_at_link, use_link, change_password]
