"""The twin contract: a plant to try things on. Found by entry point `ronghe.twins`; the FMU, the Python model, the replay of a recording.

    start(values as measured now) → step(set-points) → values `every` seconds later → step(…) → …

A twin knows neither guard nor app, keeps no state between two trials, and gives the same answer to the same question.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from ronghe.plant import Plant


class Twin(ABC):
    """One model of a part of the plant. Values are by tag, in the unit of the tag's property."""

    uses: ClassVar[str]
    """As in `uses = "…"` of a `[twins.NAME]` table of plant.toml."""
    Options: ClassVar[type[msgspec.Struct]]

    inputs: tuple[str, ...]  # tags that it takes at each step: set-points, and what the plant does not choose (load, weather)
    state: tuple[str, ...]  # tags whose measured values it needs to start
    outputs: tuple[str, ...]  # tags that it shows
    every: float  # s of plant time in one step
    spoilt: bool = False  # the model must not be called again: its process is ended, and a new one begun for the next trial

    @abstractmethod
    def __init__(self, name: str, plant: Plant, options: Any, folder: Path) -> None:
        """Reads the model. Raises TwinError saying what is wrong, where, and what to do."""

    @abstractmethod
    def start(self, values: Mapping[str, float]) -> None:
        """Takes what is measured now as its state; every tag of `state` and `inputs` is in `values`. Raises TwinError where it cannot."""

    @abstractmethod
    def step(self, inputs: Mapping[str, float]) -> Mapping[str, float]:
        """`every` seconds on with these inputs; → a finite value of every tag of `outputs`. Raises TwinError where the model fails."""

    def close(self) -> None:
        """Lets go of files and memory."""
        return None
