"""The controller: watches, learns what of its model is wrong, and plans; every step has an answer within its deadline.

Each limit is kept at a distance of so many standard deviations of what is predicted (back-off by covariance, as Hewing, Kabzan and
Zeilinger, 2020, IEEE Trans. Control Syst. Technol. 28(6)), which shrinks as the model is learned. It grows over the first `ahead` intervals
and stays from there on: by then measurements have come (the robust horizon of Lucia, Finkler and Engell, 2013).
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from ronghe.apps.furnace.control.estimator import Estimator, Walk
from ronghe.apps.furnace.control.symbolic import Floats, Limit, Problem, Sampled
from ronghe.twin.plants import Process


@dataclass(frozen=True, slots=True)
class Tuning:
    """How it controls. `targets` are weights of states and inputs that have a target, by name; `moves` those of changes of inputs;
    `ramps` are the largest changes of inputs in one interval, none where it says nothing."""

    every: float  # s
    horizon: int
    targets: Mapping[str, float]
    moves: Mapping[str, float] = field(default_factory=dict)
    ramps: Mapping[str, float] = field(default_factory=dict)
    sigmas: float = 3.0
    ahead: int = 3
    deadline: float = 0.5  # s
    walk: Walk = field(default_factory=Walk)
    learn: bool = True


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do. `inputs` [n, nu] from now on, `states` [n, nx] after each interval; `bounds` [limits, n] are the limits with back-off.

    by: "optimal" - of this step; "earlier" - the rest of the last optimal plan, the solver had no answer in time; "hold" - there is none
    left, inputs stay. `beyond` [limits]: how far a limit will be passed at worst; 0 where it is kept.
    """

    by: Literal["optimal", "earlier", "hold"]
    inputs: Floats
    states: Floats
    bounds: Floats
    beyond: Floats
    cost: float
    seconds: float
    status: str
    iterations: int


def problem_of(process: Process, tuning: Tuning) -> Problem:
    """The optimal control problem of a process, which takes a second to build."""
    moves = [tuning.moves.get(i.name, 1.0) for i in process.inputs]
    ramps = [tuning.ramps.get(i.name, math.inf) for i in process.inputs]
    return Problem(Sampled(process, tuning.every), tuning.horizon, tuning.targets, moves, ramps, tuning.deadline)


class Controller:
    """One process under control: `observe` at every sample, then `plan`. Built once, which takes a second."""

    def __init__(
        self,
        process: Process,
        tuning: Tuning,
        parameters: Floats | None = None,
        *,
        problem: Problem | None = None,
        timer: Callable[[], float] = time.perf_counter,
    ) -> None:
        """`problem` is one built by `problem_of` for the same process and tuning, to be used by one controller after the other."""
        self.process, self.tuning, self._timer = process, tuning, timer
        self.parameters = process.parameter_values() if parameters is None else parameters
        self._problem = problem or problem_of(process, tuning)
        self._problem.forget()
        self.sampled = self._problem.sampled
        self.limits: tuple[Limit, ...] = self._problem.limits
        self.estimator = Estimator(self.sampled, self.parameters, tuning.walk, learn=tuning.learn)
        self._started = False
        self._last: Plan | None = None
        self._age = 0  # intervals since the last optimal plan

    def observe(self, y: Floats, before: Floats) -> None:
        """A measurement [measured] (NaN: none), and the inputs that were in force since the one before."""
        if not self._started:
            if np.isnan(y).any():
                return
            self.estimator.start(y)
            self._started = True
            return
        self.estimator.predict(before)
        self.estimator.update(y)

    @property
    def started(self) -> bool:
        """Whether there has been a measurement."""
        return self._started

    def plan(self, goal: Floats, before: Floats) -> Plan:
        """From what is known now to the targets `goal`, with the inputs `before` in force."""
        e, began = self.estimator, self._timer()
        bounds = self._bounds(before)
        answer = self._problem.solve(e.x, before, self.parameters, e.theta, e.d, goal, bounds)
        seconds = self._timer() - began
        if answer.solved:
            beyond = np.maximum(answer.beyond.max(axis=1, initial=0.0), 0.0)
            plan = Plan("optimal", answer.inputs, answer.states, bounds, beyond, answer.cost, seconds, answer.status, answer.iterations)
            self._last, self._age = plan, 0
            return plan
        self._age += 1
        none = np.zeros(len(self.limits))
        if self._last is not None and self._age < len(self._last.inputs):
            rest, states = self._last.inputs[self._age :], self._last.states[self._age :]
            return Plan("earlier", rest, states, bounds, none, np.nan, seconds, answer.status, answer.iterations)
        return Plan("hold", before[None], e.x[None], bounds, none, np.nan, seconds, answer.status, answer.iterations)

    def _bounds(self, before: Floats) -> Floats:
        n, ahead = self.tuning.horizon, self.tuning.ahead
        bounds = np.repeat(np.array([c.value for c in self.limits])[:, None], n, axis=1)
        if ahead and self.limits:
            planned = np.repeat(before[None], ahead, axis=0)
            if self._last is not None:
                rest = self._last.inputs[self._age + 1 :][:ahead]
                planned[: len(rest)] = rest
            off = self.tuning.sigmas * self.estimator.deviations(planned)
            off = np.concatenate([off, np.repeat(off[-1:], n - ahead, axis=0)])
            for c, limit in enumerate(self.limits):
                bounds[c] -= (1 if limit.high else -1) * off[:, limit.state]
        return bounds
