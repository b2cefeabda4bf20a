"""A client of the Open Inference Protocol v2 over HTTP, with tensors in binary, on one connection that is kept.

The protocol: https://github.com/kserve/open-inference-protocol (REST), and its extension for binary tensors, which Triton and Ronghe's own
serving know: the JSON head of a request, whose length the header `Inference-Header-Content-Length` tells,
is followed by the bytes of the tensors, little-endian, rows first.
"""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlsplit

import numpy as np
from numpy.typing import NDArray

from ronghe.errors import BadFrame, Rejected, Unreachable
from ronghe.text import Text

LENGTH: Final = "Inference-Header-Content-Length"
COMPUTE: Final = "Ronghe-Compute-Ms"
"""Answer header: ms from the request read whole at the server to its outputs computed, waiting for its turn included."""
DATATYPES: Final = {
    "bool": "BOOL",
    **{f"{kind}{bits}": f"{kind.upper()}{bits}" for kind in ("uint", "int") for bits in (8, 16, 32, 64)},
    **{f"float{bits}": f"FP{bits}" for bits in (16, 32, 64)},
}
"""NumPy's name of an element → the protocol's."""
_ELEMENT: Final = {v: k for k, v in DATATYPES.items()}
_LARGEST: Final = 1 << 30  # bytes of an answer

