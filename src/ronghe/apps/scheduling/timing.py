"""Operations moved later, into cheap and clean hours, where that makes nothing late: the sequence of every machine stays as it is.

Given the sequences, what is left to decide is when each thing (an operation, or a batch) starts, under rules of one kind: j does not begin
before i has ended. Machines (set-ups included), routings and jobs are such rules by themselves; people become such rules when it is laid
down who goes from which thing to which (a partial order schedule by chaining; Policella, Cesta, Oddi and Smith, 2007). The cost of a thing
depends on its start alone: energy in every slot × price. Such a problem is solved exactly by one minimum cut (Möhring, Schulz, Stork and
Uetz, 2001, "On project scheduling with irregular starting time costs"): a chain of arcs for each thing, an arc for each possible start with
its cost; exactly one of them is cut.

Everything moves later or not at all. So what is released, here or come by now stays so, and no material is taken earlier than before.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from ronghe.apps.scheduling.arrays import FOREVER, windows
from ronghe.apps.scheduling.check import check, energy, stamped
from ronghe.apps.scheduling.check.shop import Shop, Thing, things
from ronghe.apps.scheduling.problem import Plan, Prices, Problem, Tick
from ronghe.errors import AppError, MissingExtra
from ronghe.text import Text

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
_STARTS: Final = 120_000  # possible starts of all things together; where there are more, not every tick is tried
_SCALE: Final = 10**12  # of costs, which are whole numbers in the cut: of them all together


@dataclass(slots=True, eq=False)
class _Place:
    """One thing and where it may lie: int64[s] of its possible starts, ascending, the first being where it lies now."""

    thing: Thing
    starts: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    setups: Ints = field(default_factory=lambda: np.zeros(0, np.int64))  # begin of its set-up
    ends: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    cost: Floats = field(default_factory=lambda: np.zeros(0))
    latest: Tick = FOREVER  # it must have ended by


@dataclass(slots=True)
class _Working:
    """Working time of a machine with its people: `before` is how much of it lies before each window."""

    start: Ints
    end: Ints
    span: Ints
    before: Ints

    @classmethod
    def of(cls, shop: Shop, machine: str, pools: Mapping[str, int]) -> _Working:
        offs = [*shop.machine[machine].off, *(o for p in pools for o in shop.off.get(p, ()))]
        start, end, span = np.array(windows(offs), np.int64).T
        return cls(start, end, span, np.concatenate([[0], np.cumsum(end - start)[:-1]]))

    def worked(self, t: Ints) -> Ints:
        """Working ticks before each t."""
        i = np.searchsorted(self.start, t, side="right") - 1
        found: Ints = self.before[i] + np.minimum(t, self.end[i]) - self.start[i]
        return found

    def on(self, t: Ints) -> NDArray[np.bool_]:
        """Whether each t is a working tick."""
        i = np.searchsorted(self.start, t, side="right") - 1
        working: NDArray[np.bool_] = t < self.end[i]
        return working

    def tick(self, worked: Ints) -> Ints:
        """The working tick before which so many lie."""
        i = np.searchsorted(self.before, worked, side="right") - 1
        found: Ints = self.start[i] + worked - self.before[i]
        return found

    def stretch(self, t: Ints, *, pauses: bool) -> Ints:
        """A number that differs where a stop lies between, or, unless it `pauses`, anything that is off."""
        i = np.searchsorted(self.start, t, side="right") - 1
        found: Ints = self.span[i] if pauses else i.astype(np.int64)
        return found


def shifted(problem: Problem, plan: Plan, latest: Mapping[str, Tick] | None = None) -> Plan:
    """The plan with its things moved to where their energy costs least, and what that is stated: `energy`, `energy_cost`, `carbon`.

    `latest`: job → tick by which it must have ended; without, its due date or its end now, whichever is later, and never beyond the
    make-span where that is an objective. The plan as it is where prices or powers are missing, or nothing is won. Raises MissingExtra
    without ortools, AppError where the outcome would not hold (a defect).
    """
    before = energy(problem, plan)
    if before is None or problem.prices is None:
        return plan
    stated = msgspec.structs.replace(plan, energy=before.kwh, energy_cost=before.money, carbon=before.carbon)
    shop = Shop.of(problem)
    places = [_Place(t) for t in things(shop, plan)]
    after = _after(shop, plan, places)
    _limit(shop, plan, places, latest or {})
    _domains(shop, problem, places)
    chosen = _cut(places, after)
    moved = _plan(plan, places, chosen)
    found = energy(problem, moved)
    assert found is not None
    worth = [(e.money or 0.0) + problem.prices.carbon_price * (e.carbon or 0.0) for e in (before, found)]
    if worth[0] - worth[1] <= 1e-9 * max(1.0, abs(worth[0])):
        return stated
    faults = check(problem, moved)
    if faults:
        raise AppError(
            Text(f"moved to cheap hours it does not hold: {faults[0].en}", f"移至低价时段后不成立：{faults[0].in_('zh')}"),
            where=problem.name,
        )
    out = stamped(problem, moved)
    return msgspec.structs.replace(out, energy=found.kwh, energy_cost=found.money, carbon=found.carbon)


# --- what follows what ------------------------------------------------------------------------------------------------------------------


def _after(shop: Shop, plan: Plan, places: list[_Place]) -> list[tuple[int, int, bool]]:
    """(i, j, whole): thing j waits for the end of thing i, with its set-up where `whole`, else with its start."""
    found: set[tuple[int, int, bool]] = set()
    holder = {p.operation: i for i, x in enumerate(places) for p in x.thing.parts}
    for a in plan.assigned:
        if not shop.begun(a.operation):
            found |= {(holder[b], holder[a.operation], False) for b in shop.before[a.operation] if b in holder}
    machines: dict[str, list[int]] = defaultdict(list)
    for i, x in enumerate(places):
        machines[x.thing.machine.name].append(i)
    for row in machines.values():
        row.sort(key=lambda i: (places[i].thing.setup_start, places[i].thing.end, places[i].thing.order))
        found |= {(i, j, True) for i, j in pairwise(row) if not places[j].thing.begun}
    for pool in shop.problem.pools:
        users = [i for i, x in enumerate(places) if pool.name in x.thing.needs and x.thing.end > x.thing.setup_start]
        users.sort(key=lambda i: (places[i].thing.setup_start, places[i].thing.end, places[i].thing.order))
        free = [(-FOREVER, -1)] * pool.size  # (since when, after which thing) of each of its people
        for j in users:
            thing = places[j].thing
            # Whoever has become free last goes: the others stay free for earlier things elsewhere.
            there = sorted((f for f in free if f[0] <= thing.setup_start), reverse=True)[: thing.needs[pool.name]]
            for f in there:
                free.remove(f)
            free += [(thing.end, j)] * len(there)
            found |= {(f[1], j, True) for f in there if f[1] >= 0 and not thing.begun}
    return sorted((i, j, whole) for i, j, whole in found if i != j)


def _limit(shop: Shop, plan: Plan, places: list[_Place], latest: Mapping[str, Tick]) -> None:
    """By when each thing must have ended, by its jobs alone."""
    ends: dict[str, Tick] = {}
    for a in plan.assigned:
        name = shop.operation[a.operation][1].name
        ends[name] = max(ends.get(name, a.end), a.end)
    makespan = max(ends.values(), default=0)
    by = {}
    for job in shop.problem.jobs:
        if job.name not in ends:
            continue
        asked = latest.get(job.name, job.due if job.due is not None else ends[job.name])
        by[job.name] = max(ends[job.name], min(asked, makespan) if shop.problem.weights.makespan else asked)
    for x in places:
        x.latest = min(by[shop.operation[p.operation][1].name] for p in x.thing.parts)


# --- where each may lie, and what it costs there ----------------------------------------------------------------------------------------


def _domains(shop: Shop, problem: Problem, places: list[_Place]) -> None:
    prices = problem.prices
    assert prices is not None
    movable = [x for x in places if not any(p.operation in shop.fixed for p in x.thing.parts)]
    room = sum(max(0, x.latest - x.thing.end) for x in movable)
    step = max(1, math.ceil(room / _STARTS))
    for x in places:
        t = x.thing
        x.starts, x.setups, x.ends = (np.array([v], np.int64) for v in (t.start, t.setup_start, t.end))
        x.cost = np.zeros(1)
    calendars: dict[tuple[str, tuple[str, ...]], _Working] = {}
    for x in movable:
        key = (x.thing.machine.name, tuple(sorted(x.thing.needs)))
        if key not in calendars:
            calendars[key] = _Working.of(shop, key[0], x.thing.needs)
        _domain(x, calendars[key], step, prices, problem.tick)


def _domain(x: _Place, working: _Working, step: int, prices: Prices, tick: float) -> None:
    t = x.thing
    now = np.array([t.setup_start, t.start, t.end], np.int64)
    begun, started, ended = working.worked(now).tolist()
    setup, lasts = started - begun, ended - started
    starts = np.arange(t.start, max(t.start, x.latest - lasts) + 1, step, dtype=np.int64)
    setups, ends = starts, starts
    if lasts or setup:
        starts = starts[working.on(starts)]
        setups, ends = starts, starts
    if lasts:
        ends = working.tick(working.worked(starts) + lasts - 1) + 1
    if setup:
        setups = working.tick(working.worked(starts) - setup)
    fits = ends <= x.latest
    if lasts or setup:
        last = ends - 1 if lasts else starts  # what lasts 0 has its set-up right before it, and nothing off between them
        fits &= working.stretch(setups, pauses=t.pauses) == working.stretch(last, pauses=t.pauses)
    keep = fits & (setups >= t.setup_start)
    if not len(keep) or starts[0] != t.start or not keep[0]:
        return  # where it lies now is not to be had again by these rules (it is fixed, or stated): it stays
    x.starts, x.setups, x.ends = starts[keep], setups[keep], ends[keep]
    x.cost = t.machine.power * tick / 3600 * (_until(prices, working, x.ends) - _until(prices, working, x.setups))


def _until(prices: Prices, working: _Working, t: Ints) -> Floats:
    """Σ price of the working ticks before each t, up to a constant; carbon at its price among it."""
    price = np.array(prices.money) + (prices.carbon_price * np.array(prices.carbon) if prices.carbon else 0.0)
    edges = prices.slot * np.arange(len(price), dtype=np.int64)
    worked = working.worked(edges)
    before = np.concatenate([[0.0], np.cumsum(price[:-1] * np.diff(worked))])
    slot = np.clip(t // prices.slot, 0, len(price) - 1)
    found: Floats = before[slot] + price[slot] * (working.worked(t) - worked[slot])
    return found


# --- the cut ----------------------------------------------------------------------------------------------------------------------------


def _cut(places: list[_Place], after: list[tuple[int, int, bool]]) -> list[int]:
    """Which of its starts each thing takes: the least sum of costs under the rules, exactly; of equals the earlier."""
    SimpleMaxFlow = _max_flow()  # noqa: N806
    sizes = [len(x.starts) for x in places]
    # Node first[i] + k stands for "thing i does not start before its k-th start"; arc k → k + 1 is cut where it takes the k-th.
    first = np.concatenate([[2], 2 + np.cumsum(sizes)])
    infinite = 2 * _SCALE + 2 * int(first[-1])  # more than any cut that obeys
    spread = sum(float(x.cost.max() - x.cost.min()) for x in places)
    tails, heads, capacity = [], [], []

    def arcs(a: Any, b: Any, c: Any) -> None:
        tails.append(np.atleast_1d(np.asarray(a, np.int64)))
        heads.append(np.atleast_1d(np.asarray(b, np.int64)))
        capacity.append(np.broadcast_to(np.asarray(c, np.int64), tails[-1].shape))

    for i, x in enumerate(places):
        nodes = np.arange(first[i], first[i + 1])
        cost = np.round((x.cost - x.cost.min()) / spread * _SCALE).astype(np.int64) if spread > 0 else np.zeros(sizes[i], np.int64)
        arcs(0, nodes[0], infinite)
        arcs(nodes[:-1], nodes[1:], cost[:-1] + np.arange(sizes[i] - 1) + 1)
        arcs(nodes[-1], 1, cost[-1] + sizes[i])
        arcs(nodes[1:], nodes[:-1], infinite)
    for i, j, whole in after:
        begins = places[j].setups if whole else places[j].starts
        least = np.searchsorted(begins, places[i].ends)  # of j's starts the first that this end of i leaves
        k = np.flatnonzero(np.diff(least, prepend=0) > 0)
        target = np.where(least[k] < sizes[j], first[j] + np.minimum(least[k], sizes[j] - 1), 1)
        arcs(first[i] + k, target, infinite)
    flow = SimpleMaxFlow()
    flow.add_arcs_with_capacity(np.concatenate(tails), np.concatenate(heads), np.concatenate(capacity))
    status = flow.solve(0, 1)
    if status != flow.OPTIMAL:
        raise AppError(Text(f"the minimum cut was not found ({status})", f"未求得最小割（{status}）"))
    source = np.zeros(int(first[-1]), np.bool_)
    source[flow.get_source_side_min_cut()] = True
    return [int(source[first[i] : first[i + 1]].sum()) - 1 for i in range(len(places))]


def _max_flow() -> Any:
    try:
        from ortools.graph.python.max_flow import SimpleMaxFlow
    except ImportError as e:
        raise MissingExtra("planning", Text("scheduling into cheap hours", "错峰排产")) from e
    return SimpleMaxFlow


def _plan(plan: Plan, places: list[_Place], chosen: list[int]) -> Plan:
    """The plan with its things where they were put; what starts together stays in its order."""
    to = {
        p.operation: (int(x.setups[k]), int(x.starts[k]), int(x.ends[k]))
        for x, k in zip(places, chosen, strict=True)
        for p in x.thing.parts
    }
    rows = [
        msgspec.structs.replace(a, setup_start=to[a.operation][0], start=to[a.operation][1], end=to[a.operation][2]) for a in plan.assigned
    ]
    return msgspec.structs.replace(plan, assigned=tuple(sorted(rows, key=lambda r: r.start)))
