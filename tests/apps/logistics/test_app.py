"""The app at work on a plant folder: asked as the console asks, told of late vehicles by tags, restarted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ronghe.apps.contract import Question
from ronghe.apps.logistics.app import Dispatch
from ronghe.apps.logistics.settings import Delay, Options
from ronghe.errors import AppError
from ronghe.plant import Equipment, Plant, Property, Tag
from ronghe.text import Text

from ..contract import AppContract, Make

START = 1_767_571_200_000_000_000  # 2026-01-05
H = 3_600_000  # ms
TABLES = {
    "places": "name,title,x,y,depot\nworks,工厂,0,0,yes\nA,甲,10,0,\nB,乙,10,10,\nC,丙,0,10,\n",
    "orders": "name,place,quantity,latest,service\na,A,4,09:00,10min\nb,B,4,09:30,10min\nc,C,4,12:00,10min\n",
    "vehicles": "name,title,start,quantity,per_km,shift_start,shift_end,kg_co2_per_km\n"
    "t1,一号车,works,12,2,08:00,17:00,0.7\nt2,二号车,works,12,2,08:00,17:00,\n",
    "settings": "name,value\nstart,2026-01-05T00:00:00Z\nspeed_kmh,60\n",
}
TAG = "yard/t1/delay"


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    folder = tmp_path / "plant"
    (folder / "logistics").mkdir(parents=True)
    for name, text in TABLES.items():
        (folder / "logistics" / f"{name}.csv").write_text(text)
    return Plant(
        path="acme/shanghai/yard",
        name=Text("yard"),
        folder=str(folder),
        dictionary={"delay": Property(property="delay", name_en="delay", name_zh="晚点", unit="min")},
        tags={TAG: Tag(tag=TAG, property="delay", connection="gps", every=1.0)},
        equipment={"yard": Equipment(name=Text("Yard", "车场"))},
    )


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


OPTIONS = Options(seconds=0.3, delays=(Delay(vehicle="t1", tag="t1/delay"),))


@pytest.fixture
def apps(plant: Plant, tmp_path: Path, clock: Clock) -> Iterator[Any]:
    made: list[Dispatch] = []

    def make(options: Options = OPTIONS) -> Dispatch:
        (tmp_path / "state").mkdir(exist_ok=True)
        made.append(Dispatch("routes", plant, "yard", options, tmp_path / "state", clock=clock))
        return made[-1]

    yield make
    for app in made:
        app.close()


def ask(app: Dispatch, verb: str, **body: Any) -> Any:
    return app.ask(Question(verb=verb, body=body))


def planned(app: Dispatch) -> Any:
    """The plan when it is not being improved any more."""
    ask(app, "plan")
    while (said := ask(app, "plan"))["improving"]:
        time.sleep(0.02)
    return said


def routes(said: Any) -> dict[str, list[str]]:
    return {r["vehicle"]: [s["order"] for s in r["stops"] if s["order"]] for r in said["routes"]}


def test_a_day_is_planned_shown_and_kept(apps: Any) -> None:
    app = apps()
    said = planned(app)
    assert (said["status"], said["checked"], said["unserved"], said["map"]) == ("feasible", True, [], "plane")
    assert (said["figures"]["distance_km"], said["figures"]["cost"]) == (40.0, 80.0)
    (route,) = said["routes"]
    assert route["carbon_kg"] == (pytest.approx(28.0) if route["vehicle"] == "t1" else None)
    assert (route["capacity"], route["load"], route["done"]) == (12.0, 12.0, 0)
    places = {p["name"]: p for p in said["places"]}
    assert (places["A"]["demand"], places["A"]["to"], places["works"]["depot"]) == (4.0, START // 1_000_000 + 9 * H, True)
    app.close()
    again = apps(Options(seconds=0, delays=()))
    assert routes(ask(again, "plan")) == routes(said)


def test_what_happens_is_tried_and_adopted(apps: Any, clock: Clock) -> None:
    app = apps()
    planned(app)
    stop = {"name": "new", "x": 5, "y": 0, "demand": 3, "from": None, "to": START // 1_000_000 + 12 * H}
    tried = ask(app, "try", event={"kind": "new_stop", "stop": stop})
    assert (tried["problems"], tried["delta"]["unserved"], tried["plan"]["unserved"]) == ([], 0, [])
    assert "new" in {m["order"] for m in tried["moved"]}
    assert "new" not in str(routes(ask(app, "plan")))  # a try changes nothing
    ask(app, "adopt", event={"kind": "new_stop", "stop": stop})
    said = planned(app)
    assert sorted(o for r in routes(said).values() for o in r) == ["a", "b", "c", "new"]
    assert said["checked"]
    ask(app, "adopt", event={"kind": "cancel", "place": "new"})
    ask(app, "adopt", event={"kind": "window", "order": "c", "from": None, "to": START // 1_000_000 + 10 * H})
    vehicle = next(iter(routes(planned(app))))
    clock.now = START + 8 * 3600 * 10**9 + 60 * 10**9
    ask(app, "adopt", event={"kind": "breakdown", "vehicle": vehicle, "goods": "depot"})
    said = planned(app)
    assert said["checked"]
    assert [o for v, served in routes(said).items() if v != vehicle for o in served] != []


@pytest.mark.parametrize(
    "event",
    [
        None,
        {"kind": "flood"},
        {"kind": "late_vehicle", "vehicle": "t1"},
        {"kind": "late_vehicle", "vehicle": "t9", "minutes": 5},
        {"kind": "cancel", "place": "nowhere"},
        {"kind": "new_stop"},
        {"kind": "new_stop", "stop": {"name": "n", "demand": 1}},
        {"kind": "new_stop", "stop": {"name": "a", "place": "A", "demand": 1}},
        {"kind": "new_stop", "stop": {"name": "n", "place": "A", "demand": -1}},
    ],
)
def test_an_event_that_says_nothing_is_refused(apps: Any, event: object) -> None:
    app = apps(Options(seconds=0))
    with pytest.raises(AppError):
        ask(app, "try", event=event)


def test_people_improve_stop_and_reload(apps: Any, plant: Plant) -> None:
    app = apps()
    planned(app)
    ask(app, "improve", seconds=1)
    time.sleep(0.3)  # it has begun
    assert ask(app, "improve", seconds=60)["improving"]
    time.sleep(1.5)
    assert ask(app, "plan")["improving"]  # asked for while it improved: that is not over with what was asked before
    ask(app, "stop")
    planned(app)
    (Path(plant.folder) / "logistics" / "orders.csv").write_text("name,place,quantity\nz,C,1\n")
    ask(app, "reload")
    assert routes(planned(app)) in ({"t1": ["z"]}, {"t2": ["z"]})
    for wrong in ("soon", 0):
        with pytest.raises(AppError):
            ask(app, "improve", seconds=wrong)


def test_options_that_fit_nothing_are_refused(apps: Any, plant: Plant) -> None:
    with pytest.raises(AppError, match="t7"):
        apps(Options(delays=(Delay(vehicle="t7", tag="t1/delay"),)))
    with pytest.raises(AppError):
        apps(Options(folder="nothing"))


class TestDispatchContract(AppContract):
    """By its tag the only vehicle will be four hours late, so that goods come late; then it is not."""

    rows = np.array([[0.0]] * 5 + [[240.0]] * 10 + [[1.0]] * 5)

    @pytest.fixture
    def make(self, plant: Plant) -> Iterator[Make]:
        fleet = Path(plant.folder) / "logistics" / "vehicles.csv"
        fleet.write_text("".join(TABLES["vehicles"].splitlines(keepends=True)[:2]))
        made: list[Dispatch] = []

        def one(state: Path) -> Dispatch:
            made.append(Dispatch("routes", plant, "yard", Options(seconds=0, delays=OPTIONS.delays), state, clock=lambda: START))
            return made[-1]

        yield one
        for app in made:
            app.close()
