"""The recorder: takes batches from the event loop at once and makes them durable in a thread of its own.

A slow or full disk delays the recording and is said aloud; it never delays acquisition, inference or the guard.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from ronghe.errors import RongheError
from ronghe.signals import Batch
from ronghe.text import Text

Append = Callable[[Batch], None]


class Recorder:
    """Queue and thread in front of a store. `put` never blocks and never raises.

    Samples wait in memory while the store refuses them, at most `most` of them; beyond that the oldest are dropped and counted in
    `dropped`. `trouble` says why nothing is being recorded, or is None.
    """

    def __init__(self, append: Append, *, most: int = 2_000_000, at_once: int = 50_000, retry: float = 1.0) -> None:
        self._append, self._most, self._at_once, self._retry = append, most, at_once, retry
        self._queue: deque[Batch] = deque()
        self._ready = threading.Condition()
        self._stopping = False
        self.waiting = 0  # samples in the queue
        self.recorded = 0
        self.dropped = 0
        self.trouble: Text | None = None
        self._thread = threading.Thread(target=self._work, name="recorder", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def put(self, batch: Batch) -> None:
        """Takes a batch to be recorded."""
        with self._ready:
            self._queue.append(batch)
            self.waiting += len(batch)
            while self.waiting > self._most and len(self._queue) > 1:
                lost = self._queue.popleft()
                self.waiting -= len(lost)
                self.dropped += len(lost)
            self._ready.notify()

    def close(self, timeout: float = 10.0) -> None:
        """Records what waits, then stops; gives up after `timeout` seconds of trouble."""
        with self._ready:
            self._stopping = True
            self._ready.notify()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _take(self) -> Batch | None:
        """The next batches joined into one (fewer, larger appends when behind), or None at the end."""
        with self._ready:
            while not self._queue and not self._stopping:
                self._ready.wait()
            batches, n = [], 0
            while self._queue and n < self._at_once:
                batches.append(self._queue.popleft())
                n += len(batches[-1])
            self.waiting -= n
        return Batch.concat(batches) if batches else None

    def _work(self) -> None:
        while (batch := self._take()) is not None:
            while not self._store(batch):
                with self._ready:
                    if self._stopping:
                        self.dropped += len(batch)
                        return
                    self._ready.wait(self._retry)

    def _store(self, batch: Batch) -> bool:
        try:
            self._append(batch)
        except (RongheError, OSError) as e:
            self.trouble = e.what if isinstance(e, RongheError) else Text(str(e), str(e))
            return False
        self.recorded += len(batch)
        self.trouble = None
        return True
