"""The model follows the recipe that the machine shows; the first piece after a change of it is told."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from ronghe.apps.quality.inspector.learn import learn
from ronghe.apps.quality.inspector.packing import pack
from ronghe.apps.quality.line.inspect import Inspect
from ronghe.apps.quality.line.settings import Options
from ronghe.errors import AppError
from ronghe.models import save
from ronghe.plant import Plant, Property, Tag
from ronghe.signals import Window
from ronghe.signals import quality as q

from .line import IMAGE, START, Line, Pixels, S, part, plant

NUMBER = "line1/eye/recipe"


def other(seed: int) -> Pixels:
    """Another product: the same part the other way round."""
    return np.ascontiguousarray(part(seed)[:, ::-1])


class Made(Line):
    """A line on which a recipe is made."""

    recipe, code = 1.0, q.GOOD

    def row(self, quality: int = q.GOOD, speed: float = 2.0) -> object:  # type: ignore[override]
        tags = self.app.wants().tags
        values = {IMAGE: float(self.number), NUMBER: self.recipe}
        codes = {IMAGE: quality, NUMBER: self.code}
        row = np.array([[values[t] if codes[t] == q.GOOD else np.nan for t in tags]])
        result = self.app.step(
            Window(tags, np.array([START + self.number * S]), row, np.array([[codes[t] for t in tags]], np.uint32), np.zeros_like(row))
        )
        self.results.append(result)
        return result

    def shows(self, number: float, code: int = q.GOOD) -> dict[str, float]:
        """The machine shows another recipe; gives the signals."""
        self.recipe, self.code = number, code
        self.row()
        return self.results[-1].signals


@pytest.fixture(scope="module")
def works(tmp_path_factory: pytest.TempPathFactory) -> Plant:
    """A plant with a recipe tag, and a model for each of two products."""
    folder = tmp_path_factory.mktemp("works")
    bare = plant(folder)
    inspector = learn([other(i) for i in range(30)], false_reject=0.04, review=0.1)
    save(folder / "other.model", pack(inspector, name="other", created=START))
    tag = Tag(tag=NUMBER, property="recipe", connection="plc", address="2", writable=True)
    dictionary = {**bare.dictionary, "recipe": Property(property="recipe", type="int")}
    return msgspec.structs.replace(bare, tags={**bare.tags, NUMBER: tag}, dictionary=dictionary)


def eye(works: Plant, state: Path, **given: object) -> Made:
    options = {"recipe": "recipe", "models": {"1": "part.model", "2": "other.model"}, "base": 20, "group": 10, **given}
    state.mkdir(exist_ok=True)
    app = Inspect("eye", works, "line1/eye", Options(**options), state, clock=lambda: START, rng=np.random.default_rng(0))  # type: ignore[arg-type]
    return Made(app)


def test_each_product_is_looked_at_with_its_own_model_at_once(works: Plant, tmp_path: Path) -> None:
    line = eye(works, tmp_path / "state")
    line.row()
    assert line.results[-1].signals == {"recipe": 1.0, "first_piece": -1.0}
    assert line.see(part(100)).signals["verdict"] == 0
    assert line.results[-1].signals == {"recipe": 1.0, "first_piece": 1.0}
    assert line.see(other(100)).signals["verdict"] == 2
    assert line.results[-1].signals["first_piece"] == 1.0, "the first is the first"
    assert line.shows(2.0) == {"recipe": 2.0, "first_piece": -1.0}
    assert line.see(part(101)).signals["verdict"] == 2
    assert line.results[-1].signals["first_piece"] == 0.0
    assert line.see(other(101)).signals["verdict"] == 0
    assert line.shows(1.0) == {"recipe": 1.0, "first_piece": -1.0}
    assert line.see(part(102)).signals["verdict"] == 0
    line.app.close()


def test_without_a_model_for_what_is_made_nothing_passes(works: Plant, tmp_path: Path) -> None:
    line = eye(works, tmp_path / "state")
    assert line.see(part(100)).signals["verdict"] == 3, "nothing is known of the recipe yet"
    line.shows(1.0)
    assert line.shows(2.0, q.BAD_NO_COMMUNICATION)["recipe"] == 1.0, "what is not Good changes nothing"
    assert line.shows(7.0) == {"recipe": -1.0, "first_piece": -1.0}
    assert line.see(part(101)).signals["verdict"] == 3
    assert line.results[-1].signals["first_piece"] == 0.0
    assert "recipe 7" in msgspec.json.encode(line.ask("recent", count=1)).decode()
    with pytest.raises(AppError, match="quality fit"):
        line.ask("teach")
    line.app.close()


@pytest.mark.parametrize(
    "given",
    [{"models": {}}, {"models": {"a": "part.model"}}, {"recipe": ""}, {"model": "part.model"}, {"recipe": "recipee"}],
)
def test_options_that_do_not_fit(works: Plant, tmp_path: Path, given: dict[str, object]) -> None:
    with pytest.raises(AppError):
        eye(works, tmp_path / "state", **given)
