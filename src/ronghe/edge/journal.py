"""The journal of alarms: takes entries at once and writes them, in order, in a thread of its own.

The ledger waits for the disk at every entry, and an upset raises hundreds of alarms in one second: the event loop must not wait for them.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from ronghe.edge.runner import reason_of
from ronghe.text import Text

log = logging.getLogger(__name__)

Append = Callable[[str, dict[str, Any]], object]

_MOST: Final = 100_000  # entries that wait for a disk; beyond, the oldest are lost
_TURN: Final = 0.001  # s between two entries in which another who has something for the ledger gets his turn: the guard


class Journal:
    """Queue and thread in front of the ledger. `put` never waits and never raises; `trouble` says why nothing is written, or is None."""

    def __init__(self, append: Append, *, retry: float = 1.0) -> None:
        """`append(event, body)` returns when the entry is on the disk. What it refuses is tried again after `retry` s."""
        self._append, self._retry = append, retry
        self._queue: deque[tuple[str, dict[str, Any]]] = deque(maxlen=_MOST)
        self._came = 0  # entries that were ever put
        self._ready = threading.Condition()
        self._stopping = False
        self.trouble: Text | None = None
        self._thread = threading.Thread(target=self._work, name="journal", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def put(self, event: str, body: dict[str, Any]) -> None:
        """Takes an entry."""
        with self._ready:
            self._queue.append((event, body))
            self._came += 1
            self._ready.notify_all()

    @property
    def behind(self) -> bool:
        """Whether something is still to be written."""
        return bool(self._queue)

    def flush(self, timeout: float) -> None:
        """Returns when all that was put before is written, or after `timeout` s."""
        with self._ready:
            came = self._came
            self._ready.wait_for(lambda: self._came - len(self._queue) >= came, timeout)

    def close(self, timeout: float = 30.0) -> None:
        """Writes what waits, then stops; what the disk refuses now is lost, and the log says how much."""
        with self._ready:
            self._stopping = True
            self._ready.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout)
        if self._queue:
            log.error("%d entries of the journal of alarms are lost", len(self._queue))

    def _work(self) -> None:
        while True:
            with self._ready:
                while not self._queue and not self._stopping:
                    self._ready.wait()
                if not self._queue:
                    return
                entry = self._queue[0]
            if self._write(entry):
                time.sleep(_TURN)
                continue
            with self._ready:
                if self._stopping:
                    return
                self._ready.wait(self._retry)

    def _write(self, entry: tuple[str, dict[str, Any]]) -> bool:
        try:
            self._append(*entry)
        except Exception as e:  # nobody else would hear of it
            if self.trouble is None:
                log.exception("the journal of alarms is not written")
            self.trouble = reason_of(e)
            return False
        self.trouble = None
        with self._ready:
            if self._queue and self._queue[0] is entry:  # else a full queue has dropped it meanwhile
                self._queue.popleft()
                self._ready.notify_all()
        return True
