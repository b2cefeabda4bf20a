"""What an action was worth: the measured effect against a stated baseline, with an interval, never the promise.

effect = mean(after) − mean(before) of one tag. Plant data are autocorrelated, so n samples are worth fewer than n independent ones, and
the usual σ/√n is far too sure of itself. The variance of each mean is taken from the low frequencies of the series by the equal-weighted
cosine estimator (Müller, 2007; Lazarus, Lewis, Stock and Watson, 2018, "HAR Inference: Recommendations for Practice", JBES 36:541):

    Λj = √(2/n) Σt xt cos(π j (t − ½) / n),   long-run variance = mean of Λ1² … ΛB²,   variance of the mean = long-run variance / n

which has a t distribution with B degrees of freedom; the two windows are joined after Welch (1947). Beside it stands the effective sample
size of the first-order model, n (1 − r) / (1 + r) with r the autocorrelation at lag 1 (Bayley and Hammersley, 1946): a window that is
worth fewer than `LEAST_EFFECTIVE` independent samples is too short for how slowly the tag moves, and gives no number at all.

Where the machine runs in load cycles of a known length, the mean over each whole cycle is one observation instead (batch means, Schmeiser,
1982), for within a cycle the tag moves as the load does, and not by chance; cycles are taken as independent, and Welch's t does the rest.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ronghe.guard.case import Case, Measured
from ronghe.guard.condition import quantity
from ronghe.guard.limits import Limits, Valuation
from ronghe.guard.student import t_quantile
from ronghe.signals.when import format_time
from ronghe.text import Text

History = Callable[[str, int, int], tuple[NDArray[np.int64], NDArray[np.float64]]]
"""(tag, start, end) → times (ns, rising) and values of the Good samples in start <= time < end. Called from a worker thread."""

TERMS: Final = 6
"""B above: few, so that only the slowest swings are looked at; the price is a wider interval (t 2.45 in place of 1.96)."""
LEAST: Final = 30  # samples in a window
LEAST_EFFECTIVE: Final = 12.0  # independent samples that a window must be worth
LARGEST_GAP: Final = 0.2  # of a window


def mean_and_variance(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """(mean, variance of the mean, effective sample size) of an evenly sampled, autocorrelated series float64[n > TERMS]."""
    n = len(values)
    mean = float(values.mean())
    x = values - mean
    j, t = np.arange(1, TERMS + 1)[:, None], np.arange(n) + 0.5
    projected = math.sqrt(2 / n) * (np.cos(np.pi * j * t / n) @ x)
    of_mean = float(projected @ projected) / TERMS / n
    energy = float(x @ x)
    of_mean = max(of_mean, energy / (n - 1) / n)  # a series that swings about its mean is not believed to be worth more than n
    r = max(float(x[1:] @ x[:-1]) / energy, 0.0) if energy > 0 else 0.0
    return mean, of_mean, n * (1 - r) / (1 + r)


def difference(before: NDArray[np.float64], after: NDArray[np.float64]) -> tuple[float, float, float, float, float]:
    """(effect, low, high, effective n before, effective n after) with a 95 % interval, of two evenly sampled series."""
    mean_b, var_b, eff_b = mean_and_variance(before)
    mean_a, var_a, eff_a = mean_and_variance(after)
    var = var_a + var_b
    effect = mean_a - mean_b
    if var == 0:
        return effect, effect, effect, eff_b, eff_a
    freedom = var**2 / ((var_a**2 + var_b**2) / TERMS)
    half = t_quantile(0.975, freedom) * math.sqrt(var)
    return effect, effect - half, effect + half, eff_b, eff_a


def cycle_means(times: NDArray[np.int64], values: NDArray[np.float64], start: int, end: int, cycle: int) -> NDArray[np.float64]:
    """The mean over each whole cycle (ns) that fits into start..end, counted from `end` back where they do not fit evenly."""
    m = (end - start) // cycle
    edges = end - cycle * np.arange(m, -1, -1)
    at = np.searchsorted(times, edges)
    return np.array([values[a:b].mean() for a, b in itertools.pairwise(at.tolist()) if b > a])


def of_cycles(before: NDArray[np.float64], after: NDArray[np.float64]) -> tuple[float, float, float]:
    """(effect, low, high) with a 95 % interval from independent observations float64[>= 2] (Welch, 1947)."""
    effect = float(after.mean() - before.mean())
    parts = [float(x.var(ddof=1)) / len(x) for x in (before, after)]
    var = sum(parts)
    if var == 0:
        return effect, effect, effect
    freedom = var**2 / sum(p**2 / (len(x) - 1) for p, x in zip(parts, (before, after), strict=True))
    half = t_quantile(0.975, freedom) * math.sqrt(var)
    return effect, effect - half, effect + half


def measure(limits: Limits, case: Case, history: History, others: Sequence[tuple[int, str]]) -> Measured:
    """Measures a case whose time is over. `others` are the other writes of the guard nearby, as (ns, tag), that act on the same worth."""
    worth = limits.worth
    assert worth is not None
    start, at = case.written_at - worth.before, case.written_at
    settled = at + worth.settle
    end = settled + worth.after
    if others:
        when, tag = format_time(others[0][0]), others[0][1]
        return not_measured(limits, case, Text(f"another write to {tag} at {when}", f"{tag} 在 {when} 另有写入"))
    read_back = next((h.time for h in case.history if h.state in ("watching", "done")), at)
    changed = _changed(limits, case, history, (start, at), (max(settled, read_back), end))
    if changed is not None:
        return not_measured(limits, case, changed)
    spans = ((start, at), (settled, end))
    samples = [history(worth.tag, a, b) for a, b in spans]
    sides = [_even(*s, a, b) for s, (a, b) in zip(samples, spans, strict=True)]
    n = (sides[0][1], sides[1][1])
    for (series, _, why), name, name_zh in zip(sides, ("before", "after"), ("之前", "之后"), strict=True):
        if series is None:
            return not_measured(limits, case, Text(f"{name} the action: {why.en}", f"动作{name_zh}：{why.in_('zh')}"), n)
    before, after = sides[0][0], sides[1][0]
    assert before is not None
    assert after is not None
    if worth.cycle:
        means = [cycle_means(*s, a, b, worth.cycle) for s, (a, b) in zip(samples, spans, strict=True)]
        return _priced(worth, _baseline(worth, case), of_cycles(*means), n, (float(len(means[0])), float(len(means[1]))))
    effect, low, high, eff_b, eff_a = difference(before, after)
    effective = (round(eff_b, 1), round(eff_a, 1))
    if min(eff_b, eff_a) < LEAST_EFFECTIVE:
        least = min(effective)
        return not_measured(
            limits,
            case,
            Text(
                f"{worth.tag} moves so slowly that a window is worth only {least:g} independent samples ({LEAST_EFFECTIVE:g} needed)",
                f"{worth.tag} 变化缓慢，窗口仅相当于 {least:g} 个独立样本（至少需要 {LEAST_EFFECTIVE:g} 个）",
            ),
            n,
            effective,
        )
    return _priced(worth, _baseline(worth, case), (effect, low, high), n, effective)


def not_measured(
    limits: Limits, case: Case, why: Text, n: tuple[int, int] = (0, 0), effective: tuple[float, float] = (0.0, 0.0)
) -> Measured:
    """No number, and why."""
    worth = limits.worth
    assert worth is not None
    text = Text(f"not measured: {why.en}", f"未能度量：{why.in_('zh')}")
    return Measured(tag=worth.tag, unit=worth.unit, enough=False, text=text, baseline=_baseline(worth, case), n=n, effective=effective)


def _baseline(worth: Valuation, case: Case) -> Text:
    at = format_time(case.written_at)
    span = f"{worth.before / 60e9:g} min" if worth.before >= 60e9 else f"{worth.before / 1e9:g} s"
    cycles = worth.before // worth.cycle if worth.cycle else 0
    whole = Text(f", {cycles} whole cycles", f"（{cycles} 个完整循环）") if cycles else Text("")
    return Text(f"mean of {worth.tag} over the {span}{whole.en} before {at}", f"{worth.tag} 在 {at} 之前 {span}{whole.zh} 的均值")


def _priced(
    worth: Valuation, baseline: Text, found: tuple[float, float, float], n: tuple[int, int], effective: tuple[float, float]
) -> Measured:
    effect, low, high = found
    clear = low > 0 or high < 0
    span = f"{low:+.4g}..{quantity(high, worth.unit)}"
    parts = [Text(f"{worth.tag} {effect:+.4g} ({span}, 95 %)", f"{worth.tag} {effect:+.4g}（{span}，95 %）")]
    if not clear:
        parts.append(Text("not distinguishable from zero", "与零无显著差异"))
    money: tuple[float | None, float | None, float | None] = (None, None, None)
    if worth.price:
        sign = -worth.price if worth.lower_is_better else worth.price
        ends = sorted((low * sign, high * sign))
        money = (effect * sign, ends[0], ends[1])
        shown = f"{effect * sign:+.4g} {worth.currency}/h ({ends[0]:+.4g}..{ends[1]:+.4g})"
        parts.append(Text(shown, shown))
    return Measured(
        tag=worth.tag,
        unit=worth.unit,
        enough=True,
        text=Text("; ".join(p.en for p in parts), "；".join(p.in_("zh") for p in parts)),
        baseline=baseline,
        effect=effect,
        low=low,
        high=high,
        distinguishable=clear,
        n=n,
        effective=effective,
        money=money[0],
        money_low=money[1],
        money_high=money[2],
        currency=worth.currency if worth.price else "",
    )


def _changed(limits: Limits, case: Case, history: History, before: tuple[int, int], after: tuple[int, int]) -> Text | None:
    """Whether somebody else moved the set-point within a window: then the effect is not the action's alone."""
    for (start, end), held in ((before, case.old), (after, case.written)):
        assert held is not None
        times, values = history(limits.tag, start, end)
        moved = np.flatnonzero(np.abs(values - held) > limits.tolerance)
        if len(moved):
            when, value = format_time(int(times[moved[0]])), quantity(float(values[moved[0]]), limits.unit)
            return Text(f"{limits.tag} was at {value} at {when}", f"{limits.tag} 在 {when} 为 {value}")
    return None


def _even(times: NDArray[np.int64], values: NDArray[np.float64], start: int, end: int) -> tuple[NDArray[np.float64] | None, int, Text]:
    """(samples on an even grid, number of samples, why there are none): each grid point takes the last sample before it."""
    n = len(times)
    if n < LEAST:
        return None, n, Text(f"{n} good samples, {LEAST} needed", f"仅 {n} 个好样本，至少需要 {LEAST} 个")
    if not np.isfinite(values).all():
        return None, n, Text("values that are no numbers", "含无效数值")
    gap = int(np.diff(np.concatenate([[start], times, [end]])).max())
    if gap > LARGEST_GAP * (end - start):
        return None, n, Text(f"no good sample for {gap / 1e9:.0f} s", f"有 {gap / 1e9:.0f} s 没有好样本")
    grid = np.linspace(times[0], times[-1], n)
    return values[np.clip(np.searchsorted(times, grid, side="right") - 1, 0, n - 1)], n, Text("")
