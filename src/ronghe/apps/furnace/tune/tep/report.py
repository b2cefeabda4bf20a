"""The whole trial: tuned, tuned through each disturbance, and the baseline beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

import msgspec

from ronghe.apps.furnace.tune.tep.tuning import DISTURBANCES, HELD, KNOBS, Outcome, Plant, bayesian, coordinates

EVALUATIONS: Final = 30
_AT_ONCE: Final = 2  # compiled code lets other threads run


class Report(msgspec.Struct, kw_only=True):
    """Costs in $/h; each is a mean of what was measured with noise. Of several seeds the figures are the worst, the path is the first's."""

    cost_start: float
    cost_best: float
    cost_best_true: float
    evaluations: int
    shutdowns: int
    violation_minutes: dict[str, float]
    disturbances: dict[str, Outcome]
    set_points: dict[str, float]
    plant_hours: float
    seconds: float
    seeds: list[int]
    runs: list[Outcome]
    baseline: Outcome | None
    path: list[tuple[int, float, str, float | None]]  # evaluation, plant hour, state, cost
    judged: str = "noise-free values every 18 s of plant time, after 24 h of start-up; the tuner sees values with noise"


def report(
    seeds: Sequence[int], clock: Callable[[], float], *, evaluations: int = EVALUATIONS, disturbances: bool = False, baseline: bool = False
) -> Report:
    """Runs it. `clock` in s."""
    began = clock()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        halves = list(pool.map(lambda seed: _half(seed, evaluations // 2), seeds))
        beside = pool.submit(_baseline, seeds[0], evaluations) if baseline else None
        disturbed: dict[str, Future[Outcome]] = {}
        if disturbances:
            disturbed = {n: pool.submit(_go_on, halves[0].copy(), number, evaluations) for n, number in DISTURBANCES.items()}
        plants = list(pool.map(lambda plant: _finish(plant, evaluations), halves))
        runs = [outcome for _, outcome in plants]
        first = plants[0][0].strategy.trials
        return Report(
            cost_start=max(r.cost_before for r in runs),
            cost_best=max(r.cost_best for r in runs),
            cost_best_true=max(r.cost_best_true for r in runs),
            evaluations=max(r.evaluations for r in runs),
            shutdowns=sum(r.shutdowns for r in runs),
            violation_minutes={n: max(r.violation_minutes[n] for r in runs) for n in runs[0].violation_minutes},
            disturbances={n: f.result() for n, f in disturbed.items()},
            set_points=runs[0].set_points,
            plant_hours=runs[0].plant_hours,
            baseline=None if beside is None else beside.result(),
            path=[(i + 1, round(t.time, 1), t.state, t.objective) for i, t in enumerate(first)],
            runs=runs,
            seeds=list(seeds),
            seconds=clock() - began,
        )


def _half(seed: int, evaluations: int) -> Plant:
    plant = Plant(seed, bayesian)
    plant.tune(evaluations)
    return plant


def _finish(plant: Plant, evaluations: int) -> tuple[Plant, Outcome]:
    plant.tune(evaluations)
    return plant, _outcome(plant, plant.strategy.trials[0].objective or 0.0)


def _go_on(plant: Plant, number: int, evaluations: int) -> Outcome:
    """With a disturbance from here on; what it cost before is that of the best trial without it."""
    known = [t.objective for t in plant.strategy.trials if t.objective is not None]
    plant.disturb(number)
    plant.outside[:] = 0.0
    plant.tune(evaluations)
    return _outcome(plant, min(known))


def _baseline(seed: int, evaluations: int) -> Outcome:
    plant = Plant(seed, coordinates)
    plant.tune(evaluations)
    return _outcome(plant, plant.strategy.trials[0].objective or 0.0)


def _outcome(plant: Plant, before: float) -> Outcome:
    measured, true = plant.finish()
    minutes: dict[str, float] = {}
    for h in HELD:
        name = h.name.rpartition("_")[0]
        minutes[name] = round(float(plant.outside[h.watched]), 1)
    set_points = dict(zip((k.name for k in KNOBS), (round(v, 3) for v in plant.pilot.target), strict=True))
    trials = plant.strategy.trials
    return Outcome(
        cost_before=before,
        cost_best=measured,
        cost_best_true=true,
        evaluations=len(trials),
        turned_back=sum(not t.terms for t in trials),
        shutdowns=int(plant.shutdown != 0),
        violation_minutes=minutes,
        set_points=set_points,
        plant_hours=round(plant.process.time, 1),
    )
