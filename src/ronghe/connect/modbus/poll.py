"""Acquisition: groups of points polled on an even grid, for as long as the driver runs; loss and return of units and of the connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from ronghe.connect.driver import Health, Sink
from ronghe.connect.lag import LagMeter
from ronghe.connect.modbus.address import Point
from ronghe.connect.modbus.link import Link
from ronghe.connect.modbus.plan import Block
from ronghe.connect.modbus.schedule import Schedule
from ronghe.connect.modbus.unit import Columns, Dead, Unit
from ronghe.errors import ConnectError, Unreachable
from ronghe.signals import Batch, TagIndex
from ronghe.signals import quality as q
from ronghe.text import Text

_FIRST_PAUSE: Final = 0.1  # s, before the first attempt to reconnect; doubles
_LAST_PAUSE: Final = 30.0
_FLUSH: Final = 0.1  # s, that samples of a long poll wait for the rest of it at most


class Group:
    """The points of one unit with one interval."""

    def __init__(self, unit: Unit, every: float, points: Sequence[Point], ids: Sequence[int]) -> None:
        self.unit, self.every, self.points = unit, every, points
        self.ids = np.array(ids, np.int32)
        self.into = Columns(len(ids))
        self.lost = False  # whether its items were handed over as lost
        self._blocks: list[Block] = []
        self._version = -1

    def blocks(self) -> list[Block]:
        """The reads of one poll, planned anew when more is known of the unit."""
        if self._version != self.unit.version:
            self._version = self.unit.version
            self._blocks, _ = self.unit.plan(self.points, range(len(self.ids)))
        return self._blocks


class Poller:
    """Polls groups until cancelled. One connection, one request at a time; a silent unit is set aside and tried again ever later."""

    def __init__(
        self, link: Link, units: dict[int, Unit], groups: list[Group], index: TagIndex, health: Health, sink: Sink, clock: Callable[[], int]
    ) -> None:
        self._link, self._units, self._groups = link, units, groups
        self._index, self._health, self._sink, self._clock = index, health, sink, clock
        self._was_up = False
        self._lag = LagMeter(health)
        self._schedule = Schedule([], 0.0)

    async def run(self) -> None:
        """Until cancelled."""
        self._schedule = Schedule([g.every for g in self._groups], asyncio.get_running_loop().time())
        pause = _FIRST_PAUSE
        self._state("connecting")
        while True:
            try:
                await self._link.open()
                for unit in self._units.values():
                    unit.reconnected()
                await self._poll()
            except ConnectError as e:
                if self._health.state == "up":
                    pause = _FIRST_PAUSE
                self._link.close()
                self._state("down", e.what)
                for group in self._groups:
                    self._lose(group)
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LAST_PAUSE)

    async def _poll(self) -> None:
        """Serves ticks until the connection is lost, or no unit answers. Raises ConnectError."""
        loop = asyncio.get_running_loop()
        while True:
            if not self._groups:
                await asyncio.sleep(_LAST_PAUSE)
                continue
            due, i = self._schedule.due()
            await asyncio.sleep(max(0.0, due - loop.time()))
            await self._serve(i)

    async def _serve(self, i: int) -> None:
        """One tick of one group."""
        self._schedule.begin(i)
        try:
            await self._tick(i)
        finally:
            now = asyncio.get_running_loop().time()
            self._health.dropped += self._schedule.done(i, now) * len(self._groups[i].ids)

    async def _tick(self, i: int) -> None:
        """Reads the blocks of one group; before each, one group with a shorter interval that is due: neither holds up the other."""
        group, loop = self._groups[i], asyncio.get_running_loop()
        unit = group.unit
        if unit.state == "dead" and loop.time() < unit.retry_at:
            self._health.dropped += len(group.ids)
            return
        unit.forget_in_time()
        flushed = loop.time()
        try:
            for block in group.blocks():
                if (other := self._schedule.urgent(loop.time(), i)) is not None:
                    await self._serve(other)
                await unit.fetch(block, group.into)
                if unit.state == "alive" and (group.lost or self._health.state != "up"):
                    self._answered(group)
                if loop.time() - flushed > _FLUSH:
                    self._flush(group)
                    flushed = loop.time()
        except Dead as e:
            self._flush(group)
            self._silent(unit, e)
        finally:
            self._flush(group)

    def _answered(self, group: Group) -> None:
        """A unit answered that was not known to: its group is back, and with it the connection."""
        group.lost = False
        if self._health.state != "up":
            self._health.reconnects += self._was_up
            self._was_up = True
            self._state("up")
        self._health.reason = self._partial()

    def _silent(self, unit: Unit, e: Dead) -> None:
        """A unit that does not answer. Raises Unreachable when it was the last: then the connection counts as lost."""
        if all(g.unit.state == "dead" for g in self._groups):
            raise Unreachable(e.error.what, where=e.error.where, todo=e.error.todo)
        for group in self._groups:
            if group.unit is unit:
                self._lose(group)
        self._health.reason = self._partial() if self._health.state == "up" else e.error.what

    def _partial(self) -> Text | None:
        """What is wrong although the connection is up."""
        dead = sorted({g.unit.number for g in self._groups if g.unit.state == "dead"})
        if not dead:
            return None
        numbers = ", ".join(map(str, dead))
        return Text(f"no answer from unit {numbers}", f"站号 {numbers} 无应答")

    def _lose(self, group: Group) -> None:
        """Hands over every item of a group as lost, once per loss."""
        if group.lost:
            return
        group.lost = True
        self._hand(Batch.of(self._index, group.ids, self._clock(), np.nan, q.BAD_NO_COMMUNICATION))

    def _flush(self, group: Group) -> None:
        """Hands over what was read."""
        into = group.into
        rows = np.flatnonzero(into.got)
        if not len(rows):
            return
        text = pa.array([into.text.get(i) for i in rows.tolist()], pa.utf8()) if into.text else None
        batch = Batch(self._index, group.ids[rows], into.time[rows], into.value[rows], into.quality[rows], text)
        into.got[:] = False
        self._hand(batch)
        now = self._clock()
        self._lag.seen(max(0.0, (now - int(batch.time.max())) / 1e9), now)

    def _hand(self, batch: Batch) -> None:
        self._health.delivered += len(batch)
        self._sink(batch)

    def _state(self, state: str, reason: Text | None = None) -> None:
        h = self._health
        if h.state != state:
            h.state, h.since = state, self._clock()  # type: ignore[assignment]
        h.reason = reason
