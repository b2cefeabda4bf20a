"""A shop that is disturbed: how soon there is a plan again, and how good it is after one second and after ten; then a live changeover.

Test seeds are 0 to 19; nothing was tuned on them.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
import numpy as np

from ronghe.apps.scheduling.check import check, measure
from ronghe.apps.scheduling.dispatch import ATC_GRID, ATCS_GRID, by_rule, first
from ronghe.apps.scheduling.problem import Job, Plan, Problem, Tick
from ronghe.apps.scheduling.repair import breakdown, moved, repair, rush
from ronghe.apps.scheduling.search import improve
from ronghe.bench import changeover_cpsat
from ronghe.bench.changeover_jobs import ETA, FAMILIES, RANGE, TAU, draw

SEEDS: Final = 20
_WHEN: Final = 0.25  # of the make-span, when it happens
_STANDS: Final = 0.10  # of the make-span, how long the machine stands
_RUSH: Final = 1.5  # times its sheer work, until when the rush order is due
_RUSH_WEIGHT: Final = 8.0
_MINUTE: Final = 60.0


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is measured. `long`: seeds that go to `better` s, beside CP-SAT with `peer` s."""

    seeds: int
    long: int
    better: float
    peer: float
    large: int  # seeds of 1,000 operations


FULL: Final = Extent(SEEDS, SEEDS, 10.0, 60.0, SEEDS)
SHORT: Final = Extent(2, 1, 2.0, 6.0, 2)


@dataclass(slots=True)
class _Tally:
    first_ms: list[float] = field(default_factory=list)
    repair_ms: list[float] = field(default_factory=list)
    worth: dict[str, list[float]] = field(default_factory=dict)  # method → weighted tardiness (weighted minutes) of each seed
    late: list[float] = field(default_factory=list)
    moved: list[int] = field(default_factory=list)

    def add(self, method: str, problem: Problem, plan: Plan) -> None:
        """A plan counts for what the independent checker says it is worth; one that does not hold ends the benchmark."""
        wrong = check(problem, plan)
        if wrong:
            raise AssertionError(f"{method}: {wrong[0].en}")
        self.worth.setdefault(method, []).append(measure(problem, plan).tardiness)

    def ratio(self, method: str, other: str) -> float:
        """Weighted tardiness over all seeds both have seen, relative to `other`'s."""
        n = min(len(self.worth[method]), len(self.worth[other]))
        below = sum(self.worth[other][:n])
        return sum(self.worth[method][:n]) / below if below else 1.0

    def below(self, method: str, other: str) -> float:
        """By how many per cent it lies below `other`: the mean over the seeds in which `other` is late at all."""
        pairs = [(a, b) for a, b in zip(self.worth[method], self.worth[other], strict=False) if b > 0]
        return 100 * statistics.mean(1 - a / b for a, b in pairs) if pairs else 0.0


def run(full: bool) -> dict[str, Any]:
    """Schedules, then the live changeover."""
    from ronghe.bench.changeover_live import live

    return {**schedules(full), **live(full)}


def schedules(full: bool, extent: Extent | None = None) -> dict[str, Any]:
    """The scheduling part alone, within `extent`."""
    extent = extent or (FULL if full else SHORT)
    warm = draw(1000, 6, 3, 4)
    improve(warm, repair(warm, first(warm)), 0.05)  # compiles what is not cached yet
    tally = _Tally()
    for seed in range(extent.seeds):
        _seed(tally, seed, extent)
    large = [_large(seed) for seed in range(extent.large)]
    return {
        "feasible_ms": max(tally.first_ms + tally.repair_ms),
        "feasible_ms_p50": statistics.median(tally.first_ms + tally.repair_ms),
        "first_ms_max": max(tally.first_ms),
        "repair_ms_max": max(tally.repair_ms),
        "repair_1000_ms": max(large),
        "repair_1000_ms_p50": statistics.median(large),
        "moved_p50": statistics.median(tally.moved),
        "late_share_atcs": statistics.mean(tally.late),
        "tardiness_1s_to_atc": tally.ratio("1 s", "ATC"),
        "tardiness_1s_to_atcs": tally.ratio("1 s", "ATCS"),
        "tardiness_1s_below_atc_percent": tally.below("1 s", "ATC"),
        "tardiness_1s_below_atcs_percent": tally.below("1 s", "ATCS"),
        "undisturbed_1s_below_atc_percent": tally.below("before, 1 s", "before, ATC"),
        "undisturbed_1s_below_atcs_percent": tally.below("before, 1 s", "before, ATCS"),
        "undisturbed_1s_to_atc": tally.ratio("before, 1 s", "before, ATC"),
        "undisturbed_1s_to_atcs": tally.ratio("before, 1 s", "before, ATCS"),
        "tardiness_long_to_cpsat": tally.ratio("long", "CP-SAT"),
        "tardiness_long_to_atcs": tally.ratio("long", "ATCS"),
        "cpsat_to_start": tally.ratio("CP-SAT", "start"),
        "long_s": extent.better,
        "cpsat_s": extent.peer,
        "tardiness_h": {m: sum(w) / len(w) / _MINUTE for m, w in tally.worth.items()},
        "seeds": extent.seeds,
        "seeds_long": extent.long,
        "schedules_protocol": _protocol(extent),
    }


