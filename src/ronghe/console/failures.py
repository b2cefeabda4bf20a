"""Errors over HTTP: always the same JSON, in both languages: `{"what": {"en", "zh"}, "where": "", "todo": {"en", "zh"}}`."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException

from ronghe.console.users import UsersUnavailable
from ronghe.errors import BadQuery, HistorianError, RongheError
from ronghe.text import Text

log = logging.getLogger(__name__)


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """What went wrong, where, and what to do about it."""

    what: Text
    where: str = ""
    todo: Text = Text("")


class Refused(RongheError):
    """A request that is answered with an HTTP status of its own."""

    def __init__(self, status: int, what: Text, todo: Text | str = "", *, where: str = "", headers: dict[str, str] | None = None) -> None:
        super().__init__(what, where=where, todo=todo)
        self.status = status
        self.headers = headers or {}


_WORDS = {
    404: Text("there is nothing at this address", "此地址不存在"),
    405: Text("this address does not know the method", "此地址不支持该方法"),
    413: Text("the request is too large", "请求过大"),
}

AnyRequest = Request[Any, Any, Any]


def _answer(failure: Failure, status: int, headers: dict[str, str] | None = None) -> Response[Failure]:
    return Response(failure, status_code=status, headers=headers, media_type="application/json")


def known(_: AnyRequest, error: RongheError) -> Response[Failure]:
    """An error of our own tree: the request cannot be done as asked (400), or a file that it needs cannot be used now (503)."""
    failure = Failure(what=error.what, where=error.where, todo=error.todo)
    if isinstance(error, Refused):
        return _answer(failure, error.status, error.headers)
    unavailable = isinstance(error, HistorianError | UsersUnavailable) and not isinstance(error, BadQuery)
    return _answer(failure, 503 if unavailable else 400)


def invalid(_: AnyRequest, error: ValidationException) -> Response[Failure]:
    """A parameter or body of the wrong shape: names each field."""
    extra = error.extra if isinstance(error.extra, list) else []
    fields = "; ".join(f"{e.get('key', '')}: {e.get('message', '')}" for e in extra if isinstance(e, dict)) or error.detail
    return _answer(Failure(what=Text(f"not as expected: {fields}", f"参数不符合要求：{fields}"), where=_.url.path), 400)


def http(request: AnyRequest, error: HTTPException) -> Response[Failure]:
    """Litestar's own: unknown address, wrong method, too large."""
    what = _WORDS.get(error.status_code, Text(error.detail, error.detail))
    return _answer(Failure(what=what, where=request.url.path), error.status_code, error.headers)


def unexpected(request: AnyRequest, error: Exception) -> Response[Failure]:
    """A bug: logged whole, told without its inside."""
    log.error("%s %s", request.method, request.url.path, exc_info=error)
    what = Text("the console failed; its log says how", "控制台内部错误，详见日志")
    return _answer(Failure(what=what, where=request.url.path), 500)


HANDLERS: dict[Any, Any] = {RongheError: known, ValidationException: invalid, HTTPException: http, Exception: unexpected}
