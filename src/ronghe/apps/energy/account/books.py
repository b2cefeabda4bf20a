"""The books themselves: what each channel used in each period, kept in a file that only grows, and the period that is open."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from ronghe.apps.energy.account.meter import Channel, Used
from ronghe.apps.energy.account.periods import Calendar, Floats, Ints

log = logging.getLogger(__name__)

_KEPT: Final = 9000  # periods in memory: a year of hours
_SLIPPED: Final = 2  # periods by which a clock may be set back
_ANEW: Final = 800  # periods without a row after which the books begin anew


class Row(msgspec.Struct, frozen=True):
    """One closed period: amounts (None: too little was measured), and the part that was measured, by channel."""

    start: int
    amount: dict[str, float | None]
    good: dict[str, float]


class _Open(msgspec.Struct):
    """What is not closed yet: by period and channel the amount, the ns measured and the ns that the amount is of; and each channel's last
    value."""

    sums: dict[str, dict[str, tuple[float, int, int]]] = {}
    last: dict[str, tuple[int, float]] = {}
    until: int = 0


class Books:
    """Periods in order. `good` is the least part of a period that must have been measured; one just above it is scaled up, and says so by
    its `good`. Closed periods are lines of books.jsonl; a torn last line (power failure) is passed over."""

    def __init__(self, state: Path, calendar: Calendar, channels: Mapping[str, Channel], good: float) -> None:
        self._file, self._open_file = state / "books.jsonl", state / "open.json"
        self._calendar, self._channels, self._good = calendar, channels, good
        self.rows: list[Row] = []
        self._sums: dict[int, dict[str, tuple[float, int, int]]] = {}
        self._until = 0  # ns of the newest row seen
        self._next = 0  # begin of the period that is open
        self._saved = 0
        self._take_up()

    def add(self, time: int, values: Iterable[tuple[str, float]]) -> list[Row]:
        """A row of the grid at `time`; the periods that it closes. A clock that was set back a little says nothing until it has caught up;
        one that was set back further was wrong before, and what it closed since is struck out."""
        if time <= self._until:
            if self._until - time <= _SLIPPED * self._calendar.length:
                return []
            self._strike(time)
        for name, value in values:
            used = self._channels[name].take(time, value)
            if used is not None:
                self._spread(name, used)
        closed = []
        if not self._next or time - self._next > _ANEW * self._calendar.length:
            self._next, self._sums = self._calendar.start(time), {}
        while (end := self._calendar.end(self._next)) <= time:
            closed.append(self._close(self._next, end))
            self._next = end
        self._until = time
        return closed

    def columns(self) -> tuple[Ints, dict[str, Floats], Floats]:
        """(start int64[n], amounts by channel float64[n], least part measured float64[n]) of the closed periods."""
        start = np.array([r.start for r in self.rows], np.int64)
        amounts = {
            name: np.array([math.nan if (v := r.amount.get(name)) is None else v for r in self.rows], np.float64) for name in self._channels
        }
        good = np.array([min(r.good.values(), default=0.0) for r in self.rows], np.float64)
        return start, amounts, good

    def save(self) -> None:
        """Keeps the open period, so that a restart costs no more than the time it takes."""
        kept = _Open(
            {str(s): by for s, by in self._sums.items()},
            {n: (c.time, c.value) for n, c in self._channels.items() if c.time},
            self._until,
        )
        part = self._open_file.with_suffix(".part")
        try:
            part.write_bytes(msgspec.json.encode(kept))
            part.replace(self._open_file)
        except OSError as e:
            log.warning("%s is not written: %s", self._open_file, e)
        self._saved = self._until

    def tick(self, every: int) -> None:
        """Saves when the last time is `every` ns ago."""
        if self._until - self._saved >= every:
            self.save()

    def _strike(self, time: int) -> None:
        start = self._calendar.start(time)
        log.warning("the clock was set back to %d: the periods since are struck out", time)
        self.rows = [r for r in self.rows if r.start < start]
        self._sums, self._next = {}, start
        for channel in self._channels.values():
            channel.time, channel.value = 0, math.nan

    # --- inside -----------------------------------------------------------------------------------------------------------------

    def _spread(self, name: str, used: Used) -> None:
        """Over the periods that it lies in, evenly."""
        start = self._calendar.start(used.start)
        while start < used.end:
            end = self._calendar.end(start)
            if start < self._next:  # closed before a restart
                start = end
                continue
            inside = min(end, used.end) - max(start, used.start)
            amount, measured, known = self._sums.setdefault(start, {}).get(name, (0.0, 0, 0))
            share = used.amount * inside / (used.end - used.start)
            self._sums[start][name] = amount + share, measured + (inside if used.measured else 0), known + inside
            start = end

    def _close(self, start: int, end: int) -> Row:
        sums = self._sums.pop(start, {})
        amount: dict[str, float | None] = {}
        good: dict[str, float] = {}
        for name, channel in self._channels.items():
            total, measured, known = sums.get(name, (0.0, 0, 0))
            share = min(1.0, measured / (end - start))
            good[name] = round(share, 4)
            amount[name] = total / known * (1 if channel.kind == "mean" else end - start) if share >= self._good else None
        row = Row(start, amount, good)
        self.rows.append(row)
        del self.rows[:-_KEPT]
        try:
            with self._file.open("ab") as f:
                f.write(msgspec.json.encode(row) + b"\n")
        except OSError as e:  # a full disk must not stop the books in memory
            log.warning("%s is not written: %s", self._file, e)
        return row

    def _take_up(self) -> None:
        try:
            lines = self._file.read_bytes().split(b"\n")
            if lines[-1]:  # torn by a power failure: what comes next begins on a line of its own
                with self._file.open("ab") as f:
                    f.write(b"\n")
        except FileNotFoundError:
            lines = []
        rows: dict[int, Row] = {}
        last = 0
        for n, line in enumerate(lines, 1):
            if not line:
                continue
            try:
                row = msgspec.json.decode(line, type=Row)
                if rows and row.start <= last:  # struck out: the clock had been set back
                    rows = {s: r for s, r in rows.items() if s < row.start}
                last = row.start
                rows[row.start] = row
            except msgspec.DecodeError as e:
                log.warning("%s:%d is passed over: %s", self._file, n, e)
        self.rows = [rows[s] for s in sorted(rows)][-_KEPT:]
        self._next = self._calendar.end(self.rows[-1].start) if self.rows else 0
        try:
            kept = msgspec.json.decode(self._open_file.read_bytes(), type=_Open)
        except FileNotFoundError:
            return
        except (OSError, msgspec.DecodeError) as e:
            log.warning("%s is passed over: %s", self._open_file, e)
            return
        self._sums = {int(s): by for s, by in kept.sums.items() if int(s) not in rows}
        self._until = self._saved = kept.until
        self._next = self._next or (self._calendar.start(kept.until - 1) if kept.until else 0)
        for name, (time, value) in kept.last.items():
            if name in self._channels:
                self._channels[name].time, self._channels[name].value = time, value
