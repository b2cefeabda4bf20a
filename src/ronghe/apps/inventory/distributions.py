"""Demand in a period or a lead time: normal, log-normal, and anything on a lattice.

Loss functions after Snyder & Shen, Fundamentals of Supply Chain Theory, 2nd ed. (2019), appendix C: `loss(x)` is E[(D − x)⁺],
`second_loss(x)` is ½ E[((D − x)⁺)²].
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_STANDARD: Final = NormalDist()
_TAIL: Final = 1e-14  # of probability, left out on either side of a distribution without an end
_erfc = np.frompyfunc(math.erfc, 1, 1)


class Demand(Protocol):
    """What policies ask of a distribution."""

    @property
    def mean(self) -> float: ...
    @property
    def sd(self) -> float: ...
    def cdf(self, x: float) -> float: ...
    def quantile(self, p: float) -> float:
        """The smallest x with cdf(x) >= p."""
        ...

    def loss(self, x: float) -> float: ...


def normal_cdf(z: Floats) -> Floats:
    """Φ(z), element by element."""
    return np.asarray(0.5 * _erfc(-np.asarray(z, np.float64) / math.sqrt(2)), np.float64)


def normal_pdf(z: Floats) -> Floats:
    """φ(z), element by element."""
    return np.asarray(np.exp(-0.5 * np.square(z)) / math.sqrt(2 * math.pi), np.float64)


@dataclass(frozen=True, slots=True)
class Normal:
    """Normal demand; sd > 0."""

    mean: float
    sd: float

    def over(self, periods: float) -> Normal:
        """The sum over a lead time of so many periods."""
        return Normal(self.mean * periods, self.sd * math.sqrt(periods))

    def cdf(self, x: float) -> float:
        """P(D <= x)."""
        return 0.5 * math.erfc((self.mean - x) / (self.sd * math.sqrt(2)))

    def quantile(self, p: float) -> float:
        """The x with cdf(x) = p."""
        return self.mean + self.sd * _STANDARD.inv_cdf(p)

    def loss(self, x: float) -> float:
        """E[(D − x)⁺]."""
        z = (x - self.mean) / self.sd
        return self.sd * (_STANDARD.pdf(z) - z * 0.5 * math.erfc(z / math.sqrt(2)))

    def second_loss(self, x: float) -> float:
        """½ E[((D − x)⁺)²]."""
        z = (x - self.mean) / self.sd
        return 0.5 * self.sd**2 * ((z * z + 1) * 0.5 * math.erfc(z / math.sqrt(2)) - z * _STANDARD.pdf(z))

    def on_lattice(self, step: float) -> Lattice:
        """Rounded to multiples of `step`, nothing below zero left out (it may be negative, as the normal may)."""
        low = math.floor((self.mean - 8 * self.sd) / step)
        high = math.ceil((self.mean + 8 * self.sd) / step)
        edges = np.asarray((np.arange(low, high + 2) - 0.5) * step, np.float64)
        p = np.diff(normal_cdf((edges - self.mean) / self.sd))
        return Lattice(low, p / p.sum(), step)


@dataclass(frozen=True, slots=True)
class LogNormal:
    """exp(N(mu, sigma²)); sigma > 0."""

    mu: float
    sigma: float

    @property
    def mean(self) -> float:
        """E[D]."""
        return math.exp(self.mu + self.sigma**2 / 2)

    @property
    def sd(self) -> float:
        """Standard deviation."""
        return self.mean * math.sqrt(math.expm1(self.sigma**2))

    def cdf(self, x: float) -> float:
        """P(D <= x)."""
        return 0.5 * math.erfc((self.mu - math.log(x)) / (self.sigma * math.sqrt(2))) if x > 0 else 0.0

    def quantile(self, p: float) -> float:
        """The x with cdf(x) = p."""
        return math.exp(self.mu + self.sigma * _STANDARD.inv_cdf(p))

    def loss(self, x: float) -> float:
        """E[(D − x)⁺]."""
        if x <= 0:
            return self.mean - x
        z = (self.mu - math.log(x)) / self.sigma
        return self.mean * _STANDARD.cdf(z + self.sigma) - x * _STANDARD.cdf(z)


@dataclass(frozen=True, slots=True, eq=False)
class Lattice:
    """P(D = (low + i)·step) = p[i]. `p` float64[n], sums to 1."""

    low: int
    p: Floats
    step: float = 1.0

    @property
    def values(self) -> Floats:
        """Where it has probability: float64[n]."""
        return np.asarray((self.low + np.arange(len(self.p))) * self.step, np.float64)

    @property
    def mean(self) -> float:
        """E[D]."""
        return float(self.p @ self.values)

    @property
    def sd(self) -> float:
        """Standard deviation."""
        return math.sqrt(max(0.0, float(self.p @ np.square(self.values - self.mean))))

    def cdf(self, x: float) -> float:
        """P(D <= x)."""
        n = math.floor(x / self.step + 1e-9) - self.low + 1
        return float(self.p[: max(0, n)].sum())

    def quantile(self, p: float) -> float:
        """The smallest value with cdf(x) >= p."""
        at = int(np.searchsorted(np.cumsum(self.p), p * (1 - 1e-12)))
        return (self.low + min(at, len(self.p) - 1)) * self.step

    def loss(self, x: float) -> float:
        """E[(D − x)⁺]."""
        return float(self.p @ np.maximum(self.values - x, 0.0))

    def plus(self, other: Lattice) -> Lattice:
        """The sum of two that are independent, on one step."""
        if min(len(self.p), len(other.p)) < 64:
            p = np.convolve(self.p, other.p)
        else:
            n = len(self.p) + len(other.p) - 1
            p = np.maximum(np.fft.irfft(np.fft.rfft(self.p, n) * np.fft.rfft(other.p, n), n), 0.0)
        return Lattice(self.low + other.low, p / p.sum(), self.step)

    def over(self, periods: int) -> Lattice:
        """The sum over so many periods."""
        total = Lattice(0, np.ones(1), self.step)
        square = self
        while periods:
            if periods & 1:
                total = total.plus(square)
            periods >>= 1
            if periods:
                square = square.plus(square)
        return total


def poisson(mean: float) -> Lattice:
    """Poisson demand."""
    if mean == 0:
        return Lattice(0, np.ones(1))
    high = math.ceil(mean + 9 * math.sqrt(mean) + 25)
    n = np.arange(high + 1)
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(n[1:]))])
    p = np.exp(n * math.log(mean) - mean - log_factorial)
    kept = np.flatnonzero(p > _TAIL)
    p = p[kept[0] : kept[-1] + 1]
    return Lattice(int(kept[0]), p / p.sum())


def uniform(low: int, high: int) -> Lattice:
    """Each whole number from `low` to `high` equally likely."""
    return Lattice(low, np.full(high - low + 1, 1 / (high - low + 1)))


def pmf(chances: dict[int, float]) -> Lattice:
    """From value → probability; the probabilities are scaled to sum to 1."""
    low, high = min(chances), max(chances)
    p = np.zeros(high - low + 1)
    for value, chance in chances.items():
        p[value - low] = chance
    return Lattice(low, p / p.sum())
