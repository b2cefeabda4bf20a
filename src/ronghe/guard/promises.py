"""What a write promises to show, fixed in absolute numbers at the moment of writing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import numpy as np

from ronghe.guard.case import Watched
from ronghe.guard.checks import Question, effects
from ronghe.guard.effect import Becomes
from ronghe.guard.limits import Limits
from ronghe.guard.worth import History
from ronghe.plant.model import Plant

log = logging.getLogger(__name__)


class Promises:
    """The promises of one plant's guards."""

    def __init__(self, plant: Plant, clock: Callable[[], int], history: History | None) -> None:
        self._plant, self._clock, self._history = plant, clock, history

    def fix(self, question: Question, noise: float) -> tuple[Watched, ...]:
        """The effects in absolute numbers. The check "effect" has passed, so what is to change is known."""
        fixed = []
        for watch in effects(question.limits, question.advice, self._plant):
            if isinstance(watch, Becomes):
                fixed.append(watch.fix(question.now))
            else:
                base = question.look_effect(watch.tag).value
                assert base is not None
                fixed.append(watch.fix(question.now, base, noise if watch is question.limits.watch else 0.0))
        return tuple(fixed)

    async def noise(self, limits: Limits) -> float:
        """The standard deviation of the watched tag before a write, where `falls` or `rises` stands without an amount; 0 where unknown."""
        watch, history = limits.watch, self._history
        if watch is None or isinstance(watch, Becomes) or not watch.noise_sign or history is None:
            return 0.0
        now = self._clock()
        try:
            _, values = await asyncio.to_thread(history, watch.tag, now - watch.within, now)
        except Exception:
            log.exception("history of %s", watch.tag)
            return 0.0
        return float(np.std(values)) if len(values) >= 10 and np.isfinite(values).all() else 0.0
