"""What people asked of apps, for the ledger. A row of files (a folder of examples) is two entries, not hundreds: the first file at once,
and how many there were when the row ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from ronghe.apps.contract import Question

_EVENT: Final = "app.asked"
_QUIET: Final = 60_000_000_000  # ns without a file: the row has ended


class Asked:
    """Writes by `put(event, body)`."""

    def __init__(self, put: Callable[[str, dict[str, Any]], None]) -> None:
        self._put = put
        self._row: dict[str, Any] = {}
        self._files = 0
        self._latest = 0

    def tell(self, app: str, question: Question, now: int) -> None:
        """A question that changed something; `now` in ns."""
        body = {"app": app, "verb": question.verb, "by": question.who, "body": question.body}
        if not question.data:
            self.close()
            self._put(_EVENT, body)
            return
        row = {**body, "body": {k: v for k, v in question.body.items() if k != "name"}}
        if row != self._row:
            self.close()
            self._row = row
            self._put(_EVENT, body)
        self._files, self._latest = self._files + 1, now

    def beat(self, now: int) -> None:
        """The clock says `now`: a row in which nothing came for a minute has ended."""
        if self._row and now - self._latest >= _QUIET:
            self.close()

    def close(self) -> None:
        """Ends the row."""
        if self._files > 1:
            self._put(_EVENT, {**self._row, "files": self._files})
        self._row, self._files = {}, 0
