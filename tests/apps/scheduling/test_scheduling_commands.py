"""The commands, as a shell runs them."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import msgspec
import pytest

from ronghe.apps.scheduling.formats import read
from ronghe.apps.scheduling.problem import Choice, Job, Machine, Operation, Plan, Problem, Setup, Weights
from ronghe.cli.main import main
from ronghe.cli.plan import write_example

FT06 = """\
# Fisher and Thompson
6 6
2  1  0  3  1  6  3  7  5  3  4  6
1  8  2  5  4 10  5 10  0 10  3  4
2  5  3  4  5  8  0  9  1  1  4  7
1  5  0  5  2  5  3  3  4  8  5  9
2  9  1  3  4  5  5  4  0  3  3  1
1  3  3  3  5  9  0 10  4  4  2  1
"""
FLEXIBLE = "2 2 1.5\n2 2 1 25 2 37 2 1 32 2 24\n2 2 1 45 2 65 2 1 21 2 65\n"


class Done(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def ronghe(*words: object, lang: str = "en") -> Done:
    """The command in this process: as the script runs it, without the cost of a new interpreter."""
    out, err = io.StringIO(), io.StringIO()
    with (
        patch.dict(os.environ, {"RONGHE_LANG": lang}),
        patch.object(sys, "argv", ["ronghe", "scheduling", *map(str, words)]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
        pytest.raises(SystemExit) as exit,
    ):
        main()
    return Done(int(exit.value.code or 0), out.getvalue(), err.getvalue())


@pytest.fixture
def ft06(tmp_path: Path) -> Path:
    path = tmp_path / "ft06.txt"
    path.write_text(FT06)
    return path


def test_solve_check_and_begin_again(ft06: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    done = ronghe("solve", ft06, "--seconds", 60, "--json", "-o", plan)
    said = json.loads(done.stdout)
    assert done.returncode == 0
    assert {k: said[k] for k in ("objective", "lower_bound", "gap", "status", "feasible", "checked", "makespan")} == {
        "objective": 55.0,
        "lower_bound": 55.0,
        "gap": 0.0,
        "status": "optimal",
        "feasible": True,
        "checked": True,
        "makespan": 55,
    }
    assert "the plan holds: make-span 55" in ronghe("check", ft06, plan).stdout
    again = ronghe("solve", ft06, "--seconds", 0, "--start", plan, lang="zh")
    assert "完工时间 55" in again.stdout
    assert "已校验：计划成立" in again.stdout


def test_a_plan_that_does_not_hold_exits_1_and_says_why(ft06: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    ronghe("solve", ft06, "--seconds", 0, "-o", plan)
    held = msgspec.json.decode(plan.read_bytes(), type=Plan)
    first = msgspec.structs.replace(held.assigned[0], start=held.assigned[0].start + 1)
    plan.write_bytes(msgspec.json.encode(msgspec.structs.replace(held, assigned=(first, *held.assigned[1:]))))
    done = ronghe("check", ft06, plan)
    assert done.returncode == 1
    assert f"{first.operation} is worked on for" in done.stdout
    said = json.loads(ronghe("check", ft06, plan, "--json").stdout)
    assert said["feasible"] is False
    assert said["violations"][0]["zh"]


def test_due_dates_and_set_ups_are_told(tmp_path: Path) -> None:
    jobs = tuple(Job(name=f, operations=(Operation(name=f"{f}1", choices=(Choice("M", 5),), family=f),), due=6) for f in "ab")
    setups = (Setup(before="a", after="b", duration=3), Setup(before="b", after="a", duration=9))
    problem = Problem(machines=(Machine(name="M"),), jobs=jobs, setups=setups, weights=Weights(tardiness=1.0), name="two")
    path = tmp_path / "two.json"
    path.write_bytes(msgspec.json.encode(problem))
    said = json.loads(ronghe("solve", path, "--seconds", 60, "--json").stdout)
    assert (said["tardiness"], said["late_jobs"], said["setup"], said["makespan"], said["feasible"]) == (7.0, 1, 3, 13, True)
    text = ronghe("solve", path, "--seconds", 60, "-o", tmp_path / "plan.csv").stdout
    assert "weighted tardiness 7, 1 jobs late\n  b by 7\n" in text
    assert "b1" in (tmp_path / "plan.csv").read_text("utf-8-sig")


def test_a_folder_is_measured_and_a_sample_says_so(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "ft06.txt").write_text(FT06)
    (tmp_path / "one" / "small.txt").write_text(FLEXIBLE)
    (tmp_path / "one" / "unknown.txt").write_text(FLEXIBLE)
    best = tmp_path / "best_known.json"
    best.write_text('{"ft06": {"lb": 55, "ub": 55, "size": "6 x 6"}, "one/small": {"lb": 60, "ub": 60}}')
    report = json.loads(ronghe("evaluate", tmp_path, "--best", best, "--seconds", 20, "--full", "--json").stdout)
    assert {r["name"]: (r["objective"], r["checked"]) for r in report["instances"]} == {"ft06": (55.0, True), "one/small": (66.0, True)}
    assert report["sets"]["ft"]["gap"] == 0
    assert report["sets"]["one"]["gap"] == pytest.approx(6 / 60)
    assert (report["n"], report["of"], report["sample"]) == (2, 2, False)
    sample = ronghe("evaluate", tmp_path, "--best", best, "--seconds", 40)
    assert "a sample of 1 of 2" in sample.stdout
    inner = json.loads(ronghe("evaluate", tmp_path / "one", "--best", best, "--seconds", 20, "--full", "--json").stdout)
    assert [r["name"] for r in inner["instances"]] == ["one/small"]
    assert "没有表中列出的算例" in ronghe("evaluate", tmp_path, "--best", best, "--only", "ta", lang="zh").stderr


def test_what_cannot_be_done_is_one_sentence(ft06: Path, tmp_path: Path) -> None:
    ft06.write_text(FT06.replace("5  8", "5 -8"))
    done = ronghe("solve", ft06)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"{ft06}:5: -8 is negative: times and machines are not\n"
    ft06.write_text(FT06)
    assert "a plan is written as" in ronghe("solve", ft06, "-o", tmp_path / "plan.pdf").stderr
    assert "cannot be written" in ronghe("solve", ft06, "--seconds", 0, "-o", tmp_path / "no" / "plan.json").stderr


def test_our_json_is_read_back(tmp_path: Path, ft06: Path) -> None:
    problem = read(ft06)
    path = tmp_path / "again.json"
    path.write_bytes(msgspec.json.encode(problem))
    assert read(path) == problem


def test_the_commands_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[3] / "docs" / "scheduling.md").read_text(encoding="utf-8")
    commands = [line.strip().removeprefix("$ ronghe scheduling ").split() for line in page.splitlines() if "$ ronghe scheduling" in line]
    for name in ("ft06.txt", "instances/ft06.txt", "jobshop/instances/ta22.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(FT06)
    for folder in (tmp_path, tmp_path / "jobshop"):
        (folder / "best_known.json").write_text('{"ft06": {"lb": 55, "ub": 55}, "ta22": {"lb": 55, "ub": 55}}')
    monkeypatch.chdir(tmp_path)
    assert {c[0] for c in commands} == {"solve", "check", "evaluate"}
    for command in commands:
        done = ronghe(*command)
        assert (done.returncode, done.stderr) == (0, ""), command
        assert "55" in done.stdout


def test_the_shop_of_a_chain_alone_says_where_its_materials_are(tmp_path: Path) -> None:
    write_example(tmp_path / "works")
    done = ronghe("solve", tmp_path / "works" / "shop", "--seconds", "1")
    assert done.returncode == 1
    assert "powder_white" in done.stderr
    assert "ronghe plan works" in done.stderr
