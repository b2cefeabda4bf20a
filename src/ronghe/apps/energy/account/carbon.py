"""Carbon by scope from metered amounts (GHG Protocol, Corporate Standard and Scope 2 Guidance), and what a unit of product carries of it
(ISO 14067: a partial carbon footprint, gate to gate with purchased material, for one declared unit).

An amount of electricity is counted twice side by side, by location and by market, never added. Shared meters are allocated to products by
weight × quantity in each period; idle periods by the whole span's. The interval of a footprint joins, as independent, the class of the
meters, the limits of the factors where their source states them, and how kg per unit varied between the periods, autocorrelation
counted (`ronghe.guard.worth.mean_and_variance`): what another span of the same length could have shown.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from ronghe.apps.energy.account.factors import Basis, Factors
from ronghe.apps.energy.account.periods import Floats, Ints
from ronghe.errors import AppError
from ronghe.guard.worth import TERMS, mean_and_variance
from ronghe.plant import units
from ronghe.text import Text

GRID: Final = "grid"
"""What a meter of bought electricity names as its factor: the file's own for each basis."""


@dataclass(frozen=True, slots=True)
class Metered:
    """One meter: `amount` float64[n] in UCUM `unit` by period (NaN counts as not known), its factor, and its class in %."""

    name: str
    factor: str
    unit: str
    amount: Floats
    accuracy: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Emitted:
    """kg CO2e of one meter: float64[n] by period, by both bases (equal but for electricity); `spread` is the 95 % half-width of its
    factor and class together, as a part."""

    meter: Metered
    scope: int
    location: Floats
    market: Floats
    spread: float


def emitted(meter: Metered, start: Ints, factors: Factors) -> Emitted:
    """What a meter's amounts emitted in the periods that begin at `start`. Raises AppError for units that do not fit."""
    by: dict[Basis, str] = (
        {"location": factors.named("location"), "market": factors.named("market")}
        if meter.factor == GRID
        else {"location": meter.factor, "market": meter.factor}
    )
    kg: dict[Basis, Floats] = {}
    for basis, name in by.items():
        per = factors[name].per
        if not units.compatible(meter.unit, per):
            raise AppError(
                Text(
                    f"{meter.name} is measured in {meter.unit or '1'}; the factor {name} is per {per}",
                    f"{meter.name} 的单位为 {meter.unit or '1'}，而排放因子 {name} 以 {per} 计",
                ),
                todo=Text("say a factor per that unit, in your factors.toml", "请在 factors.toml 中给出该单位的因子"),
            )
        kg[basis] = meter.amount * units.factor(meter.unit, per)[0] * factors.at(name, start)
    last = factors.version(by["location"], int(start[-1]))
    limits = 0.0
    if last.low is not None and last.high is not None and last.value:
        limits = (last.high - last.low) / 2 / last.value
    return Emitted(meter, factors[by["location"]].scope, kg["location"], kg["market"], math.hypot(limits, meter.accuracy / 100))


@dataclass(frozen=True, slots=True, eq=False)
class Scopes:
    """kg CO2e by period, float64[n]; what is not known is NaN in every sum that it belongs to."""

    scope1: Floats
    location: Floats
    market: Floats
    scope3: Floats


def scopes(found: Sequence[Emitted], n: int) -> Scopes:
    """Sums by scope over n periods."""

    def of(scope: int, market: bool = False) -> Floats:
        total = np.zeros(n)
        for e in found:
            if e.scope == scope:
                total = total + (e.market if market else e.location)
        return total

    return Scopes(of(1), of(2), of(2, market=True), of(3))


@dataclass(frozen=True, slots=True)
class Product:
    """Something made. `weight`: how much of a shared meter one unit takes, against the other products; `meters` are its own, by name;
    `materials`: factor → amount per unit, in the factor's unit."""

    name: str
    quantity: Floats
    weight: float = 1.0
    meters: tuple[str, ...] = ()
    materials: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Footprint:
    """kg CO2e per declared unit with its 95 % interval; `energy` and `material` are its parts. `periods` of the span counted."""

    name: str
    quantity: float
    kg_per_unit: float
    low: float
    high: float
    energy: float
    material: float
    periods: int


def footprints(
    found: Sequence[Emitted], products: Sequence[Product], start: Ints, factors: Factors, basis: Basis = "location"
) -> list[Footprint]:
    """The footprints, in the order of the products; none of what was not made. Raises AppError for a meter that is not there."""
    known = {e.meter.name for e in found}
    for p in products:
        for name in p.meters:
            if name not in known:
                raise AppError(Text(f"{p.name} names the meter {name!r}, which does not exist", f"{p.name} 引用了不存在的表计 {name!r}"))
    kgs = {e.meter.name: e.location if basis == "location" else e.market for e in found}
    counts = np.isfinite(np.array([*kgs.values(), *(p.quantity for p in products)])).all(axis=0)
    if not counts.any():
        raise AppError(Text("in no period are all amounts and quantities known", "没有用量与产量均已知的周期"))
    own = {name: p for p in products for name in p.meters}
    weighted = np.array([p.weight * p.quantity[counts] for p in products])
    total = weighted.sum(axis=0)
    overall = weighted.sum(axis=1) / max(float(weighted.sum()), 1e-300)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = np.where(total > 0, weighted / total, overall[:, None])
    out = []
    for i, p in enumerate(products):
        quantity = p.quantity[counts]
        made = float(quantity.sum())
        if made <= 0:
            continue
        kg, squared = np.zeros(int(counts.sum())), 0.0
        for e in found:
            holder = own.get(e.meter.name)
            part = kgs[e.meter.name][counts] * (shares[i] if holder is None else float(holder is p))
            kg = kg + part
            squared += (e.spread * float(part.sum()) / made) ** 2
        energy = float(kg.sum()) / made
        material = 0.0
        for name, amount in (p.materials or {}).items():
            last = factors.version(name, int(start[counts][-1]))
            material += amount * last.value
            squared += (amount * (last.high - last.low) / 2) ** 2 if last.low is not None and last.high is not None else 0.0
        if len(kg) > TERMS:
            _, variance, _ = mean_and_variance(kg - energy * quantity)
            squared += (2.447 * math.sqrt(variance) * len(kg) / made) ** 2  # Student's t of TERMS degrees of freedom
        value, half = energy + material, math.sqrt(squared)
        out.append(Footprint(p.name, made, value, max(0.0, value - half), value + half, energy, material, len(kg)))
    return out
