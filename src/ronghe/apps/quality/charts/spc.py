"""Control charts (ISO 7870, Montgomery, "Introduction to Statistical Quality Control") and the rules that read them.

Constants are computed, not tabled. Points, limits and centres are in the unit of the values. A rule's name is that of Nelson, "The Shewhart
control chart: tests for special causes", Journal of Quality Technology 16 (1984); the first, fifth, sixth and second of his with eight
instead of nine points are those of Western Electric (1956).
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ronghe.apps.quality.charts.arl import cusum_limit, ewma_limit, normal_cdf
from ronghe.apps.quality.charts.chances import binomial_above
from ronghe.errors import AppError
from ronghe.text import Text

Floats = NDArray[np.float64]

NELSON: Final = ("1", "2", "3", "4", "5", "6", "7", "8")
WESTERN_ELECTRIC: Final = ("1", "5", "6", "2w")
_TAIL: Final = 0.00135  # one side of ±3 σ


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart. `upper` and `lower` float64 of each point; `rules` are those that each point breaks."""

    kind: str
    centre: float
    upper: Floats
    lower: Floats
    value: Floats
    rules: tuple[tuple[str, ...], ...]
    sigma: float = 0.0  # of one point

    @property
    def out(self) -> NDArray[np.bool_]:
        """Whether each point breaks a rule."""
        return np.array([bool(r) for r in self.rules], np.bool_)


# --- constants ------------------------------------------------------------------------------------------------------------------


@functools.cache
def d2(n: int) -> float:
    """Mean of the range of n standard normal values: ∫ 1 − Φⁿ − (1 − Φ)ⁿ."""
    x, phi = _normal()
    return float(np.trapezoid(1 - phi**n - (1 - phi) ** n, x))


@functools.cache
def d3(n: int) -> float:
    """Its standard deviation; E(R²) = 2 ∬ 1 − Φ(y)ⁿ − (1 − Φ(x))ⁿ + (Φ(y) − Φ(x))ⁿ over x < y."""
    x, phi = _normal()
    below, above = phi[:, None], phi[None, :]
    inside = np.where(above >= below, 1 - above**n - (1 - below) ** n + np.abs(above - below) ** n, 0.0)
    inside[np.diag_indices_from(inside)] /= 2  # half of a cell on the line x = y
    square = 2 * float(inside.sum()) * (x[1] - x[0]) ** 2
    return math.sqrt(square - d2(n) ** 2)


def c4(n: int) -> float:
    """Mean of the sample standard deviation of n standard normal values."""
    return math.sqrt(2 / (n - 1)) * math.exp(math.lgamma(n / 2) - math.lgamma((n - 1) / 2))


def d_limits(n: int) -> tuple[float, float]:
    """(D3, D4): limits of a range chart as parts of the mean range."""
    spread = 3 * d3(n) / d2(n)
    return max(0.0, 1 - spread), 1 + spread


@functools.cache
def _normal() -> tuple[Floats, Floats]:
    x = np.linspace(-8.5, 8.5, 1701)
    return x, normal_cdf(x)


# --- charts ---------------------------------------------------------------------------------------------------------------------


def xbar_r(groups: Floats, rules: tuple[str, ...] = NELSON) -> tuple[Chart, Chart]:
    """Charts of the means and the ranges of float64 (groups, n), n from 2 to 25."""
    k, n = groups.shape
    if k < 2 or not 2 <= n <= 25:
        raise AppError(
            Text(f"{k} groups of {n} values make no X-bar/R chart", f"{k} 组、每组 {n} 个值无法绘制 X̄-R 图"),
            todo=Text("give at least 2 groups of 2 to 25 values", "请给出至少 2 组、每组 2–25 个值"),
        )
    mean, spread = groups.mean(axis=1), np.ptp(groups, axis=1)
    usual = float(spread.mean())
    sigma = usual / d2(n) / math.sqrt(n)
    low, high = d_limits(n)
    limits = np.full(k, high * usual), np.full(k, low * usual)
    beyond = tuple(("1",) if not low <= s <= high else () for s, low, high in zip(spread, limits[1], limits[0], strict=True))
    ranges = Chart("R", usual, *limits, spread, beyond, d3(n) * usual / d2(n))
    return _shewhart("X-bar", mean, float(groups.mean()), sigma, rules), ranges


def individuals(values: Floats, rules: tuple[str, ...] = NELSON, base: int = 0) -> tuple[Chart, Chart]:
    """Charts of single values and of their moving ranges; centre and limits from the first `base` values, or from all."""
    n = len(values)
    if n < 2:
        raise AppError(Text("a chart needs at least two values", "控制图至少需要两个值"))
    moving = np.abs(np.diff(values))
    learned = values[: base or n]
    usual = float(np.abs(np.diff(learned)).mean()) if len(learned) > 1 else float(moving.mean())
    chart = _shewhart("I", values, float(learned.mean()), usual / d2(2), rules)
    high = d_limits(2)[1] * usual
    beyond = tuple(("1",) if m > high else () for m in moving)
    return chart, Chart("MR", usual, np.full(n - 1, high), np.zeros(n - 1), moving, beyond, d3(2) * usual / d2(2))


def ewma(values: Floats, centre: float, sigma: float, *, weight: float = 0.2, arl: float = 370.0) -> Chart:
    """Exponentially weighted moving average (Roberts 1959), limits widening to those of the ARL asked for."""
    limit = ewma_limit(weight, arl)
    z = np.empty(len(values))
    last = centre
    for i, v in enumerate(values):
        z[i] = last = (1 - weight) * last + weight * v
    spread = sigma * np.sqrt(weight / (2 - weight) * -np.expm1(2 * np.arange(1, len(values) + 1) * math.log1p(-weight)))
    return _limits(Chart("EWMA", centre, centre + limit * spread, centre - limit * spread, z, (), sigma))


