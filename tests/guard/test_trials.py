"""The dry run: a value is tried on the twin before the plant feels it, and whatever keeps it from being tried is a no."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.guard.line import HEAT as OVEN
from tests.guard.line import STROKE, Line
from tests.guard.line import make_plant as make_line
from tests.guard.station import HEAT, LEVEL, PRESSURE, SPEED, S, Station, failed, make_plant

from ronghe.guard import Case, check_guard, trials
from ronghe.plant import Plant
from ronghe.plant.model import GuardSpec, TwinSpec
from ronghe.signals import quality as q
from ronghe.twin.python import PythonOptions

MODEL = """
import os, time

class Pump:
    # Heat goes to speed / 20 with a time constant of 100 s; pressure follows speed at once.
    def start(self, values):
        self.heat = values["heat"]

    def step(self, inputs, seconds):
        self.heat += seconds / 100 * (inputs["speed"] / 20 - self.heat)
        return {"heat": self.heat, "pressure": inputs["speed"] / 200}

class NoNumber(Pump):
    def step(self, inputs, seconds):
        return {"heat": float("nan"), "pressure": 1.0}

class Fails(Pump):
    def step(self, inputs, seconds):
        raise ValueError("no such steam")

class Dies(Pump):
    def step(self, inputs, seconds):
        os.abort()

class Hangs(Pump):
    def step(self, inputs, seconds):
        while inputs["speed"] > 1100:
            pass
        return super().step(inputs, seconds)

class Slow(Pump):
    def step(self, inputs, seconds):
        time.sleep(0.001)
        return super().step(inputs, seconds)
"""
KEEPS = f"{HEAT} < 61 Cel and {PRESSURE} > 4 bar"
MakeStation = Callable[..., Station]


def with_twin(plant: Plant, folder: Path, model: str = "Pump", **guard: Any) -> Plant:
    """The pump station with a twin of the pump, on which its speed is tried."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pump.py").write_text(MODEL, encoding="utf-8")
    options = PythonOptions(
        model=f"pump.py:{model}",
        inputs={SPEED: "speed"},
        state={HEAT: "heat"},
        outputs={HEAT: "heat", PRESSURE: "pressure"},
        every="1s",
    )
    spec = {"trial": "10min", "keeps": KEEPS, "twin": "pump", **guard}
    guards = {SPEED: msgspec.structs.replace(plant.guards[SPEED], **spec)}
    return msgspec.structs.replace(
        plant, folder=str(folder), twins={"pump": TwinSpec(name="pump", uses="python", options=options)}, guards=guards
    )


@pytest.fixture
def tried(station: MakeStation, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakeStation]:
    """A station whose speed is tried on a twin: `tried("Pump", mode="auto", keeps=…)`. A busy machine is given time."""
    made: list[Station] = []
    monkeypatch.setattr(trials, "PATIENCE", 60.0)

    async def make(model: str = "Pump", **guard: Any) -> Station:
        s = station()
        s.ledger.close()
        s.plant = with_twin(s.plant, s.folder / "plant", model, **guard)
        s.open()
        s.hear()
        made.append(s)
        await s.guard.warm()
        return s

    yield make
    for one in made:
        one.guard.close()


def twin_said(case: Case) -> str:
    (check,) = (c for c in case.checks if c.name == "twin")
    assert check.text.zh.startswith("孪生试算：")
    return check.text.en


async def test_what_holds_on_the_twin_is_written_and_how_near_it_came_is_told(tried: Any) -> None:
    s = await tried()
    case = await s.submit(1200.0)
    assert case.state == "writing"
    assert s.writes == [(SPEED, 1200.0)]
    assert twin_said(case) == (
        f"on the twin, {HEAT} peaks at 60 °C after 1 s, limit 61 °C; {PRESSURE} is lowest at 6 bar after 1 s, limit 4 bar"
    )


async def test_what_breaks_a_limit_there_is_not_written_here(tried: Any) -> None:
    s = await tried()
    case = await s.submit(1300.0)  # goes to 65 °C, and is at 61 °C after 22 s
    assert case.state == "refused"
    assert failed(case) == ["twin"]
    assert twin_said(case) == f"on the twin, after 23 s {HEAT} < 61 Cel does not hold: now 61.03 °C"
    assert not s.writes


async def test_the_interlock_holds_on_the_twin_too_where_it_shows_its_tags(tried: Any) -> None:
    s = await tried(interlock=f"{PRESSURE} < 6.2 bar and {LEVEL} > 20 %")
    assert (await s.submit(1200.0)).state == "writing"
    s = await tried(interlock=f"{PRESSURE} < 5.9 bar and {LEVEL} > 20 %")
    case = await s.submit(1200.0)
    assert case.state == "refused"
    assert f"{PRESSURE} < 5.9 bar does not hold" in twin_said(case)


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("NoNumber", f"after 1 s the model gives no number for {HEAT}"),
        ("Fails", "ValueError: no such steam"),
        ("Dies", "the model's process died (signal 6)"),
        ("Gone", "has no attribute 'Gone'"),
    ],
)
async def test_a_model_that_fails_is_a_no_and_the_next_trial_is_a_new_one(tried: Any, model: str, says: str) -> None:
    s = await tried(model)
    for _ in range(2):
        case = await s.submit(1100.0)
        assert case.state == "refused"
        assert says in twin_said(case)
    assert not s.writes


