"""/api/apps/NAME/ask/VERB: what a page that an app brings asks of its app, and what it tells it.

Reading is a GET with its arguments in the query, an object or a list among them as JSON; what changes something is a POST whose body is
JSON, or a file (a picture) with the arguments in the query. An answer is JSON, or bytes: a JPEG, or a file to keep.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath

from ronghe.apps.contract import Question, Right
from ronghe.console.desk import Call, desk_of, needs, person
from ronghe.console.failures import Refused
from ronghe.console.roles import Role
from ronghe.text import Text

_ROLE: Final[dict[Right, Role]] = {"read": Role.VIEWER, "operate": Role.OPERATOR, "change": Role.ENGINEER}
_JPEG: Final = b"\xff\xd8\xff"
_LARGEST: Final = 32 << 20  # bytes of a picture that is sent along


@get("/api/apps/{name:str}/ask/{verb:str}", opt=needs(Role.VIEWER))
async def look(request: Call, name: FromPath[str], verb: FromPath[str]) -> Response[Any]:
    """Asks an app something that changes nothing."""
    _may(request, name, verb, reading=True)
    return await _ask(request, name, Question(verb=verb, body=_arguments(request), who=person(request).name))


@post("/api/apps/{name:str}/ask/{verb:str}", opt=needs(Role.OPERATOR), status_code=200, request_max_body_size=_LARGEST)
async def tell(request: Call, name: FromPath[str], verb: FromPath[str]) -> Response[Any]:
    """Asks an app for something that changes it; it is in the ledger under the person's name."""
    _may(request, name, verb, reading=False)
    sent = await request.body()
    body = _arguments(request)
    if request.content_type[0] == "application/json":
        try:
            body |= msgspec.json.decode(sent, type=dict[str, Any]) if sent else {}
        except msgspec.DecodeError as e:
            raise Refused(400, Text(f"the body is not a JSON object: {e}", f"请求体不是 JSON 对象：{e}")) from e
        sent = b""
    return await _ask(request, name, Question(verb=verb, body=body, data=sent, who=person(request).name))


def _arguments(request: Call) -> dict[str, Any]:
    """The query. What is written as a JSON object or list is one: a question may have a shape, and stays a GET. Raises Refused."""
    found: dict[str, Any] = dict(request.query_params)
    for name, text in found.items():
        if isinstance(text, str) and text[:1] in ("[", "{"):
            try:
                found[name] = msgspec.json.decode(text)
            except msgspec.DecodeError as e:
                raise Refused(400, Text(f"{name} is not JSON: {e}", f"参数 {name} 不是有效的 JSON：{e}")) from e
    return found


def _may(request: Call, name: str, verb: str, *, reading: bool) -> None:
    """Raises Refused where the verb is none of the app's, is asked the wrong way, or is not for this person."""
    runner = desk_of(request).node.runners.get(name)
    right = runner.app.verbs.get(verb) if runner is not None else None
    if right is None:
        raise Refused(404, Text("no such app, or it does not know this verb", "没有此应用，或应用不支持该操作"), where=request.url.path)
    if (right == "read") != reading:
        raise Refused(405, Text("reading is a GET, changing is a POST", "读取用 GET，更改用 POST"), where=request.url.path)
    role, user = _ROLE[right], person(request)
    if user.role < role:
        raise Refused(403, Text(f"this needs the role {role.text.en}", f"此操作需要“{role.text.zh}”角色"), where=request.url.path)


async def _ask(request: Call, name: str, question: Question) -> Response[Any]:
    answer = await desk_of(request).node.ask(name, question)
    headers = {"Cache-Control": "no-store"}
    if isinstance(answer, bytes):
        kind = "image/jpeg" if answer.startswith(_JPEG) else "application/octet-stream"
        return Response(answer, media_type=kind, headers=headers)
    return Response(msgspec.json.encode(answer), media_type="application/json", headers=headers)


HANDLERS = [look, tell]
