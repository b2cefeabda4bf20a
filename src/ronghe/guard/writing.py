"""Carrying out: make every check, the dry run on the twin included where there is one; put the intent into the ledger; make every check
again; write. The driver has the checks made once more at the moment at which it sends, so that no wait for a busy line lies between check
and write."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ronghe.guard.case import Case, Check
from ronghe.guard.checks import ask, in_device, refused
from ronghe.guard.condition import quantity
from ronghe.guard.docket import Docket
from ronghe.guard.dryrun import NAME as TWIN
from ronghe.guard.followup import GUARD
from ronghe.guard.hands import Hands, not_written, surely_not
from ronghe.guard.limits import Limits
from ronghe.guard.promises import Promises
from ronghe.guard.trials import Trials
from ronghe.text import Text


class Writing:
    """Carries out one case at a time of each set-point, whose lock is held."""

    def __init__(self, docket: Docket, hands: Hands, promises: Promises, trials: Trials) -> None:
        self._docket, self._hands, self._promises, self._trials = docket, hands, promises, trials

    async def carry_out(self, case: Case, limits: Limits, before: Sequence[Check] = ()) -> Case:
        """Check, intent, check, and check once more as it is sent. A dry run among the checks made just `before` is not made again.

        Raises LedgerError: then nothing was written that is not in the ledger.
        """
        noise = await self._promises.noise(limits)
        asking = partial(self._hands.question, limits, case.advice, case.id, len(case.approvals))
        question, checks = await self._trials.checks(asking, _dry_run(before))
        tried, old = _dry_run(checks), question.current.value
        why_not = refused(checks)
        if why_not is not None or old is None:
            why_not = why_not or question.current.why
            return self._docket.record("close", case, "refused", GUARD, not_written(why_not), checks=checks)
        value = in_device(question)
        was, now = quantity(old, limits.unit, value), quantity(value, limits.unit, old)
        case = await self._docket.intend(
            "write",
            case,
            "writing",
            GUARD,
            Text(f"writing {now}, was {was}", f"写入 {now}，原为 {was}"),
            checks=checks,
            written=value,
            old=old,
            watched=self._promises.fix(question, noise),
        )

        def look_again() -> Text | None:  # ledger and line take their time: what held before may not hold any more
            nonlocal checks
            question = asking()
            checks = (*ask(question), *((tried,) if tried is not None else ()))
            changed = question.current.value != old
            return refused(checks) or (Text("the set-point was changed meanwhile", "设定值在此期间被改动") if changed else None)

        status, said = await self._hands.send(limits.tag, value, look_again)
        if status is None:
            return self._docket.record("close", case, "refused", GUARD, said, checks=checks)
        return self._docket.record("answer", case, "failed" if surely_not(status) else "writing", GUARD, said, status=status)


def _dry_run(checks: Sequence[Check]) -> Check | None:
    return next((c for c in checks if c.name == TWIN), None)
