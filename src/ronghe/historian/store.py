"""The historian: an embedded time-series store in a folder (contract: see `Historian`)."""

from __future__ import annotations

import threading
import time as system_time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ronghe.errors import HistorianError
from ronghe.historian import disk, manifest, query, wal
from ronghe.historian.aggregate import aggregate, check_functions, table
from ronghe.historian.block import Block
from ronghe.historian.cache import BlockCache
from ronghe.historian.head import Head
from ronghe.historian.names import Names
from ronghe.historian.newest import Newest
from ronghe.historian.query import Sources
from ronghe.historian.segment import Segment
from ronghe.historian.upkeep import Upkeep
from ronghe.signals import Batch, TagIndex, Window
from ronghe.text import Text

HEAD_ROWS: Final = 500_000
"""Rows held in memory before they are sealed into a segment."""
_RECORD_ROWS: Final = 250_000  # rows of one record of the log; a larger batch becomes several
_AHEAD: Final = 86_400_000_000_000  # ns; a source time further in the future than this is a clock gone wrong
_FOREVER: Final = 2**63 - 2
T = TypeVar("T")


class Stats(msgspec.Struct, frozen=True, kw_only=True):
    """How a store is."""

    tags: int
    segments: int
    sealed_rows: int
    head_rows: int
    bytes: int
    first: int  # ns, time of the oldest sealed sample; 0 when nothing is sealed
    refused: int  # rows not stored for their impossible time
    damage: tuple[Text, ...]  # what is lost, and where
    trouble: Text | None  # why sealing or merging does not go on, if it does not


