"""One HTTPS connection to the centre, kept open: requests one after the other, from whatever thread; errors in our words."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import msgspec

from ronghe.errors import CloudError, Unreachable
from ronghe.text import Text

_TIMEOUT: Final = 15.0  # s without a byte, over what an answer may be held at the centre
_MOST: Final = 16_000_000  # bytes of an answer that is taken into memory
_PIECE: Final = 1 << 18


class Answer(msgspec.Struct, frozen=True):
    """`took` is how long it was in coming, s."""

    status: int
    body: bytes
    took: float


class _Said(msgspec.Struct, frozen=True):
    what: Text
    where: str = ""
    todo: Text = Text("")


class Refused(CloudError):
    """The centre said no; `status` is of HTTP."""

    status: int = 0


Kind = TypeVar("Kind")


def understood(answer: Answer, kind: type[Kind]) -> Kind:
    """What an answer says. Raises CloudError for one that is not as agreed."""
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except msgspec.DecodeError as e:
        what = Text(f"the centre's answer is not understood: {e}", f"无法理解中心的应答：{e}")
        raise CloudError(what, todo=Text("do both run the same version of Ronghe?", "两端 Ronghe 版本是否一致？")) from e


class CentreLink:
    """`close` may be called from another thread, and ends a request that waits."""

    def __init__(self, url: str, tls: ssl.SSLContext) -> None:
        """`url` is https://host:port. Raises CloudError for any other."""
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname:
            raise CloudError(Text("expected https://host:port", "应为 https://主机:端口"), where=url[:200])
        self.url, self._host, self._port, self._tls = url.rstrip("/"), parts.hostname, parts.port or 443, tls
        self._link: http.client.HTTPSConnection | None = None
        self._lock = threading.Lock()
        self._over = False

    def close(self) -> None:
        """Ends what is under way, for good. Safe to call twice."""
        self._over = True
        self._drop()

    def _drop(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            sock = link.sock
            if isinstance(sock, socket.socket):
                with suppress(OSError):  # it may not be connected any more
                    sock.shutdown(socket.SHUT_RDWR)  # wakes a thread that reads from it
            link.close()

    def ask(self, method: str, path: str, body: bytes | None = None, *, held: float = 0.0) -> Answer:
        """One request, answered within `held` s and what the way takes. Raises Unreachable, and Refused when the centre says no."""
        with self._lock:
            began = time.perf_counter()
            answer = self._send(method, path, body, {}, held)
            try:
                data = answer.read(_MOST)
            except (OSError, http.client.HTTPException) as e:
                raise self._lost(e) from e
            took = time.perf_counter() - began
        if answer.status >= 400:
            raise self._refused(answer.status, data)
        return Answer(answer.status, data, took)

    def stream(self, path: str, start: int) -> Iterator[bytes]:
        """A file from a byte on, in pieces. Raises as `ask`; what came before is good."""
        with self._lock:
            answer = self._send("GET", path, None, {"Range": f"bytes={start}-"}, 0.0)
            try:
                if answer.status >= 400:
                    raise self._refused(answer.status, answer.read(_MOST))
                while piece := answer.read1(_PIECE):
                    yield piece
            except (OSError, http.client.HTTPException) as e:
                raise self._lost(e) from e
            finally:
                if answer.length:  # nobody read to the end: the connection cannot be used again
                    self._drop()
                answer.close()

    def _send(self, method: str, path: str, body: bytes | None, headers: dict[str, str], held: float) -> http.client.HTTPResponse:
        if body is not None:
            headers = {**headers, "Content-Type": "application/json"}
        for once_more in (self._link is not None, False):  # a connection that was kept may have been closed at the other end meanwhile
            try:
                link = self._link or self._connect()
                if link.sock is not None:
                    link.sock.settimeout(_TIMEOUT + held)
                link.request(method, path, body, headers)
                return link.getresponse()
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError) as e:
                error = self._lost(e)
                if not once_more:
                    raise error from e
            except (OSError, http.client.HTTPException) as e:
                raise self._lost(e) from e
        raise AssertionError

    def _connect(self) -> http.client.HTTPSConnection:
        link = self._link = http.client.HTTPSConnection(self._host, self._port, timeout=_TIMEOUT, context=self._tls)
        link.connect()
        if self._over:
            link.close()
            raise ConnectionAbortedError("closed")
        return link

    def _lost(self, e: Exception) -> Unreachable:
        self._drop()
        if isinstance(e, ssl.SSLCertVerificationError):
            why = e.verify_message
            what = Text(f"the centre's certificate is not the one that is trusted here: {why}", f"中心的证书不受此节点信任：{why}")
            return Unreachable(what, where=self.url, todo=Text("is this the right address?", "请核对地址"))
        why = str(e) or type(e).__name__
        return Unreachable(Text(f"the centre is not reached: {why}", f"无法连接中心：{why}"), where=self.url)

    def _refused(self, status: int, data: bytes) -> Refused:
        try:
            said: Any = msgspec.json.decode(data, type=_Said)
        except msgspec.DecodeError:
            said = _Said(Text(f"the centre answers {status}", f"中心应答 {status}"))
        refused = Refused(said.what, where=said.where, todo=said.todo)
        refused.status = status
        return refused
