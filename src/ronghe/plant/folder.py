"""Reads and checks a plant folder."""

from __future__ import annotations

from pathlib import Path

from ronghe.plant.model import Plant


def load(folder: Path | str) -> Plant:
    """Reads a plant folder whole. Raises PlantError with every problem found."""
    raise NotImplementedError
