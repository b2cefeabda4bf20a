"""The changeover app: its steps, as people and the guard take it through them. The guard here is the real one; the devices obey."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.apps.contract import AppContract, Make
from tests.apps.scheduling.press_line import press_line

from ronghe.apps.contract import Question, Result
from ronghe.apps.scheduling.changeover import Changeover
from ronghe.apps.scheduling.changeover.settings import Options
from ronghe.bench.changeover_devices import FEED, NEW, OLD
from ronghe.errors import AppError
from ronghe.guard import ChangeCase, Guard, Ledger
from ronghe.plant import Plant
from ronghe.signals import Batch, Latest, TagIndex, Window
from ronghe.signals import quality as q

S = 1_000_000_000
START = 1_790_000_000 * S
CONDITIONS = {"line1/feeder/material": 1.0, "line1/feeder/door_open": 0.0, "line1/feeder/first_piece": 0.0, "line1/feeder/next": 1.0}


def in_unit(values: dict[str, float]) -> dict[str, float]:
    """As the plant speaks of them: the feed in mm."""
    return {t: v / 10 if t == FEED else v for t, v in values.items()}


class TestChangeoverContract(AppContract):
    """Nobody is at the guard: it is late, and then it is told that nothing came of it."""

    @pytest.fixture
    def make(self, tmp_path: Path) -> Make:
        plant = press_line(tmp_path)
        options = Options(follow="feeder/next", limit="20s", expires="30s")
        return lambda state: Changeover("changeover", plant, "line1", options, state, clock=lambda: START)

    @property
    def rows(self) -> Any:  # type: ignore[override]
        old = in_unit(OLD)
        rows = np.tile([old.get("line1/press/heat"), 40.0, 12.0, 6.0, 1.0, 1.0], (600, 1))
        rows[10:, -1] = 2.0
        rows[300:, -1] = 1.0
        rows[420:, -1] = 2.0
        return rows


class Works:
    """A line, its guard and its changeover app, in the hand of a test."""

    def __init__(self, folder: Path, plant: Plant) -> None:
        self.folder, self.plant, self.now = folder, plant, START
        self.force, self.seen = in_unit(OLD), dict(CONDITIONS)
        self.refuses = ""
        self.index = TagIndex(plant.tags)
        self.latest = Latest(self.index)
        self.ledger = Ledger(folder / "ledger", clock=lambda: self.now)
        self.guard = Guard(plant, self.latest, self.ledger, self.write, clock=lambda: self.now, folder=folder)
        (folder / "app").mkdir(exist_ok=True)
        self.app = self.new_app()
        self.results: list[Result] = []

    def new_app(self) -> Changeover:
        options = self.plant.apps["changeover"].options
        return Changeover("changeover", self.plant, "line1", options, self.folder / "app", clock=lambda: self.now)

    async def write(self, tag: str, value: float, still: Callable[[], bool]) -> int:
        if not still():
            return q.BAD_NOT_SENT
        if tag == self.refuses:
            return q.BAD_NOT_WRITABLE
        self.force[tag] = value
        return q.GOOD

    async def run(self, seconds: int) -> None:
        for _ in range(seconds):
            self.now += S
            values = {**self.force, **self.seen}
            self.latest.update(Batch.of(self.index, list(values), self.now, list(values.values())), self.now)
            tags = self.app.wants().tags
            row = np.array([[values[t] for t in tags]])
            codes = np.full(row.shape, q.GOOD, np.uint32)
            result = self.app.step(Window(tags, np.array([self.now]), row, codes, np.zeros_like(row)))
            self.results.append(result)
            signals = [f"apps/changeover/{s}" for s in result.signals]
            self.latest.update(Batch.of(self.index, signals, self.now, list(result.signals.values())), self.now)
            for change in result.changes:
                await self.guard.submit_change(change)
            for told in result.told:
                await self.guard.told(told)
            await self.guard.tick()
            for case in self.guard.changes():
                self.app.follow(case)

    def ask(self, verb: str, who: str = "li", **body: Any) -> Any:
        return self.app.ask(Question(verb=verb, body=body, who=who))

    def steps(self) -> dict[str, str]:
        state = self.ask("state")
        return {s["name"]: s["state"] for s in (state["running"] or state["last"][0])["steps"]}

    def findings(self) -> list[tuple[str, bool]]:
        return [(f.key.rpartition("/")[2], f.active) for r in self.results for f in r.findings]


@pytest.fixture
def works(tmp_path: Path) -> Iterator[Works]:
    made = Works(tmp_path, press_line(tmp_path))
    yield made
    made.ledger.close()


async def test_a_person_starts_it_and_each_step_is_timed(works: Works) -> None:
    await works.run(2)
    assert works.ask("state")["current"] == "a-100"
    shown = works.ask("recipe", name="a-200")
    assert {p["tag"]: (p["now"], p["will"]) for p in shown["parameters"]} == {t: (in_unit(OLD)[t], v) for t, v in in_unit(NEW).items()}
    works.ask("start", recipe="a-200")
    await works.run(5)
    assert works.steps() == {"die": "doing", "material": "done", "parameters": "waiting", "first_piece": "waiting"}
    assert works.force == in_unit(OLD), "nothing is written before people have confirmed"
    works.ask("confirm", step="die", who="wang")
    await works.run(8)
    assert works.steps() == {"die": "done", "material": "done", "parameters": "done", "first_piece": "doing"}
    works.seen["line1/feeder/first_piece"] = 1.0
    await works.run(5)
    state = works.ask("state")
    run = state["last"][0]
    assert (state["running"], state["current"], run["state"]) == (None, "a-200", "done")
    assert works.force == in_unit(NEW)
    assert all(s["began"] and s["ended"] and s["ended"] >= s["began"] for s in run["steps"])
    assert [s["by"] for s in run["steps"] if s["confirm"]] == ["wang"]
    signals = works.results[-1].signals
    assert signals["duration"] == (run["ends"] - run["began"]) / 1000
    assert (signals["steps"], signals["running"], signals["changeovers"]) == (4.0, 0.0, 1.0)
    assert works.findings() == []
    assert works.guard.changes()[0].change.who == "li"


async def test_what_fails_is_told_with_its_reason_and_at_its_step(works: Works) -> None:
    works.refuses = FEED
    await works.run(2)
    works.ask("start", recipe="a-200")
    works.ask("confirm", step="die")
    await works.run(20)
    state = works.ask("state")
    assert state["last"][0]["state"] == "rolled_back"
    assert works.steps()["parameters"] == "rolled_back"
    assert works.force == in_unit(OLD)
    told = next(f for r in works.results for f in r.findings)
    assert told.priority == "high"
    assert FEED in told.text.en
    assert "不可写" in told.text.in_("zh")
    works.refuses = ""
    works.ask("start", recipe="a-200")
    works.ask("confirm", step="die")
    await works.run(1)
    assert works.findings() == [("not_changed", True), ("not_changed", False)], "until it is tried again"
    await works.run(10)
    await works.run(60)
    assert works.steps()["first_piece"] == "failed"
    assert works.findings()[-1] == ("not_changed", True)


async def test_it_is_late_after_its_minute_and_a_person_can_call_it_off(works: Works) -> None:
    works.seen["line1/feeder/material"] = 0.0
    await works.run(2)
    works.ask("start", recipe="a-200")
    works.ask("confirm", step="die")
    await works.run(70)
    assert works.findings() == [("late", True)]
    assert works.steps()["material"] == "doing"
    with pytest.raises(AppError):
        works.ask("start", recipe="a-100")
    works.ask("cancel")
    await works.run(3)
    state = works.ask("state")
    assert (state["running"], state["last"][0]["state"]) == (None, "rejected")
    assert works.force == in_unit(OLD)
    assert ("late", False) in works.findings()
    with pytest.raises(AppError):
        works.ask("cancel")
    with pytest.raises(AppError, match="did you mean 'a-200'"):
        works.ask("start", recipe="a-20")


async def test_the_next_order_starts_it_and_a_restart_forgets_nothing(works: Works) -> None:
    await works.run(2)
    works.seen["line1/feeder/next"] = 2.0
    await works.run(3)
    run = works.ask("state")["running"]
    assert run["recipe"] == "a-200"
    works.ask("confirm", step="die")
    works.app = works.new_app()
    works.seen["line1/feeder/first_piece"] = 1.0
    await works.run(15)
    state = works.ask("state")
    assert (state["current"], state["last"][0]["id"]) == ("a-200", run["id"])
    assert len(works.guard.changes()) == 1
    works.seen["line1/feeder/next"] = 7.0  # no recipe has this number
    await works.run(3)
    assert works.ask("state")["running"] is None


async def test_where_a_guard_asks_for_approval_it_is_a_step(tmp_path: Path) -> None:
    plant_file = press_line(tmp_path).folder + "/plant.toml"
    text = Path(plant_file).read_text(encoding="utf-8").replace('mode = "auto"', 'mode = "approve"\napprovals = 2', 1)
    Path(plant_file).write_text(text, encoding="utf-8")
    works = Works(tmp_path, load_again(plant_file))
    await works.run(2)
    works.ask("start", recipe="a-200")
    works.ask("confirm", step="die")
    await works.run(3)
    assert works.steps()["approve"] == "doing"
    works.ask("confirm", step="approve", who="li")
    works.ask("confirm", step="approve", who="li")
    await works.run(2)
    assert works.steps()["approve"] == "doing", "two people"
    works.ask("confirm", step="approve", who="wang")
    await works.run(8)
    assert works.steps()["parameters"] == "done"
    case: ChangeCase = works.guard.changes()[0]
    assert case.approvals == ("li", "wang")
    works.ledger.close()


def load_again(plant_file: str) -> Plant:
    from ronghe.plant import load

    return load(Path(plant_file).parent)
