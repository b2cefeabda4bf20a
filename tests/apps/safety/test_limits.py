"""Voted limits, as an app."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from ronghe.apps.contract import Finding, Question, Result
from ronghe.apps.safety.interlock import Request
from ronghe.apps.safety.limits import Limits
from ronghe.apps.safety.settings import Group, LimitsOptions
from ronghe.errors import AppError
from ronghe.plant import Plant

from ..contract import AppContract, Make, feed, findings, window
from .conftest import GAS, PERMIT, START

KEY = "line1/press/gas/h2s"


def make_limits(plant: Plant, state: Path, **given: object) -> Limits:
    group = Group(**{"name": "h2s", "tags": GAS, "vote": "2oo3", "high": 10.0, **given})  # type: ignore[arg-type]
    request = (Request(set="permit", to=0, within="1s", expires="5s"),)
    return Limits("gas", plant, "line1/press", LimitsOptions(groups=(group,), request=request), state, clock=lambda: START)


def rows(*parts: tuple[int, float, float, float, float]) -> np.ndarray:
    """(how many, a, b, c, permit) …"""
    return np.concatenate([np.tile(part[1:], (part[0], 1)) for part in parts])


class TestLimitsContract(AppContract):
    rows = rows(
        (20, 1, 1.2, 1.1, 1), (20, 14, 1.2, 1.1, 1), (30, 14, 13, 1.1, 0), (30, 2, 2, 1.1, 0), (20, 2, math.nan, 1.1, 1), (20, 2, 2, 2, 1)
    )

    @pytest.fixture
    def make(self, plant: Plant) -> Make:
        return lambda state: make_limits(plant, state, reset="auto", discrepancy=5.0, discrepancy_hold="2s")


class Fed:
    """Feeds an app on and on."""

    def __init__(self, app: Limits) -> None:
        self.app, self._row = app, 0

    def __call__(self, *parts: tuple[int, float, float, float, float]) -> list[Result]:
        given = rows(*parts)
        self._row += len(given)
        return [self.app.step(window(self.app, given[i : i + 1], self._row - len(given) + i)) for i in range(len(given))]


def told(found: list[Finding]) -> list[tuple[str, bool]]:
    return [(f.key.removeprefix(KEY), f.active) for f in found]


def test_one_sensor_over_is_no_trip_and_two_are(plant: Plant, state: Path) -> None:
    app = make_limits(plant, state)
    fed = Fed(app)
    assert findings(fed((50, 14, 1, 1, 1))) == []
    results = fed((1, 14, 13, 1, 1))
    assert told(findings(results)) == [("", True)]
    (request,) = results[0].advice
    assert (request.tag, request.value, request.finding) == (PERMIT, 0.0, KEY)
    assert "2oo3" in findings(results)[0].text.zh


def test_a_trip_is_latched_over_a_restart_until_a_person_resets_it(plant: Plant, state: Path) -> None:
    app = make_limits(plant, state)
    fed = Fed(app)
    fed((3, 14, 13, 1, 1))
    app = make_limits(plant, state)
    fed = Fed(app)
    with pytest.raises(AppError):
        app.ask(Question(verb="reset", body={"group": "h2s"}, who="wang"))  # nothing is known yet
    assert told(findings(fed((5, 1, 1, 1, 0)))) == [("", True)]
    fed((2, 14, 13, 1, 0))
    with pytest.raises(AppError, match="still vote"):
        app.ask(Question(verb="reset", body={"group": "h2s"}, who="wang"))
    fed((2, 1, 1, 1, 0))
    app.ask(Question(verb="reset", body={"group": "h2s"}, who="wang"))
    (over,) = findings(fed((2, 1, 1, 1, 0)))
    assert (over.key, over.active) == (KEY, False)
    assert "wang" in over.text.en
    assert told(findings(feed(make_limits(plant, state), rows((2, 1, 1, 1, 1))))) == []


def test_a_request_is_repeated_until_the_set_point_has_its_safe_value(plant: Plant, state: Path) -> None:
    app = make_limits(plant, state)
    fed = Fed(app)
    results = fed((60, 14, 13, 12, 1))  # 12 s: nobody carries it out
    assert len([a for r in results for a in r.advice]) == 3
    assert (f"/request/{PERMIT}", True) in told(findings(results))
    app.feedback([a for r in results for a in r.advice][-1].id, "refused")
    assert len([a for r in fed((10, 14, 13, 12, 1)) for a in r.advice]) >= 1
    after = fed((60, 14, 13, 12, 0))
    assert not [a for r in after[1:] for a in r.advice]
    assert (f"/request/{PERMIT}", False) in told(findings(after))


def test_sensors_that_are_lost_or_disagree_are_told(plant: Plant, state: Path) -> None:
    app = make_limits(plant, state, discrepancy=3.0, discrepancy_hold="1s")
    fed = Fed(app)
    lost = findings(fed((3, 1, math.nan, 1, 1)))
    assert told(lost) == [(f"/sensor/{GAS[1]}", True)]
    assert "1oo2" in lost[0].text.en
    assert told(findings(fed((3, 1, 1, 1, 1)))) == [(f"/sensor/{GAS[1]}", False)]
    assert told(findings(fed((4, 1, 6, 1, 1)))) == []
    assert told(findings(fed((4, 1, 6, 1, 1), (2, 1, 1, 1, 1)))) == [("/discrepancy", True), ("/discrepancy", False)]


def test_a_stale_latch_file_trips_rather_than_forgets(plant: Plant, state: Path) -> None:
    (state / "tripped.json").write_text("{ broken")
    assert told(findings(feed(make_limits(plant, state), rows((1, 1, 1, 1, 1))))) == [("", True)]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"vote": "2oo2"}, "does not fit"),
        ({"high": None}, "high or low"),
        ({"low": 20.0}, "not below"),
        ({"tags": ("h2s_a", "h2s_b", "h2s_x")}, "h2s_x"),
        ({"tags": ("h2s_a", "h2s_a", "h2s_b")}, "does not fit"),
    ],
)
def test_what_cannot_be_voted_on_is_refused(plant: Plant, state: Path, given: dict[str, object], said: str) -> None:
    with pytest.raises(AppError, match=said):
        make_limits(plant, state, **given)


def test_what_people_see(plant: Plant, state: Path) -> None:
    app = make_limits(plant, state)
    app.step(window(app, rows((1, 14, math.nan, 1, 1))))
    (seen,) = app.ask(Question(verb="groups"))  # type: ignore[misc]
    assert seen == {
        "name": "h2s", "vote": "2oo3", "tripped": True, "since": seen["since"], "votes": 2, "needed": 2, "tags": list(GAS),
        "values": [14.0, None, 1.0], "unit": "[ppm]", "bad": [GAS[1]], "resettable": False,
    }  # fmt: skip
