"""Simulated annealing on orders of operations, with the cost of a move cut short as soon as it is certain to be refused."""

from __future__ import annotations

import numpy as np

from ronghe.apps.scheduling.arrays import Tables
from ronghe.apps.scheduling.search.compiled import NO, YES, kernel
from ronghe.apps.scheduling.search.decode import BEST, END, PICK, PLACE, TRIED, Work, decode
from ronghe.apps.scheduling.search.moves import draw, propose, relocate
from ronghe.apps.scheduling.search.placing import Shop


@kernel
def keep_best(w: Work) -> None:
    """The present order is the best."""
    for x in range(len(w.order)):
        w.best[x] = w.order[x]
    for i in range(len(w.op)):
        w.op[i, BEST] = w.op[i, PICK]


@kernel
def _sort(w: Work, first: int) -> None:
    """The order by starts, from position `first` on: the same plan, but what stands near is near in time."""
    for x in range(first + 1, len(w.order)):
        i = w.order[x]
        y = x
        while y > first and w.op[w.order[y - 1], TRIED] > w.op[i, TRIED]:
            w.order[y] = w.order[y - 1]
            y -= 1
        w.order[y] = i


@kernel
def anneal(
    t: Tables, s: Shop, w: Work, current: float, best: float, hot: float, cold: float, moves: int, plain: bool
) -> tuple[float, float, int]:
    """(current, best, accepted) after so many moves, the temperature falling geometrically from `hot` to `cold` (cost units). The best
    order and picks are in `w`. `plain`: `Arrays.plain`."""
    accepted = 0
    cooling = (cold / hot) ** (1.0 / moves)
    temperature = hot
    for _ in range(moves):
        temperature *= cooling
        if current <= 0.0:
            break
        v, to, c = propose(t, w)
        before, at = w.op[v, PICK], w.op[v, PLACE]
        if (to == at and c == before) or not relocate(t, w, v, to):
            continue
        w.op[v, PICK] = c
        first = min(at, to)
        limit = current - temperature * np.log((draw(w.random, 1 << 30) + 1) / (1 << 30))
        cost, reached = decode(t, s, w, first, limit, NO)
        if cost < limit:
            if plain:
                _sort(w, first)
            current, _ = decode(t, s, w, first, np.inf, YES)
            accepted += 1
            if current < best:
                best = current
                keep_best(w)
            continue
        for x in range(first - first % 16, min(reached + 1, len(w.order))):
            s.end[w.order[x]] = w.op[w.order[x], END]
        for x in range(first, max(at, to) + 1):
            w.order[x] = w.buffer[x]
        w.op[v, PICK] = before
    return current, best, accepted
