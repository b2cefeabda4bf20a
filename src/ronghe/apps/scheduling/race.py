"""Several methods at work on one problem at once: what they found and proved, and when it is over."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ronghe.apps.scheduling import exact
from ronghe.apps.scheduling.check import check, stamped
from ronghe.apps.scheduling.problem import Plan, Problem

_PATIENCE = 5.0  # s that CP-SAT is given at least before it is begun anew with a better plan of others
_SHARE = 0.3  # … and this share of the time since the start


@dataclass(slots=True)
class Race:
    """Plan and bound shared between threads. `over` is asked often and from everywhere."""

    problem: Problem
    seconds: float
    stop: Callable[[], bool] | None = None
    plan: Plan | None = None
    lower: float = 0.0
    began: float = field(default_factory=time.monotonic)
    ended: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def offer(self, plan: Plan) -> None:
        """A plan that holds; kept, with its figures measured, where it is better than all before."""
        plan = stamped(self.problem, plan)
        with self.lock:
            if self.plan is None or plan.objective < self.plan.objective:
                self.plan = plan

    def prove(self, bound: float | None) -> None:
        """A lower bound that was proven."""
        if bound is not None:
            with self.lock:
                self.lower = max(self.lower, bound)

    @property
    def spent(self) -> float:
        """s since the start."""
        return time.monotonic() - self.began

    @property
    def closed(self) -> bool:
        """Whether the plan is proven optimal."""
        return self.plan is not None and self.closes(self.plan)

    def closes(self, plan: Plan) -> bool:
        """Whether a plan meets the bound."""
        return plan.objective <= self.lower * (1 + 1e-9) + 1e-9

    @property
    def gap(self) -> float:
        """(objective − bound) / objective; 0 where that is 0."""
        objective = 0.0 if self.plan is None else self.plan.objective
        return (objective - self.lower) / objective if objective > 0 else 0.0

    def over(self) -> bool:
        """Time is up, it was told to stop, or there is nothing left to find."""
        if not self.ended and (self.spent >= self.seconds or self.closed or (self.stop is not None and self.stop())):
            self.ended = True
        return self.ended


def prove(race: Race, *, workers: int, seed: int, until: Callable[[], bool] = lambda: False) -> None:
    """CP-SAT's part: asks for less than the best known, again when others found better, until nothing less is left or `until` says so."""
    while not race.over() and not until() and not _once(race, workers, seed, until):
        pass


def _once(race: Race, workers: int, seed: int, until: Callable[[], bool]) -> bool:
    """One run of CP-SAT, until others have found better for long enough; True where it has closed the matter."""
    held = race.plan
    began, mine = race.spent, float("inf") if held is None else held.objective

    def told(plan: Plan) -> None:
        nonlocal mine
        mine = min(mine, plan.objective)
        if (race.plan is None or plan.objective < race.plan.objective) and not check(race.problem, plan):
            race.offer(plan)

    def stale() -> bool:
        if race.over() or until():
            return True
        others = race.plan is not None and race.plan.objective < mine
        return others and race.spent - began > max(_PATIENCE, _SHARE * race.spent)

    outcome = exact.solve(
        race.problem,
        seconds=race.seconds - race.spent,
        workers=workers,
        seed=seed,
        start=held,
        below=None if held is None else held.objective,
        told=told,
        bounded=race.prove,
        stop=stale,
    )
    race.prove(outcome.lower_bound)
    return outcome.status in ("optimal", "infeasible")
