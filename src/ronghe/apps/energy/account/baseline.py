"""The energy baseline: energy of a period explained by its relevant variables (ISO 50006; ASHRAE Guideline 14, annex D), and what may be
said with it.

    y = β0 + Σ βi xi + βh (bh − T)⁺ + βc (T − bc)⁺ + effects of categories (weekday, hour, shift …) + e

Change points bh, bc are searched, and which of them the data carry is decided by BIC (Kissock, Haberl and Claridge, Inverse Model Toolkit,
ASHRAE RP-1050: the 2P to 5P models). Least squares; but the residuals e of plants are autocorrelated, so neither the coefficients nor a sum
of periods are as sure as n independent residuals would make them. e is taken as AR(p), p by BIC; its autocovariances γk, corrected for
what the fit has taken out of them, give the covariance of the coefficients (X'X)⁻¹ X'ΓX (X'X)⁻¹ and the variance of any sum of periods.
n' = n γ0 / Σγk is the effective number of periods: with p = 1 that is n (1 − ρ) / (1 + ρ) of Guideline 14. Intervals are Student's, with
n' less what the columns take of the slow noise as degrees of freedom. Coverage is checked by simulation (docs/energy-books.md).
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ronghe.apps.energy.account.periods import Floats, Ints, Table
from ronghe.errors import AppError
from ronghe.guard.student import t_quantile
from ronghe.plant.problems import nearest
from ronghe.text import Text

CV_RMSE: Final = 0.25
"""Largest coefficient of variation of a valid baseline (ASHRAE Guideline 14-2014, whole building, 12 to 60 months of data)."""
NMBE: Final = 0.005
"""Largest net bias (Guideline 14-2014 asks for less than 0.005 % in sample, where least squares has none; this is for out of sample)."""
LEAST: Final = 12  # periods
LEAST_EFFECTIVE: Final = 2.0  # degrees of freedom that intervals must have; few, for a strict gate passes what was estimated too small
OUTSIDE: Final = 0.1  # beyond the range of a variable in the baseline, as a part of it, up to which the model is used
_CANDIDATES: Final = 24  # change points tried
_MEMORY: Final = 1500  # lags after which residuals are taken to have forgotten
_SIGNIFICANT: Final = 0.975


@dataclass(frozen=True, slots=True)
class Spec:
    """Which variables explain the energy. `temperature` is one with change points, searched; `labels` are categories of the table."""

    variables: tuple[str, ...] = ()
    temperature: str = ""
    weekday: bool = False
    hour: bool = False
    labels: tuple[str, ...] = ()

    def usable(self, table: Table) -> NDArray[np.bool_]:
        """bool[n] where everything that it asks for is known. Raises AppError for a variable that the table does not hold."""
        known = np.ones(len(table), np.bool_)
        for name in (*self.variables, *([self.temperature] if self.temperature else [])):
            known &= np.isfinite(_column(table.drivers, name))
        for name in self.labels:
            known &= _column(table.labels, name) != ""
        return known


def _column(columns: dict[str, NDArray[np.generic]] | dict[str, Floats] | dict[str, NDArray[np.str_]], name: str) -> NDArray:  # type: ignore[type-arg]
    if name not in columns:
        meant = nearest(name, columns)
        raise AppError(
            Text(f"there is no variable {name!r}", f"没有变量 {name!r}"),
            todo=Text(f"did you mean {meant!r}?", f"是否想写 {meant!r}？") if meant else "",
        )
    return columns[name]


@dataclass(frozen=True, slots=True)
class Form:
    """The columns of a model: `heating` and `cooling` are change points; `levels` the categories seen, the first being the reference."""

    spec: Spec
    heating: float | None = None
    cooling: float | None = None
    linear: bool = False  # of the temperature, without change point
    levels: dict[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def drivers(self) -> tuple[str, ...]:
        """What it is adjusted for."""
        moved = self.linear or self.heating is not None or self.cooling is not None
        return (*self.spec.variables, *([self.spec.temperature] if moved else []), *self.levels)

    def names(self) -> list[str]:
        """Of the k columns."""
        t = self.spec.temperature
        names = ["constant", *self.spec.variables]
        names += [t] if self.linear else []
        names += [f"{t} below {self.heating:g}"] if self.heating is not None else []
        names += [f"{t} above {self.cooling:g}"] if self.cooling is not None else []
        return names + [f"{c}={v}" for c, levels in self.levels.items() for v in levels[1:]]

    def matrix(self, table: Table) -> Floats:
        """float64[n, k]; NaN where something is not known, a category that was never seen too."""
        columns = [np.ones(len(table)), *(table.drivers[v] for v in self.spec.variables)]
        if self.spec.temperature:
            t = table.drivers[self.spec.temperature]
            columns += [t] if self.linear else []
            columns += [np.maximum(self.heating - t, 0)] if self.heating is not None else []
            columns += [np.maximum(t - self.cooling, 0)] if self.cooling is not None else []
        for name, levels in self.levels.items():
            at = categories(table, name)
            unseen = ~np.isin(at, levels)
            columns += [np.where(unseen, np.nan, (at == v).astype(np.float64)) for v in levels[1:]]
        return np.column_stack(columns)

    @property
    def searched(self) -> int:
        """Change points are coefficients too."""
        return (self.heating is not None) + (self.cooling is not None)


def categories(table: Table, name: str) -> NDArray[np.str_]:
    """str[n]: weekday 0 (Monday) to 6, hour 0 to 23, or a label of the table."""
    if name == "weekday":
        return np.array([str(table.calendar.weekday(s)) for s in table.start.tolist()])
    if name == "hour":
        return np.array([str(table.calendar.hour(s)) for s in table.start.tolist()])
    return table.labels[name]


@dataclass(frozen=True, slots=True, eq=False)
class Baseline:
    """A fitted baseline. `covariance` float64[k, k] of the coefficients; `gamma` float64[lags] the autocovariances of a residual."""

    form: Form
    coefficients: Floats
    covariance: Floats
    gamma: Floats
    n: int
    effective: float  # n': independent periods that n are worth
    freedom: float  # degrees of freedom of intervals
    rho: float  # autocorrelation of neighbouring residuals
    order: int  # p of the AR(p)
    r2: float
    cv_rmse: float
    nmbe: float
    mean: float
    seen: dict[str, tuple[float, float]]  # range of each variable
    why: tuple[Text, ...]  # not valid, because …

    @property
    def k(self) -> int:
        """Coefficients, change points among them."""
        return len(self.coefficients) + self.form.searched

    @property
    def valid(self) -> bool:
        """Whether data and model carry it."""
        return not self.why

    def expected(self, table: Table) -> Floats:
        """float64[n]: the adjusted baseline, NaN where a variable is not known."""
        found: Floats = self.form.matrix(table) @ self.coefficients
        return found

    def band(self, table: Table, confidence: float = 0.95) -> Floats:
        """float64[n]: half of the interval in which one period lies."""
        x = self.form.matrix(table)
        variance = self.gamma[0] + np.einsum("ij,jk,ik->i", x, self.covariance, x)
        half: Floats = t_quantile((1 + confidence) / 2, self.freedom) * np.sqrt(variance)
        return half

    def sum_variance(self, table: Table, weights: Floats | None = None) -> float:
        """Variance of Σ w (expected − actual) over these periods, should nothing have changed: of noise and of the coefficients."""
        w = np.ones(len(table)) if weights is None else weights
        s = w @ self.form.matrix(table)
        return _noise(self.gamma, table.number, w[:, None]).item() + float(s @ self.covariance @ s)

    def outside(self, table: Table) -> NDArray[np.bool_]:
        """bool[n] where a variable lies further outside what the baseline has seen than a tenth of its range."""
        beyond = np.zeros(len(table), np.bool_)
        for name, (low, high) in self.seen.items():
            margin = OUTSIDE * (high - low)
            beyond |= (table.drivers[name] < low - margin) | (table.drivers[name] > high + margin)
        return beyond


def fit(table: Table, spec: Spec) -> Baseline:
    """The baseline of the periods of `table` that count. Raises AppError for a variable that is not there, or fewer periods than
    coefficients; what is merely not valid says why."""
    rows = table.rows(np.isfinite(table.energy) & spec.usable(table))
    form = _form(rows, spec)
    x, y = form.matrix(rows), rows.energy
    n, k = len(y), x.shape[1] + form.searched
    if n <= k + 1:
        raise AppError(
            Text(f"the baseline has {n} periods that count, for {k} coefficients", f"基准期仅有 {n} 个有效周期，而模型有 {k} 个系数"),
            todo=Text("take a longer baseline, or fewer variables", "请延长基准期或减少变量"),
        )
    inverse = np.linalg.pinv(x.T @ x)
    beta = inverse @ (x.T @ y)
    e = y - x @ beta
    phi, gamma = _autocovariance(e, rows.number, x)
    # What swings about its mean is not believed to be worth more than n: a noise of negative correlation is rarely one.
    long_run = max(float(gamma[0] + 2 * gamma[1:].sum()), float(gamma[0]), 1e-300)
    effective = n * float(gamma[0]) / long_run if gamma[0] > 0 else float(n)
    # A column takes as much of the noise as there is at its own pace: all of 1 at the slowest, hardly any from slow noise by weekdays.
    basis = np.linalg.qr(x)[0]
    slow = min(float(k), float(np.trace(_noise(gamma, rows.number, basis))) / long_run + form.searched)
    covariance = inverse @ _noise(gamma, rows.number, x) @ inverse
    mean = float(y.mean())
    spread = float(((y - mean) ** 2).sum())
    found = Baseline(
        form=form,
        coefficients=beta,
        covariance=covariance,
        gamma=gamma,
        n=n,
        effective=effective,
        freedom=max(1.0, effective - slow),
        rho=float(gamma[1] / gamma[0]) if len(gamma) > 1 and gamma[0] > 0 else 0.0,
        order=len(phi),
        r2=1 - float(e @ e) / spread if spread > 0 else 0.0,
        cv_rmse=math.sqrt(float(e @ e) / (n - k)) / abs(mean) if mean else math.inf,
        nmbe=float(e.sum()) / ((n - k) * mean) if mean else math.inf,
        mean=mean,
        seen={v: (float(rows.drivers[v].min()), float(rows.drivers[v].max())) for v in _numeric(spec)},
        why=(),
    )
    return replace(found, why=tuple(_invalid(found, table)))


def _numeric(spec: Spec) -> tuple[str, ...]:
    return (*spec.variables, *([spec.temperature] if spec.temperature else []))


def _invalid(b: Baseline, table: Table) -> list[Text]:
    """What keeps a baseline from being used."""
    why = []
    if b.n < LEAST or b.n < 2 * b.k:
        why.append(Text(f"only {b.n} periods for {b.k} coefficients", f"仅 {b.n} 个周期，对应 {b.k} 个系数"))
    elif b.freedom < LEAST_EFFECTIVE:
        why.append(
            Text(
                f"its residuals move so slowly that {b.n} periods are worth {b.effective:.1f} independent ones, too few for the model",
                f"残差变化缓慢，{b.n} 个周期仅相当于 {b.effective:.1f} 个独立周期，不足以支撑该模型",
            )
        )
    if b.cv_rmse > CV_RMSE:
        why.append(Text(f"CV(RMSE) is {b.cv_rmse:.1%}, above {CV_RMSE:.0%}", f"CV(RMSE) 为 {b.cv_rmse:.1%}，高于 {CV_RMSE:.0%}"))
    if abs(b.nmbe) > NMBE:
        why.append(Text(f"NMBE is {b.nmbe:.2%}", f"NMBE 为 {b.nmbe:.2%}"))
    if len(b.coefficients) > 1:
        t = t_quantile(_SIGNIFICANT, b.freedom)
        error = np.sqrt(np.diag(b.covariance)[1:])
        if not (np.abs(b.coefficients[1:]) > t * error).any():
            why.append(Text("no variable explains the energy (none is significant at 5 %)", "没有变量能解释能耗（在 5 % 水平上均不显著）"))
    missing = 1 - b.n / max(1, len(table))
    if missing > 0.25:
        why.append(Text(f"{missing:.0%} of its periods do not count", f"{missing:.0%} 的周期无效"))
    return why


# --- which columns ----------------------------------------------------------------------------------------------------------------------


def _form(rows: Table, spec: Spec) -> Form:
    names = [*(["weekday"] if spec.weekday else []), *(["hour"] if spec.hour else []), *spec.labels]
    levels = {c: tuple(sorted(set(categories(rows, c).tolist()))) for c in names}
    if not spec.temperature:
        return Form(spec, levels=levels)
    t, y, plain = rows.drivers[spec.temperature], rows.energy, Form(spec, levels=levels)
    points = np.unique(np.round(np.quantile(t, np.linspace(0.1, 0.9, _CANDIDATES)), 1)).tolist() if len(t) else []
    below, above = range(1, 1 + len(points)), range(1 + len(points), 1 + 2 * len(points))
    forms: list[tuple[tuple[int, ...], Form]] = [((), plain), ((0,), replace(plain, linear=True))]
    forms += [((i,), replace(plain, heating=p)) for i, p in zip(below, points, strict=True)]
    forms += [((i,), replace(plain, cooling=p)) for i, p in zip(above, points, strict=True)]
    both = itertools.combinations_with_replacement(range(len(points)), 2)
    forms += [((below[a], above[b]), replace(plain, heating=points[a], cooling=points[b])) for a, b in both]
    # What the other columns leave of the energy and of every hinge; the rest is sums of their products.
    columns = np.column_stack([t, *(np.maximum(p - t, 0) for p in points), *(np.maximum(t - p, 0) for p in points)])
    x = plain.matrix(rows)
    q = np.linalg.qr(x)[0]
    columns, left = columns - q @ (q.T @ columns), y - q @ (q.T @ y)
    products, with_energy, energy = columns.T @ columns, columns.T @ left, float(left @ left)
    n = len(y)

    def bic(used: tuple[int, ...], form: Form) -> float:
        k = x.shape[1] + len(used) + form.searched
        at = np.array(used, np.int64)
        unexplained = energy - float(with_energy[at] @ np.linalg.pinv(products[np.ix_(at, at)]) @ with_energy[at]) if used else energy
        return n * math.log(max(unexplained, 1e-12 * energy, 1e-300) / n) + k * math.log(n) if n > k + 1 else math.inf

    return min(forms, key=lambda f: bic(*f))[1]


# --- autocorrelation --------------------------------------------------------------------------------------------------------------------


def _autocovariance(e: Floats, number: Ints, x: Floats) -> tuple[Floats, Floats]:
    """(φ, γ) of residuals at the period numbers `number`: coefficients of the AR(p) and its autocovariances until they have died away.

    Least squares leaves M u of the noise u, M = I − Q Q', so that the lagged products of residuals are those of MΓM: smaller than γ, most
    of all where noise and columns are both slow. What is missing is computed from γ, and put back; three times is enough.
    """
    n, most = len(e), int(max(1, min(30, len(e) // 8)))
    length = int(number[-1] - number[0]) + 1
    series, q = np.zeros(length), np.zeros((length, x.shape[1]))
    series[number - number[0]] = e
    q[number - number[0]] = np.linalg.qr(x)[0]
    raw = _lagged(series[:, None], series[:, None], most) / n
    if raw[0] <= 0:
        return np.zeros(0), np.zeros(1)
    taken, phi, gamma = raw, np.zeros(0), raw[:1]
    for _ in range(3):
        phi = _levinson(taken, n)
        gamma = _extended(taken, phi)
        blurred = _blurred(gamma, q)
        across = (_lagged(q, blurred, most) + _lagged(blurred, q, most)) / n
        taken = raw + across - _lagged(q, q @ (q.T @ blurred), most) / n
    return phi, gamma


def _lagged(a: Floats, b: Floats, most: int) -> Floats:
    """float64[most + 1]: Σt a(t) · b(t + lag) of the rows of two float64[n, k]."""
    return np.array([float((a[: len(a) - lag] * b[lag:]).sum()) if lag < len(a) else 0.0 for lag in range(most + 1)])


def _blurred(gamma: Floats, x: Floats) -> Floats:
    """ΓX float64[n, k]."""
    found = gamma[0] * x
    for lag in range(1, min(len(gamma), len(x))):
        found[lag:] += gamma[lag] * x[:-lag]
        found[:-lag] += gamma[lag] * x[lag:]
    return found


def _levinson(gamma: Floats, n: int) -> Floats:
    """AR coefficients of the order with the least BIC (Levinson and Durbin)."""
    phi, error = np.zeros(0), float(gamma[0])
    best, least = phi, n * math.log(error)
    for p in range(1, len(gamma)):
        reflection = (gamma[p] - float(phi @ gamma[p - 1 : 0 : -1] if p > 1 else 0.0)) / error
        reflection = float(np.clip(reflection, -0.97, 0.97))
        phi = np.append(phi - reflection * phi[::-1], reflection)
        error *= 1 - reflection**2
        score = n * math.log(max(error, 1e-300)) + p * math.log(n)
        if score < least:
            best, least = phi, score
    return best


def _extended(gamma: Floats, phi: Floats) -> Floats:
    """γ of the AR(p) at as many lags as matter."""
    p = len(phi)
    found = gamma[: p + 1].tolist()
    while p and len(found) < _MEMORY and max(abs(g) for g in found[-p:]) > 1e-3 * found[0]:
        found.append(float(phi @ np.array(found[-1 : -p - 1 : -1])))
    return np.array(found)


def _noise(gamma: Floats, number: Ints, x: Floats) -> Floats:
    """X'ΓX float64[k, k] of rows at the period numbers `number`."""
    if not len(number):
        return np.zeros((x.shape[1], x.shape[1]))
    whole = np.zeros((int(number[-1] - number[0]) + 1, x.shape[1]))
    whole[number - number[0]] = x
    found: Floats = whole.T @ _blurred(gamma, whole)
    return found
