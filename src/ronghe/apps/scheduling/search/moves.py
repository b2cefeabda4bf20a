"""What a search changes: an operation goes before or behind another, on its own machine or another one.

Only what lies on the path that decides when a late job ends can make it earlier, so that is where most moves begin (after Balas and
Vazacopoulos 1998; for weighted tardiness Kreipl 2000).
"""

from __future__ import annotations

from typing import Final

from ronghe.apps.scheduling.arrays import BEFORE, C_MACHINE, CHOICE, FAMILY, FIXED, J_FIRST, W_MAKESPAN, Ints, Tables
from ronghe.apps.scheduling.search.compiled import kernel
from ronghe.apps.scheduling.search.decode import BOUND, END, MARK, PATH, PICK, PLACE, PREVIOUS, Work

_PATH: Final = 400  # operations looked at
_WIDTH: Final = 6  # neighbours on a machine an operation may jump over at once
_FAMILY: Final = 12  # how far back to look for its own family


@kernel
def draw(random: Ints, n: int) -> int:
    """0 <= x < n at random (a 64-bit linear congruential generator, Knuth's MMIX constants)."""
    random[0] = random[0] * 6364136223846793005 + 1442695040888963407
    return ((random[0] >> 33) & 0x7FFFFFFF) % n


@kernel
def _ender(t: Tables, w: Work) -> int:
    """An operation that ends a late job, the later and weightier the likelier; or the one that ends the plan. -1 where nothing is late."""
    j = len(t.job) - 1
    if t.scalars[W_MAKESPAN] > 0.0 and (w.sums[j] <= 0.0 or draw(w.random, 2)):
        x = 0
        for i in range(len(w.op)):
            if w.op[i, END] > w.op[x, END]:
                x = i
        return x
    if w.sums[j] <= 0.0:
        return -1
    left, job = w.sums[j] * (draw(w.random, 1 << 30) / (1 << 30)), 0
    while job < j - 1 and left >= w.sums[job]:
        left -= w.sums[job]
        job += 1
    x = int(t.job[job, J_FIRST])
    for i in range(x, int(t.job[job + 1, J_FIRST])):
        if w.op[i, END] > w.op[x, END]:
            x = i
    return x


@kernel
def critical(t: Tables, w: Work) -> int:
    """An operation on the path that decides a late job's end; any at all now and then; -1 where there is nothing to improve on it."""
    x = _ender(t, w) if draw(w.random, 8) else -1
    n = 0
    while x >= 0 and not t.op[x, FIXED] and n < min(_PATH, len(w.op)):
        w.op[n, PATH] = x
        n += 1
        if w.op[x, BOUND] and w.op[x, PREVIOUS] >= 0:
            x = w.op[x, PREVIOUS]
            continue
        latest = -1
        for b in range(t.op[x, BEFORE], t.op[x + 1, BEFORE]):
            if latest < 0 or w.op[t.before[b], END] > w.op[latest, END]:
                latest = t.before[b]
        x = latest
    return w.op[draw(w.random, n), PATH] if n else w.order[draw(w.random, len(w.order))]


@kernel
def _neighbour(choice: Ints, order: Ints, op: Ints, at: int, m: int, step: int, count: int) -> int:
    """Position of the count-th operation on machine m from `at` on, forwards or back; the last there is; `at` where there is none."""
    found, x, looked = at, at + step, 0
    while 0 <= x < len(order) and count > 0 and looked < _PATH:
        if choice[op[order[x], PICK], C_MACHINE] == m:
            found = x
            count -= 1
        x += step
        looked += 1
    return found


@kernel
def propose(t: Tables, w: Work) -> tuple[int, int, int]:
    """(operation, position it goes to, its choice): one move."""
    v = critical(t, w)
    c = w.op[v, PICK]
    m, at = t.choice[c, C_MACHINE], w.op[v, PLACE]
    first, choices = t.op[v, CHOICE], t.op[v + 1, CHOICE] - t.op[v, CHOICE]
    kind = draw(w.random, 100)
    if choices > 1 and kind < (35 if w.op[v, BOUND] else 70):
        other = first + draw(w.random, choices - 1)
        other += other >= c
        count = draw(w.random, _WIDTH + 1) - _WIDTH // 2
        to = _neighbour(t.choice, w.order, w.op, at, t.choice[other, C_MACHINE], -1 if count < 0 else 1, abs(count))
        return v, to, other
    if kind < 70:
        return v, _neighbour(t.choice, w.order, w.op, at, m, -1, 1 + draw(w.random, 1 + draw(w.random, _WIDTH))), c
    if kind < 85:
        u = w.op[v, PREVIOUS]
        if w.op[v, BOUND] and u >= 0 and not t.op[u, FIXED]:
            return (
                u,
                _neighbour(t.choice, w.order, w.op, w.op[u, PLACE], m, 1, 1 + draw(w.random, 1 + draw(w.random, _WIDTH))),
                w.op[u, PICK],
            )
        return v, _neighbour(t.choice, w.order, w.op, at, m, 1, 1 + draw(w.random, _WIDTH)), c
    u = w.op[v, PREVIOUS]
    for _ in range(_FAMILY):
        if u < 0 or t.op[u, FIXED]:
            break
        if t.op[u, FAMILY] == t.op[v, FAMILY] and u != w.op[v, PREVIOUS]:
            return v, w.op[u, PLACE] + 1, c
        u = w.op[u, PREVIOUS]
    return v, _neighbour(t.choice, w.order, w.op, at, m, -1, 1), c


@kernel
def relocate(t: Tables, w: Work, v: int, to: int) -> bool:
    """Operation v goes before (or, later in the order, behind) the one at position `to`, and takes with it what must stay on its side of
    it. False, with nothing changed, where that one is itself bound to v. The old order stays in `buffer`."""
    at = w.op[v, PLACE]
    lo, hi = min(at, to), max(at, to)
    for x in range(lo, hi + 1):
        w.buffer[x] = w.order[x]
    w.random[1] += 1
    mark = w.random[1]
    w.op[v, MARK] = mark
    if at < to:
        for x in range(lo + 1, hi + 1):
            i = w.order[x]
            for b in range(t.op[i, BEFORE], t.op[i + 1, BEFORE]):
                if w.op[t.before[b], MARK] == mark:
                    w.op[i, MARK] = mark
    else:
        for x in range(hi, lo - 1, -1):
            i = w.order[x]
            if w.op[i, MARK] == mark:
                for b in range(t.op[i, BEFORE], t.op[i + 1, BEFORE]):
                    w.op[t.before[b], MARK] = mark
    if at != to and w.op[w.order[to], MARK] == mark:
        return False
    x = lo
    for marked in range(2):
        for y in range(lo, hi + 1):
            if (w.op[w.buffer[y], MARK] == mark) == (marked == (at < to)):
                w.order[x] = w.buffer[y]
                x += 1
    return True
