"""Why orders are late, asked once for each plan, and for as long as a person may be kept waiting."""

from __future__ import annotations

import time
from typing import Final

from ronghe.apps.scheduling import present
from ronghe.apps.scheduling.live.board import State
from ronghe.text import Text

_PATIENCE: Final = 0.4  # s that one answer may take for reasons; what is missing then comes with the next

Reason = tuple[Text | None, Text | None]


class Explaining:
    """Remembers the reasons of the plan that is in force."""

    def __init__(self) -> None:
        self._revision = -1
        self._known: dict[str, Reason] = {}

    def of(self, state: State, *, settled: bool) -> present.Why:
        """The reasons under a state. Of a plan that is about to be a better one (not `settled`), only those that are known."""
        if state.revision != self._revision:
            self._revision, self._known = state.revision, {}
        until = time.monotonic() + _PATIENCE

        def why(job: str) -> Reason:
            if job not in self._known and settled and time.monotonic() < until:
                self._known[job] = _why(state, job)
            return self._known.get(job, (None, None))

        return why


def _why(state: State, job: str) -> Reason:
    from ronghe.apps.scheduling import explain

    if state.plan is None:
        return None, None
    found = explain.why_late(state.problem, state.plan, job)
    return found.text, found.fix
