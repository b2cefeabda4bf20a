"""The replay: the nearest past situation answers, and where nothing was near, nothing does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.twin.conftest import HEAT, POWER

from ronghe.errors import TwinError
from ronghe.historian import Historian
from ronghe.plant import Plant
from ronghe.signals import Batch, TagIndex
from ronghe.signals.when import format_time
from ronghe.twin.replay import Replay, ReplayOptions
from ronghe.twin.trial import run

S = 1_000_000_000
START = 1_790_000_000 * S


def history(steps: int = 400) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Power in stairs of 100 rows, and a temperature that follows it, every 10 s."""
    power = np.repeat([20.0, 40.0, 30.0, 60.0], steps // 4)
    heat = np.empty(steps)
    heat[0] = 20.0
    for k in range(1, steps):
        heat[k] = heat[k - 1] + 0.05 * (power[k - 1] - heat[k - 1])
    return power, heat


def options(**fields: Any) -> ReplayOptions:
    given = {"inputs": (POWER,), "state": (HEAT,), "outputs": (HEAT,), "near": {POWER: "1 kW", HEAT: "1 K"}, "every": "10s"}
    return ReplayOptions(**{**given, **fields})


@pytest.fixture
def file(plant: Plant) -> Path:
    """The history as a file."""
    power, heat = history()
    path = Path(plant.folder) / "past.csv"
    rows = (f"{format_time(START + 10 * k * S)},{p},{h}" for k, (p, h) in enumerate(zip(power, heat, strict=True)))
    path.write_text("\n".join([f"time,{POWER},{HEAT}", *rows]), encoding="utf-8")
    return path


def test_it_answers_with_what_came_after_the_nearest_situation(plant: Plant, file: Path) -> None:
    twin = Replay("past", plant, options(recording=str(file)), Path(plant.folder))
    _, heat = history()
    shown = run(twin, {POWER: 20.0, HEAT: heat[100] + 0.2}, {POWER: 40.3}, 50)
    assert shown.values[:, 0] == pytest.approx(heat[101:151])
    # Beyond the stair's end it goes on from a situation like the one it has come to.
    long = run(twin, {POWER: 20.0, HEAT: heat[100]}, {POWER: 40.0}, 300)
    assert long.values[-1, 0] == pytest.approx(40.0, abs=1.0)


def test_nothing_near_is_no_answer(plant: Plant, file: Path) -> None:
    twin = Replay("past", plant, options(recording=str(file)), Path(plant.folder))
    with pytest.raises(TwinError, match=f"after 0 s there is nothing near .* had {POWER} at 40, not 50") as caught:
        run(twin, {POWER: 20.0, HEAT: 38.0}, {POWER: 50.0}, 5)
    assert "没有相近工况" in caught.value.what.zh
    with pytest.raises(TwinError, match=f"had {HEAT} at"):
        run(twin, {POWER: 60.0, HEAT: 90.0}, {}, 5)


@settings(max_examples=40, deadline=None)
@given(st.floats(15, 65), st.floats(15, 65))
def test_an_answer_is_near_or_is_none(power: float, heat: float) -> None:
    twin = SHARED.twin()
    powers, heats = history()
    usable = np.arange(len(powers) - 1)
    near = (np.abs(powers[usable] - power) <= 1) & (np.abs(heats[usable] - heat) <= 1)
    try:
        shown = run(twin, {POWER: power, HEAT: heat}, {}, 1)
    except TwinError:
        assert not near.any()
    else:
        assert shown.values[0, 0] in heats[1:][near]


class Shared:
    """One twin for all examples."""

    made: Replay | None = None

    def twin(self) -> Replay:
        assert self.made is not None
        return self.made


SHARED = Shared()


@pytest.fixture(autouse=True)
def _shared(plant: Plant, file: Path) -> None:
    if SHARED.made is None:
        SHARED.made = Replay("past", plant, options(recording=str(file)), Path(plant.folder))


def test_without_a_file_it_answers_from_what_the_node_recorded(plant: Plant) -> None:
    folder = Path(plant.folder)
    with pytest.raises(Exception, match="neither a store nor a plant folder"):
        Replay("past", plant, options(), folder)
    index = TagIndex(plant.tags)
    power, heat = history()
    store = Historian(folder / ".ronghe" / "historian", index)
    times = START + 10 * S * np.arange(len(power), dtype=np.int64)
    for tag, values in ((POWER, power), (HEAT, heat)):
        store.append(Batch.of(index, [tag] * len(values), times, values))
    twin = Replay("past", plant, options(), folder)  # while the node still writes
    shown = run(twin, {POWER: 20.0, HEAT: heat[100]}, {POWER: 40.0}, 20)
    assert shown.values[:, 0] == pytest.approx(heat[101:121])
    store.close()


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"near": {POWER: "1 kW"}}, f"near: nothing for {HEAT}"),
        ({"near": {POWER: "1 kW", HEAT: "1 m"}}, "does not convert to Cel"),
        ({"near": {POWER: "0 kW", HEAT: "1 K"}}, "more than 0"),
        ({"inputs": ("line1/vessel/x",)}, "no tag line1/vessel/x"),
    ],
)
def test_what_is_wrong_is_told(plant: Plant, file: Path, fields: dict[str, Any], says: str) -> None:
    with pytest.raises(TwinError) as caught:
        Replay("past", plant, options(recording=str(file), **fields), Path(plant.folder))
    assert says in caught.value.in_("en")
    assert caught.value.what.zh
