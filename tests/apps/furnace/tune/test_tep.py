"""The Tennessee Eastman process: what an hour costs, the same loop as tep-studio's, and a few trials that break nothing."""

from __future__ import annotations

import dataclasses

import msgspec
import numpy as np
import pytest
from click.testing import CliRunner
from tep_studio.control.controller import RickerMultiLoopController
from tep_studio.simulation.core import TennesseeEastmanProcess

from ronghe.apps.furnace.tune.tep import cost, loop
from ronghe.apps.furnace.tune.tep.process import STEP, Process
from ronghe.apps.furnace.tune.tep.tuning import KNOBS, Plant, bayesian
from ronghe.cli.furnace_tune import tune

FREE = np.tile([-np.inf, np.inf], (loop.WATCHED, 1))


def test_the_base_case_costs_170_6() -> None:
    process = Process(0, FREE)
    assert cost.hourly(process.measured) == pytest.approx(170.6, abs=0.05)
    process.close()


def test_the_loop_is_that_of_tep_studio() -> None:
    """Process without noise, so that both are measured alike; set-points moved and a disturbance on: 0.2 h, sample by sample."""
    flags = 0x0C | 0x10
    process = Process(0, FREE, flags=flags)
    sim = TennesseeEastmanProcess(ms_flag=flags, solver_method="Euler")
    measured, _ = sim.reset()
    theirs = RickerMultiLoopController(enable_overrides=True)
    theirs.reset(measured)
    assert theirs.setpoints is not None
    theirs.setpoints = dataclasses.replace(
        theirs.setpoints, reactor_pressure=2740.0, reactor_temperature=121.5, ya=57.0, reactor_level=73.0
    )
    process.set_points[[loop.SP_PRESSURE, loop.SP_TEMPERATURE, loop.SP_YA, loop.SP_REACTOR]] = 2740.0, 121.5, 57.0, 73.0
    process.idv[3] = 1.0
    for _ in range(400):
        action, _ = theirs.compute_action(measured, time=sim.time)
        measured = sim.advance(action, control_interval=STEP, disturbances=process.idv).measurements
    process.run(400)
    assert process.measured == pytest.approx(measured, rel=1e-9)
    assert process.valves == pytest.approx(action, rel=1e-6)


def test_a_copy_goes_its_own_way() -> None:
    process = Process(1, FREE)
    process.run(200)
    twin = process.copy()
    twin.set_points[loop.SP_PRESSURE] += 20
    a, b = process.run(2000), twin.run(2000)
    assert a.greatest[0] < b.greatest[0]
    again = process.copy()
    assert again.run(100).measured == pytest.approx(process.run(100).measured)


def test_a_step_to_the_optimum_floods_the_stripper_and_the_judge_sees_it() -> None:
    bands = FREE.copy()
    bands[3, 1], bands[1, 0] = 100.0, 65.0
    process = Process(0, bands)
    process.set_points[[loop.SP_PRESSURE, loop.SP_REACTOR, loop.SP_TEMPERATURE]] = 2800.0, 65.0, 122.9
    process.set_points[[loop.SP_YA, loop.SP_YAC]] = 63.0, 51.0
    process.set_points[loop.SP_STATIC :] = 0.0, 1.0, 100.0
    row = process.run(3 * 2000)
    assert row.greatest[3] > 100
    assert row.outside[3] > 1
    assert row.outside[1] > 60


def test_a_few_trials_make_it_cheaper_and_break_nothing() -> None:
    plant = Plant(0, bayesian)
    plant.tune(4)
    trials = plant.strategy.trials
    assert plant.shutdown == 0
    assert not plant.outside.any()
    costs = [t.objective for t in trials if t.objective is not None]
    assert min(costs) < costs[0] - 8


def test_the_command() -> None:
    result = CliRunner().invoke(tune, ["--plant", "tep", "--evaluations", "2", "--json"])
    assert result.exit_code == 0, result.output
    r = msgspec.json.decode(result.output)
    assert r["evaluations"] == 2
    assert r["shutdowns"] == 0
    assert r["cost_start"] == pytest.approx(170, abs=5)
    assert r["cost_best"] < r["cost_start"]
    assert set(r["set_points"]) == {k.name for k in KNOBS}
    assert set(r["violation_minutes"]) == {
        "reactor_pressure",
        "reactor_level",
        "separator_level",
        "stripper_level",
        "production",
        "product_g",
    }
    assert not any(r["violation_minutes"].values())
