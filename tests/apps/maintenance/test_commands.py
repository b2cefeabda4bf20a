"""The commands, as a shell runs them."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import numpy as np
import pytest

from ronghe.cli.main import main

from .conftest import PROPERTIES, process


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def ronghe(*words: object, lang: str = "en") -> Done:
    """The command in this process: as the script runs it, without the cost of a new interpreter."""
    out, err = io.StringIO(), io.StringIO()
    with (
        patch.dict(os.environ, {"RONGHE_LANG": lang}),
        patch.object(sys, "argv", ["ronghe", "maintenance", "detect", *map(str, words)]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as exit,
    ):
        main()
    return Done(int(exit.value.code or 0), out.getvalue(), err.getvalue())


def write(path: Path, rows: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [",".join(["time", *PROPERTIES])]
    lines += [
        f"2026-03-09 {8 + i // 3600:02}:{i // 60 % 60:02}:{i % 60:02}," + ",".join(f"{v:.5f}" for v in row) for i, row in enumerate(rows)
    ]
    path.write_text("\n".join(lines))
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    rows = process(1300)
    write(folder / "normal" / "monday.csv", rows[:400])
    write(folder / "normal" / "more" / "tuesday.csv", rows[400:800])
    rows[1000:1200] += [-14, 6, 0, 0, 0]
    write(folder / "later.csv", rows[800:])
    return folder


def test_fit_then_run(files: Path, tmp_path: Path) -> None:
    model = tmp_path / "rig.model"
    done = ronghe("fit", files / "normal", "-o", model, "--json")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert (said["rows"], said["window"], said["inputs"]) == (800, 20, list(PROPERTIES))
    done = ronghe("run", files / "later.csv", "--model", model, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["rows"], told["judged"]) == (500, 481)
    (key,) = {f["key"] for f in told["findings"]}
    assert key == "cooler_efficiency_low"
    assert told["findings"][-1]["active"] is False
    assert told["findings"][0]["model"] == said["hash"]
    english = ronghe("run", files / "later.csv", "--model", model).stdout
    assert "500 rows, 481 judged, 1 condition(s) found" in english
    assert "2026-03-09 08:03:2" in english
    assert "Cooler_efficiency is 3" in english
    chinese = ronghe("run", files / "later.csv", "--model", model, lang="zh").stdout
    assert "发现 1 项异常" in chinese
    assert "比正常运行应有的值低" in chinese


def test_fit_tells_what_it_did(files: Path, tmp_path: Path) -> None:
    said = ronghe("fit", files / "normal", "-o", tmp_path / "m", "--rows", "300").stdout
    assert "learned from 600 rows of 5 columns, window 20 rows" in said


def test_evaluate(tmp_path: Path) -> None:
    rows = process(700)
    rows[500:600] += [-14, 6, 0, 0, 0]
    path = write(tmp_path / "data" / "1.csv", rows)
    lines = path.read_text().splitlines()
    label = ["anomaly"] + ["1" if 500 <= i < 600 else "0" for i in range(700)]
    path.write_text("\n".join(f"{line},{true}" for line, true in zip(lines, label, strict=True)))
    said = json.loads(ronghe("evaluate", tmp_path / "data", "--json").stdout)
    assert said.keys() >= {"f1", "far", "mar", "files", "folders", "whole_file", "protocol", "ms_per_row"}
    assert said["f1"] > 0.8
    assert "F1" in ronghe("evaluate", tmp_path / "data").stdout
    assert "全部" in ronghe("evaluate", tmp_path / "data", lang="zh").stdout


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_what_is_wrong_is_said_without_a_traceback(files: Path, tmp_path: Path, lang: str) -> None:
    (tmp_path / "rubbish").write_text("hello")
    for words in (
        ("fit", tmp_path / "nothing", "-o", tmp_path / "m"),
        ("run", files / "later.csv", "--model", tmp_path / "nothing"),
        ("run", files / "later.csv", "--model", tmp_path / "rubbish"),
        ("evaluate", files),
        ("fit", files / "later.csv", "--rows", "50", "-o", tmp_path / "m"),
        ("fit", files / "later.csv", "-o", tmp_path / "no" / "folder"),
    ):
        done = ronghe(*words, lang=lang)
        assert done.returncode == 1, words
        assert "Traceback" not in done.stderr
        assert done.stderr.strip()
        assert any("\u4e00" <= c <= "\u9fff" for c in done.stderr) == (lang == "zh")


def test_from_a_shell(files: Path, tmp_path: Path) -> None:
    """The script itself, in Chinese, into a pipe."""
    script = str(Path(sys.executable).with_name("ronghe"))
    words = [script, "maintenance", "detect", "fit", str(files / "normal"), "-o", str(tmp_path / "m")]
    env = {**os.environ, "RONGHE_LANG": "zh", "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(words, capture_output=True, text=True, encoding="utf-8", env=env, check=False)
    assert done.returncode == 0, done.stderr
    assert "已用 800 行、5 列训练" in done.stdout
