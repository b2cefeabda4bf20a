"""What docs/changeover.md shows works as shown."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
from tests.apps.scheduling.press_line import press_line

from ronghe.apps.scheduling.changeover.recipe import read_recipe
from ronghe.apps.scheduling.changeover.settings import Options
from ronghe.plant import AppSpec
from ronghe.plant.problems import Problems

PAGE = (Path(__file__).parents[3] / "docs" / "changeover.md").read_text(encoding="utf-8")


def test_the_recipe_on_the_page_is_one(tmp_path: Path) -> None:
    plant = press_line(tmp_path)
    door = msgspec.structs.replace(plant.tags["line1/feeder/door_open"], tag="line1/press/door_open")
    apps = {**plant.apps, "inspection": AppSpec(name="inspection", uses="quality.inspect")}
    plant = msgspec.structs.replace(plant, tags={**plant.tags, door.tag: door}, apps=apps)
    (block,) = re.findall(r"(?:^ {4}.*\n|^\n)+", PAGE[PAGE.index("    name = ") :], re.MULTILINE)[:1]
    path = tmp_path / "a-200.toml"
    path.write_text(re.sub(r"^ {4}", "", block, flags=re.MULTILINE), encoding="utf-8")
    problems = Problems()
    recipe = read_recipe(path, plant, "line1", problems)
    assert problems.found == []
    assert recipe is not None
    assert (len(recipe.parameters), list(recipe.proof), list(recipe.confirm)) == (4, ["model", "first_piece"], ["die"])


def test_every_option_is_on_the_page() -> None:
    for field in msgspec.structs.fields(Options):
        assert f"| `{field.name}` |" in PAGE
        assert field.name == "follow" or f"| `{field.name}` | `{field.default}` |" in PAGE
