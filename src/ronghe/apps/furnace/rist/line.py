"""The operating line of a blast furnace: oxygen a mole of iron over oxygen a mole of carbon.

X is what the gas has taken up, moles of O a mole of reductant (CO is 1, CO2 is 2, H2 1 and H2O 2); Y is where it came from, moles of O a
mole of Fe: above 0 from the burden, below from the blast. One straight line is the oxygen balance; its slope is reductant a mole of iron.
After A. Rist, N. Meysson, A dual graphic representation of the blast-furnace mass and heat balances, J. Metals 19 (1967) 50-59.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec.structs import replace

from ronghe.apps.furnace.rist.balance import EQUILIBRIUM, IRON, Assumptions, Balance, solve
from ronghe.errors import AppError
from ronghe.text import Text

_FE, _C, _O, _WATER = 55.845, 12.011, 15.999, 18.015
_WUSTITE: Final = 1 / 0.947
_X_W: Final = 1 + EQUILIBRIUM / (EQUILIBRIUM + 44.009 / 28.010)  # 1 + CO2/(CO + CO2) by moles
_OTHER: Final = 0.9  # a second gas ratio as a part of the first: two lines that keep the same heat balance cross in P
X_TITLE: Final = Text("O/C: oxygen in the gas, moles a mole of carbon", "O/C：煤气中氧碳摩尔比")
Y_TITLE: Final = Text("O/Fe: oxygen taken up, moles a mole of iron", "O/Fe：氧铁摩尔比")


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """A point of the diagram."""

    name: str
    x: float
    y: float
    title: Text


class OperatingLine(msgspec.Struct, frozen=True, kw_only=True):
    """From E to A. `slope` is moles of reductant a mole of iron."""

    line: tuple[tuple[float, float], tuple[float, float]]
    slope: float
    points: tuple[Point, ...]


def operating_line(given: Assumptions, balance: Balance) -> OperatingLine:
    """The line of a balance. Raises AppError where the burden holds more oxygen than the gas can carry away."""
    slope, blast = _line(balance)
    x_a = (given.ore_oxygen - blast) / slope
    if x_a > 2:
        raise AppError(
            Text(
                f"the gas of this balance would leave at the top with O/C = {x_a:.2f}: it carries at most 2, as CO2",
                f"按此平衡，炉顶煤气 O/C 将为 {x_a:.2f}，而全部为 CO2 时最多为 2",
            ),
            where="rist",
            todo=Text("too little carbon for this burden: look at heat loss and blast", "碳量不足以还原炉料：请检查热损失与鼓风条件"),
        )
    other_slope, other_blast = _line(solve(replace(given, gas_ratio=_OTHER * given.gas_ratio)))
    x_p = (blast - other_blast) / (other_slope - slope)
    points = (
        Point(name="A", x=x_a, y=given.ore_oxygen, title=Text("top gas and burden", "炉顶煤气与炉料")),
        Point(
            name="W",
            x=_X_W,
            y=_WUSTITE,
            title=Text("wüstite equilibrium: no line passes to its right", "浮氏体平衡点：操作线不能越过其右侧"),
        ),
        Point(name="V", x=1.0, y=0.0, title=Text("every line without direct reduction passes here", "无直接还原时的操作线必过此点")),
        Point(name="P", x=x_p, y=slope * x_p + blast, title=Text("pivot: every line of this heat balance passes here", "热平衡枢点")),
        Point(name="E", x=0.0, y=blast, title=Text("oxygen of the blast", "鼓风带入的氧")),
    )
    return OperatingLine(line=((0.0, blast), (x_a, given.ore_oxygen)), slope=slope, points=points)


def _line(b: Balance) -> tuple[float, float]:
    """Slope, and intercept at X = 0 (negative)."""
    iron, hydrogen = IRON / _FE, b.moisture / _WATER
    reductant = (b.carbon - b.dissolved) / _C + hydrogen
    return reductant / iron, -(b.oxygen / _O + 2 * hydrogen) / iron  # of moisture: its O, and the H2 that counts as 1 in X
