"""/api/alarms: the alarm list and what a person does with it (ISA-18.2)."""

from __future__ import annotations

import msgspec
from litestar import get, post
from litestar.params import JSONBody

from ronghe.console.desk import Call, desk_of, needs, person
from ronghe.console.failures import Refused
from ronghe.console.roles import Role
from ronghe.edge.alarms import Alarm, AlarmMetrics
from ronghe.text import Text

OPERATOR_SHELF = 8 * 60  # min, one shift; longer needs an engineer


class AlarmList(msgspec.Struct, frozen=True, kw_only=True):
    """Alarms that are not normal or are hidden, most urgent first, and how well the alarm system itself does."""

    alarms: list[Alarm]
    metrics: AlarmMetrics


class Acknowledge(msgspec.Struct, frozen=True, kw_only=True):
    """Which alarm was seen; a remark if there is one."""

    key: str
    comment: str = ""


class Shelve(msgspec.Struct, frozen=True, kw_only=True):
    """Which alarm is not to be shown, for how long (min), and why."""

    key: str
    minutes: float
    why: str


class Unshelve(msgspec.Struct, frozen=True, kw_only=True):
    """Which alarm is to be shown again."""

    key: str


@get("/api/alarms", opt=needs(Role.VIEWER), sync_to_thread=False)
def alarms(request: Call) -> AlarmList:
    """The alarm list."""
    node = desk_of(request).node
    return AlarmList(alarms=node.alarms.list(), metrics=node.alarms.metrics(node.clock()))


@post("/api/alarms/acknowledge", opt=needs(Role.OPERATOR), status_code=200, sync_to_thread=False)
def acknowledge(request: Call, data: JSONBody[Acknowledge]) -> Alarm:
    """Acknowledges an alarm under the person's name."""
    node = desk_of(request).node
    return node.alarms.acknowledge(data.key, person(request).name, node.clock(), data.comment)


@post("/api/alarms/shelve", opt=needs(Role.OPERATOR), status_code=200, sync_to_thread=False)
def shelve(request: Call, data: JSONBody[Shelve]) -> Alarm:
    """Hides an alarm for a while, with a reason. Longer than a shift needs an engineer."""
    node, who = desk_of(request).node, person(request)
    if data.minutes > OPERATOR_SHELF and who.role < Role.ENGINEER:
        raise Refused(
            403,
            Text(f"an operator shelves for at most {OPERATOR_SHELF // 60} h", f"操作员最多可搁置 {OPERATOR_SHELF // 60} 小时"),
            Text("ask an engineer, or choose a shorter time", "请联系工程师，或缩短时间"),
            where=data.key,
        )
    return node.alarms.shelve(data.key, who.name, data.minutes * 60, data.why, node.clock())


@post("/api/alarms/unshelve", opt=needs(Role.OPERATOR), status_code=200, sync_to_thread=False)
def unshelve(request: Call, data: JSONBody[Unshelve]) -> Alarm:
    """Shows a shelved alarm again before its time."""
    node = desk_of(request).node
    return node.alarms.unshelve(data.key, person(request).name, node.clock())


HANDLERS = [alarms, acknowledge, shelve, unshelve]
