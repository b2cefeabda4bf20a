from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ronghe.apps.contract import Question
from ronghe.apps.scheduling.app import Planning
from ronghe.apps.scheduling.live.settings import Options, Stop
from ronghe.errors import AppError
from ronghe.plant import Plant, Property, Tag
from ronghe.plant.model import Equipment
from ronghe.signals import Window
from ronghe.text import Text

from ..contract import AppContract, Make
from .shop import put

START = 1_772_409_600_000_000_000  # of the shop, 08:00
MIN = 60_000_000_000
RUNNING = "line/press1/running"
STOP = Stop(machine="press1", when=f"not {RUNNING}", after="2min", lasts="1h")


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    put(tmp_path / "plant" / "schedule")
    return Plant(
        path="a/b/c",
        name=Text("works", "工厂"),
        folder=str(tmp_path / "plant"),
        dictionary={"running": Property(property="running", type="bool")},
        tags={RUNNING: Tag(tag=RUNNING, property="running", every=1.0)},
        equipment={"press1": Equipment(name=Text("Press 1", "一号压机"))},
    )


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def app(plant: Plant, tmp_path: Path, clock: Clock) -> Planning:
    return make_app(plant, tmp_path / "state", clock)


def make_app(plant: Plant, state: Path, clock: Callable[[], int], seconds: float = 0.0, stops: tuple[Stop, ...] = (STOP,)) -> Planning:
    state.mkdir(exist_ok=True)
    return Planning("orders", plant, "line", Options(seconds=seconds, stops=stops), state, clock=clock)


def ask(app: Planning, verb: str, **body: Any) -> Any:
    return app.ask(Question(verb=verb, body=body, who="li"))


def row(app: Planning, clock: Clock, value: float) -> list[Any]:
    tags = app.wants().tags
    v = np.full((1, len(tags)), value)
    return list(app.step(Window(tags, np.array([clock.now]), v, np.zeros(v.shape, np.uint32), np.zeros(v.shape))).findings)


def where(plan: dict[str, Any]) -> dict[str, tuple[str, float, float]]:
    return {o["name"]: (o["machine"], (o["start"] - START / 1e6) / 6e4, (o["end"] - START / 1e6) / 6e4) for o in plan["operations"]}


