"""The one place that knows casadi: a process as a sampled map with exact derivatives, and its optimal control problem, each built once.

Direct multiple shooting (Bock and Plitt, 1984) with a fourth-order Runge-Kutta of fixed steps, solved by IPOPT (Wächter and Biegler, 2006).
State limits are exact L1 penalties (Kerrigan and Maciejowski, 2000): the problem always has a solution, which says where a limit cannot be
kept; limits and ramps of inputs are hard.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ronghe.errors import MissingExtra
from ronghe.text import Text
from ronghe.twin.plants import Process
from ronghe.twin.plants.process import runge_kutta

Floats = NDArray[np.float64]

_PENALTY = 1e3  # of a limit passed by one span for one step; above any multiplier seen, so that it is exact
_REST = 1e2  # of a movement of one span in the interval after the horizon


def _casadi() -> Any:
    try:
        import casadi
    except ImportError as e:
        raise MissingExtra("furnace", Text("model-predictive control", "模型预测控制")) from e
    if hasattr(casadi.GlobalOptions, "setNumpyMode"):  # from 3.8 on: as it always was, a symbolic result of numpy's functions
        casadi.GlobalOptions.setNumpyMode(-1)
    return casadi


@dataclass(frozen=True, slots=True)
class Limit:
    """One side of a state's range."""

    state: int
    high: bool
    value: float


def limits_of(process: Process) -> tuple[Limit, ...]:
    """Every finite limit of a process."""
    sides = ((i, high, s.high if high else s.low) for i, s in enumerate(process.states) for high in (False, True))
    return tuple(Limit(i, high, value) for i, high, value in sides if math.isfinite(value))


