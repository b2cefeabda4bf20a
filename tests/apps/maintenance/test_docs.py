"""Every documented command runs."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest

from ronghe.cli.main import main

from .conftest import PROPERTIES, process

PAGE = Path(__file__).parents[3] / "docs" / "maintenance.md"
COMMANDS = [line.strip().removeprefix("$ ronghe ").split() for line in PAGE.read_text(encoding="utf-8").splitlines() if "$ ronghe" in line]


def write(path: Path, rows: np.ndarray, anomaly: range | None = None) -> None:
    path.parent.mkdir(exist_ok=True)
    head = ["time", *PROPERTIES, *(["anomaly"] if anomaly else [])]
    lines = [
        [f"2026-03-09 08:{i // 60:02}:{i % 60:02}", *map(str, row), *([str(int(i in anomaly))] if anomaly else [])]
        for i, row in enumerate(rows)
    ]
    path.write_text("\n".join(",".join(line) for line in [head, *lines]))


def test_documented_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = process(1500)
    rows[1000:1100] += [-14, 6, 0, 0, 0]
    write(tmp_path / "normal" / "monday.csv", rows[:400])
    write(tmp_path / "later.csv", rows[800:])
    write(tmp_path / "labelled" / "1.csv", rows[500:], range(500, 600))
    monkeypatch.chdir(tmp_path)
    assert len(COMMANDS) == 3
    for words in COMMANDS:
        out = io.StringIO()
        with patch.object(sys, "argv", ["ronghe", *words]), contextlib.redirect_stdout(out), pytest.raises(SystemExit) as exit:
            main()
        assert not exit.value.code, words
        assert out.getvalue().strip()
        if "--json" in words:
            assert json.loads(out.getvalue())["f1"] > 0.8
