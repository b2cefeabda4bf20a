"""Aligned comparison with a golden template, on drawn boards."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from ronghe.apps.quality.boards.align import align
from ronghe.apps.quality.boards.difference import midpoint
from ronghe.apps.quality.boards.pairs import overlap
from ronghe.apps.quality.boards.template import Comparer, Settings
from ronghe.cli.quality_boards import compare
from ronghe.errors import AppError, PictureError

from .drawn import BASE, COPPER, DEFECTS, defective, photographed, template, visible

PLAIN = Comparer(Settings(padding=(0, 0)))


def test_every_class_is_found_and_named() -> None:
    found = PLAIN.compare(template(), defective(*DEFECTS))
    assert found.verdict == "defective"
    assert sorted(d.label for d in found.defects) == [1, 2, 3, 4, 5, 6]
    for d in found.defects:
        assert overlap(d.box, visible(d.label)) > 0.6, d
        assert d.added == (d.label in (2, 4, 5))


@pytest.mark.parametrize("c", list(DEFECTS))
def test_a_board_that_is_shifted_turned_and_grown_keeps_its_defect(c: int) -> None:
    seen = photographed(defective(c), shift=(5.3, -3.6), degrees=1.2, zoom=1.01, seed=c)
    found = Comparer().compare(template(), seen)
    assert [d.label for d in found.defects] == [c]
    good = Comparer().compare(template(), photographed(template(), shift=(5.3, -3.6), degrees=1.2, zoom=1.01, seed=c))
    assert good.verdict == "good"
    assert 4 < good.shift < 12


@settings(max_examples=15, deadline=None)
@given(st.floats(-20, 20), st.floats(-20, 20), st.floats(-5, 5), st.integers(0, 99))
def test_a_good_board_passes_wherever_it_lies(dx: float, dy: float, degrees: float, seed: int) -> None:
    found = Comparer().compare(template(), photographed(template(), shift=(dx, dy), degrees=degrees, seed=seed))
    assert not found.defects
    assert found.verdict == "good" or (found.verdict == "review" and found.covered < 0.9)


def test_the_template_lies_where_the_board_does() -> None:
    moved = photographed(template(), shift=(7.0, 4.0), degrees=-2.0)
    aligned = align(template(), moved)
    a, b = aligned.template < midpoint(aligned.template)[0], moved < midpoint(moved)[0]
    differing = (a != b) & (aligned.covered > 0)
    assert differing.mean() < 0.01
    assert 0.9 < aligned.covered.mean() < 1


def test_edges_that_etching_moved_are_no_defects() -> None:
    for grown in (cv2.erode(template(), np.ones((3, 3))), cv2.dilate(template(), np.ones((3, 3)))):
        found = Comparer().compare(template(), grown)
        assert found.verdict == "good", found.defects


def test_light_copper_and_colour() -> None:
    light = Comparer(Settings(dark=False, padding=(0, 0)))
    found = light.compare(255 - template(), np.stack([255 - defective(*DEFECTS)] * 3, axis=2))
    assert sorted(d.label for d in found.defects) == [1, 2, 3, 4, 5, 6]


def test_padding_keeps_boxes_inside() -> None:
    board = template()
    board[0:20, 100:110] = COPPER
    [d] = Comparer(Settings(padding=(10, 10))).compare(template(), board).defects
    assert d.box[1] == 0
    assert d.box[0] < 95


def test_what_cannot_be_compared_is_for_a_person() -> None:
    rng = np.random.default_rng(1)
    other = cv2.GaussianBlur(rng.integers(0, 2, (256, 256)).astype(np.uint8) * 255, (0, 0), 3)
    other = ((other > 127) * 255).astype(np.uint8)
    for picture in (np.full((256, 256), 128, np.uint8), other):
        found = Comparer().compare(template(), picture)
        assert found.verdict == "review"
        assert found.reason is not None
        assert found.reason.zh
    gone = Comparer().compare(template(), photographed(template(), shift=(40, 30)))
    assert gone.verdict != "good"


def test_what_is_no_pair_is_an_error() -> None:
    with pytest.raises(AppError, match=r"256 × 256 pixels.*200 × 256"):
        Comparer().compare(template(), template()[:, :200])
    with pytest.raises(AppError, match="template shows no copper"):
        Comparer().compare(np.full((256, 256), BASE, np.uint8), template())
    with pytest.raises(AppError, match="too small"):
        Comparer().compare(template()[:20, :20], template()[:20, :20])


def test_compare_from_a_shell(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), template())
    cv2.imwrite(str(tmp_path / "b.png"), defective(2, 6))
    said = CliRunner().invoke(compare, [str(tmp_path / "a.png"), str(tmp_path / "b.png"), "--json"], catch_exceptions=False)
    found = json.loads(said.output)
    assert said.exit_code == 1
    assert found["verdict"] == "defective"
    assert [d["name"]["zh"] for d in found["defects"]] == ["短路", "针孔"]
    assert found["cpu_ms"] > 0
    same = CliRunner().invoke(compare, [str(tmp_path / "a.png"), str(tmp_path / "a.png")], env={"RONGHE_LANG": "zh"})
    assert (same.exit_code, same.output) == (0, "合格\n")
    (tmp_path / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(PictureError):
        CliRunner().invoke(compare, [str(tmp_path / "a.png"), str(tmp_path / "b.png")], catch_exceptions=False)
