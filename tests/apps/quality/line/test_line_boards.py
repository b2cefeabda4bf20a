"""Golden templates on the line: each class of defect on a board has a rate, and nothing is promised that is not known."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from ronghe.apps.quality.boards.judge import Templates, pack
from ronghe.apps.quality.boards.template import Comparer
from ronghe.demo.boards import OPEN, boards, photographed
from ronghe.models import save

from .line import START, line, plant


def test_boards_are_judged_by_their_template_and_defects_named(tmp_path: Path) -> None:
    board = next(b for b in boards() if any(m.label == OPEN for m in b.marked))
    folder = tmp_path / "plant"
    plant(folder)
    save(folder / "boards.model", pack(Templates(["a"], board.template[None], Comparer()), name="boards", created=START))
    eye = line(tmp_path, model="boards.model")
    rng = np.random.default_rng(0)
    assert eye.see(photographed(board.template, rng)).signals["verdict"] == 0
    signals = eye.see(photographed(board.etched([m for m in board.marked if m.label == OPEN]), rng)).signals
    assert signals["verdict"] == 2
    assert signals["rate_open"] == 0.5
    status = msgspec.json.decode(msgspec.json.encode(eye.ask("status")))
    assert status["classes"] == {"open": 1}
    assert status["promise"] is None
    assert status["model"]["name"] == "boards"
    eye.ask("scores")
    eye.app.close()
