"""Counts calls and computing time, and writes the counts down twice a second: a crash loses less than a second, and counts none twice.

What was counted since the last writing goes to disk as one transaction, together with its number. A transaction that fails is tried again
as it was, under the same number, and is not written again where the number shows that it had arrived after all.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable
from typing import Final

from ronghe.cloud.serving.tenantfile import TenantFile
from ronghe.errors import CloudError

log = logging.getLogger(__name__)

EVERY: Final = 0.5  # s
PATIENCE: Final = 10_000_000_000  # ns for which what cannot be written is counted in memory; then nothing more is served

Slot = tuple[str, str, str, str]
"""Tenant, key, model, day (the tenant's own)."""
Counts = tuple[int, int, int, int]
"""Calls, computing time in ns, refused, time of the last in ns."""


class Meter:
    """One a process. `count` costs a microsecond; writing happens in a thread of its own between `start` and `stop`."""

    def __init__(self, file: TenantFile, clock: Callable[[], int], after: Callable[[], None] = lambda: None) -> None:
        """`after` is called after each writing."""
        self._file, self._clock, self._after = file, clock, after
        self._lock, self._write_lock = threading.Lock(), threading.Lock()
        self._new: dict[Slot, Counts] = {}
        self._batch: dict[Slot, Counts] = {}  # under way to the disk
        self._name, self._number = secrets.token_hex(8), 0
        self._failing = 0  # since when, ns
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None

    def count(self, slot: Slot, *, calls: int = 0, compute: int = 0, refused: int = 0) -> None:
        """Adds to a slot; `compute` in ns."""
        now = self._clock()
        with self._lock:
            c, ns, r, _ = self._new.get(slot, (0, 0, 0, 0))
            self._new[slot] = (c + calls, ns + compute, r + refused, now)

    @property
    def behind(self) -> bool:
        """Nothing could be written for so long that serving on would give away what nobody can prove."""
        return bool(self._failing) and self._clock() - self._failing > PATIENCE

    def unwritten(self) -> list[tuple[Slot, Counts]]:
        """What is counted and not yet on disk."""
        with self._lock:
            return [*self._batch.items(), *self._new.items()]

    def used(self, tenant: str, day: str) -> tuple[int, int]:
        """Calls and computing time in ns of one tenant and day, on disk and not yet."""
        with self._write_lock:
            sql = "SELECT total(calls), total(compute_ns) FROM use WHERE tenant = ? AND day = ?"
            calls, ns = map(int, self._file.rows(sql, tenant, day)[0])
            mine = [c for (t, _, _, d), c in self.unwritten() if (t, d) == (tenant, day)]
        return calls + sum(c[0] for c in mine), ns + sum(c[1] for c in mine)

    def flush(self) -> None:
        """Writes down all that was counted. Raises CloudError when the file does not take it; nothing is lost then."""
        with self._write_lock:
            with self._lock:
                if not self._batch:
                    self._batch, self._new = self._new, {}
                    self._number += 1
            if self._batch:
                self._file.add_use(self._name, self._number, self._batch)
            with self._lock:
                self._batch = {}
            self._failing = 0

    def start(self) -> None:
        """Begins to write."""
        self._thread = threading.Thread(target=self._run, name="meter", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Writes the last and ends. Safe to call twice."""
        if self._thread is not None:
            self._ending.set()
            self._thread.join()
            self._thread = None

    def _run(self) -> None:
        ended = False
        while not ended:
            ended = self._ending.wait(EVERY)
            try:
                self.flush()
                self._after()
            except CloudError as e:
                self._failing = self._failing or self._clock()
                log.warning("use of models is not written down: %s", e)
