"""Placement at work in a node: its apps' models may run at other sites, and what comes of it is told. Without any `place`, nothing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ronghe.apps.contract import App, Priority
from ronghe.plant import Plant
from ronghe.text import Text

if TYPE_CHECKING:
    from ronghe.models.placement import Placer

FILE = "placement.json"  # in the node's own folder: what people are shown by `ronghe place show`


class Placements:
    """Of one node. `placer` is None where no app says that its models may run elsewhere; then no code for it is loaded."""

    def __init__(self, plant: Plant, folder: Path, clock: Callable[[], int]) -> None:
        self._apps = {name: spec.place for name, spec in plant.apps.items() if spec.place is not None}
        self.placer: Placer | None = None
        if self._apps:
            from ronghe.models.placement import Placer

            self.placer = Placer(plant.sites, clock=clock, file=folder / FILE)

    def start(self) -> None:
        """Begins to measure."""
        if self.placer is not None:
            self.placer.start()

    def close(self) -> None:
        """From now on everything runs here."""
        if self.placer is not None:
            self.placer.close()

    def of(self, name: str, kind: type[App]) -> AbstractContextManager[None]:
        """In here the sessions of an app's models are placed."""
        place = self._apps.get(name)
        if self.placer is None or place is None:
            return nullcontext()
        return self.placer.placing(name, place, safety=kind.safety)

    def tell(self, say: Callable[[str, Priority, Text | None], None], put: Callable[[str, dict[str, Any]], None]) -> None:
        """Alarms, and moves for the ledger; called once a second."""
        if self.placer is None:
            return
        for what, trouble in self.placer.troubles().items():
            say(f"placement/{what}", "high", trouble)
        for move in self.placer.take_moves():
            put("placement.move", {"model": move.model, "from": move.from_, "to": move.to, "en": move.why.en, "zh": move.why.zh})

    def view(self) -> dict[str, Any] | None:
        """See `Placer.view`; None where nothing is placed."""
        return self.placer.view() if self.placer is not None else None
