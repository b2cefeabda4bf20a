"""The app contract (5): says what it wants, is given windows, returns findings and advice. Found by entry point `ronghe.apps`.

An app knows neither node nor protocol. It keeps its state in itself, is called from one thread at a time, and may be slow: the node that
runs it goes on without it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import msgspec

from ronghe.errors import AppError, Problem
from ronghe.guard.advice import Advice, Evidence
from ronghe.guard.change import Change, Told
from ronghe.guard.changecase import ChangeCase
from ronghe.guard.saving import Saving
from ronghe.picture import Picture
from ronghe.plant.model import Plant
from ronghe.signals import Window
from ronghe.text import Text

Priority = Literal["low", "medium", "high", "critical"]
Right = Literal["read", "operate", "change"]


class Wants(msgspec.Struct, frozen=True, kw_only=True):
    """The app's input: which tags, on which grid, and which cameras.

    Every completed row is given exactly once, in order, to `step`; every picture of the image tags to `see`, in order, but where the app
    is slow the oldest are passed over (and counted): what was not seen was not judged. Without tags, rows come from the clock alone.
    """

    tags: tuple[str, ...]
    every: float  # s between rows
    max_age: float = 0.0  # s a value stays usable; 0: three rows
    pictures: tuple[str, ...] = ()  # image tags; their picture numbers come on the grid only where they are in `tags` too


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What is so, with evidence. A finding with the same `key` as an earlier one is its next state; `active=False` ends it."""

    key: str  # stable name of the condition, e.g. "rig/cooler/efficiency_low"
    app: str
    equipment: str
    time: int  # ns
    active: bool
    priority: Priority
    text: Text  # what is so
    action: Text = Text("")  # what a person should do
    score: float = 0.0  # how far beyond normal; 1.0 is the limit
    evidence: tuple[Evidence, ...] = ()
    model: str = ""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What one call of an app gives. `signals` are values computed per row that are worth keeping (tag below the app → value)."""

    findings: tuple[Finding, ...] = ()
    advice: tuple[Advice, ...] = ()
    signals: dict[str, float] = {}
    changes: tuple[Change, ...] = ()
    told: tuple[Told, ...] = ()  # what people told the app (by `ask`, and as operators at least) about its changes
    savings: tuple[Saving, ...] = ()  # periods that are over, each given once


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """A page that an app brings to the console. `view` names how it is drawn; without one it shows the app's findings, advice and signals.

    A view talks to its app by `App.ask` alone, and serves every app that answers the same verbs.
    """

    slug: str
    title: Text
    view: str = ""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What a person asks of an app through the console: the verb, its arguments, and a file where one was sent along."""

    verb: str
    body: dict[str, Any] = {}
    data: bytes = b""
    who: str = ""  # the name of the person


class App(ABC):
    """One app at work on one equipment."""

    uses: ClassVar[str]
    """As in `uses = "…"` of plant.toml: scenario.verb, e.g. "maintenance.detect"."""
    Options: ClassVar[type[msgspec.Struct]]
    pages: ClassVar[tuple[Page, ...]] = ()
    safety: ClassVar[bool] = False
    """Whether people's safety rests on what it says in time: its models stay near the machine, unless plant.toml says otherwise."""
    verbs: ClassVar[Mapping[str, Right]] = {}
    """What may be asked of it, and who may: to `read` takes nothing but a sign-in, to `operate` an operator, to `change` an engineer."""

    def __init__(self, name: str, plant: Plant, equipment: str, options: Any, state: Path) -> None:
        """`state` is a folder of its own that outlives the process (models, what was learned). Raises AppError for unusable input."""
        self.name, self.plant, self.equipment, self.options, self.state = name, plant, equipment, options, state

    @abstractmethod
    def wants(self) -> Wants:
        """What it wants to be given."""

    @abstractmethod
    def step(self, window: Window) -> Result:
        """New rows in, findings and advice out."""

    def see(self, picture: Picture) -> Result:
        """One picture in, findings and advice out. `picture.pixels` is None where there was something to see and it could not be seen."""
        raise NotImplementedError(f"{type(self).__name__} wants pictures and does not look at them")

    def ask(self, question: Question) -> object:
        """Answers a person: plain data for JSON, or bytes (a JPEG). Called in the app's thread: what takes longer than a second belongs in
        a thread of the app's own. Raises AppError for what cannot be done."""
        raise AppError(Text(f"{self.uses} does not know {question.verb!r}", f"{self.uses} 不支持 {question.verb!r}"))

    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with files of its own beside plant.toml, and does not keep it from starting: told by `ronghe check`."""
        return ()

    def signal(self, name: str) -> Text:
        """What people call one of its signals. May be called from any thread."""
        words = name.replace("_", " ")
        return Text(words, words)

    def feedback(self, advice: str, outcome: str) -> None:
        """Told what became of an advice (a `ronghe.guard.advice.State`)."""
        return None

    def follow(self, change: ChangeCase) -> None:
        """Told how a change of its goes, whenever anything about it is new: its state, each of its set-points, what it waits for."""
        return None

    def close(self) -> None:
        """The node stops: keep what was learned."""
        return None
