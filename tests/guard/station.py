"""A small pump station in memory: a plant, its latest values, a clock that stands still, and a device that obeys."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ronghe.guard import Advice, Case, Guard, Ledger
from ronghe.plant.model import Connection, GuardSpec, Plant, Property, Tag
from ronghe.signals import Batch, Latest, TagIndex
from ronghe.signals import quality as q
from ronghe.text import Text

S = 1_000_000_000
START = 1_790_000_000 * S
SPEED, PRESSURE, LEVEL, TRIP, HEAT, POWER, VALVE = (
    f"line1/pump1/{n}" for n in ("speed_setpoint", "pressure", "level", "trip", "bearing_temperature", "power", "valve")
)


def make_plant(**guard: Any) -> Plant:
    """The pump station; `guard` are fields of the guard of its speed set-point."""
    spec = GuardSpec(**{"tag": SPEED, "mode": "auto", "envelope": "600..1450 1/min", "fresh": "10s", **guard})
    units = {
        "speed": "1/min",
        "pressure": "bar",
        "level": "%",
        "heat": "Cel",
        "power": "kW",
    }
    dictionary = {n: Property(property=n, unit=u) for n, u in units.items()}
    dictionary["trip"] = Property(property="trip", type="bool")
    dictionary["steps"] = Property(property="steps", type="int")
    dictionary["note"] = Property(property="note", type="text")
    tags = [
        Tag(tag=SPEED, property="speed", connection="plc", address="40001", writable=True),
        Tag(tag=PRESSURE, property="pressure", connection="plc", address="1"),
        Tag(tag=LEVEL, property="level", connection="plc", address="2"),
        Tag(tag=TRIP, property="trip", connection="plc", address="3"),
        Tag(tag=HEAT, property="heat", connection="plc", address="4"),
        Tag(tag=POWER, property="power", connection="plc", address="5"),
        Tag(tag=VALVE, property="steps", connection="plc", address="6", writable=True),
        Tag(tag="line1/pump1/note", property="note", connection="plc", address="7"),
    ]
    return Plant(
        path="acme/shanghai/water",
        name=Text("Pump station", "泵站"),
        dictionary=dictionary,
        tags={t.tag: t for t in tags},
        connections={"plc": Connection(name="plc", driver="none")},
        guards={spec.tag: spec},
    )


class Station:
    """The pump station at work. The clock moves when told to; a write is obeyed unless `obeys` is False."""

    def __init__(self, folder: Path, **guard: Any) -> None:
        self.folder, self.now, self.obeys, self.step = folder, START, True, 0.0
        self.answer: int | Exception = q.GOOD
        self.writes: list[tuple[str, float]] = []
        self.before_write: Callable[[], Awaitable[None]] | None = None
        self.line: Callable[[], Awaitable[None]] | None = None  # what is waited for before a write can be sent
        self.past: dict[str, list[tuple[int, float]]] = {}
        self.plant = make_plant(**guard)
        self.index = TagIndex(self.plant.tags)
        self.latest = Latest(self.index)
        self.values = {SPEED: 1000.0, PRESSURE: 5.0, LEVEL: 50.0, TRIP: 0.0, HEAT: 60.0, POWER: 20.0, VALVE: 10.0}
        self.open()
        self.hear()

    def open(self, **guard: Any) -> Guard:
        """(Re)starts ledger and guard, as a new process would."""
        if guard:
            self.plant = make_plant(**guard)
        self.ledger = Ledger(self.folder / "ledger", clock=self.clock)
        self.guard = Guard(
            self.plant, self.latest, self.ledger, self.write, clock=self.clock, folder=self.folder, history=self.history, held=self.held
        )
        return self.guard

    def restart(self, **guard: Any) -> Guard:
        """What a kill -9 and a new start leave: the ledger's files only."""
        self.ledger.close()
        self.latest = Latest(self.index)
        return self.open(**guard)

    def clock(self) -> int:
        return self.now

    def history(self, tag: str, start: int, end: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        rows = [(t, v) for t, v in self.past.get(tag, []) if start <= t < end]
        return np.array([t for t, _ in rows], np.int64), np.array([v for _, v in rows], np.float64)

    async def write(self, tag: str, value: float, still: Callable[[], bool]) -> int:
        if self.line is not None:
            await self.line()
        if not still():
            return q.BAD_NOT_SENT
        self.writes.append((tag, value))
        if self.before_write is not None:
            await self.before_write()
        if isinstance(self.answer, Exception):
            raise self.answer
        if self.obeys and self.answer == q.GOOD:
            self.values[tag] = self.held(tag, value)
        return self.answer

    def held(self, tag: str, value: float) -> float:
        """What the device will hold: a multiple of its `step`."""
        return round(value / self.step) * self.step if self.step and np.isfinite(value) else value

    def hear(self, code: int = q.GOOD, **_: Any) -> None:
        """One sample of every tag, now."""
        batch = Batch.of(self.index, list(self.values), self.now, list(self.values.values()), code)
        self.latest.update(batch, self.now)
        for tag, value in self.values.items():
            self.past.setdefault(tag, []).append((self.now, value))

    def hear_one(self, tag: str, value: float, code: int = q.GOOD, *, at: int | None = None) -> None:
        self.latest.update(Batch.of(self.index, [tag], self.now if at is None else at, value, code), self.now)

    async def run(self, seconds: int) -> None:
        """Lets time go by, a second at a time, with samples and ticks."""
        for _ in range(seconds):
            self.now += S
            self.hear()
            await self.guard.tick()

    def advice(self, value: float, **fields: Any) -> Advice:
        self._n = getattr(self, "_n", 0) + 1
        given = {"id": f"a{self._n}-{id(self)}", "app": "pump-health", "tag": SPEED, "time": self.now, "expires": self.now + 3600 * S}
        return Advice(**{**given, "value": value, "reason": Text("the pump runs hot", "泵温偏高"), **fields})

    async def submit(self, value: float, **fields: Any) -> Case:
        return await self.guard.submit(self.advice(value, **fields))


def failed(case: Case) -> list[str]:
    """The names of the checks that failed."""
    return [c.name for c in case.checks if not c.ok]
