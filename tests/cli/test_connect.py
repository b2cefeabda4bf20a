"""`ronghe browse` as a person calls it, against a node-opcua server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.connect.opcua.servers import NodeServer

from ronghe.cli.connect import browse
from ronghe.errors import RongheError
from ronghe.plant import folder


@pytest.fixture(scope="module")
def press(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeServer]:
    server = NodeServer(tmp_path_factory.mktemp("pki"))
    server.start()
    yield server
    server.stop()


def call(*args: str) -> str:
    """What it prints; an error of ours is raised, as the main command shows it."""
    result = CliRunner().invoke(browse, list(args), catch_exceptions=False, standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result.output


def test_lists_what_is_there(press: NodeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RONGHE_LANG", "en")
    lines = call(press.url).splitlines()
    assert lines[0].split() == ["address", "path", "type", "unit", "writable", "value"]
    (row,) = [line.split() for line in lines if "Press.Temperature" in line]
    assert row[:4] == ["nsu=http://example.org/press;s=Press.Temperature", "Press/Temperature", "float", "Cel"]
    assert len({line.index("Press/") for line in lines[1:]}) == 1, "columns do not line up"
    monkeypatch.setenv("RONGHE_LANG", "zh")
    assert call(press.url, "--under", "Press/Types").startswith("地址")


def test_the_first_tags_make_a_plant_that_checks(press: NodeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RONGHE_LANG", "en")
    said = call(press.url, "-o", str(tmp_path / "tags.csv"), "--connection", "press1")
    toml = said[said.index("[connections.press1]") :]
    (tmp_path / "plant.toml").write_text(
        f'[plant]\npath = "acme/shanghai/press"\nname = {{ en = "Press", zh = "压机" }}\n\n{toml}\n', "utf-8"
    )
    plant, problems = folder.examine(tmp_path)
    assert plant is not None, problems
    assert problems == []
    tag = plant.tags["Press/Temperature"]
    assert (tag.property, tag.address, plant.unit_of("Press/Temperature")) == (
        "temperature",
        "nsu=http://example.org/press;s=Press.Temperature",
        "Cel",
    )
    assert plant.dictionary["temperature"].name_zh == "温度"
    assert plant.tags["Press/Types/WriteDouble"].writable
    with pytest.raises(RongheError, match="exists"):
        call(press.url, "-o", str(tmp_path / "tags.csv"))
    again = call(press.url, "-o", str(tmp_path / "tags.csv"), "--force", "--connection", "press1")
    assert " 0 properties added" in again
    assert folder.load(tmp_path).tags == plant.tags


def test_a_dictionary_that_is_there_is_added_to(press: NodeServer, tmp_path: Path) -> None:
    (tmp_path / "dictionary.csv").write_text("property,irdi,name_en,name_zh,unit,type,low,high\ntemperature,,Heat,热,K,float,,\n", "utf-8")
    call(press.url, "-o", str(tmp_path / "tags.csv"), "--under", "Press/Types", "-O", "timeout=5")
    lines = (tmp_path / "dictionary.csv").read_text("utf-8").splitlines()
    assert lines[1] == "temperature,,Heat,热,K,float,,"
    assert len(lines) > 10


def test_what_is_wrong_is_said(press: NodeServer) -> None:
    with pytest.raises(RongheError, match="nothing called 'carrierpigeon'"):
        call("carrierpigeon://roof")
    with pytest.raises(RongheError, match="options: url, security"):
        call(press.url, "-O", "tyres=4")
    with pytest.raises(RongheError, match="sessions"):
        call(press.url, "-O", "sessions=many")


def test_a_password_is_asked_for_and_never_shown(press: NodeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RONGHE_PASSWORD", "geheim")
    said = call(press.url, "--user", "ann", "-o", str(tmp_path / "tags.csv"), "--connection", "press1")
    assert "geheim" not in said
    assert 'password = { env = "PRESS1_PASSWORD" }' in said
