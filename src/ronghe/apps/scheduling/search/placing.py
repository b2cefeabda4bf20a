"""Where one operation goes on one machine: the semantics of `ronghe.apps.scheduling.problem`, compiled.

An operation is always appended behind what its machine already holds (behind fixed operations where it does not fit before them); which
plan comes out is decided by the order in which operations are placed and by their machines alone.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from ronghe.apps.scheduling.arrays import (
    BEFORE,
    BEGUN,
    C_CALENDAR,
    C_DURATION,
    C_MACHINE,
    CREW,
    FAMILY,
    FIXED_CALENDAR,
    FIXED_END,
    FIXED_START,
    FOREVER,
    J_RELEASE,
    JOB,
    LATEST,
    M_BATCH,
    M_FAMILY,
    M_FIX,
    M_SETUPS,
    NOW,
    PAUSES,
    PEOPLE,
    USES,
    Floats,
    Ints,
    Tables,
)
from ronghe.apps.scheduling.search.compiled import inlined, kernel

# Columns of a machine's state: when it is free, its family, its next fixed operation, the last one placed; then its latest batch.
S_FREE, S_FAMILY, S_NEXT, S_LAST, S_COUNT, S_SETUP, S_START, S_END, S_DURATION, S_CALENDAR, S_LEADER, S_BEFORE = range(12)
# Columns of a found place; BOUND says whether the machine (1) or what comes before in the job (0) decided.
P_SETUP, P_START, P_END, P_NEXT, P_JOINED, P_COST, P_BOUND, P_PREVIOUS = range(8)
_NEVER: Final = FOREVER // 2
_SHORT: Final = 1e-6  # of a material's quantity, relative


class Shop(NamedTuple):
    """What changes while operations are placed. m machines, j jobs, p pools, q materials, n operations."""

    machine: Ints  # (m, 12)
    end: Ints  # (n,)
    taken: Floats  # (q,)
    step_at: Ints  # (p, c) people in use: `step_level` from each tick on
    step_level: Ints  # (p, c)
    steps: Ints  # (p,)
    place: Ints  # (8,) the latest place found


def shop(t: Tables) -> Shop:
    """An empty shop for `t`; `reset` fills it."""
    n, pools = len(t.op) - 1, len(t.pool)
    room = 2 * n + 2 if pools else 1
    return Shop(
        np.zeros((len(t.machine) - 1, 12), np.int64),
        np.zeros(n, np.int64),
        np.zeros(max(0, len(t.supply_ptr) - 1), np.float64),
        np.zeros((pools, room), np.int64),
        np.zeros((pools, room), np.int64),
        np.zeros(pools, np.int64),
        np.zeros(8, np.int64),
    )


@kernel
def _window(window_ptr: Ints, window: Ints, calendar: int, at: int) -> int:
    """The first window that ends after `at`."""
    lo, hi = window_ptr[calendar], window_ptr[calendar + 1]
    while lo < hi:
        mid = (lo + hi) >> 1
        if window[mid, 1] > at:
            hi = mid
        else:
            lo = mid + 1
    return lo


@kernel
def back(window_ptr: Ints, window: Ints, calendar: int, at: int, work: int) -> int:
    """The latest tick from which `work` ticks are worked until `at`."""
    k = _window(window_ptr, window, calendar, at - 1)
    if k == window_ptr[calendar + 1] or window[k, 0] >= at:
        k -= 1
    while work > 0 and k >= window_ptr[calendar]:
        to = min(at, window[k, 1])
        if work <= to - window[k, 0]:
            return to - work
        work -= to - window[k, 0]
        k -= 1
    return at


@kernel
def _advance(window: Ints, k: int, last: int, at: int, work: int) -> tuple[int, int]:
    """(end, window) of `work` ticks from `at` in window k, over pauses; (-1, first window of the next span) where a stop is in the way."""
    span = window[k, 2]
    while work > window[k, 1] - at:
        work -= window[k, 1] - at
        k += 1
        if k >= last or window[k, 2] != span:
            return -1, k
        at = window[k, 0]
    return at + work, k


@kernel
def fit(
    window_ptr: Ints, window: Ints, calendar: int, pauses: int, free: int, ready: int, setup: int, duration: int
) -> tuple[int, int, int]:
    """The earliest (setup_start, start, end) with setup_start >= free and start >= ready that the calendar allows; FOREVER if none."""
    k, last = window_ptr[calendar], window_ptr[calendar + 1]
    if last - k == 1 and window[k, 0] < 0 and window[k, 1] == FOREVER:
        start = max(free + setup, ready)
        return start - setup, start, start + duration
    k = _window(window_ptr, window, calendar, free)
    while k < last:
        low = max(window[k, 0], free)
        if not pauses:
            start = max(low + setup, ready)
            if start + duration <= window[k, 1]:
                return start - setup, start, start + duration
            k += 1
            continue
        span = window[k, 2]
        done, at = _advance(window, k, last, low, setup)
        if done < 0:
            k = at
            continue
        start = max(done, ready)
        while at < last and start >= window[at, 1]:
            at += 1
            if at < last:
                start = max(start, window[at, 0])
        if at >= last or window[at, 2] != span:
            k = at
            continue
        end, beyond = _advance(window, at, last, start, duration)
        if end < 0:
            k = beyond
            continue
        begin = start if setup == 0 else (low if start == done else back(window_ptr, window, calendar, start, setup))
        return begin, start, end
    return FOREVER, FOREVER, FOREVER


@kernel
def _crowded(people: Ints, pool: Ints, step_at: Ints, step_level: Ints, steps: Ints, first: int, last: int, begin: int, end: int) -> int:
    """Where people rows first:last are short in [begin, end): the tick from which on they may not be; -1 where they suffice."""
    until = -1
    for x in range(first, last):
        p = people[x, 0]
        spare = pool[p] - people[x, 1]
        lo, hi = 0, steps[p]
        while hi - lo > 1:
            mid = (lo + hi) >> 1
            if step_at[p, mid] <= begin:
                lo = mid
            else:
                hi = mid
        while lo < steps[p] and step_at[p, lo] < end:
            if step_level[p, lo] > spare:
                until = max(until, step_at[p, lo + 1] if lo + 1 < steps[p] else FOREVER)
            lo += 1
    return until


@kernel
def _step(step_at: Ints, step_level: Ints, steps: Ints, p: int, at: int) -> int:
    """The index of the step that begins at `at`, made where there is none."""
    k = steps[p]
    while k > 0 and step_at[p, k - 1] > at:
        k -= 1
    if k > 0 and step_at[p, k - 1] == at:
        return k - 1
    for x in range(steps[p], k, -1):
        step_at[p, x] = step_at[p, x - 1]
        step_level[p, x] = step_level[p, x - 1]
    step_at[p, k] = at
    step_level[p, k] = step_level[p, k - 1]
    steps[p] += 1
    return k


@kernel
def employ(t: Tables, s: Shop, i: int, begin: int, end: int) -> None:
    """The people of operation i are in use in [begin, end)."""
    if end <= begin:
        return
    for x in range(t.op[i, PEOPLE], t.op[i + 1, PEOPLE]):
        p = t.people[x, 0]
        first = _step(s.step_at, s.step_level, s.steps, p, begin)
        for k in range(first, _step(s.step_at, s.step_level, s.steps, p, end)):
            s.step_level[p, k] += t.people[x, 1]


@kernel
def reset(t: Tables, s: Shop) -> None:
    """The shop before anything but what is fixed is placed."""
    for m in range(len(t.machine) - 1):
        for x in range(12):
            s.machine[m, x] = 0
        s.machine[m, S_FREE] = -FOREVER
        s.machine[m, S_FAMILY] = t.machine[m, M_FAMILY]
        s.machine[m, S_NEXT] = t.machine[m, M_FIX]
        s.machine[m, S_LAST] = -1
        s.machine[m, S_LEADER] = -1
        s.machine[m, S_BEFORE] = -1
    for q in range(len(s.taken)):
        s.taken[q] = 0.0
    for p in range(len(t.pool)):
        s.steps[p] = 1
        s.step_at[p, 0] = -FOREVER
        s.step_level[p, 0] = 0
    for m in range(len(t.machine) - 1):
        for x in range(t.machine[m, M_FIX], t.machine[m + 1, M_FIX]):
            i = t.fix[x]
            s.end[i] = t.op[i, FIXED_END]
            begin = t.op[i, FIXED_START]
            if not t.op[i, BEGUN]:  # its set-up depends on what will lie before it: the longest counts
                longest = 0
                for f in range(t.setup.shape[1]):
                    longest = max(longest, t.setup[t.machine[m, M_SETUPS], f, t.op[i, FAMILY]])
                begin = back(t.window_ptr, t.window, t.op[i, FIXED_CALENDAR], begin, longest)
            employ(t, s, i, begin, t.op[i, FIXED_END])


@inlined
def ready(t: Tables, s: Shop, i: int) -> int:
    """From when on operation i could start: release, what comes before it, its materials; FOREVER where material never suffices."""
    at = max(int(t.job[t.op[i, JOB], J_RELEASE]), int(t.scalars[NOW]))
    for x in range(t.op[i, BEFORE], t.op[i + 1, BEFORE]):
        at = max(at, s.end[t.before[x]])
    for x in range(t.op[i, USES], t.op[i + 1, USES]):
        q = int(t.uses[x, 0])
        needed = (s.taken[q] + t.uses[x, 1]) * (1.0 - _SHORT)
        k, last = t.supply_ptr[q], t.supply_ptr[q + 1]
        while k < last and t.supply[k, 1] < needed:
            k += 1
        if k == last:
            return FOREVER
        at = max(at, int(t.supply[k, 0]))
    return at


@inlined
def find(t: Tables, s: Shop, i: int, c: int, at: int) -> bool:
    """Finds the place of operation i by its choice c, not before `at`, and leaves it in `s.place`; False where there is none for ever."""
    m, duration, calendar = t.choice[c, C_MACHINE], t.choice[c, C_DURATION], t.choice[c, C_CALENDAR]
    family = t.op[i, FAMILY]
    if 0 < s.machine[m, S_COUNT] < t.machine[m, M_BATCH]:
        lead = s.machine[m, S_LEADER]
        same = t.op[lead, FAMILY] == family and t.op[lead, CREW] == t.op[i, CREW] and t.op[lead, PAUSES] == t.op[i, PAUSES]
        if same and s.machine[m, S_CALENDAR] == calendar and duration <= s.machine[m, S_DURATION] and at <= s.machine[m, S_START]:
            s.place[P_SETUP], s.place[P_START], s.place[P_END] = s.machine[m, S_SETUP], s.machine[m, S_START], s.machine[m, S_END]
            s.place[P_NEXT], s.place[P_JOINED], s.place[P_COST], s.place[P_BOUND] = s.machine[m, S_NEXT], 1, 0, 0
            s.place[P_PREVIOUS] = s.machine[m, S_BEFORE]
            return s.machine[m, S_END] <= t.op[i, LATEST]
    free, before, k, cost, previous = s.machine[m, S_FREE], s.machine[m, S_FAMILY], s.machine[m, S_NEXT], 0, s.machine[m, S_LAST]
    now = int(t.scalars[NOW])
    while True:
        setup = t.setup[t.machine[m, M_SETUPS], before, family] if before and family else 0
        low = max(free, now)
        begin, start, end = fit(t.window_ptr, t.window, calendar, t.op[i, PAUSES], low, at, setup, duration)
        while start < _NEVER and t.op[i, PEOPLE] < t.op[i + 1, PEOPLE]:
            until = _crowded(t.people, t.pool, s.step_at, s.step_level, s.steps, t.op[i, PEOPLE], t.op[i + 1, PEOPLE], begin, end)
            if until < 0:
                break
            begin, start, end = (
                (FOREVER, FOREVER, FOREVER)
                if until >= _NEVER
                else fit(t.window_ptr, t.window, calendar, t.op[i, PAUSES], until, at, setup, duration)
            )
        if k == t.machine[m + 1, M_FIX]:
            break
        f = t.fix[k]
        kept = family if family else before
        then = t.setup[t.machine[m, M_SETUPS], kept, t.op[f, FAMILY]] if kept and t.op[f, FAMILY] and not t.op[f, BEGUN] else 0
        if end <= back(t.window_ptr, t.window, t.op[f, FIXED_CALENDAR], t.op[f, FIXED_START], then):
            break
        if before and t.op[f, FAMILY] and not t.op[f, BEGUN]:
            cost += t.setup[t.machine[m, M_SETUPS], before, t.op[f, FAMILY]]
        before = t.op[f, FAMILY] if t.op[f, FAMILY] else before
        free, previous, k = max(free, t.op[f, FIXED_END]), f, k + 1
    s.place[P_SETUP], s.place[P_START], s.place[P_END], s.place[P_NEXT], s.place[P_JOINED] = begin, start, end, k, 0
    s.place[P_COST], s.place[P_BOUND], s.place[P_PREVIOUS] = cost + setup, low + setup >= at, previous
    return end < _NEVER and end <= t.op[i, LATEST]


@inlined
def settle(t: Tables, s: Shop, i: int, c: int) -> None:
    """Operation i takes the place last found for its choice c."""
    m = t.choice[c, C_MACHINE]
    s.end[i] = s.place[P_END]
    for x in range(t.op[i, USES], t.op[i + 1, USES]):
        s.taken[int(t.uses[x, 0])] += t.uses[x, 1]
    if s.place[P_JOINED]:
        s.machine[m, S_COUNT] += 1
        return
    if t.op[i, PEOPLE] < t.op[i + 1, PEOPLE]:
        employ(t, s, i, s.place[P_SETUP], s.place[P_END])
    if s.place[P_NEXT] > s.machine[m, S_NEXT]:
        for k in range(s.machine[m, S_NEXT], s.place[P_NEXT]):
            if t.op[t.fix[k], FAMILY]:
                s.machine[m, S_FAMILY] = t.op[t.fix[k], FAMILY]
        s.machine[m, S_NEXT] = s.place[P_NEXT]
    s.machine[m, S_FREE], s.machine[m, S_LAST] = s.place[P_END], i
    if t.op[i, FAMILY]:
        s.machine[m, S_FAMILY] = t.op[i, FAMILY]
    if t.machine[m, M_BATCH] > 1:
        s.machine[m, S_COUNT], s.machine[m, S_SETUP], s.machine[m, S_START], s.machine[m, S_END] = (
            1,
            s.place[P_SETUP],
            s.place[P_START],
            s.place[P_END],
        )
        s.machine[m, S_DURATION], s.machine[m, S_CALENDAR], s.machine[m, S_LEADER] = t.choice[c, C_DURATION], t.choice[c, C_CALENDAR], i
        s.machine[m, S_BEFORE] = s.place[P_PREVIOUS]


@kernel
def remaining(t: Tables, s: Shop) -> int:
    """Set-ups of the fixed operations behind everything placed."""
    cost = 0
    for m in range(len(t.machine) - 1):
        before = s.machine[m, S_FAMILY]
        for k in range(s.machine[m, S_NEXT], t.machine[m + 1, M_FIX]):
            f = t.fix[k]
            if before and t.op[f, FAMILY] and not t.op[f, BEGUN]:
                cost += t.setup[t.machine[m, M_SETUPS], before, t.op[f, FAMILY]]
            before = t.op[f, FAMILY] if t.op[f, FAMILY] else before
    return cost
