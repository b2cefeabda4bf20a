"""A press line of two devices in memory, for changes: three set-points, a door, material, and an app that looks at the first piece."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ronghe.guard import Change, ChangeCase, Guard, Ledger, Setting
from ronghe.plant.model import AppSpec, Connection, GuardSpec, Plant, Property, Tag
from ronghe.signals import Batch, Latest, TagIndex
from ronghe.signals import quality as q
from ronghe.text import Text

S = 1_000_000_000
START = 1_790_000_000 * S
HEAT, STROKE, FEED = "line1/press/heat", "line1/press/stroke", "line1/feeder/feed"
DOOR, MATERIAL, FIRST = "line1/press/door_open", "line1/feeder/material", "apps/look/first_piece"
OLD = {HEAT: 160.0, STROKE: 40.0, FEED: 12.0}
NEW = {HEAT: 185.0, STROKE: 55.0, FEED: 9.5}


def make_plant(**guard: Any) -> Plant:
    """The line; `guard` are fields of every guard of it."""
    unit = {"heat": "Cel", "stroke": "1/min", "feed": "mm"}
    dictionary = {n: Property(property=n, unit=u) for n, u in unit.items()}
    dictionary |= {n: Property(property=n, type="bool") for n in ("door", "material")}
    tags = [
        Tag(tag=HEAT, property="heat", connection="press", address="1", writable=True),
        Tag(tag=STROKE, property="stroke", connection="press", address="2", writable=True),
        Tag(tag=FEED, property="feed", connection="feeder", address="1", writable=True),
        Tag(tag=DOOR, property="door", connection="press", address="3"),
        Tag(tag=MATERIAL, property="material", connection="feeder", address="2"),
    ]
    envelopes = {HEAT: "20..250 Cel", STROKE: "1..80 1/min", FEED: "0..50 mm"}
    common = {"mode": "auto", "fresh": "10s", "interlock": f"not {DOOR}", **guard}
    guards = {t: GuardSpec(**{"tag": t, "envelope": e, **common}) for t, e in envelopes.items()}
    return Plant(
        path="acme/shanghai/hall",
        name=Text("Hall", "车间"),
        dictionary=dictionary,
        tags={t.tag: t for t in tags},
        connections={n: Connection(name=n, driver="none") for n in ("press", "feeder")},
        apps={"look": AppSpec(name="look", uses="quality.inspect")},
        guards=guards,
    )


class Line:
    """The line at work. The clock moves when told to. `faults[tag]` is how a set-point's device behaves: refuses, ignores, clamps, breaks,
    obeys and says nothing, late, dies, dead."""

    def __init__(self, folder: Path, **guard: Any) -> None:
        self.folder, self.now = folder, START
        self.plant = make_plant(**guard)
        self.force = dict(OLD)
        self.seen = {DOOR: 0.0, MATERIAL: 1.0, FIRST: 0.0}
        self.faults: dict[str, str] = {}
        self.on_the_way: dict[str, tuple[int, float]] = {}
        self.writes: list[tuple[str, float]] = []
        self.on_write: Callable[[str, float], None] = lambda tag, value: None
        self.wrap: Callable[[Any], Any] = lambda append: append
        self.index = TagIndex(self.plant.tags)
        self.latest = Latest(self.index)
        self.ledger: Ledger | None = None
        self.open()
        self.hear()

    def open(self, **guard: Any) -> None:
        if guard:
            self.plant = make_plant(**guard)
        if self.ledger is not None:
            self.ledger.close()
        self.ledger = Ledger(self.folder / "ledger", clock=self.clock)
        self.ledger.append = self.wrap(self.ledger.append)  # type: ignore[method-assign]
        self.guard = Guard(self.plant, self.latest, self.ledger, self.write, clock=self.clock, folder=self.folder)

    def restart(self, **guard: Any) -> None:
        """What a kill -9 and a new start leave: the ledger's files only."""
        self.latest = Latest(self.index)
        self.open(**guard)

    def clock(self) -> int:
        return self.now

    async def write(self, tag: str, value: float, still: Callable[[], bool]) -> int:
        if not still():
            return q.BAD_NOT_SENT
        self.on_write(tag, value)
        self.writes.append((tag, value))
        fault = self.faults.get(tag, "")
        if fault == "dead":
            return q.BAD_NO_COMMUNICATION
        if fault == "refuses":
            return q.BAD_NOT_WRITABLE
        self.land(tag)  # what was sent before arrives before
        if fault == "late":
            self.on_the_way[tag] = self.now + 5 * S, value
        elif fault != "ignores":
            self.force[tag] = value - 1 if fault == "clamps" and value == NEW[tag] else value
        if fault == "dies":
            self.faults[tag] = "dead"
        if fault == "breaks":
            raise OSError("cable")
        return q.BAD_TIMEOUT if fault in ("late", "dies", "obeys and says nothing") else q.GOOD

    def land(self, tag: str) -> None:
        """What is still on the way to a set-point arrives."""
        if tag in self.on_the_way:
            self.force[tag] = self.on_the_way.pop(tag)[1]

    def hear(self) -> None:
        """One sample of everything, now; of a dead device, that it is dead."""
        for tag, value in {**self.force, **self.seen}.items():
            code = q.BAD_NO_COMMUNICATION if self.faults.get(tag) == "dead" else q.GOOD
            self.latest.update(Batch.of(self.index, [tag], self.now, value, code), self.now)

    async def run(self, seconds: int) -> None:
        """Lets time go by, a second at a time, with samples and ticks."""
        for _ in range(seconds):
            self.now += S
            for tag in [t for t, (at, _) in self.on_the_way.items() if at <= self.now]:
                self.land(tag)
            self.hear()
            await self.guard.tick()

    def change(self, **fields: Any) -> Change:
        given = {
            "id": f"c{len(self.guard.changes())}",
            "app": "changeover",
            "name": Text("to A-200", "换为 A-200"),
            "settings": tuple(Setting(tag=t, value=v) for t, v in NEW.items()),
            "time": self.now,
            "expires": self.now + 600 * S,
            "reason": Text("order 7", "订单 7"),
            "proof": (f"{FIRST} == 1",),
            "within": 30.0,
        }
        return Change(**{**given, **fields})

    async def start(self, **fields: Any) -> ChangeCase:
        return await self.guard.submit_change(self.change(**fields))

    async def end(self, case: ChangeCase, seconds: int = 200) -> ChangeCase:
        """The change when it has ended, or after so long."""
        for _ in range(seconds):
            if not self.guard.change(case.id).open:
                break
            await self.run(1)
        return self.guard.change(case.id)
