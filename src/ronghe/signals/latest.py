"""The latest value of every tag, with its age: what the guard, the console and the alarms look at."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from ronghe.signals import quality as q
from ronghe.signals.batch import Batch, TagIndex

_BACK: Final = 1_000_000_000
"""ns; readings of one clock that are taken a little out of turn lie closer together, and are no clock that was set back."""


class Latest:
    """The newest sample of each tag of an index, in columns; position is tag id.

    A tag that was not heard of for longer than `stale_after[id]` (ns; 0 = never stale) is shown as Uncertain, LastUsableValue: a dead
    source is never shown as Good, whatever its last sample said. Nor is it when our clock was set back, until it is heard again.
    """

    def __init__(self, index: TagIndex) -> None:
        self.index = index
        self.time: NDArray[np.int64] = np.zeros(0, np.int64)
        self.value: NDArray[np.float64] = np.zeros(0)
        self.code: NDArray[np.uint32] = np.zeros(0, np.uint32)
        self.seen: NDArray[np.int64] = np.zeros(0, np.int64)  # when it arrived here or was confirmed, ns
        self.known: NDArray[np.int64] = np.zeros(0, np.int64)  # when it was last known to be true: source time or confirmation, ns
        self.stale_after: NDArray[np.int64] = np.zeros(0, np.int64)
        self._order: NDArray[np.int64] = np.zeros(0, np.int64)  # what a newer sample is measured by: source time, arrival at the latest
        self._now = 0  # the latest reading of our clock, ns
        self.text: dict[int, str] = {}
        self._grow()

    def _grow(self) -> None:
        n, have = len(self.index), len(self.time)
        if n > have:
            more = n - have
            self.time = np.concatenate([self.time, np.zeros(more, np.int64)])
            self.value = np.concatenate([self.value, np.full(more, np.nan)])
            self.code = np.concatenate([self.code, np.full(more, q.BAD_WAITING, np.uint32)])
            self.seen = np.concatenate([self.seen, np.zeros(more, np.int64)])
            self.known = np.concatenate([self.known, np.zeros(more, np.int64)])
            self._order = np.concatenate([self._order, np.zeros(more, np.int64)])
            self.stale_after = np.concatenate([self.stale_after, np.zeros(more, np.int64)])

    def _tell(self, now: int) -> None:
        """Takes note of the time. When our clock was set back, the age of all that is held is unknown: left in the future, a dead tag would
        pass for a young one until the clock has caught up, and hide its new samples."""
        if now < self._now - _BACK:
            for column in (self.seen, self.known, self._order):
                column[:] = 0
            self._now = now
        self._now = max(self._now, now)

    def update(self, batch: Batch, now: int) -> None:
        """Takes a batch that arrived at `now` (ns). Older samples than the one held (a backfill) are passed over.

        A sample from a clock ahead of ours counts as of its arrival: else it would hide the news, by our clock, that its device is lost.
        """
        if len(self.index) > len(self.time):
            self._grow()
        self._tell(now)
        newer = batch.time >= self._order[batch.tag]
        if not newer.all():
            batch = batch.take(newer)
        # In time order NumPy's last assignment wins, so that duplicates of a tag within a batch resolve to its newest sample.
        if not (batch.time[1:] >= batch.time[:-1]).all():
            batch = batch.take(np.argsort(batch.time, kind="stable"))
        tag = batch.tag
        self.time[tag] = batch.time
        self.value[tag] = batch.value
        self.code[tag] = batch.quality
        self.seen[tag] = now
        self.known[tag] = self._order[tag] = np.minimum(batch.time, now)
        if batch.text is not None:
            for words, tag_id in zip(batch.text.to_pylist(), tag.tolist(), strict=True):
                if words is not None:
                    self.text[tag_id] = words

    def confirm(self, tags: NDArray[np.int32], now: int) -> None:
        """The device, which reports changes only, is there and has reported no change: the values held are true at `now` (ns)."""
        self._grow()
        self._tell(now)
        held = tags[self.time[tags] > 0]
        self.seen[held] = now
        self.known[held] = np.maximum(self.known[held], now)

    def quality(self, now: int, tags: NDArray[np.int32] | None = None) -> NDArray[np.uint32]:
        """Quality as it is at `now` (ns): good values that are too old become UncertainLastUsableValue."""
        self._grow()
        self._tell(now)
        rows: NDArray[np.int32] | slice = slice(None) if tags is None else tags
        code, seen, limit = self.code[rows], self.seen[rows], self.stale_after[rows]
        stale = (limit > 0) & (now - seen > limit) & q.is_good(code)
        return np.where(stale, np.uint32(q.UNCERTAIN_LAST_USABLE), code)

    def get(self, tag: str, now: int) -> tuple[float, int, float]:
        """(value, quality, age in s) of one tag; (NaN, BadWaitingForInitialData, inf) when nothing was received.

        Age is the time since the value was last known to be true: its source time, or a later confirmation; inf while it is unknown, since
        our clock was set back.
        """
        i = self.index.find(tag)
        if i is None or i >= len(self.time) or self.time[i] == 0:
            return float("nan"), q.BAD_WAITING, float("inf")
        code = int(self.quality(now, np.array([i], np.int32))[0])
        known = int(self.known[i])
        return float(self.value[i]), code, (now - known) / 1e9 if known else float("inf")
