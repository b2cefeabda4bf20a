"""/api/live and /api/stream: the latest values, once and as they change.

A value travels as `[id, time, value, code]`: tag id (see /api/plant), source time in ms since 1970 UTC, the value (null where there is
none, a string for text tags) to 7 significant digits, and the OPC UA status code as it is now (a value that grew stale says so).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final

import msgspec
import numpy as np
from litestar import get
from litestar.params import FromQuery, QueryParameter
from litestar.response import Stream
from numpy.typing import NDArray

from ronghe.console.access import session_token
from ronghe.console.desk import Call, Desk, desk_of, needs
from ronghe.console.failures import Refused
from ronghe.console.roles import Role
from ronghe.text import Text

EVERY: Final = 0.25  # s between messages
HEARTBEAT: Final = 4  # an empty message after so many silent turns: the page knows within seconds when we are gone

Row = tuple[int, int, float | str | None, int]
Ids = Annotated[str, QueryParameter(description='tag ids, e.g. "0-12,40"; empty: none; "all"', max_length=20_000)]


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """One message of the stream. `rev` counts up when a list changed: fetch it again. `now` is the node's clock, ms."""

    now: int
    rev: dict[str, int]
    d: list[Row]


class Values:
    """The values of some tags, and which of them changed since last asked."""

    def __init__(self, desk: Desk, ids: NDArray[np.int32]) -> None:
        self._desk, self._ids = desk, ids
        self._time = np.full(len(ids), -1, np.int64)
        self._code = np.zeros(len(ids), np.uint32)

    def changed(self) -> list[Row]:
        """The rows that are new since the last call; all of them at the first."""
        latest, ids = self._desk.node.latest, self._ids
        code, time = latest.quality(self._desk.node.clock(), ids), latest.time[ids]
        rows = np.flatnonzero((time != self._time) | (code != self._code))
        self._time, self._code = time, code
        value = latest.value[ids[rows]].tolist()
        told = zip(ids[rows].tolist(), (time[rows] // 1_000_000).tolist(), value, code[rows].tolist(), strict=True)
        return [(i, t, latest.text.get(i, None if v != v else float(f"{v:.7g}")), c) for i, t, v, c in told]


def revisions(desk: Desk) -> dict[str, int]:
    """What a page may have to fetch again."""
    node = desk.node
    return {
        "alarms": node.alarms.version,
        "cases": node.guard.version,
        "ledger": node.ledger.version,
        "tags": len(node.index),
    }


def parse_ids(text: str, count: int) -> NDArray[np.int32]:
    """Ids such as "0-12,40", each below `count`. Raises Refused (400) for anything else."""
    if text == "all":
        return np.arange(count, dtype=np.int32)
    chosen: set[int] = set()
    try:
        for part in filter(None, text.split(",")):
            first, _, last = part.partition("-")
            low, high = int(first), int(last or first)
            if not 0 <= low <= high < count:
                raise ValueError
            chosen.update(range(low, high + 1))
    except ValueError:
        todo = Text("write ids such as 0-12,40", "请写编号，如 0-12,40")
        raise Refused(400, Text("not a list of tag ids of this run", "不是本次运行的测点编号列表"), todo, where=text[:80]) from None
    return np.array(sorted(chosen), np.int32)


@get("/api/live", opt=needs(Role.VIEWER), sync_to_thread=False)
def live(request: Call, ids: Ids = "all") -> Changes:
    """The latest values, once."""
    desk = desk_of(request)
    rows = Values(desk, parse_ids(ids, len(desk.node.index))).changed()
    return Changes(now=desk.node.clock() // 1_000_000, rev=revisions(desk), d=rows)


@get("/api/stream", opt=needs(Role.VIEWER), media_type="text/event-stream", sync_to_thread=False)
def stream(request: Call, boot: FromQuery[str] = "", ids: Ids = "") -> Stream:
    """Server-Sent Events: first all asked for, then what changes, at most four messages a second.

    With another `boot` than this run's the ids mean nothing: the only event is then `boot`, upon which a page fetches /api/plant again.
    """
    desk = desk_of(request)
    chosen = parse_ids(ids, len(desk.node.index)) if boot == desk.boot else None
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return Stream(_messages(desk, chosen, session_token(request)), media_type="text/event-stream", headers=headers)


async def _messages(desk: Desk, ids: NDArray[np.int32] | None, token: str) -> AsyncIterator[bytes]:
    yield b"retry: 1000\n\n"
    if ids is None:
        yield _event("boot", desk.boot)
        return
    values, told, silent, turns = Values(desk, ids), revisions(desk), HEARTBEAT, 0
    while not desk.closing.is_set():
        rows, rev = values.changed(), revisions(desk)
        silent += 1
        if rows or rev != told or silent >= HEARTBEAT:
            yield _event("live", Changes(now=desk.node.clock() // 1_000_000, rev=rev, d=rows))
            told, silent = rev, 0
        turns += 1
        if turns % 20 == 0 and desk.users.who(token) is None:
            return  # signed out, or the role was taken away: the page finds out when it tries again
        try:
            await asyncio.wait_for(desk.closing.wait(), EVERY)
        except TimeoutError:
            continue


def _event(name: str, data: Any) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + msgspec.json.encode(data) + b"\n\n"


HANDLERS = [live, stream]
