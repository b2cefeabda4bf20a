"""The control charts of a line, from the records of its parts, as plain data for people's screens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ronghe.apps.quality.charts import spc
from ronghe.apps.quality.charts.capability import LEAST, capability
from ronghe.apps.quality.line.records import Part
from ronghe.errors import AppError

PARTS: Final = 5000
"""The newest parts that charts are made of."""
_POINTS: Final = 300  # shown of a chart of single values
_RULES: Final = ("1", "2", "3", "5", "6")  # rules 4, 7 and 8 tell of sampling, not of parts


def charts(parts: Sequence[Part], *, group: int, base: int, reject: float) -> dict[str, Any]:
    """Charts of parts, oldest first, judged by one model. `group` parts make a point of the p chart; limits are from the first `base`."""
    groups = [parts[i : i + group] for i in range(0, len(parts) - len(parts) % group, group)]
    scored = [p for p in parts if p.score is not None and p.verdict != "unreadable"]
    values = np.array([p.score for p in scored], np.float64)
    times = [p.time for p in scored]
    out: dict[str, Any] = {
        "yield": [{"time": str(g[-1].time), "value": _share(g, "pass"), "n": len(g)} for g in groups],
        "score": None,
        "rate": _rate(groups, max(base // group, 1)),
        "ewma": None,
        "cusum": None,
        "capability": _capability(values, reject),
        "classes": _classes(groups),
    }
    if len(values) >= 20:
        first = values[:base]
        single, _ = spc.individuals(values, _RULES, base=min(base, len(values)))
        sigma = single.sigma or float(first.std(ddof=1)) or 1e-9
        up, _ = spc.cusum(values, single.centre, sigma)
        out["score"] = _chart(single, times)
        out["ewma"] = _chart(spc.ewma(values, single.centre, sigma), times)
        out["cusum"] = _chart(up, times)
    return out


def _rate(groups: Sequence[Sequence[Part]], base: int) -> dict[str, Any] | None:
    if not groups:
        return None
    rejected = np.array([sum(p.verdict == "reject" for p in g) for g in groups])
    chart = spc.p_chart(rejected, np.array([len(g) for g in groups]), base=min(base, len(groups)), exact=True)
    return _chart(chart, [g[-1].time for g in groups])


def _capability(values: NDArray[np.float64], reject: float) -> dict[str, float | None] | None:
    if len(values) < LEAST:
        return None
    try:
        c = capability(values[-1000:], None, reject, np.random.default_rng(0))
    except AppError:  # all scores alike
        return None
    return {"cp": c.cp, "cpk": c.cpk, "low": c.low, "high": c.high}


def _classes(groups: Sequence[Sequence[Part]]) -> dict[str, list[dict[str, Any]]]:
    kinds = sorted({k for g in groups for p in g for k in p.kinds})
    return {k: [{"time": str(g[-1].time), "value": sum(k in p.kinds for p in g) / len(g)} for g in groups] for k in kinds}


def _share(parts: Sequence[Part], verdict: str) -> float:
    return sum(p.verdict == verdict for p in parts) / len(parts)


def _chart(chart: spc.Chart, times: Sequence[int]) -> dict[str, Any]:
    """Plain data; `upper` and `lower` are one number, or one a point where they differ."""
    last = slice(-_POINTS, None)
    rows = zip(times[last], chart.value[last].tolist(), chart.rules[last], strict=True)
    return {
        "kind": chart.kind,
        "centre": chart.centre,
        "upper": _limit(chart.upper[last]),
        "lower": _limit(chart.lower[last]),
        "points": [{"time": str(t), "value": v, "out": bool(r), "rules": list(r)} for t, v, r in rows],
    }


def _limit(values: NDArray[np.float64]) -> float | list[float]:
    return float(values[0]) if len(values) and np.ptp(values) == 0 else [float(v) for v in values]
