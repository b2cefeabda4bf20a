"""Merging segments: fewer files, longer runs of each tag, samples written twice kept once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from ronghe.historian.block import merge
from ronghe.historian.segment import Segment, SegmentWriter

ROWS_MAX: Final = 64_000_000
"""Rows of the largest segment that merging makes."""
_TAG_ROWS_MAX: Final = 1_000_000  # rows of one tag in it, which bounds the memory that merging takes
_CHUNK: Final = 125_000  # rows merged at a time
_FAN: Final = 8  # segments of about one size that are merged into one of the next size
_TIERS: Final = (2_000_000, 16_000_000)  # rows at which the next tier of sizes begins


def plan(segments: Sequence[Segment], span: int, *, everything: bool) -> Sequence[Segment]:
    """Which neighbours to merge next; none when nothing is worth it. `span` is the longest time (ns) that one may cover, so that
    retention can let go of whole files. Neighbours only: the later written of two samples must stay the later."""
    if everything:
        for first in range(len(segments) - 1):
            group = _fitting(segments[first:], span)
            if len(group) > 1:
                return group
        return ()
    for tier in range(len(_TIERS)):
        run: list[Segment] = []
        for segment in segments:
            run = [*run, segment] if sum(segment.meta.rows >= t for t in _TIERS) == tier else []
            if len(run) >= _FAN:
                group = _fitting(run[-_FAN:], span)
                if len(group) == _FAN:
                    return group
    return ()


def _fitting(segments: Sequence[Segment], span: int) -> Sequence[Segment]:
    """The longest start of a list that may become one segment."""
    rows = 0
    first, last = segments[0].meta.first, segments[0].meta.last
    per_tag = np.zeros(0, np.int64)
    for n, segment in enumerate(segments):
        rows += segment.meta.rows
        first, last = min(first, segment.meta.first), max(last, segment.meta.last)
        if rows > ROWS_MAX or last - first > span:
            return segments[:n]
        index = segment.index()
        size = max(len(per_tag), int(index.tag[-1]) + 1)
        per_tag = np.concatenate([per_tag, np.zeros(size - len(per_tag), np.int64)])
        per_tag[index.tag] += index.end - index.start
        if int(per_tag.max()) > _TAG_ROWS_MAX:
            return segments[:n]
    return segments


def merge_into(writer: SegmentWriter, segments: Sequence[Segment], oldest: int, between: Callable[[], None]) -> None:
    """Writes the samples of several segments (in the order written) that are not older than `oldest` (ns) as one. `between` is called
    after each piece, for work that cannot wait. Raises OSError."""
    counts = np.zeros(1 + max(int(s.index().tag[-1]) for s in segments), np.int64)
    for segment in segments:
        index = segment.index()
        counts[index.tag] += index.end - index.start
    tags = np.flatnonzero(counts).astype(np.int32)
    piece = np.cumsum(counts[tags]) // _CHUNK
    for chunk in np.split(tags, np.flatnonzero(np.diff(piece)) + 1):
        writer.write(merge([s.read(chunk, oldest, 2**63 - 1) for s in segments]))
        between()
