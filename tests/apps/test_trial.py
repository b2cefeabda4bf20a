"""Apps are tried before a plant runs: what keeps one from starting is a problem with a line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ronghe.apps import trial
from ronghe.apps.contract import Wants
from ronghe.errors import Problem
from ronghe.plant import load, starter


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    starter.write(tmp_path / "first")
    return tmp_path / "first"


def tried(folder: Path, old: str = "", new: str = "") -> list[Problem]:
    toml = folder / "plant.toml"
    text = toml.read_text(encoding="utf-8")
    assert old in text
    toml.write_text(text.replace(old, new, 1), encoding="utf-8")
    return trial.try_apps(load(folder))


def line(folder: Path, start: str) -> int:
    lines = (folder / "plant.toml").read_text(encoding="utf-8").splitlines()
    return next(i for i, text in enumerate(lines, 1) if text.startswith(start))


def test_apps_that_can_start_are_no_problem_and_leave_nothing(folder: Path) -> None:
    before = sorted(p.name for p in folder.iterdir())
    assert tried(folder) == []
    assert sorted(p.name for p in folder.iterdir()) == before


def test_a_reference_that_only_the_app_knows_is_checked(folder: Path) -> None:
    problems = tried(folder, 'learn = "90s"', 'learn = "90s"\nrunning = { tag = "spede", above = 100 }')
    assert [(p.file, p.line, p.severity) for p in problems] == [("plant.toml", line(folder, "running"), "error")]
    assert "spede" in problems[0].what.en
    assert "spede" in problems[0].what.zh


def test_a_model_that_is_not_there_yet_is_a_warning(folder: Path) -> None:
    problems = tried(folder, 'learn = "90s"', 'model = "later.model"')
    assert [p.severity for p in problems] == ["warning"]


class Broken:
    """An app as a third party may write it."""

    def __init__(self, *args: Any) -> None:
        self.closed = False

    def wants(self) -> Wants:
        raise ZeroDivisionError("in a third party's app")

    def problems(self) -> tuple[Problem, ...]:
        return ()

    def close(self) -> None:
        Closed.times += 1


class Greedy(Broken):
    def wants(self) -> Wants:
        return Wants(tags=("line1/pump1/flwo",), every=1.0)


class Idle(Broken):
    def wants(self) -> Wants:
        return Wants(tags=(), every=0.0)


class Closed:
    times = 0


@pytest.mark.parametrize(
    ("app", "words", "meant"), [(Broken, "ZeroDivisionError", ""), (Greedy, "flwo", "line1/pump1/flow"), (Idle, "no input", "")]
)
def test_what_any_app_does_wrong_is_told_and_it_is_closed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, app: type[Broken], words: str, meant: str
) -> None:
    plant = load(folder)
    closed = Closed.times
    monkeypatch.setattr("ronghe.apps.trial.plugins.load", lambda group, name: app)
    problems = trial.try_apps(plant)
    assert [(p.line, p.meant) for p in problems] == [(line(folder, "[apps.pump-state]"), meant)]
    assert words in problems[0].what.en
    assert Closed.times == closed + 1
