"""What was saved: measurement and verification after IPMVP, Core Concepts.

Options B and C: a baseline fitted to the period before; saving = adjusted baseline − measured, over the period after ("avoided energy").
B measures the part that was changed, C the whole site; the arithmetic is one. Beside the interval from the autocovariances of the residuals
stands the fractional savings uncertainty of ASHRAE Guideline 14-2014 (annex B; Reddy and Claridge, 2000) for one who audits by it:

    ΔS / S = t · 1.26 · CV(RMSE) / F · √( n/n' · (1 + 2/n') / m ),   n' = n (1 − ρ) / (1 + ρ),   F = S / adjusted baseline

Switchback: the measure is on and off in turn, by blocks. Each off block is paired with the on block after it, so that what drifts slowly
is the same in both; the differences of the pairs' means give Student's interval, adjusted for what differs in the drivers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from ronghe.apps.energy.account.baseline import Baseline, Spec, fit
from ronghe.apps.energy.account.periods import Floats, Table
from ronghe.errors import AppError
from ronghe.guard.saving import Interval, Method, Saving
from ronghe.guard.student import t_quantile
from ronghe.text import Text

_PAIRS: Final = 5  # of blocks, at least
_SHARE: Final = 0.9  # of the periods after that must count


@dataclass(frozen=True, slots=True)
class About:
    """What a saving is booked as; see `Saving`."""

    key: str
    name: Text
    app: str = "energy.account"
    equipment: str = ""
    currency: str = "CNY"


@dataclass(frozen=True, slots=True, eq=False)
class Verified:
    """A saving, and what carries it. `fsu`: fractional savings uncertainty at 95 %; None where it says nothing (nothing saved, or a
    switchback). `adjusted` and `measured` are kWh over the `m` periods that count; `baseline` None for a switchback."""

    saving: Saving
    m: int
    adjusted: float
    measured: float
    fsu: float | None
    baseline: Baseline | None
    pairs: int
    why: tuple[Text, ...]

    @property
    def valid(self) -> bool:
        """Whether it may be claimed."""
        return not self.why


def before_after(
    table: Table,
    spec: Spec,
    before: NDArray[np.bool_],
    after: NDArray[np.bool_],
    about: About,
    *,
    option: Literal["B", "C"] = "B",
    price: Floats | None = None,
    carbon: Floats | None = None,
) -> Verified:
    """The saving of the periods where `after` bool[n] holds. `price` and `carbon` float64[n] are per kWh of each period. Raises AppError
    where nothing can be computed; what is merely not valid says why."""
    if (before & after).any():
        raise AppError(Text("the periods before and after overlap", "改造前后时段重叠"))
    baseline = fit(table.rows(before), spec)
    expected = baseline.expected(table)
    counts = after & np.isfinite(table.energy) & np.isfinite(expected)
    m = int(counts.sum())
    if not m:
        raise AppError(Text("no period after the change counts", "改造后没有有效周期"))
    rows = table.rows(counts)
    adjusted, measured = float(expected[counts].sum()), float(rows.energy.sum())
    saved = expected[counts] - rows.energy
    t = t_quantile(0.975, baseline.freedom)

    def total(weights: Floats) -> Interval:
        value = float(saved @ weights)
        half = t * math.sqrt(baseline.sum_variance(rows, weights))
        return Interval(value=value, low=value - half, high=value + half)

    energy = total(np.ones(m))
    why = list(baseline.why)
    if m < _SHARE * int(after.sum()):
        why.append(
            Text(f"only {m} of {int(after.sum())} periods after the change count", f"改造后 {int(after.sum())} 个周期中仅 {m} 个有效")
        )
    away = int(baseline.outside(rows).sum())
    if away > 0.1 * m:
        why.append(Text(f"{away} of {m} periods lie outside what the baseline has seen", f"{m} 个周期中有 {away} 个超出基准期的变量范围"))
    method: Method = "option_b" if option == "B" else "option_c"
    drivers = baseline.form.drivers
    saving = Saving(
        key=about.key,
        app=about.app,
        equipment=about.equipment,
        name=about.name,
        start=int(rows.start[0]),
        end=int(rows.end[-1]),
        method=method,
        baseline=Text(
            f"{baseline.n} periods before, adjusted for {', '.join(drivers) or 'nothing'}",
            f"改造前 {baseline.n} 个周期，按{'、'.join(drivers) or '平均值'}修正",
        ),
        energy=energy,
        money=None if price is None else total(price[counts]),
        currency=about.currency,
        carbon=None if carbon is None else total(carbon[counts]),
    )
    return Verified(saving, m, adjusted, measured, _ashrae(baseline, energy.value, adjusted, m), baseline, 0, tuple(why))


def _ashrae(b: Baseline, saved: float, adjusted: float, m: int) -> float | None:
    """Fractional savings uncertainty at 95 % confidence; None where nothing was saved, or n' does not exceed the coefficients."""
    rho = min(max(b.rho, 0.0), 0.999)
    effective = b.n * (1 - rho) / (1 + rho)
    fraction = saved / adjusted if adjusted else 0.0
    if fraction <= 0 or effective <= b.k:
        return None
    t = t_quantile(0.975, effective - b.k)
    return t * 1.26 * b.cv_rmse / fraction * math.sqrt(b.n / effective * (1 + 2 / effective) / m)