def _protocol(extent: Extent) -> str:
    shorter = "" if extent == FULL else f" Shortened; --full runs {FULL.seeds} seeds, each for {FULL.better:g} s beside {FULL.peer:g} s."
    return (
        f"60 jobs x 5 operations on 12 machines, 1-4 machines an operation, {FAMILIES} families, set-ups eta={ETA}, due dates after "
        f"Lee and Pinedo with tau={TAU}, R={RANGE}; seeds 0-{extent.seeds - 1}. The plan in force is ours of 1 s; at {_WHEN:.0%} of its "
        f"make-span the machine with most left to do breaks down for {_STANDS:.0%} of it and a rush order comes (weight "
        f"{_RUSH_WEIGHT:g}, due in {_RUSH} x its sheer work); what has begun stays. Every method plans the same facts from there. "
        "feasible_ms: from facts to plan, first plan and repair (median of three), the worst. ATC, ATCS: the best of their whole grids "
        f"({len(ATC_GRID)} and {len(ATCS_GRID)} settings, by seed). Weighted tardiness as the independent checker measures it; per cents "
        f"are means over seeds, ratios (_to_) those of the sums over seeds. Long: {extent.better:g} s on the first {extent.long} seed(s), "
        f"beside CP-SAT (OR-Tools) with {extent.peer:g} s, both on 2 threads, both from the better of repaired and dispatched.{shorter}"
    )


def _seed(tally: _Tally, seed: int, extent: Extent) -> None:
    problem = draw(seed)
    start, took = _timed(lambda: first(problem))
    tally.first_ms.append(took)
    force = improve(problem, start, 1.0, seed=seed)
    tally.add("before, ATC", problem, by_rule(problem, ATC_GRID))
    tally.add("before, ATCS", problem, by_rule(problem, ATCS_GRID))
    tally.add("before, 1 s", problem, force)
    now = int(_WHEN * force.makespan)
    facts = disturbed(problem, force, now, seed)
    repaired, took = _timed(lambda: repair(facts, force))
    tally.repair_ms.append(took)
    tally.moved.append(len(moved(force, repaired)))
    tally.add("repaired", facts, repaired)
    tally.add("ATC", facts, by_rule(facts, ATC_GRID))
    atcs = by_rule(facts, ATCS_GRID)
    tally.add("ATCS", facts, atcs)
    tally.late.append(_late(facts, atcs))
    tally.add("1 s", facts, improve(facts, repaired, 1.0, seed=seed))
    if seed < extent.long:
        start = min(repaired, first(facts), key=lambda p: p.objective)
        tally.add("start", facts, start)
        tally.add("long", facts, improve(facts, start, extent.better, seed=seed))
        tally.add("CP-SAT", facts, changeover_cpsat.solve(facts, start, extent.peer, workers=2))


def _timed(plan: Callable[[], Plan]) -> tuple[Plan, float]:
    """(plan, ms): the median of three."""
    took = []
    for _ in range(3):
        began = time.perf_counter()
        found = plan()
        took.append(1e3 * (time.perf_counter() - began))
    return found, statistics.median(took)


def disturbed(problem: Problem, plan: Plan, now: Tick, seed: int) -> Problem:
    """The facts at `now`: the machine with most left to do breaks down, and a rush order comes that is like one of the others."""
    left = dict.fromkeys((m.name for m in problem.machines), 0)
    for a in plan.assigned:
        if a.start >= now:
            left[a.machine] += a.end - a.start
    machine = max(left, key=lambda m: (left[m], m))
    broken = breakdown(problem, plan, machine, now, now + int(_STANDS * plan.makespan), now=now)
    like = problem.jobs[int(np.random.default_rng([seed, 7]).integers(len(problem.jobs)))]
    steps = tuple(msgspec.structs.replace(o, name=f"rush.{x + 1}") for x, o in enumerate(like.operations))
    sheer = sum(min(c.duration for c in o.choices) for o in steps)
    order = Job(name="rush", operations=steps, release=now, due=now + int(_RUSH * sheer), weight=_RUSH_WEIGHT, product=like.product)
    return rush(broken, order)


def _late(problem: Problem, plan: Plan) -> float:
    """The share of jobs that are late."""
    ends: dict[str, Tick] = {}
    job = {o.name: j for j in problem.jobs for o in j.operations}
    for a in plan.assigned:
        name = job[a.operation].name
        ends[name] = max(ends.get(name, 0), a.end)
    return sum(j.due is not None and ends[j.name] > j.due for j in problem.jobs) / len(problem.jobs)


def _large(seed: int) -> float:
    """ms to repair 1,000 operations (200 jobs x 5 on 40 machines) after a breakdown and a rush order."""
    problem = draw(seed, 200, 5, 40)
    plan = first(problem)
    facts = disturbed(problem, plan, int(_WHEN * plan.makespan), seed)
    again, took = _timed(lambda: repair(facts, plan))
    wrong = check(facts, again)
    if wrong:
        raise AssertionError(wrong[0].en)
    return took
