"""A vessel in a plant, and FMUs of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.twin.fmus import vessel

from ronghe.plant import Plant
from ronghe.plant.model import Property, Tag
from ronghe.text import Text

POWER, HEAT, ON, STEPS = (f"line1/vessel/{n}" for n in ("power", "temperature", "on", "steps"))


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    """With a folder of its own."""
    unit = {"power": "kW", "temperature": "Cel", "on": "", "steps": ""}
    kind = {"on": "bool", "steps": "int"}
    dictionary = {n: Property(property=n, unit=u, type=kind.get(n, "float")) for n, u in unit.items()}  # type: ignore[arg-type]
    dictionary["note"] = Property(property="note", type="text")
    tags = {t: Tag(tag=t, property=t.rpartition("/")[2]) for t in (POWER, HEAT, ON, STEPS, "line1/vessel/note")}
    return Plant(path="a/b/c", name=Text("Works", "工厂"), folder=str(tmp_path), dictionary=dictionary, tags=tags)


@pytest.fixture(scope="session")
def fmus(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """The vessel by FMI version."""
    return {n: vessel(tmp_path_factory.mktemp(f"fmi{n}"), n) for n in (2, 3)}
