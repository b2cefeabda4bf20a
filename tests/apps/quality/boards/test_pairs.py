"""Labelled boards: the layout, the protocol and what is learned."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner

from ronghe.apps.quality.boards import pairs as boards
from ronghe.apps.quality.boards.learn import learn, pack, unpack
from ronghe.apps.quality.boards.pairs import Marked, find, hits, labelled, marks, overlap
from ronghe.apps.quality.boards.template import Comparer, Settings
from ronghe.cli import quality_boards
from ronghe.errors import AppError, ModelError
from ronghe.models import load, save

from .drawn import write_pair


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_pair(tmp_path / "group1", "0001", 1, 2, 3)
    write_pair(tmp_path / "group1", "0002", 4, 5, 6)
    write_pair(tmp_path / "group2", "0003", 1, 3, 5, 6)
    write_pair(tmp_path / "group2", "0004", 2, 4)
    return tmp_path


def test_margins_and_classes_are_learned(folder: Path) -> None:
    pairs = labelled(folder)
    settings = learn(pairs)
    assert settings.padding in ((7, 7), (7, 8), (8, 7))  # an edge softened by JPEG may cost a pixel
    report = boards.evaluate(pairs, Comparer(settings))
    assert report.f == report.map == report.any_class.f == 1
    assert report.boards == 4
    assert report.marked == report.found == 12
    assert report.classes["2"].name.zh == "短路"
    assert report.cpu_ms_p99 >= report.cpu_ms_p50 > 0


def test_other_numbers_of_classes_are_learned_too(folder: Path) -> None:
    for file in folder.rglob("*.txt"):
        lines = [line.rsplit(" ", 1) for line in file.read_text().splitlines()]
        file.write_text("\n".join(f"{box} {int(label) * 10}" for box, label in lines))
    settings = learn(labelled(folder))
    assert settings.classes == (10, 20, 30, 40, 50, 60)
    report = boards.evaluate(labelled(folder), Comparer(settings))
    assert report.f == 1


def test_a_wrong_class_is_wrong_twice(folder: Path) -> None:
    settings = learn(labelled(folder))
    swapped = msgspec.structs.replace(settings, classes=(2, 1, 3, 4, 5, 6))
    report = boards.evaluate(labelled(folder), Comparer(swapped))
    assert report.any_class.f == 1
    assert report.f == report.precision == report.recall == pytest.approx(8 / 12, abs=1e-4)
    assert report.classes["1"].f == 0
    assert report.map == pytest.approx(4 / 6, abs=1e-4)


def test_average_precision_by_hand() -> None:
    marked = (Marked((0, 0, 10, 10), 1), Marked((100, 0, 110, 10), 1))
    assert hits([(1, 0, 10, 10), (0, 0, 10, 10), (100, 0, 110, 10)], [1, 1, 2], marked, iou=0.33, same=True) == [0, -1, -1]
    assert hits([(1, 0, 10, 10), (0, 0, 10, 10), (100, 0, 110, 10)], [1, 1, 2], marked, iou=0.33, same=False) == [0, -1, 1]
    assert overlap((0, 0, 10, 10), (5, 0, 15, 10)) == pytest.approx(1 / 3)


def test_a_board_that_cannot_be_read_counts_as_missed(folder: Path) -> None:
    (folder / "group1" / "0001_test.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut")
    report = boards.evaluate(labelled(folder), Comparer(Settings(padding=(7, 7))))
    assert report.recall == pytest.approx(9 / 12)
    assert report.precision == 1
    assert len(report.review) == 1
    assert "0001" in report.review[0]


def test_a_package_says_the_same(folder: Path, tmp_path: Path) -> None:
    pairs = labelled(folder)
    settings = learn(pairs)
    package = pack(settings, pairs, name="boards", created=1)
    save(tmp_path / "m", package)
    assert unpack(load(tmp_path / "m")) == settings
    other = msgspec.structs.replace(package.manifest, kind="other/1")
    with pytest.raises(ModelError, match="other/1"):
        unpack(type(package)(other))
    torn = msgspec.structs.replace(package.manifest, settings={**package.manifest.settings, "classes": [1]})
    with pytest.raises(ModelError, match="do not fit"):
        unpack(type(package)(torn))


def test_from_a_shell(folder: Path, tmp_path: Path) -> None:
    def run(*words: str) -> str:
        return CliRunner().invoke(quality_boards.boards, [*words], catch_exceptions=False).output

    model = str(tmp_path / "boards.model")
    assert json.loads(run("fit", str(folder), "-o", model, "--json"))["marked"] == 12
    by_model = json.loads(run("evaluate", str(folder), "--model", model, "--json"))
    trained = json.loads(run("evaluate", str(folder), "--train", str(folder), "--json"))
    assert by_model["f"] == trained["f"] == 1
    assert "IoU > 0.33" in run("evaluate", str(folder), "--model", model)


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    with pytest.raises(AppError, match="no such folder"):
        find(tmp_path / "none")
    with pytest.raises(AppError, match="NAME_test"):
        find(tmp_path)
    write_pair(tmp_path, "7", 1)
    (tmp_path / "7.txt").write_text("")
    with pytest.raises(AppError, match="no defect is marked"):
        labelled(tmp_path)
    (tmp_path / "7.txt").write_text("1 2 3 4 1\n\n5 6 7\n")
    with pytest.raises(AppError, match=r"7\.txt:3: not a box"):
        find(tmp_path)
    (tmp_path / "7.txt").write_text("1,2,30,40,1\n")
    assert marks(tmp_path / "7.txt") == (Marked((1, 2, 30, 40), 1),)
    with pytest.raises(AppError, match="too few"):
        learn(labelled(tmp_path))
    (tmp_path / "7_temp.jpg").unlink()
    with pytest.raises(AppError, match=r"7_temp\.jpg is missing"):
        find(tmp_path)
