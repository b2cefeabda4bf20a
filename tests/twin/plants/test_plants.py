"""The plants: published operating points, and one line of equations for numbers, the twin and others' models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ronghe.errors import TwinError
from ronghe.twin.plants import Process, steady, trajectory
from ronghe.twin.plants.cstr import cstr
from ronghe.twin.plants.named import OURS, find
from ronghe.twin.plants.simulated import Cstr, Tanks
from ronghe.twin.plants.tanks import tanks


def test_the_reactor_rests_where_it_was_published() -> None:
    """Klatt and Engell (1998): c_A 2.14, c_B 1.09 mol/l, 114.2 and 112.9 °C at 14.19 1/h and -1113.5 kJ/h."""
    p = cstr()
    found = steady(p, p.input_values(), p.parameter_values())
    assert found == pytest.approx([2.14, 1.09, 114.2, 112.9], abs=0.02)


@pytest.mark.parametrize(
    ("process", "published"), [(tanks(), (12.4, 12.7, 1.8, 1.4)), (tanks("nonminimum"), (12.6, 13.0, 4.8, 4.9))], ids=["P-", "P+"]
)
def test_the_tanks_rest_where_they_were_measured(process: Process, published: tuple[float, ...]) -> None:
    """Johansson (2000), table II: measured levels, so the model meets them within 0.2 cm."""
    assert steady(process, process.input_values(), process.parameter_values()) == pytest.approx(published, abs=0.2)


@pytest.mark.parametrize("name", OURS)
def test_steps_are_short_enough(name: str) -> None:
    """A step of the declared length is as good as twenty shorter ones, to a thousandth of the span."""
    p = find(name, Path())
    u = p.input_values() * np.array([1.2, 0.8])
    coarse = trajectory(p, p.state_values(), u, p.parameter_values(), p.stiff)
    fine = trajectory(p, p.state_values(), u, p.parameter_values(), p.stiff, 20)
    assert np.abs((coarse[-1] - fine[-1]) / [s.span for s in p.states]).max() < 1e-3


def test_with_one_zero_in_the_right_half_plane_levels_go_the_other_way_first() -> None:
    """γ1 + γ2 < 1: more to pump 2 and less to pump 1 raises level 1 in the end, and lowers it at first."""
    p = tanks("nonminimum")
    u = p.input_values()
    x = steady(p, u, p.parameter_values())
    path = trajectory(p, x, u + np.array([-0.5, 0.5]), p.parameter_values(), 600.0, 60)[:, 0]
    assert path[:3].max() < x[0] - 0.05
    assert path[-1] > x[0] + 0.5


def test_as_a_twin_it_takes_what_is_measured_and_goes_on_from_there() -> None:
    twin, p = Tanks(), tanks()
    assert twin.units["h1"] == "cm"
    levels = dict(zip(("h1", "h2", "h3", "h4"), steady(p, p.input_values(), p.parameter_values()).tolist(), strict=True))
    twin.start(levels)
    assert twin.step({"v1": 3.0, "v2": 3.0}, 60.0) == pytest.approx(levels, abs=1e-6)
    assert twin.step({"v1": 4.0, "v2": 3.0}, 60.0)["h1"] > levels["h1"] + 1
    reactor = Cstr()
    reactor.start({"cb": 1.09, "t": 114.2, "tk": 112.9})
    assert reactor.step({"flow": 14.19, "heat": -1113.5}, 60.0)["cb"] == pytest.approx(1.09, abs=0.01)
    with pytest.raises(TwinError, match="a9"):
        Tanks(a9=1.1)


def test_a_model_of_the_plant_folder(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from ronghe.twin.plants.tanks import tanks\ndef build():\n    return tanks(upper=9.0)\ndef wrong():\n    return 3\n"
    )
    assert find("mine.py:build", tmp_path).states[3].high == 9.0
    for model, said in (("mine.py:wrong", "int"), ("mine.py:none", "none"), ("other.py:x", "other"), ("kiln", "no model")):
        with pytest.raises(TwinError, match=said):
            find(model, tmp_path)
