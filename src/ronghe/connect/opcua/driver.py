"""The OPC UA driver: sessions in parallel while it runs, and one of its own for what is asked for now and then."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Literal, TypeVar

import numpy as np
from asyncua import ua

from ronghe.connect.driver import Driver, Found, Item, Sink, Still, Write, always
from ronghe.connect.lag import LagMeter
from ronghe.connect.opcua import address, walk
from ronghe.connect.opcua import options as settings
from ronghe.connect.opcua.session import Session, chunks, connect, is_good
from ronghe.connect.opcua.shard import Shard
from ronghe.connect.opcua.together import Together
from ronghe.connect.opcua.values import batch, built_in, variant
from ronghe.errors import BadFrame, ConnectError, Unreachable
from ronghe.plant.model import ValueType
from ronghe.signals import Batch, TagIndex
from ronghe.signals import quality as q
from ronghe.text import Text

_T = TypeVar("_T")
_SHARD: Final = 20_000  # items in one session


class OpcUa(Driver):
    """A client of one OPC UA server; see `Options` and docs/opcua.md."""

    name = "opcua"
    by_exception = True
    Options = settings.Options

    def __init__(self, options: settings.Options, index: TagIndex, *, clock: Callable[[], int] = time.time_ns) -> None:
        super().__init__(options, index)
        self._clock = clock
        self._session: Session | None = None
        self._connecting = asyncio.Lock()
        self._kinds: dict[str, ua.VariantType] = {}
        self._shards: dict[int, Text | None] = {}  # why each is down; None: up
        self._live: dict[int, Session] = {}  # of those that are up
        self._was_up = False
        self._lag = LagMeter(self.health)
        self.health.since = clock()

    @classmethod
    def check_address(cls, address_: str, type: ValueType) -> Text | None:
        """Is it a NodeId?"""
        return address.problem(address_)

    async def run(self, items: Sequence[Item], sink: Sink) -> None:
        """See `Driver.run`. Spreads the items over sessions; each loses and finds its connection by itself."""
        n = max(1, min(self.options.sessions or -(-len(items) // _SHARD), len(items)))
        parts = [items[i::n] for i in range(n)]
        self._shards = dict.fromkeys(range(n))
        self._state("connecting", None)
        shards = [Shard(i, self.options, self.index, part, sink, self, self._clock) for i, part in enumerate(parts)]
        work = Together()
        for shard in shards:
            work.begin(shard.run())
        try:
            await work.until_one_fails()
        finally:
            self._live.clear()
            self._state("stopped", None)

    async def read(self, items: Sequence[Item]) -> Batch:
        """See `Driver.read`."""
        if not items:
            return Batch.empty(self.index)
        session = await self._open()
        nodes = [address.node_id(i.address, session.namespaces) for i in items]
        known = [n for n in nodes if n is not None]
        at = np.flatnonzero([n is not None for n in nodes])
        ids = np.array([i.id for i in items], np.int32)
        parts = []
        for columns in await self._asking(session.read(known)):
            rows, at = at[: len(columns)], at[len(columns) :]
            wants = np.array([items[r].type == "text" for r in rows.tolist()], np.bool_)
            moment = np.where(columns.time == 0, self._clock() + session.ahead, columns.time)
            parts.append((rows, batch(self.index, ids[rows], wants, moment, columns)))
        missing = np.flatnonzero([n is None for n in nodes])
        if len(missing):
            parts.append((missing, Batch.of(self.index, ids[missing], self._clock() + session.ahead, np.nan, q.BAD_NODE_UNKNOWN)))
        order = np.argsort(np.concatenate([rows for rows, _ in parts]))
        return Batch.concat([b for _, b in parts]).take(order)

    async def write(self, writes: Sequence[Write], *, still: Still = always) -> list[int]:
        """See `Driver.write`. Each value takes the type of its node; one that does not fit is refused, never rounded."""
        if not writes:
            return []
        session = await self._open()
        nodes = [address.node_id(w.address, session.namespaces) for w in writes]
        codes = await self._asking(self._learn_kinds(session, writes, nodes))
        group: list[tuple[int, ua.NodeId, ua.Variant]] = []
        for i, (write, node) in enumerate(zip(writes, nodes, strict=True)):
            if node is None or write.address not in self._kinds:
                continue
            made = variant(write.value, self._kinds[write.address])
            if isinstance(made, int):
                codes[i] = made
                continue
            if any(node == n for _, n, _ in group):  # one request keeps no order for a node that is in it twice
                await self._send(session, group, codes, still)
            group.append((i, node, made))
        await self._send(session, group, codes, still)
        return codes

    async def _send(self, session: Session, group: list[tuple[int, ua.NodeId, ua.Variant]], codes: list[int], still: Still) -> None:
        """Writes a group, a request at a time, and empties it. From `still` to the socket it is a turn of the loop, no waiting."""
        for some in chunks(group, session.limits["write"]):
            results = await self._asking(session.write([(n, v) for _, n, v in some])) if still() else [q.BAD_NOT_SENT] * len(some)
            for (i, _, _), code in zip(some, results, strict=True):
                codes[i] = code
        group.clear()

    async def _learn_kinds(self, session: Session, writes: Sequence[Write], nodes: Sequence[ua.NodeId | None]) -> list[int]:
        """Learns the built-in types of the nodes; gives what each write's result is if its type stays unknown."""
        codes = [q.BAD_NODE_UNKNOWN] * len(writes)
        new = [(i, n) for i, (w, n) in enumerate(zip(writes, nodes, strict=True)) if n is not None and w.address not in self._kinds]
        found = await session.data_values([(n, ua.AttributeIds.DataType) for _, n in new])
        unclear = []
        for (i, node), value in zip(new, found, strict=True):
            kind = built_in(value.Value.Value) if value.Value is not None and is_good(value) else None
            if not is_good(value):
                codes[i] = int(value.StatusCode.value)
            elif kind is None:
                unclear.append((i, node))
            else:
                self._kinds[writes[i].address] = kind
        # A type of the server's own (an enumeration, say): its present value tells the built-in type.
        for (i, _), value in zip(unclear, await session.data_values([(n, ua.AttributeIds.Value) for _, n in unclear]), strict=True):
            if value.Value is not None and value.Value.VariantType is not ua.VariantType.Null:
                self._kinds[writes[i].address] = value.Value.VariantType
            else:
                codes[i] = q.BAD_TYPE_MISMATCH
        return codes

    async def browse(self, under: str = "") -> list[Found]:
        """See `Driver.browse`. `under` is an address, or a path of browse names below Objects."""
        session = await self._open()
        return await self._asking(walk.variables(session, under))

    async def close(self) -> None:
        """Closes the session of its own; those of `run` end with it."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def _open(self) -> Session:
        """A session for reads, writes and browsing: one of those that acquire, else one of its own, connected when first needed."""
        for session in self._live.values():
            if session.wire.alive:
                return session
        async with self._connecting:
            if self._session is not None and not self._session.wire.alive:
                await self.close()
            if self._session is None:
                self._session = await connect(self.options, self._clock())
            return self._session

    async def _asking(self, call: Awaitable[_T]) -> _T:
        """A call on a session; when the connection is gone, the next call makes another."""
        try:
            return await call
        except (Unreachable, BadFrame):
            await self.close()
            raise

    # What the shards tell.

    def up(self, shard: int, session: Session) -> None:
        """All items of a shard are set up."""
        self._shards[shard], self._live[shard] = None, session
        self.late(shard, 0.0)  # what was late before the loss says nothing of the connection now
        if any(self._shards.values()):
            return
        if self.health.state == "down" and self._was_up:
            self.health.reconnects += 1
        self._was_up = True
        self._state("up", None)

    def down(self, shard: int, error: ConnectError) -> None:
        """A shard lost its connection, or could not make it."""
        reason = Text(error.in_("en"), error.in_("zh"))
        self._shards[shard] = reason
        self._live.pop(shard, None)
        self._state("down", reason)

    def delivered(self, n: int) -> None:
        """Samples were handed over."""
        self.health.delivered += n

    def late(self, shard: int, lag: float) -> None:
        """How late (s) the newest of a shard's samples were that are fresh from the device; 0 when it has nothing more to send."""
        self._lag.seen(lag, self._clock(), shard)

    def backfilled(self, n: int) -> None:
        """Samples came from the server's history."""
        self.health.backfilled += n

    def lost(self, n: int) -> None:
        """Samples are known to be gone."""
        self.health.dropped += n

    def _state(self, state: Literal["connecting", "up", "down", "stopped"], reason: Text | None) -> None:
        if state != self.health.state:
            self.health.state, self.health.since = state, self._clock()
        self.health.reason = reason
