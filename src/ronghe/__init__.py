"""Ronghe (融合): one loop from device to measured value.

From a notebook:

    plant = ronghe.open("plants/water")
    frame = plant.read("line1/pump1/*", "-7d", every="1min")   # an Arrow table
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from ronghe.notebook import OpenPlant

__all__ = ["__version__", "open"]
__version__ = "0.1.0"


def open(folder: Path | str) -> OpenPlant:
    """The plant folder for reading, while its node runs or not. Raises PlantError when the folder cannot be used."""
    from ronghe.notebook import OpenPlant

    return OpenPlant(folder)
