"""An app that answers questions, so that the console's door to apps can be tried without any app of ours: it knows shapes by number."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import numpy as np

from ronghe.apps.contract import App, Page, Question, Result, Right, Wants
from ronghe.errors import AppError
from ronghe.picture import decode, encode
from ronghe.plant import Plant
from ronghe.signals import Window
from ronghe.text import Text


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """None."""


class Shapes(App):
    """Keeps the size of every picture that it is sent."""

    uses = "test.shapes"
    Options = Options
    pages = (
        Page(slug="kept", title=Text("Kept shapes", "已存形状"), view="no-such-view"),
        Page(slug="more", title=Text("More", "更多")),
    )
    verbs: ClassVar[Mapping[str, Right]] = {
        "sizes": "read",
        "drawn": "read",
        "table": "read",
        "note": "operate",
        "send": "change",
        "fail": "read",
    }

    def __init__(self, name: str, plant: Plant, equipment: str, state: Path) -> None:
        super().__init__(name, plant, equipment, Options(), state)
        self.sizes: list[list[int]] = []
        self.notes: list[dict[str, Any]] = []

    def wants(self) -> Wants:
        """Nothing: it only answers."""
        return Wants(tags=(), every=1.0)

    def step(self, window: Window) -> Result:
        """Never called."""
        raise AssertionError

    def ask(self, question: Question) -> object:
        """The verbs above."""
        body = question.body
        if question.verb == "sizes":
            return {"sizes": self.sizes, "asked": body, "who": question.who}
        if question.verb == "drawn":
            return encode(np.full((int(body["height"]), int(body["width"])), 90, np.uint8))
        if question.verb == "table":
            return b"name,corners\n"
        if question.verb == "note":
            self.notes.append(body)
            return {"notes": len(self.notes)}
        if question.verb == "send":
            self.sizes.append(list(decode(question.data).shape))
            return {"label": body["label"], "sizes": self.sizes}
        if question.verb == "fail":
            raise ZeroDivisionError
        raise AppError(Text("not reached", "不会执行"))
