"""A plant folder from a notebook: what its node keeps, as Arrow tables. Nothing here writes."""

from __future__ import annotations

import time
from collections.abc import Callable
from fnmatch import fnmatchcase
from pathlib import Path

import pyarrow as pa

from ronghe.errors import BadQuery
from ronghe.historian import Historian
from ronghe.historian.place import store_of
from ronghe.plant import Plant, load
from ronghe.signals import Batch, TagIndex
from ronghe.signals.when import parse_duration, parse_time
from ronghe.text import Text


class OpenPlant:
    """A plant folder opened for reading. `plant` is the folder as read; every call sees the store as it is at that moment."""

    def __init__(self, folder: Path | str, *, clock: Callable[[], int] = time.time_ns) -> None:
        """Raises PlantError when the folder cannot be used."""
        self.plant: Plant = load(folder, secrets=False)
        self._folder, self._clock = Path(folder), clock

    def read(self, pattern: str, start: str = "-1h", end: str = "now", *, every: str = "", function: str = "mean") -> pa.Table:
        """Samples of the tags that match `pattern` (with `*`), times as people write them ("-7d", "2026-03-01").

        Without `every` the samples as they came (columns of `ronghe.signals.SCHEMA`); with it one row per tag and interval, and a column
        `function` (mean, min, max, first, last or count). Raises BadQuery when nothing matches, HistorianError when there is no store yet.
        """
        now = self._clock()
        begin, until = parse_time(start, now), parse_time(end, now)
        with self._store() as store:
            tags = [t for t in store.tags() if fnmatchcase(t, pattern)]
            if not tags:
                raise BadQuery(Text(f"no tag matches {pattern!r}", f"没有测点匹配 {pattern!r}"), where=str(self._folder))
            if every:
                return store.aggregate(tags, begin, until, parse_duration(every), (function,))
            return pa.Table.from_batches([store.raw(tags, begin, until).arrow()])

    def last(self, pattern: str = "*") -> pa.Table:
        """The newest stored sample of each tag that matches."""
        with self._store() as store:
            found: Batch = store.last([t for t in store.tags() if fnmatchcase(t, pattern)])
            return pa.Table.from_batches([found.arrow()])

    def sql(self, query: str) -> pa.Table:
        """DuckDB SQL over the view `samples(tag, time, value, quality, text)`."""
        with self._store() as store:
            return store.sql(query)

    def _store(self) -> Historian:
        return Historian(store_of(self._folder), TagIndex(), readonly=True, clock=self._clock)
