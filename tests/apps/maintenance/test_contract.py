"""State detection keeps the app contract."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ronghe.apps.maintenance.detect import Detect
from ronghe.apps.maintenance.settings import Options, Rule
from ronghe.plant import Plant

from ..contract import AppContract, Make
from .conftest import START, process


def recording() -> np.ndarray:
    """Normal operation, a cooler that fouls and is cleaned, a sensor that is lost for a while; the set-point is the last column."""
    rows = process(900)
    rows[550:650] += [-14, 6, 0, 0, 0]
    rows[720:800, 3] = np.nan
    return np.column_stack([rows, np.full(len(rows), 50.0)])


class TestDetectContract(AppContract):
    rows = recording()

    @pytest.fixture
    def make(self, plant: Plant) -> Make:
        rule = Rule(when="cooler_efficiency low", set="fan", step=5, within="30s")
        options = Options(learn="400s", silent="30s", advise=(rule,))

        def make(state: Path) -> Detect:
            return Detect("rig", plant, "line1/rig", options, state, clock=lambda: START)

        return make
