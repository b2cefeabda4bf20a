"""Model-predictive control with a model that is off by 20 % in every uncertain parameter, beside control that knows everything.

The protocol is that of `ronghe.apps.furnace.control.trial`: three plants of the literature, corners of the box of all uncertain parameters
drawn at random, noisy sensors, an unmeasured disturbance. `ratio` is the cost of the closed loop over that of the same controller with true
states and true parameters; `violations` are points (five an interval) at which the true plant passed a limit.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from ronghe.apps.furnace.control import trial
from ronghe.apps.furnace.control.cases import CASES
from ronghe.apps.furnace.control.controller import problem_of
from ronghe.apps.furnace.control.linear import regulator
from ronghe.apps.furnace.control.trial import Case, Run

_CORNERS: Final = 3
_FULL: Final = 24


def run_case(case: Case, count: int, seeds: int) -> dict[str, Any]:
    """One plant, `count` corners with `seeds` sequences of noise each."""
    problem = problem_of(case.process, case.tuning)
    best = trial.run(case, trial.knowing(case, problem), 0)
    drawn = [(corner, 100 * n + seed) for n, corner in enumerate(trial.corners(case.process, count)) for seed in range(seeds)]
    ours = [trial.run(case, trial.learning(case, corner, problem), seed) for corner, seed in drawn]
    linear = [_best_linear(case, corner, seed) for corner, seed in drawn]
    fixed = [trial.run(case, trial.believing(case, corner, problem), seed) for corner, seed in (drawn if seeds > 1 else drawn[:1])]
    return {
        "source": case.process.source,
        "uncertain": [p.name for p in case.process.parameters if p.spread > 0],
        "knowing": {"cost": best.cost, "violations": best.violations, "nearest_limit": best.margin},
        "ours": _said(ours, best) | {"step_ms_p95": _p95(ours), "sample_ms": 1e3 * case.tuning.every},
        "without_learning": _said(fixed, best),
        "lqr": _said(linear, best),
    }


def run(full: bool = False) -> dict[str, Any]:
    """Every plant."""
    began = time.perf_counter()
    cases = {name: run_case(build(), _FULL if full else _CORNERS, 2 if full else 1) for name, build in CASES.items()}
    ours = [c["ours"] for c in cases.values()]
    return {
        "cases": cases,
        "mismatch": 0.2,
        "runs": sum(o["runs"] for o in ours),
        "worst_ratio": max(o["worst_ratio"] for o in ours),
        "mean_ratio": sum(o["mean_ratio"] * o["runs"] for o in ours) / sum(o["runs"] for o in ours),
        "violations": sum(o["violations"] for o in ours),
        "step_ms_p95": max(o["step_ms_p95"] for o in ours),
        "seconds": time.perf_counter() - began,
    }


def _best_linear(case: Case, corner: Mapping[str, float], seed: int) -> Run:
    """The linear regulator with the caution that turns out to have been best for this very run."""
    return min((trial.run(case, regulator(case, corner, c), seed) for c in (1.0, 10.0, 100.0)), key=lambda r: r.cost)


def _said(runs: list[Run], best: Run) -> dict[str, Any]:
    ratios = [r.cost / best.cost for r in runs]
    return {
        "runs": len(runs),
        "worst_ratio": max(ratios),
        "mean_ratio": float(np.mean(ratios)),
        "ratios": [round(r, 4) for r in ratios],
        "violations": sum(r.violations for r in runs),
        "worst_excess": max(r.excess for r in runs),  # in spans
        "nearest_limit": min(r.margin for r in runs),
    }


def _p95(runs: list[Run]) -> float:
    return float(np.percentile(np.concatenate([r.ms for r in runs]), 95))
