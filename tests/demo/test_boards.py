"""The boards of the demonstration, and the line that etches them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from ronghe.apps.quality.boards.pairs import overlap
from ronghe.apps.quality.boards.template import Comparer
from ronghe.demo.boards import MOUSEBITE, OPEN, SHORT, SPUR, boards, photographed
from ronghe.demo.etcher import HOT_BATH, NOMINAL_BATH, NOMINAL_SPEED, Etcher
from ronghe.demo.hall import KEPT, Line
from ronghe.picture import find, read


def test_a_board_without_its_defects_is_its_template() -> None:
    for board in boards():
        assert board.template.shape == board.tested.shape == (640, 640)
        assert (board.etched(()) == board.template).all()
        assert not (board.etched(board.marked) == board.template).all()


def test_only_the_defects_that_a_board_has_are_seen_on_it() -> None:
    """Each board with one of its classes; no good board is taken for a bad one."""
    rng, comparer = np.random.default_rng(5), Comparer()
    found = there = right = 0
    for i, board in enumerate(boards()):
        assert comparer.compare(board.template, photographed(board.template, rng)).verdict == "good", board.name
        labels = sorted({m.label for m in board.marked})
        chosen = [m for m in board.marked if m.label == labels[i % len(labels)]]
        seen = comparer.compare(board.template, photographed(board.etched(chosen), rng)).defects
        hits = [(d, m) for d in seen for m in chosen if overlap(d.box, m.box) > 0.2]
        found, there, right = found + len(seen), there + len(chosen), right + sum(d.label == m.label for d, m in hits)
    assert found == pytest.approx(there, abs=2)
    assert right >= 0.9 * there


def made(etcher: Etcher, count: int = 400) -> tuple[Counter[int], float]:
    """(defects by class, share of boards with any) of so many boards."""
    rng, classes, bad = np.random.default_rng(3), Counter[int](), 0
    for i in range(count):
        defects = etcher.defects(boards()[i % len(boards())], rng)
        classes.update(d.label for d in defects)
        bad += bool(defects)
    return classes, bad / count


def test_a_hot_bath_over_etches_and_a_faster_conveyor_helps() -> None:
    etcher = Etcher()
    assert made(etcher)[1] < 0.05
    etcher.bath = HOT_BATH
    classes, rejected = made(etcher)
    assert rejected > 0.5
    assert set(dict(classes.most_common(2))) == {OPEN, MOUSEBITE}
    etcher.setpoint = 1.25 * NOMINAL_SPEED
    for _ in range(50):
        etcher.step(0.2)
    assert made(etcher)[1] < 0.05
    etcher.bath = NOMINAL_BATH
    classes, rejected = made(etcher)
    assert rejected > 0.2
    assert set(dict(classes.most_common(2))) == {SHORT, SPUR}


def test_the_camera_leaves_whole_pictures_and_clears_up(tmp_path: Path) -> None:
    line = Line(tmp_path, Etcher(), np.random.default_rng(1))
    for _ in range(KEPT + 3):
        line.make()
    files = find(tmp_path)
    assert [int(f.stem.split("_")[0]) for f in files] == list(range(4, KEPT + 4))
    assert all(read(f).shape[:2] == (640, 640) for f in files[:3])
    assert len(list(tmp_path.iterdir())) == KEPT