class Historian:
    """An embedded time-series store.

    A sample is (tag, time, value, quality, text), identified by (tag, time): the later written of two wins, so that a backfill may
    overlap what is there. Samples may come in any order. A row whose time is not after 1970, or more than a day ahead of `clock`, is
    refused: not stored, and counted in `stats().refused`; the other rows of its batch are stored.

    `append` returns when the batch would survive a power cut. One process writes (StoreLocked for a second), any number open the folder
    with `readonly=True` and see it as it was at that moment. Safe between threads.
    """

    def __init__(
        self,
        folder: Path,
        index: TagIndex,
        *,
        clock: Callable[[], int] = system_time.time_ns,
        keep: float | None = None,
        readonly: bool = False,
        head_rows: int = HEAD_ROWS,
    ) -> None:
        """Opens or makes a store. `keep` is how long raw samples are kept, in s (None: for ever). Results speak of tags through `index`.

        Raises StoreLocked when another process writes to it, HistorianError when it is damaged or (readonly) not there.
        """
        self.folder, self.index, self.readonly = Path(folder), index, readonly
        self.clock, self.keep, self._head_rows = clock, keep, head_rows
        self._write = threading.RLock()  # held by the thread that appends
        self._closed = False
        self._refused = 0
        self._damage: list[Text] = []
        self.damaged_logs: set[int] = set()
        if readonly:
            if not (self.folder / "tags").exists():
                raise HistorianError(
                    Text("there is no store here", "此处没有历史数据库"),
                    where=str(self.folder),
                    todo=Text("check the path; `ronghe up` makes the store of a plant", "请检查路径；`ronghe up` 会建立工厂的数据库"),
                )
            self._lock: disk.WriterLock | disk.ReaderLock = disk.ReaderLock(self.folder)
        else:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = disk.WriterLock(self.folder)
        try:
            self._open()
        except BaseException:
            self._lock.release()
            raise

    def _open(self) -> None:
        self._manifest = manifest.load(self.folder)
        self.newest = Newest()
        self.cache = BlockCache()
        segments = tuple(Segment(self.folder, meta, self.cache) for meta in self._manifest.segments)
        if not self.newest.load(self.folder / "newest") and segments:
            tags = np.unique(np.concatenate([s.index().tag for s in segments]))
            self.newest.update(Sources(segments).last(tags, _FOREVER))
        self.sources = Sources(segments, tuple(self._replay()))
        # After the logs: a writer makes a name durable before the first sample that uses it, so that none is unknown here.
        self._names = Names(self.folder, self.index, readonly=self.readonly)
        if not self.readonly:
            self._log: wal.LogWriter | None = None
            self._next_log = max([self._manifest.log, *(n + 1 for n in wal.numbers(self.folder))])
            self._upkeep = Upkeep(self)

    def _replay(self) -> list[Head]:
        """What the logs hold that no segment does: full heads and, last, one with room."""
        heads = [Head(self._head_rows)]
        for number in wal.numbers(self.folder):
            if number < self._manifest.log:
                continue
            found = wal.Recovered(wal.path_of(self.folder, number), number)
            if found.damage:
                self.damaged_logs.add(number)
                self._damage += found.damage
            for block in found.blocks:
                if heads[-1].room() < len(block):
                    heads.append(Head(max(self._head_rows, len(block))))
                heads[-1].add(block)
                self.newest.update(block)
            heads[-1].log = number
        return heads

    # ── writing ──

    def append(self, batch: Batch) -> None:
        """Stores a batch; durable when it returns. Safe between threads.

        Raises StoreFull when the disk is full: nothing of the batch is acknowledged, what was acknowledged stays, and the same batch can
        be appended again once there is room. Raises HistorianError for a store that is read-only, closed, or on a failing disk.
        """
        with self._write:
            if self.readonly or self._closed:
                raise HistorianError(Text("this store is open for reading only", "该数据库以只读方式打开"), where=str(self.folder))
            batch = self._possible(batch)
            if not len(batch):
                return
            with disk.full_is_reported(self.folder):
                tag = self._names.to_store(batch.tag)
                block = Block(tag, batch.time, batch.value, batch.quality, _no_empty(batch.text))
                step = min(_RECORD_ROWS, self._head_rows)
                for start in range(0, len(block), step):
                    self._append(block if len(block) <= step else block.slice(start, min(start + step, len(block))))

    def _append(self, block: Block) -> None:
        head = self.sources.heads[-1]
        if head.room() < len(block):
            self._roll()
            head = self.sources.heads[-1]
        if self._log is None:
            self._log = wal.LogWriter(self.folder, self._next_log)
            head.log = self._next_log
            self._next_log += 1
        self._upkeep.pace(len(block))
        self._log.append(block)
        head.add(block)
        self.newest.update(block)

    def _possible(self, batch: Batch) -> Batch:
        """Without the rows whose time cannot be."""
        if not len(batch):
            return batch
        limit = self.clock() + _AHEAD
        if int(batch.time.min()) > 0 and int(batch.time.max()) <= limit:
            return batch
        keep = (batch.time > 0) & (batch.time <= limit)
        self._refused += int((~keep).sum())
        return batch.take(keep)

    def _roll(self) -> None:
        """The head is full: hands it over to be sealed and starts a new one. Waits while too many are waiting."""
        if not self.sources.heads[-1].rows:
            return
        self._upkeep.wait_for_backlog()
        if self._log is not None:
            self._log.close()
            self._log = None
        self._upkeep.hand_over(Head(self._head_rows))

    def flush(self) -> None:
        """Seals everything appended so far into segments. Raises StoreFull when there is no room for them."""
        with self._write:
            if self.readonly or self._closed:
                return
            with disk.full_is_reported(self.folder):
                self._roll()
        self._upkeep.seal_all()

    def compact(self) -> None:
        """Seals, merges segments as far as the limits go, and retires what is older than `keep`; returns when done."""
        self.flush()
        self._upkeep.compact_all()

    def retire(self) -> int:
        """Removes the segments whose every sample is older than `keep`; gives how many. Also done by itself in the background."""
        return self._upkeep.retire()

    # ── reading ──

    def last(self, tags: Sequence[str] | None = None, at: int | None = None) -> Batch:
        """The newest sample of each tag (all tags for None), one row a tag that has one; at or before `at` (ns) if given."""
        ids = self._ids(tags)
        if at is None:
            return self._batch(self.newest.get(ids))
        return self._batch(self._read(lambda s: s.last(self._known(tags), min(at, _FOREVER))))

    def raw(self, tags: Sequence[str] | None, start: int, end: int, limit: int | None = None) -> Batch:
        """The samples of some tags (None: all) with start <= time < end (ns), sorted by (tag, time), tags in the order of `index`;
        at most the first `limit`. Names that the store does not know have none. Raises BadQuery when end < start."""
        query.check_span(start, end)
        start, end = max(start, 0), min(max(end, 0), _FOREVER)
        batch = self._batch(self._read(lambda s: s.raw(self._ids(tags), start, end)))
        return batch if limit is None or len(batch) <= limit else batch.take(np.arange(limit))

    def aggregate(self, tags: Sequence[str] | None, start: int, end: int, every: int, functions: Sequence[str] = ("mean",)) -> pa.Table:
        """One row per tag and bucket of `every` ns (from multiples of `every` since 1970) that has samples in [start, end).

        Columns: tag (dictionary), time (bucket start), one per function of mean, min, max, sum, count, first, last, std (of the
        population), all over the samples that are Good and have a value, null where there are none; and good, the share of samples that
        are Good. Sorted by (tag, time). Raises BadQuery for an unknown function, every <= 0 or end < start.
        """
        query.check_step(start, end, every)
        check_functions(functions)
        start, end = max(start, 0), min(max(end, 0), _FOREVER)
        ids = self._known(tags)
        columns = self._read(lambda s: aggregate(s, ids, start, end, every, functions))
        tag, order = self._order(columns["tag"].astype(np.int32))
        if order is not None:
            columns = {n: c[order] for n, c in columns.items()}
        return table(columns, pa.DictionaryArray.from_arrays(pa.array(tag), self.index.arrow()))

    def asof(self, tags: Sequence[str], start: int, end: int, every: int, max_age: int | None = None) -> Window:
        """The tags side by side on the grid start, start + every, … < end (ns), as an app is given them live (`signals.Grid`): each cell
        holds the last sample at or before the row's time; NaN when it is not Good or older than `max_age` ns (3 steps by default), its
        quality and age are given all the same. Raises BadQuery for every <= 0 or end < start."""
        grid = query.grid_of(start, end, every, len(tags))
        ids = np.array([-1 if (i := self._names.find(t)) is None else i for t in tags], np.int32)
        oldest = 3 * every if max_age is None else max_age
        return self._read(lambda s: query.asof(s, tags, ids, grid, every, oldest))

    def sql(self, text: str) -> pa.Table:
        """The answer to one SELECT of DuckDB's SQL over `samples(tag, time, value, quality, text)`; it can reach nothing else, and change
        nothing. Raises BadQuery when DuckDB cannot answer it."""
        from ronghe.historian import sql

        return self._read(lambda s: sql.run(text, s, self._names.names))

    def stats(self) -> Stats:
        """How the store is, now."""
        s = self.sources
        metas = [x.meta for x in s.segments]
        return Stats(
            tags=len(self._names),
            segments=len(metas),
            sealed_rows=sum(m.rows for m in metas),
            head_rows=sum(h.rows for h in s.heads),
            bytes=disk.size(self.folder),
            first=min((m.first for m in metas), default=0),
            refused=self._refused,
            damage=tuple(self._damage),
            trouble=None if self.readonly else self._upkeep.trouble,
        )

    def tags(self) -> list[str]:
        """Every tag that was ever stored here."""
        return list(self._names.names)

    def _ids(self, tags: Sequence[str] | None) -> NDArray[np.int32] | None:
        if tags is None:
            return None
        return np.unique(np.array([i for t in tags if (i := self._names.find(t)) is not None], np.int32))

    def _known(self, tags: Sequence[str] | None) -> NDArray[np.int32]:
        """As `_ids`, with all of them for None."""
        ids = self._ids(tags)
        return np.arange(len(self._names), dtype=np.int32) if ids is None else ids

    def _read(self, answer: Callable[[Sources], T]) -> T:
        """Answers from a consistent view; again from a newer one when a segment was merged away meanwhile."""
        while True:
            view = self.sources
            try:
                found = answer(view)
                view.let_go()
                return found
            except FileNotFoundError as e:
                if view is self.sources:
                    raise HistorianError(
                        Text("a segment is missing", "缺少数据段文件"),
                        where=str(e.filename or self.folder),
                        todo=Text("open the store again; if it stays, restore the file", "请重新打开数据库；若仍缺失，请恢复该文件"),
                    ) from e

    def _order(self, ids: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int64] | None]:
        """TagIndex ids of store ids, and the order that sorts them (None: they are)."""
        tag = self._names.to_index(ids)
        if not len(tag) or (tag[1:] >= tag[:-1]).all():
            return tag, None
        order = np.argsort(tag, kind="stable")
        return tag[order], order

    def _batch(self, block: Block) -> Batch:
        tag, order = self._order(block.tag)
        if order is not None:
            block = block.take(order)
        return Batch(self.index, tag, block.time, block.value, block.quality, block.text)

    # ── life ──

    def close(self) -> None:
        """Lets go of the folder. What was not sealed stays in the log. Safe to call twice."""
        with self._write:
            if self._closed:
                return
            self._closed = True
        if not self.readonly:
            self._upkeep.stop()
            if self._log is not None:
                self._log.close()
        self._names.close()
        for segment in self.sources.segments:
            segment.close()
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _no_empty(text: pa.StringArray | None) -> pa.StringArray | None:
    """None for a column that says nothing."""
    return None if text is None or text.null_count == len(text) else text
