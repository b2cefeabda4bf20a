"""What every request handler works with: the node, its people, and the state of the console itself."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Any

from litestar import Request
from litestar.datastructures import State

from ronghe.console.pace import Pace
from ronghe.console.roles import Role
from ronghe.console.throttle import Throttle
from ronghe.console.users import User, Users
from ronghe.edge.node import Node

Call = Request[User | None, Any, State]
"""A request; `call.user` is the person, or None before signing in."""


@dataclass(slots=True)
class Desk:
    """One console over one node. `boot` tells pages that tag ids may have changed; `closing` ends the streams."""

    node: Node
    users: Users
    throttle: Throttle
    pace: Pace = field(default_factory=Pace)
    boot: str = field(default_factory=lambda: secrets.token_hex(4))
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    cookie: str = ""
    plant: tuple[int, tuple[bytes, bytes]] | None = None  # the answer of /api/plant, plain and gzipped, and for how many tags it was made

    def __post_init__(self) -> None:
        # Cookies know no port: two plants on one machine must not sign each other's people out.
        self.cookie = f"ronghe_{hashlib.sha256(str(self.node.folder.resolve()).encode()).hexdigest()[:8]}"


def desk_of(call: Call) -> Desk:
    """The desk that a request belongs to."""
    desk: Desk = call.app.state["desk"]
    return desk


def person(call: Call) -> User:
    """Who makes a request that needs a role; the role was checked before the handler ran."""
    assert call.user is not None
    return call.user


def needs(role: Role) -> dict[str, Any]:
    """The `opt` of a route handler that needs a role. A handler without one is refused to everybody, see `access`."""
    return {"role": role}
