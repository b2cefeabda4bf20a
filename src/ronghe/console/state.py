"""/api/connections and /api/apps: how the node's own parts are."""

from __future__ import annotations

import msgspec
from litestar import get

from ronghe.apps.contract import Page
from ronghe.connect.driver import Health
from ronghe.console.desk import Call, desk_of, needs
from ronghe.console.roles import Role
from ronghe.text import Text


class ConnectionView(msgspec.Struct, frozen=True, kw_only=True):
    """One connection: which driver, how many tags, how it is, and samples a second since it was last looked at."""

    name: str
    driver: str
    tags: int
    per_s: float
    health: Health


class RecorderView(msgspec.Struct, frozen=True, kw_only=True):
    """What the recorder has written and what waits; `trouble` says why nothing is being recorded."""

    waiting: int
    recorded: int
    dropped: int
    trouble: Text | None


class ConnectionList(msgspec.Struct, frozen=True, kw_only=True):
    """All connections, and the recorder behind them."""

    connections: list[ConnectionView]
    recorder: RecorderView


class AppView(msgspec.Struct, frozen=True, kw_only=True):
    """One app at work; times in µs of processor a row."""

    name: str
    uses: str
    equipment: str
    state: str
    reason: Text | None
    rows: int
    skipped: int
    pictures: int
    unseen: int
    last_us: float
    p99_us: float
    signals: dict[str, float]
    pages: tuple[Page, ...]
    tags: tuple[str, ...]


@get("/api/connections", opt=needs(Role.VIEWER), sync_to_thread=False)
def connections(request: Call) -> ConnectionList:
    """Every connection of the plant folder with its health, one that could not be started among them."""
    desk = desk_of(request)
    node, now = desk.node, desk.node.clock()
    counts: dict[str, int] = {}
    for tag in node.plant.tags.values():
        counts[tag.connection] = counts.get(tag.connection, 0) + 1
    found = []
    for name, spec in node.plant.connections.items():
        driver = node.drivers.get(name)
        health = driver.health if driver is not None else Health(state="down", reason=Text("the driver does not start", "驱动未能启动"))
        pace = desk.pace.of(name, health.delivered, now)
        found.append(ConnectionView(name=name, driver=spec.driver, tags=counts.get(name, 0), per_s=pace, health=health))
    recorder = node.recorder
    return ConnectionList(
        connections=found,
        recorder=RecorderView(waiting=recorder.waiting, recorded=recorder.recorded, dropped=recorder.dropped, trouble=recorder.trouble),
    )


@get("/api/apps", opt=needs(Role.VIEWER), sync_to_thread=False)
def apps(request: Call) -> list[AppView]:
    """Every app: state, speed, the latest of what it computes, and the pages it brings."""
    return [
        AppView(
            name=name,
            uses=s.uses,
            equipment=s.equipment,
            state=s.state,
            reason=s.reason,
            rows=s.rows,
            skipped=s.skipped,
            pictures=s.pictures,
            unseen=s.unseen,
            last_us=s.last_us,
            p99_us=s.p99_us,
            signals=s.signals,
            pages=s.pages,
            tags=s.tags,
        )
        for name, s in desk_of(request).node.apps.items()
    ]


HANDLERS = [connections, apps]
