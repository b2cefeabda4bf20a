"""/api/models and /api/rollouts: signed packages, the keys that are trusted, and how releases reach the fleet."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from litestar import get, post
from litestar.params import FromPath, JSONBody

from ronghe.console.centre.desk import centre_of
from ronghe.console.desk import Call, needs, person
from ronghe.console.roles import Role


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A release for an app of some nodes, in waves: shares of the nodes, growing to 1. `gate` is what must hold after each."""

    hash: str
    app: str
    nodes: list[str]
    waves: list[float]
    gate: dict[str, Any] = {}


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """A reason, for the record."""

    why: str


@get("/api/models", opt=needs(Role.VIEWER), sync_to_thread=False)
def models(request: Call) -> Any:
    """Releases and keys."""
    return centre_of(request).registry.view()


@get("/api/rollouts", opt=needs(Role.VIEWER), sync_to_thread=False)
def rollouts(request: Call) -> Any:
    """Every roll-out, newest first."""
    return centre_of(request).rollouts.view()


@post("/api/rollouts", opt=needs(Role.ENGINEER), sync_to_thread=False)
def start(request: Call, data: JSONBody[Plan]) -> Any:
    """Begins a roll-out with its first wave."""
    return centre_of(request).rollouts.start(
        data.hash, data.app, data.nodes, waves=tuple(data.waves), gate=data.gate, who=person(request).name
    )


@post("/api/rollouts/{rollout:str}/{how:str}", opt=needs(Role.ENGINEER), status_code=204, sync_to_thread=False)
def turn(request: Call, rollout: FromPath[str], how: FromPath[Literal["pause", "go_on", "stop"]], data: JSONBody[Why]) -> None:
    """Holds a roll-out, lets it go on, or ends it."""
    getattr(centre_of(request).rollouts, how)(rollout, person(request).name, data.why)


HANDLERS = [models, rollouts, start, turn]