async def test_a_model_that_hangs_is_a_no_holds_up_nobody_and_is_gone(tried: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    s = await tried("Hangs")
    monkeypatch.setattr(trials, "PATIENCE", 2.0)
    asking = asyncio.create_task(s.submit(1150.0))
    beats = 0
    while not asking.done():
        await asyncio.sleep(0.01)
        beats += 1
    assert beats > 20, "the event loop went on"
    assert "no answer within 2 s" in twin_said(asking.result())
    monkeypatch.setattr(trials, "PATIENCE", 60.0)
    assert (await s.submit(1050.0)).state == "writing", "the process was started again"


async def test_a_state_that_is_not_known_cannot_be_tried(tried: Any) -> None:
    s = await tried()
    s.hear_one(HEAT, 60.0, q.BAD_NO_COMMUNICATION)
    case = await s.submit(1200.0)
    assert failed(case) == ["twin"]
    assert f"it cannot be tried: {HEAT} is unknown" in twin_said(case)
    s.hear()
    s.now += 60 * S
    for tag in (SPEED, PRESSURE, LEVEL):
        s.hear_one(tag, s.values[tag])
    case = await s.submit(1200.0)
    assert "60.0 s old" in twin_said(case)
    assert not s.writes


async def test_what_happens_during_the_trial_counts(tried: Any) -> None:
    s = await tried("Slow", mode="auto")

    async def during(what: Callable[[], Any]) -> Case:
        asking = asyncio.create_task(s.submit(1200.0))
        await asyncio.sleep(0.2)
        assert not asking.done()
        what()
        return await asking

    case = await during(lambda: s.guard.kill("li", "smoke"))
    assert "stop" in failed(case)
    s.guard.release("li", "steam")
    case = await during(lambda: s.guard.switch(SPEED, "approve", "li", "x"))
    assert case.state == "waiting"
    assert not s.writes


async def test_people_see_the_trial_before_they_approve_and_it_is_made_again_after(tried: Any) -> None:
    s = await tried(mode="approve")
    case = await s.submit(1200.0)
    assert case.state == "waiting"
    assert "peaks at 60 °C" in twin_said(case)
    s.values[HEAT] = 75.0
    s.hear()
    case = await s.guard.approve(case.id, "li")
    assert case.state == "refused"
    assert "does not hold: now 74.85 °C" in twin_said(case)


async def test_a_refused_advice_costs_no_trial(tried: Any) -> None:
    s = await tried("Dies")
    assert failed(await s.submit(9000.0)) == ["envelope"]


async def test_a_change_is_tried_as_a_whole(tmp_path: Path) -> None:
    line = Line(tmp_path / "line")
    plant = make_line(mode="auto")
    (tmp_path / "oven.py").write_text(
        "class Oven:\n"
        "    def start(self, values): pass\n"
        "    def step(self, inputs, seconds): return {'heat': inputs['heat'] + 10 * (inputs['stroke'] - 40)}\n",
        encoding="utf-8",
    )
    options = PythonOptions(model="oven.py:Oven", inputs={OVEN: "heat", STROKE: "stroke"}, outputs={"line1/feeder/feed": "heat"})
    twins = {"oven": TwinSpec(name="oven", uses="python", options=options)}

    def keeps(most: int) -> dict[str, GuardSpec]:
        spec = msgspec.structs.replace(plant.guards[OVEN], twin="oven", trial="3s", keeps=f"line1/feeder/feed < {most} mm")
        return {**plant.guards, OVEN: spec}

    for most, state in ((300, "refused"), (400, "writing")):  # 185 + 10 · (55 − 40) = 335
        line.plant = msgspec.structs.replace(plant, folder=str(tmp_path), twins=twins, guards=keeps(most))
        line.open()
        line.hear()
        await line.guard.warm()
        case = await line.start(proof=())
        case = await line.guard._changes.turn(case.id)
        line.guard.close()
        assert case.state == state
        said = next(c.text.en for c in case.checks[OVEN] if c.name == "twin")
        assert ("does not hold: now 335 mm" if state == "refused" else "peaks at 335 mm after 1 s, limit 400 mm") in said
    assert line.ledger is not None
    line.ledger.close()


@pytest.mark.parametrize(
    ("guard", "key", "says"),
    [
        ({"twin": "fan"}, "twin", "no [twins.fan]"),
        ({"keeps": ""}, "twin", "keeps is missing"),
        ({"keeps": f"{HEAT} < 61"}, "keeps", "a unit is missing"),
        ({"trial": "soon"}, "trial", "not a duration"),
        ({"trial": "0s"}, "trial", "more than 0"),
        ({"twin": ""}, "keeps", "no twin that could keep it"),
    ],
)
def test_what_is_wrong_with_the_keys_is_told(tmp_path: Path, guard: dict[str, str], key: str, says: str) -> None:
    plant = with_twin(make_plant(), tmp_path, **guard)
    ((where, error),) = check_guard(plant.guards[SPEED], plant)
    assert where == key
    assert says in error.in_("en")
    assert error.what.zh
