"""/api/fleet: every node as it was last heard; inviting, removing, asking questions of one, and which configuration it is to run."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from litestar import get, post
from litestar.params import FromPath, JSONBody

from ronghe.console.centre.desk import centre_of
from ronghe.console.desk import Call, needs, person
from ronghe.console.roles import Role


class Invite(msgspec.Struct, frozen=True, kw_only=True):
    """A node that may join, and the plant that it will run."""

    node: str
    plant: str


class Invitation(msgspec.Struct, frozen=True, kw_only=True):
    """The one-time token, shown once, and the command that uses it at the node."""

    token: str
    command: str


class Removal(msgspec.Struct, frozen=True, kw_only=True):
    """Which node goes, and why."""

    node: str
    why: str


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """A question to a node, answered with its next report."""

    node: str
    what: Literal["logs", "metrics", "drivers", "apps", "disk", "threads", "ping"]
    options: dict[str, Any] = {}


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """By what the answer is asked for."""

    id: str


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a node answered; None so far."""

    answer: Any


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """Which version of its plant folder a node is to run."""

    node: str
    hash: str


@get("/api/fleet", opt=needs(Role.VIEWER), sync_to_thread=True)
def fleet(request: Call) -> Any:
    """Every node."""
    return centre_of(request).fleet.view()


@post("/api/fleet/invite", opt=needs(Role.ENGINEER), sync_to_thread=True)
def invite(request: Call, data: JSONBody[Invite]) -> Invitation:
    """Lets a node join, once."""
    fleet = centre_of(request).fleet
    token = fleet.invite(data.node, data.plant, person(request).name)
    return Invitation(token=token, command=fleet.command(token))


@post("/api/fleet/remove", opt=needs(Role.ADMINISTRATOR), status_code=204, sync_to_thread=True)
def remove(request: Call, data: JSONBody[Removal]) -> None:
    """Takes a node out of the fleet: its certificate is good for nothing any more."""
    centre_of(request).fleet.remove(data.node, person(request).name, data.why)


@post("/api/fleet/order", opt=needs(Role.ENGINEER), status_code=200, sync_to_thread=True)
def order(request: Call, data: JSONBody[Ask]) -> Asked:
    """Asks a node a question; nothing but what the node itself knows how to answer."""
    return Asked(id=centre_of(request).fleet.order(data.node, data.what, data.options, person(request).name))


@get("/api/fleet/answer/{order:str}", opt=needs(Role.VIEWER), sync_to_thread=True)
def answer(request: Call, order: FromPath[str]) -> Answer:
    """What the node answered, once it has."""
    return Answer(answer=centre_of(request).fleet.answer(order))


@post("/api/fleet/configuration", opt=needs(Role.ENGINEER), status_code=204, sync_to_thread=True)
def configuration(request: Call, data: JSONBody[Choice]) -> None:
    """Which version of its plant folder a node is to run."""
    centre_of(request).fleet.want_configuration(data.node, data.hash, person(request).name)


@get("/api/fleet/folders", opt=needs(Role.VIEWER), sync_to_thread=True)
def folders(request: Call) -> Any:
    """The versions of plant folders that the centre holds."""
    return centre_of(request).fleet.folders()


HANDLERS = [fleet, invite, remove, order, answer, configuration, folders]
