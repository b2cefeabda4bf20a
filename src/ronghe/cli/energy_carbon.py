"""`ronghe energy carbon | footprint`: carbon by scope, and of a unit of product, from CSV files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from ronghe.cli.energy_books import FACTORS, both, factors_of, known, reads, say_json
from ronghe.errors import AppError
from ronghe.text import Text

if TYPE_CHECKING:
    from ronghe.apps.energy.account.carbon import Emitted
    from ronghe.apps.energy.account.factors import Factors
    from ronghe.apps.energy.account.periods import Floats, Table


def _t(en: str, zh: str) -> str:
    return str(Text(en, zh))


_METER = click.option(
    "--meter",
    "meters",
    multiple=True,
    required=True,
    help=_t("COLUMN=FACTOR or COLUMN[unit]=FACTOR; FACTOR grid: bought electricity", "列=因子 或 列[单位]=因子；因子 grid 表示外购电"),
)
_ACCURACY = click.option(
    "--accuracy", default=1.0, show_default=True, type=click.FloatRange(0, 20), help=_t("class of the meters, %", "表计准确度等级，%")
)


def _emitted(
    options: dict[str, Any], meters: tuple[str, ...], accuracy: float, factors: Factors, sums: tuple[str, ...]
) -> tuple[Table, list[Emitted]]:
    from ronghe.apps.energy.account.carbon import GRID, Metered, emitted
    from ronghe.apps.energy.account.periods import Calendar
    from ronghe.apps.energy.account.sheet import Columns, read

    said = []
    for text in meters:
        column, equals, factor = text.partition("=")
        if not equals:
            raise AppError(Text(f"{text!r} names no factor", f"{text!r} 未指定排放因子"), todo=Text("say COLUMN=FACTOR", "请写成 列=因子"))
        name, bracket, unit = column.partition("[")
        said.append((name, factor, unit.rstrip("]") if bracket else "kW.h" if factor == GRID else factors[factor].per))
    first = said[0][0]
    others = tuple(dict.fromkeys([n for n, _, _ in said[1:]] + list(sums)))
    columns = Columns(time=tuple(options["time"].split(",")), energy=first, sums=others, format=options["form"])
    table = read(options["files"], columns, Calendar(options["every"], options["zone"]))
    amounts: dict[str, Floats] = {first: table.energy, **table.drivers}
    return table, [emitted(Metered(n, f, u, amounts[n], accuracy), table.start, factors) for n, f, u in said]


def _used(factors: Factors, found: list[Emitted], table: Table) -> list[dict[str, Any]]:
    from ronghe.apps.energy.account.carbon import GRID

    names = dict.fromkeys(
        n for e in found for n in ([factors.named("location"), factors.named("market")] if e.meter.factor == GRID else [e.meter.factor])
    )
    rows = []
    for name in names:
        factor, version = factors[name], factors.version(name, int(table.start[-1]))
        rows.append(
            {
                "name": name,
                "title": both(factor.title),
                "scope": factor.scope,
                "basis": factor.basis,
                "value": version.value,
                "unit": f"kg/{factor.per}",
                "version": version.start.isoformat(),
                "source": version.source,
            }
        )
    return rows


@click.command(
    help=_t(
        "Carbon by scope, by location and by market (GHG Protocol).", "按范围核算碳排放，含基于位置与基于市场两种口径（GHG Protocol）。"
    )
)
@reads
@_METER
@FACTORS
@_ACCURACY
def carbon(meters: tuple[str, ...], factor_file: Path | None, accuracy: float, as_json: bool, **options: Any) -> None:
    """Sums of the span, and by period."""
    from ronghe.apps.energy.account.carbon import scopes

    factors = factors_of(factor_file)
    table, found = _emitted(options, meters, accuracy, factors, ())
    by = scopes(found, len(table))
    rows = {"scope1": by.scope1, "scope2_location": by.location, "scope2_market": by.market, "scope3": by.scope3}
    sums = {k: float(np.nansum(v)) for k, v in rows.items()}
    unknown = int((~np.isfinite(by.scope1 + by.location + by.scope3)).sum())
    used = _used(factors, found, table)
    if as_json:
        periods = [{"time": int(t) // 10**6, **{k: known(v[i]) for k, v in rows.items()}} for i, t in enumerate(table.start)]
        say_json({**{f"{k}_kg": v for k, v in sums.items()}, "not_counted": unknown, "factors": used, "periods": periods})
        return
    words = {
        "scope1": ("scope 1, burnt on site", "范围一（现场燃烧）"),
        "scope2_location": ("scope 2, by location", "范围二（基于位置）"),
        "scope2_market": ("scope 2, by market", "范围二（基于市场）"),
        "scope3": ("scope 3", "范围三"),
    }
    for k, (en, zh) in words.items():
        click.echo(f"{_t(en, zh):<28}{sums[k] / 1000:>14,.2f} t CO2e")
    for u in used:
        click.echo(
            _t(
                f"factor {u['name']}: {u['value']:g} {u['unit']} from {u['version']} ({u['source']})",
                f"因子 {u['name']}：{u['value']:g} {u['unit']}，自 {u['version']} 起（{u['source']}）",
            )
        )
    if unknown:
        click.echo(
            _t(
                f"{unknown} of {len(table)} periods are not in these sums: too little of them was measured",
                f"{len(table)} 个周期中有 {unknown} 个未计入：有效数据不足",
            )
        )
    if factor_file is None:
        click.echo(_t("check the starter's factors for your region and year", "随附因子请按所在地区与年份核对"))


@click.command(
    help=_t(
        "kg CO2e per unit of product (ISO 14067: partial, gate to gate with purchased material).",
        "单位产品碳足迹（ISO 14067：部分碳足迹，“门到门”加外购材料）。",
    )
)
@reads
@_METER
@FACTORS
@_ACCURACY
@click.option(
    "--product",
    "products",
    multiple=True,
    required=True,
    help=_t("COLUMN of the quantity, or COLUMN=WEIGHT of a unit", "产量列，或 列=单件权重"),
)
@click.option("--own", multiple=True, help=_t("METER=PRODUCT: a meter of one product alone", "表计=产品：某产品专用表计"))
@click.option("--material", "materials", multiple=True, help=_t("PRODUCT:FACTOR=AMOUNT per unit", "产品:因子=单件用量"))
@click.option(
    "--basis", type=click.Choice(["location", "market"]), default="location", show_default=True, help=_t("of electricity", "电力口径")
)
def footprint(
    meters: tuple[str, ...],
    factor_file: Path | None,
    accuracy: float,
    products: tuple[str, ...],
    own: tuple[str, ...],
    materials: tuple[str, ...],
    basis: str,
    as_json: bool,
    **options: Any,
) -> None:
    """Footprints with their interval."""
    from ronghe.apps.energy.account.carbon import Product, footprints

    factors = factors_of(factor_file)
    weights = {name: _number(w, text) if eq else 1.0 for text in products for name, eq, w in [text.partition("=")]}
    table, found = _emitted(options, meters, accuracy, factors, tuple(weights))
    owned = [text.partition("=")[::2] for text in own]
    stuff: dict[str, dict[str, float]] = {}
    for text in materials:
        name, _, rest = text.partition(":")
        factor, _, amount = rest.partition("=")
        stuff.setdefault(name, {})[factor] = _number(amount, text)
    for name in [*stuff, *(p for _, p in owned)]:
        if name not in weights:
            raise AppError(Text(f"{name!r} is not among the products", f"{name!r} 不在产品之列"))
    made = [Product(name, table.drivers[name], w, tuple(m for m, p in owned if p == name), stuff.get(name)) for name, w in weights.items()]
    prints = footprints(found, made, table.start, factors, "market" if basis == "market" else "location")
    if as_json:
        say_json(
            {"basis": basis, "products": [{f: getattr(p, f) for f in p.__slots__} for p in prints], "factors": _used(factors, found, table)}
        )
        return
    for p in prints:
        click.echo(
            _t(
                f"{p.name}: {p.kg_per_unit:.4g} kg CO2e per unit ({p.low:.4g} to {p.high:.4g}); energy {p.energy:.4g}, "
                f"material {p.material:.4g}; {p.quantity:,.0f} units in {p.periods} periods",
                f"{p.name}：{p.kg_per_unit:.4g} kg CO2e/件（{p.low:.4g} 至 {p.high:.4g}）；能源 {p.energy:.4g}，"
                f"材料 {p.material:.4g}；{p.periods} 个周期共 {p.quantity:,.0f} 件",
            )
        )


def _number(text: str, where: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise AppError(Text(f"{where!r}: {text!r} is not a number", f"{where!r}：{text!r} 不是数值")) from None
