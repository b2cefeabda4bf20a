"""A thread that makes a plan better while the clock runs: for as long as was asked, and anew when what it plans for has changed."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from ronghe.errors import RongheError
from ronghe.text import Text

log = logging.getLogger(__name__)


class Turn:
    """One attempt at one version of the facts."""

    def __init__(self, improver: Improver, version: int) -> None:
        self._improver, self.version = improver, version

    def left(self) -> float:
        """Seconds of those asked for that are left."""
        return self._improver.until - time.monotonic()

    def over(self) -> bool:
        """Whether to come to an end: enough time was spent, the node stops, or the facts have changed."""
        return self.closed() or self.left() <= 0 or self._improver.version() != self.version

    def closed(self) -> bool:
        """Whether the node stops."""
        return self._improver.closed

    def lasts(self, seconds: float) -> None:
        """So many seconds went into getting ready: they are not taken from those asked for."""
        self._improver.extend(seconds)


class Improver:
    """The thread; it is started when first asked. `once(turn)` improves one state until `turn.over()`; it may raise RongheError.

    `version()` counts what happened to the facts: an attempt during which it changes is followed by another. Every method may be called
    from any thread.
    """

    def __init__(self, name: str, once: Callable[[Turn], None], version: Callable[[], int]) -> None:
        self.version = version
        self._name, self._once = name, once
        self._wake = threading.Condition()
        self._asked = 0  # times: what is asked for while it works is not over with it
        self._thread: threading.Thread | None = None
        self.until = 0.0  # by the monotonic clock
        self.closed = False
        self.improving = False
        self.failed: Text | None = None  # why there is no better plan, or none at all

    def improve(self, seconds: float) -> None:
        """Asks for so many seconds from now."""
        with self._wake:
            self.until = time.monotonic() + seconds
            self._asked += 1
            self.improving = seconds > 0
            if self.improving and self._thread is None and not self.closed:
                self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
                self._thread.start()
            self._wake.notify_all()

    def stop(self) -> None:
        """Enough: the plan stays as it is."""
        with self._wake:
            self.until = 0.0

    def extend(self, seconds: float) -> None:
        """Moves the end, unless it was told to stop meanwhile."""
        with self._wake:
            self.until += seconds if self.until else 0.0

    def close(self) -> None:
        """Ends the thread."""
        with self._wake:
            self.closed, self.until = True, 0.0
            self._wake.notify_all()
        if self._thread is not None:
            self._thread.join(10)

    def _work(self) -> None:
        while True:
            with self._wake:
                while not self.closed and not self.improving:
                    self._wake.wait()
                if self.closed:
                    return
                asked = self._asked
            turn = Turn(self, self.version())
            try:
                self._once(turn)
                self.failed = None
            except RongheError as e:
                self.failed = e.what
            except Exception:  # a bug in a solver must not end planning: the plan in force stays
                log.exception("improving failed")
                self.failed = Text("internal error; see the log of the node", "内部错误，详见节点日志")
            with self._wake:
                more = self.version() != turn.version or self._asked != asked
                self.improving = more and self.failed is None
