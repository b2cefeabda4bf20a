"""Closed loops by the benchmark's protocol, shortened: what is promised of cost and limits, and that it could be missed."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner

from ronghe.apps.furnace.control import cases, trial
from ronghe.apps.furnace.control.controller import Controller
from ronghe.apps.furnace.control.linear import regulator
from ronghe.cli.furnace import furnace


@pytest.fixture(scope="module")
def filling() -> trial.Case:
    """The first 250 s of four tanks: one of them is filled to 19.9 of 20 cm."""
    return replace(cases.minimum(), seconds=250.0)


@pytest.fixture(scope="module")
def best(filling: trial.Case) -> trial.Run:
    return trial.run(filling, trial.knowing(filling), 0)


@pytest.mark.parametrize("corner", trial.corners(cases.minimum().process, 2, seed=5), ids=["one", "other"])
def test_off_by_a_fifth_in_eight_parameters_it_costs_little_more_and_passes_no_limit(
    filling: trial.Case, best: trial.Run, corner: dict[str, float]
) -> None:
    ours = trial.run(filling, trial.learning(filling, corner), 3)
    assert ours.violations == 0
    assert 0.99 < ours.cost / best.cost < 1.05
    assert ours.states[-1, 0] == pytest.approx(19.9, abs=0.06)


def test_what_it_does_not_do_can_be_seen_without_it(filling: trial.Case, best: trial.Run) -> None:
    """The protocol tells the difference: without learning one corner costs twice as much; in another the tank runs over."""
    corner, other = trial.corners(filling.process, 2)
    assert trial.run(filling, trial.believing(filling, corner), 0).cost > 1.5 * best.cost
    assert trial.run(filling, trial.believing(filling, other), 0).violations > 0
    linear = trial.run(filling, regulator(filling, corner, 10.0), 0)
    assert linear.states[-1, :2] == pytest.approx([19.9, 14.0], abs=0.5), "a fair peer gets there, too"


def test_every_step_has_an_answer_when_there_is_no_time(filling: trial.Case) -> None:
    """A deadline that nothing can meet: inputs stay, and nothing raises."""
    case = replace(filling, seconds=50.0, tuning=replace(filling.tuning, deadline=1e-9))
    controller = Controller(case.process, case.tuning)
    y = np.array([s.value for s in case.process.states])
    for _ in range(3):
        controller.observe(y, np.array(case.start))
        plan = controller.plan(case.goal(100.0), np.array(case.start))
        assert plan.by == "hold"
        assert plan.inputs.tolist() == [[3.0, 3.0]]


def test_corners_are_all_parameters_at_twenty_percent() -> None:
    found = trial.corners(cases.reactor().process, 40)
    assert len(found) == 32, "there are no more of five parameters"
    assert {v for c in found for v in c.values()} == {0.8, 1.2}


def test_the_command_runs_one() -> None:
    result = CliRunner().invoke(furnace, ["mpc", "--off", "k1=0.8", "--off", "a1=1.2", "--json"], env={"RONGHE_LANG": "en"})
    assert result.exit_code == 0, result.output
    said = json.loads(result.output)
    assert said["violations"] == 0
    assert 0.99 < said["ratio"] < 1.05
    assert len(said["x"]) == len(said["time"]) == 140
