"""Where a node gets the bytes of a package: the centre over HTTPS, or a bundle that somebody carried in."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Iterator
from typing import Final, Protocol
from urllib.parse import urlsplit

from ronghe.errors import ModelError, Unreachable
from ronghe.text import Text

_PIECE: Final = 1 << 18  # bytes


class Cut(Unreachable):
    """The transfer ended early. What came is kept, and the next try goes on from there."""


class Source(Protocol):
    """Gives files by what they hold."""

    def read(self, file: str, start: int) -> Iterator[bytes]:
        """Pieces of the file with the SHA-256 `file`, from byte `start` on. May end early. Raises Unreachable, and ModelError when there
        is no such file."""
        ...


class HttpSource:
    """`GET URL/FILE` with a Range, a connection for each transfer."""

    def __init__(self, url: str, tls: ssl.SSLContext | None = None, *, timeout: float = 30.0) -> None:
        """`url` is https:// with the node's certificate in `tls`; `timeout` in s without a byte."""
        parts = urlsplit(url)
        self._host, self._port, self._path = parts.hostname or "", parts.port, parts.path.rstrip("/")
        self._tls, self._timeout, self._where = tls, timeout, url

    def read(self, file: str, start: int) -> Iterator[bytes]:
        """See `Source`."""
        link = (
            http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout, context=self._tls)
            if self._tls is not None
            else http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)
        )
        try:
            link.request("GET", f"{self._path}/{file}", headers={"Range": f"bytes={start}-"} if start else {})
            answer = link.getresponse()
            if answer.status == 404:
                raise ModelError(Text("the centre has no such file", "中心没有该文件"), where=f"{self._where}/{file[:16]}")
            if answer.status not in (200, 206):
                raise Unreachable(Text(f"the centre answers {answer.status}", f"中心应答 {answer.status}"), where=self._where)
            skip = start if answer.status == 200 else 0  # a server that knows no Range sends all of it
            while piece := answer.read1(_PIECE):
                if skip < len(piece):
                    yield piece[skip:]
                skip = max(0, skip - len(piece))
        except (OSError, http.client.HTTPException) as e:
            raise Unreachable(Text(f"the transfer was cut: {e}", f"传输中断：{e}"), where=self._where) from e
        finally:
            link.close()
