"""What the bottom segment of a blast furnace needs: carbon, oxygen and nitrogen for 1000 kg of iron, by mass and enthalpy balance.

The bottom segment lies below the chemical reserve zone, at 1200 K: coke carbon and wüstite (Fe0.947O) come down into it, blast is blown in,
hot metal leaves below and CO, CO2 and N2 above. Seven balances, seven unknowns:

    iron, carbon, oxygen, nitrogen, composition of air, gas at the wüstite equilibrium, enthalpy

after I. Cameron, M. Sukhram, K. Lefebvre, W. Davenport, Blast Furnace Ironmaking: Analysis, Control, and Optimization (Elsevier, 2020),
with its mass fractions and enthalpies. Moisture of the blast adds three (moisture, hydrogen, gas equilibrium of hydrogen). Temperatures
away from the book's, hydrogen and water are by the NIST-JANAF tables (M. W. Chase, 4th ed., 1998), 25 °C and elements as reference.
Silicon, manganese, slag and the hydrocarbons of injected coal are not in it.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
import numpy as np
from msgspec import Meta

from ronghe.errors import AppError
from ronghe.text import Text

IRON: Final = 1000.0  # kg in the hot metal: the basis
_FE, _O_WUSTITE = 0.768, 0.232  # mass fractions of Fe0.947O
_C_CO, _O_CO, _C_CO2, _O_CO2 = 0.429, 0.571, 0.273, 0.727
_H_WATER, _O_WATER = 0.112, 0.888  # mass fractions of H2O
_N2_O2: Final = 3.3  # mass of N2 a mass of O2 in air
_AIR: Final = 21.0  # % by volume of O2 in air
EQUILIBRIUM: Final = 0.694
"""CO2/CO by mass over wüstite and iron at 1200 K; gas that holds more CO2 oxidises iron."""
_WATER_GAS: Final = 0.733
"""Equilibrium constant of CO + H2O = CO2 + H2 at 1200 K: log Kf of CO 9.479, CO2 17.243, H2O 7.899 (NIST-JANAF)."""
_MOLES: Final = (28.01 / 44.01) * (18.015 / 2.016)  # from CO2/CO by mass to H2O/H2 by mass, before the constant
_NORMAL: Final = 22.414  # m³ a kmol at 0 °C and 1 atm
# MJ/kg at the temperature at which it enters or leaves
_H_WUSTITE, _H_CARBON, _H_CO, _H_CO2, _H_N2 = -3.152, 1.359, -2.926, -7.926, 1.008  # at 1200 K
_H_H2, _H_H2O = 13.292, -11.508  # at 1200 K, NIST-JANAF
_H_O2_IN, _H_N2_IN, _H_H2O_IN, _BLAST = 1.239, 1.339, -10.820, 1200.0  # at 1200 °C
_CP_O2, _CP_N2, _CP_H2O = 0.001138, 0.001238, 0.002584  # MJ/(kg K), mean of 1300 to 1600 K, NIST-JANAF
_H_IRON, _H_DISSOLVED, _METAL = 1.269, 5.0, 1500.0  # liquid, at 1500 °C
_CP_IRON, _CP_DISSOLVED = 0.000824, 0.0020  # liquid iron (NIST-JANAF), graphite at 1700 to 1900 K


class Assumptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the balance takes for given; the defaults are those of the book's example."""

    blast_temperature: Annotated[float, Meta(ge=700, le=1400, description="hot blast, °C")] = 1200.0
    gas_ratio: Annotated[
        float, Meta(gt=0, description=f"CO2/CO by mass leaving the bottom segment, at most {EQUILIBRIUM}: the equilibrium at 1200 K")
    ] = EQUILIBRIUM
    metal_temperature: Annotated[float, Meta(ge=1350, le=1650, description="hot metal, °C")] = 1500.0
    metal_carbon: Annotated[float, Meta(ge=0, le=6, description="carbon in hot metal, % of iron and carbon")] = 4.5
    heat_loss: Annotated[
        float, Meta(ge=0, description="MJ per 1000 kg of iron through the wall; the default was fitted to the example")
    ] = 320.0
    enrichment: Annotated[float, Meta(ge=0, le=30, description="oxygen added to the blast, % by volume above air's")] = 0.0
    moisture: Annotated[float, Meta(ge=0, le=60, description="water in the blast, g per m³ (0 °C, 1 atm) of dry blast")] = 0.0
    injected_carbon: Annotated[
        float, Meta(ge=0, description="pure carbon injected at 25 °C through the tuyeres, kg per 1000 kg of iron")
    ] = 0.0
    ore_oxygen: Annotated[float, Meta(ge=1.06, le=1.5, description="moles of O per mole of Fe in the burden; haematite 1.5")] = 1.5


