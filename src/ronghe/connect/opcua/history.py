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
from ronghe.connect.opcua.session import Session, chunks
from ronghe.connect.opcua.values import rows

_HISTORY_READ: Final = 0x04  # bit of AccessLevel
_PAGE: Final = 5000  # values of one node in one answer
OPEN: Final = 2**63 - 1


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


async def fill(
    session: Session,
    nodes: Sequence[ua.NodeId | None],
    gap: Gap,
    earliest: int,
    deliver: Callable[[NDArray[np.int64], Columns], None],
    lost: Callable[[int], None],
) -> None:
    """Fetches what lies in the gap of each item, from `earliest` (ns) on, and delivers it. Raises ConnectError when the connection is
    lost; what was filled stays marked as done. `lost` counts nodes that have history but did not give it."""
    positions = gap.ready()
    positions = np.array([p for p in positions.tolist() if nodes[p] is not None], np.int64)
    levels = await session.attributes([(nodes[p], ua.AttributeIds.UserAccessLevel) for p in positions.tolist()])
    kept = np.array([isinstance(level, int) and bool(level & _HISTORY_READ) for level in levels], np.bool_)
    gap.done[positions[~kept]] = True
    positions = positions[kept]
    # Items of like age together: one request has one span of time.
    positions = positions[np.argsort(gap.after[positions], kind="stable")]
    for some in chunks(positions.tolist(), session.limits["history"]):
        await _fill(session, nodes, gap, some, earliest, deliver, lost)
        gap.done[list(some)] = True


async def _fill(
    session: Session,
    nodes: Sequence[ua.NodeId | None],
    gap: Gap,
    positions: Sequence[int],
    earliest: int,
    deliver: Callable[[NDArray[np.int64], Columns], None],
    lost: Callable[[int], None],
) -> None:
    start = max(min(int(gap.after[p]) for p in positions), earliest)
    end = max(int(gap.until[p]) for p in positions)
    details = ua.ReadRawModifiedDetails(
        IsReadModified=False,
        StartTime=_utc(start),
        EndTime=_utc(end) + datetime.timedelta(milliseconds=1),  # the end is not part of the span
        NumValuesPerNode=_PAGE,
        ReturnBounds=False,
    )
    pending: list[tuple[int, bytes | None]] = [(p, None) for p in positions]
    while pending:
        request = ua.HistoryReadRequest()
        request.Parameters.HistoryReadDetails = details
        request.Parameters.TimestampsToReturn = ua.TimestampsToReturn.Both
        request.Parameters.NodesToRead = [ua.HistoryReadValueId(NodeId=nodes[p], ContinuationPoint=more) for p, more in pending]
        answers = await session.raw(request, messages.history)
        following: list[tuple[int, bytes | None]] = []
        for (position, _), answer in zip(pending, answers, strict=False):
            if answer.status >= 0x80000000:
                lost(1)
                continue
            if answer.samples is not None:
                inside = (answer.samples.time > max(int(gap.after[position]), earliest)) & (answer.samples.time <= gap.until[position])
                found = rows(answer.samples, np.flatnonzero(inside))
                if len(found):
                    deliver(np.full(len(found), position, np.int64), found)
            if answer.more is not None:
                following.append((position, answer.more))
        pending = following


def _utc(time: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(time // 1000 / 1e6, datetime.UTC)
