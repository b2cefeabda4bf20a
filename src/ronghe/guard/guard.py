"""The guard: the only thing that writes to a machine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ronghe.guard.advice import Advice
from ronghe.guard.case import Case
from ronghe.guard.ledger import Ledger
from ronghe.plant.model import Plant
from ronghe.signals import Latest

Write = Callable[[str, float], Awaitable[int]]
"""Writes (tag, value in the property's unit) to the device and gives its OPC UA StatusCode. Must start at once, see `Guard`."""
History = Callable[[str, int, int], tuple[NDArray[np.int64], NDArray[np.float64]]]
"""(tag, start, end) → times (ns) and values of the Good samples within. Called from a worker thread."""


class Guard:
    """Advice in, action out, one at a time a set-point. Lives in one event loop; `cases`, `case` and `version` may be read by anyone.

    `folder` is the plant's `.ronghe`: the kill switch is the file STOP in it.
    """

    version: int
    """Grows with every change of a case or of the kill switch."""

    def __init__(
        self,
        plant: Plant,
        latest: Latest,
        ledger: Ledger,
        write: Write,
        *,
        clock: Callable[[], int],
        folder: Path,
        history: History | None = None,
        read_back: float = 10.0,
    ) -> None:
        """Takes up the cases that the ledger holds open. Raises GuardError for a guard of the plant that cannot be used, LedgerError."""
        raise NotImplementedError

    async def submit(self, advice: Advice) -> Case:
        """Takes an advice through the checks: refused, shown, waiting for approval, or written. An id seen before gives its case again."""
        raise NotImplementedError

    async def approve(self, case_id: str, user: str) -> Case:
        """One person's approval; the last one needed writes, after all checks were made again. Raises GuardError."""
        raise NotImplementedError

    async def reject(self, case_id: str, user: str, why: str) -> Case:
        """A person says no to a case that is advised or waiting. Raises GuardError."""
        raise NotImplementedError

    async def tick(self) -> None:
        """The clock's part, about once a second: expiry, read-back, effects, rollback, worth."""
        raise NotImplementedError

    @property
    def killed(self) -> str:
        """Who stopped the guard, when and why, as in the file STOP; empty while it may write."""
        raise NotImplementedError

    def kill(self, user: str, why: str) -> None:
        """No write from now on, rollbacks included, until released; also over a restart."""
        raise NotImplementedError

    def release(self, user: str, why: str) -> None:
        """Lets the guard write again. Raises GuardError when the file cannot be removed."""
        raise NotImplementedError

    def cases(self) -> list[Case]:
        """Newest first."""
        raise NotImplementedError

    def case(self, case_id: str) -> Case:
        """Raises GuardError for an unknown id."""
        raise NotImplementedError
