"""Four tanks on paper."""

from __future__ import annotations

from pathlib import Path

import pytest

from ronghe.plant import Connection, GuardSpec, Plant, Property, Tag
from ronghe.text import Text

LEVELS = [f"water/tanks/level{i}" for i in range(1, 5)]
PUMPS = [f"water/tanks/pump{i}" for i in (1, 2)]


def four_tanks(folder: Path, **guard: str) -> Plant:
    """Levels in mm and pumps in mV: the model speaks of cm and V."""
    properties = [Property(property="level", name_en="Level", name_zh="液位", unit="mm", low=0, high=250)]
    properties.append(Property(property="pump", name_en="Pump", name_zh="泵电压", unit="mV", low=0, high=12000))
    tags = [Tag(tag=t, property="level", every=5.0) for t in LEVELS] + [
        Tag(tag=t, property="pump", every=5.0, connection="plc", address="holding:1", writable=True) for t in PUMPS
    ]
    guards = {t: GuardSpec(tag=t, **({"mode": "auto", "envelope": "0..8000 mV"} | guard)) for t in PUMPS}  # type: ignore[arg-type]
    return Plant(
        path="test/water",
        name=Text("Water", "水"),
        folder=str(folder),
        dictionary={p.property: p for p in properties},
        tags={t.tag: t for t in tags},
        connections={"plc": Connection(name="plc", driver="modbus")},
        guards=guards,
    )


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    """Guarded at 0..8 V."""
    return four_tanks(tmp_path)
