"""/api/centre: what the centre is called, where nodes join, and which of its parts do not work."""

from __future__ import annotations

import msgspec
from litestar import get

from ronghe.console.centre.desk import centre_of
from ronghe.console.desk import Call, needs
from ronghe.console.roles import Role
from ronghe.text import Text


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A part that does not work, and why."""

    part: str
    why: Text


class Overall(msgspec.Struct, frozen=True, kw_only=True):
    """The centre as a whole; `url` is where nodes join."""

    name: Text
    url: str
    failed: list[Part]


@get("/api/centre", opt=needs(Role.VIEWER), sync_to_thread=False)
def overall(request: Call) -> Overall:
    """The centre."""
    centre = centre_of(request)
    return Overall(name=centre.spec.name, url=centre.url, failed=[Part(part=part, why=why) for part, why in centre.failed.items()])


HANDLERS = [overall]