Tensors = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Served:
    """A model as a server describes it. `graph` and `hash` (SHA-256 of its ONNX file, and of its package's manifest) are empty where the
    server does not tell; Ronghe's tells them among the `parameters`."""

    name: str
    version: str
    graph: str = ""
    hash: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one call gave. Times in ms; `compute_ms` as the server measured it, None where it does not tell. Sizes in bytes."""

    outputs: dict[str, NDArray[Any]]
    total_ms: float
    compute_ms: float | None
    sent: int
    received: int


class Endpoint:
    """One connection to one server. Not for two threads at once; it connects when first used, and again after a failure.

    Every method raises Unreachable (no connection, no answer in time), Rejected (the server said no) or BadFrame (not the protocol).
    """

    def __init__(self, url: str, *, key: str = "", timeout: float = 5.0, tls: ssl.SSLContext | None = None) -> None:
        """`url` as http(s)://host:port[/path]; `key` is sent as a bearer token. Raises Unreachable for another kind of address."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:  # brackets that do not close, a port that is none
            parts, port = urlsplit(""), None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Unreachable(Text(f"{url[:80]!r} is no http(s)://host:port", f"{url[:80]!r} 不是 http(s)://主机:端口"))
        self.url, self._path = url, parts.path.rstrip("/")
        if parts.scheme == "https":
            self._http: http.client.HTTPConnection = http.client.HTTPSConnection(
                parts.hostname, port, timeout=timeout, context=tls or ssl.create_default_context()
            )
        else:
            self._http = http.client.HTTPConnection(parts.hostname, port, timeout=timeout)
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    @property
    def socket(self) -> Any:
        """The socket of the connection, None while there is none."""
        return self._http.sock

    def wait(self, seconds: float) -> None:
        """From now on it waits so long for something to come."""
        self._http.timeout = seconds
        if self._http.sock is not None:
            self._http.sock.settimeout(seconds)

    def ping(self) -> float:
        """ms for the smallest request there is, to a server that lives."""
        began = time.perf_counter()
        self._ask("GET", "/v2/health/live")
        return (time.perf_counter() - began) * 1e3

    def models(self) -> list[tuple[str, str]]:
        """(name, version) of what is ready (the protocol's repository extension)."""
        listed = self._json("POST", "/v2/repository/index", b'{"ready":true}')
        try:
            return [(str(m["name"]), str(m.get("version") or "")) for m in listed if m.get("state", "READY") == "READY"]
        except (TypeError, KeyError, AttributeError) as e:
            raise self._frame("the list of models", "模型列表") from e

    def describe(self, name: str, version: str = "") -> Served:
        """A model; without a version, the one that the server would run."""
        told = self._json("GET", _model(name, version))
        try:
            more = told.get("parameters") or {}
            return Served(str(told["name"]), version or str(more.get("version", "")), str(more.get("graph", "")), str(more.get("hash", "")))
        except (TypeError, KeyError, AttributeError) as e:
            raise self._frame("the description of a model", "模型描述") from e

    def infer(self, name: str, inputs: Tensors, outputs: Sequence[str] = (), *, version: str = "") -> Answer:
        """Runs a model. `outputs` are those wanted, in that order; all where none is named."""
        began = time.perf_counter()
        bodies = {n: np.ascontiguousarray(a) for n, a in inputs.items()}
        head: dict[str, Any] = {
            "inputs": [
                {"name": n, "shape": list(a.shape), "datatype": DATATYPES[a.dtype.name], "parameters": {"binary_data_size": a.nbytes}}
                for n, a in bodies.items()
            ]
        }
        if outputs:
            head["outputs"] = [{"name": n, "parameters": {"binary_data": True}} for n in outputs]
        else:
            head["parameters"] = {"binary_data_output": True}
        start = json.dumps(head, separators=(",", ":")).encode()
        data = b"".join([start, *(a.astype(a.dtype.newbyteorder("<"), copy=False).tobytes() for a in bodies.values())])
        headers = {LENGTH: str(len(start)), "Content-Type": "application/octet-stream"}
        answer, body = self._ask("POST", _model(name, version) + "/infer", data, headers)
        found = self._tensors(body, answer.getheader(LENGTH))
        missing = [n for n in outputs if n not in found]
        if missing:
            raise self._frame(f"the answer: no output {missing[0]!r} in it", f"应答：缺少输出 {missing[0]!r}")
        told = answer.getheader(COMPUTE)
        try:
            compute = None if told is None else float(told)
        except ValueError:
            compute = None
        return Answer(found, (time.perf_counter() - began) * 1e3, compute, len(data), len(body))

    def close(self) -> None:
        """Ends the connection; the next call makes another."""
        self._http.close()

    def _tensors(self, body: bytes, length: str | None) -> dict[str, NDArray[Any]]:
        try:
            size = len(body) if length is None else int(length)
            at, found = size, {}
            for output in json.loads(body[:size])["outputs"]:
                element = np.dtype(_ELEMENT[output["datatype"]]).newbyteorder("<")
                take = (output.get("parameters") or {}).get("binary_data_size")
                if take is None:
                    array = np.array(output["data"], element)
                else:
                    array, at = np.frombuffer(body[at : at + take], element), at + take
                found[str(output["name"])] = array.astype(element.newbyteorder("=")).reshape(output["shape"])
            return found
        except (ValueError, KeyError, TypeError, AttributeError) as e:
            raise self._frame("the answer", "应答") from e

    def _json(self, method: str, path: str, body: bytes | None = None) -> Any:
        _, data = self._ask(method, path, body, {"Content-Type": "application/json"} if body else {})
        try:
            return json.loads(data)
        except ValueError as e:
            raise self._frame("the answer", "应答") from e

    def _ask(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[http.client.HTTPResponse, bytes]:
        kept = self._http.sock is not None
        try:
            try:
                answer, data = self._exchange(method, path, body, headers or {})
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                self._http.close()
                if not kept:
                    raise
                answer, data = self._exchange(method, path, body, headers or {})  # it had only closed a connection that was idle
        except (OSError, http.client.HTTPException) as e:
            self._http.close()
            why = str(e) or type(e).__name__
            raise Unreachable(Text(f"no answer: {why}", f"无应答：{why}"), where=self.url) from e
        if answer.status != 200:
            said = data[:200].decode(errors="replace").strip()
            raise Rejected(
                Text(f"the server refused: {answer.status} {said}", f"服务器拒绝：{answer.status} {said}"),
                where=self.url + path,
                todo=_TODO.get(answer.status, ""),
            )
        return answer, data

    def _exchange(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> tuple[http.client.HTTPResponse, bytes]:
        self._http.request(method, self._path + path, body, {**self._headers, **headers})
        answer = self._http.getresponse()
        return answer, answer.read(_LARGEST)

    def _frame(self, en: str, zh: str) -> BadFrame:
        self._http.close()
        return BadFrame(
            Text(f"{en} is not the Open Inference Protocol", f"{zh}不符合 Open Inference Protocol"),
            where=self.url,
            todo=Text("name the address of a server that speaks it", "请填写支持该协议的服务器地址"),
        )


_TODO: Final = {
    401: Text("give a key of that server", "请提供该服务器的密钥"),
    403: Text("ask for a key that may use this model", "请申请可使用该模型的密钥"),
    404: Text("see what it serves: `curl -X POST URL/v2/repository/index`", "请查看其提供的模型：`curl -X POST URL/v2/repository/index`"),
    429: Text("call less often, or ask for a higher quota", "请降低调用频率，或申请更高配额"),
}


def _model(name: str, version: str) -> str:
    return f"/v2/models/{quote(name, safe='')}" + (f"/versions/{quote(version, safe='')}" if version else "")
