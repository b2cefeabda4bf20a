"""The life of one session's items: connect, acquire, lose, tell it once, come back, fill the gap."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from ronghe.connect.driver import Item, Sink
from ronghe.connect.opcua import address, history
from ronghe.connect.opcua.acquire import Acquisition
from ronghe.connect.opcua.columns import Columns
from ronghe.connect.opcua.options import Options
from ronghe.connect.opcua.session import Session, connect
from ronghe.connect.opcua.trust import Fixable
from ronghe.connect.opcua.values import batch
from ronghe.errors import ConnectError, Rejected
from ronghe.signals import Batch, TagIndex
from ronghe.signals import quality as q

_PAUSES: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)  # s between attempts
_STEADY: Final = 10.0  # s of connection after which the pauses begin anew
_TICK: Final = 100  # ns, the resolution of OPC UA time
_HEAR: Final = 5.0  # s that the gap of a silent item waits for its first sample


class Watch(Protocol):
    """Is told how it goes; the driver makes its health of it."""

    def up(self, shard: int, session: Session) -> None: ...
    def down(self, shard: int, error: ConnectError) -> None: ...
    def delivered(self, n: int) -> None: ...
    def late(self, shard: int, lag: float) -> None: ...
    def backfilled(self, n: int) -> None: ...
    def lost(self, n: int) -> None: ...


class Shard:
    """Some of a connection's items, over a session of their own."""

    def __init__(
        self, number: int, options: Options, index: TagIndex, items: Sequence[Item], sink: Sink, watch: Watch, clock: Callable[[], int]
    ) -> None:
        self._number, self._options, self._index, self._items = number, options, index, items
        self._sink, self._watch, self._clock = sink, watch, clock
        n = len(items)
        self._ids = np.array([i.id for i in items], np.int32)
        self._texts = np.array([i.type == "text" for i in items], np.bool_)
        self._any_text = bool(self._texts.any())
        self._last = np.zeros(n, np.int64)  # newest source time, ns
        self._floor = np.zeros(n, np.int64)  # time of the sample that said "lost", until it is overtaken; 0: none
        self._returning = False
        self._heard = np.zeros(n, np.bool_)  # in this connection
        self._unheard = n
        self._told = np.zeros(n, np.bool_)  # that the item is lost, since it was last heard
        self._ahead = 0  # ns, the server's clock minus ours
        self._gaps: list[history.Gap] = []

    async def run(self) -> None:
        """Acquires until cancelled. Raises Rejected where the very first connection is refused and waiting cannot help."""
        attempt, was_up, loop = 0, False, asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                session = await connect(self._options, self._clock())
            except Fixable as e:
                self._lose(e)
            except Rejected as e:
                self._lose(e)
                if not was_up:
                    raise
            except ConnectError as e:
                self._lose(e)
            else:
                was_up = True
                began = loop.time()
                try:
                    await self._acquire(session)
                except ConnectError as e:
                    self._lose(e)
                finally:
                    await session.close()
            if loop.time() - began > _STEADY:
                attempt = 0
            await asyncio.sleep(_PAUSES[min(attempt, len(_PAUSES) - 1)])
            attempt += 1

    async def _acquire(self, session: Session) -> None:
        self._ahead = session.ahead
        self._heard = np.zeros(len(self._items), np.bool_)
        self._unheard = len(self._items)
        acquisition = Acquisition(session, self._items, self._deliver, self._refuse, self._watch.lost, self._quiet)

        async def ready() -> None:
            self._watch.up(self._number, session)
            await self._backfill(session)

        await acquisition.run(ready)

    def _lose(self, error: ConnectError) -> None:
        """Tells the loss, once for each item until it is heard again."""
        self._watch.down(self._number, error)
        new = np.flatnonzero(~self._told)
        if not len(new):
            return
        # In the device's own time, and never before its last sample: the loss must not hide behind a clock that is ahead.
        time = np.maximum(self._clock() + self._ahead, np.maximum(self._last, self._floor)[new] + _TICK)
        if self._gaps:
            self._gaps[-1].merged()
        self._gaps = [g for g in self._gaps if not g.done.all()]
        if self._options.backfill:
            self._gaps.append(history.Gap.opened(self._last))
        self._floor[new] = time
        self._told[new] = self._returning = True
        self._sink(Batch.of(self._index, self._ids[new], time, np.nan, q.BAD_NO_COMMUNICATION))
        self._watch.delivered(len(time))

    def _refuse(self, position: int, status: int) -> None:
        time = max(self._clock() + self._ahead, int(self._last[position]) + _TICK, int(self._floor[position]) + _TICK)
        self._sink(Batch.of(self._index, self._ids[position : position + 1], time, np.nan, status))
        self._told[position] = False
        self._watch.delivered(1)

    def _deliver(self, positions: NDArray[np.int64], columns: Columns) -> None:
        now, time = self._clock(), columns.time
        if not time.all():
            time = np.where(time == 0, now + self._ahead, time)
        newest = self._newest(positions, time)
        np.maximum.at(self._last, positions, time)
        if self._returning:
            time = self._after_return(positions, time, now)
        wants = self._texts[positions] if self._any_text else None
        self._sink(batch(self._index, self._ids[positions], wants, time, columns))
        self._watch.delivered(len(positions))
        if newest:
            self._watch.late(self._number, (now + self._ahead - newest) / 1e9)

    def _quiet(self) -> None:
        self._watch.late(self._number, 0.0)

    def _newest(self, positions: NDArray[np.int64], time: NDArray[np.int64]) -> int:
        """The newest source time; 0 when all are first values, which may be as old as they like and say nothing of the way here."""
        if self._unheard == 0:
            return int(time.max(initial=0))
        heard = self._heard[positions]
        self._heard[positions] = True
        self._unheard = int(np.count_nonzero(~self._heard))
        return int(time[heard].max(initial=0))

    def _after_return(self, positions: NDArray[np.int64], time: NDArray[np.int64], now: int) -> NDArray[np.int64]:
        """Times of samples after a loss. A value that did not change meanwhile comes with a source time before the loss was told, and
        would hide behind it: it is handed over as what it is, the value found on return, with the time of return."""
        self._told[positions] = False
        floors, time = self._floor[positions], time.copy()
        for row in np.flatnonzero(floors > 0).tolist():
            position, sent = int(positions[row]), int(time[row])
            floor = int(self._floor[position])
            if floor == 0:
                continue
            hidden = sent <= floor
            if self._gaps:
                self._gaps[-1].heard(positions[row : row + 1], np.array([sent if hidden else sent - 1]))
            if hidden:
                time[row] = self._floor[position] = max(now + self._ahead, floor + _TICK)
            else:
                self._floor[position] = 0
        self._returning = bool(self._floor.any())
        return time

    async def _backfill(self, session: Session) -> None:
        """Fills what past losses left out, as far as the server has history."""
        loop = asyncio.get_running_loop()
        end = loop.time() + _HEAR
        open_ = [g for g in self._gaps if not g.done.all()]
        while loop.time() < end and not all((g.done | (g.until != history.OPEN)).all() for g in open_):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        nodes: list[Any] = [address.node_id(i.address, session.namespaces) for i in self._items]
        earliest = self._clock() + self._ahead - int(self._options.backfill * 1e9)
        filler = history.Filler(session, nodes, earliest, self._deliver_old, self._watch.lost)
        for gap in open_:
            await filler.fill(gap)
        self._gaps = [g for g in self._gaps if not g.done.all()]

    def _deliver_old(self, positions: NDArray[np.int64], columns: Columns) -> None:
        wants = self._texts[positions] if self._any_text else None
        self._sink(batch(self._index, self._ids[positions], wants, columns.time, columns))
        self._watch.delivered(len(positions))
        self._watch.backfilled(len(positions))
