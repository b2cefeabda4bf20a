"""Windows: samples put on a common time grid, as an app wants them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ronghe.errors import RongheError
from ronghe.signals import quality as q
from ronghe.signals.batch import Batch, TagIndex
from ronghe.text import Text


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Rows of a grid. `time` int64[n] ns; `value` float64[n, k] (NaN where no good value is young enough); `quality` uint32[n, k];
    `age` float64[n, k] seconds between the row's time and the sample's; columns are `tags`."""

    tags: tuple[str, ...]
    time: NDArray[np.int64]
    value: NDArray[np.float64]
    quality: NDArray[np.uint32]
    age: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.time)


class Grid:
    """Puts arriving batches on a grid of `every` ns: each row holds, per tag, the last sample at or before the row's time (as-of).

    A row is given out as soon as every tag has a sample at or after its time, else when the newest sample, or the clock by `flush`,
    is `grace` ns past it: a silent tag delays the others by `grace` at most, and is then marked by its own quality and age.
    Samples at or before a row that was already given out are `late` and counted; rows given out do not change, but where nothing newer
    is held they are the value of the rows to come. How samples that arrive in time order are split into batches changes no row.
    A stretch of more than 3600 rows without any sample is passed over: the next row is that of the next sample. A clock further ahead
    of the last row than that is not the clock of these samples (a recording is played) and completes nothing.
    A value older than `max_age` ns, or not good, is NaN in `value`; its code and age stay visible. The tags in `held` are reported when
    they change only, and their source says so when it is lost: their values have no greatest age,
    and no row waits for them once any sample after it has come.
    """

    def __init__(
        self,
        index: TagIndex,
        tags: Sequence[str],
        every: int,
        *,
        max_age: int | None = None,
        grace: int | None = None,
        held: Collection[str] = (),
    ) -> None:
        self.index, self.tags, self.every = index, tuple(tags), int(every)
        if self.every <= 0 or len(set(self.tags)) < len(self.tags):
            raise RongheError(Text("a grid needs an interval above 0, and each tag once", "网格的间隔须大于 0，且测点不得重复"))
        self._ages = np.array([t not in held for t in self.tags], np.bool_)
        self.max_age = 3 * self.every if max_age is None else int(max_age)
        self.grace = 2 * self.every if grace is None else int(grace)
        self.late = 0
        k = len(self.tags)
        self._ids = index.ids(self.tags)
        self._column = np.full(len(index), -1, np.int32)
        self._column[self._ids] = np.arange(k, dtype=np.int32)
        self._time = np.zeros(k, np.int64)  # per column: the sample that is valid at the last row
        self._value = np.full(k, np.nan)
        self._quality = np.full(k, q.BAD_WAITING, np.uint32)
        self._newest = np.zeros(k, np.int64)  # per column: newest sample seen, pending ones included
        self._row = 0  # time of the last row given out; 0 = none yet
        self._pending: list[tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64], NDArray[np.uint32]]] = []

    def adopt(self, old: Grid) -> None:
        """Goes on where `old` ended, whose tags, interval or ages are others: with the values of the tags that both have, with the samples
        that no row of it had, and, at the same interval, with the row after its last. Before the first sample."""
        common = [(i, old.tags.index(t)) for i, t in enumerate(self.tags) if t in old.tags]
        if not common:
            return
        mine, theirs = (np.array(c, np.int32) for c in zip(*common, strict=True))
        self._row = old._row - old._row % self.every
        for name in ("_time", "_value", "_quality", "_newest"):
            getattr(self, name)[mine] = getattr(old, name)[theirs]
        column = np.full(len(old.tags), -1, np.int32)
        column[theirs] = mine
        for time, at, value, code in old._pending:
            keep = column[at] >= 0
            self._pending.append((time[keep], column[at[keep]], value[keep], code[keep]))

    def push(self, batch: Batch) -> Window | None:
        """Takes a batch, gives the rows that it completed, or None."""
        if len(self.index) > len(self._column):
            more = np.full(len(self.index) - len(self._column), -1, np.int32)
            self._column = np.concatenate([self._column, more])
        column = self._column[batch.tag]
        mine = column >= 0
        if not mine.any():
            return None
        if mine.all():
            time, value, code = batch.time, batch.value, batch.quality
        else:
            column, time, value, code = column[mine], batch.time[mine], batch.value[mine], batch.quality[mine]
        if self._row:
            late = time <= self._row
            if late.any():
                self.late += int(late.sum())
                use = ~late | (time >= self._time[column])
                column, time, value, code = column[use], time[use], value[use], code[use]
                if not len(time):
                    return None
        np.maximum.at(self._newest, column, time)
        self._pending.append((time, column, value, code))
        newest = int(self._newest.max())
        # A later sample shows that the source is past a row, and that what is reported on change only has not changed for it.
        awaited = min(int(self._newest[self._ages].min(initial=newest)), newest - 1) if not self._ages.all() else int(self._newest.min())
        return self._emit(max(int(self._newest.min()), awaited, newest - self.grace))

    def flush(self, now: int) -> Window | None:
        """Gives the rows that the clock completed: those at or before `now` − grace (ns). Of no tags there is the clock alone: a row for
        every interval in which it is asked, without columns."""
        if not self.tags:
            return self._by_clock(now)
        started = self._row or self._pending
        return self._emit(now - self.grace, clock=True) if started else None

    def _by_clock(self, now: int) -> Window | None:
        row = now - now % self.every
        if row <= self._row:
            return None
        self._row = row
        return Window((), np.array([row], np.int64), np.empty((1, 0)), np.empty((1, 0), np.uint32), np.empty((1, 0)))

    def _emit(self, until: int, *, clock: bool = False) -> Window | None:
        last = until - until % self.every
        if not self._row:
            first = min(int(p[0].min()) for p in self._pending)
            self._row = first - 1 - (first - 1) % self.every  # the grid line before the first sample
        n = (last - self._row) // self.every
        if n <= 0 or (clock and n > _LONGEST):
            return None
        if len(self._pending) == 1:
            time, column, value, code = self._pending[0]
        else:
            time, column, value, code = (np.concatenate(c) for c in zip(*self._pending, strict=True)) if self._pending else _NOTHING
        if not (time[1:] >= time[:-1]).all():
            order = np.argsort(time, kind="stable")
            time, column, value, code = time[order], column[order], value[order], code[order]
        if max(until, int(self._newest.max())) - self._row < _LONGEST * self.every:
            steps = np.arange(1, n + 1, dtype=np.int64)
        else:
            steps = _without_silence(-((self._row - time) // self.every), n)
            if not len(steps):
                return None
        rows = self._row + self.every * steps
        ends = np.searchsorted(time, rows, side="right")
        n, k = len(rows), len(self.tags)
        times, values = np.empty((n, k), np.int64), np.empty((n, k))
        codes = np.empty((n, k), np.uint32)
        start = 0
        for i, end in enumerate(ends.tolist()):
            if end > start:  # in time order the last assignment wins: the newest sample at or before the row
                at = column[start:end]
                self._time[at], self._value[at], self._quality[at] = time[start:end], value[start:end], code[start:end]
                start = end
            times[i], values[i], codes[i] = self._time, self._value, self._quality
        self._row = int(rows[-1])
        self._pending = [(time[start:], column[start:], value[start:], code[start:])] if start < len(time) else []
        age = rows[:, None] - times
        never = times == 0
        stale = (age > self.max_age) & self._ages & ~never & q.is_good(codes)
        if stale.any():
            codes[stale] = q.UNCERTAIN_LAST_USABLE
        values[~q.is_good(codes)] = np.nan
        seconds = age / 1e9
        seconds[never] = np.inf
        return Window(self.tags, rows, values, codes, seconds)


def _without_silence(at: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Which of the rows 1..n to give out, when samples stand at the rows `at` (ascending): all but those in long silences."""
    ends = np.unique(np.concatenate([at[at > 0], [max(n, int(at[-1]) if len(at) else 0)]]))
    before = np.concatenate([[0], ends[:-1]])
    starts = np.where(ends - before > _LONGEST, ends, before + 1)
    lengths = ends - starts + 1
    within = np.arange(int(lengths.sum()), dtype=np.int64) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    steps: NDArray[np.int64] = np.repeat(starts, lengths) + within
    return steps[steps <= n]


_LONGEST = 3600  # rows without a sample
_NOTHING = (np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0), np.empty(0, np.uint32))
