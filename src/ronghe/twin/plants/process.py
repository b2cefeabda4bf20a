"""A process as ordinary differential equations, with units, limits, and what is not well known of it.

Right-hand sides are written with numpy's functions (`np.sqrt`, `np.exp`, `np.maximum`) on single numbers, so that the same line computes
with floats and builds symbolic expressions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ronghe.errors import TwinError
from ronghe.text import Text

Floats = NDArray[np.float64]

Rates = Callable[[Sequence[Any], Sequence[Any], Sequence[Any]], Sequence[Any]]
"""(states, inputs, parameters) → the rate of every state, in its unit a second."""


@dataclass(frozen=True, slots=True)
class State:
    """One state. `value` is where the process usually is, `span` what counts as a large change; `low` and `high` are never to be passed.

    `noise` is the standard deviation of its sensor; None: it has no sensor.
    """

    name: str
    title: Text
    unit: str  # UCUM
    value: float
    span: float
    low: float = -math.inf
    high: float = math.inf
    noise: float | None = 0.0


@dataclass(frozen=True, slots=True)
class Input:
    """One input and the range in which it can be set."""

    name: str
    title: Text
    unit: str
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Parameter:
    """One constant of the equations. `spread` is how far it may be off, as a part of its value; 0: it is known."""

    name: str
    value: float
    unit: str = ""
    spread: float = 0.0


@dataclass(frozen=True, slots=True)
class Process:
    """The whole plant. Times in seconds; `stiff` is the longest step (s) of a fourth-order Runge-Kutta that is still exact enough."""

    name: str
    title: Text
    states: tuple[State, ...]
    inputs: tuple[Input, ...]
    parameters: tuple[Parameter, ...]
    rates: Rates
    stiff: float
    source: str = ""

    def parameter_values(self, factors: Mapping[str, float] | None = None) -> Floats:
        """Every parameter, each times its factor. Raises TwinError for a factor of nothing."""
        factors = factors or {}
        known = [p.name for p in self.parameters]
        for name in factors:
            if name not in known:
                raise TwinError(
                    Text(f"{self.name} has no parameter {name!r}", f"{self.name} 没有参数 {name!r}"),
                    todo=Text(f"it has: {', '.join(known)}", f"可用参数：{', '.join(known)}"),
                )
        return np.array([p.value * factors.get(p.name, 1.0) for p in self.parameters])

    def state_values(self) -> Floats:
        """Where it usually is."""
        return np.array([s.value for s in self.states])

    def input_values(self) -> Floats:
        """And with which inputs."""
        return np.array([i.value for i in self.inputs])


def runge_kutta(rates: Callable[[Any], Any], x: Any, h: float) -> Any:
    """One classical fourth-order step of h seconds, of numbers or of expressions."""
    a = rates(x)
    b = rates(x + h / 2 * a)
    c = rates(x + h / 2 * b)
    d = rates(x + h * c)
    return x + h / 6 * (a + 2 * b + 2 * c + d)


def trajectory(process: Process, x: Floats, u: Floats, p: Floats, seconds: float, points: int = 1) -> Floats:
    """The states at `points` equal steps of `seconds` in all, inputs held: float64[points, states]. Raises TwinError where it diverges."""
    each = seconds / points
    steps = max(1, math.ceil(each / process.stiff))
    inputs, parameters = u.tolist(), p.tolist()

    def rates(at: Floats) -> Floats:
        return np.array(process.rates(at.tolist(), inputs, parameters), np.float64)

    out = np.empty((points, len(x)))
    with np.errstate(all="ignore"):
        for i in range(points):
            for _ in range(steps):
                x = runge_kutta(rates, x, each / steps)
            out[i] = x
    if not np.isfinite(out).all():
        raise TwinError(Text(f"{process.name}: the model diverges", f"{process.name}：模型发散"))
    return out


def steady(process: Process, u: Floats, p: Floats, start: Floats | None = None) -> Floats:
    """Where it comes to rest with these inputs, by Newton's method from `start`. Raises TwinError where it does not."""
    x = process.state_values() if start is None else start
    scale = np.array([s.span for s in process.states])

    def rates(at: Floats) -> Floats:
        return np.array(process.rates(at.tolist(), u.tolist(), p.tolist()), np.float64)

    for _ in range(100):
        f = rates(x)
        step = 1e-6 * scale
        jacobian = np.stack([(rates(x + step[i] * e) - f) / step[i] for i, e in enumerate(np.eye(len(x)))], 1)
        move = np.linalg.solve(jacobian, -f)
        x = x + move * min(1.0, 0.5 / max(1e-12, float(np.max(np.abs(move) / scale))))
        if np.max(np.abs(move) / scale) < 1e-10:
            return x
    raise TwinError(Text(f"{process.name} finds no steady state", f"{process.name} 未找到稳态"))