class Sampled:
    """A process over one sampling interval: x⁺ = F(x, u, θ, d), parameters p = p₀·exp(θ) where they are not well known, and an unknown
    rate d (spans an interval) of every state that is measured."""

    def __init__(self, process: Process, every: float) -> None:
        ca = _casadi()
        self.process, self.every = process, every
        self.learned = tuple(i for i, p in enumerate(process.parameters) if p.spread > 0)
        self.measured = tuple(i for i, s in enumerate(process.states) if s.noise is not None)
        self.span = np.array([s.span for s in process.states])
        nx, nu, nt, nd = len(process.states), len(process.inputs), len(self.learned), len(self.measured)
        x, u, p = ca.SX.sym("x", nx), ca.SX.sym("u", nu), ca.SX.sym("p", len(process.parameters))
        theta, d = ca.SX.sym("theta", nt), ca.SX.sym("d", nd)
        values = ca.SX(p)
        for j, i in enumerate(self.learned):
            values[i] = p[i] * ca.exp(theta[j])
        unknown = ca.SX.zeros(nx)
        for j, i in enumerate(self.measured):
            unknown[i] = d[j] * self.span[i] / every

        def rates(at: Any) -> Any:
            return ca.vertcat(*process.rates(ca.vertsplit(at), ca.vertsplit(u), ca.vertsplit(values))) + unknown

        steps = max(1, math.ceil(every / process.stiff))
        after = x
        for _ in range(steps):
            after = runge_kutta(rates, after, every / steps)
        z = ca.vertcat(x, theta, d)
        self.step = ca.Function("step", [x, u, p, theta, d], [after])
        self._linear = ca.Function("linear", [x, u, p, theta, d], [after, ca.jacobian(after, z), ca.jacobian(after, u)])

    def linear(self, x: Floats, u: Floats, p: Floats, theta: Floats, d: Floats) -> tuple[Floats, Floats, Floats]:
        """x⁺[nx], its derivatives by (x, θ, d) [nx, nx+nθ+nd] and by u [nx, nu]."""
        after, by_state, by_input = self._linear(x, u, p, theta, d)
        return np.array(after).ravel(), np.array(by_state), np.array(by_input)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the solver says. `inputs` [n, nu], `states` [n, nx] (after each interval); `beyond` [limits, n]: how far each limit is passed
    (less than 0: the room that is left)."""

    solved: bool
    inputs: Floats
    states: Floats
    beyond: Floats
    cost: float
    status: str
    iterations: int


class Problem:
    """The optimal control problem over `horizon` intervals.

    minimise Σ weights·((y − target)/span)² + moves·(Δu/range)²: y are the states and inputs that have a target, those by name in `targets`;
    and the plan ends near a steady state (Keerthi and Gilbert, 1988, softened).
    """

    def __init__(
        self,
        sampled: Sampled,
        horizon: int,
        targets: Mapping[str, float],
        moves: Sequence[float],
        ramps: Sequence[float],
        deadline: float,
    ) -> None:
        ca = _casadi()
        process = sampled.process
        self.sampled, self.horizon = sampled, horizon
        self.limits = limits_of(process)
        self._limited = tuple(dict.fromkeys(c.state for c in self.limits))  # their two sides share a slack: one is passed at most
        nx, nu, nc, ns = len(process.states), len(process.inputs), len(self.limits), len(self._limited)
        self._low, self._range = np.array([i.low for i in process.inputs]), np.array([i.high - i.low for i in process.inputs])
        ups, xs = ca.SX.sym("u", nu, horizon), ca.SX.sym("x", nx, horizon)  # in parts of their ranges and spans
        slack = ca.SX.sym("s", ns, horizon)
        x0, u0, p = ca.SX.sym("x0", nx), ca.SX.sym("u0", nu), ca.SX.sym("p", len(process.parameters))
        theta, d = ca.SX.sym("theta", len(sampled.learned)), ca.SX.sym("d", len(sampled.measured))
        goal, bound = ca.SX.sym("goal", len(targets)), ca.SX.sym("bound", nc, horizon)
        names = [*(s.name for s in process.states), *(i.name for i in process.inputs)]
        scale = [*sampled.span, *self._range]
        at, before, cost = x0, u0, ca.SX(0)
        gaps: list[Any] = []
        steps: list[Any] = []
        bounded = [j for j, most in enumerate(ramps) if math.isfinite(most)]
        for k in range(horizon):
            u = self._low + self._range * ups[:, k]
            reached = sampled.step(at, u, p, theta, d)
            at = sampled.span * xs[:, k]
            gaps.append((reached - at) / sampled.span)
            shown = ca.vertcat(at, u)
            for j, (name, weight) in enumerate(targets.items()):
                i = names.index(name)
                cost += weight * ((shown[i] - goal[j]) / scale[i]) ** 2
            cost += ca.sumsqr(ca.sqrt(ca.DM(list(moves))) * (ups[:, k] - before))
            steps.extend(ups[j, k] - before[j] for j in bounded)
            before = ups[:, k]
        for c, limit in enumerate(self.limits):
            sign, span = (1.0 if limit.high else -1.0), sampled.span[limit.state]
            s = self._limited.index(limit.state)
            gaps.extend(sign * (xs[limit.state, k] - bound[c, k] / span) - slack[s, k] for k in range(horizon))
        # It ends at rest: otherwise the last inputs serve a moment after which nothing is asked, in plants that go the wrong way first.
        cost += _REST * ca.sumsqr((sampled.step(at, u, p, theta, d) - at) / sampled.span)
        cost += _PENALTY * ca.sum1(ca.vec(slack))
        given = ca.vertcat(x0, u0, p, theta, d, goal, ca.vec(bound))
        free = ca.vertcat(ca.vec(ups), ca.vec(xs), ca.vec(slack))
        options = {
            "print_time": False,
            "error_on_fail": False,
            "ipopt": {
                "print_level": 0,
                "sb": "yes",
                "max_wall_time": deadline,
                "max_iter": 200,
                "tol": 1e-6,
                "bound_relax_factor": 0.0,
                "mu_strategy": "monotone",
                "warm_start_init_point": "yes",
                "warm_start_bound_push": 1e-6,
                "warm_start_mult_bound_push": 1e-6,
                "mu_init": 1e-5,  # a new problem differs little from the one before: begun farther off, most of its iterations come back
            },
        }
        self._solver = ca.nlpsol("control", "ipopt", {"x": free, "f": cost, "g": ca.vertcat(*gaps, *steps), "p": given}, options)
        n = horizon
        self._shape = (nu * n, nx * n, ns * n)
        self._lbx = np.concatenate([np.zeros(nu * n), np.full(nx * n, -np.inf), np.zeros(ns * n)])
        self._ubx = np.concatenate([np.ones(nu * n), np.full((nx + ns) * n, np.inf)])
        most = np.tile([ramps[j] / self._range[j] for j in bounded], n)
        self._lbg = np.concatenate([np.zeros(nx * n), np.full(nc * n, -np.inf), -most])
        self._ubg = np.concatenate([np.zeros((nx + nc) * n), most])
        self._guess: dict[str, Floats] = {}

    def solve(self, x: Floats, before: Floats, p: Floats, theta: Floats, d: Floats, goal: Floats, bounds: Floats) -> Answer:
        """From state x with the inputs `before` in force; `bounds` [limits, n] are the limits less what is kept clear of them."""
        given = np.concatenate([x, (before - self._low) / self._range, p, theta, d, goal, bounds.ravel("F")])
        guess = self._guess or self._first(x, before)
        out = self._solver(p=given, lbx=self._lbx, ubx=self._ubx, lbg=self._lbg, ubg=self._ubg, **guess)
        stats = self._solver.stats()
        a, b, _ = self._shape
        w = np.array(out["x"]).ravel()
        solved = bool(stats["success"]) and bool(np.isfinite(w).all())
        inputs = self._low + self._range * np.clip(w[:a].reshape(self.horizon, -1), 0.0, 1.0)
        states = w[a : a + b].reshape(self.horizon, -1) * self.sampled.span
        beyond = np.array([(1 if c.high else -1) * (states[:, c.state] - c.value) for c in self.limits])
        self._guess = {k: np.array(out[o]).ravel() for k, o in (("x0", "x"), ("lam_x0", "lam_x"), ("lam_g0", "lam_g"))} if solved else {}
        if solved:
            self._guess["x0"] = np.concatenate([_shifted(part, self.horizon) for part in np.split(w, np.cumsum(self._shape)[:-1])])
        return Answer(solved, inputs, states, beyond, float(out["f"]), str(stats["return_status"]), int(stats["iter_count"]))

    def forget(self) -> None:
        """The next problem is not like the one before."""
        self._guess = {}

    def _first(self, x: Floats, before: Floats) -> dict[str, Floats]:
        u = np.clip((before - self._low) / self._range, 0.0, 1.0)
        return {"x0": np.concatenate([np.tile(u, self.horizon), np.tile(x / self.sampled.span, self.horizon), np.zeros(self._shape[2])])}


def _shifted(flat: Floats, n: int) -> Floats:
    """One interval on, the last repeated."""
    rows = flat.reshape(n, -1)
    return np.concatenate([rows[1:], rows[-1:]]).ravel()
