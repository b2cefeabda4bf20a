"""What goes on behind a store: sealing full heads, merging segments, retiring old ones, removing files. One thread, started when needed."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ronghe.errors import HistorianError
from ronghe.historian import compaction, disk, manifest, wal
from ronghe.historian.block import Block
from ronghe.historian.head import Head
from ronghe.historian.query import Sources
from ronghe.historian.segment import Meta, Segment, SegmentWriter
from ronghe.text import Text

if TYPE_CHECKING:
    from ronghe.historian.store import Historian

BACKLOG: Final = 8
"""Heads that may wait to be sealed before an append has to wait for one."""
_PACED: Final = 2  # heads that may wait before appends are slowed down
_PACE: Final = 0.2e-6  # s that an append waits for each of its rows and each head beyond these
_PAUSE_MAX: Final = 0.02  # s
_EVERY: Final = 30.0  # s between looks at retention and at files that wait for their readers
_AGAIN: Final = 2.0  # s until work that failed is tried again
_READER_GRACE: Final = 3600.0  # s for which files are kept for readers; a forgotten one must not fill the disk
_PIECE: Final = 60_000  # rows encoded at a time
_DAY: Final = 86_400_000_000_000


class Upkeep:
    """The only one that changes segments and manifest. Its thread does the long work.

    `_editing` is held while files are changed, `_change` while the view is: an append takes the latter only, and so never waits for a disk.
    """

    def __init__(self, store: Historian) -> None:
        self._store = store
        self._folder = store.folder
        self._editing = threading.RLock()
        self._change = threading.Condition()
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._compact = False  # somebody waits for everything to be merged
        self._attempts = 0  # pieces of work begun
        self._failed = 0  # the last of them that failed
        self._failure: HistorianError | None = None
        self._manifest = manifest.load(self._folder)
        self._next = self._manifest.next
        self._doomed: list[tuple[Path, float]] = []  # files that nothing refers to, and since when
        self._adopt_orphans()

    def _adopt_orphans(self) -> None:
        """Files that a crash left behind: half written, merged or sealed already."""
        known = {f.path.name for s in self._store.sources.segments for f in s.files}
        for path in self._folder.iterdir():
            if path.suffix == ".tmp" or (path.name.startswith("seg-") and path.name not in known):
                self._doomed.append((path, time.monotonic()))
        done = (n for n in wal.numbers(self._folder) if n < self._manifest.log)
        self._doomed += [(wal.path_of(self._folder, n), time.monotonic()) for n in done]
        self._remove_doomed()

    # ── asked for by the store ──

    @property
    def trouble(self) -> Text | None:
        """Why the work does not go on; None when it does."""
        return self._failure.what if self._failure else None

    def hand_over(self, head: Head) -> None:
        """Puts an empty head in place; the one before is now to be sealed."""
        with self._change:
            self._store.sources = Sources(self._store.sources.segments, (*self._store.sources.heads, head))
            self._wake()

    def _wake(self) -> None:
        if self._thread is None and not self._stopping:
            self._thread = threading.Thread(target=self._run, name=f"historian {self._folder.name}", daemon=True)
            self._thread.start()
        self._change.notify_all()

    def wait_for_backlog(self) -> None:
        """Returns when not too many heads wait to be sealed. Raises what keeps them from it."""
        with self._change:
            self._wait_while(lambda: len(self._store.sources.heads) > BACKLOG)

    def pace(self, rows: int) -> None:
        """Slows appends down that come faster than they can be sealed: many short waits instead of a long one at the backlog's end."""
        late = len(self._store.sources.heads) - 1 - _PACED
        if late > 0:
            with self._change:
                self._change.wait(min(late * rows * _PACE, _PAUSE_MAX))

    def seal_all(self) -> None:
        """Returns when every head but the last is sealed. Raises what keeps them from it."""
        with self._change:
            waiting = set(self._store.sources.heads[:-1])
            self._wait_while(lambda: bool(waiting & set(self._store.sources.heads)))

    def compact_all(self) -> None:
        """Returns when nothing is left to merge. Raises what keeps it from it."""
        with self._change:
            self._compact = True
            self._wait_while(lambda: self._compact)

    def _wait_while(self, unfinished: Callable[[], bool]) -> None:
        """Waits for the thread. Raises when an attempt begun after the call fails: a disk that was full may have room by now."""
        begun = self._attempts
        while unfinished():
            self._wake()
            if self._stopping:
                raise HistorianError(Text("the store was closed meanwhile", "数据库已在此期间关闭"), where=str(self._folder))
            self._change.wait()
            if self._failed > begun and self._failure:
                raise self._failure

    def stop(self) -> None:
        """Ends the thread after the piece of work it is at."""
        with self._change:
            self._stopping = True
            self._change.notify_all()
        if self._thread:
            self._thread.join()
        self._remove_doomed()

    # ── the thread ──

    def _run(self) -> None:
        while not self._stopping:
            with self._change:
                self._attempts += 1
            try:
                with disk.full_is_reported(self._folder):
                    busy = self._step()
                    if busy:
                        disk.give_back_memory()
                pause = 0.0 if busy else _EVERY
                self._failure = None
            except _Stopped:
                return
            except Exception as e:  # whatever it is, those who wait must hear of it, and it is tried again
                pause = _AGAIN
                with self._change:
                    self._failure, self._failed = _as_error(e, self._folder), self._attempts
                    self._change.notify_all()
            with self._change:
                idle = len(self._store.sources.heads) == 1 and not self._compact
                if pause and not self._stopping and (idle or self._failure):
                    self._change.wait(pause)

    def _step(self) -> bool:
        """One piece of work; whether there was any."""
        self._remove_doomed()
        if self._seal_next():
            return True
        self.retire()
        everything = self._compact  # it may be asked for while this goes on
        group = compaction.plan(self._store.sources.segments, self._span(), everything=everything)
        if group:
            self._merge(group)
            return True
        if everything:
            with self._change:
                self._compact, self._failure = False, None  # whoever waits finds no trouble of an earlier attempt
                self._change.notify_all()
        return False

    def _seal_next(self) -> bool:
        head = self._store.sources.heads[0]
        if head is self._store.sources.heads[-1]:
            return False
        block = head.block()
        writer = self._new_segment(len(block), with_minutes=False)
        try:
            for piece in _pieces(block):
                writer.write(piece)
            self._store.newest.save(self._folder / "newest")
            meta = writer.finish()
        except BaseException:
            writer.abandon()
            raise
        with self._editing:
            more = self._segments_of(meta)
            segments = (*self._store.sources.segments, *more)
            self._commit(segments, max(head.log + 1, self._manifest.log), more)
            self._show(segments, head)
            for number in wal.numbers(self._folder):
                if number < self._manifest.log:
                    self._doom(wal.path_of(self._folder, number))
            self._remove_doomed()
        with self._change:
            self._change.notify_all()
        return True

    def _segments_of(self, meta: Meta | None) -> tuple[Segment, ...]:
        return () if meta is None else (Segment(self._folder, meta, self._store.cache),)

    def _show(self, segments: tuple[Segment, ...], sealed: Head | None = None) -> None:
        """Makes other segments the ones that are read, in place of a head that is in them now."""
        with self._change:
            self._failure = None
            self._store.sources = Sources(segments, tuple(h for h in self._store.sources.heads if h is not sealed))

    def _merge(self, group: Sequence[Segment]) -> None:
        writer = self._new_segment(sum(s.meta.rows for s in group), with_minutes=True)
        try:
            compaction.merge_into(writer, group, self._oldest(), self._urgent)
            meta = writer.finish()
        except BaseException:
            writer.abandon()
            raise
        merged = self._segments_of(meta)
        with self._editing:
            now = self._store.sources.segments
            at = now.index(group[0]) if group[0] in now else -1
            if at >= 0 and now[at : at + len(group)] == tuple(group):
                self._replace((*now[:at], *merged, *now[at + len(group) :]), merged)
            else:  # some of them were retired meanwhile
                self._doom_all(merged)

    def _urgent(self) -> None:
        """Between two pieces of a long merge: what must not wait for its end."""
        if self._stopping:
            raise _Stopped
        while self._seal_next():
            pass

    def retire(self) -> int:
        """Removes the segments that are wholly older than what is kept; gives how many. Raises OSError."""
        with self._editing:
            now, oldest = self._store.sources.segments, self._oldest()
            kept = tuple(s for s in now if s.meta.last >= oldest)
            if len(kept) < len(now):
                self._replace(kept, ())
            return len(now) - len(kept)

    def _oldest(self) -> int:
        """The time (ns) before which samples are no longer kept; 0: all are.

        Age is counted from the newest sample where the clock is ahead of it: a clock gone wrong must not remove a store.
        """
        if self._store.keep is None:
            return 0
        return max(0, min(self._store.clock(), self._store.newest.time()) - int(self._store.keep * 1e9))

    def _span(self) -> int:
        """The longest time (ns) that a merged segment may cover: retention removes whole segments."""
        return 2**62 if self._store.keep is None else max(_DAY, int(self._store.keep * 1e9) // 10)

    # ── files ──

    def _new_segment(self, rows: int, *, with_minutes: bool) -> SegmentWriter:
        # A number is used once, even when the attempt fails: a file may be known to a manifest whose saving seemed to fail.
        number, self._next = self._next, self._next + 1
        return SegmentWriter(self._folder / f"seg-{number:010d}.parquet", rows, with_minutes=with_minutes)

    def _commit(self, segments: tuple[Segment, ...], log: int, new: tuple[Segment, ...]) -> None:
        """Makes some segments those of the store; `new` are removed again when that fails, or a full disk would only become fuller."""
        wanted = manifest.Manifest(next=self._next, log=log, segments=tuple(s.meta for s in segments))
        try:
            manifest.save(self._folder, wanted)
        except OSError:
            if manifest.load(self._folder) != wanted:  # else it is there, and only not known to be durable
                self._doom_all(new)
            raise
        self._manifest = wanted

    def _replace(self, segments: tuple[Segment, ...], new: tuple[Segment, ...]) -> None:
        gone = set(self._store.sources.segments) - set(segments)
        self._commit(segments, self._manifest.log, new)
        self._show(segments)
        self._doom_all(tuple(gone))

    def _doom_all(self, segments: tuple[Segment, ...]) -> None:
        for segment in segments:
            for file in segment.files:
                self._doom(file.path)
            segment.close()
        self._remove_doomed()

    def _doom(self, path: Path) -> None:
        if path not in (p for p, _ in self._doomed):
            self._doomed.append((path, time.monotonic()))

    def _remove_doomed(self) -> None:
        """Removes what nothing refers to, now or, while somebody reads the folder, later."""
        if not self._doomed:
            return
        with self._editing, disk.ReaderLock.none(self._folder) as alone:
            left = []
            for path, since in self._doomed:
                if not alone and time.monotonic() - since < _READER_GRACE:
                    left.append((path, since))
                elif path.name.startswith("wal-") and int(path.name[4:]) in self._store.damaged_logs:
                    path.rename(path.with_name(f"damaged-{path.name}"))  # for whoever wants to save what it still holds
                else:
                    path.unlink(missing_ok=True)
            self._doomed = left


class _Stopped(Exception):
    """The store is being closed in the middle of a merge."""


def _as_error(e: Exception, folder: Path) -> HistorianError:
    if isinstance(e, HistorianError):
        return e
    return HistorianError(
        Text(f"sealing or merging failed: {e!r}", f"封存或合并失败：{e!r}"),
        where=str(folder),
        todo=Text("nothing acknowledged is lost; please report this", "已确认的数据未丢失；请报告此问题"),
    )


def _pieces(block: Block) -> list[Block]:
    """A sorted block in pieces of about `_PIECE` rows that do not part the rows of a tag."""
    cuts = [0]
    for row in range(_PIECE, len(block), _PIECE):
        cut = int(block.tag.searchsorted(block.tag[row], "left"))
        if cut > cuts[-1]:
            cuts.append(cut)
    cuts.append(len(block))
    return [block.slice(a, b) for a, b in itertools.pairwise(cuts)]
