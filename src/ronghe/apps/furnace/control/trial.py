"""Closed loops on a simulated plant that is not what the controller believes: the benchmarks' protocol.

The plant has the published parameters; the controller's model has every uncertain one of them off by a factor. Sensors are noisy, the
controller that knows everything sees true states and true parameters (also a disturbance, from its first moment on) with the same horizon
and weights. Cost and limits are judged on the true states.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from ronghe.apps.furnace.control.controller import Controller, Tuning
from ronghe.apps.furnace.control.symbolic import Floats, Problem, limits_of
from ronghe.twin.plants import Process, steady, trajectory

_FINE = 5  # points an interval at which limits are judged


@dataclass(frozen=True, slots=True)
class Case:
    """One benchmark. `goals` [(s, targets by name)] and `events` [(s, parameter, value)] in the order of their times."""

    name: str
    process: Process
    tuning: Tuning
    goals: tuple[tuple[float, Mapping[str, float]], ...]
    events: tuple[tuple[float, str, float], ...]
    seconds: float
    start: tuple[float, ...]  # inputs under which it is at rest in the beginning
    watch: int = 20  # intervals at rest before it acts

    def goal(self, at: float) -> Floats:
        """The targets in force, in the order of the tuning's."""
        now: dict[str, float] = {}
        for since, goal in self.goals:
            if since <= at:
                now.update(goal)
        return np.array([now[name] for name in self.tuning.targets])

    def truth(self, at: float) -> Floats:
        """The plant's parameters."""
        p = self.process.parameter_values()
        for since, name, value in self.events:
            if since <= at:
                p[[q.name for q in self.process.parameters].index(name)] = value
        return p


@dataclass(frozen=True, slots=True)
class Look:
    """What there is to see at a sample: `y` is measured, the rest only a controller that knows everything may use."""

    at: float
    y: Floats
    x: Floats
    p: Floats
    before: Floats
    goal: Floats
    acting: bool  # before it acts it watches the plant at rest


class Pilot(Protocol):
    """A controller in a trial: inputs for the next interval."""

    def __call__(self, look: Look) -> Floats: ...


@dataclass(frozen=True, slots=True)
class Run:
    """What came out. `violations`: fine points at which a limit was passed, `excess`: the farthest, in spans; `margin`: the nearest it came
    to one, in spans; `ms`: of each step."""

    costs: Floats  # of each step
    violations: int
    excess: float
    margin: float
    ms: Floats
    time: Floats
    states: Floats
    inputs: Floats

    @property
    def cost(self) -> float:
        """Of the whole run."""
        return float(self.costs.sum())


def run(case: Case, pilot: Pilot, seed: int) -> Run:
    """One closed loop."""
    process, every, rng = case.process, case.tuning.every, np.random.default_rng(seed)
    measured = [i for i, s in enumerate(process.states) if s.noise is not None]
    noise = np.array([process.states[i].noise for i in measured])
    limits, span = limits_of(process), np.array([s.span for s in process.states])
    low, high = np.array([i.low for i in process.inputs]), np.array([i.high for i in process.inputs])
    moves = np.array([case.tuning.moves.get(i.name, 1.0) for i in process.inputs])
    names = [*(s.name for s in process.states), *(i.name for i in process.inputs)]
    where = [names.index(t) for t in case.tuning.targets]
    scale, weights = np.concatenate([span, high - low])[where], np.array(list(case.tuning.targets.values()))
    before = np.array(case.start)
    x = steady(process, before, case.truth(0.0))
    n = round(case.seconds / every)
    states, inputs, ms = np.empty((n, len(x))), np.empty((n, len(before))), np.empty(n)
    costs, violations, margin = np.empty(n), 0, np.inf
    for k in range(-case.watch, n):
        at = max(0, k) * every
        y = x[measured] + noise * rng.standard_normal(len(measured))
        p, goal = case.truth(at), case.goal(at)
        began = time.perf_counter()
        u = np.clip(pilot(Look(at, y, x, p, before, goal, k >= 0)), low, high)
        if k < 0:
            continue
        ms[k] = 1e3 * (time.perf_counter() - began)
        fine = trajectory(process, x, u, p, every, _FINE)
        x = fine[-1]
        costs[k] = weights @ ((np.concatenate([x, u])[where] - goal) / scale) ** 2 + moves @ ((u - before) / (high - low)) ** 2
        for c in limits:
            room = (c.value - fine[:, c.state]) * (1 if c.high else -1) / span[c.state]
            violations += int((room < 0).sum())
            margin = min(margin, float(room.min()))
        states[k], inputs[k], before = x, u, u
    return Run(costs, violations, max(0.0, -margin), margin, ms, every * np.arange(1.0, n + 1), states, inputs)


def knowing(case: Case, problem: Problem | None = None) -> Pilot:
    """Model-predictive control that knows everything."""
    controller = Controller(case.process, replace(case.tuning, sigmas=0.0, ahead=0, learn=False), problem=problem)

    def act(look: Look) -> Floats:
        if not look.acting:
            return look.before
        e = controller.estimator
        e.x, controller.parameters = look.x, look.p
        return controller.plan(look.goal, look.before).inputs[0]

    return act


def learning(case: Case, corner: Mapping[str, float], problem: Problem | None = None) -> Pilot:
    """Ours, whose model is off by the factors of `corner`."""
    controller = Controller(case.process, case.tuning, case.process.parameter_values(corner), problem=problem)

    def act(look: Look) -> Floats:
        controller.observe(look.y, look.before)
        if not look.acting:
            return look.before
        return controller.plan(look.goal, look.before).inputs[0]

    return act


def believing(case: Case, corner: Mapping[str, float], problem: Problem | None = None) -> Pilot:
    """The same without what makes it ours: it learns no parameter and keeps no distance; unknown rates alone correct it."""
    return learning(replace(case, tuning=replace(case.tuning, learn=False, sigmas=0.0, ahead=0)), corner, problem)


def corners(process: Process, count: int, seed: int = 0, off: float = 0.2) -> list[dict[str, float]]:
    """Corners of the box of all uncertain parameters at ± `off`, all different, drawn at random."""
    rng, names = np.random.default_rng(seed), [p.name for p in process.parameters if p.spread > 0]
    found: dict[tuple[int, ...], dict[str, float]] = {}
    while len(found) < min(count, 2 ** len(names)):
        signs = tuple(int(s) for s in rng.choice((-1, 1), len(names)))
        found[signs] = {name: 1 + off * s for name, s in zip(names, signs, strict=True)}
    return list(found.values())