def test_a_plan_is_there_at_once_and_holds(app: Planning) -> None:
    plan = ask(app, "plan")
    assert (plan["checked"], plan["improving"], plan["why"]) == (True, False, None)
    assert set(where(plan)) == {"A1/cut", "A1/fold", "A2/cut", "A2/fold", "A3/cut"}
    assert [m["title"] for m in plan["machines"]] == [{"en": "Press 1", "zh": "一号压机"}, {"en": "press2", "zh": "press2"}]
    job = plan["jobs"][0]
    assert (job["name"], job["due"], job["late"]) == ("A1", START // 1_000_000 + 3_600_000, max(0, where(plan)["A1/fold"][2] - 60))
    assert (job["why"] is None) == (job["late"] == 0)
    assert plan["figures"]["late_jobs"] == sum(j["late"] > 0 for j in plan["jobs"])
    assert set(plan["figures"]["utilisation"]) == {"press1", "press2"}


def test_a_late_order_says_why(plant: Plant, tmp_path: Path, clock: Clock) -> None:
    put(
        Path(plant.folder) / "schedule", orders="order,product,quantity,due,weight\nA1,box,100,2026-03-02T08:10,3\nA2,box,50,2026-03-03,1\n"
    )
    plan = ask(make_app(plant, tmp_path / "state", clock), "plan")
    late, other = plan["jobs"]
    assert late["late"] == (late["end"] - late["due"]) / 60_000 > 0
    assert "A1" in late["why"]["en"]
    assert late["why"]["zh"] != late["why"]["en"]
    assert (other["late"], other["why"], other["fix"]) == (0, None, None)
    assert (plan["figures"]["late_jobs"], plan["figures"]["tardiness_h"]) == (1, late["late"] / 60)


def test_it_is_improved_by_a_thread_of_its_own(plant: Plant, tmp_path: Path, clock: Clock) -> None:
    app = make_app(plant, tmp_path / "state", clock)
    first = ask(app, "plan")
    begun = ask(app, "improve", seconds=2)
    assert begun["improving"]
    end = time.monotonic() + 60
    while (plan := ask(app, "plan"))["improving"]:
        assert time.monotonic() < end
        time.sleep(0.02)
    assert plan["checked"]
    assert plan["figures"]["objective"] <= first["figures"]["objective"]
    ask(app, "improve", seconds=600)
    ask(app, "stop")
    while ask(app, "plan")["improving"]:
        assert time.monotonic() < end
        time.sleep(0.02)
    app.close()


def test_a_machine_that_stands_is_a_breakdown_and_the_plan_goes_round_it(app: Planning, clock: Clock) -> None:
    before = ask(app, "plan")
    clock.now = START + 1 * MIN
    assert row(app, clock, 1.0) is not None
    for minute in (2, 3):
        clock.now = START + minute * MIN
        assert not [f for f in row(app, clock, 0.0) if "standing" in f.key]
    clock.now = START + 4 * MIN
    found = [f for f in row(app, clock, 0.0) if "standing" in f.key]
    assert [(f.key, f.active, f.priority) for f in found] == [("line/orders/standing/press1", True, "high")]
    assert found[0].text.zh == "一号压机停机，排程已绕开该机器"
    plan = ask(app, "plan")
    assert plan["checked"], plan["why"]
    assert plan["events"][0]["kind"] == "breakdown"
    moved = {n for n, at in where(plan).items() if at != where(before)[n]}
    assert set(plan["changed"]) <= moved | set(plan["changed"])
    fixed = {o["name"] for o in plan["operations"] if o["fixed"]}
    assert all(m != "press1" or start >= 64 or n in fixed for n, (m, start, _) in where(plan).items())
    off = [o for o in plan["machines"][0]["off"] if o["stop"]]
    assert [(o["from"] - START // 1_000_000) // 60_000 for o in off] == [2]
    clock.now = START + 20 * MIN
    assert [(f.key, f.active) for f in row(app, clock, 1.0) if "standing" in f.key] == [("line/orders/standing/press1", False)]
    again = ask(app, "plan")
    assert again["checked"]
    assert again["events"][0]["kind"] == "repaired"
    assert [(o["to"] - START // 1_000_000) // 60_000 for o in again["machines"][0]["off"] if o["stop"]] == [20]


def test_a_breakdown_that_lasts_longer_is_planned_longer(app: Planning, clock: Clock) -> None:
    row(app, clock, 0.0)
    for minute in (2, 63):
        clock.now = START + minute * MIN
        row(app, clock, 0.0)
    plan = ask(app, "plan")
    assert max((o["to"] - START // 1_000_000) // 60_000 for o in plan["machines"][0]["off"] if o["stop"]) == 63 + 60
    assert plan["checked"], plan["why"]


def test_what_is_dragged_is_checked_and_stays_where_it_was_put(app: Planning) -> None:
    plan = ask(app, "plan")
    late = (START + 300 * MIN) // 1_000_000
    move = {"operation": "A3/cut", "machine": "press1", "start": late}
    tried = ask(app, "try", moves=[move])
    assert tried["problems"] == []
    assert where(tried["plan"])["A3/cut"][:2] == ("press1", 300)
    assert where(ask(app, "plan")) == where(plan), "nothing was changed by trying"
    assert set(tried["delta"]) == {"tardiness_h", "makespan_h", "setup_h", "moved"}
    adopted = ask(app, "adopt", moves=[move])
    assert where(adopted)["A3/cut"][:2] == ("press1", 300)
    assert next(o for o in adopted["operations"] if o["name"] == "A3/cut")["fixed"]
    assert adopted["events"][0]["text"]["zh"] == "A3/cut 移至 press1（li）"
    free = ask(app, "adopt", moves=[{"operation": "A3/cut", "free": True}])
    assert not next(o for o in free["operations"] if o["name"] == "A3/cut")["fixed"]


def test_what_cannot_be_is_said_and_not_adopted(app: Planning) -> None:
    night = {"operation": "A3/cut", "machine": "press1", "start": (START + 13 * 60 * MIN) // 1_000_000}
    tried = ask(app, "try", moves=[night])
    assert any(p["operation"] == "A3/cut" for p in tried["problems"])
    with pytest.raises(AppError, match="does not work"):
        ask(app, "adopt", moves=[night])
    with pytest.raises(AppError, match="cannot do A1/fold; press2 can"):
        ask(app, "try", moves=[{"operation": "A1/fold", "machine": "press1"}])
    for body in (
        {},
        {"moves": 3},
        {"moves": [3]},
        {"event": 1},
        {"event": {"kind": "flood"}},
        {"event": {"kind": "breakdown", "machine": "x"}},
    ):
        with pytest.raises(AppError):
            ask(app, "try", **body)


EVENTS: list[dict[str, Any]] = [
    {"kind": "breakdown", "machine": "press2", "from": START // 10**6 + 600_000, "to": START // 10**6 + 7_200_000},
    {"kind": "maintenance", "machine": "press1", "from": START // 10**6 + 3_600_000, "to": START // 10**6 + 7_200_000},
    {"kind": "quality_stop", "machine": "press1", "to": START // 10**6 + 3_600_000},
    {"kind": "rush", "job": {"name": "R1", "like": "A3", "quantity": 5, "due": START // 10**6 + 7_200_000, "weight": 9}},
    {"kind": "late_material", "material": "sheet", "at": START // 10**6 + 5 * 3_600_000},
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda e: e["kind"])
def test_events_give_a_plan_that_holds(app: Planning, event: dict[str, Any]) -> None:
    ask(app, "plan")
    tried = ask(app, "try", event=event)
    assert tried["problems"] == []
    plan = ask(app, "adopt", event=event)
    assert plan["checked"], plan["why"]
    assert where(plan) == where(tried["plan"])
    assert plan["events"][0]["kind"] == event["kind"]
    if event["kind"] == "late_material":
        assert where(plan)["A2/cut"][1] >= 300  # there was sheet for one of the two
    if event["kind"] == "rush":
        assert where(plan)["R1/cut"][2] <= 120


def test_the_plan_outlives_the_process_and_what_has_begun_outlives_new_files(plant: Plant, tmp_path: Path, clock: Clock) -> None:
    app = make_app(plant, tmp_path / "state", clock)
    clock.now = START + 5 * MIN
    plan = ask(app, "plan")
    app.close()
    again = make_app(plant, tmp_path / "state", clock)
    assert where(ask(again, "plan")) == where(plan)
    again.close()
    begun = {n: at for n, at in where(plan).items() if at[1] < 5}
    assert begun
    routings = (Path(plant.folder) / "schedule" / "routings.csv").read_text()
    (Path(plant.folder) / "schedule" / "orders.csv").write_text(
        "order,product,quantity,due,weight\nA1,box,100,2026-03-02T09:00,3\nA2,box,50,2026-03-02T16:00,1\nA3,lid,10,,\nA4,lid,3,,\n"
    )
    assert routings
    changed = make_app(plant, tmp_path / "state", clock)
    new = ask(changed, "plan")
    assert "A4/cut" in where(new)
    assert {n: at for n, at in where(new).items() if n in begun} == begun
    assert new["checked"], new["why"]


def test_a_shop_that_cannot_be_planned_is_said_to_be_so(plant: Plant, tmp_path: Path, clock: Clock) -> None:
    put(Path(plant.folder) / "schedule", arrivals=None)
    (Path(plant.folder) / "schedule" / "arrivals.csv").unlink()
    app = make_app(plant, tmp_path / "state", clock)
    plan = ask(app, "plan")
    assert (plan["operations"], plan["checked"], plan["status"]) == ([], False, "unknown")
    assert "sheet" in plan["why"]["en"]
    assert [f.key for f in row(app, clock, 1.0)] == ["line/orders/no_plan"]
    with pytest.raises(AppError, match="no plan"):
        ask(app, "export", **{"as": "csv"})


def test_export_and_options(app: Planning, plant: Plant, tmp_path: Path, clock: Clock) -> None:
    rows = list(csv.DictReader(io.StringIO(ask(app, "export", **{"as": "csv"}).decode("utf-8-sig"))))
    assert len(rows) == 5
    with pytest.raises(AppError, match="no machine 'press9'"):
        make_app(plant, tmp_path / "other", clock, stops=(Stop(machine="press9", when=STOP.when),))


class TestPlanningContract(AppContract):
    rows = np.array([1.0] * 5 + [0.0] * 300 + [1.0] * 5)[:, None]

    @pytest.fixture
    def make(self, plant: Plant) -> Make:
        return lambda state: make_app(plant, state, lambda: START)
