"""The back-test of many series at once, summed up by kind of demand."""

from __future__ import annotations

import math
from collections.abc import Mapping

import msgspec
import numpy as np

from ronghe.apps.inventory.distributions import Floats
from ronghe.apps.inventory.forecast.backtest import LEAST, Tested, backtest
from ronghe.apps.inventory.forecast.methods import METHODS

CHOSEN = "chosen"  # the method that each series chose before it was measured


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One method over all series of a kind: means over series; WAPE and bias are of all their demand together."""

    method: str
    wape: float | None
    mase: float | None
    rmsse: float | None
    bias: float | None
    coverage: float | None
    width: float


class Panel(msgspec.Struct, frozen=True, kw_only=True):
    """`kinds`: kind of demand → one line a method; "all" for all. `skipped`: series too short or without demand."""

    series: int
    forecasts: int
    horizon: int
    season: int
    level: float
    kinds: dict[str, tuple[Line, ...]]
    counts: dict[str, int]
    chosen: dict[str, int]  # method → how many series chose it
    skipped: tuple[str, ...]


def across(demand: Mapping[str, Floats], *, horizon: int, season: int) -> Panel:
    """Every series of at least LEAST periods. No series at all gives an empty panel."""
    done: dict[str, Tested] = {}
    weight: dict[str, float] = {}
    for name, y in demand.items():
        if len(y) < LEAST or not y.any():
            continue
        done[name] = backtest(y, horizon=horizon, season=season)
        weight[name] = float(y[len(y) - len(y) // 4 :].sum())
    groups: dict[str, list[str]] = {"all": list(done)}
    for name, t in done.items():
        groups.setdefault(t.pattern.kind, []).append(name)
    chosen = [t.chosen for t in done.values()]
    return Panel(
        series=len(done),
        forecasts=sum(t.forecasts for t in done.values()),
        horizon=horizon,
        season=season,
        level=next((t.level for t in done.values()), 0.9),
        kinds={kind: _lines([done[n] for n in names], [weight[n] for n in names]) for kind, names in groups.items()} if done else {},
        counts={kind: len(names) for kind, names in groups.items()},
        chosen={m: chosen.count(m) for m in dict.fromkeys(chosen)},
        skipped=tuple(n for n in demand if n not in done),
    )


def _lines(tests: list[Tested], weight: list[float]) -> tuple[Line, ...]:
    out = []
    for name in (*(m.name for m in METHODS), CHOSEN):
        scores = [next(s for s in t.scores if s.method == (t.chosen if name == CHOSEN else name)) for t in tests]
        out.append(
            Line(
                method=name,
                wape=_mean([s.wape for s in scores], weight),
                mase=_mean([s.mase for s in scores]),
                rmsse=_mean([s.rmsse for s in scores]),
                bias=_mean([s.bias for s in scores], weight),
                coverage=_mean([s.coverage for s in scores]),
                width=math.fsum(s.width for s in scores) / len(scores),
            )
        )
    return tuple(out)


def _mean(values: list[float | None], weight: list[float] | None = None) -> float | None:
    known = [i for i, v in enumerate(values) if v is not None]
    if not known:
        return None
    w = [weight[i] for i in known] if weight else [1.0] * len(known)
    return float(np.average([values[i] for i in known], weights=w)) if sum(w) else None
