"""An app in its plant's time, whose time runs faster than ours."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from ronghe.apps.contract import App, Finding, Result, Wants
from ronghe.edge.lapse import Lapsed, slowed
from ronghe.guard import Advice, Expected, Interval, Saving
from ronghe.plant import GuardSpec, Plant, Tag
from ronghe.plant.folder import examine
from ronghe.plant.model import Lapse
from ronghe.signals import Window
from ronghe.signals.when import parse_time
from ronghe.text import Text

LAPSE = Lapse(pace=150, at="2026-03-01T08:00:00Z", shows="2018-01-09T00:00:00+08:00")
OURS, PLANTS = parse_time(LAPSE.at, 0), parse_time(LAPSE.shows, 0)
QUARTER = 900 * 10**9


class Clerk(App):
    """Says what a quarter of an hour was worth, and what to do in the next."""

    uses = "test.clerk"
    Options = msgspec.Struct
    verbs = {"read": "read"}  # noqa: RUF012
    seen: list[Window] = []  # noqa: RUF012

    def wants(self) -> Wants:
        return Wants(tags=("a",), every=900.0, max_age=1800.0)

    def step(self, window: Window) -> Result:
        self.seen.append(window)
        now, said = int(window.time[-1]), Text("so", "如此")
        return Result(
            findings=(Finding(key="k", app=self.name, equipment="", time=now, active=True, priority="low", text=said),),
            advice=(
                Advice(
                    id="1",
                    app=self.name,
                    tag="a",
                    value=1.0,
                    time=now,
                    expires=now + QUARTER,
                    reason=said,
                    expected=Expected(tag="a", low=0, high=1, within=300.0),
                ),
            ),
            savings=(
                Saving(
                    key="k",
                    app=self.name,
                    equipment="",
                    name=said,
                    start=now - QUARTER,
                    end=now,
                    method="option_b",
                    baseline=said,
                    energy=Interval(value=1, low=1, high=1),
                ),
            ),
        )


def test_it_is_given_the_plants_time_and_its_words_come_back_in_ours(tmp_path: Path) -> None:
    app = Lapsed(Clerk("clerk", Plant(path="p", name=Text("p", "p")), "", None, tmp_path), LAPSE)
    assert (app.wants().every, app.wants().max_age, app.uses, app.verbs) == (6.0, 12.0, "test.clerk", Clerk.verbs)
    rows = OURS + np.arange(1, 4, dtype=np.int64) * 6 * 10**9
    window = Window(("a",), rows, np.zeros((3, 1)), np.zeros((3, 1), np.uint32), np.full((3, 1), 0.5))
    result = app.step(window)
    seen = Clerk.seen[-1]
    assert seen.time.tolist() == [PLANTS + i * QUARTER for i in (1, 2, 3)]
    assert seen.time[0] % QUARTER == 0
    assert seen.age.tolist() == [[75.0]] * 3
    now = int(rows[-1])
    assert result.findings[0].time == result.advice[0].time == result.savings[0].end == now
    assert result.advice[0].expires == now + 6 * 10**9
    assert result.advice[0].expected is not None
    assert result.advice[0].expected.within == 2.0
    assert result.savings[0].start == now - 6 * 10**9


def test_it_is_read_from_the_plants_folder(tmp_path: Path) -> None:
    (tmp_path / "tags.csv").write_text("tag,property\nline/a,a\n")
    (tmp_path / "dictionary.csv").write_text("property,name_en\na,A\n")
    head = '[plant]\npath = "p"\nname = "p"\n[apps.clerk]\nuses = "test.clerk"\n'
    (tmp_path / "plant.toml").write_text(head + f'lapse = {{ pace = 150, at = "{LAPSE.at}", shows = "{LAPSE.shows}" }}\n')
    plant, problems = examine(tmp_path, apps=lambda name: Clerk)
    assert plant is not None, problems
    assert plant.apps["clerk"].lapse == LAPSE
    for wrong in ('"fast"', '{ pace = 0, at = "2026-03-01", shows = "2018-01-09" }', '{ pace = 2, at = "soon", shows = "2018-01-09" }'):
        (tmp_path / "plant.toml").write_text(f"{head}lapse = {wrong}\n")
        plant, problems = examine(tmp_path, apps=lambda name: Clerk)
        assert plant is None
        assert {p.line for p in problems} == {6}


def test_what_the_plant_says_of_seconds_is_in_its_own() -> None:
    tags = {"a": Tag(tag="a", property="a", every=0.5)}
    guards = {
        "a": GuardSpec(tag="a", envelope="0..1", fresh="4s", hold="1min", rate="0.1 per 5s"),
        "b": GuardSpec(tag="b", envelope="0..1"),
    }
    plant = slowed(Plant(path="p", name=Text("p", "p"), tags=tags, guards=guards), 150)
    assert plant.tags["a"].every == 75.0
    assert (plant.guards["a"].fresh, plant.guards["a"].hold, plant.guards["a"].rate) == ("600s", "9000s", "0.1 per 750s")
    assert (plant.guards["b"].hold, plant.guards["b"].rate) == ("0s", "")
