"""A better plan from a plan: annealing on several threads (the kernels hold no lock), anytime and cancellable."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Final

import numpy as np

from ronghe.apps.scheduling.arrays import C_DURATION, J_WEIGHT, W_MAKESPAN, W_SETUP, W_TARDINESS, Arrays, Ints
from ronghe.apps.scheduling.problem import Plan, Problem
from ronghe.apps.scheduling.search.annealing import anneal, keep_best
from ronghe.apps.scheduling.search.decode import BEST, PICK, Work, decode, load, plan_of, work
from ronghe.apps.scheduling.search.placing import Shop, shop

_SLICE: Final = 0.02  # s of a thread between two looks at the clock
_WORTH: Final = 0.2  # s of a search from which on a second start is worth its milliseconds
_TELL: Final = 0.2  # s between two plans told
_HOT: Final = 0.7  # temperature at the start and the end, in mean durations of an operation of mean weight
_COLD: Final = 0.02


@dataclass(slots=True)
class _Searcher:
    """One thread's place in the search. `kept` is the best order and its picks, as another thread may read them."""

    a: Arrays
    shop: Shop
    work: Work
    current: float
    best: float
    kept: tuple[float, Ints, Ints]
    pace: int = 500  # moves a slice

    @classmethod
    def of(cls, a: Arrays, plan: Plan, seed: int) -> _Searcher:
        s, w = shop(a.tables), work(a.tables, seed)
        load(a, w, plan)
        cost = float(decode(a.tables, s, w, 0, np.inf, True)[0])
        keep_best(w)
        return cls(a, s, w, cost, cost, (cost, w.best.copy(), w.op[:, BEST].copy()))

    def slice(self, hot: float, cold: float) -> None:
        """About `_SLICE` s of moves between two temperatures."""
        began, before, w = time.perf_counter(), self.best, self.work
        self.current, self.best, _ = anneal(self.a.tables, self.shop, w, self.current, self.best, hot, cold, self.pace, self.a.plain)
        if self.best < before:
            self.kept = (self.best, w.best.copy(), w.op[:, BEST].copy())
        took = max(1e-6, time.perf_counter() - began)
        self.pace = max(50, min(1_000_000, int(self.pace * min(4.0, max(0.25, _SLICE / took)))))


def improve(
    problem: Problem | Arrays,
    plan: Plan,
    seconds: float,
    seed: int = 0,
    told: Callable[[Plan], None] | None = None,
    stop: Callable[[], bool] | None = None,
    workers: int = 2,
) -> Plan:
    """The best plan found within `seconds`; `plan` itself where nothing was. Better plans are told, at most five times a second, and `stop`
    is asked some fifty times a second. `plan` must fit the problem (see `repair` where it does not)."""
    began = time.perf_counter()
    a = problem if isinstance(problem, Arrays) else Arrays.of(problem)
    searchers = [_Searcher.of(a, plan, seed * 1009 + k + 1) for k in range(max(1, workers))]
    said = searchers[0].best
    if not np.isfinite(said):
        return plan
    if not len(searchers[0].work.order):
        return _found(a, searchers, began)
    if len(searchers) > 1 and seconds >= _WORTH:
        from ronghe.apps.scheduling.dispatch import first  # which stands on this package's kernels

        other = first(a)
        if other.objective < said:  # a repaired plan may be far from a good one: not every thread needs to begin there
            for k in range(1, len(searchers), 2):
                searchers[k] = _Searcher.of(a, other, seed * 1009 + k + 1)
    scale = _scale(a)

    def run(x: _Searcher) -> None:
        while (spent := time.perf_counter() - began) < seconds and x.best > 0 and not (stop is not None and stop()):
            x.slice(_temperature(spent / seconds) * scale, _temperature((spent + _SLICE) / seconds) * scale)

    with ThreadPoolExecutor(len(searchers)) as pool:
        running = [pool.submit(run, x) for x in searchers]
        while told is not None and wait(running, _TELL).not_done:
            if min(x.kept[0] for x in searchers) < said:
                found = _found(a, searchers, began)
                said = found.objective
                told(found)
        for r in running:
            r.result()
    found = _found(a, searchers, began)
    return found if found.objective <= plan.objective or not plan.assigned else plan


def _found(a: Arrays, searchers: list[_Searcher], began: float) -> Plan:
    _, order, picks = min((x.kept for x in searchers), key=lambda k: k[0])
    w = work(a.tables, 0)
    w.order[:] = order
    w.op[:, PICK] = picks
    return plan_of(a, w, "annealing", time.perf_counter() - began)


def _temperature(fraction: float) -> float:
    return float(_HOT * (_COLD / _HOT) ** min(1.0, fraction))


def _scale(a: Arrays) -> float:
    """A typical step of the objective: one operation's duration, at the weights of the problem."""
    t = a.tables
    duration = max(1.0, float(t.choice[:, C_DURATION].mean()))
    weight = float(t.job[:-1, J_WEIGHT].mean())
    return duration * max(t.scalars[W_TARDINESS] * weight, t.scalars[W_MAKESPAN], t.scalars[W_SETUP])
