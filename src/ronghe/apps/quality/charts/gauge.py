"""Gauge repeatability and reproducibility: crossed study of parts × appraisers × trials by analysis of variance.

AIAG, "Measurement Systems Analysis", 4th edition (2010), chapter III-B; the interaction is pooled with the repeatability where it is not
significant (p > 0.25 there). For an inspector the appraisers are stations or shifts, and the value its score: the same parts are shown
several times, taken out and put back.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from ronghe.apps.quality.charts.chances import f_above
from ronghe.errors import AppError
from ronghe.text import Text

POOL: Final = 0.25
NDC: Final = 1.41  # √2: categories that can be told apart are 97 % confidence intervals of GRR over ±PV
_SIGMAS: Final = 6.0  # width of the study variation, AIAG 4th edition


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the analysis of variance. `f` and `p` are None where there is no test."""

    source: str
    freedom: int
    squares: float
    mean_square: float
    f: float | None = None
    p: float | None = None


class Study(msgspec.Struct, frozen=True, kw_only=True):
    """Standard deviations of each source, in the unit of the value; `percent` is of the total variation, `of_tolerance` of 1/6 of the
    tolerance; `variance` are the variance components. ndc: categories that can be told apart."""

    parts: int
    appraisers: int
    trials: int
    pooled: bool
    table: tuple[Row, ...]
    variance: Mapping[str, float]
    deviation: Mapping[str, float]
    percent: Mapping[str, float]
    contribution: Mapping[str, float]
    of_tolerance: Mapping[str, float] | None
    ndc: int
    grr: float
    verdict: Text


def study(values: NDArray[np.float64], tolerance: float | None = None) -> Study:
    """The study of float64 (parts, appraisers, trials). One appraiser gives repeatability alone. Raises AppError for fewer than 2 parts or
    2 trials, or values that are missing."""
    p, o, r = values.shape
    if p < 2 or r < 2 or o < 1 or not np.isfinite(values).all():
        raise AppError(
            Text(f"{p} parts, {o} appraisers and {r} trials make no study", f"{p} 个零件、{o} 名评价人、{r} 次测量无法构成研究"),
            todo=Text(
                "every appraiser measures every part, at least 2 parts, at least twice", "每名评价人须测量每个零件，至少 2 个零件、2 次"
            ),
        )
    rows, pooled = _table(values)
    by = {row.source: row.mean_square for row in rows}
    repeat = by["repeatability"]
    between = by.get("part × appraiser", repeat) if not pooled else repeat
    variance = {
        "repeatability": repeat,
        "appraiser": max(0.0, (by["appraiser"] - between) / (p * r)) if o > 1 else 0.0,
        "part × appraiser": max(0.0, (between - repeat) / r) if not pooled and o > 1 else 0.0,
        "part": max(0.0, (by["part"] - between) / (o * r)),
    }
    variance["reproducibility"] = variance["appraiser"] + variance["part × appraiser"]
    variance["grr"] = variance["repeatability"] + variance["reproducibility"]
    variance["total"] = variance["grr"] + variance["part"]
    total = math.sqrt(variance["total"]) or math.inf
    deviation = {k: math.sqrt(v) for k, v in variance.items()}
    grr = deviation["grr"]
    ndc = math.floor(NDC * deviation["part"] / grr) if grr > 0 else 0
    percent = {k: 100 * v / total for k, v in deviation.items()}
    against = {k: 100 * _SIGMAS * v / tolerance for k, v in deviation.items()} if tolerance else None
    return Study(
        parts=p,
        appraisers=o,
        trials=r,
        pooled=pooled,
        table=rows,
        variance=variance,
        deviation=deviation,
        percent=percent,
        contribution={k: 100 * v / total**2 for k, v in variance.items()},
        of_tolerance=against,
        ndc=ndc,
        grr=percent["grr"],
        verdict=_verdict((against or percent)["grr"]),
    )


def _table(values: NDArray[np.float64]) -> tuple[tuple[Row, ...], bool]:
    """The analysis of variance, and whether the interaction was pooled."""
    p, o, r = values.shape
    grand = values.mean()
    part, who, cell = values.mean(axis=(1, 2)), values.mean(axis=(0, 2)), values.mean(axis=2)
    squares = {
        "part": o * r * float(((part - grand) ** 2).sum()),
        "appraiser": p * r * float(((who - grand) ** 2).sum()),
        "part × appraiser": r * float(((cell - part[:, None] - who[None, :] + grand) ** 2).sum()),
        "repeatability": float(((values - cell[:, :, None]) ** 2).sum()),
    }
    freedom = {"part": p - 1, "appraiser": o - 1, "part × appraiser": (p - 1) * (o - 1), "repeatability": p * o * (r - 1)}
    if o == 1:
        del squares["appraiser"], squares["part × appraiser"]
    pooled = o == 1 or _p(squares, freedom, "part × appraiser", "repeatability")[1] > POOL
    if pooled and o > 1:
        squares["repeatability"] += squares.pop("part × appraiser")
        freedom["repeatability"] += freedom["part × appraiser"]
    below = "repeatability" if pooled else "part × appraiser"
    rows = []
    for source, square in squares.items():
        against = {"repeatability": "", "part × appraiser": "repeatability"}.get(source, below)
        f, chance = _p(squares, freedom, source, against) if against else (None, None)
        rows.append(Row(source=source, freedom=freedom[source], squares=square, mean_square=square / freedom[source], f=f, p=chance))
    return tuple(rows), pooled


def _p(squares: Mapping[str, float], freedom: Mapping[str, int], source: str, against: str) -> tuple[float, float]:
    noise = squares[against] / freedom[against]
    f = squares[source] / freedom[source] / noise if noise > 0 else math.inf
    return f, f_above(f, freedom[source], freedom[against]) if math.isfinite(f) else 0.0


def _verdict(percent: float) -> Text:
    """AIAG, chapter II-D."""
    if percent < 10:
        return Text("acceptable (under 10 %)", "可接受（低于 10%）")
    if percent <= 30:
        return Text(
            "may be acceptable, by the importance of the application (10 to 30 %)", "视应用重要性、成本等因素，有条件接受（10%–30%）"
        )
    return Text("not acceptable (over 30 %)", "不可接受（超过 30%）")
