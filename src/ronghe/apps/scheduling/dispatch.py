"""Dispatching rules: a feasible plan in milliseconds, and what every search is measured against.

ATC (apparent tardiness cost, Vepsalainen and Morton 1987) and ATCS, the same with set-ups (Lee, Bhaskaran and Pinedo 1997):
w/p · exp(−max(0, d − p − tail·b − t) / (k1 · p̄)) · exp(−s / (k2 · s̄)), k1 and k2 the look-ahead and set-up scales, `tail` the work of
the job still to come, b its lead-time factor. EDD takes the earliest due date first, SPT the shortest operation.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Final, NamedTuple

import numpy as np

from ronghe.apps.scheduling.arrays import C_DURATION, Arrays
from ronghe.apps.scheduling.problem import Plan, Problem
from ronghe.apps.scheduling.search.annealing import keep_best
from ronghe.apps.scheduling.search.decode import BEST, PICK, Work, decode, plan_of, work
from ronghe.apps.scheduling.search.dispatching import ATCS, EDD, SPT, dispatch
from ronghe.apps.scheduling.search.placing import Shop, shop


class Rule(NamedTuple):
    """One rule with its scales. k2 None: without set-ups (plain ATC). `soonest`: the operation chosen goes where it would end first."""

    kind: int
    k1: float = 2.0
    k2: float | None = None
    lead: float = 1.0
    soonest: bool = False

    @property
    def name(self) -> str:
        if self.kind != ATCS:
            return "EDD" if self.kind == EDD else "SPT"
        scales = f"k1={self.k1:g}" + ("" if self.k2 is None else f", k2={self.k2:g}") + f", lead={self.lead:g}"
        return f"{'ATC' if self.k2 is None else 'ATCS'}({scales}{', soonest' if self.soonest else ''})"


_K1: Final = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
_K2: Final = (0.1, 0.25, 0.5, 1.0, 2.0)
_LEADS: Final = (1.0, 2.0, 3.0)

ATC_GRID: Final = tuple(Rule(ATCS, k1, None, b, s) for k1 in _K1 for b in _LEADS for s in (False, True))
ATCS_GRID: Final = tuple(Rule(ATCS, k1, k2, b, s) for k1 in _K1 for k2 in _K2 for b in _LEADS for s in (False, True))
QUICK: Final = (
    Rule(ATCS, 2.0, 0.5, 1.0, True),
    Rule(ATCS, 1.0, 0.25, 2.0),
    Rule(ATCS, 4.0, 0.25, 1.0, True),
    Rule(ATCS, 0.5, 0.5, 2.0),
    Rule(EDD),
    Rule(SPT, soonest=True),
)
"""What `first` tries, as far as its time goes."""


def by_rule(problem: Problem | Arrays, rules: Iterable[Rule], seconds: float | None = None) -> Plan:
    """The best plan that one of `rules` gives; no rule is begun after `seconds`, but the first always is. Status "unknown" and no
    operations where one has no place on any of its machines for ever."""
    began = time.perf_counter()
    a = problem if isinstance(problem, Arrays) else Arrays.of(problem)
    s, w = shop(a.tables), work(a.tables, 0)
    best, by = np.inf, ""
    for rule in rules:
        if by and seconds is not None and time.perf_counter() - began > seconds:
            break
        cost = _try(a, s, w, rule)
        if not by or cost < best:
            best, by = cost, rule.name
            keep_best(w)
    w.order[:] = w.best
    w.op[:, PICK] = w.op[:, BEST]
    if not np.isfinite(best):
        return Plan(assigned=(), objective=np.inf, status="unknown", seconds=time.perf_counter() - began, by=by)
    return plan_of(a, w, by, time.perf_counter() - began)


def first(problem: Problem | Arrays) -> Plan:
    """A feasible plan at once: the best of a few rules within some 30 ms."""
    return by_rule(problem, QUICK, 0.03)


def _try(a: Arrays, s: Shop, w: Work, rule: Rule) -> float:
    t = a.tables
    duration = float(t.choice[:, C_DURATION].mean()) if len(t.choice) else 1.0
    pairs = t.setup[:, 1:, 1:]
    setup = float(pairs[pairs > 0].mean()) if (pairs > 0).any() else 0.0
    numbers = np.array([rule.kind, rule.k1 * max(duration, 1e-9), (rule.k2 or 0.0) * setup, rule.lead])
    if not dispatch(t, s, w, numbers, rule.soonest, np.zeros(len(t.op), np.int64)):
        return np.inf
    return float(decode(t, s, w, 0, np.inf, False)[0])
