"""`ronghe logistics`, as a program and as a person calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from ronghe.cli.logistics import logistics
from ronghe.errors import AppError

TINY = """NAME : tiny
TYPE : CVRP
DIMENSION : 3
CAPACITY : 10
EDGE_WEIGHT_TYPE : EUC_2D
NODE_COORD_SECTION
1 0 0
2 3 4
3 -3 -4
DEMAND_SECTION
1 0
2 9
3 9
DEPOT_SECTION
1
-1
EOF
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "tiny.vrp").write_text(TINY)
    (tmp_path / "tiny.sol").write_text("Route #1: 1\nRoute #2: 2\nCost 20\n")
    return tmp_path / "tiny.vrp"


def test_solve_says_what_programs_need(file: Path) -> None:
    said = CliRunner().invoke(logistics, ["solve", str(file), "--seconds", "0.2", "--json"])
    answer = json.loads(said.output)
    assert {k: answer[k] for k in ("objective", "feasible", "checked", "best_known", "gap")} == {
        "objective": 20.0,
        "feasible": True,
        "checked": True,
        "best_known": 20.0,
        "gap": 0.0,
    }
    assert sorted(r["stops"] for r in answer["routes"]) == [["1"], ["2"]]
    assert answer["seconds"] > 0


def test_solve_and_evaluate_say_it_to_people(file: Path) -> None:
    said = CliRunner().invoke(logistics, ["solve", str(file), "--seconds", "0.2"])
    assert "checked: everything holds" in said.output
    said = CliRunner().invoke(logistics, ["evaluate", str(file.parent), "--seconds", "0.1"])
    assert "0.000" in said.output
    said = CliRunner().invoke(logistics, ["evaluate", str(file.parent), "--seconds", "0.1", "--full", "--json"])
    assert json.loads(said.output)["sets"][file.parent.name]["mean_gap"] == 0.0


def test_what_cannot_be_planned_is_raised(file: Path) -> None:
    file.write_text(TINY.replace("2 9", "2 90"))
    with pytest.raises(AppError, match="more than any vehicle holds"):
        CliRunner().invoke(logistics, ["solve", str(file)], catch_exceptions=False)
