"""chain.csv: what things cost and emit. Whatever is not stated there is not counted, and said to be missing: nothing is assumed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from ronghe.errors import AppError
from ronghe.plant.problems import Problems, nearest
from ronghe.plant.table import read_table
from ronghe.text import Text

KEYS: Final = ("machine_hour", "setup_hour", "late_hour", "electricity_carbon", "carbon_price")


class _Line(msgspec.Struct, frozen=True, kw_only=True):
    """One line of chain.csv."""

    key: Annotated[str, Meta(description="what is stated: currency, " + ", ".join(KEYS))]
    value: str
    source: str = ""


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """Prices and factors; None where none is stated."""

    currency: str = ""
    machine_hour: float | None = None  # money for an hour in which a machine works
    setup_hour: float | None = None  # money for an hour of set-up
    late_hour: float | None = None  # money for an hour by which an order of weight 1 is ready too late
    electricity_carbon: float | None = None  # kg CO2e a kWh
    carbon_price: float | None = None  # money for a tonne of CO2e, by which cheap and clean hours are weighed; no part of the cost
    sources: dict[str, str] = {}  # where each figure is from


def read(path: Path) -> Terms:
    """The terms in chain.csv; none are stated where the file is missing. Raises AppError for what cannot be read."""
    if not path.exists():
        return Terms()
    problems = Problems()
    values: dict[str, float] = {}
    currency, sources = "", dict[str, str]()
    for line, said in read_table(path, _Line, problems):
        sources |= {said.key: said.source} if said.source else {}
        if said.key == "currency":
            currency = said.value
        elif said.key not in KEYS:
            problems.error(path.name, line, f"no figure is called {said.key!r}", f"没有名为 {said.key!r} 的参数", nearest(said.key, KEYS))
        else:
            try:
                values[said.key] = _number(said.value)
            except ValueError:
                problems.error(path.name, line, f"{said.value!r} is not a number of at least 0", f"{said.value!r} 不是不小于 0 的数字")
    if problems.errors():
        first = next(p for p in problems.sorted() if p.severity == "error")
        raise AppError(Text(first.in_("en"), first.in_("zh")), where=str(path.parent))
    return Terms(currency=currency, sources=sources, **values)


def _number(said: str) -> float:
    value = float(said)
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(said)
    return value
