"""/api/models and /api/rollouts: signed packages, the keys that are trusted, and how releases reach the fleet."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from litestar import get, post
from litestar.params import FromPath, JSONBody

from ronghe.cloud.rollout.spec import Gate
from ronghe.console.centre.desk import centre_of, rollouts_of
from ronghe.console.desk import Call, needs, person
from ronghe.console.roles import Role

Turn = Literal["pause", "go_on", "stop", "roll_back"]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A release for an app of some nodes, in waves: shares of the nodes, growing to 1. What must hold after each is in `gate`.

    A node on which one run takes longer than `slowest_ms` refuses it.
    """

    hash: str
    app: str
    nodes: list[str]
    waves: list[float]
    gate: Gate
    slowest_ms: float | None = None


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """A reason, for the record."""

    why: str


@get("/api/models", opt=needs(Role.VIEWER), sync_to_thread=True)
def models(request: Call) -> Any:
    """Releases and keys."""
    return centre_of(request).registry.view()


@get("/api/rollouts", opt=needs(Role.VIEWER), sync_to_thread=False)
def rollouts(request: Call) -> Any:
    """Every roll-out, newest first."""
    return rollouts_of(request).view()


@post("/api/rollouts", opt=needs(Role.ENGINEER), sync_to_thread=False)
def start(request: Call, data: JSONBody[Plan]) -> Any:
    """Begins a roll-out with its first wave."""
    who = person(request).name
    begun = rollouts_of(request).start(
        data.hash, data.app, data.nodes, waves=data.waves, gate=data.gate, slowest_ms=data.slowest_ms, who=who
    )
    centre_of(request).note("rollout.start", {"who": who, "id": begun["id"], **msgspec.to_builtins(data)})
    return begun


@post("/api/rollouts/{rollout:str}/{how:str}", opt=needs(Role.ENGINEER), status_code=204, sync_to_thread=False)
def turn(request: Call, rollout: FromPath[str], how: FromPath[Turn], data: JSONBody[Why]) -> None:
    """Holds a roll-out, lets it go on, ends it, or has every node go back."""
    who, rollouts = person(request).name, rollouts_of(request)
    turns = {"pause": rollouts.pause, "go_on": rollouts.go_on, "stop": rollouts.stop, "roll_back": rollouts.roll_back}
    turns[how](rollout, who, data.why)
    centre_of(request).note(f"rollout.{how}", {"who": who, "id": rollout, "why": data.why})


HANDLERS = [models, rollouts, start, turn]
