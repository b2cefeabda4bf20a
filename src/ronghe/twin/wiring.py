"""Which variable of a model a tag is, and in which unit the model speaks of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import msgspec
from msgspec import Meta

from ronghe.errors import RongheError, TwinError
from ronghe.plant import Plant, units
from ronghe.plant.problems import nearest
from ronghe.signals.when import parse_duration
from ronghe.text import Text


class Wired(msgspec.Struct, frozen=True, kw_only=True):
    """What the options of every twin share whose model has variables of its own."""

    inputs: Annotated[dict[str, str], Meta(description="tag = variable of the model: what it takes at each step")]
    outputs: Annotated[dict[str, str], Meta(description="tag = variable of the model: what it shows")]
    state: Annotated[dict[str, str], Meta(description="tag = variable of the model: what is measured as it starts")] = {}
    every: Annotated[str, Meta(description="the plant's time in one step, e.g. 1s")] = "1s"
    parameters: Annotated[dict[str, float], Meta(description="of the model, as it starts, in its own units")] = {}

    def __post_init__(self) -> None:
        if parse_duration(self.every) <= 0:
            raise TwinError(Text("every must be more than 0", "every 必须大于 0"))

    @property
    def seconds(self) -> float:
        """`every` in s."""
        return parse_duration(self.every) / 1e9


@dataclass(frozen=True, slots=True)
class Wire:
    """One tag and its variable: variable = tag × gain + offset."""

    tag: str
    name: str
    gain: float = 1.0
    offset: float = 0.0


def wire(plant: Plant, where: str, names: Mapping[str, str], unit_of: Callable[[str], str | None]) -> tuple[Wire, ...]:
    """The wires of some tags. `unit_of` gives a variable's UCUM unit; None: it has none of its own, and is in its tag's.

    Raises TwinError for a tag that the plant does not have or that is no number, and for units that measure different things.
    """
    return tuple(_wire(plant, where, tag, name, unit_of(name)) for tag, name in names.items())


def _wire(plant: Plant, where: str, tag: str, name: str, unit: str | None) -> Wire:
    known(plant, where, (tag,))
    if unit is None:
        return Wire(tag, name)
    try:
        gain, offset = units.factor(plant.unit_of(tag), unit)
    except RongheError as e:
        what = Text(f"{tag} and {name}: {e.what.en}", f"{tag} 与 {name}：{e.what.in_('zh')}")
        raise TwinError(what, where=where, todo=e.todo) from e
    return Wire(tag, name, gain, offset)


def known(plant: Plant, where: str, tags: Sequence[str]) -> None:
    """Raises TwinError for a tag that the plant does not have, or that is no number."""
    for tag in tags:
        if tag not in plant.tags:
            near = nearest(tag, plant.tags)
            todo = Text(f"did you mean {near}?", f"是否想写 {near}？") if near else Text("see tags.csv", "请查 tags.csv")
            raise TwinError(Text(f"no tag {tag[:250]}", f"没有测点 {tag[:250]}"), where=where, todo=todo)
        kind = plant.property_of(tag).type
        if kind in ("text", "image"):
            raise TwinError(Text(f"{tag} is of type {kind}: a twin takes numbers", f"{tag} 为 {kind} 类型：孪生体只用数值"), where=where)


def inward(wires: Sequence[Wire], values: Mapping[str, float]) -> dict[str, float]:
    """Values by tag → by variable, in the model's units."""
    return {w.name: values[w.tag] * w.gain + w.offset for w in wires}


def outward(wires: Sequence[Wire], values: Mapping[str, float]) -> dict[str, float]:
    """Values by variable → by tag, in the tags' units. Raises KeyError for a variable that is not there."""
    return {w.tag: (float(values[w.name]) - w.offset) / w.gain for w in wires}
