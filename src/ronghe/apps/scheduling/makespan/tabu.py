"""Tabu search on the disjunctive graph, compiled.

Neighbours: on one critical path, drawn at random, an operation of a block moves to the block's ends, or an end into it (N7: Zhang, Li, Guan
and Rao 2007, Computers & OR 34; N6: Balas and Vazacopoulos 1998, Management Science 44), and, where there is a choice, it moves to another
machine, at the positions that are feasible and among which the best is (Mastrolilli and Gambardella 2000, Journal of Scheduling 3).
A neighbour is judged by the longest path through what moved, from heads and tails of before (Balas and Vazacopoulos). Tabu is what turns
an arc back that was just turned (Dell'Amico and Trubian 1993), or leads back to the machine just left.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ronghe.apps.scheduling.makespan.graph import Graph, Ints, duration, kernel

_NONE = 1 << 62
_PAIRS = 1 << 22  # as many arcs, and as many choices, as are told apart at most


@kernel
def _longest(before, after, release, mp, ms, p, order, r, t, waits):  # type: ignore[no-untyped-def]
    """Heads, tails and a topological order, in place; the make-span, or −1 where there is a cycle."""
    n = len(before)
    full = 0
    for i in range(n):
        w = int(before[i] >= 0) + int(mp[i] >= 0)
        waits[i] = w
        if w == 0:
            order[full] = i
            full += 1
    k = 0
    while k < full:
        i = order[k]
        k += 1
        s = release[i]
        b, m = before[i], mp[i]
        if b >= 0:
            s = max(s, r[b] + p[b])
        if m >= 0:
            s = max(s, r[m] + p[m])
        r[i] = s
        a, m = after[i], ms[i]
        if a >= 0:
            waits[a] -= 1
            if waits[a] == 0:
                order[full] = a
                full += 1
        if m >= 0:
            waits[m] -= 1
            if waits[m] == 0:
                order[full] = m
                full += 1
    if full < n:
        return -1
    makespan = 0
    for k in range(n - 1, -1, -1):
        i = order[k]
        a, m = after[i], ms[i]
        x = 0
        if a >= 0:
            x = t[a]
        if m >= 0:
            x = max(x, t[m])
        t[i] = x + p[i]
        makespan = max(makespan, r[i] + t[i])
    return makespan


@kernel
def _critical(after, release, ms, p, r, t, makespan, path):  # type: ignore[no-untyped-def]
    """One longest path, drawn at random, into `path`; its length."""
    n, seen, u = len(after), 0, -1
    for i in range(n):
        if r[i] == release[i] and r[i] + t[i] == makespan:
            seen += 1
            if np.random.randint(seen) == 0:
                u = i
    length = 0
    while u >= 0:
        path[length] = u
        length += 1
        a, m = after[u], ms[u]
        end = r[u] + p[u]
        by_job = a >= 0 and r[a] == end and end + t[a] == makespan
        by_machine = m >= 0 and r[m] == end and end + t[m] == makespan
        if by_job and by_machine:
            u = a if np.random.randint(2) else m
        elif by_job:
            u = a
        elif by_machine:
            u = m
        else:
            u = -1
    return length


@kernel
def _judge(before, after, release, mp, ms, p, r, t, first, last, right, segment, heads, until, moves):  # type: ignore[no-untyped-def]
    """The longest path through a stretch of a machine after `first` went behind `last` (right) or `last` before `first`, and whether
    that is tabu. (−1, True) where it could make a cycle."""
    if right:
        a = after[first]
        if a >= 0 and (a == last or t[a] > t[last]):
            return -1, True
    else:
        b = before[last]
        if b >= 0 and (b == first or r[b] + p[b] > r[first] + p[first]):
            return -1, True
    length = 0
    if not right:
        segment[0] = last
        length = 1
    u = ms[first] if right else first
    stop = ms[last] if right else last
    while u != stop:
        segment[length] = u
        length += 1
        u = ms[u]
    if right:
        segment[length] = first
        length += 1
    m = mp[first]
    free = r[m] + p[m] if m >= 0 else 0
    n = len(before)
    tabu = False
    for k in range(length):
        u = segment[k]
        if right and k < length - 1:
            tabu |= until[(u * n + first) % len(until)] > moves
        elif not right and k > 0:
            tabu |= until[(last * n + u) % len(until)] > moves
        b = before[u]
        s = max(release[u], free)
        if b >= 0:
            s = max(s, r[b] + p[b])
        heads[k] = s
        free = s + p[u]
    m = ms[last]
    tail = t[m] if m >= 0 else 0
    worst = 0
    for k in range(length - 1, -1, -1):
        u = segment[k]
        a = after[u]
        if a >= 0:
            tail = max(tail, t[a])
        tail += p[u]
        worst = max(worst, heads[k] + tail)
    return worst, tabu


@kernel
def _offer(pick, guess, forbidden, u, m, behind):  # type: ignore[no-untyped-def]
    """Keeps the best neighbour that is not forbidden, and any at all, both drawn among equals. `pick`: value, how many equal it, and the
    move (u to m behind `behind`); how many were offered, and one of them."""
    pick[5] += 1
    if np.random.randint(pick[5]) == 0:
        pick[6], pick[7], pick[8] = u, m, behind
    if forbidden or guess > pick[0]:
        return
    if guess < pick[0]:
        pick[0], pick[1] = guess, 0
    pick[1] += 1
    if np.random.randint(pick[1]) == 0:
        pick[2], pick[3], pick[4] = u, m, behind


@kernel
def _blocks(before, after, release, mp, ms, p, r, t, on, path, length, best, until, moves, segment, heads, pick):  # type: ignore[no-untyped-def]
    """Offers the neighbours within machines: of each block, any operation to either end, and either end to anywhere inside."""
    k = 0
    while k < length:
        end = k
        while end + 1 < length and ms[path[end]] == path[end + 1]:
            end += 1
        for x in range(k, end + 1):
            for way in range(4):
                right = way in (0, 2)
                a, b = (x, end) if way in (0, 3) else (k, x)
                # Neighbours that only change places are the same either way: they are judged once.
                if a == b or (way >= 2 and x in (k, end)) or (b == a + 1 and not right):
                    continue
                guess, forbidden = _judge(before, after, release, mp, ms, p, r, t, path[a], path[b], right, segment, heads, until, moves)
                if guess >= 0:
                    u = path[a] if right else path[b]
                    _offer(pick, guess, forbidden and guess >= best, u, on[u], path[b] if right else mp[path[a]])
        k = end + 1


@kernel
def _elsewhere(before, after, release, at, machine, lasts, machines, front, ms, p, r, t, on, path, length, best, left, moves, pick):  # type: ignore[no-untyped-def]
    """Offers the neighbours on other machines, at the positions that cannot make a cycle and among which the best is."""
    for k in range(length):
        u = path[k]
        ready = release[u]
        if before[u] >= 0:
            ready = max(ready, r[before[u]] + p[before[u]])
        tail = t[after[u]] if after[u] >= 0 else 0
        for c in range(at[u], at[u + 1]):
            m = machine[c]
            if m == on[u]:
                continue
            forbidden = left[(u * machines + m) % len(left)] > moves
            behind, y = -1, front[m]
            while y >= 0 and r[y] + p[y] <= ready:  # those that end before u could begin stay before it
                behind, y = y, ms[y]
            while True:
                start = ready if behind < 0 else max(ready, r[behind] + p[behind])
                guess = start + lasts[c] + (tail if y < 0 else max(tail, t[y]))
                _offer(pick, guess, forbidden and guess >= best, u, m, behind)
                if y < 0 or t[y] <= tail:  # those that are nearer to the end than what follows u stay behind it
                    break
                behind, y = y, ms[y]


@kernel
def _put(mp, ms, front, on, u, m, behind):  # type: ignore[no-untyped-def]
    """Takes u out of its machine and puts it on m behind `behind` (−1: first)."""
    b, a = mp[u], ms[u]
    if b >= 0:
        ms[b] = a
    else:
        front[on[u]] = a
    if a >= 0:
        mp[a] = b
    a = ms[behind] if behind >= 0 else front[m]
    mp[u], ms[u], on[u] = behind, a, m
    if behind >= 0:
        ms[behind] = u
    else:
        front[m] = u
    if a >= 0:
        mp[a] = u


@kernel
def _forbid(ms, mp, u, behind, until, moves, n):  # type: ignore[no-untyped-def]
    """Remembers the arcs that a move of u within its machine turns round, until they may be turned back."""
    ahead = ms[u]
    while ahead >= 0 and ahead != behind:
        ahead = ms[ahead]
    if ahead >= 0:  # it goes back: past all up to `behind`
        x = u
        while x != behind:
            x = ms[x]
            until[(u * n + x) % len(until)] = moves
    else:
        x = mp[u]
        while x != behind:
            until[(x * n + u) % len(until)] = moves
            x = mp[x]


class Space(NamedTuple):
    """The arrays that a search works in, made once a thread: the kernels themselves make none."""

    p: Ints
    mp: Ints  # the operation before on its machine
    ms: Ints
    order: Ints
    r: Ints
    t: Ints
    waits: Ints
    path: Ints
    segment: Ints
    heads: Ints
    front: Ints  # the first operation on each machine
    last: Ints
    pick: Ints
    until: Ints  # arc → the move from which on it may be turned back
    left: Ints  # (operation, machine) → the move from which on it may return

    @classmethod
    def of(cls, operations: int, machines: int) -> Space:
        """Space for so many."""
        n = operations
        sizes = [n + 1] * 10 + [machines] * 2 + [9, min(n * n, _PAIRS), min(n * machines, _PAIRS)]
        return cls._make(np.zeros(size, np.int64) for size in sizes)


def search(
    g: Graph, space: Space, order: Ints, on: Ints, *, patience: int, target: int, flag: Ints, seed: int
) -> tuple[Ints, Ints, int, int]:
    """Searches from a solution (an order and machines) until `patience` moves in a row bring nothing, the make-span is `target`, or
    flag[0] is set from outside. Gives the order, the machines and the make-span of the best, and how many moves were made."""
    best_order, best_on = order.copy(), on.copy()
    shortest = 5 + int(np.sum(g.before < 0)) // g.machines
    fixed = (g.before, g.after, g.release, g.at, g.machine, g.lasts, g.machines)
    best, moves = _search(*fixed, *space, order, on.copy(), best_order, best_on, shortest, patience, target, flag, seed)
    return best_order, best_on, best, moves


@kernel
def _search(  # type: ignore[no-untyped-def]
    before, after, release, at, machine, lasts, machines,
    p, mp, ms, order, r, t, waits, path, segment, heads, front, last, pick, until, left,
    order0, on, best_order, best_on, shortest, patience, target, flag, seed,
):  # fmt: skip
    """See `search`; the best is left in `best_order` and `best_on`."""
    n = len(before)
    np.random.seed(seed)
    front[:] = -1
    last[:] = -1
    until[:] = 0
    left[:] = 0
    for i in order0:
        m = on[i]
        p[i] = duration(at, machine, lasts, i, m)
        mp[i], ms[i] = last[m], -1
        if last[m] >= 0:
            ms[last[m]] = i
        else:
            front[m] = i
        last[m] = i
    flexible = len(machine) > n
    makespan = _longest(before, after, release, mp, ms, p, order, r, t, waits)
    best, idle, moves = makespan, 0, 0
    while idle < patience and best > target and flag[0] == 0:
        moves += 1
        idle += 1
        length = _critical(after, release, ms, p, r, t, makespan, path)
        pick[:] = -1
        pick[0], pick[5] = _NONE, 0
        _blocks(before, after, release, mp, ms, p, r, t, on, path, length, best, until, moves, segment, heads, pick)
        if flexible:
            _elsewhere(before, after, release, at, machine, lasts, machines, front, ms, p, r, t, on, path, length, best, left, moves, pick)
        if pick[5] == 0:
            break  # nothing on a longest path can be moved: it is a job's own length
        u, m, behind = (pick[2], pick[3], pick[4]) if pick[2] >= 0 else (pick[6], pick[7], pick[8])
        was_on, was_behind = on[u], mp[u]
        tenure = moves + shortest + np.random.randint(shortest + 1)
        if m == was_on:
            _forbid(ms, mp, u, behind, until, tenure, n)
        else:
            left[(u * machines + was_on) % len(left)] = tenure + np.random.randint(length)
        _put(mp, ms, front, on, u, m, behind)
        p[u] = duration(at, machine, lasts, u, m)
        makespan = _longest(before, after, release, mp, ms, p, order, r, t, waits)
        if makespan < 0:  # operations that last 0 can hide a cycle from the judgement
            _put(mp, ms, front, on, u, was_on, was_behind)
            p[u] = duration(at, machine, lasts, u, was_on)
            makespan = _longest(before, after, release, mp, ms, p, order, r, t, waits)
        elif makespan < best:
            best, idle = makespan, 0
            for i in range(n):
                best_order[i], best_on[i] = order[i], on[i]
    return best, moves
