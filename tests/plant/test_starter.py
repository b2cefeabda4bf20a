"""The first plant folder keeps its word: on its recording the app learns, and finds the clogged strainer."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import numpy as np
import pytest

from ronghe import plugins
from ronghe.errors import RongheError
from ronghe.plant import load, starter
from ronghe.signals import Batch, Grid, TagIndex

START = 1_700_000_000_000_000_000
TENTH = 100_000_000  # ns; a recorded second as it is played


def test_the_recording_is_the_same_every_time() -> None:
    assert starter.recording(random.Random(1)) == starter.recording(random.Random(1))
    assert starter.recording(random.Random(1)) != starter.recording(random.Random(2))


def test_values_lie_within_the_dictionary(tmp_path: Path) -> None:
    starter.write(tmp_path / "first")
    plant = load(tmp_path / "first")
    rows = list(csv.DictReader((tmp_path / "first" / "recording.csv").read_text(encoding="utf-8").splitlines()))
    for tag in plant.tags.values():
        prop = plant.property_of(tag.tag)
        assert prop.low is not None
        assert prop.high is not None
        assert all(prop.low <= float(row[tag.address]) <= prop.high for row in rows)


def test_the_app_finds_the_fault_in_the_recording_and_nothing_before(tmp_path: Path) -> None:
    starter.write(tmp_path / "first")
    plant = load(tmp_path / "first")
    spec = plant.apps["pump-state"]
    (tmp_path / "state").mkdir()
    app = plugins.load("ronghe.apps", spec.uses)("pump-state", plant, spec.equipment, spec.options, tmp_path / "state")
    index = TagIndex(plant.tags)
    rows = list(csv.DictReader((tmp_path / "first" / "recording.csv").read_text(encoding="utf-8").splitlines()))
    values = np.array([[float(row[t.address]) for t in plant.tags.values()] for row in rows])
    grid = Grid(index, app.wants().tags, round(app.wants().every * 1e9))
    found = []
    for second, row in enumerate(values):
        window = grid.push(Batch.of(index, np.arange(len(row), dtype=np.int32), START + second * TENTH, row))
        if window is not None:
            found += [(second, f) for f in app.step(window).findings if f.active]
    app.close()
    assert found
    second, finding = found[0]
    assert 960 <= second < 1140
    assert finding.equipment == "line1/pump1"
    assert "flow" in finding.key


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RongheError, match="cannot be written"):
        starter.write(tmp_path / "file" / "below")
