"""A plant folder with a press line and its recipes."""

from __future__ import annotations

from pathlib import Path

from ronghe.bench.changeover_devices import write_plant
from ronghe.guard.limits import check_guard
from ronghe.plant import Plant, load


def press_line(folder: Path) -> Plant:
    """The benchmark's line; nothing is connected."""
    return load(write_plant(folder / "plant", 1, 1, within="20s"), check_guard=check_guard)
