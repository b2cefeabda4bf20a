"""The guard's hands: the one place from which a device is called, and the question that must be answered before."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from ronghe.guard.advice import Advice
from ronghe.guard.checks import Question
from ronghe.guard.docket import Docket
from ronghe.guard.limits import Limits
from ronghe.guard.stop import StopFile
from ronghe.guard.view import View
from ronghe.plant.model import Plant
from ronghe.signals import quality as q
from ronghe.text import Text

log = logging.getLogger(__name__)

Write = Callable[[str, float, Callable[[], bool]], Awaitable[int]]
"""Writes (tag, value in the property's unit, still) to the device and gives its OPC UA StatusCode. It must ask `still` right before it
sends, since the checks hold for that moment only, and give BadRequestCancelledByClient when the answer was no and nothing was sent."""

Held = Callable[[str, float], float]
"""What a device will hold of (tag, value in the property's unit), in that unit: it may round to the resolution of a register."""

TIMEOUT = 30.0
"""s for a device to answer a write."""
_UNSURE = frozenset({q.BAD, q.BAD_TIMEOUT, q.BAD_NO_COMMUNICATION})


class Hands:
    """What the guard knows and does at the moment of writing."""

    def __init__(
        self, plant: Plant, view: View, docket: Docket, stop: StopFile, clock: Callable[[], int], write: Write, held: Held
    ) -> None:
        self._plant, self._view, self._docket, self._stop, self._clock = plant, view, docket, stop, clock
        self._write, self._held = write, held

    def question(self, limits: Limits, advice: Advice, own: str = "", approvals: int | None = None) -> Question:
        """Everything that the checks look at, as it is now, the mode that is in force included. `own` is the case or change that asks;
        `approvals` are not asked for yet (None) of an advice that has just come in."""
        limits = self._docket.modes.now(limits)
        look = self._view.look(limits.fresh)
        busy = self._docket.busy(limits.tag)
        return Question(
            plant=self._plant,
            limits=limits,
            advice=advice,
            now=self._clock(),
            stopped=self._stop.why(),
            held=self._held(limits.tag, advice.value),
            current=look(limits.tag),
            look=look,
            look_effect=self._view.look(limits.fresh, slow=True),
            moves=[m for m in self._docket.moves[limits.tag] if not own or m.case != own],
            busy="" if busy == own else busy,
            approvals=approvals,
        )

    async def send(self, tag: str, value: float, why_not: Callable[[], Text | None]) -> tuple[int | None, Text]:
        """Calls the device; gives its StatusCode, and the answer in words. `why_not` is asked now and once more right before it is sent;
        when it has a reason, nothing is sent and the status is None."""
        why = why_not()

        def still() -> bool:
            nonlocal why
            why = why_not()
            return why is None

        if why is not None:
            return None, not_written(why)
        try:
            async with asyncio.timeout(TIMEOUT):
                status = int(await self._write(tag, value, still))
        except TimeoutError:
            status = q.BAD_TIMEOUT
        except Exception as e:
            log.exception("writing %s", tag)
            return q.BAD, Text(f"the write failed: {type(e).__name__}: {e}", f"写入出错：{type(e).__name__}：{e}")
        if status == q.BAD_NOT_SENT and why is not None:
            return None, not_written(why)
        said = q.reason(status)
        return status, Text(f"the device answered: {said.en}", f"设备应答：{said.in_('zh')}")


def surely_not(status: int) -> bool:
    """Whether an answer means that nothing was written. After a time-out or a lost connection the value may be in force or not."""
    return q.severity(status) == "bad" and status not in _UNSURE


def not_written(why: Text) -> Text:
    """What a case is told that ends before anything was sent."""
    return Text(f"not written: {why.en}", f"未写入：{why.in_('zh')}")
