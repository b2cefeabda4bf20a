"""What the page of furnace.control shows.

    path → {"objective": {"title", "unit", "better"}, "variables": [{"tag", "title", "unit", "low", "high", "value", "proposed", "ramp"}],
            "constraints": [{"title", "unit", "limit", "side", "value", "margin"}],
            "steps": [{"n", "time", "x", "objective", "expected", "low", "high", "feasible", "by", "state"}],
            "radius", "best", "saving", "state", "settled"}

Of a step, `x` are the set-points as they stood, `objective` is what it cost, `expected` what the plan of the step before promised; `margin`
is the room left to the limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from ronghe.apps.furnace.control.symbolic import Floats
from ronghe.text import Text

if TYPE_CHECKING:
    from ronghe.apps.furnace.control.app import Control

By = Literal["watching", "optimal", "earlier", "hold"]

_STATES = {
    "watching": Text("only watches yet", "仅观察，尚未控制"),
    "optimal": Text("controls", "正在控制"),
    "earlier": Text("goes on with its last plan", "沿用上一方案"),
    "hold": Text("set-points stay", "设定值保持不变"),
}


@dataclass(frozen=True, slots=True)
class Step:
    """One step as it was, in the model's units. `promised`: the cost that the plan expects of the step to come."""

    time: int
    inputs: Floats
    proposed: Floats
    measured: Floats
    cost: float
    promised: float
    by: By


def path(app: Control) -> dict[str, Any]:
    """The answer to `path`."""
    w, steps = app.wiring, list(app.steps)
    last = steps[-1] if steps else None
    state = _STATES[last.by] if last is not None else Text("waits for measurements", "等待测量值")
    return {
        "objective": {"title": Text("distance from the targets", "与目标的偏差"), "unit": "", "better": "lower"},
        "variables": [_variable(app, j, last) for j in range(len(w.inputs))],
        "constraints": _constraints(app, last),
        "steps": [
            {
                "n": n,
                "time": s.time // 10**6,
                "x": [wire.outward(float(v)) for wire, v in zip(w.inputs, s.inputs, strict=True)],
                "objective": s.cost,
                "expected": steps[n - 1].promised if n else None,
                "low": None,
                "high": None,
                "feasible": not _passed(app, s),
                "by": "model",
                "state": s.by,
            }
            for n, s in enumerate(steps)
        ],
        "radius": None,
        "best": None,
        "saving": None,
        "state": state,
        "settled": last is not None and last.by == "optimal" and last.cost < 1e-3,
    }


def _variable(app: Control, j: int, last: Step | None) -> dict[str, Any]:
    wire, i = app.wiring.inputs[j], app.wiring.process.inputs[j]
    most = app.wiring.tuning.ramps.get(i.name)
    step, unit = f"{app.wiring.every / 1e9:g} s", wire.unit
    size = "" if most is None else f"{abs(most / wire.gain):.3g} {unit}"
    low, high = sorted((wire.outward(i.low), wire.outward(i.high)))
    return {
        "tag": wire.tag,
        "title": wire.title,
        "unit": unit,
        "low": low,
        "high": high,
        "value": wire.outward(float(last.inputs[j])) if last is not None else None,
        "proposed": wire.outward(float(last.proposed[j])) if last is not None else None,
        "ramp": Text(f"at most {size} in {step}", f"每 {step} 最多 {size}") if size else Text("any", "不限"),
    }


def _constraints(app: Control, last: Step | None) -> list[dict[str, Any]]:
    out = []
    for limit in app.control.limits:
        s = app.wiring.process.states[limit.state]
        value = float(app.control.estimator.x[limit.state]) if last is not None else None
        out.append(
            {
                "title": s.title,
                "unit": s.unit,
                "limit": limit.value,
                "side": "below" if limit.high else "above",
                "value": value,
                "margin": None if value is None else (limit.value - value) * (1 if limit.high else -1),
            }
        )
    return out


def _passed(app: Control, step: Step) -> bool:
    measured = dict(zip(app.control.sampled.measured, step.measured.tolist(), strict=True))
    return any((measured[c.state] - c.value) * (1 if c.high else -1) > 0 for c in app.control.limits if c.state in measured)
