"""The web page: built files that ship inside the package, held in memory, compressed once."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from litestar import Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from ronghe.console.desk import Call, needs
from ronghe.console.roles import Role

STATIC: Final = Path(__file__).parent / "static"
_TYPES: Final = {".js": "text/javascript", ".css": "text/css", ".woff2": "font/woff2", ".svg": "image/svg+xml", ".html": "text/html"}


@dataclass(frozen=True, slots=True)
class _File:
    body: bytes
    packed: bytes
    etag: str
    type: str


@cache
def _files() -> dict[str, _File]:
    found = {}
    for path in STATIC.rglob("*"):
        if path.is_file():
            body = path.read_bytes()
            kind = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
            packed = body if path.suffix == ".woff2" else gzip.compress(body, 9, mtime=0)
            etag = f'"{hashlib.sha256(body).hexdigest()[:20]}"'
            found[path.relative_to(STATIC).as_posix()] = _File(body, packed, etag, kind)
    return found


def _serve(call: Call, name: str) -> Response[bytes]:
    file = _files().get(name)
    if file is None:
        raise NotFoundException
    # File names are stable from build to build, so a browser asks each time and is mostly told "unchanged".
    headers = {"ETag": file.etag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    if call.headers.get("if-none-match") == file.etag:
        return Response(b"", status_code=304, headers=headers, media_type=file.type)
    if file.packed is not file.body and "gzip" in call.headers.get("accept-encoding", ""):
        return Response(file.packed, headers={**headers, "Content-Encoding": "gzip"}, media_type=file.type)
    return Response(file.body, headers=headers, media_type=file.type)


@get("/", opt=needs(Role.ANYONE), include_in_schema=False, sync_to_thread=False)
def index(request: Call) -> Response[bytes]:
    """The page. Where in it a person is stands in the URL's fragment, so that a link can be sent and needs no rule here."""
    return _serve(request, "index.html")


@get("/assets/{name:str}", opt=needs(Role.ANYONE), include_in_schema=False, sync_to_thread=False)
def asset(request: Call, name: FromPath[str]) -> Response[bytes]:
    """A script, style sheet, font or picture of the page."""
    return _serve(request, f"assets/{name}")
