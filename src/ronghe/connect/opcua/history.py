"""Gaps, and filling them from the server's history (HistoryRead, raw; OPC 10000-11)."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from asyncua import ua
from numpy.typing import NDArray

from ronghe.connect.opcua import messages
from ronghe.connect.opcua.columns import Columns
from ronghe.connect.opcua.session import Session, chunks, complete
from ronghe.connect.opcua.values import rows

_HISTORY_READ: Final = 0x04  # bit of AccessLevel
_PAGE: Final = 5000  # values of one node in one answer
_NOTHING_THERE: Final = (ua.StatusCodes.BadNoData, ua.StatusCodes.BadHistoryOperationUnsupported)
OPEN: Final = 2**63 - 1
"""`Gap.until` of an item that was not heard again yet."""


@dataclass(slots=True, eq=False)
class Gap:
    """What one loss left out, per item: source times above `after`, up to and with `until` (ns; open until the item is heard again).
    `done` where it was filled, or never can be."""

    after: NDArray[np.int64]
    until: NDArray[np.int64]
    done: NDArray[np.bool_]

    @classmethod
    def opened(cls, last: NDArray[np.int64]) -> Gap:
        """A gap that begins after the last source time of each item; where there was none, there is nothing to fill."""
        return cls(last.copy(), np.full(len(last), OPEN, np.int64), last == 0)

    def heard(self, positions: NDArray[np.int64], until: NDArray[np.int64]) -> None:
        """Ends the gap of items."""
        mine = self.until[positions] == OPEN
        self.until[positions[mine]] = until[mine]

    def merged(self) -> None:
        """Another loss came before some items were heard: for those the next gap begins where this one did."""
        self.done |= self.until == OPEN

    def ready(self) -> NDArray[np.int64]:
        """Positions whose gap has ended and is still to be filled; those where it is empty are done."""
        self.done |= self.after >= self.until
        return np.flatnonzero(~self.done & (self.until != OPEN))


@dataclass(frozen=True, slots=True, eq=False)
class Filler:
    """Fills gaps over one session. `nodes` by position, None where the server has none; `earliest` ns, what is older is left out;
    `lost` counts nodes that have history but did not give it."""

    session: Session
    nodes: Sequence[ua.NodeId | None]
    earliest: int
    deliver: Callable[[NDArray[np.int64], Columns], None]
    lost: Callable[[int], None]

    async def fill(self, gap: Gap) -> None:
        """Fetches what lies in the gap of each item and delivers it. Raises ConnectError when the connection is lost; what was
        delivered by then is no longer part of the gap."""
        np.maximum(gap.after, self.earliest, out=gap.after)
        positions = [p for p in gap.ready().tolist() if self.nodes[p] is not None]
        levels = await self.session.attributes([(self.nodes[p], ua.AttributeIds.UserAccessLevel) for p in positions])
        kept = [p for p, level in zip(positions, levels, strict=True) if isinstance(level, int) and level & _HISTORY_READ]
        gap.done[list(set(positions) - set(kept))] = True
        while kept:
            # Items of like age together, since one request has one span of time.
            kept.sort(key=lambda p: int(gap.after[p]))
            for some in chunks(kept, self.session.limits["history"]):
                await self._fill(gap, some)
            left = set(gap.ready().tolist())
            kept = [p for p in kept if p in left]

    async def _fill(self, gap: Gap, positions: Sequence[int]) -> None:
        details = ua.ReadRawModifiedDetails(
            IsReadModified=False,
            StartTime=_utc(min(int(gap.after[p]) for p in positions)),
            EndTime=_utc(max(int(gap.until[p]) for p in positions)) + datetime.timedelta(milliseconds=1),  # the end itself is left out
            NumValuesPerNode=_PAGE,
            ReturnBounds=False,
        )
        pending: list[tuple[int, bytes | None]] = [(p, None) for p in positions]
        while pending:
            request = ua.HistoryReadRequest()
            request.Parameters.HistoryReadDetails = details
            request.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
            request.Parameters.NodesToRead = [ua.HistoryReadValueId(NodeId=self.nodes[p], ContinuationPoint=more) for p, more in pending]
            answers = complete(await self.session.raw(request, messages.history), len(pending))
            following: list[tuple[int, bytes | None]] = []
            for (position, _), answer in zip(pending, answers, strict=True):
                progress = self._page(gap, position, answer)
                if answer.more is not None:
                    following.append((position, answer.more))
                elif not (progress and answer.samples is not None and len(answer.samples) >= _PAGE):
                    gap.done[position] = True  # else: a full page without a way on is asked for again, from its end
            pending = following

    def _page(self, gap: Gap, position: int, answer: messages.History) -> bool:
        """Delivers one node's page; whether it brought anything."""
        if answer.status >= 0x80000000:
            self.lost(answer.status not in _NOTHING_THERE)
            return False
        if answer.samples is None or not len(answer.samples):
            return False
        time = answer.samples.time
        inside = np.flatnonzero((time > gap.after[position]) & (time <= gap.until[position]))
        if len(inside):
            self.deliver(np.full(len(inside), position, np.int64), rows(answer.samples, inside))
        before = int(gap.after[position])
        gap.after[position] = max(before, min(int(time.max()), int(gap.until[position])))
        return int(gap.after[position]) > before


def _utc(time: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(time // 1000 / 1e6, datetime.UTC)
