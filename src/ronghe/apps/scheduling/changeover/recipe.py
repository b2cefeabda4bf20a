"""Recipes: `recipes/NAME.toml` in the plant folder, each a master recipe after ISA-88 (IEC 61512-1, 5.3): header, formula, what must be
there before, and what proves that it is right.

    name = { en = "Bracket A-200", zh = "支架 A-200" }
    product = "A-200"
    version = "3"
    number = 2                           # what a tag says that names the next product

    [formula]                            # written in this order; by property below the equipment
    "press/heat" = "185 Cel"
    "feeder/feed" = "9.5 mm"

    [limits]                             # within which this product may ever be made
    "press/heat" = "180..190 Cel"

    [ready.material]                     # true before anything is written
    title = { en = "Coil A-200 is in", zh = "A-200 料卷已上料" }
    when = "feeder/material"

    [confirm.die]                        # by a person
    title = { en = "Die B is mounted", zh = "B 模具已安装" }

    [proof.first_piece]                  # true within this long after the last write
    title = { en = "First piece is good", zh = "首件合格" }
    when = "apps/inspection/first_piece == 1"

A key of the formula is PROPERTY or PART/PROPERTY below the equipment, so that one recipe serves every equal line; a tag's own path below
the equipment will do as well. In conditions a tag may be written below the equipment, too.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from ronghe.apps.scheduling.changeover.formula import Formula, Parameter, localized
from ronghe.errors import GuardError, RongheError
from ronghe.guard.condition import parse
from ronghe.plant import Plant
from ronghe.plant.fields import read_fields
from ronghe.plant.locate import Lines
from ronghe.plant.problems import Problems
from ronghe.plant.textfile import read_text
from ronghe.signals.when import parse_duration
from ronghe.text import Text

FOLDER: Final = "recipes"
_TABLES: Final = ("formula", "limits", "ready", "confirm", "materials", "proof")


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What stands above the tables of a recipe."""

    product: Annotated[str, Meta(min_length=1, description="what is made by it, as orders call it")]
    name: Annotated[Text | None, Meta(description="what people call it; else its file's name")] = None
    version: Annotated[str, Meta(description="of the recipe, as people count them")] = "1"
    equipment: Annotated[str, Meta(description="the only equipment that it is for; empty: every one that has what its formula names")] = ""
    number: Annotated[int | None, Meta(description="the number by which a tag names this product")] = None
    within: Annotated[str, Meta(description="the proof must come this long after the last write")] = "60s"


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """A `[ready.NAME]` or `[proof.NAME]` table."""

    when: Annotated[str, Meta(min_length=1, description="condition as in an interlock; tags below the equipment or from the plant's root")]
    title: Annotated[Text | None, Meta(description="what people call it; else its name")] = None


class Confirm(msgspec.Struct, frozen=True, kw_only=True):
    """A `[confirm.NAME]` table: what a person must have done and confirms."""

    title: Annotated[Text | None, Meta(description="what is to be done; else its name")] = None
    who: Annotated[Text | None, Meta(description="who is told to do it, e.g. the setter")] = None


class Material(msgspec.Struct, frozen=True, kw_only=True):
    """A `[materials.NAME]` table: what is needed, for people to read."""

    title: Text | None = None
    quantity: float | None = None
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Recipe:
    """One recipe, bound to an equipment: every parameter is a tag, every condition names tags of the plant. `within` in s."""

    name: str
    title: Text
    product: str
    version: str
    equipment: str
    number: int | None
    within: float
    parameters: tuple[Parameter, ...]
    ready: Mapping[str, Condition]
    confirm: Mapping[str, Confirm]
    materials: Mapping[str, Material]
    proof: Mapping[str, Condition]


def read_recipes(plant: Plant, equipment: str, problems: Problems) -> dict[str, Recipe]:
    """The recipes of an equipment that hold, by name; what is wrong with the others is among the problems. A folder without any is fine."""
    found: dict[str, Recipe] = {}
    numbers: dict[int, str] = {}
    for path in sorted((Path(plant.folder) / FOLDER).glob("*.toml")):
        recipe = read_recipe(path, plant, equipment, problems)
        if recipe is None:
            continue
        if recipe.number is not None and (other := numbers.setdefault(recipe.number, recipe.name)) != recipe.name:
            problems.error(
                f"{FOLDER}/{path.name}", 1, f"number {recipe.number} is that of {other} already", f"number {recipe.number} 已用于 {other}"
            )
        else:
            found[recipe.name] = recipe
    return found


