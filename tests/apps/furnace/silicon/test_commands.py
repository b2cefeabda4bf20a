"""Every documented command runs; what cannot be is one sentence."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from ronghe.apps.furnace.silicon.heats import Heats
from ronghe.cli.furnace import furnace
from ronghe.errors import RongheError

from .conftest import write

PAGE = Path(__file__).parents[4] / "docs" / "furnace.md"


def run(*words: str) -> str:
    result = CliRunner().invoke(furnace, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_documented_commands_run(heats: Heats, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "heats" / "spring.csv", heats.cut(slice(0, 560)))
    write(tmp_path / "later" / "summer.csv", heats.cut(slice(560, None)))
    commands = [line.split() for line in re.findall(r"\$ ronghe furnace (.+)", PAGE.read_text(encoding="utf-8"))]
    assert len(commands) == 6
    fitted, told, evaluated, balance, balanced, drawn = (run(*c) for c in commands)
    assert "learned from 560 rows" in fitted
    report = json.loads(evaluated)
    assert set(report) >= {"mse", "hit_rate", "r2", "coverage_90", "persistence", "ridge", "frozen", "protocol"}
    assert report["rows"] == 340
    assert report["mse"] < report["ridge"]["mse"]
    assert "340 rows" in told
    assert "fitted to the book's example" in balance
    assert json.loads(balanced)["carbon"] == pytest.approx(392.0, abs=0.5)
    assert "moisture 12 g/m³" in drawn
    assert (tmp_path / "line.svg").read_text(encoding="utf-8").startswith("<svg")


def test_rolling_origin_is_kept_in_the_model(heats: Heats, tmp_path: Path) -> None:
    write(tmp_path / "a.csv", heats.cut(slice(0, 620)))
    said = json.loads(run("silicon", "fit", str(tmp_path / "a.csv"), "-o", str(tmp_path / "m"), "--blocks", "2", "--json"))
    (block,) = said["blocks"]  # the first would be fitted on too few rows
    assert (block["fitted"], block["rows"]) == (434, 186)
    assert said["rolling"]["model_mse"]["mean"] == block["model"]["mse"]
    assert said["rolling"]["model_mse"]["mean"] < said["rolling"]["persistence_mse"]["mean"]


@pytest.mark.parametrize(
    "words",
    [
        ("silicon", "fit", "nowhere", "-o", "m"),
        ("silicon", "evaluate", "nowhere.model", "nowhere"),
        ("rist", "--gas-ratio", "0.9"),
        ("rist", "--svg", "no/such/folder/line.svg"),
    ],
)
def test_what_cannot_be_is_said(words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RongheError) as e:
        CliRunner().invoke(furnace, words, catch_exceptions=False)
    assert e.value.what.zh
    assert not list(tmp_path.iterdir())