class Balance(msgspec.Struct, frozen=True, kw_only=True):
    """kg per 1000 kg of iron. Entering: `carbon` (`coke_carbon` of it not injected), `oxygen`, `nitrogen` and `moisture` in the blast,
    `wustite`; leaving: `co`, `co2`, `nitrogen`, `hydrogen`, `steam`, and `dissolved` carbon in the metal."""

    carbon: float
    oxygen: float
    nitrogen: float
    coke_carbon: float
    moisture: float
    wustite: float
    co: float
    co2: float
    hydrogen: float
    steam: float
    dissolved: float
    residual: float  # the largest of the balances as computed back, kg or MJ


_UNKNOWN: Final = ("wustite", "carbon", "oxygen", "nitrogen", "moisture", "co", "co2", "nitrogen_out", "hydrogen", "steam")


def solve(given: Assumptions) -> Balance:
    """The balance. Raises AppError for assumptions that no furnace can meet."""
    _check(given)
    dissolved = IRON * given.metal_carbon / (100 - given.metal_carbon)
    oxygen = (_AIR + given.enrichment) / 100
    n2_o2 = _N2_O2 * ((1 - oxygen) / oxygen) / ((100 - _AIR) / _AIR)
    dry_per_o2 = _NORMAL / (31.998 * oxygen)  # m³ of dry blast a kg of its O2
    hotter, melt = given.blast_temperature - _BLAST, given.metal_temperature - _METAL
    metal = IRON * (_H_IRON + _CP_IRON * melt) + dissolved * (_H_DISSOLVED + _CP_DISSOLVED * melt)
    rows: list[tuple[dict[str, float], float]] = [
        ({"wustite": _FE}, IRON),
        ({"carbon": 1, "co": -_C_CO, "co2": -_C_CO2}, dissolved),
        ({"wustite": _O_WUSTITE, "oxygen": 1, "moisture": _O_WATER, "co": -_O_CO, "co2": -_O_CO2, "steam": -_O_WATER}, 0),
        ({"nitrogen": 1, "nitrogen_out": -1}, 0),
        ({"nitrogen": 1, "oxygen": -n2_o2}, 0),
        ({"co2": 1, "co": -given.gas_ratio}, 0),
        ({"moisture": 1, "oxygen": -given.moisture / 1000 * dry_per_o2}, 0),
        ({"moisture": _H_WATER, "hydrogen": -1, "steam": -_H_WATER}, 0),
        ({"steam": 1, "hydrogen": -given.gas_ratio * _MOLES / _WATER_GAS}, 0),
        (
            {
                "wustite": _H_WUSTITE,
                "carbon": _H_CARBON,
                "oxygen": _H_O2_IN + _CP_O2 * hotter,
                "nitrogen": _H_N2_IN + _CP_N2 * hotter,
                "moisture": _H_H2O_IN + _CP_H2O * hotter,
                "co": -_H_CO,
                "co2": -_H_CO2,
                "nitrogen_out": -_H_N2,
                "hydrogen": -_H_H2,
                "steam": -_H_H2O,
            },
            metal + given.heat_loss + given.injected_carbon * _H_CARBON,  # what is injected cold does not bring the heat of coke
        ),
    ]
    matrix = np.array([[terms.get(u, 0.0) for u in _UNKNOWN] for terms, _ in rows])
    right = np.array([value for _, value in rows])
    x = np.linalg.solve(matrix, right)
    found = dict(zip(_UNKNOWN, (float(v) + 0.0 for v in x), strict=True))
    _possible(found, given)
    del found["nitrogen_out"]
    coke = found["carbon"] - given.injected_carbon
    return Balance(**found, coke_carbon=coke, dissolved=dissolved, residual=float(np.abs(matrix @ x - right).max()))


