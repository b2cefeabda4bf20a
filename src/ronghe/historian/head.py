"""The newest samples, in memory: as written, and sorted only when somebody asks."""

from __future__ import annotations

import threading
from typing import Final

import numpy as np
import pyarrow as pa

from ronghe.historian.block import Block, merge

_RUNS: Final = 8  # sorted runs held before they are joined into one


class Head:
    """A bounded buffer of rows. No row of the logs numbered up to `log` is in a later head, so that
    sealing this one is the end of them. One thread adds; any thread may read."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.log = 0
        self.rows = 0
        # Pages of an empty array cost no memory until they are written to.
        self._tag = np.empty(capacity, np.int32)
        self._time = np.empty(capacity, np.int64)
        self._value = np.empty(capacity, np.float64)
        self._quality = np.empty(capacity, np.uint32)
        self._texts: list[tuple[int, pa.StringArray]] = []  # first row, texts
        self._lock = threading.Lock()
        self._runs: list[Block] = []
        self._sorted = 0  # rows that are in the runs

    def room(self) -> int:
        """Rows that still fit."""
        return self.capacity - self.rows

    def add(self, block: Block) -> None:
        """Copies rows in, in the order written. They must fit."""
        first, end = self.rows, self.rows + len(block)
        self._tag[first:end] = block.tag
        self._time[first:end] = block.time
        self._value[first:end] = block.value
        self._quality[first:end] = block.quality
        if block.text is not None:
            self._texts.append((first, block.text))
        self.rows = end

    def runs(self) -> list[Block]:
        """Everything added so far, as sorted blocks in the order written."""
        with self._lock:
            rows = self.rows
            if rows > self._sorted:
                self._runs.append(merge([self._raw(self._sorted, rows)]))
                self._sorted = rows
                if len(self._runs) > _RUNS:
                    self._runs = [merge(self._runs)]
            return list(self._runs)

    def block(self) -> Block:
        """Everything added so far, as one sorted block."""
        runs = self.runs()
        if len(runs) == 1:
            return runs[0]
        with self._lock:
            self._runs = [merge(self._runs)]
            return self._runs[0]

    def _raw(self, first: int, end: int) -> Block:
        rows = slice(first, end)
        return Block(self._tag[rows], self._time[rows], self._value[rows], self._quality[rows], self._text(first, end))

    def _text(self, first: int, end: int) -> pa.StringArray | None:
        parts, at = [], first
        for start, texts in list(self._texts):
            if start < first or start >= end:
                continue
            if start > at:
                parts.append(pa.nulls(start - at, pa.utf8()))
            parts.append(texts)
            at = start + len(texts)
        if not parts:
            return None
        if at < end:
            parts.append(pa.nulls(end - at, pa.utf8()))
        return pa.concat_arrays(parts)