def read_recipe(path: Path, plant: Plant, equipment: str, problems: Problems) -> Recipe | None:
    """One file; None where it is for another equipment, or anything is wrong with it, which is then among the problems."""
    file, own = f"{FOLDER}/{path.name}", Problems()
    text = read_text(path, own)
    tables: dict[str, Any] | None = None
    if text is not None:
        try:
            tables = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, ValueError, RecursionError) as e:
            own.error(file, 0, f"not valid TOML: {e}", f"TOML 语法错误：{e}")
    recipe = _Reader(file, tables, Lines(text or ""), plant, equipment, own).recipe(path.stem) if tables is not None else None
    for problem in own.found:
        problems.add(msgspec.structs.replace(problem, file=file))
    return None if own.errors() else recipe


@dataclass(slots=True)
class _Reader:
    """Reads one recipe."""

    file: str
    tables: dict[str, Any]
    lines: Lines
    plant: Plant
    equipment: str
    problems: Problems

    def recipe(self, name: str) -> Recipe | None:
        head = {k: v for k, v in self.tables.items() if k not in _TABLES}
        header = read_fields(Header, head, file=self.file, line=self.lines.of, problems=self.problems)
        if header is None:
            return None
        if header.equipment and header.equipment != self.equipment:
            if not self.plant.tags_under(header.equipment):
                self._say(("equipment",), f"there is no equipment {header.equipment!r}", f"没有设备 {header.equipment!r}")
            return None
        formula = Formula(self.plant, self.equipment, self._table("formula"), self._table("limits"))
        parameters = formula.read(lambda table, key, e: self.problems.raised(self.file, self.lines.of(table, key), e, key))
        if not self._table("formula"):
            self._say((), "there is nothing in [formula]: what is it to set?", "缺少 [formula]：没有要设置的参数")
        whole = Recipe(
            name=name,
            title=header.name or Text(name, name),
            product=header.product,
            version=header.version,
            equipment=header.equipment or self.equipment,
            number=header.number,
            within=self._seconds(header.within),
            parameters=tuple(parameters),
            ready=self._conditions("ready"),
            confirm=self._named("confirm", Confirm),
            materials=self._named("materials", Material),
            proof=self._conditions("proof"),
        )
        twice = [set(a) & set(b) for a, b in ((whole.ready, whole.confirm), (whole.ready, whole.proof), (whole.confirm, whole.proof))]
        for step in sorted(set().union(*twice)):
            self._say((), f"two steps are called {step!r}", f"有两个步骤同名：{step!r}")
        return whole

    def _say(self, key: tuple[str, ...], en: str, zh: str) -> None:
        self.problems.error(self.file, self.lines.of(*key), en, zh)

    def _table(self, name: str) -> dict[str, Any]:
        table = self.tables.get(name, {})
        if isinstance(table, dict):
            return table
        self._say((name,), f"{name} must be a table: [{name}]", f"{name} 应为表：[{name}]")
        return {}

    def _named(self, group: str, kind: type[Any]) -> dict[str, Any]:
        found = {}
        for name, table in self._table(group).items():
            if not isinstance(table, dict):
                self._say((group, name), f"{name[:60]} must be a table: [{group}.{name}]", f"{name[:60]} 应为表：[{group}.{name}]")
                continue
            one = read_fields(kind, table, file=self.file, line=partial(self.lines.of, group, name), problems=self.problems)
            if one is not None:
                found[name] = msgspec.structs.replace(one, title=one.title or Text(name.replace("_", " "), name))
        return found

    def _conditions(self, group: str) -> dict[str, Condition]:
        found: dict[str, Condition] = self._named(group, Condition)
        for name, condition in found.items():
            try:
                text = localized(condition.when, self.plant, self.equipment)
                parse(text, self.plant)
                found[name] = msgspec.structs.replace(condition, when=text)
            except GuardError as e:
                self.problems.raised(self.file, self.lines.of(group, name, "when"), e, "when")
        return found

    def _seconds(self, text: str) -> float:
        try:
            ns = parse_duration(text)
            if ns > 0:
                return ns / 1e9
            self._say(("within",), "within must be more than 0", "within 必须大于 0")
        except RongheError as e:
            self.problems.raised(self.file, self.lines.of("within"), e, "within")
        return 60.0
