"""When the worth of a case can be measured, and measuring it, beside the loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from typing import Final

from ronghe.guard.docket import Docket
from ronghe.guard.followup import GUARD
from ronghe.guard.limits import Limits
from ronghe.guard.worth import History, measure, not_measured
from ronghe.text import Text

log = logging.getLogger(__name__)

_MARGIN: Final = 5_000_000_000  # ns after the end of a measurement, so that its last samples are in the history


class Valuing:
    """The worth of the cases of one docket. Without a history nothing is due."""

    def __init__(self, docket: Docket, limits: Mapping[str, Limits], history: History | None, clock: Callable[[], int]) -> None:
        self._docket, self._limits, self._history, self._clock = docket, limits, history, clock

    def due(self, busy: Collection[str]) -> list[str]:
        """The cases whose measurement is complete now, but for those that are at it."""
        return [i for i in self._docket.unvalued if i not in busy and self._clock() >= self._span(i)[1] + _MARGIN]

    async def value(self, case_id: str) -> None:
        """Measures one that is due. Raises LedgerError."""
        case = self._docket.cases[case_id]
        limits, (start, end) = self._limits[case.advice.tag], self._span(case_id)
        assert self._history is not None
        assert limits.worth is not None
        rivals = [t for t, own in self._limits.items() if own.worth is not None and own.worth.tag == limits.worth.tag]
        others = sorted((m.time, tag) for tag in rivals for m in self._docket.moves[tag] if m.case != case_id and start <= m.time < end)
        try:
            worth = await asyncio.to_thread(measure, limits, case, self._history, others)
        except Exception as e:  # the historian's affair: the action itself was sound
            log.exception("worth of case %s", case_id)
            worth = not_measured(limits, case, Text(f"the history could not be read: {e}", f"无法读取历史数据：{e}"))
        self._docket.record("worth", case, case.state, GUARD, worth.text, worth=worth)

    def _span(self, case_id: str) -> tuple[int, int]:
        """From when to when (ns) the worth of a case is measured."""
        case = self._docket.cases[case_id]
        worth = self._limits[case.advice.tag].worth
        assert worth is not None
        return case.written_at - worth.before, case.written_at + worth.settle + worth.after
