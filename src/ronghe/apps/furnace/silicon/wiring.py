"""From names to tags: which tag is which input of the model, and which assumption of the balance a tag measures."""

from __future__ import annotations

from typing import Final

from ronghe.apps.advising import resolve
from ronghe.errors import AppError, ModelError
from ronghe.models import Manifest
from ronghe.plant import Plant
from ronghe.plant.units import compatible
from ronghe.text import Text

UNITS: Final = {
    "blast_temperature": "Cel",
    "metal_temperature": "Cel",
    "metal_carbon": "%",
    "heat_loss": "MJ",
    "enrichment": "%",
    "moisture": "g/m3",
    "injected_carbon": "kg",
}
"""Of the assumptions that may be measured."""


def inputs(plant: Plant, equipment: str, manifest: Manifest, given: dict[str, str], where: str) -> tuple[str, ...]:
    """The tag of each input: as given, else the one under the equipment with its name, else with its property.

    Raises AppError for a tag that is not there or a name that is no input, ModelError for an input that has no tag or another unit.
    """
    unknown = sorted(given.keys() - {i.name for i in manifest.inputs})
    if unknown:
        known = ", ".join(i.name for i in manifest.inputs)
        raise AppError(
            Text(f"{unknown[0]!r} is no input of the model", f"{unknown[0]!r} 不是模型输入"),
            where=f"{where}.inputs",
            todo=Text(f"inputs: {known}", f"模型输入：{known}"),
        )
    below = plant.tags_under(equipment)
    out = []
    for i in manifest.inputs:
        named = [t.tag for t in below if t.tag.rpartition("/")[2] == i.name] or [t.tag for t in below if t.property == i.property]
        if i.name in given:
            tag = resolve(plant, equipment, given[i.name], f"{where}.inputs")
        elif len(named) == 1:
            tag = named[0]
        else:
            raise ModelError(
                Text(f"no single tag here is the model's input {i.name!r}", f"此处没有唯一测点对应模型输入 {i.name!r}"),
                where=f"{where}.inputs",
                todo=Text(f"say it: {i.name!r} = tag", f"请指定：{i.name!r} = 测点"),
            )
        if i.unit and i.unit != plant.unit_of(tag):
            raise ModelError(
                Text(
                    f"{i.name} was learned in {i.unit!r} and is measured in {plant.unit_of(tag)!r}",
                    f"{i.name} 训练时单位为 {i.unit!r}，测点单位为 {plant.unit_of(tag)!r}",
                ),
                where=tag,
            )
        out.append(tag)
    return tuple(out)


def measured(plant: Plant, equipment: str, given: dict[str, str], where: str) -> dict[str, str]:
    """Assumption → tag. Raises AppError for a name that is no such assumption, and for a tag that is not there or in no such unit."""
    out = {}
    for name, tag in given.items():
        if name not in UNITS:
            raise AppError(
                Text(f"{name!r} is no assumption that a tag can measure", f"{name!r} 不是可由测点给出的假设"),
                where=f"{where}.rist_tags",
                todo=Text(f"one of: {', '.join(UNITS)}", f"可用：{'、'.join(UNITS)}"),
            )
        out[name] = resolve(plant, equipment, tag, f"{where}.rist_tags")
        if not compatible(plant.unit_of(out[name]), UNITS[name]):
            raise AppError(
                Text(
                    f"{out[name]} is in {plant.unit_of(out[name])!r}, {name} in {UNITS[name]!r}",
                    f"{out[name]} 的单位是 {plant.unit_of(out[name])!r}，而 {name} 的单位是 {UNITS[name]!r}",
                ),
                where=f"{where}.rist_tags",
            )
    return out
