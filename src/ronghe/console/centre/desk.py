"""What every handler of the centre's console works with."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ronghe.console.desk import Call, Kind, cookie_name
from ronghe.console.failures import Refused
from ronghe.console.throttle import Throttle
from ronghe.console.users import Users
from ronghe.guard import Ledger
from ronghe.text import Text

if TYPE_CHECKING:
    from ronghe.cloud.centre import Centre
    from ronghe.cloud.rollout import Rollouts
    from ronghe.cloud.serving import Tenants


@dataclass(slots=True)
class CentreDesk:
    """One console over one centre."""

    centre: Centre
    users: Users
    throttle: Throttle
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    cookie: str = ""

    def __post_init__(self) -> None:
        self.cookie = cookie_name(self.home)

    @property
    def kind(self) -> Kind:
        """A centre."""
        return "centre"

    @property
    def ledger(self) -> Ledger:
        """The centre's."""
        return self.centre.ledger

    @property
    def home(self) -> Path:
        """The centre's own folder."""
        return self.centre.home


def centre_of(call: Call) -> Centre:
    """The centre that a request belongs to."""
    desk: CentreDesk = call.app.state["desk"]
    return desk.centre


def rollouts_of(call: Call) -> Rollouts:
    """Its roll-outs. Raises Refused (503) while they do not work."""
    rollouts: Rollouts = _at_work(call, "rollouts", centre_of(call).rollouts)
    return rollouts


def tenants_of(call: Call) -> Tenants:
    """Its tenants. Raises Refused (503) while models are not served."""
    tenants: Tenants = _at_work(call, "serving", centre_of(call).tenants)
    return tenants


def _at_work(call: Call, name: str, part: Any) -> Any:
    if part is None:
        why = centre_of(call).failed.get(name, Text("it has not started", "尚未启动"))
        raise Refused(503, Text(f"this part of the centre does not work: {why.en}", f"中心的此部分未能运行：{why.in_('zh')}"), where=name)
    return part
