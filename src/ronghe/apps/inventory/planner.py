"""Plans a book of items in a thread of its own, again whenever its files have changed."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from ronghe.apps.inventory.formats import items
from ronghe.apps.inventory.formats.items import Book
from ronghe.apps.inventory.plan import Planned, plan_item
from ronghe.apps.inventory.wording import failed
from ronghe.errors import AppError

log = logging.getLogger(__name__)


class Planner:
    """The book as it was last read, and what is planned of it so far. A file that cannot be read leaves the last plan standing, see
    `trouble`."""

    def __init__(self, path: Path, period: int) -> None:
        """Reads the book. Raises AppError where it cannot be read."""
        self._path, self._period = path, period
        self._stamp = self._stamps()
        self.book: Book = items.read(path, period=period)
        self.planned: dict[str, Planned] = {}
        self.trouble: AppError | None = None
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def _stamps(self) -> tuple[tuple[int, int], ...]:
        """When the files were last changed, and how large they are."""
        found = []
        for path in dict.fromkeys(items.find(self._path)):
            s = path.stat()
            found.append((s.st_mtime_ns, s.st_size))
        return tuple(found)

    @property
    def done(self) -> bool:
        """Whether every item is planned."""
        return len(self.planned) == len(self.book.items)

    def start(self, now: int, patience: float) -> None:
        """Begins to plan where that is still to be done, and waits at most `patience` s for the end. `now`: s since 1970 UTC."""
        if self.done or self._stop.is_set():
            return
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._work, args=(self.book, now), name="inventory plan", daemon=True)
            self._thread.start()
        self._thread.join(patience)

    def _work(self, book: Book, now: int) -> None:
        for item in book.items:
            if self._stop.is_set():
                return
            try:
                planned = plan_item(item, book, now)
            except Exception:  # one item must not keep the others from being planned
                log.exception("planning %s of %s", item.item, self._path)
                planned = Planned(item=item.item, facts=item, state="unknown", text=failed(), position=item.on_hand + item.on_order)
            if book is not self.book:
                return
            self.planned = {**self.planned, item.item: planned}

    def look(self) -> bool:
        """Reads the book again where its files have changed, or reading them failed last time; whether there is a new one."""
        try:
            stamp = self._stamps()
            if stamp == self._stamp:
                return False
            self.book = items.read(self._path, period=self._period)
        except AppError as e:
            self.trouble = e
            return False
        except OSError:  # it is being replaced
            return False
        self._stamp, self.trouble, self.planned = stamp, None, {}
        return True

    def close(self) -> None:
        """Stops after the present item."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(5.0)
