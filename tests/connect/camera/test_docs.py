"""What docs/camera.md shows can be read, and its tables say what is so."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import get_type_hints

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from ronghe.cli.connect import browse
from ronghe.connect.camera import Camera, Options
from ronghe.connect.camera.driver import ADDRESSES
from ronghe.connect.camera.session import QUALITY
from ronghe.picture.health import KINDS, NAMES
from ronghe.plant import load
from ronghe.plant.fields import below
from ronghe.signals import TagIndex

PAGE = (Path(__file__).parents[3] / "docs" / "camera.md").read_text(encoding="utf-8")


def test_connections() -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    tables = tomllib.loads(block)["connections"]
    assert len(tables) == 5
    for table in tables.values():
        assert table.pop("driver") == "camera"
        if "password" in table:
            table["password"] = "taken from the environment"
        Camera(msgspec.convert(table, Options), TagIndex()).source()


def test_addresses_and_conditions_are_those_of_the_code() -> None:
    rows = [r.split("|")[1].strip() for r in PAGE.splitlines() if r.startswith("| ")]
    assert [r for r in rows if r.strip("`") in ADDRESSES] == [f"`{a}`" for a in ADDRESSES]
    assert [r for r in rows if r.partition(" ")[0] in ("silent", "frozen", "dark", "over-exposed", "covered", "out", "moved")] == [
        f"{k} {NAMES[k].zh}" for k in KINDS
    ]
    assert set(QUALITY) == set(KINDS)


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("incoming", "/plant/incoming"),
        ("/data/x.mp4", "/data/x.mp4"),
        ("rtsp://c/1", "rtsp://c/1"),
        ("usb:0", "usb:0"),
        ("genicam:", "genicam:"),
    ],
)
def test_a_source_is_a_path_below_the_plant_folder_unless_it_is_a_camera(source: str, path: str) -> None:
    assert below(Path("/plant"), get_type_hints(Options, include_extras=True)["source"], source) == path


def test_what_does_not_fit_together() -> None:
    for table in ({"source": "x", "password": "y"}, {"source": "x", "mode": "watch", "repeat": True}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(table, Options)


def test_browsing_a_camera_writes_a_plant_that_loads(tmp_path: Path) -> None:
    (tmp_path / "incoming").mkdir()
    Image.fromarray(np.full((8, 8), 90, np.uint8)).save(tmp_path / "incoming" / "1.png")
    done = CliRunner().invoke(browse, [f"camera://{tmp_path}/incoming", "-o", str(tmp_path / "tags.csv"), "--connection", "eye"])
    assert done.exit_code == 0, done.output
    (tmp_path / "plant.toml").write_text('[plant]\npath = "a/b/c"\n[connections.eye]\ndriver = "camera"\nsource = "incoming"\n')
    plant = load(tmp_path)
    assert {t.address: plant.property_of(t.tag).type for t in plant.tags.values()} == {a: kind for a, (kind, _) in ADDRESSES.items()}
    assert plant.connections["eye"].options.source == str(tmp_path / "incoming")
