"""A trace: the points of one tag's trend, and what is honest to draw between them. Arithmetic only; times in ns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Span = tuple[int, int]
VALUE, LOW, HIGH, LAST = range(4)


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """Points in order of time.

    time   int64[n]
    cells  float64[4, n]  value, least and greatest of the point's interval, and the last in it; NaN where nothing was Good
    """

    time: NDArray[np.int64]
    cells: NDArray[np.float64]

    @classmethod
    def of_samples(cls, time: NDArray[np.int64], value: NDArray[np.float64]) -> Trace:
        """From single samples."""
        return cls(time, np.tile(value, (4, 1)))

    def with_points(self, before: ArrayLike, time: ArrayLike, value: ArrayLike) -> Trace:
        """With further points, each put in before a row."""
        rows = np.asarray(before, np.int64)
        cells = np.insert(self.cells, rows, np.asarray(value, np.float64), axis=1)
        return Trace(np.insert(self.time, rows, np.asarray(time, np.int64)), cells)

    def rows(self, mask: NDArray[np.bool_]) -> Trace:
        """Some of the points."""
        return Trace(self.time[mask], self.cells[:, mask])

    def since(self, time: int) -> Trace:
        """Only the points from `time` on."""
        return self.rows(self.time >= time)

    def held(self, start: int, end: int, step: int, absent: Sequence[Span]) -> tuple[Trace, list[Span]]:
        """For a device that tells changes only: each value stands until the next, from `start` to `end`, except in the `absent` spans.

        Gives those of the spans too that concern the tag: before its first sample ever it is not missed.
        """
        if not len(self.time):
            return self, []
        missed = [(a, b) for a, b in absent if b > self.time[0]]
        trace = Trace(np.maximum(self.time, start), self.cells)
        trace = trace.with_points(len(trace.time), end, trace.cells[LAST, -1])
        gap = np.diff(trace.time)
        still = np.flatnonzero((gap > 1.5 * step) & ~np.isnan(trace.cells[LAST, :-1]))
        until = trace.time[still + 1] - np.minimum(step, gap[still] // 2)
        trace = trace.with_points(still + 1, until, trace.cells[LAST, still])
        for a, b in missed:
            trace = trace.rows((trace.time < a) | (trace.time >= b))
            trace = trace.with_points(np.searchsorted(trace.time, [a]), a, np.nan)
        return trace, missed

    def broken(self, every: int, longest: int) -> tuple[Trace, list[Span]]:
        """For a device that is polled: a value that was not renewed for `longest` was gone. Gives those spans as well."""
        good = ~np.isnan(self.cells[VALUE])
        holes = np.flatnonzero((np.diff(self.time) > longest) & good[:-1] & good[1:])
        begin = self.time[holes] + every
        return self.with_points(holes + 1, begin, np.nan), list(zip(begin.tolist(), self.time[holes + 1].tolist(), strict=True))

    def gone(self, end: int) -> list[Span]:
        """The spans from a point without a value to the next point."""
        ends = np.append(self.time[1:], end)
        return [(int(self.time[i]), int(ends[i])) for i in np.flatnonzero(np.isnan(self.cells[VALUE])).tolist()]


def merge(spans: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The same time covered by spans that neither overlap nor touch, in order."""
    merged: list[tuple[float, float]] = []
    for a, b in sorted(spans):
        if merged and a <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(b, merged[-1][1]))
        else:
            merged.append((a, b))
    return merged