def cusum(values: Floats, centre: float, sigma: float, *, slack: float = 0.5, arl: float = 370.0) -> tuple[Chart, Chart]:
    """Tabular CUSUM (Page 1954): (upward, downward as negative values), in the unit of the values."""
    limit = cusum_limit(slack, arl) * sigma
    up, down = np.zeros(len(values)), np.zeros(len(values))
    high = low = 0.0
    for i, v in enumerate(values):
        high = max(0.0, high + v - centre - slack * sigma)
        low = min(0.0, low + v - centre + slack * sigma)
        up[i], down[i] = high, low
    n, zeros = np.full(len(values), limit), np.zeros(len(values))
    return _limits(Chart("CUSUM+", 0.0, n, zeros, up, (), sigma)), _limits(Chart("CUSUM-", 0.0, zeros, -n, down, (), sigma))


def p_chart(events: NDArray[np.int64], of: NDArray[np.int64], base: int = 0, *, exact: bool = False) -> Chart:
    """Shares of defective parts. Limits ±3 σ, or `exact`: the binomial's own, whose chance of a false alarm is at most that of 3 σ on
    each side, which at small shares the ±3 σ are far from. Centre from the first `base` points, or all."""
    use = slice(0, base or len(of))
    if not int(of[use].sum()):
        raise AppError(Text("there are no parts to count", "没有可统计的工件"))
    share = float(events[use].sum() / of[use].sum())
    value = events / np.maximum(of, 1)
    spread = 3 * np.sqrt(share * (1 - share) / np.maximum(of, 1))
    upper, lower = np.minimum(share + spread, 1.0), np.maximum(share - spread, 0.0)
    if exact:
        bounds = {int(n): _binomial_limits(int(n), share) for n in np.unique(of)}
        upper = np.array([bounds[int(n)][1] for n in of])
        lower = np.array([bounds[int(n)][0] for n in of])
    return _limits(Chart("p", share, upper, lower, value, (), float(spread.mean()) / 3))


def _binomial_limits(n: int, share: float) -> tuple[float, float]:
    """The smallest and largest share in n whose chance to be passed is at most that of 3 σ."""
    high = next((c for c in range(n + 1) if binomial_above(c, n, share) <= _TAIL), n)
    low = next((c for c in range(high, 0, -1) if 1 - binomial_above(c - 1, n, share) <= _TAIL), 0)
    return low / n if n else 0.0, high / n if n else 1.0


def _shewhart(kind: str, value: Floats, centre: float, sigma: float, rules: tuple[str, ...]) -> Chart:
    n = len(value)
    return Chart(
        kind, centre, np.full(n, centre + 3 * sigma), np.full(n, centre - 3 * sigma), value, broken(value, centre, sigma, rules), sigma
    )


def _limits(chart: Chart) -> Chart:
    """With the points beyond its limits marked."""
    slack = 1e-12 * max(1.0, abs(chart.centre))
    beyond = (chart.value > chart.upper + slack) | (chart.value < chart.lower - slack)
    return replace(chart, rules=tuple(("1",) if b else () for b in beyond))


# --- rules ----------------------------------------------------------------------------------------------------------------------


def broken(value: Floats, centre: float, sigma: float, rules: tuple[str, ...] = NELSON) -> tuple[tuple[str, ...], ...]:
    """The rules that each point breaks: a point is marked where the pattern that ends with it is complete.

    1 beyond 3 σ · 2 nine in a row on one side (2w: eight) · 3 six in a row up or down · 4 fourteen alternating · 5 two of three beyond 2 σ
    on one side · 6 four of five beyond 1 σ on one side · 7 fifteen within 1 σ · 8 eight beyond 1 σ, on both sides
    """
    z = (value - centre) / sigma if sigma > 0 else np.where(value == centre, 0.0, np.copysign(np.inf, value - centre))
    step = np.sign(np.diff(value, prepend=value[:1]))
    turns = np.concatenate([[0.0], step[1:] * step[:-1]]) < 0 if len(value) else step < 0
    sides = (z, -z)
    tests = {
        "1": np.abs(z) > 3,
        "2": _any([_run(s > 0, 9) for s in sides]),
        "2w": _any([_run(s > 0, 8) for s in sides]),
        "3": _any([_run(s > 0, 5) for s in (step, -step)]),  # six points are five steps
        "4": _run(turns, 12),  # fourteen points are twelve turns
        "5": _any([(s > 2) & (_count(s > 2, 3) >= 2) for s in sides]),
        "6": _any([(s > 1) & (_count(s > 1, 5) >= 4) for s in sides]),
        "7": _run(np.abs(z) < 1, 15),
        "8": _run(np.abs(z) > 1, 8) & ~_any([_run(s > 0, 8) for s in sides]),
    }
    return tuple(tuple(r for r in rules if tests[r][i]) for i in range(len(value)))


def _any(tests: list[NDArray[np.bool_]]) -> NDArray[np.bool_]:
    return np.logical_or.reduce(tests)


def _count(true: NDArray[np.bool_], of: int) -> NDArray[np.int64]:
    """How many of the last `of` points."""
    total = np.concatenate([np.zeros(of, np.int64), np.cumsum(true)])
    return total[of:] - total[:-of]


def _run(true: NDArray[np.bool_], length: int) -> NDArray[np.bool_]:
    return _count(true, length) == length
