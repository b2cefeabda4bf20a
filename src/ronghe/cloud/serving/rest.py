"""Open Inference Protocol v2 over HTTP: JSON, the binary tensor data extension, and a picture or any other single input as it is.

    GET  /v2, /v2/health/live, /v2/health/ready
    GET  /v2/models/NAME[/versions/VERSION][/ready]
    POST /v2/models/NAME[/versions/VERSION]/infer
    POST /v2/repository/index

An ASGI application without a framework: a request is one look at its path, one parse, one answer.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from ronghe.cloud.serving import answering, tensors
from ronghe.cloud.serving.answering import Answered, Answering
from ronghe.cloud.serving.refusal import Refusal, absent, bad
from ronghe.cloud.serving.shelf import Model
from ronghe.cloud.serving.tensors import BYTES, Array
from ronghe.text import Text

log = logging.getLogger(__name__)

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

_JSON: Final = (b"content-type", b"application/json")
_BINARY: Final = (b"content-type", b"application/octet-stream")
_HEADER_LENGTH: Final = b"inference-header-content-length"
_COMPUTE: Final = b"ronghe-compute-ms"


class _Input(msgspec.Struct):
    name: str
    datatype: str
    shape: list[int]
    parameters: dict[str, Any] = {}
    data: msgspec.Raw = msgspec.Raw(b"")


class _Output(msgspec.Struct):
    name: str
    parameters: dict[str, Any] = {}


class _Request(msgspec.Struct):
    inputs: list[_Input]
    id: str = ""
    parameters: dict[str, Any] = {}
    outputs: list[_Output] = []


_DECODE: Final = msgspec.json.Decoder(_Request).decode
_ENCODE: Final = msgspec.json.Encoder().encode


class Rest:
    """The application."""

    def __init__(self, service: Answering, largest: int) -> None:
        """`largest`: bytes of a request."""
        self._service, self._largest = service, largest

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            return
        try:
            status, headers, body = await self._answer(scope, receive)
        except Refusal as e:
            status, headers, body = e.status, [_JSON], _ENCODE({"error": e.words})
            if e.after:
                headers.append((b"retry-after", b"%d" % e.after))
            if status == 401:
                headers.append((b"www-authenticate", b"Bearer"))
        except Exception as e:  # never with the data in it
            log.error("a request failed: %s", type(e).__name__)
            status, headers, body = 500, [_JSON], _ENCODE({"error": "the request failed / 请求处理失败"})
        headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope: MutableMapping[str, Any], receive: Receive) -> tuple[int, Headers, bytes]:
        path: str = scope["path"]
        raw: bytes = scope.get("raw_path") or path.encode()
        parts = raw.decode("latin-1").strip("/").split("/")
        method = scope["method"]
        headers = dict(scope["headers"])
        if parts[:2] == ["v2", "models"] and len(parts) >= 3:
            name, version, verb = _named(parts[2:])
            authorization = headers.get(b"authorization", b"").decode("latin-1")
            if verb == "infer":
                _only(method, "POST")
                return await self._infer(authorization, name, version, headers, receive)
            _only(method, "GET")
            model = self._service.describe(authorization, name, version)
            return 200, [_JSON], _ENCODE({"name": model.name, "ready": True} if verb == "ready" else self._metadata(model))
        if parts == ["v2", "repository", "index"]:
            _only(method, "POST")
            models = self._service.list(headers.get(b"authorization", b"").decode("latin-1"))
            return 200, [_JSON], _ENCODE([{"name": m.name, "version": m.version, "state": "READY"} for m in models])
        _only(method, "GET")
        if parts == ["v2"]:
            extensions = list(answering.EXTENSIONS)
            return 200, [_JSON], _ENCODE({"name": answering.NAME, "version": answering.VERSION, "extensions": extensions})
        if parts in (["v2", "health", "live"], ["v2", "health", "ready"]):
            return 200, [_JSON], _ENCODE({"live": True, "ready": True})
        raise absent()

    def _metadata(self, model: Model) -> dict[str, Any]:
        served = model.lane.model

        def tensor(t: tensors.Tensor) -> dict[str, Any]:
            return {"name": t.name, "datatype": t.datatype, "shape": t.shape}

        return {
            "name": model.name,
            "versions": self._service.shelf.versions(model.name),
            "platform": served.platform,
            "inputs": [tensor(t) for t in served.inputs],
            "outputs": [tensor(t) for t in served.outputs],
            "parameters": {
                "version": model.version,
                "hash": model.package_hash,
                "graph": model.graph,
                "kind": model.kind,
                "signed_by": model.signed_by,
                "columns": model.columns,
                "optional_inputs": sorted(served.optional),
            },
        }

    async def _infer(
        self, authorization: str, name: str, version: str, headers: dict[bytes, bytes], receive: Receive
    ) -> tuple[int, Headers, bytes]:
        grant, model = self._service.open(authorization, name, version)
        try:
            body = await self._body(headers, receive)
            length = headers.get(_HEADER_LENGTH)
            if length is not None and length.strip() == b"0":
                request, feed = _Request([]), _bare(model, body)
            else:
                request, feed = _parse(body, length)
        except BaseException:
            self._service.unread(grant, model)
            raise
        wanted = [o.name for o in request.outputs]
        timeout = request.parameters.get("timeout")
        limit = timeout / 1e6 if isinstance(timeout, int) and timeout > 0 else None
        return _reply(request, await self._service.infer(grant, model, feed, wanted, limit))

    async def _body(self, headers: dict[bytes, bytes], receive: Receive) -> bytes:
        said = headers.get(b"content-length", b"0")
        if headers.get(b"content-encoding", b"identity") != b"identity":
            raise Refusal(400, Text("compressed requests are not taken", "不支持压缩的请求"))
        if int(said) > self._largest:  # the server has seen that it is a number
            raise self._too_large()
        parts: list[bytes] = []
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise bad("the request ended early", "请求未完整到达")
            part = message.get("body", b"")
            size += len(part)
            if size > self._largest:
                raise self._too_large()
            parts.append(part)
            more = message.get("more_body", False)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _too_large(self) -> Refusal:
        return Refusal(413, Text(f"more than {self._largest} bytes", f"超过 {self._largest} 字节"))


def _named(parts: list[str]) -> tuple[str, str, str]:
    """(name, version, verb) of what follows /v2/models. Raises Refusal for a path that is none."""
    name, version, rest = unquote(parts[0]), "", parts[1:]
    if len(rest) >= 2 and rest[0] == "versions" and rest[1]:
        version, rest = unquote(rest[1]), rest[2:]
    verb = rest[0] if rest else ""
    if len(rest) > 1 or verb not in ("", "ready", "infer"):
        raise absent()
    return name, version, verb


def _only(method: str, allowed: str) -> None:
    if method != allowed:
        raise Refusal(405, Text(f"only {allowed} goes here", f"此处仅支持 {allowed}"))


def _bare(model: Model, body: bytes) -> dict[str, Array]:
    """The body as the only input: one string of bytes (the first input that takes files), or the numbers of a fixed size, or of one row."""
    inputs = model.lane.model.inputs
    file = next((t for t in inputs if t.datatype == BYTES and len(t.shape) == 1), None)
    if file is not None:
        return {file.name: tensors.strings([body])}
    if len(inputs) != 1 or any(d == -1 for d in inputs[0].shape[1:]):
        raise bad("the model takes more than one input of one size: say which is which", "模型的输入不止一个或大小不定，请逐一说明")
    t = inputs[0]
    shape = tuple(1 if d == -1 else d for d in t.shape)
    return {t.name: tensors.from_raw(t.name, t.datatype, shape, memoryview(body))}


def _parse(body: bytes, length: bytes | None) -> tuple[_Request, dict[str, Array]]:
    end = len(body)
    if length is not None:
        if not length.isdigit() or int(length) > end:
            raise bad("Inference-Header-Content-Length is not the length of the JSON", "Inference-Header-Content-Length 与 JSON 长度不符")
        end = int(length)
    whole = memoryview(body)
    try:
        request = _DECODE(whole[:end])
    except msgspec.DecodeError as e:
        raise bad(f"not an inference request: {e}", f"不是推理请求：{e}") from e
    feed: dict[str, Array] = {}
    for i in request.inputs:
        if any(d < 0 or d > 1 << 40 for d in i.shape) or len(i.shape) > 32:
            raise bad(f"{i.name}: {i.shape} is not a shape", f"{i.name}：{i.shape} 不是形状")
        size = i.parameters.get("binary_data_size")
        if size is None:
            feed[i.name] = tensors.from_json(i.name, i.datatype, i.shape, i.data, i.parameters)
            continue
        if not isinstance(size, int) or not 0 <= size <= len(whole) - end:
            raise bad(f"{i.name}: binary_data_size is more than there is", f"{i.name}：binary_data_size 超出数据长度")
        feed[i.name] = tensors.from_raw(i.name, i.datatype, i.shape, whole[end : end + size])
        end += size
    if end != len(whole):
        raise bad("there is more data than the inputs say", "数据多于各输入所述")
    if len(feed) != len(request.inputs):
        raise bad("an input is given twice", "有输入重复给出")
    return request, feed


def _reply(request: _Request, answered: Answered) -> tuple[int, Headers, bytes]:
    every = request.parameters.get("binary_data_output") is True
    binary = {o.name: o.parameters.get("binary_data", every) is True for o in request.outputs}
    outputs: list[dict[str, Any]] = []
    tail: list[bytes | memoryview] = []
    for name, array in answered.outputs.items():
        out: dict[str, Any] = {"name": name, "datatype": tensors.DATATYPE[array.dtype], "shape": array.shape}
        if binary.get(name, every):
            raw = tensors.to_raw(array)
            out["parameters"] = {"binary_data_size": len(raw)}
            tail.append(raw)
        else:
            out["data"], parameters = tensors.to_json(array)
            if parameters:
                out["parameters"] = parameters
        outputs.append(out)
    answer: dict[str, Any] = {"model_name": answered.model.name, "model_version": answered.model.version, "outputs": outputs}
    if request.id:
        answer["id"] = request.id
    head = _ENCODE(answer)
    headers = [_BINARY if tail else _JSON, (_COMPUTE, b"%.3f" % (answered.took / 1e6))]
    if tail:
        headers.append((_HEADER_LENGTH, b"%d" % len(head)))
        return 200, headers, b"".join([head, *tail])
    return 200, headers, head
