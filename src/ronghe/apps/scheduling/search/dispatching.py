"""List scheduling by priority, compiled: whenever a machine could begin something, the most urgent of what it could begin goes first."""

from __future__ import annotations

from typing import Final

import numpy as np

from ronghe.apps.scheduling.arrays import (
    BEFORE,
    C_DURATION,
    C_MACHINE,
    CHOICE,
    FAMILY,
    FIXED,
    J_DUE,
    J_WEIGHT,
    JOB,
    M_SETUPS,
    TAIL,
    Floats,
    Ints,
    Tables,
)
from ronghe.apps.scheduling.search.compiled import NONE, kernel
from ronghe.apps.scheduling.search.decode import PICK, Work
from ronghe.apps.scheduling.search.placing import P_END, P_SETUP, S_FAMILY, Shop, find, ready, reset, settle

ATCS, EDD, SPT = range(3)
_LIGHT: Final = 1e-9  # weight of what has none


@kernel
def ready_apart(t: Tables, s: Shop, i: int) -> int:
    """`ready`, compiled once and not into each place that calls it."""
    return ready(t, s, i)


@kernel
def find_apart(t: Tables, s: Shop, i: int, c: int, at: int) -> bool:
    """`find`, compiled once and not into each place that calls it."""
    return find(t, s, i, c, at)


@kernel
def urgency(t: Tables, s: Shop, i: int, c: int, at: int, rule: Floats) -> float:
    """The priority of operation i by choice c at tick `at`, larger first. `rule`: kind, k1 · p̄, k2 · s̄, lead."""
    job, duration = t.op[i, JOB], t.choice[c, C_DURATION]
    if rule[0] == EDD:
        return -t.job[job, J_DUE]
    if rule[0] == SPT:
        return -float(duration)
    m = t.choice[c, C_MACHINE]
    before, family = s.machine[m, S_FAMILY], t.op[i, FAMILY]
    setup = t.setup[t.machine[m, M_SETUPS], before, family] if before and family else 0
    slack = max(0.0, t.job[job, J_DUE] - duration - rule[3] * t.op[i, TAIL] - at)
    value = np.log(max(t.job[job, J_WEIGHT], _LIGHT) / max(duration, 1))
    return value - slack / rule[1] - (setup / rule[2] if rule[2] > 0.0 else 0.0)


@kernel
def dispatch(t: Tables, s: Shop, w: Work, rule: Floats, soonest: bool, waiting: Ints) -> bool:
    """Fills `w.order` and its picks by `rule`; with `soonest` the operation chosen goes where it would end first, else to the machine that
    chose it. `waiting` (n,) is scratch. False where an operation has no place on any machine for ever."""
    reset(t, s)
    n, count = len(w.op), 0
    placed = w.buffer
    for i in range(n):
        waiting[i] = -1 if t.op[i, FIXED] else 0
    while count < len(w.order):
        earliest = np.int64(1) << 60
        chosen, choice, value = NONE, NONE, -np.inf
        for i in range(n):
            if waiting[i] != 0:
                continue
            free = True
            for b in range(t.op[i, BEFORE], t.op[i + 1, BEFORE]):
                free = free and waiting[t.before[b]] < 0
            if not free:
                continue
            at = ready_apart(t, s, i)
            for c in range(t.op[i, CHOICE], t.op[i + 1, CHOICE]):
                if not find_apart(t, s, i, c, at):
                    continue
                begin = s.place[P_SETUP]
                if begin > earliest:
                    continue
                urgent = urgency(t, s, i, c, begin, rule)
                if begin < earliest or urgent > value:
                    earliest, chosen, choice, value = begin, i, c, urgent
        if chosen < 0:
            return False
        if soonest:
            choice = _soonest(t, s, chosen, choice)
        find_apart(t, s, chosen, choice, ready_apart(t, s, chosen))
        settle(t, s, chosen, choice)
        placed[count], w.op[chosen, PICK], waiting[chosen] = chosen, choice, -1
        count += 1
    for x in range(count):
        w.order[x] = placed[x]
    return True


@kernel
def _soonest(t: Tables, s: Shop, i: int, otherwise: int) -> int:
    """The choice by which operation i would end first."""
    best, end, at = otherwise, np.int64(1) << 60, ready_apart(t, s, i)
    for c in range(t.op[i, CHOICE], t.op[i + 1, CHOICE]):
        if find_apart(t, s, i, c, at) and s.place[P_END] < end:
            best, end = c, s.place[P_END]
    return best
