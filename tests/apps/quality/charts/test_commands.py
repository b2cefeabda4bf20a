"""`ronghe quality spc` and `gauge`: every documented command runs, and what is wrong with a file is said with its line."""

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

from .test_gauge import MEASURED

PAGE = Path(__file__).parents[4] / "docs" / "quality-line.md"
COMMANDS = [line.strip().removeprefix("$ ronghe ").split() for line in PAGE.read_text(encoding="utf-8").splitlines() if "$ ronghe" in line]


def run(*words: str) -> tuple[int, str]:
    """(exit code, output) of a command."""
    out = io.StringIO()
    quiet = contextlib.redirect_stdout(out), contextlib.redirect_stderr(out)
    with patch.object(sys, "argv", ["ronghe", *words]), quiet[0], quiet[1], pytest.raises(SystemExit) as exit:
        main()
    return int(exit.value.code or 0), out.getvalue()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    rng = np.random.default_rng(0)
    widths = rng.normal(10, 0.2, 100)
    widths[80] = 12.0
    (tmp_path / "widths.csv").write_text("time,width\n" + "".join(f"{i},{w:.4f}\n" for i, w in enumerate(widths)))
    rejects = "".join(f"{12 if i == 9 else i % 3},50\n" for i in range(12))
    (tmp_path / "rejects.csv").write_text("rejected,inspected\n" + rejects)
    rows = [f"{p},{'ABC'[o]},{v}\n" for p, of in enumerate(MEASURED) for o, trials in enumerate(of) for v in trials]
    (tmp_path / "study.csv").write_text("part,appraiser,value\n" + "".join(rows), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RONGHE_LANG", "en")
    return tmp_path


def test_documented_commands_run(folder: Path) -> None:
    assert len(COMMANDS) == 4
    for words in COMMANDS:
        code, out = run(*words)
        assert code == 0, out
        assert out.strip()
        if "--json" in words:
            assert json.loads(out)


def test_charts_of_a_column(folder: Path) -> None:
    said = json.loads(run("quality", "spc", "widths.csv", "--lower", "9", "--upper", "11", "--rules", "limits", "--json")[1])
    charts = {c["kind"]: c for c in said["charts"]}
    assert said["column"] == "width"
    assert list(charts) == ["I", "MR", "EWMA", "CUSUM+", "CUSUM-"]
    assert [i for i, p in enumerate(charts["I"]["points"]) if p["rules"]] == [80]
    assert 0 < said["capability"]["low"] < said["capability"]["cpk"] < said["capability"]["high"]
    text = run("quality", "spc", "widths.csv", "--group", "5", "--rules", "limits")[1]
    assert "X-bar" in text
    assert "17 (1)" in text
    p = json.loads(run("quality", "spc", "rejects.csv", "--column", "rejected", "--of", "inspected", "--json")[1])["charts"][0]
    assert [i for i, point in enumerate(p["points"]) if point["rules"]] == [9]


def test_a_study(folder: Path) -> None:
    said = json.loads(run("quality", "gauge", "study.csv", "--json")[1])
    assert (said["parts"], said["appraisers"], said["trials"], said["ndc"]) == (10, 3, 3, 4)
    assert said["grr"] == pytest.approx(27.9, abs=0.05)
    text = run("quality", "gauge", "study.csv")[1]
    assert "%GRR 27.86, ndc 4" in text


@pytest.mark.parametrize(
    ("text", "words", "said"),
    [
        ("a,b\n1,2\n3,x\n", ("spc", "--column", "b"), "f.csv:3: 'x' is not a number"),
        ("a,b\n1,2\n3\n", ("spc",), "f.csv:3"),
        ("a,b\n", ("spc",), "no values"),
        ("a\nx\ny\n", ("spc",), "no column of numbers"),
        ("a\n1\n2\n", ("spc", "--column", "c"), "columns: a"),
        ("part,appraiser,value\n1,A,2\n1,A,3\n2,A,4\n", ("gauge",), "part 2, appraiser A: 1 values, elsewhere 2"),
        ("value\n1\n", ("gauge",), "there is no column 'part'"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(folder: Path, text: str, words: tuple[str, ...], said: str) -> None:
    (folder / "f.csv").write_text(text)
    code, out = run("quality", words[0], "f.csv", *words[1:])
    assert code == 1
    assert said in out
    assert "Traceback" not in out
