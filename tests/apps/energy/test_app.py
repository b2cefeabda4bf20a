"""energy.optimise on a plant made up here: it plans, it falls back and says why, it counts what it was worth, and it forgets nothing."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from ronghe.apps.contract import App, Question, Result
from ronghe.apps.energy.app import Optimise
from ronghe.apps.energy.pilot import Pilot
from ronghe.apps.energy.settings import Buffer, Flexible, Options, Storage
from ronghe.errors import AppError
from ronghe.plant import Plant, Property, Tag
from ronghe.signals import Window
from ronghe.signals import quality as q
from ronghe.text import Text

from ..contract import AppContract, Make
from .conftest import working

TARIFF = """\
currency = "CNY"
timezone = "Asia/Shanghai"
[[version]]
from = "2023-01-01"
demand = 40
[[version.period]]
name = { en = "peak", zh = "峰" }
price = 1.10
hours = ["10-15", "18-21"]
[[version.period]]
name = { en = "valley", zh = "谷" }
price = 0.32
hours = ["23-7"]
[[version.period]]
name = { en = "flat", zh = "平" }
price = 0.67
"""
STEP = 450  # s: half a quarter of an hour
BEGIN = 1_772_985_600  # 2026-03-09 00:00 in Shanghai, a Monday
BATTERY = Storage(name="battery", set="battery/set", soc="battery/soc", measured="battery/power", capacity=400, power=150, wear=0.05)
Floats = NDArray[np.float64]


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    folder = tmp_path / "plant"
    folder.mkdir()
    (folder / "tariff.toml").write_text(TARIFF, encoding="utf-8")
    dictionary = {"power": Property(property="power", unit="kW"), "share": Property(property="share", unit="%")}
    tags = {}
    for name in ("meter/power", "pv/power", "battery/power", "battery/set", "battery/soc", "kiln/set", "air/set", "air/level"):
        kind = "share" if name.endswith(("soc", "level")) else "power"
        tags[f"energy/{name}"] = Tag(tag=f"energy/{name}", property=kind, connection="line", every=STEP, writable=name.endswith("set"))
    return Plant(path="acme/suzhou/works", name=Text("works"), folder=str(folder), dictionary=dictionary, tags=tags)


@pytest.fixture
def make(plant: Plant) -> Callable[[Path], Optimise]:
    return lambda state: Optimise("energy", plant, "energy", Options(grid="meter/power", storage=(BATTERY,)), state)


def rows(app: App, start: int, values: list[list[float]]) -> Window:
    """Rows of the grid from `start` s on."""
    value = np.array(values)
    times = (start + STEP * np.arange(len(value), dtype=np.int64)) * 10**9
    codes = np.where(np.isnan(value), np.uint32(q.BAD_NO_COMMUNICATION), np.uint32(q.GOOD))
    return Window(app.wants().tags, times, value, codes, np.where(np.isnan(value), np.inf, 1.0))


class Works:
    """The plant: a load and a battery that does what it is told."""

    def __init__(self, app: Optimise, days: int = 8) -> None:
        self.app, self.load = app, working(days, seed=3)
        self.step, self.energy, self.power, self.results = 0, 200.0, 0.0, list[Result]()
        self.grid: list[float] = []

    def run(self, steps: int, broken: tuple[str, ...] = ()) -> list[Result]:
        """So many rows; the tags in `broken` are bad."""
        began = len(self.results)
        for _ in range(steps):
            load = self.load[self.step * STEP // 900]
            self.grid.append(load + self.power)
            tags = {"meter/power": self.grid[-1], "battery/set": self.power, "battery/power": self.power, "battery/soc": self.energy / 4}
            told = [np.nan if t.removeprefix("energy/") in broken else tags[t.removeprefix("energy/")] for t in self.app.wants().tags]
            self.step += 1
            result = self.app.step(rows(self.app, BEGIN + self.step * STEP, [told]))
            self.results.append(result)
            for a in result.advice:
                assert a.expires > a.time
                assert abs(a.value) <= 150
                self.power = a.value
            root = 0.9**0.5
            self.energy += STEP / 3600 * (self.power * root if self.power > 0 else self.power / root)
            assert -1 <= self.energy <= 401
        return self.results[began:]


DAY = 86_400 // STEP


def active(results: list[Result]) -> dict[str, str]:
    """Key → English text of what stands after the results."""
    standing = {}
    for r in results:
        for f in r.findings:
            if f.active:
                standing[f.key] = f.text.en
            else:
                standing.pop(f.key, None)
    return standing


@pytest.fixture
def works(make: Callable[[Path], Optimise], tmp_path: Path) -> Works:
    """Four days and a half on; after three it has learned."""
    state = tmp_path / "state"
    state.mkdir()
    works = Works(make(state))
    works.run(9 * DAY // 2)
    return works


def test_it_learns_plans_and_is_worth_something(works: Works) -> None:
    first = works.results[: 2 * DAY]
    assert "still learning" in active(first)["energy/rule"]
    assert set(active(works.results)) == {"energy/plan"}
    assert works.results[-1].signals["by"] == 1
    savings = [s for r in works.results for s in r.savings]
    assert len(savings) == 3  # of the first day the beginning is not known
    planned = savings[-1]
    assert planned.money is not None
    assert planned.money.low < planned.money.value < planned.money.high
    assert planned.end - planned.start == 86_400 * 10**9


def test_under_the_rule_a_day_is_worth_nothing(works: Works) -> None:
    """What the rule does live is what the rule is computed to do: the yardstick measures itself as 0, within its interval."""
    ruled = next(s for r in works.results for s in r.savings)
    assert ruled.money is not None
    assert ruled.money.low - 25 < 0 < ruled.money.high + 25


@pytest.mark.parametrize(
    ("broken", "word"), [(("meter/power",), "the meter is not known"), (("battery/soc",), "a state of charge is not known")]
)
def test_what_is_not_known_is_said_and_the_battery_stands_still(works: Works, broken: tuple[str, ...], word: str) -> None:
    results = works.run(6, broken)
    assert word in active(works.results)["energy/rule"]
    values = [a.value for r in results for a in r.advice]
    assert values
    assert values[-1] == 0
    works.run(3)
    assert set(active(works.results)) == {"energy/plan"}


def test_without_a_tariff_only_the_cap_is_held(works: Works, plant: Plant) -> None:
    file = Path(plant.folder) / "tariff.toml"
    file.write_text(TARIFF.replace('from = "2023-01-01"', 'from = "2026-01-01"\nuntil = "2026-02-01"'), encoding="utf-8")
    works.run(3)
    assert "the tariff says nothing" in active(works.results)["energy/rule"]
    file.unlink()
    works.run(DAY // 4)
    assert "cannot be read" in active(works.results)["energy/rule"] or "the tariff says nothing" in active(works.results)["energy/rule"]
    assert works.app.problems()
    file.write_text(TARIFF, encoding="utf-8")
    works.run(3)
    assert set(active(works.results)) == {"energy/plan"}
    assert not works.app.problems()


def test_a_solver_that_fails_or_hangs_leaves_the_rule(works: Works, monkeypatch: pytest.MonkeyPatch) -> None:
    planned = Pilot._plan

    def killed(self: Pilot, seen: Any) -> Any:
        raise RuntimeError("killed")

    def hangs(self: Pilot, seen: Any) -> Any:
        time.sleep(1)
        return planned(self, seen)

    monkeypatch.setattr(Pilot, "_plan", killed)
    works.run(3)
    assert "the optimiser failed" in active(works.results)["energy/rule"]
    monkeypatch.setattr(works.app._pilot, "_deadline", 0.05)
    monkeypatch.setattr(Pilot, "_plan", hangs)
    works.run(6)
    assert "no plan within" in active(works.results)["energy/rule"]
    monkeypatch.setattr(Pilot, "_plan", planned)
    monkeypatch.setattr(works.app._pilot, "_deadline", 5.0)
    time.sleep(1.2)
    works.run(3)
    assert set(active(works.results)) == {"energy/plan"}


def test_what_people_see(works: Works) -> None:
    now: Any = works.app.ask(Question(verb="now"))
    assert now["by"] == "optimiser"
    assert [n["kind"] for n in now["nodes"]] == ["grid", "storage", "load"]
    assert now["price"] == 1.10
    assert now["next"]["price"] == 0.67
    assert now["month"]["peak_kw"] == pytest.approx(max(np.mean(works.grid[i : i + 2]) for i in range(0, len(works.grid), 2)), rel=1e-3)
    plan: Any = works.app.ask(Question(verb="plan"))
    for series in (plan["times"], plan["price"], plan["load"]["mean"], plan["grid"], plan["storage"][0]["kw"], plan["storage"][0]["soc"]):
        assert len(series) == 96
    assert len(plan["actual"]["grid"]) == 96
    assert all(low <= high for low, high in zip(plan["load"]["low"], plan["load"]["high"], strict=True))
    worth: Any = works.app.ask(Question(verb="worth"))
    assert worth["total"]["days"] == len(worth["days"]) == 3
    for answer in (now, plan, worth):
        assert msgspec.json.encode(answer)


def test_it_forgets_nothing(works: Works, make: Callable[[Path], Optimise]) -> None:
    works.app.close()
    works.app = make(works.app.state)
    result = works.run(3)[-1]
    assert result.signals["by"] == 1  # at once: what it learned is there
    assert len(works.app.memory.kept.days) == 3


def test_machines_and_buffers_are_part_of_the_plan(plant: Plant, tmp_path: Path) -> None:
    options = Options(
        grid="meter/power",
        flexible=(Flexible(name="kiln", set="kiln/set", energy=120, power=60, hours="20-7"),),
        buffers=(Buffer(name="air", set="air/set", level="air/level", capacity=40, power=30, draw=5, leak=0.01),),
    )
    app = Optimise("energy", plant, "energy", options, tmp_path)
    load, level, set_to, taken = working(5), 20.0, {"energy/kiln/set": 0.0, "energy/air/set": 5.0}, {}
    for k in range(5 * DAY):
        at = BEGIN + (k + 1) * STEP
        result = app.step(rows(app, at, [[load[k * STEP // 900] + sum(set_to.values()), level / 0.4]]))
        set_to |= {a.tag: a.value for a in result.advice}
        level += STEP / 3600 * (set_to["energy/air/set"] - 5 - 0.01 * level)
        hour = (at + 8 * 3600) % 86_400 // 3600
        night = (at - 4 * 3600) // 86_400, hour >= 20 or hour < 7  # from noon to noon
        taken[night] = taken.get(night, 0.0) + set_to["energy/kiln/set"] * STEP / 3600
        assert 3 <= level <= 37
    nights = [v for (day, inside), v in sorted(taken.items()) if inside][1:-1]
    assert nights == pytest.approx([120] * len(nights), abs=6)
    assert all(v == 0 for (_, inside), v in taken.items() if not inside)


def test_options_that_cannot_be(plant: Plant, tmp_path: Path) -> None:
    for options, word in (
        (Options(grid="meter/power", every="7min"), "does not divide"),
        (Options(grid="meter/none"), "no tag"),
        (Options(grid="meter/power", flexible=(Flexible(name="k", set="pv/power", energy=1, power=1),)), "cannot be written"),
        (Options(grid="meter/power", flexible=(Flexible(name="k", set="kiln/set", energy=99, power=1),)), "do not fit"),
    ):
        with pytest.raises(AppError, match=word):
            Optimise("energy", plant, "energy", options, tmp_path)


class TestOptimiseContract(AppContract):
    """A row each quarter of an hour, more than three days until it has learned, however it was cut; then the meter is lost for an hour."""

    rows = np.array([[60.0 + (k % 7), 0.0, 50.0, 0.0] if not 450 <= k < 454 else [np.nan] * 4 for k in range(458)])

    @pytest.fixture
    def make(self, plant: Plant) -> Make:
        tags = {name: msgspec.structs.replace(t, every=900.0) for name, t in plant.tags.items()}
        slow = msgspec.structs.replace(plant, tags=tags)
        return lambda state: Optimise("energy", slow, "energy", Options(grid="meter/power", storage=(BATTERY,)), state)
