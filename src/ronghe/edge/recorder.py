"""The recorder: takes batches from the event loop at once and makes them durable in a thread of its own.

A slow or full disk delays the recording and is said aloud; it never delays acquisition, inference or the guard.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable

from ronghe.edge.runner import reason_of
from ronghe.signals import Batch
from ronghe.text import Text

log = logging.getLogger(__name__)

Append = Callable[[Batch], None]


class Recorder:
    """Queue and thread in front of a store. `put` never blocks and never raises.

    Samples wait in memory while the store refuses them, at most `most` of them; beyond that the oldest are dropped and counted in
    `dropped`. `trouble` says why nothing is being recorded, or is None; whatever the store raises, it is given the same samples again.
    """

    def __init__(self, append: Append, *, most: int = 2_000_000, at_once: int = 50_000, retry: float = 1.0, gather: float = 0.0) -> None:
        """`gather`: s for which samples are waited for, so that appends are fewer and larger; `at_once` samples wait for nothing."""
        self._append, self._most, self._at_once, self._retry, self._gather = append, most, at_once, retry, gather
        self._queue: deque[Batch] = deque()
        self._taken: list[Batch] = []  # off the queue and not stored yet
        self._ready = threading.Condition()
        self._stopping = False
        self.waiting = 0  # samples in the queue
        self.recorded = 0
        self.dropped = 0
        self.trouble: Text | None = None
        self._thread = self._new_thread()

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def look(self) -> Text | None:
        """Why nothing is being recorded, or None. A thread that has ended unasked is started again, with the samples it had. Call often."""
        if self._stopping or self._thread.ident is None or self._thread.is_alive():
            return self.trouble
        log.error("the recorder's thread has ended; it is started again")
        self._thread = self._new_thread()
        self._thread.start()
        return Text("the recorder had stopped and was started again", "记录线程曾意外退出，已重新启动")

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

    def _new_thread(self) -> threading.Thread:
        return threading.Thread(target=self._work, name="recorder", daemon=True)

    def _take(self) -> bool:
        """Takes the next batches off the queue, several when behind (fewer, larger appends); False at the end."""
        with self._ready:
            while not self._queue and not self._stopping:
                self._ready.wait()
            if self._gather and not self._stopping:
                self._ready.wait_for(lambda: self._stopping or self.waiting >= self._at_once, self._gather)
            n = 0
            while self._queue and n < self._at_once:
                self._taken.append(self._queue.popleft())
                n += len(self._taken[-1])
            self.waiting -= n
        return bool(self._taken)

    def _work(self) -> None:
        while self._taken or self._take():
            while not self._store():
                with self._ready:
                    if self._stopping:
                        self.dropped += sum(map(len, self._taken))
                        return
                    self._ready.wait(self._retry)

    def _store(self) -> bool:
        try:
            batch = Batch.concat(self._taken)
            self._taken = [batch]
            self._append(batch)
        except Exception as e:  # nobody else would hear of it, and from then on nothing would be recorded
            if self.trouble is None:
                log.exception("samples are not recorded")
            self.trouble = reason_of(e)
            return False
        self._taken = []
        self.recorded += len(batch)
        self.trouble = None
        return True
