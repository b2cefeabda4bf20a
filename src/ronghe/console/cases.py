"""/api/cases and /api/kill: advice with its evidence, a person's answer, and the switch that stops every write."""

from __future__ import annotations

import msgspec
from litestar import get, post
from litestar.params import FromPath, JSONBody

from ronghe.console.desk import Call, desk_of, needs, person
from ronghe.console.roles import Role
from ronghe.guard import Case


class CaseList(msgspec.Struct, frozen=True, kw_only=True):
    """All cases, newest first; `killed` says who stopped the guard and why, empty while it may write."""

    killed: str
    cases: list[Case]


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """A reason, for the record."""

    why: str


class Switch(msgspec.Struct, frozen=True, kw_only=True):
    """The kill switch: who threw it and why; empty while the guard may write."""

    killed: str


@get("/api/cases", opt=needs(Role.VIEWER), sync_to_thread=False)
def cases(request: Call) -> CaseList:
    """Every advice and what became of it."""
    guard = desk_of(request).node.guard
    return CaseList(killed=guard.killed, cases=guard.cases())


@get("/api/cases/{case:str}", opt=needs(Role.VIEWER), sync_to_thread=False)
def case(request: Call, case: FromPath[str]) -> Case:
    """One advice and what became of it."""
    return desk_of(request).node.guard.case(case)


@post("/api/cases/{case:str}/approve", opt=needs(Role.OPERATOR), status_code=200)
async def approve(request: Call, case: FromPath[str]) -> Case:
    """Approves an advice under the person's name; the last approval needed writes, after all checks were made again."""
    return await desk_of(request).node.guard.approve(case, person(request).name)


@post("/api/cases/{case:str}/reject", opt=needs(Role.OPERATOR), status_code=200)
async def reject(request: Call, case: FromPath[str], data: JSONBody[Why]) -> Case:
    """Rejects an advice with a reason."""
    return await desk_of(request).node.guard.reject(case, person(request).name, data.why)


@post("/api/kill", opt=needs(Role.OPERATOR), status_code=200, sync_to_thread=False)
def kill(request: Call, data: JSONBody[Why]) -> Switch:
    """Stops every write to every machine, at once and over a restart."""
    guard = desk_of(request).node.guard
    guard.kill(person(request).name, data.why)
    return Switch(killed=guard.killed)


@post("/api/kill/release", opt=needs(Role.ENGINEER), status_code=200, sync_to_thread=False)
def release(request: Call, data: JSONBody[Why]) -> Switch:
    """Lets the guard write again."""
    guard = desk_of(request).node.guard
    guard.release(person(request).name, data.why)
    return Switch(killed=guard.killed)


HANDLERS = [cases, case, approve, reject, kill, release]
