"""The compiled part: strings of customers are taken out of neighbouring routes and put back where it costs least, again and again.

Christiaens & Vanden Berghe, "Slack induction by string removals for vehicle routing problems", Transportation Science 54 (2020) 417-433.
A step that is not accepted is undone by putting the routes that it touched back. No kernel makes arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from ronghe.errors import MissingExtra
from ronghe.text import Text

try:
    from numba import njit
except ImportError as e:
    raise MissingExtra("planning", Text("planning routes", "路线规划")) from e

Costs = NDArray[np.int64]
Ints = NDArray[np.int32]

_OPTIONS: Final[dict[str, Any]] = {"cache": True, "nogil": True, "_nrt": False, "error_model": "numpy"}
_UNWRAPPED: Final[dict[str, Any]] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
_Function = TypeVar("_Function", bound=Callable[..., object])


def kernel(function: _Function) -> _Function:
    """The function, compiled; other threads go on while it runs."""
    compiled: _Function = njit(**_OPTIONS)(function)
    return compiled


def inner(function: _Function) -> _Function:
    """One that is called by kernels alone: half the time to compile."""
    compiled: _Function = njit(**_OPTIONS, **_UNWRAPPED)(function)
    return compiled


REMOVED: Final = 10.0  # customers on average (c̄ of the paper)
LONGEST: Final = 10.0  # string (L_max)
SPLIT: Final = 0.5  # of the strings keep some customers in their middle (α)
MORE: Final = 0.01  # probability of each customer more that is kept (β)
BLINK: Final = 0.01  # of the positions are overlooked
STEP: Final = 1024  # rounds at one temperature


class Space(NamedTuple):
    """One search. Customers are 1..n, the depot is 0; routes have the depot at both ends. Few arrays: each costs time to compile."""

    cost: Ints  # [n+1, n+1], from → to
    back: Ints  # its transpose
    near: Ints  # [n+1, k]: each customer and its neighbours, nearest first
    demand: Costs  # n+1
    where: Ints  # n+1: the route of each customer, −1: taken out
    rows: Ints  # [ROUTE …, routes, n+2]
    facts: Costs  # [SIZE …, routes]
    best: Ints  # n+routes+1: the best so far, its routes one after another, each ended by a 0, and a 0 at the end
    out: Ints  # n: taken out
    key: NDArray[np.float64]  # n: of what is out, the lowest goes in first
    now: Costs  # CURRENT …
    random: NDArray[np.uint64]  # 1: the generator's state


ROUTE, LEG, KEPT_ROUTE, KEPT_LEG = range(4)
"""Stops; the way to each from the one before; both as they were in the routes that this round touched."""
SIZE, LOAD, STAMP, KEPT_AT, KEPT_SIZE, KEPT_LOAD = range(6)
"""Customers; load; the last round that touched the route; which routes this round touched, with their size and load before."""
CURRENT, BEST, OPEN, ROUND, KEPT, GAP, CAPACITY = range(7)
"""Cost now and of the best; routes opened; rounds begun; routes kept in this one; positions until one is overlooked; room in a vehicle."""


@inner
def _draw(s: Any) -> Any:
    """Uniform in [0, 1): xorshift64 (Marsaglia 2003)."""
    x = s.random[0]
    x ^= x << np.uint64(13)
    x ^= x >> np.uint64(7)
    x ^= x << np.uint64(17)
    s.random[0] = x
    return np.float64(x >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@inner
def _touch(s: Any, r: int) -> None:
    """Keeps a route as it is, the first time in this round."""
    if s.facts[STAMP, r] == s.now[ROUND]:
        return
    s.facts[STAMP, r] = s.now[ROUND]
    k = s.now[KEPT]
    s.now[KEPT] = k + 1
    s.facts[KEPT_AT, k], s.facts[KEPT_SIZE, k], s.facts[KEPT_LOAD, k] = r, s.facts[SIZE, r], s.facts[LOAD, r]
    for p in range(s.facts[SIZE, r] + 2):
        s.rows[KEPT_ROUTE, k, p] = s.rows[ROUTE, r, p]
        s.rows[KEPT_LEG, k, p] = s.rows[LEG, r, p]


@inner
def _undo(s: Any) -> None:
    for k in range(s.now[KEPT]):
        r = s.facts[KEPT_AT, k]
        s.facts[SIZE, r], s.facts[LOAD, r] = s.facts[KEPT_SIZE, k], s.facts[KEPT_LOAD, k]
        for p in range(s.facts[SIZE, r] + 2):
            s.rows[ROUTE, r, p] = s.rows[KEPT_ROUTE, k, p]
            s.rows[LEG, r, p] = s.rows[KEPT_LEG, k, p]
            s.where[s.rows[ROUTE, r, p]] = r


@inner
def _cut(s: Any, r: int, first: int, length: int, keep_from: int, keep: int, n: int) -> int:
    """Takes `length` stops from `first` on out of a route, but for `keep` of them from `keep_from` on. Returns how many are out then."""
    _touch(s, r)
    size = s.facts[SIZE, r]
    to = first
    for p in range(first, size + 2):
        c = s.rows[ROUTE, r, p]
        s.now[CURRENT] -= s.rows[LEG, r, p]
        if first <= p < first + length and not keep_from <= p < keep_from + keep:
            s.where[c] = -1
            s.facts[LOAD, r] -= s.demand[c]
            s.out[n] = c
            n += 1
            continue
        s.rows[ROUTE, r, to] = c
        s.rows[LEG, r, to] = s.cost[s.rows[ROUTE, r, to - 1], c]
        s.now[CURRENT] += s.rows[LEG, r, to]
        to += 1
    s.facts[SIZE, r] = to - 2
    return n


@inner
def _ruin(s: Any, customers: int, used: int) -> int:
    """Takes strings out of the routes around a customer drawn at random. Returns how many customers are out."""
    longest = min(LONGEST, customers / max(1, used))
    strings = int(_draw(s) * (4.0 * REMOVED / (1.0 + longest) - 1.0) + 1.0)
    seed = 1 + int(_draw(s) * customers)
    n = 0
    ruined = 0
    for j in range(s.near.shape[1]):
        if ruined >= strings:
            break
        c = s.near[seed, j]
        r = s.where[c]
        if r < 0 or s.facts[STAMP, r] == s.now[ROUND]:
            continue
        size = s.facts[SIZE, r]
        length = int(_draw(s) * min(float(size), longest) + 1.0)
        length = min(length, size)
        keep = 0
        if length > 1 and length < size and _draw(s) < SPLIT:
            keep = 1
            while length + keep < size and _draw(s) < MORE:
                keep += 1
        span = length + keep
        at = 1
        while s.rows[ROUTE, r, at] != c:
            at += 1
        low = max(1, at - span + 1)
        high = min(at, size - span + 1)
        first = low + int(_draw(s) * (high - low + 1))
        keep_from = first + 1 + int(_draw(s) * (length - 1)) if keep else first
        n = _cut(s, r, first, span, keep_from, keep, n)
        ruined += 1
    return n


@inner
def _arrange(s: Any, n: int, u: float) -> None:
    """The order of putting back: at random (u < 4), by demand (< 8), far from the depot first (< 10), or near it first (< 11)."""
    for i in range(n):
        c = s.out[i]
        if u < 4.0:
            s.key[i] = _draw(s)
        elif u < 8.0:
            s.key[i] = -float(s.demand[c])
        elif u < 10.0:
            s.key[i] = -float(s.cost[0, c])
        else:
            s.key[i] = float(s.cost[0, c])
    for i in range(1, n):
        k, c = s.key[i], s.out[i]
        j = i - 1
        while j >= 0 and s.key[j] > k:
            s.key[j + 1], s.out[j + 1] = s.key[j], s.out[j]
            j -= 1
        s.key[j + 1], s.out[j + 1] = k, c


@inner
def _insert(s: Any, r: int, p: int, c: int) -> None:
    """Puts a customer at position p of a route."""
    _touch(s, r)
    before = s.rows[ROUTE, r, p - 1]
    after = s.rows[ROUTE, r, p]
    s.now[CURRENT] += s.cost[before, c] + s.cost[c, after] - s.rows[LEG, r, p]
    for q in range(s.facts[SIZE, r] + 1, p - 1, -1):
        s.rows[ROUTE, r, q + 1] = s.rows[ROUTE, r, q]
        s.rows[LEG, r, q + 1] = s.rows[LEG, r, q]
    s.rows[ROUTE, r, p], s.rows[LEG, r, p] = c, s.cost[before, c]
    s.rows[LEG, r, p + 1] = s.cost[c, after]
    s.facts[SIZE, r] += 1
    s.facts[LOAD, r] += s.demand[c]
    s.where[c] = r


@inner
def _recreate(s: Any, n: int) -> bool:
    """Puts back what is out, each where it costs least; False where a customer has no room and no vehicle is left."""
    gap = s.now[GAP]
    for i in range(n):
        c = s.out[i]
        room = s.now[CAPACITY] - s.demand[c]
        least = np.int64(1) << 60
        best_r, best_p = -1, 0
        empty = -1
        for r in range(s.now[OPEN]):
            if s.facts[SIZE, r] == 0:
                empty = r
                continue
            if s.facts[LOAD, r] > room:
                continue
            before = s.rows[ROUTE, r, 0]
            for p in range(1, s.facts[SIZE, r] + 2):
                after = s.rows[ROUTE, r, p]
                more = np.int64(s.back[c, before]) + s.cost[c, after] - s.rows[LEG, r, p]
                before = after
                if more < least:
                    gap -= 1
                    if gap <= 0:
                        gap = np.int64(np.log(1.0 - _draw(s)) / np.log(1.0 - BLINK)) + 1
                        continue
                    least, best_r, best_p = more, r, p
        if best_r < 0:
            if empty < 0 and s.now[OPEN] < s.facts.shape[1]:
                empty = s.now[OPEN]
                s.now[OPEN] += 1
            if empty < 0:
                s.now[GAP] = gap
                return False
            best_r, best_p = empty, 1
        _insert(s, best_r, best_p, c)
    s.now[GAP] = gap
    return True


@inner
def _note(s: Any) -> None:
    """The current solution is the best so far."""
    s.now[BEST] = s.now[CURRENT]
    to = 0
    for r in range(s.now[OPEN]):
        if s.facts[SIZE, r] > 0:
            for p in range(1, s.facts[SIZE, r] + 2):
                s.best[to] = s.rows[ROUTE, r, p]
                to += 1
    s.best[to] = 0


@kernel
def build(s: Any) -> bool:
    """A first solution, from no routes: the largest goes in first. False where the vehicles do not suffice that way."""
    customers = s.demand.shape[0] - 1
    for c in range(1, customers + 1):
        s.out[c - 1] = c
        s.where[c] = -1
    _arrange(s, customers, 4.0)
    s.now[ROUND] += 1
    s.now[KEPT] = 0
    if not _recreate(s, customers):
        return False
    _note(s)
    return True


@kernel
def follow(s: Any, tours: Ints) -> None:
    """Goes on from these routes: written as `best` is. They hold, and there are no more of them than vehicles."""
    for r in range(s.now[OPEN]):
        s.facts[SIZE, r], s.facts[LOAD, r] = 0, 0
        s.rows[ROUTE, r, 1], s.rows[LEG, r, 1] = 0, 0
    s.now[OPEN] = 0
    s.now[CURRENT] = 0
    s.now[ROUND] += 1
    s.now[KEPT] = 0
    to = 0
    while tours[to] != 0:
        r = s.now[OPEN]
        s.now[OPEN] += 1
        while tours[to] != 0:
            _insert(s, r, s.facts[SIZE, r] + 1, tours[to])
            to += 1
        to += 1
    if s.now[BEST] == 0 or s.now[CURRENT] < s.now[BEST]:
        _note(s)


@kernel
def anneal(s: Any, rounds: int, warm: float, cool: float) -> None:
    """So many rounds, cooling from one temperature to another."""
    customers = s.demand.shape[0] - 1
    used = 0
    for r in range(s.now[OPEN]):
        used += s.facts[SIZE, r] > 0
    heat = warm
    cooler = (cool / warm) ** (float(STEP) / max(rounds, STEP))
    for i in range(rounds):
        if i % STEP == STEP - 1:
            heat *= cooler
        old = s.now[CURRENT]
        s.now[ROUND] += 1
        s.now[KEPT] = 0
        n = _ruin(s, customers, used)
        _arrange(s, n, 11.0 * _draw(s))
        if not _recreate(s, n) or s.now[CURRENT] >= old - heat * np.log(1.0 - _draw(s)):
            _undo(s)
            s.now[CURRENT] = old
        elif s.now[CURRENT] < s.now[BEST]:
            _note(s)
