"""Inspection on a line keeps the app contract."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ronghe.apps.quality.line.inspect import Inspect
from ronghe.apps.quality.line.settings import DefectRule, Options
from ronghe.picture import Picture
from ronghe.signals import quality as q
from ronghe.text import Text

from ...contract import Make, PictureContract
from .line import IMAGE, SPEED, START, S, part, plant


def recording() -> list[Picture]:
    """Good parts, a run of rejects, a lamp that is too bright for a while, a picture that is missing."""
    pixels = [part(700 + i, defect=24 <= i < 33, light=18.0 if 33 <= i < 48 else 0.0) for i in range(85)]
    shown = [Picture(IMAGE, START + i * S, i, p, q.GOOD, None, "") for i, p in enumerate(pixels, 1)]
    shown[70] = Picture(IMAGE, shown[70].time, 71, None, q.BAD, Text("covered", "被遮挡"))
    return shown


class TestInspectContract(PictureContract):
    pictures = recording()

    @pytest.fixture
    def make(self, tmp_path: Path) -> Make:
        rules = (
            DefectRule(when="reject", set=SPEED, step=0.1, within="10s"),
            DefectRule(when="light", set=SPEED, to=1.5, after="2s", within="10s"),
        )
        options = Options(model="part.model", usual=0.05, false_alarm=1e-3, base=20, group=10, advise=rules)
        folder = plant(tmp_path / "plant")

        def make(state: Path) -> Inspect:
            return Inspect("eye", folder, "line1/eye", options, state, clock=lambda: START, rng=np.random.default_rng(0))

        return make
