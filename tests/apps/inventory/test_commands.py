"""Every documented command runs; the reader's mistakes are one line."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from pathlib import Path
from unittest.mock import patch

import pytest

from ronghe.cli.main import main

PAGE = Path(__file__).parents[3] / "docs" / "inventory.md"
COMMANDS = [line.strip().removeprefix("$ ronghe ").split() for line in PAGE.read_text(encoding="utf-8").splitlines() if "$ ronghe" in line]


def run(*words: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    with (
        patch.object(sys, "argv", ["ronghe", *words]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as exit,
    ):
        main()
    return int(exit.value.code or 0), out.getvalue(), err.getvalue()


def test_documented_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = {"fixed_cost": 8, "holding_cost": 0.225, "demand_rate": 1300}
    (tmp_path / "instances.json").write_text(json.dumps({"instances": [{"name": "example_3_1", "data": facts}]}))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RONGHE_LANG", "en")
    assert [c[1] for c in COMMANDS] == ["example", "plan", "plan", "forecast", "simulate", "solve"]
    said = {}
    for words in COMMANDS:
        code, out, _ = run(*words)
        assert not code, words
        said[" ".join(words[1:2] + (["--json"] if "--json" in words else []))] = out
    assert "of 6 items to order now" in said["plan"]
    plan = json.loads(said["plan --json"])
    assert {o["item"] for o in plan["orders"]} == {i["name"] for i in plan["items"] if i["order"] > 0}
    assert all(i["service_simulated"] > i["service_target"] - 0.02 for i in plan["items"])
    tested = json.loads(said["forecast --json"])
    assert tested["series"] == 6
    assert {line["method"] for line in tested["kinds"]["all"]} >= {"seasonal_naive", "theta", "sba", "tsb", "chosen"}
    assert "within 0.5 point of the target" in said["simulate"]
    solved = json.loads(said["solve --json"])
    assert (solved["solved"], solved["of"]) == (1, 1)
    assert solved["instances"][0]["ours"] == pytest.approx(68.4105, abs=1e-4)


def test_mistakes_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RONGHE_LANG", "zh")
    code, out, err = run("inventory", "plan", str(tmp_path / "none"))
    assert (code, out) == (1, "")
    assert "不存在" in err
    assert err.count("\n") == 1
    (tmp_path / "items.csv").write_text("kept")
    code, _, err = run("inventory", "example", str(tmp_path))
    assert code == 1
    assert "items.csv 已存在" in err
    assert (tmp_path / "items.csv").read_text() == "kept"
    code, _, err = run("inventory", "plan", str(tmp_path), "--period", "1min")
    assert code == 1
    assert "整小时" in err
