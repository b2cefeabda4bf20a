"""Before every handler: who asks, may they, and does the request come from our own page.

A session is a random token in a cookie that scripts cannot read and that other sites' requests do not carry (SameSite=Strict). A request
that changes something must also carry the header `X-Ronghe` and, where the browser tells it, our own Origin: no foreign page can make one.
"""

from __future__ import annotations

from typing import Any, Final, cast
from urllib.parse import urlsplit

from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from litestar.handlers.base import BaseRouteHandler

from ronghe.console.desk import Call, front_of
from ronghe.console.failures import Refused
from ronghe.console.roles import Role
from ronghe.console.users import SESSION_LIFE
from ronghe.text import Text

HEADER: Final = "X-Ronghe"
_READING: Final = ("GET", "HEAD", "OPTIONS")


def check(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Litestar guard of the whole application. Raises Refused (401, 403); sets `call.user`."""
    call = cast(Call, connection)
    token = session_token(call)
    user = front_of(call).users.who(token) if token else None
    call.scope["user"] = user
    needed = handler.opt.get("role")
    if not isinstance(needed, Role):
        raise Refused(403, Text("this address has no access rule", "此地址未定义访问规则"))
    if call.scope["method"] not in _READING:
        _own_page_only(call)
    if needed is Role.ANYONE:
        return
    if user is None:
        raise Refused(401, Text("not signed in", "未登录"), Text("sign in", "请登录"))
    if user.role < needed:
        raise Refused(
            403,
            Text(f"this needs the role {needed.text.en}", f"此操作需要“{needed.text.zh}”角色"),
            Text(f"{user.name} is {user.role.text.en}: ask an administrator", f"{user.name} 的角色是“{user.role.text.zh}”，请联系管理员"),
        )


def _own_page_only(call: Call) -> None:
    origin = call.headers.get("origin")
    foreign = origin is not None and urlsplit(origin).netloc != call.headers.get("host", "")
    if HEADER not in call.headers or foreign or call.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        raise Refused(
            403,
            Text("this request does not come from the console's own page", "请求并非来自控制台页面"),
            Text(f"send the header {HEADER}: 1 and no foreign Origin", f"请携带请求头 {HEADER}: 1，且不带外部 Origin"),
        )


def session_token(call: Call) -> str:
    """The token of the session cookie; empty where there is none."""
    return call.cookies.get(front_of(call).cookie, "")


def session_cookie(call: Call, token: str) -> Cookie:
    """The cookie for a session token; an empty token takes it back. `Secure` wherever the page itself came by TLS."""
    life = SESSION_LIFE // 1_000_000_000 if token else 0
    secure = call.url.scheme == "https"
    return Cookie(key=front_of(call).cookie, value=token, httponly=True, samesite="strict", secure=secure, path="/", max_age=life)
