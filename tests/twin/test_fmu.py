"""The twin of an FMU, beside FMPy's own simulation of the same file and the vessel's closed form."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.twin.conftest import HEAT, ON, POWER, STEPS
from tests.twin.fmus import edited, with_units

from ronghe.errors import TwinError
from ronghe.plant import Plant
from ronghe.plant.model import TwinSpec
from ronghe.twin.fmu import Fmu, FmuOptions
from ronghe.twin.sandbox import Sandbox
from ronghe.twin.trial import Trajectory


def options(file: Path, **fields: Any) -> FmuOptions:
    given = {
        "inputs": {POWER: "power", ON: "on"},
        "state": {HEAT: "temperature"},
        "outputs": {HEAT: "temperature", STEPS: "steps"},
        "every": "5s",
    }
    return FmuOptions(**{**given, "file": file, **fields})


@pytest.fixture
def boxed(plant: Plant) -> Iterator[Callable[..., Sandbox]]:
    """The twin of an FMU in a process of its own, as the guard runs it."""
    made = []

    def make(file: Path, **fields: Any) -> Sandbox:
        made.append(Sandbox(TwinSpec(name="vessel", uses="fmu", options=options(file, **fields)), plant))
        return made[-1]

    yield make
    for one in made:
        one.close()


def run(box: Sandbox, values: dict[str, float], settings: dict[str, float], steps: int) -> Trajectory:
    box.described(60.0)
    return box.run(values, settings, steps, 60.0)


def simulated(file: Path, start: dict[str, float]) -> list[float]:
    """The temperature as FMPy's own simulation of the file shows it, in a process of its own."""
    program = (
        "import fmpy, json, sys\n"
        "file, start = sys.argv[1], json.loads(sys.argv[2])\n"
        "shown = fmpy.simulate_fmu(file, stop_time=200.0, output_interval=5.0, start_values=start)\n"
        "print(json.dumps(shown['temperature'].tolist()))"
    )
    done = subprocess.run([sys.executable, "-c", program, file, json.dumps(start)], check=True, capture_output=True, text=True)
    return list(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("version", [2, 3])
def test_it_shows_what_fmpy_and_the_closed_form_show(fmus: dict[int, Path], boxed: Callable[..., Sandbox], version: int) -> None:
    box = boxed(fmus[version], parameters={"loss": 4.0})
    values = {POWER: 50.0, HEAT: 300.0, ON: 1.0}
    shown = run(box, values, {POWER: 120.0}, 40)
    assert shown.at(39) == 200.0
    target = 293.15 + 120.0 / 4.0
    assert shown.values[:, 0] == pytest.approx([target + (300 - target) * math.exp(-5 * k * 4 / 1000) for k in range(1, 41)], rel=1e-12)
    theirs = simulated(fmus[version], {"power": 120.0, "loss": 4.0, "temperature": 300.0})
    assert shown.values[:, 0] == pytest.approx(theirs[1:], rel=1e-12)
    assert shown.values[:, 1].tolist() == list(range(1, 41))

    off = run(box, values, {ON: 0.0}, 40)
    assert off.values[-1, 0] < 300.0, "a boolean is set"
    again = run(box, values, {POWER: 120.0}, 40)
    assert np.array_equal(again.values, shown.values), "nothing is left of the trial between"


def test_units_are_those_of_the_fmu(plant: Plant, fmus: dict[int, Path], boxed: Callable[..., Sandbox]) -> None:
    file = with_units(fmus[2])
    shown = run(boxed(file), {POWER: 0.0, HEAT: 40.0, ON: 1.0}, {POWER: 100.0}, 1)  # °C to °C, kW to kW
    target = 293.15 + 100.0 / 2.0
    assert shown.values[0, 0] == pytest.approx(target + (40 - target) * math.exp(-0.01))
    kelvin = edited(file, "kelvin.fmu", ('<Unit name="degC"><BaseUnit K="1" offset="273.15"/>', '<Unit name="degC"><BaseUnit K="1"/>'))
    shown = run(boxed(kelvin), {POWER: 0.0, HEAT: 20.0, ON: 1.0}, {}, 1)
    assert shown.values[0, 0] == pytest.approx(20.0), "293.15 K is where it rests without power"
    metres = edited(file, "metres.fmu", ('<BaseUnit K="1" offset="273.15"/>', '<BaseUnit m="1"/>'))
    with pytest.raises(TwinError, match="Cel does not convert to m"):
        Fmu("vessel", plant, options(metres), Path(plant.folder))


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("power", [2e6, 2e7])
def test_a_step_that_it_cannot_make_is_told_and_the_next_trial_is_a_new_one(
    fmus: dict[int, Path], boxed: Callable[..., Sandbox], version: int, power: float
) -> None:
    box = boxed(fmus[version])
    values = {POWER: 50.0, HEAT: 300.0, ON: 1.0}
    with pytest.raises(TwinError, match=r"the FMU failed at 0 s|died"):
        run(box, values, {POWER: power}, 3)
    assert len(run(box, values, {}, 3).values) == 3


def test_what_is_wrong_with_an_fmu_is_told(plant: Plant, fmus: dict[int, Path]) -> None:
    good = fmus[2]

    def wrong(file: Path, **fields: Any) -> str:
        with pytest.raises(TwinError) as caught:
            Fmu("vessel", plant, options(file, **fields), Path(plant.folder))
        assert caught.value.where.startswith("twins.vessel")
        assert caught.value.what.zh
        return caught.value.in_("en")

    assert "no such file" in wrong(good.with_name("gone.fmu"))
    text = good.with_name("text.fmu")
    text.write_text("no zip")
    assert "no sound FMU" in wrong(text)
    broken = edited(good, "broken.fmu", library=b"no library")
    assert "broken.fmu does not load" in wrong(broken)
    assert "no binary for linux64; it has" in wrong(edited(good, "windows.fmu", without="linux64"))
    model = edited(
        good,
        "exchange.fmu",
        ("<CoSimulation", "<ModelExchange"),
        ('canInterpolateInputs="false"', ""),
        ('canHandleVariableCommunicationStepSize="true"', ""),
    )
    assert "without co-simulation" in wrong(model)
    assert "did you mean temperature?" in wrong(good, outputs={HEAT: "temprature"})
    assert "steps cannot be set as the model starts" in wrong(good, state={STEPS: "steps"})
    assert "no tag line1/vessel/pwer → did you mean line1/vessel/power?" in wrong(good, inputs={"line1/vessel/pwer": "power"})
    assert "a twin takes numbers" in wrong(good, inputs={"line1/vessel/note": "power"})
