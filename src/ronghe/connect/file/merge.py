"""Several recordings as one: in time order, opened only when their time comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from ronghe.errors import ConnectError
from ronghe.signals import Batch

Opener = Callable[[], Iterator[Batch]]
Failed = Callable[[ConnectError], None]


@dataclass(slots=True)
class _Stream:
    chunks: Iterator[Batch]
    batch: Batch | None = None
    at: int = 0

    @property
    def head(self) -> int:
        assert self.batch is not None
        return int(self.batch.time[self.at])


@dataclass(slots=True)
class Merged:
    """Iterates batches of all streams by time. A stream that fails is ended and told; the others go on. `starts[i]` is the time of the
    first sample behind `openers[i]`."""

    openers: Sequence[Opener]
    starts: Sequence[int]
    failed: Failed
    _active: list[_Stream] = field(default_factory=list)

    def __iter__(self) -> Iterator[Batch]:
        waiting = sorted(zip(self.starts, range(len(self.openers)), strict=True), reverse=True)
        while waiting or self._active:
            self._active.sort(key=lambda s: s.head)
            if waiting and (not self._active or waiting[-1][0] <= self._active[0].head):
                stream = _Stream(self.openers[waiting.pop()[1]]())
                if self._advance(stream):
                    self._active.append(stream)
                continue
            first = self._active[0]
            assert first.batch is not None
            limits = [s.head for s in self._active[1:2]] + [w[0] for w in waiting[-1:]]
            end = len(first.batch)
            if limits:
                end = first.at + max(1, int(np.searchsorted(first.batch.time[first.at :], min(limits), "right")))
            yield part(first.batch, first.at, end)
            first.at = end
            if end == len(first.batch) and not self._advance(first):
                self._active.pop(0)

    def _advance(self, stream: _Stream) -> bool:
        """Goes to the next chunk of a stream; False at its end."""
        try:
            stream.batch, stream.at = next(stream.chunks, None), 0
        except ConnectError as e:
            self.failed(e)
            return False
        return stream.batch is not None


def part(batch: Batch, start: int, end: int) -> Batch:
    """Rows start … end-1, without copying."""
    cut = slice(start, end)
    text: pa.StringArray | None = None if batch.text is None else batch.text.slice(start, end - start)
    return Batch(batch.index, batch.tag[cut], batch.time[cut], batch.value[cut], batch.quality[cut], text)
