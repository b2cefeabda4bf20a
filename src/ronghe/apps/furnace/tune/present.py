"""What furnace.tune shows on its page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ronghe.apps.furnace.tune import wording
from ronghe.text import Text

if TYPE_CHECKING:
    from ronghe.apps.furnace.tune.app import Tune

SIGNALS = {
    "objective": Text("objective", "目标值"),
    "trials": Text("trials", "试验次数"),
    "radius": Text("size of the next trials", "试验步幅"),
    "settled": Text("settled", "已达最优"),
}


def path(app: Tune) -> dict[str, Any]:
    """The verb `path`; see `ronghe.apps.furnace.tune.app`."""
    tuner, row, margins = app.tuner, app.row, app.tuner.margins
    best = tuner.best
    n = next((i + 1 for i, t in enumerate(tuner.trials) if t is best), None)
    worth = app.proof.difference
    phase = "waiting" if row is None else "blind" if app.missing else app.pilot.phase
    return {
        "objective": {"title": app.objective, "unit": app.unit, "better": app.space.better},
        "variables": [
            {
                "tag": tag,
                "title": app.title(tag),
                "unit": app.plant.unit_of(tag),
                "low": v.low,
                "high": v.high,
                "value": None if row is None else row.x[i],
                "proposed": None if app.proposed is None else app.proposed[i],
                "ramp": Text(ramp := v.ramp.replace(" 1 per ", " per "), ramp.replace(" per ", " 每 ")),  # a pure number has no unit to say
            }
            for i, (tag, v) in enumerate(zip(app.set_points, app.options.vary, strict=True))
        ],
        "constraints": [
            {
                "title": app.title(tag),
                "unit": app.plant.unit_of(tag),
                "limit": limit.limit,
                "side": limit.side,
                "value": None if row is None else row.values[i],
                "margin": float(margins[i]),
            }
            for i, (tag, limit) in enumerate(zip(app.held, app.space.limits, strict=True))
        ],
        "steps": [_step(app, i) for i in range(len(tuner.trials))],
        "radius": tuner.radius,
        "best": n,
        "saving": None if worth is None else {"value": worth.value, "low": worth.low, "high": worth.high},
        "state": wording.STATES[phase],
        "settled": app.pilot.phase == "hold",
    }


def _step(app: Tune, i: int) -> dict[str, Any]:
    trial, expected = app.tuner.trials[i], app.expected.get(i)
    holds = all(limit.slack(v) >= 0 for limit, v in zip(app.space.limits, trial.values, strict=True))
    return {
        "n": i + 1,
        "time": round(trial.time * 1e3),
        "x": trial.x,
        "objective": trial.objective,
        "expected": None if expected is None else expected.expected,
        "low": None if expected is None else expected.low,
        "high": None if expected is None else expected.high,
        "feasible": holds and bool(trial.terms),
        "by": trial.by,
        "state": trial.state,
    }
