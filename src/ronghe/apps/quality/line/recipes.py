"""The model follows the recipe: a tag that the machine shows says which product is made, and each product is looked at with its own model.

The tag, and not a command: whoever changes over, by what means ever, the eye looks for what is really made. While the recipe is not known,
or has no model, nothing passes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ronghe.apps.quality.line.present import Present
from ronghe.errors import AppError
from ronghe.signals import quality as q
from ronghe.text import Text

NOT_YET = -1.0
"""Of the signals: no recipe with a model is known; no part was judged since the recipe changed."""


class Recipes:
    """The models of one app, by the number that the tag shows, each with its own thresholds, versions and learned rates."""

    def __init__(self, app: str, plant: Path, state: Path, models: Mapping[str, str]) -> None:
        """Raises AppError for a number that is none, ModelError for a package that cannot be used."""
        self._presents: dict[int, tuple[Present, Path]] = {}
        for number, package in models.items():
            try:
                own = state / "recipes" / str(int(number))
            except ValueError:
                what = Text(f"{number!r} is no number of a recipe", f"{number!r} 不是配方号")
                raise AppError(what, where=f"apps.{app}.models", todo=Text('e.g. "2" = "b.model"', '例如 "2" = "b.model"')) from None
            own.mkdir(parents=True, exist_ok=True)
            self._presents[int(number)] = Present(own, plant / package), own
        if not self._presents:
            raise AppError(
                Text("recipe is given, but no models for its numbers", "已配置 recipe，但未配置 models"),
                where=f"apps.{app}.models",
                todo=Text('e.g. models = { "1" = "a.model" }', '例如 models = { "1" = "a.model" }'),
            )
        self.number: int | None = None  # what the tag last showed
        self.first_piece = NOT_YET

    @property
    def present(self) -> Present:
        """The model at work; before the recipe is known that of the first, with which nothing is judged."""
        return self._presents.get(self.number if self.number is not None else -1, next(iter(self._presents.values())))[0]

    @property
    def folder(self) -> Path:
        """Where is kept what was learned of the present recipe."""
        return self._presents.get(self.number if self.number is not None else -1, next(iter(self._presents.values())))[1]

    @property
    def blind(self) -> Text | None:
        """Why nothing can be judged; None when there is a model for the recipe."""
        if self.number is None:
            return Text("the recipe is not known yet", "配方号尚未知")
        if self.number not in self._presents:
            return Text(f"there is no model for recipe {self.number}", f"配方 {self.number} 没有对应的检测模型")
        return None

    def take(self, value: float, code: int) -> bool:
        """What the tag shows now; whether another recipe is made from here on. What is not Good changes nothing."""
        if q.severity(code) != "good" or value != round(value) or round(value) == self.number:
            return False
        self.number, self.first_piece = round(value), NOT_YET
        return True

    def judged(self, passed: bool) -> None:
        """A part was judged; the first since the recipe changed is the first piece."""
        if self.first_piece == NOT_YET:
            self.first_piece = float(passed)

    def signals(self) -> dict[str, float]:
        """The number of the recipe whose model is at work, and how the first piece came out."""
        return {
            "recipe": float(self.number) if self.number is not None and self.blind is None else NOT_YET,
            "first_piece": self.first_piece,
        }
