"""What every handler of the centre's console works with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ronghe.console.desk import Call, Kind, cookie_name
from ronghe.console.throttle import Throttle
from ronghe.console.users import Users


class Centre(Protocol):
    """What the console needs of a centre."""

    folder: Path
    clock: Callable[[], int]
    url: str  # where nodes join
    fleet: Any
    registry: Any
    rollouts: Any
    placement: Any
    tenants: Any

    def note(self, kind: str, body: dict[str, Any]) -> None:
        """Puts an entry into the centre's journal."""
        ...


@dataclass(slots=True)
class CentreDesk:
    """One console over one centre."""

    centre: Centre
    users: Users
    throttle: Throttle
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    cookie: str = ""

    def __post_init__(self) -> None:
        self.cookie = cookie_name(self.centre.folder)

    @property
    def kind(self) -> Kind:
        """A centre."""
        return "centre"

    def note(self, kind: str, body: dict[str, Any]) -> None:
        """An entry of the centre's journal."""
        self.centre.note(kind, body)


def centre_of(call: Call) -> Centre:
    """The centre that a request belongs to."""
    desk: CentreDesk = call.app.state["desk"]
    return desk.centre