def switchback(
    table: Table,
    on: NDArray[np.bool_],
    about: About,
    *,
    variables: tuple[str, ...] = (),
    settle: int = 0,
    price: Floats | None = None,
    carbon: Floats | None = None,
) -> Verified:
    """The saving over the periods in which the measure was `on` bool[n]. The first `settle` periods of each block are left out. Raises
    AppError where there are fewer than two pairs of blocks; fewer than 5 are said not to be valid."""
    known = np.isfinite(table.energy) & np.array([np.isfinite(table.drivers[v]) for v in variables]).all(axis=0)
    pairs = _pairs(table, on, known, settle)
    y = np.array([[table.energy[b].mean() for b in pair] for pair in pairs]).reshape(-1, 2)
    x = np.array([[[table.drivers[v][b].mean() for v in variables] for b in pair] for pair in pairs]).reshape(len(pairs), 2, len(variables))
    k = 1 + len(variables)
    if len(pairs) < k + 1:
        raise AppError(
            Text(f"{len(pairs)} pairs of off and on blocks are too few", f"关/开区段仅 {len(pairs)} 对，数量不足"),
            todo=Text("go on switching", "请继续交替切换"),
        )
    # off − on = saving per period + β · (drivers off − on): with no driver that is the paired t test.
    design = np.column_stack([np.ones(len(pairs)), x[:, 0] - x[:, 1]])
    inverse = np.linalg.pinv(design.T @ design)
    difference = y[:, 0] - y[:, 1]
    beta = inverse @ design.T @ difference
    e = difference - design @ beta
    freedom = len(pairs) - k
    half = t_quantile(0.975, freedom) * math.sqrt(float(e @ e) / freedom * inverse[0, 0])
    each = float(beta[0])
    counts = on & known
    m, measured = int(counts.sum()), float(table.energy[counts].sum())

    def total(weights: Floats) -> Interval:
        by = float(weights.sum())
        return Interval(value=by * each, low=by * (each - half), high=by * (each + half))

    why = []
    if len(pairs) < _PAIRS:
        why.append(Text(f"only {len(pairs)} pairs of blocks, {_PAIRS} are needed", f"仅 {len(pairs)} 对区段，至少需要 {_PAIRS} 对"))
    start = table.rows(counts)
    energy = total(np.ones(m))
    adjusted = Text(f", adjusted for {', '.join(variables)}", f"，按{'、'.join(variables)}修正") if variables else Text("")
    saving = Saving(
        key=about.key,
        app=about.app,
        equipment=about.equipment,
        name=about.name,
        start=int(start.start[0]),
        end=int(start.end[-1]),
        method="switchback",
        baseline=Text(
            f"{len(pairs)} off blocks before their on blocks{adjusted.en}", f"{len(pairs)} 个关闭区段与其后的开启区段配对{adjusted.zh}"
        ),
        energy=energy,
        money=None if price is None else total(price[counts]),
        currency=about.currency,
        carbon=None if carbon is None else total(carbon[counts]),
    )
    return Verified(saving, m, measured + energy.value, measured, None, None, len(pairs), tuple(why))


def _pairs(table: Table, on: NDArray[np.bool_], known: NDArray[np.bool_], settle: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """(rows of an off block, rows of the on block after it); each block is used once."""
    edges = np.flatnonzero(np.diff(on.astype(np.int8)) != 0) + 1
    blocks = [b[settle:][known[b[settle:]]] for b in np.split(np.arange(len(table)), edges)]
    found, i = [], 0
    while i + 1 < len(blocks):
        off, after = blocks[i], blocks[i + 1]
        if len(off) and len(after) and not on[off[0]]:
            found.append((off, after))
            i += 2
        else:
            i += 1
    return found
