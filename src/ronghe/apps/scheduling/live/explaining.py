"""Why orders are late, asked once for each plan."""

from __future__ import annotations

import logging

from ronghe.apps.scheduling import present
from ronghe.apps.scheduling.live.board import State
from ronghe.text import Text

log = logging.getLogger(__name__)


class Explaining:
    """Remembers the reasons of the plan that is in force."""

    def __init__(self) -> None:
        self._revision = -1
        self._known: dict[str, tuple[Text | None, Text | None]] = {}

    def of(self, state: State) -> present.Why:
        """The reasons under a state."""
        if state.revision != self._revision:
            self._revision, self._known = state.revision, {}

        def why(job: str) -> tuple[Text | None, Text | None]:
            if job not in self._known:
                self._known[job] = _why(state, job)
            return self._known[job]

        return why


def _why(state: State, job: str) -> tuple[Text | None, Text | None]:
    from ronghe.apps.scheduling import explain

    if state.plan is None:
        return None, None
    found = explain.why_late(state.problem, state.plan, job)
    return found.text, found.fix