def _check(given: Assumptions) -> None:
    """The ranges of the fields, for numbers that came another way than by a file, and what they cannot say."""
    ranges = msgspec.json.schema(Assumptions)["$defs"]["Assumptions"]["properties"]
    for name, value in msgspec.structs.asdict(given).items():
        low, high = ranges[name].get("minimum", ranges[name].get("exclusiveMinimum")), ranges[name].get("maximum", np.inf)
        if not low <= value <= high or not np.isfinite(value) or value == ranges[name].get("exclusiveMinimum"):
            till = (f" and at most {high:g}", f"、至多为 {high:g}") if np.isfinite(high) else ("", "")
            raise AppError(
                Text(f"{value:g} cannot be", f"{value:g} 超出允许范围"),
                where=f"rist.{name}",
                todo=Text(f"at least {low:g}{till[0]}", f"至少为 {low:g}{till[1]}"),
            )
    if given.gas_ratio > EQUILIBRIUM * 1.001:
        raise AppError(
            Text(
                f"gas with CO2/CO = {given.gas_ratio:g} by mass cannot reduce wüstite at 1200 K",
                f"CO2/CO 质量比为 {given.gas_ratio:g} 的煤气在 1200 K 下不能还原浮氏体",
            ),
            where="rist.gas_ratio",
            todo=Text(f"at most {EQUILIBRIUM}: the equilibrium", f"最大为平衡值 {EQUILIBRIUM}"),
        )


def _possible(found: dict[str, float], given: Assumptions) -> None:
    negative = [name for name, value in found.items() if value < -1e-9]
    if negative:
        raise AppError(
            Text(
                f"the balance has no furnace: {', '.join(negative)} would be negative",
                f"平衡无解：{'、'.join(negative)} 为负值",
            ),
            where="rist",
            todo=Text("look at heat loss, blast temperature and gas ratio", "请检查热损失、风温与煤气成分"),
        )
    if given.injected_carbon > found["carbon"]:
        raise AppError(
            Text(
                f"{given.injected_carbon:g} kg of carbon are injected and {found['carbon']:.1f} kg are needed in all",
                f"喷吹碳 {given.injected_carbon:g} kg，而总需求只有 {found['carbon']:.1f} kg",
            ),
            where="rist.injected_carbon",
        )


def assumptions(given: Assumptions) -> tuple[Text, ...]:
    """Every assumption in words, the fitted one marked as such."""
    fitted = given.heat_loss == Assumptions().heat_loss
    note = Text(" (fitted to the book's example, not measured)", "（为与书中算例一致而拟合，并非实测）") if fitted else Text("")
    said = [
        Text(f"blast {given.blast_temperature:g} °C", f"风温 {given.blast_temperature:g} °C"),
        Text(f"CO2/CO {given.gas_ratio:g} by mass leaving at 1200 K", f"1200 K 离开的煤气 CO2/CO 质量比 {given.gas_ratio:g}"),
        Text(
            f"metal {given.metal_temperature:g} °C with {given.metal_carbon:g} % C",
            f"铁水 {given.metal_temperature:g} °C，含碳 {given.metal_carbon:g} %",
        ),
        Text(f"heat loss {given.heat_loss:g} MJ per 1000 kg Fe{note.en}", f"热损失 {given.heat_loss:g} MJ/1000 kg Fe{note.zh}"),
        Text(f"burden O/Fe {given.ore_oxygen:g}", f"炉料 O/Fe {given.ore_oxygen:g}"),
        Text("no silicon, manganese, slag or hydrocarbons in the balance", "未计入硅、锰、炉渣及碳氢化合物"),
    ]
    if given.enrichment:
        said.append(Text(f"oxygen {given.enrichment:g} % by volume above air", f"富氧 {given.enrichment:g} %（体积）"))
    if given.moisture:
        said.append(Text(f"moisture {given.moisture:g} g/m³ of dry blast", f"鼓风湿度 {given.moisture:g} g/m³（干风）"))
    if given.injected_carbon:
        said.append(
            Text(f"{given.injected_carbon:g} kg of pure carbon injected at 25 °C", f"喷吹纯碳 {given.injected_carbon:g} kg（25 °C）")
        )
    return tuple(said)
