"""What a plant without nonlinear control has: a linear-quadratic regulator with integral action."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ronghe.apps.furnace.control.estimator import Estimator, Walk
from ronghe.apps.furnace.control.symbolic import Floats, Sampled
from ronghe.apps.furnace.control.trial import Case, Look, Pilot


def regulator(case: Case, corner: Mapping[str, float], caution: float = 1.0) -> Pilot:
    """LQR in velocity form (Pannocchia and Rawlings, 2001): no lasting error, the same stage cost, the same wrong model linearised where
    the run begins, states from a Kalman filter, inputs cut at their ranges. `caution` multiplies the weight of moves."""
    process, tuning = case.process, case.tuning
    p, sampled = process.parameter_values(corner), Sampled(process, tuning.every)
    filter_ = Estimator(sampled, p, Walk(), learn=False)
    nx, nu, u0 = len(process.states), len(process.inputs), np.array(case.start)
    names = [*(s.name for s in process.states), *(i.name for i in process.inputs)]
    spans = np.array([i.high - i.low for i in process.inputs])
    where = [names.index(t) for t in tuning.targets]
    _, by, b = sampled.linear(filter_.x, u0, p, filter_.theta, filter_.d)
    a, pick = by[:, :nx], np.eye(nx + nu)[where]
    full_a = np.block([[a, np.zeros((nx, len(where)))], [pick[:, :nx] @ a, np.eye(len(where))]])
    full_b = np.vstack([b, pick[:, :nx] @ b + pick[:, nx:]])
    weight = np.array(list(tuning.targets.values())) / np.concatenate([sampled.span, spans])[where] ** 2
    q = np.diag(np.concatenate([np.zeros(nx), weight]))
    r = caution * np.diag(np.array([tuning.moves.get(i.name, 1.0) for i in process.inputs]) / spans**2)
    cost = q.copy()
    for _ in range(5000):  # Riccati's recursion to its fixed point
        gain = np.linalg.solve(r + full_b.T @ cost @ full_b, full_b.T @ cost @ full_a)
        cost, old = q + full_a.T @ cost @ (full_a - full_b @ gain), cost
        if np.abs(cost - old).max() <= 1e-9 * np.abs(cost).max():
            break
    last: list[Floats] = []

    def act(look: Look) -> Floats:
        if not last:
            filter_.start(look.y)
        else:
            filter_.predict(look.before)
            filter_.update(look.y)
        moved = filter_.x - (last[-1] if last else filter_.x)
        last[:] = [filter_.x.copy()]
        if not look.acting:
            return look.before
        error = np.concatenate([filter_.x, look.before])[where] - look.goal
        return look.before - gain @ np.concatenate([moved, error])

    return act
