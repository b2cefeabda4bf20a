"""Recipes: what they say, bound to an equipment, and everything that is wrong with one."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from tests.apps.scheduling.press_line import press_line

from ronghe.apps.scheduling.changeover.formula import localized, set_point
from ronghe.apps.scheduling.changeover.recipe import Recipe, read_recipe, read_recipes
from ronghe.apps.trial import try_apps
from ronghe.errors import RongheError
from ronghe.guard.condition import parse
from ronghe.plant import Plant
from ronghe.plant.problems import Problems

GOOD = """\
name = { en = "Bracket", zh = "支架" }
product = "A-300"

[formula]
"press/heat" = "450 K"
stroke = "0.75 1/s"
"press/recipe" = 3

[limits]
"press/heat" = "170..180 Cel"

[ready.material]
when = "feeder/material and not feeder/door_open"
"""


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    return press_line(tmp_path)


def read(plant: Plant, text: str, equipment: str = "line1") -> tuple[Recipe | None, list[str]]:
    path = Path(plant.folder) / "recipes" / "x.toml"
    path.write_text(text, encoding="utf-8")
    problems = Problems()
    recipe = read_recipe(path, plant, equipment, problems)
    assert all(p.what.zh and p.file == "recipes/x.toml" for p in problems.found)
    return recipe, [f"{p.line}: {p.in_('en').partition(': ')[2]}" for p in problems.sorted()]


def test_properties_become_tags_and_values_their_units(plant: Plant) -> None:
    recipe, wrong = read(plant, GOOD)
    assert wrong == []
    assert recipe is not None
    assert [(p.tag, round(p.value, 6)) for p in recipe.parameters] == [
        ("line1/press/heat", 176.85),
        ("line1/press/stroke", 45.0),
        ("line1/press/recipe", 3.0),
    ]
    assert recipe.ready["material"].when == "line1/feeder/material and not line1/feeder/door_open"


def test_one_recipe_serves_every_equal_line(plant: Plant) -> None:
    twins = {t.tag.replace("line1", "line2"): msgspec.structs.replace(t, tag=t.tag.replace("line1", "line2")) for t in plant.tags.values()}
    guards = {k.replace("line1", "line2"): msgspec.structs.replace(g, tag=k.replace("line1", "line2")) for k, g in plant.guards.items()}
    both = msgspec.structs.replace(plant, tags={**plant.tags, **twins}, guards={**plant.guards, **guards})
    recipe, wrong = read(both, GOOD, "line2")
    assert wrong == []
    assert recipe is not None
    assert {p.tag.split("/")[0] for p in recipe.parameters} == {"line2"}
    assert recipe.ready["material"].when.startswith("line2/feeder/material")
    assert sorted(read_recipes(both, "line2", Problems())) == ["a-100", "a-200", "x"]


@pytest.mark.parametrize(
    ("was", "becomes", "line", "says"),
    [
        ("product =", "produkt =", 2, "did you mean 'product'"),
        ('product = "A-300"', "", 0, "'product' is missing"),
        ('"press/heat" = "450 K"', '"press/heta" = "450 K"', 5, "did you mean 'press/heat'"),
        ('"450 K"', '"450"', 5, "has no unit"),
        ('"450 K"', '"450 bar"', 5, "does not convert"),
        ('"450 K"', '"600 K"', 5, "outside what its guard allows"),
        ('"450 K"', '"460 K"', 10, "lies outside 170..180 Cel"),
        ('"450 K"', "[450]", 5, "expected a value"),
        ('"press/recipe" = 3', '"press/recipe" = 3\n"press/stroke" = "50 1/min"', 8, "set twice"),
        ('"press/heat" = "170..180 Cel"', '"press/het" = "170..180 Cel"', 10, "did you mean 'press/heat'"),
        ("feeder/material and", "feeder/materiel and", 13, "did you mean line1/feeder/material"),
        ("[ready.material]", "[ready]", 13, "must be a table: [ready.when]"),
        ("when = ", "if = ", 13, "unknown key 'if'"),
        ('zh = "支架" }', 'zh = "支架"', 1, "not valid TOML"),
        ('product = "A-300"', 'product = "A-300"\nequipment = "line7"', 3, "no equipment 'line7'"),
    ],
)
def test_whatever_is_wrong_is_told_with_its_line(plant: Plant, was: str, becomes: str, line: int, says: str) -> None:
    assert was in GOOD
    recipe, wrong = read(plant, GOOD.replace(was, becomes))
    assert recipe is None
    assert any(says in w for w in wrong), wrong
    assert "TOML" in says or any(w.startswith(f"{line}: ") and says in w for w in wrong), wrong


def test_all_that_is_wrong_is_told_at_once_and_by_check(plant: Plant) -> None:
    recipe, wrong = read(plant, GOOD.replace("450 K", "9 bar").replace("0.75 1/s", "999 1/s").replace("not feeder", "nut feeder"))
    assert recipe is None
    assert [w.partition(":")[0] for w in wrong] == ["5", "6", "13"]
    told = try_apps(plant)
    assert [p.file for p in told] == ["recipes/x.toml"] * 3, "the app starts with the others"


def test_a_number_belongs_to_one_recipe(plant: Plant) -> None:
    path = Path(plant.folder) / "recipes" / "x.toml"
    path.write_text(GOOD.replace('product = "A-300"', 'product = "A-300"\nnumber = 2'), encoding="utf-8")
    problems = Problems()
    assert sorted(read_recipes(plant, "line1", problems)) == ["a-100", "a-200"]
    assert "a-200" in problems.found[0].what.en


def test_a_property_that_several_have_must_name_its_part(plant: Plant) -> None:
    second = msgspec.structs.replace(plant.tags["line1/press/heat"], tag="line1/press2/heat")
    two = msgspec.structs.replace(plant, tags={**plant.tags, second.tag: second})
    with pytest.raises(RongheError, match="could be any of"):
        set_point(two, "line1", "heat")
    assert set_point(two, "line1", "press2/heat") == "line1/press2/heat"


def test_conditions_keep_everything_but_their_tags(plant: Plant) -> None:
    text = "feeder/material and (press/heat < 20 Cel or not line1/feeder/door_open) and apps/changeover/confirmed == 1"
    whole = localized(text, plant, "line1")
    assert whole == text.replace("feeder/material", "line1/feeder/material").replace("press/heat", "line1/press/heat")
    parse(whole, plant)
