"""What every request handler works with: the thing behind the console, its people, and the state of the console itself."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from litestar import Request
from litestar.datastructures import State

from ronghe.console.pace import Pace
from ronghe.console.roles import Role
from ronghe.console.throttle import Throttle
from ronghe.console.users import User, Users
from ronghe.edge.node import Node
from ronghe.guard import Ledger

Call = Request[User | None, Any, State]
"""A request; `call.user` is the person, or None before signing in."""

Kind = Literal["node", "centre"]


class Front(Protocol):
    """What a console needs to let people in, whether a node stands behind it or a centre. `closing` ends what is still being answered."""

    users: Users
    throttle: Throttle
    cookie: str
    closing: asyncio.Event

    @property
    def kind(self) -> Kind:
        """What stands behind the console."""
        ...

    @property
    def ledger(self) -> Ledger:
        """The record; it lies in `home`/ledger."""
        ...

    @property
    def home(self) -> Path:
        """The folder of what this process keeps."""
        ...


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
        self.cookie = cookie_name(self.home)

    @property
    def kind(self) -> Kind:
        """A node."""
        return "node"

    @property
    def ledger(self) -> Ledger:
        """The node's."""
        return self.node.ledger

    @property
    def home(self) -> Path:
        """The node's folder."""
        return self.node.folder


def cookie_name(folder: Path) -> str:
    """Cookies know no port: two consoles on one machine must not sign each other's people out."""
    return f"ronghe_{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:8]}"


def front_of(call: Call) -> Front:
    """What lets people in, of the console that a request belongs to."""
    front: Front = call.app.state["desk"]
    return front


def desk_of(call: Call) -> Desk:
    """The desk that a request belongs to; of a node's console."""
    desk: Desk = call.app.state["desk"]
    return desk


def person(call: Call) -> User:
    """Who makes a request that needs a role; the role was checked before the handler ran."""
    assert call.user is not None
    return call.user


def needs(role: Role) -> dict[str, Any]:
    """The `opt` of a route handler that needs a role. A handler without one is refused to everybody, see `access`."""
    return {"role": role}
