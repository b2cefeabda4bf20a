"""An old order with as little changed as the new facts demand."""

from __future__ import annotations

import numpy as np

from ronghe.apps.scheduling.arrays import CHOICE, Ints, Tables
from ronghe.apps.scheduling.search.compiled import kernel
from ronghe.apps.scheduling.search.decode import PICK, Work
from ronghe.apps.scheduling.search.dispatching import find_apart, ready_apart
from ronghe.apps.scheduling.search.placing import P_END, P_START, Shop, reset, settle


@kernel
def shift(t: Tables, s: Shop, w: Work, until: Ints) -> bool:
    """Places `w.order`. An operation keeps its machine where it can start by `until` (n,); otherwise it goes where it ends first, its own
    machine before others. False where one has no place for ever."""
    reset(t, s)
    for x in range(len(w.order)):
        i = w.order[x]
        c = w.op[i, PICK]
        at = ready_apart(t, s, i)
        best, end = -1, np.int64(1) << 60
        if find_apart(t, s, i, c, at):
            best, end = c, s.place[P_END]
        if best < 0 or s.place[P_START] > until[i]:
            for other in range(t.op[i, CHOICE], t.op[i + 1, CHOICE]):
                if other != c and find_apart(t, s, i, other, at) and s.place[P_END] < end:
                    best, end = other, s.place[P_END]
        if best < 0 or not find_apart(t, s, i, best, at):
            return False
        w.op[i, PICK] = best
        settle(t, s, i, best)
    return True
