"""The answers of energy.account, as its page reads them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from ronghe.apps.energy.account.carbon import GRID, Product, footprints, scopes
from ronghe.apps.energy.account.periods import Calendar
from ronghe.apps.energy.account.settings import IndicatorSpec
from ronghe.errors import AppError
from ronghe.plant import units
from ronghe.text import Text

if TYPE_CHECKING:
    from ronghe.apps.energy.account.app import Account

_SHOWN: Final = 400  # periods of a chart
_DAYS: Final = 62


def _both(text: Text) -> dict[str, str]:
    return {"en": text.en, "zh": text.in_("zh")}


def _known(value: float) -> float | None:
    return round(float(value), 6) if math.isfinite(value) else None


def _joined(texts: list[Text]) -> Text:
    return Text("; ".join(t.en for t in texts), "；".join(t.in_("zh") for t in texts))


def indicator(app: Account, of: IndicatorSpec) -> dict[str, Any]:
    """One indicator: its model, its periods, what it may be used for."""
    found, why = app.judge(of)
    table, _ = app.table(of)
    drivers = [app.title(d) for d in app.options.drivers if d.name in of.drivers]
    drivers += [Text("weekday", "星期")] if of.weekday else []
    drivers += [Text("hour", "时段")] if of.hour else []
    shown = slice(-_SHOWN, None)
    nothing = np.full(len(table), np.nan)
    expected, low, high = (nothing,) * 3 if found is None else (found.expected, found.low, found.high)
    columns = (table.start[shown], table.energy[shown], expected[shown], low[shown], high[shown])
    base = None if found is None else found.baseline
    reasons = list(found.why) if found is not None else [why]
    model = Text("")
    if base is not None:
        terms = " + ".join(
            f"{c:.4g} × {n}" if n != "constant" else f"{c:.4g}" for n, c in zip(base.form.names(), base.coefficients, strict=True)
        )
        model = Text(terms, terms)
    return {
        "name": of.name,
        "title": _both(app.title(of)),
        "unit": units.label(app.unit[of.meters[0]]),
        "driver": _both(Text(", ".join(d.en for d in drivers), "、".join(d.in_("zh") for d in drivers))),
        "model": _both(model),
        "r2": None if base is None else _known(base.r2),
        "cv_rmse": None if base is None else _known(base.cv_rmse),
        "valid": found is not None and found.valid,
        "why": _both(_joined(reasons)) if reasons else None,
        "target": _target(expected, of.target),
        "periods": [
            {"time": int(t) // 10**6, "actual": _known(a), "expected": _known(e), "low": _known(lo), "high": _known(hi)}
            for t, a, e, lo, hi in zip(*columns, strict=True)
        ],
        "cusum": [] if found is None else [_known(c) for c in found.cusum[shown]],
    }


def _target(expected: NDArray[np.float64], part: float | None) -> float | None:
    """What the last period should have used at most, in the indicator's unit."""
    known = expected[np.isfinite(expected)]
    return None if part is None or not len(known) else _known(float(known[-1]) * (1 - part))


def carbon(app: Account) -> dict[str, Any]:
    """This year's carbon by scope, the last days, the factors in use, and the footprints."""
    start, found = app.emissions()
    used = _factors(app, int(start[-1]) if len(start) else 0)
    if not len(start):
        return {"scope1_kg": None, "scope2_location_kg": None, "scope2_market_kg": None, "factors": used, "days": [], "products": []}
    by = scopes(found, len(start))
    year = app.calendar.local(int(start[-1])).year
    this = np.array([app.calendar.local(s).year == year for s in start.tolist()])
    days = Calendar("1d", app.options.zone)
    day = np.array([days.start(s) for s in start.tolist()], np.int64)
    shown = np.unique(day)[-_DAYS:]
    return {
        "scope1_kg": _known(np.nansum(by.scope1[this])),
        "scope2_location_kg": _known(np.nansum(by.location[this])),
        "scope2_market_kg": _known(np.nansum(by.market[this])),
        "factors": used,
        "days": [
            {
                "time": int(d) // 10**6,
                "location": _known(by.location[day == d].sum()),
                "market": _known(by.market[day == d].sum()),
                "scope1": _known(by.scope1[day == d].sum()),
            }
            for d in shown
        ],
        "products": _products(app),
    }


def _factors(app: Account, at: int) -> list[dict[str, Any]]:
    names = dict.fromkeys(
        n
        for m in app.options.meters
        if m.factor
        for n in ([app.factors.named("location"), app.factors.named("market")] if m.factor == GRID else [m.factor])
    )
    names |= dict.fromkeys(f for p in app.options.products for f in p.materials)
    rows = []
    for name in names:
        factor = app.factors[name]
        version = app.factors.version(name, at or 2**62)
        rows.append(
            {
                "name": name,
                "title": _both(factor.title),
                "scope": factor.scope,
                "basis": factor.basis,
                "value": version.value,
                "unit": f"kg/{units.label(factor.per)}",
                "version": version.start.isoformat(),
                "source": version.source,
            }
        )
    return rows


def _products(app: Account) -> list[dict[str, Any]]:
    start, found = app.emissions()
    _, amounts, _ = app.books.columns()
    specs = {p.name: p for p in app.options.products}
    made = [Product(p.name, amounts[p.quantity], p.weight, p.meters, p.materials) for p in specs.values()]
    try:
        prints = footprints(found, made, start, app.factors) if made else []
    except AppError:  # no period in which all is known
        return []
    return [
        {
            "name": f.name,
            "title": _both(app.title(specs[f.name])),
            "quantity": _known(f.quantity),
            "unit": specs[f.name].unit,
            "kg_per_unit": _known(f.kg_per_unit),
            "low": _known(f.low),
            "high": _known(f.high),
        }
        for f in prints
    ]


def meters(app: Account) -> list[dict[str, Any]]:
    """What every meter used in the period closed last."""
    last = app.books.rows[-1] if app.books.rows else None
    return [
        {
            "name": m.name,
            "title": _both(app.title(m)),
            "unit": units.label(app.unit[m.name]),
            "amount": None if last is None else last.amount.get(m.name),
            "good": None if last is None else last.good.get(m.name),
            "time": None if last is None else last.start // 10**6,
        }
        for m in app.options.meters
    ]
